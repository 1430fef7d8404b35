"""Many runs together: tables, averages, comparisons, reliability, prediction."""

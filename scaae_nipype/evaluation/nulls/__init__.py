"""What chance gives: surrogate templates and surrogate runs."""

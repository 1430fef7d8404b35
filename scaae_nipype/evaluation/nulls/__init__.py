"""What chance gives: surrogate templates and surrogate runs; and what else than dynamics changes within a run."""

"""What is there: datasets, runs, and what belongs to them."""

"""The output dataset: what its files are called, what is said of them, and how they are read again."""

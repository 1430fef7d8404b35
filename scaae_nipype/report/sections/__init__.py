"""What the pages show: a file per subject, with its figures, tables and sentences."""

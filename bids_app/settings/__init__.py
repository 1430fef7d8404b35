"""What is asked for: the options, what they mean, and what they change."""

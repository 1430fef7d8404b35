"""What a job does: its stages, its models, its additions."""

"""What ships with the package: the grid's mask, the default templates, the registry of output names."""

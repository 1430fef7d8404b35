"""Network templates and atlases: read, recognised, named."""

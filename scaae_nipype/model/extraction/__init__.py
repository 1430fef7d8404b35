"""How a network gives the networks of a run: the fused attention path, files in and files out."""

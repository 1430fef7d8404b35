"""What needs no trained network, scored as the networks are."""

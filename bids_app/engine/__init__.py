"""How steps run on a machine: nodes, workers, signals, locks."""

"""The network: attention (equations 3-6), autoencoder, networks (7-9), fused inference, training, weights."""

import os

from ..lazy import attach

# Read once, when PyTorch is first imported. Threads of an OpenMP team that wait for each other would spin otherwise: on
# a busy machine they took more processor time than the work itself.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__getattr__, __dir__, __all__ = attach(__name__, __file__)

"""The network: attention (equations 3-6), autoencoder, networks (7-9), fused inference, training, weights."""

from ..lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)

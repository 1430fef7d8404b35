"""Functional brain networks from every single fMRI volume (SCAAE, arXiv 2205.09576)."""

from .lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)

"""Functional brain networks from every single fMRI volume (SCAAE, arXiv 2205.09576)."""

from ._version import __version__

__all__ = ["__version__"]

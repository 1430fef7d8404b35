"""A preprocessed BOLD run becomes a model-ready run: resample, smooth, denoise, censor, standardise."""

from ..lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)

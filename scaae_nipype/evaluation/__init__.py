"""How well maps agree with templates and with each other, beside what needs no network: arrays and files, no model."""

from ..lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)

"""The network: attention (equations 3-6), autoencoder, networks (7-9), fused inference, training, weights.

What needs PyTorch is imported when it is first asked for, so that names and choices cost nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .presets import PRESETS, RECIPES, Preset, Recipe

if TYPE_CHECKING:
    from .extraction.extractor import extract_networks
    from .training.train import Training, train_model
    from .weights import Model, load_model, save_model

__all__ = [
    "PRESETS",
    "RECIPES",
    "Model",
    "Preset",
    "Recipe",
    "Training",
    "extract_networks",
    "load_model",
    "save_model",
    "train_model",
]

_LATER = {
    "extract_networks": "extraction.extractor",
    "Training": "training.train",
    "train_model": "training.train",
    "Model": "weights",
    "load_model": "weights",
    "save_model": "weights",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_LATER[name]}", __name__), name)

"""The network: attention (equations 3-6), autoencoder, networks (7-9), fused inference, training, weights."""

from .extraction import extract_networks
from .presets import PRESETS, RECIPES, Preset, Recipe
from .training import Training, train_model
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

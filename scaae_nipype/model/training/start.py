"""The attention weights that ship: trained on simulated volumes, so that nobody waits hours for a usable model."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import numpy as np
import safetensors.torch

from ...grid import Grid
from ..network.contextual import ContextualSCAAE

__all__ = ["START", "SUITABLE_VOXEL_SIZES", "load_start"]

START = "start_4mm"
"""Name of the shipped weights and their card in `scaae_nipype.data`; ``benchmarks/start.py`` makes them."""

SUITABLE_VOXEL_SIZES = (3.0, 5.0)
"""Edge lengths in mm of the voxels for which they are meant: kernels count voxels, not millimetres."""


def load_start(network: ContextualSCAAE, grid: Grid) -> dict[str, Any]:
    """Put the shipped weights into a network.

    Returns
    -------
    dict
        What they are, for the model's card; with a warning where the grid's voxels are of another size.
    """
    folder = resources.files("scaae_nipype.data")
    tensors = safetensors.torch.load(folder.joinpath(f"{START}.safetensors").read_bytes())
    network.load_state_dict({**network.state_dict(), **{name: tensor.float() for name, tensor in tensors.items()}})
    card = json.loads(folder.joinpath(f"{START}.json").read_text())
    low, high = SUITABLE_VOXEL_SIZES
    if not ((grid.voxel_sizes >= low) & (grid.voxel_sizes <= high)).all():
        card["Warning"] = (
            f"The attention was trained at 4 mm; the grid's voxels are {np.round(grid.voxel_sizes, 2).tolist()} mm."
        )
    return card

"""Networks that work on the voxels of a mask, as vectors."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["InMask"]


class InMask(nn.Module):
    """Knows where the voxels of a mask lie, by their numbers: many times as fast as to look the mask up again.

    Parameters
    ----------
    mask : bool array, (X, Y, Z)
        The brain mask on the network's field.
    """

    places: Tensor

    def __init__(self, mask: np.ndarray):
        super().__init__()
        self.field = mask.shape
        self.register_buffer("places", torch.from_numpy(np.flatnonzero(mask)), persistent=False)

    def vectors(self, volumes: Tensor) -> Tensor:
        """Take the mask's voxels: (batch, 1, X, Y, Z) to (batch, n_voxels)."""
        return volumes[:, 0].flatten(1).index_select(1, self.places)

    def place(self, vectors: Tensor) -> Tensor:
        """Put vectors (batch, count, n_voxels) back in space: (batch, count, X, Y, Z)."""
        volumes = vectors.new_zeros((*vectors.shape[:2], math.prod(self.field)))
        return volumes.index_copy(2, self.places, vectors).unflatten(2, self.field)

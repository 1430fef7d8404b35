"""Smoothing inside a mask as a layer of a network."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["MaskedSmoothing"]

REACH = 3.0
"""Standard deviations at which the Gaussian is cut off."""


class MaskedSmoothing(nn.Module):
    """Gaussian smoothing inside a mask: at its border a voxel is the mean of what lies inside.

    `voxel_sizes` and `sigma`, the standard deviation of the Gaussian, are in mm.

    Examples
    --------
    >>> smoothing = MaskedSmoothing(np.ones((5, 4, 3), bool), (4, 4, 4), sigma=6.0)
    >>> bool(torch.allclose(smoothing(torch.ones(1, 1, 5, 4, 3)), torch.ones(1)))
    True
    """

    inside: Tensor
    gain: Tensor
    along_x: Tensor
    along_y: Tensor
    along_z: Tensor

    def __init__(self, mask: np.ndarray, voxel_sizes: Sequence[float] | np.ndarray, sigma: float):
        super().__init__()
        self.sigma = sigma
        inside = torch.from_numpy(mask.astype(np.float64))[None, None]
        # In double precision: how a product of floats is rounded depends on where in memory they lie, and two networks
        # of the same weights shall give the same maps.
        weight = inside
        for axis, length, size in zip("xyz", mask.shape, voxel_sizes, strict=True):
            matrix = _gaussian_matrix(length, sigma / size)
            weight = torch.tensordot(weight, matrix, dims=([2], [0]))  # the smoothed axis goes last: x, y, z in the end
            self.register_buffer(f"along_{axis}", matrix.float(), persistent=False)
        self.register_buffer("inside", inside.float(), persistent=False)
        self.register_buffer("gain", (inside / weight.clamp(min=1e-6)).float(), persistent=False)

    def forward(self, volumes: Tensor) -> Tensor:
        """Smooth (batch, 1, X, Y, Z); 0 outside the mask, where nothing is read either."""
        return self._blur(volumes * self.inside) * self.gain

    def adjoint(self, volumes: Tensor) -> Tensor:
        """Apply the transposed operator: ⟨a, smooth(b)⟩ = ⟨adjoint(a), b⟩."""
        return self._blur(volumes * self.gain) * self.inside

    def _blur(self, x: Tensor) -> Tensor:
        x = self.along_y @ (x @ self.along_z.T)
        return (self.along_x @ x.flatten(3)).unflatten(3, x.shape[3:])


def _gaussian_matrix(length: int, width: float) -> Tensor:
    """Give the convolution of `length` voxels with a Gaussian (sum 1, `width` in voxels) as a symmetric float64 matrix.

    A matrix product per axis takes a fifth of the time of a convolution with one channel.
    """
    reach = max(1, math.ceil(REACH * width))
    offsets = torch.arange(-reach, reach + 1, dtype=torch.float64)
    total = torch.exp(-(offsets**2) / (2 * width**2)).sum()
    voxels = torch.arange(length, dtype=torch.float64)
    apart = (voxels[:, None] - voxels).abs()
    kernel = torch.exp(-(apart**2) / (2 * width**2)) / total
    return torch.where(apart <= reach, kernel, 0.0)

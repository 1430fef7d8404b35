"""Smoothing inside a mask as a layer of a network."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["MaskedSmoothing"]

REACH = 3.0
"""Standard deviations at which the Gaussian is cut off."""


class MaskedSmoothing(nn.Module):
    """Gaussian smoothing inside a mask: at its border a voxel is the mean of what lies inside.

    Parameters
    ----------
    mask : bool array, (X, Y, Z)
    voxel_sizes : sequence of float
        In mm.
    sigma : float
        Standard deviation of the Gaussian in mm.

    Examples
    --------
    >>> smoothing = MaskedSmoothing(np.ones((5, 4, 3), bool), (4, 4, 4), sigma=6.0)
    >>> bool(torch.allclose(smoothing(torch.ones(1, 1, 5, 4, 3)), torch.ones(1)))
    True
    """

    inside: Tensor
    gain: Tensor

    def __init__(self, mask: np.ndarray, voxel_sizes: Sequence[float] | np.ndarray, sigma: float):
        super().__init__()
        self.sigma = sigma
        self.kernels = [_gaussian(sigma / size) for size in voxel_sizes]
        inside = torch.from_numpy(mask.astype(np.float32))[None, None]
        weight = self._blur(inside)
        self.register_buffer("inside", inside, persistent=False)
        self.register_buffer("gain", inside / weight.clamp(min=1e-6), persistent=False)

    def forward(self, volumes: Tensor) -> Tensor:
        """Smooth (batch, 1, X, Y, Z); 0 outside the mask, where nothing is read either."""
        return self._blur(volumes * self.inside) * self.gain

    def adjoint(self, volumes: Tensor) -> Tensor:
        """Apply the transposed operator: ⟨a, smooth(b)⟩ = ⟨adjoint(a), b⟩."""
        return self._blur(volumes * self.gain) * self.inside

    def _blur(self, x: Tensor) -> Tensor:
        for axis, kernel in enumerate(self.kernels):
            shape, padding = [1, 1, 1, 1, 1], [0, 0, 0]
            shape[2 + axis], padding[axis] = len(kernel), len(kernel) // 2
            x = functional.conv3d(x, kernel.to(x).reshape(shape), padding=padding)
        return x


def _gaussian(width: float) -> Tensor:
    """Give a symmetric kernel of sum 1; its width is in voxels."""
    reach = max(1, math.ceil(REACH * width))
    kernel = torch.exp(-(torch.arange(-reach, reach + 1, dtype=torch.float64) ** 2) / (2 * width**2))
    return (kernel / kernel.sum()).float()

"""The linear network: a volume projected on what the runs have in common, without any attention.

On people, and where networks differ between people, a plain principal component analysis of the same runs finds about
as much as the networks with attention (``docs/evidence.md``). Whoever wants it, and nothing more, has it here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ..presets import Preset
from .in_mask import InMask
from .reading import Reading
from .smoothing import MaskedSmoothing

__all__ = ["LinearNetwork"]


class LinearNetwork(InMask):
    """Projection of a smoothed volume on the group's principal components, above the mean and below it.

    Parameters
    ----------
    preset : Preset
        Its `context` is the number of components.
    mask : bool array, (X, Y, Z)
        The brain mask on the network's field.
    voxel_sizes : sequence of float
        In mm.
    """

    components: Tensor
    few_volumes: Tensor

    def __init__(self, preset: Preset, *, mask: np.ndarray, voxel_sizes: Sequence[float] | np.ndarray):
        super().__init__(mask)
        self.preset = preset
        # As `scaae_nipype.model.group_pca` smooths few volumes, and many
        self.near8, self.near4 = (MaskedSmoothing(mask, voxel_sizes, sigma) for sigma in (8.0, 4.0))
        # Before the fit any orthonormal maps will do; a parameter, so that a model's weights are what it has learned
        drawn = torch.linalg.qr(torch.randn(int(mask.sum()), preset.context)).Q.T.contiguous()
        self.components = nn.Parameter(drawn, requires_grad=False)
        self.register_buffer("few_volumes", torch.ones((), dtype=torch.bool))

    def read(self, volumes: Tensor) -> Reading:
        """Give the projections, upside down in branch 2, channel weights of 1, and the code, of (batch, 1, X, Y, Z)."""
        with torch.autocast(volumes.device.type, enabled=False):
            volumes = volumes.to(self.components.dtype)
            smoothed = (self.near8 if bool(self.few_volumes) else self.near4)(volumes)
            code = self.vectors(smoothed) @ self.components.T
            projected = code @ self.components
            maps = self.place(torch.stack([projected, -projected], dim=1))
        return Reading(maps, code.new_ones((len(code), 2)), code)

    def forward(self, volumes: Tensor) -> Reading:
        """Read (batch, 1, X, Y, Z)."""
        return self.read(volumes)

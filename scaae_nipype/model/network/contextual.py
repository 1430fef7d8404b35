"""The network of calibrated mode: the paper's attention, which sees a volume, its surroundings and its context."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ..presets import Preset
from .attention import Attention, AttentionPath
from .context import Context
from .reading import Reading, combine
from .smoothing import MaskedSmoothing

__all__ = ["CONTEXT_SIGMA", "ContextualSCAAE", "Views"]

CONTEXT_SIGMA = 6.0
"""Standard deviation in mm of the smoothing before the code is computed."""

WIDE_SIGMA = 14.0
"""Standard deviation in mm of the smoothing that shows the attention a voxel's wider surroundings."""

CONTEXT_GAIN, WIDE_GAIN = 4.0, 3.0
"""Factors that bring context and surroundings to about the spread of the z-scored volume."""

FIRST_LOGIT_GAIN, FIRST_WIDE_SHARE = 0.125, 0.3
"""What an untrained network adds to every logit per unit of first guess, and the share of the surroundings in it. Over
a branch's 16 channels, with channel weights of about a half, the gains sum to 1; the share was the best of six on
planted networks."""


class Views(NamedTuple):
    """What the attention looks at."""

    stacked: Tensor
    """The volume, its context and the volume smoothed, scaled to about equal spread: (batch, 3, X, Y, Z)."""
    first_guess: Tensor
    """Context and a share of the surroundings, in the volume's own units: (batch, 1, X, Y, Z)."""
    code: Tensor
    """(batch, size)."""


class ContextualSCAAE(nn.Module):
    """Spatial and channel-wise attention (equations 3 to 8) on a volume and on what its code says about it.

    It departs from the paper in four ways, all justified by the ablation table in the documentation:

    * The code comes first. Its 64 numbers and the volume that they stand for, the context, are fitted in closed form.
    * The attention path sees three channels: the volume, its context, and the volume smoothed.
    * Context and surroundings, summed and rectified, are added to the attention logits: branch 1 gets what is above a
      voxel's mean, branch 2 what is below.
    * The attention path is trained on simulated volumes, so that the networks themselves are right, not only a
      reconstruction.

    Parameters
    ----------
    preset : Preset
    mask : bool array, (X, Y, Z)
        The brain mask on the network's field.
    voxel_sizes : sequence of float
        In mm.
    """

    def __init__(self, preset: Preset, *, mask: np.ndarray, voxel_sizes: Sequence[float] | np.ndarray):
        super().__init__()
        self.preset = preset
        self.field = mask.shape
        self.register_buffer("mask", torch.from_numpy(np.ascontiguousarray(mask)), persistent=False)
        self.near = MaskedSmoothing(mask, voxel_sizes, CONTEXT_SIGMA)
        self.wide = MaskedSmoothing(mask, voxel_sizes, WIDE_SIGMA)
        self.context = Context(preset.context, int(mask.sum()))
        self.attention = AttentionPath(preset, inputs=3)
        self.logit_gain = nn.Parameter(torch.full((2 * preset.branch_features,), FIRST_LOGIT_GAIN))
        self.wide_share = nn.Parameter(torch.tensor(FIRST_WIDE_SHARE))

    def vectors(self, volumes: Tensor) -> Tensor:
        """Take the mask's voxels: (batch, 1, X, Y, Z) to (batch, n_voxels)."""
        return volumes[:, 0][:, self.mask]  # type: ignore[index]

    def place(self, vectors: Tensor) -> Tensor:
        """Put vectors (batch, n_voxels) back in space: (batch, 1, X, Y, Z)."""
        volumes = vectors.new_zeros((len(vectors), 1, *self.field))
        volumes[:, 0][:, self.mask] = vectors  # type: ignore[index]
        return volumes

    def views(self, volumes: Tensor, *, context: Tensor | None = None) -> Views:
        """Make what the attention looks at, of (batch, 1, X, Y, Z); `context` replaces the volumes' own."""
        with torch.autocast(volumes.device.type, enabled=False):
            volumes = volumes.to(self.context.encode.dtype)
            code, vectors = self.context(self.vectors(volumes))
            placed = self.place(vectors) if context is None else context
            surroundings = self.wide(volumes)
            stacked = torch.cat([volumes, CONTEXT_GAIN * placed, WIDE_GAIN * surroundings], dim=1)
        return Views(stacked, placed + self.wide_share * surroundings, code)

    def read(
        self,
        volumes: Tensor,
        *,
        attend: Callable[[Tensor], Attention] | None = None,
        context: Tensor | None = None,
    ) -> Reading:
        """Give networks, channel weights and code of (batch, 1, X, Y, Z).

        `attend` replaces the attention path, `context` (batch, 1, X, Y, Z) what the code says about the volumes.

        The first guess is part of every logit: its positive part in branch 1, its negative part in branch 2. Summed
        over a branch's channels (equations 7 and 8) it comes with the sum of their weighted gains.
        """
        views = self.views(volumes, context=context)
        attention = (attend or self.attention)(views.stacked)
        weights = attention.channel_weights.to(views.first_guess.dtype)
        share = (weights * self.logit_gain).unflatten(1, (2, -1)).sum(dim=2)
        poles = torch.cat([views.first_guess.clamp(min=0), (-views.first_guess).clamp(min=0)], dim=1)
        maps = combine(attention.logits, attention.channel_weights) + share[:, :, None, None, None] * poles
        return Reading(maps, attention.channel_weights, views.code)

    def forward(self, volumes: Tensor) -> Reading:
        """Read (batch, 1, X, Y, Z)."""
        return self.read(volumes)

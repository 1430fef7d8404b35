"""The attention path: stem, trunk, two branches of spatial attention, channel attention (equations 3 to 6)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..presets import Preset

__all__ = ["Attention", "AttentionPath", "ChannelAttention", "ParallelBlock", "SpatialAttention"]

BLOCK_KERNELS = (5, 3, 1)
STEM_KERNEL = 5
ATTENTION_KERNELS = (7, 3)


class Attention(NamedTuple):
    """What the attention path makes of a batch of volumes."""

    logits: Tensor
    """Spatial attention maps before the sigmoid, S in equation 7; the first half is branch 1's: (batch,
    2 * branch_features, X, Y, Z)."""
    channel_weights: Tensor
    """Channel attention CA (equation 6): (batch, 2 * branch_features)."""
    features: Tensor
    """The gated features (equation 5) before they are multiplied by `channel_weights`, shaped as `logits`."""


class ParallelBlock(nn.Module):
    """GELU(BN(conv5³ x) + BN(conv3³ x) + BN(conv1³ x) [+ x]): three kernels side by side.

    In evaluation mode the sum is one 5³ convolution, see `scaae_nipype.model.extraction.fused`.
    """

    def __init__(self, in_features: int, out_features: int, *, residual: bool):
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Conv3d(in_features, out_features, kernel, padding=kernel // 2) for kernel in BLOCK_KERNELS
        )
        self.norms = nn.ModuleList(nn.BatchNorm3d(out_features) for _ in BLOCK_KERNELS)
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in_features, X, Y, Z) to (batch, out_features, X, Y, Z)."""
        paths = [norm(convolution(x)) for convolution, norm in zip(self.convolutions, self.norms, strict=True)]
        first, *others = [x, *paths] if self.residual else paths
        return functional.gelu(sum(others, start=first))


class SpatialAttention(nn.Module):
    """Equation 3 without its sigmoid: conv7³, GELU, conv3³."""

    def __init__(self, features: int):
        super().__init__()
        wide, narrow = ATTENTION_KERNELS
        self.wide = nn.Conv3d(features, features, wide, padding=wide // 2)
        self.narrow = nn.Conv3d(features, features, narrow, padding=narrow // 2)

    def forward(self, x: Tensor) -> Tensor:
        """Give the attention logits of (batch, features, X, Y, Z), same shape."""
        return self.narrow(functional.gelu(self.wide(x)))


class ChannelAttention(nn.Module):
    """Equation 6: sigmoid(GELU(GELU(GAP(x) W₁) W₂) W₃), with biases as published."""

    def __init__(self, features: int, hidden: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(features, hidden),
            nn.GELU(),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Linear(hidden, features),
            nn.Sigmoid(),
        )

    def forward(self, pooled: Tensor) -> Tensor:
        """Give the weights (batch, features) of features pooled over space (batch, features)."""
        return self.layers(pooled)


class AttentionPath(nn.Module):
    """From volumes to attention maps and channel weights; `inputs` are the channels of what it sees, 1 in the paper."""

    def __init__(self, preset: Preset, *, inputs: int = 1):
        super().__init__()
        features, branch_features = preset.features, preset.branch_features
        self.stem = nn.Conv3d(inputs, features, STEM_KERNEL, padding=STEM_KERNEL // 2)
        self.trunk = nn.Sequential(
            *(ParallelBlock(features, features, residual=True) for _ in range(preset.trunk_blocks))
        )
        self.branches = nn.ModuleList(ParallelBlock(features, branch_features, residual=False) for _ in range(2))
        self.spatial = nn.ModuleList(SpatialAttention(branch_features) for _ in range(2))
        self.channel = ChannelAttention(2 * branch_features, preset.attention_hidden)

    def forward(self, volumes: Tensor) -> Attention:
        """Attend to (batch, inputs, X, Y, Z)."""
        trunk = self.trunk(functional.gelu(self.stem(volumes)))
        features = [branch(trunk) for branch in self.branches]
        logits = [spatial(branch) for spatial, branch in zip(self.spatial, features, strict=True)]
        gated = torch.cat([torch.sigmoid(s) * f for s, f in zip(logits, features, strict=True)], dim=1)
        return Attention(torch.cat(logits, dim=1), self.channel(gated.mean(dim=(2, 3, 4))), gated)

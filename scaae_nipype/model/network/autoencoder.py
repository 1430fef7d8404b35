"""The whole autoencoder: attention path, code, decoder."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..presets import Preset
from .attention import Attention, AttentionPath, ParallelBlock
from .reading import Reading, combine

__all__ = ["CODE_EDGE", "SCAAE", "Reconstruction"]

CODE_EDGE = 4
"""The code has 4³ = 64 numbers, each from its own position in space."""


class Reconstruction(NamedTuple):
    """What the autoencoder makes of a batch: the volumes again (batch, 1, X, Y, Z), and their code (batch, 64)."""

    volumes: Tensor
    code: Tensor
    attention: Attention


class PositionwiseCode(nn.Module):
    """An own small network for each of the 64 positions: features → features / 2 → features → 1 number."""

    def __init__(self, features: int):
        super().__init__()
        positions = CODE_EDGE**3
        widths = (features, features // 2, features, 1)
        self.weights = nn.ParameterList(
            nn.Parameter(torch.empty(positions, outputs, inputs)) for inputs, outputs in itertools.pairwise(widths)
        )
        self.biases = nn.ParameterList(nn.Parameter(torch.empty(positions, outputs)) for outputs in widths[1:])
        for weight, bias in zip(self.weights, self.biases, strict=True):
            bound = 1 / math.sqrt(weight.shape[2])  # as torch initialises nn.Linear
            nn.init.uniform_(weight, -bound, bound)
            nn.init.uniform_(bias, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, features, 4, 4, 4) to (batch, 64)."""
        x = x.flatten(2).transpose(1, 2)
        last = len(self.weights) - 1
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.einsum("bpi,poi->bpo", x, weight) + bias
            if layer < last:
                x = functional.gelu(x)
        return x[..., 0]


class CodeEncoder(nn.Module):
    """From attended features to the code: patches, blocks, halving, one number per position."""

    def __init__(self, features: int, *, field: tuple[int, int, int], patch: tuple[int, int, int], blocks: int):
        super().__init__()
        self.padding = _padding(field, patch)
        self.patches = nn.Conv3d(features, features, patch, stride=patch, groups=2)
        self.blocks = nn.Sequential(*(ParallelBlock(features, features, residual=True) for _ in range(blocks)))
        self.halve = nn.Conv3d(features, features, 2, stride=2)
        self.positions = PositionwiseCode(features)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, features, X, Y, Z) to (batch, 64)."""
        with full_precision(x):
            x = functional.gelu(self.patches(functional.pad(x.float(), self.padding)))
            return self.positions(functional.gelu(self.halve(self.blocks(x))))


@contextmanager
def full_precision(x: Tensor) -> Iterator[None]:
    """Compute in the weights' own precision, whatever autocast is around.

    On CPU, PyTorch 2.13 gives random numbers as the bf16 gradient of a 5³ kernel that is wider than the volume it
    slides over (4³ here). What happens on so few positions costs next to nothing in fp32.
    """
    with torch.autocast(x.device.type, enabled=False):
        yield


def _padding(field: tuple[int, int, int], patch: tuple[int, int, int]) -> tuple[int, ...]:
    """Zeros that centre a field in 8 patches along each axis, in torch's order (last axis first)."""
    before_after: list[int] = []
    for size, edge in zip(reversed(field), reversed(patch), strict=True):
        missing = 2 * CODE_EDGE * edge - size
        before_after += [missing // 2, missing - missing // 2]
    return tuple(before_after)


class _ConvBlock(nn.Module):
    """Three (conv 5³, GELU) in sequence, plus the input, then batch norm: the published decoder's block."""

    def __init__(self, features: int, *, depthwise: bool):
        super().__init__()
        groups = features if depthwise else 1
        self.convolutions = nn.ModuleList(nn.Conv3d(features, features, 5, padding=2, groups=groups) for _ in range(3))
        self.norm = nn.BatchNorm3d(features)

    def forward(self, x: Tensor) -> Tensor:
        path = x
        for convolution in self.convolutions:
            path = functional.gelu(convolution(path))
        return self.norm(path + x)


_SMALL_LAYERS = 6
"""Layers of the published decoder on 4³ and 8³ positions."""


class PublishedDecoder(nn.Module):
    """The published decoder: 4³ → 64³ in four doublings, most of its work at full size."""

    def __init__(self, features: int, *, padding: tuple[int, ...]):
        super().__init__()
        self.padding = padding
        self.stem = nn.Conv3d(1, features, 5, padding=2)
        layers: list[nn.Module] = []
        for _ in range(3):
            layers += [_ConvBlock(features, depthwise=True), nn.ConvTranspose3d(features, features, 2, stride=2)]
            layers += [nn.GELU()]
        layers += [_ConvBlock(features, depthwise=False), _ConvBlock(features, depthwise=False)]
        layers += [nn.ConvTranspose3d(features, features, 2, stride=2), nn.GELU()]
        layers += [_ConvBlock(features, depthwise=False)]
        self.layers = nn.Sequential(*layers)
        self.head = nn.Conv3d(features, 1, 1)

    def forward(self, code: Tensor) -> Tensor:
        """Map (batch, 64) to (batch, 1, X, Y, Z)."""
        with full_precision(code):
            x = functional.gelu(self.stem(code.float().reshape(-1, 1, CODE_EDGE, CODE_EDGE, CODE_EDGE)))
            x = self.layers[:_SMALL_LAYERS](x)
        x = self.head(self.layers[_SMALL_LAYERS:](x))
        return functional.pad(x, [-zeros for zeros in self.padding])


class LightDecoder(nn.Module):
    """A decoder that costs little beside the attention path: features on 8³ positions, then one patch for each.

    The paper calls the decoder "not critical".
    """

    def __init__(self, features: int, *, patch: tuple[int, int, int], padding: tuple[int, ...]):
        super().__init__()
        self.padding = padding
        half = max(features // 2, 1)
        self.layers = nn.Sequential(
            nn.Conv3d(1, features, 3, padding=1),
            nn.GELU(),
            ParallelBlock(features, features, residual=True),
            nn.ConvTranspose3d(features, features, 2, stride=2),
            nn.GELU(),
            ParallelBlock(features, features, residual=True),
            nn.ConvTranspose3d(features, half, patch, stride=patch),
            nn.GELU(),
            nn.Conv3d(half, half, 3, padding=1),
            nn.GELU(),
            nn.Conv3d(half, 1, 3, padding=1),
        )

    def forward(self, code: Tensor) -> Tensor:
        """Map (batch, 64) to (batch, 1, X, Y, Z)."""
        with full_precision(code):
            x = self.layers(code.float().reshape(-1, 1, CODE_EDGE, CODE_EDGE, CODE_EDGE))
        return functional.pad(x, [-zeros for zeros in self.padding])


class SCAAE(nn.Module):
    """Spatial and channel-wise attention autoencoder (arXiv 2205.09576).

    Parameters
    ----------
    preset : Preset
    field : tuple of int
        Voxels along each axis of the volumes it works on.

    Examples
    --------
    >>> from scaae_nipype.model.presets import PRESETS
    >>> network = SCAAE(PRESETS["tiny"], field=(35, 45, 36))
    >>> result = network(torch.zeros(2, 1, 35, 45, 36))
    >>> result.volumes.shape, result.code.shape
    (torch.Size([2, 1, 35, 45, 36]), torch.Size([2, 64]))
    """

    def __init__(self, preset: Preset, *, field: tuple[int, int, int]):
        super().__init__()
        self.preset = preset
        self.field = field
        self.attention = AttentionPath(preset)
        x, y, z = (preset.patch or math.ceil(size / (2 * CODE_EDGE)) for size in field)
        if any(2 * CODE_EDGE * edge < size for edge, size in zip((x, y, z), field, strict=True)):
            raise ValueError(f"Patches of {(x, y, z)} voxels do not cover a field of {field}.")
        features = 2 * preset.branch_features
        self.encoder = CodeEncoder(features, field=field, patch=(x, y, z), blocks=preset.code_blocks)
        self.decoder: nn.Module
        if preset.decoder == "published":
            self.decoder = PublishedDecoder(features, padding=self.encoder.padding)
        else:
            self.decoder = LightDecoder(features, patch=(x, y, z), padding=self.encoder.padding)

    def encode(self, attention: Attention) -> Tensor:
        """Give the code (batch, 64) of attended volumes."""
        weights = attention.channel_weights.to(attention.features.dtype)
        return self.encoder(attention.features * weights[:, :, None, None, None])

    def read(self, volumes: Tensor, *, attend: Callable[[Tensor], Attention] | None = None) -> Reading:
        """Give networks, channel weights and code of (batch, 1, X, Y, Z); `attend` replaces the attention path."""
        attention = (attend or self.attention)(volumes)
        return Reading(
            combine(attention.logits, attention.channel_weights), attention.channel_weights, self.encode(attention)
        )

    def forward(self, volumes: Tensor) -> Reconstruction:
        """Reconstruct (batch, 1, X, Y, Z)."""
        attention = self.attention(volumes)
        code = self.encode(attention)
        return Reconstruction(self.decoder(code), code, attention)

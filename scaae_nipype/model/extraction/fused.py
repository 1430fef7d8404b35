"""The attention path for inference: each block folded into one convolution, nothing computed in vain."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..network.attention import BLOCK_KERNELS, Attention, AttentionPath, ParallelBlock
from ..network.autoencoder import SCAAE
from ..network.contextual import ContextualSCAAE
from ..network.linear import LinearNetwork
from ..network.pointwise import PointwiseSCAAE
from ..network.reading import Reading

__all__ = ["FusedAttentionPath", "FusedReader", "fold", "with_fused_blocks"]

Network = TypeVar("Network", bound=nn.Module)


def fold(block: ParallelBlock) -> tuple[Tensor, Tensor]:
    """Fold a block's three convolutions, batch norms and identity into one kernel and bias, exactly.

    In evaluation mode a batch norm is a scale and a shift per channel. It goes into its convolution; the smaller
    kernels are padded to the largest and added; the identity is a kernel with a single one.

    Returns
    -------
    kernel : Tensor, (out_features, in_features, 5, 5, 5)
    bias : Tensor, (out_features,)
    """
    edge = max(BLOCK_KERNELS)
    kernel, bias = torch.tensor(0.0), torch.tensor(0.0)
    for convolution, norm in zip(block.convolutions, block.norms, strict=True):
        assert isinstance(convolution, nn.Conv3d) and isinstance(norm, nn.BatchNorm3d)
        assert convolution.bias is not None and norm.running_var is not None and norm.running_mean is not None
        gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        margin = (edge - convolution.kernel_size[0]) // 2
        kernel = kernel + functional.pad(convolution.weight * gain[:, None, None, None, None], [margin] * 6)
        bias = bias + (convolution.bias - norm.running_mean) * gain + norm.bias
    if block.residual:
        centre = edge // 2
        identity = torch.zeros_like(kernel)
        channels = torch.arange(kernel.shape[0])
        identity[channels, channels, centre, centre, centre] = 1
        kernel = kernel + identity
    return kernel.detach(), bias.detach()


class _FusedBlock(nn.Module):
    """A `ParallelBlock` in evaluation mode, as one convolution."""

    def __init__(self, block: ParallelBlock):
        super().__init__()
        kernel, bias = fold(block)
        self.kernel = nn.Parameter(kernel.contiguous(memory_format=torch.channels_last_3d), requires_grad=False)
        self.bias = nn.Parameter(bias, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in_features, X, Y, Z) to (batch, out_features, X, Y, Z)."""
        return _convolve_gelu(x, self.kernel, self.bias, 1)


def with_fused_blocks(module: Network) -> Network:
    """Copy a module in evaluation mode; its parallel blocks become one convolution each."""
    module = copy.deepcopy(module).eval()
    for name, child in list(module.named_modules()):
        if isinstance(child, ParallelBlock):
            module.set_submodule(name, _FusedBlock(child))
    return module


class FusedAttentionPath(nn.Module):
    """The same function as an `AttentionPath` in evaluation mode, at a fraction of its cost.

    Both branches run as one convolution where their kernels allow it (one input, stacked outputs), and as one grouped
    convolution after that. Tensors are ``channels_last_3d``. With the `dtype` ``bfloat16``, channel attention is still
    computed in ``float32``.
    """

    def __init__(self, path: AttentionPath, *, dtype: torch.dtype = torch.float32):
        super().__init__()
        self.dtype = dtype
        folded = [fold(block) for block in path.trunk]  # type: ignore[arg-type]
        branches = [fold(block) for block in path.branches]  # type: ignore[arg-type]
        assert path.stem.bias is not None
        convolutions = [(_neighbours_as_channels(path.stem.weight), path.stem.bias), *folded]
        (first, first_bias), (second, second_bias) = branches
        convolutions += [(torch.cat([first, second]), torch.cat([first_bias, second_bias]))]
        for name in ("wide", "narrow"):
            layers = [getattr(spatial, name) for spatial in path.spatial]
            convolutions += [(torch.cat([a.weight for a in layers]), torch.cat([a.bias for a in layers]))]
        self.groups = [1] * (len(convolutions) - 2) + [2, 2]
        self.kernels = nn.ParameterList()
        self.biases = nn.ParameterList()
        for kernel, bias in convolutions:
            kernel = kernel.detach().to(dtype).contiguous(memory_format=torch.channels_last_3d)
            self.kernels.append(nn.Parameter(kernel, requires_grad=False))
            self.biases.append(nn.Parameter(bias.detach().to(dtype), requires_grad=False))
        self.channel = path.channel

    def forward(self, volumes: Tensor) -> Attention:
        """Attend to (batch, inputs, X, Y, Z)."""
        stem, *layers, wide, narrow = zip(self.kernels, self.biases, self.groups, strict=True)
        edge = stem[0].shape[1] // volumes.shape[1]
        x = _convolve_gelu(_neighbours(volumes.to(self.dtype), edge), *stem)
        for layer in layers:
            x = _convolve_gelu(x, *layer)
        logits = _convolve(_convolve_gelu(x, *wide), *narrow)
        gated = torch.sigmoid(logits) * x
        parameter = next(self.channel.parameters())
        pooled = gated.mean(dim=(2, 3, 4), dtype=parameter.dtype)
        return Attention(logits, self.channel(pooled), gated)


def _neighbours_as_channels(kernel: Tensor) -> Tensor:
    """Take the last axis of a kernel for further channels: (out, in, x, y, z) to (out, in · z, x, y, 1)."""
    return kernel.permute(0, 1, 4, 2, 3).flatten(1, 2).unsqueeze(-1)


def _neighbours(volumes: Tensor, edge: int) -> Tensor:
    """Give every voxel its `edge` neighbours along the last axis as channels.

    Matrix units work on many channels at once: a convolution of few channels would leave them idle.
    """
    padded = functional.pad(volumes, [edge // 2] * 2)
    channels = padded.unfold(-1, edge, 1).permute(0, 1, 5, 2, 3, 4).flatten(1, 2)
    return channels.contiguous(memory_format=torch.channels_last_3d)


class FusedReader(nn.Module):
    """A network in evaluation mode, made ready to read volumes fast: what `read` gives, through the fused path.

    `dtype` is that of the attention path.
    """

    def __init__(
        self, network: SCAAE | ContextualSCAAE | PointwiseSCAAE | LinearNetwork, *, dtype: torch.dtype = torch.float32
    ):
        super().__init__()
        self.network = with_fused_blocks(network)
        self.attend: FusedAttentionPath | None = None
        if not isinstance(network, PointwiseSCAAE | LinearNetwork):  # which have no convolution to fold
            self.attend = FusedAttentionPath(network.attention, dtype=dtype).eval()

    def forward(self, volumes: Tensor, rested: Tensor | None = None, averaged: float = 1.0) -> Reading:
        """Read (batch, 1, X, Y, Z); a pointwise network also the same averaged with their neighbours in time."""
        if isinstance(self.network, PointwiseSCAAE):
            return self.network.read(volumes, rested, averaged)
        if isinstance(self.network, LinearNetwork):
            return self.network.read(volumes)
        return self.network.read(volumes, attend=self.attend)


def _padding(kernel: Tensor) -> list[int]:
    return [size // 2 for size in kernel.shape[2:]]


def _convolve(x: Tensor, kernel: Tensor, bias: Tensor, groups: int) -> Tensor:
    # In bf16, cuDNN gives a few wide groups to a kernel that leaves matrix units idle: they took 95 % of all time.
    if groups > 1 and x.is_cuda and x.dtype == torch.bfloat16:
        return _convolve_apart(x, kernel, bias, groups)
    return functional.conv3d(x, kernel, bias, padding=_padding(kernel), groups=groups)


def _convolve_apart(x: Tensor, kernel: Tensor, bias: Tensor, groups: int) -> Tensor:
    """Convolve in groups, one after the other."""
    parts = zip(x.chunk(groups, dim=1), kernel.chunk(groups), bias.chunk(groups), strict=True)
    return torch.cat([functional.conv3d(*part, padding=_padding(kernel)) for part in parts], dim=1)


def _convolve_gelu(x: Tensor, kernel: Tensor, bias: Tensor, groups: int) -> Tensor:
    """Convolve and apply GELU, in one pass over memory where oneDNN is at hand."""
    if _onednn_computes(x):
        unit = [1, 1, 1]
        return torch.ops.mkldnn._convolution_pointwise(
            x, kernel, bias, _padding(kernel), unit, unit, groups, "gelu", [], "none"
        )
    return functional.gelu(_convolve(x, kernel, bias, groups))


def _onednn_computes(x: Tensor) -> bool:
    if x.device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    return x.dtype == torch.float32 or (
        x.dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported()  # not on processors without AVX-512
    )

"""The attention path for inference: each block folded into one convolution, nothing computed in vain."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .attention import BLOCK_KERNELS, Attention, AttentionPath, ParallelBlock

__all__ = ["FusedAttentionPath", "fold"]


def fold(block: ParallelBlock) -> tuple[Tensor, Tensor]:
    """Fold a block's three convolutions, batch norms and identity into one kernel and bias, exactly.

    In evaluation mode a batch norm is a scale and a shift per channel. It goes into its convolution; the smaller
    kernels are padded to the largest and added; the identity is a kernel with a single one.

    Parameters
    ----------
    block : ParallelBlock
        In evaluation mode: its running statistics are used.

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


class FusedAttentionPath(nn.Module):
    """The same function as an `AttentionPath` in evaluation mode, at a fraction of its cost.

    Both branches run as one convolution where their kernels allow it (one input, stacked outputs), and as one grouped
    convolution after that. Tensors are ``channels_last_3d``.

    Parameters
    ----------
    path : AttentionPath
    dtype : torch.dtype
        ``float32``, ``bfloat16`` or ``float64``; channel attention is always computed in at least ``float32``.
    """

    def __init__(self, path: AttentionPath, *, dtype: torch.dtype = torch.float32):
        super().__init__()
        self.dtype = dtype
        folded = [fold(block) for block in path.trunk]  # type: ignore[arg-type]
        branches = [fold(block) for block in path.branches]  # type: ignore[arg-type]
        assert path.stem.bias is not None
        convolutions = [(path.stem.weight, path.stem.bias), *folded]
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
        """Attend to (batch, 1, X, Y, Z)."""
        x = volumes.to(self.dtype).contiguous(memory_format=torch.channels_last_3d)
        layers = list(zip(self.kernels, self.biases, self.groups, strict=True))
        for layer in layers[:-2]:
            x = functional.gelu(_convolve(x, *layer))
        features = x
        logits = _convolve(functional.gelu(_convolve(features, *layers[-2])), *layers[-1])
        gated = torch.sigmoid(logits) * features
        parameter = next(self.channel.parameters())
        pooled = gated.mean(dim=(2, 3, 4), dtype=parameter.dtype)
        return Attention(logits, self.channel(pooled), gated)


def _convolve(x: Tensor, kernel: Tensor, bias: Tensor, groups: int) -> Tensor:
    return functional.conv3d(x, kernel, bias, padding=kernel.shape[-1] // 2, groups=groups)

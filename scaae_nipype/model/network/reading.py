"""From attention to functional brain networks (equations 7 and 8)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

__all__ = ["Reading", "branch_signs", "combine"]


class Reading(NamedTuple):
    """What a network reads from a batch of volumes."""

    maps: Tensor
    """The FBN of each branch, before sign and equation 9: (batch, 2, X, Y, Z)."""
    channel_weights: Tensor
    """Equation 6: (batch, channels)."""
    code: Tensor
    """(batch, 64)."""


def combine(logits: Tensor, channel_weights: Tensor) -> Tensor:
    """Weigh each branch's attention maps by their channels: FBN = Σ_c CA_c · S_c (equations 7 and 8).

    Parameters
    ----------
    logits : Tensor, (batch, 2 * branch_features, X, Y, Z)
    channel_weights : Tensor, (batch, 2 * branch_features)

    Returns
    -------
    Tensor, (batch, 2, X, Y, Z)
        One signed map per volume and branch.

    >>> import torch
    >>> combine(torch.ones(1, 4, 2, 2, 2), torch.tensor([[1.0, 2, 3, 4]]))[0, :, 0, 0, 0]
    tensor([3., 7.])
    """
    batch, channels, *space = logits.shape
    own = torch.block_diag(*torch.ones(2, channels // 2, device=logits.device)).T  # which channel is whose branch's
    weights = channel_weights[:, :, None] * own.to(channel_weights.dtype)
    maps = logits.movedim(1, -1).reshape(batch, -1, channels).to(weights.dtype)  # no copy where channels come last
    return (maps @ weights).movedim(-1, 1).reshape(batch, 2, *space)


def branch_signs(maps: np.ndarray, volumes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find each branch's sign: that of its mean correlation with the volumes it comes from.

    Autoencoders are blind to the sign of their attention: a branch may mark what is low in a volume.

    Parameters
    ----------
    maps : float array, (n_volumes, 2, n_voxels)
        Signed maps of a probe set.
    volumes : float array, (n_volumes, n_voxels)

    Returns
    -------
    signs : int array, (2,)
        +1 or -1.
    agreement : float array, (2,)
        Share of volumes whose own correlation has that sign.
    """
    maps = maps - maps.mean(axis=-1, keepdims=True)
    volumes = volumes - volumes.mean(axis=-1, keepdims=True)
    norms = np.linalg.norm(maps, axis=-1) * np.linalg.norm(volumes, axis=-1)[:, None]
    products = np.einsum("tbv,tv->tb", maps, volumes)
    r = np.divide(products, norms, out=np.zeros_like(products), where=norms > 0)
    signs = np.where(r.mean(axis=0) < 0, -1, 1)
    return signs, (np.sign(r) == signs).mean(axis=0)

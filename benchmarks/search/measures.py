"""Losses of the training, and the scores by which validation compares: both in torch, over many volumes at once."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["loss", "scores"]

BINARY = 0.3
"""Share of a planted volume's maximum above which a voxel counts as planted."""

BELOW = 0.5
"""Weight of branch 2 in the loss."""


def loss(found: Tensor, above: Tensor, below: Tensor, *, amplitude: float) -> Tensor:
    """Give 1 - r of volumes of one run, and of all of them together, whose strengths then count as well.

    Parameters
    ----------
    found : Tensor, (n_volumes, 2, n_voxels)
    above, below : Tensor, (n_volumes, n_voxels)
        What branch 1 and branch 2 should mark.
    amplitude : float
        Share of the part that sees all volumes together, 0 to 1.
    """
    total = found.new_zeros(())
    for branch, (target, weight) in enumerate(((above, 1.0), (below, BELOW))):
        a, b = found[:, branch], target
        a, b = a - a.mean(dim=1, keepdim=True), b - b.mean(dim=1, keepdim=True)
        product, left, right = (a * b).sum(dim=1), a.square().sum(dim=1), b.square().sum(dim=1)
        seen = (right > 1e-3 * right.max().clamp(min=1e-12)).float()  # what has no shape cannot be matched
        shape = product / (left * right + 1e-8).sqrt()
        together = product.sum() / (left.sum() * right.sum() + 1e-8).sqrt()
        shape = (shape * seen).sum() / seen.sum().clamp(min=1)
        total = total + weight * (1 - (1 - amplitude) * shape - amplitude * together)
    return total / (1 + BELOW)


def scores(found: Tensor, truth: Tensor, courses: Tensor, maps: Tensor) -> dict[str, float]:
    """Score maps of single volumes against what was planted.

    Parameters
    ----------
    found, truth : Tensor, (n_volumes, n_voxels)
    courses : Tensor, (n_volumes, n_networks)
    maps : Tensor, (n_networks, n_voxels)

    Returns
    -------
    dict
        ``r``, ``average_precision`` and ``size_matched_iou`` (means over volumes), ``amplitude_r`` (mean over
        networks: what is found inside each, over its planted time course).
    """
    a, b = (x - x.mean(dim=1, keepdim=True) for x in (found, truth))
    r = (a * b).sum(dim=1) / (a.norm(dim=1) * b.norm(dim=1)).clamp(min=1e-9)
    planted = truth > BINARY * truth.amax(dim=1, keepdim=True)
    kept = planted.any(dim=1) & (truth.amax(dim=1) > 0)
    ranked = planted[kept].gather(1, found[kept].argsort(dim=1, descending=True)).float()
    hits = ranked.cumsum(dim=1)
    places = torch.arange(1, ranked.shape[1] + 1, device=ranked.device)
    size = ranked.sum(dim=1)
    precision = (ranked * hits / places).sum(dim=1) / size
    matched = hits.gather(1, (size.long() - 1)[:, None])[:, 0]
    inside = (maps > BINARY * maps.amax(dim=1, keepdim=True)).float()
    strength = found @ (inside / inside.sum(dim=1, keepdim=True).clamp(min=1)).T - found.mean(dim=1, keepdim=True)
    c, d = (x - x.mean(dim=0) for x in (strength, courses))
    amplitude = (c * d).sum(dim=0) / (c.norm(dim=0) * d.norm(dim=0)).clamp(min=1e-9)
    return {
        "r": float(r.mean()),
        "average_precision": float(precision.mean()),
        "size_matched_iou": float((matched / (2 * size - matched)).mean()),
        "amplitude_r": float(amplitude.mean()),
    }

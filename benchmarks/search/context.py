"""What other runs have in common: principal components with their reliability on left-out runs, and rotated parts.

The components are those of the other runs smoothed in space and in time (signal outlasts noise); they are found by
subspace iteration, so that memory and time grow with the number of volumes only linearly. The first of them are
rotated by independent component analysis, which finds networks if those are sparse and of one sign.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.search.head import Head, Smoothing

__all__ = ["Context", "fit_context", "ideal_context", "orthonormal", "temporal_smoothing"]

RANK, ROTATED = 32, 12
"""Principal components; how many of them are rotated."""

SIGMA, TIME_SIGMA = 6.0, 3.0
"""Smoothing of the other runs before the fit: in mm, in s."""

OVERSAMPLING, ITERATIONS, ROTATIONS = 12, 5, 30


@dataclass(frozen=True, eq=False)
class Context:
    """A fitted context.

    Parameters
    ----------
    maps : Tensor, (RANK, n_voxels)
        Orthonormal; zero rows where there were too few volumes.
    spread : Tensor, (RANK,)
        Standard deviation of the other runs' codes (volumes · maps), not smoothed in time.
    stability : Tensor, (RANK,)
        Variance on left-out runs over that on the runs that a component was fitted to, 0 to 1.
    persistence : Tensor, (RANK,)
        Correlation of a left-out run's codes with those about 3 s later, 0 to 1: noise is forgotten, signal is not.
    parts : Tensor, (ROTATED, n_voxels)
        Independent components, unit length, the long tail upwards.
    part_spread : Tensor, (ROTATED,)
    n_runs : int
    """

    maps: Tensor
    spread: Tensor
    stability: Tensor
    persistence: Tensor
    parts: Tensor
    part_spread: Tensor
    n_runs: int

    def to(self, device: torch.device | str) -> Context:
        names = ("maps", "spread", "stability", "persistence", "parts", "part_spread")
        return Context(**{name: getattr(self, name).to(device) for name in names}, n_runs=self.n_runs)


def temporal_smoothing(n_volumes: int, repetition_time: float, sigma: float = TIME_SIGMA) -> Tensor:
    """Give the matrix (n_volumes, n_volumes) of a Gaussian in time whose rows sum to 1; `sigma` in s."""
    seconds = torch.arange(n_volumes, dtype=torch.float64) * repetition_time
    weights = torch.exp(-((seconds[:, None] - seconds) ** 2) / (2 * sigma**2))
    return (weights / weights.sum(dim=1, keepdim=True)).float()


def fit_context(head: Head, runs: Tensor, *, repetition_time: float, time_sigma: float = TIME_SIGMA) -> Context:
    """Fit a context to prepared runs (n_runs, n_volumes, n_voxels); none gives an empty one."""
    if not len(runs):
        empty = torch.zeros(RANK, head.n_voxels, device=head.device)
        none = torch.zeros(RANK, device=head.device)
        return Context(empty, none, none, none, empty[:ROTATED], none[:ROTATED], 0)
    near = Smoothing(head, SIGMA)
    time = temporal_smoothing(runs.shape[1], repetition_time, time_sigma).to(head.device)
    maps, _ = _components(runs, time, near)
    halves = [runs[:, : runs.shape[1] // 2], runs[:, runs.shape[1] // 2 :]]
    folds = [runs[0::2], runs[1::2]] if len(runs) > 1 else halves
    lag = max(1, round(3 / repetition_time))
    measured = []
    for fitted, left_out in (folds, folds[::-1]):
        inner = temporal_smoothing(fitted.shape[1], repetition_time, time_sigma).to(head.device)
        outer = temporal_smoothing(left_out.shape[1], repetition_time, time_sigma).to(head.device)
        directions, power = _components(fitted, inner, near)
        codes = left_out @ near.adjoint(directions).T
        variance = (outer @ codes).square().mean(dim=(0, 1))
        later = (codes[:, lag:] * codes[:, :-lag]).mean(dim=(0, 1)) / codes.square().mean(dim=(0, 1)).clamp(min=1e-9)
        measured.append(torch.stack([(variance / power.clamp(min=1e-9)).clamp(0, 1), later.clamp(0, 1)]))
    stability, persistence = (sum(measured) / 2) * (maps.square().sum(dim=1) > 0)
    parts = _rotate(maps[:ROTATED])
    return Context(maps, _spread(runs, maps), stability, persistence, parts, _spread(runs, parts), len(runs))


def ideal_context(runs: Tensor, maps: Tensor, *, repetition_time: float) -> Context:
    """Give the context of an endless study, whose networks (n_networks, n_voxels) are known, at most RANK of them."""
    maps = maps[:RANK] / maps[:RANK].norm(dim=1, keepdim=True).clamp(min=1e-6)
    values, vectors = torch.linalg.eigh(maps.double() @ maps.double().T)
    directions = (vectors.T @ maps.double() / values.clamp(min=1e-9).sqrt()[:, None]).float().flip(0)
    directions = directions * (values.flip(0) > 1e-5)[:, None]
    lag = max(1, round(3 / repetition_time))
    found = torch.zeros(RANK, maps.shape[1], device=maps.device)
    found[: len(directions)] = directions
    codes = runs @ found.T
    later = (codes[:, lag:] * codes[:, :-lag]).mean(dim=(0, 1)) / codes.square().mean(dim=(0, 1)).clamp(min=1e-9)
    parts = torch.zeros(ROTATED, maps.shape[1], device=maps.device)
    parts[: min(ROTATED, len(maps))] = maps[:ROTATED]
    there = (found.square().sum(dim=1) > 0).float()
    return Context(found, _spread(runs, found), there, later.clamp(0, 1) * there, parts, _spread(runs, parts), 1000)


def orthonormal(rows: Tensor) -> Tensor:
    """Give rows (…, count, n) that span the same space, orthonormal (Cholesky's decomposition, double precision)."""
    rows = rows.double()
    gram = rows @ rows.mT
    scale = gram.diagonal(dim1=-2, dim2=-1).mean(dim=-1)[..., None, None]
    lower = torch.linalg.cholesky(gram + 1e-9 * scale * torch.eye(rows.shape[-2], device=rows.device))
    return torch.linalg.solve_triangular(lower, rows, upper=False).float()


def _spread(runs: Tensor, maps: Tensor) -> Tensor:
    return (runs @ maps.T).square().mean(dim=(0, 1)).sqrt()


def _components(runs: Tensor, time: Tensor, near: Smoothing) -> tuple[Tensor, Tensor]:
    """Give principal components of smoothed runs, (RANK, n_voxels) orthonormal, and their power, (RANK,)."""
    n_runs, n_volumes, n_voxels = runs.shape
    count = min(RANK + OVERSAMPLING, n_runs * n_volumes)
    generator = torch.Generator().manual_seed(0)
    start = torch.randn((count, n_runs * n_volumes), generator=generator).to(runs.device)
    twice = time.T @ time
    flat = runs.flatten(0, 1)

    sketch = orthonormal(near(start @ flat))
    for _ in range(ITERATIONS):
        codes = (flat @ near.adjoint(sketch).T).unflatten(0, (n_runs, n_volumes))
        sketch = orthonormal(near((twice @ codes).flatten(0, 1).T @ flat))
    codes = (time @ (flat @ near.adjoint(sketch).T).unflatten(0, (n_runs, n_volumes))).flatten(0, 1)
    values, vectors = torch.linalg.eigh((codes.T @ codes).double())
    keep = min(RANK, n_runs * n_volumes // 2)
    order = values.argsort(descending=True)[:keep]
    maps = torch.zeros(RANK, n_voxels, device=runs.device)
    power = torch.zeros(RANK, device=runs.device)
    maps[:keep] = vectors[:, order].T.float() @ sketch
    power[:keep] = (values[order] / (n_runs * n_volumes)).clamp(min=0).float()
    return maps, power


def _rotate(maps: Tensor) -> Tensor:
    """Turn orthonormal maps into independent ones (symmetric FastICA, tanh): unit length, the long tail upwards."""
    there = maps.square().sum(dim=1) > 0.5
    if not bool(there.any()):
        return maps.clone()
    white = maps[there]
    white = white - white.mean(dim=1, keepdim=True)
    # centred, the maps are no longer orthonormal
    values, vectors = torch.linalg.eigh((white @ white.T).double())
    whitening = (vectors / values.clamp(min=1e-9).sqrt() @ vectors.T).float() * math.sqrt(white.shape[1])
    white = whitening @ white
    rotation = torch.eye(len(white), device=maps.device)
    for _ in range(ROTATIONS):
        sources = torch.tanh(rotation @ white)
        rotation = _decorrelated(
            sources @ white.T / white.shape[1] - (1 - sources.square()).mean(dim=1, keepdim=True) * rotation
        )
    sources = rotation @ white
    upward = torch.where(sources.pow(3).mean(dim=1, keepdim=True) < 0, -1.0, 1.0)
    parts = torch.zeros_like(maps)
    mixed = upward * (rotation @ whitening) @ maps[there]
    parts[: len(mixed)] = mixed / mixed.norm(dim=1, keepdim=True).clamp(min=1e-9)
    return parts


def _decorrelated(rotation: Tensor) -> Tensor:
    """Give the nearest rotation, by Newton and Schulz (no decomposition, which a graphics card is slow at)."""
    rotation = rotation / rotation.norm()
    for _ in range(12):
        rotation = 1.5 * rotation - 0.5 * rotation @ rotation.T @ rotation
    return rotation

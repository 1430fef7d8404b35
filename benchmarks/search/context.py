"""What other runs have in common: principal components with their reliability on left-out runs, and rotated parts.

The components are those of the other runs smoothed in space and in time (signal outlasts noise); they are found by
subspace iteration, so that memory and time grow with the number of volumes only linearly. The first of them are
rotated by independent component analysis, rectified, and refined in turns (non-negative codes of the smoothed volumes,
non-negative maps): this finds networks if those are of one sign and sparse.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.search.head import Head, Smoothing

__all__ = [
    "Context",
    "fit_context",
    "ideal_context",
    "nonnegative",
    "orthonormal",
    "persistence_of",
    "temporal_smoothing",
]

RANK, ROTATED = 32, 12
"""Principal components; how many of them are rotated."""

SIGMA, TIME_SIGMA = 6.0, 3.0
"""Smoothing of the other runs before the fit: in mm, in s."""

OVERSAMPLING, ITERATIONS, ROTATIONS, REFINEMENTS = 12, 5, 30, 2

RIDGE = 0.05
"""Added to the products of parts of unit length with each other, so that parts which are alike can be told apart."""


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
        Non-negative maps of unit length.
    part_spread, part_persistence : Tensor, (ROTATED,)
        Of the volumes' products with the parts.
    n_runs : int
    agreement : Tensor, (ROTATED,)
        How like each other a part's closest ones are that were found in each half of the runs, 0 to 1.
    skewness : Tensor, (ROTATED,)
        Of the shares that parts of either half have in the other half's volumes, over time, the largest first: large
        where networks are seldom active, one at a time; 0 where all wander as a Gaussian process does.
    """

    maps: Tensor
    spread: Tensor
    stability: Tensor
    persistence: Tensor
    parts: Tensor
    part_spread: Tensor
    part_persistence: Tensor
    n_runs: int
    agreement: Tensor | None = None
    skewness: Tensor | None = None


def temporal_smoothing(n_volumes: int, repetition_time: float, sigma: float = TIME_SIGMA) -> Tensor:
    """Give the matrix (n_volumes, n_volumes) of a Gaussian in time whose rows sum to 1; `sigma` in s, 0 for none."""
    if not sigma:
        return torch.eye(n_volumes)
    seconds = torch.arange(n_volumes, dtype=torch.float64) * repetition_time
    weights = torch.exp(-((seconds[:, None] - seconds) ** 2) / (2 * sigma**2))
    return (weights / weights.sum(dim=1, keepdim=True)).float()


def fit_context(
    head: Head,
    runs: Tensor,
    *,
    repetition_time: float | Sequence[float],
    time_sigma: float = TIME_SIGMA,
    agreement: bool = True,
) -> Context:
    """Fit a context to prepared runs (n_runs, n_volumes, n_voxels); none gives an empty one.

    Parameters
    ----------
    head : Head
    runs : Tensor
    repetition_time : float or sequence of float
        In s, of all runs or of each.
    time_sigma : float
        Smoothing in time before the fit, in s.
    agreement : bool
        Measure it, and the skewness of shares; 0 otherwise.
    """
    if not len(runs):
        empty = torch.zeros(RANK, head.n_voxels, device=head.device)
        none = torch.zeros(RANK, device=head.device)
        return Context(
            empty, none, none, none, empty[:ROTATED], none[:ROTATED], none[:ROTATED], 0, *[none[:ROTATED]] * 2
        )
    near = Smoothing(head, SIGMA)
    seconds = [repetition_time] * len(runs) if isinstance(repetition_time, (int, float)) else list(repetition_time)
    maps, _, codes = _components(runs, _smoothings(runs, seconds, time_sigma), near)
    halves = [(runs[:, : runs.shape[1] // 2], seconds), (runs[:, runs.shape[1] // 2 :], seconds)]
    folds = [(runs[n::2], seconds[n::2]) for n in (0, 1)] if len(runs) > 1 else halves
    measured, found, skewed = [], [], []
    for (fitted, inner), (left_out, outer) in (folds, folds[::-1]):
        directions, power, inner_codes = _components(fitted, _smoothings(fitted, inner, time_sigma), near)
        if agreement:
            found.append(_refined(_rotate(directions[:ROTATED]), directions, inner_codes))
            calmed = _smoothings(left_out, outer, time_sigma) @ (left_out @ found[-1].T)
            skewed.append(_skewness(calmed, found[-1]))
        left_out_codes = left_out @ near.adjoint(directions).T
        variance = (_smoothings(left_out, outer, time_sigma) @ left_out_codes).square().mean(dim=(0, 1))
        later = persistence_of(left_out_codes, outer)
        measured.append(torch.stack([(variance / power.clamp(min=1e-9)).clamp(0, 1), later]))
    stability, persistence = (sum(measured) / 2) * (maps.square().sum(dim=1) > 0)
    parts = _refined(_rotate(maps[:ROTATED]), maps, codes)
    part_persistence = persistence_of(runs @ parts.T, seconds)
    spreads = _spread(runs, maps), _spread(runs, parts)
    agreed = _agreement(parts, found) if agreement else torch.zeros_like(part_persistence)
    skewness = torch.stack(skewed).mean(dim=0) if agreement else torch.zeros_like(part_persistence)
    return Context(
        maps, spreads[0], stability, persistence, parts, spreads[1], part_persistence, len(runs), agreed, skewness
    )


def _agreement(parts: Tensor, found: list[Tensor]) -> Tensor:
    """Compare the parts of either half that are closest to each part: cosine of what lies above their means."""
    parts, *found = (functional.normalize(one - one.mean(dim=1, keepdim=True), dim=1) for one in (parts, *found))
    closest = [one[(parts @ one.T).argmax(dim=1)] for one in found]
    return (closest[0] * closest[1]).sum(dim=1).clamp(min=0)


def _skewness(products: Tensor, parts: Tensor) -> Tensor:
    """Give the skewness over volumes of the least-squares shares of parts, the largest first: (n_parts,).

    Parameters
    ----------
    products : Tensor, (n_runs, n_volumes, n_parts)
        Of volumes smoothed in time with parts.
    parts : Tensor, (n_parts, n_voxels)
    """
    gram = parts @ parts.T + RIDGE * torch.eye(len(parts), device=parts.device)
    shares = torch.linalg.solve(gram, products.flatten(0, 1).T)
    shares = shares - shares.mean(dim=1, keepdim=True)
    skewness = shares.pow(3).mean(dim=1) / shares.square().mean(dim=1).clamp(min=1e-9).pow(1.5)
    return skewness.sort(descending=True).values


def _smoothings(runs: Tensor, seconds: Sequence[float], sigma: float) -> Tensor:
    """Give a Gaussian in time for every run, (n_runs or 1, n_volumes, n_volumes); one if all are alike."""
    alike = seconds[:1] if len(set(seconds)) == 1 else seconds
    return torch.stack([temporal_smoothing(runs.shape[1], one, sigma) for one in alike]).to(runs.device)


def ideal_context(runs: Tensor, maps: Tensor, *, repetition_time: float) -> Context:
    """Give the context of an endless study, whose networks (n_networks, n_voxels) are known, at most RANK of them."""
    maps = maps[:RANK] / maps[:RANK].norm(dim=1, keepdim=True).clamp(min=1e-6)
    values, vectors = torch.linalg.eigh(maps.double() @ maps.double().T)
    directions = (vectors.T @ maps.double() / values.clamp(min=1e-9).sqrt()[:, None]).float().flip(0)
    directions = directions * (values.flip(0) > 1e-5)[:, None]
    found = torch.zeros(RANK, maps.shape[1], device=maps.device)
    found[: len(directions)] = directions
    later = persistence_of(runs @ found.T, [repetition_time] * len(runs))
    parts = torch.zeros(ROTATED, maps.shape[1], device=maps.device)
    parts[: min(ROTATED, len(maps))] = maps[:ROTATED]
    there = (found.square().sum(dim=1) > 0).float()
    spreads = _spread(runs, found), _spread(runs, parts)
    part_persistence = persistence_of(runs @ parts.T, [repetition_time] * len(runs))
    return Context(
        found,
        spreads[0],
        there,
        later * there,
        parts,
        spreads[1],
        part_persistence,
        1000,
        (part_persistence > 0).float(),
        _skewness(_smoothings(runs, [repetition_time], TIME_SIGMA) @ (runs @ parts.T), parts),
    )


def orthonormal(rows: Tensor) -> Tensor:
    """Give rows (…, count, n) that span the same space, orthonormal (Cholesky's decomposition, double precision)."""
    rows = rows.double()
    gram = rows @ rows.mT
    scale = gram.diagonal(dim1=-2, dim2=-1).mean(dim=-1)[..., None, None]
    lower = torch.linalg.cholesky(gram + 1e-9 * scale * torch.eye(rows.shape[-2], device=rows.device))
    return torch.linalg.solve_triangular(lower, rows, upper=False).float()


def _spread(runs: Tensor, maps: Tensor) -> Tensor:
    return (runs @ maps.T).square().mean(dim=(0, 1)).sqrt()


def persistence_of(codes: Tensor, seconds: Sequence[float]) -> Tensor:
    """Correlate codes (n_runs, n_volumes, n) with those about 3 s later: (n,), 0 to 1.

    Parameters
    ----------
    codes : Tensor
    seconds : sequence of float
        Repetition time of each run.
    """
    together = torch.zeros_like(codes[0, 0])
    for lag in sorted({max(1, round(3 / one)) for one in seconds}):
        alike = [n for n, one in enumerate(seconds) if max(1, round(3 / one)) == lag]
        part = codes[alike] if len(alike) < len(codes) else codes
        together = together + (part[:, lag:] * part[:, :-lag]).mean(dim=1).sum(dim=0)
    return (together / len(codes) / codes.square().mean(dim=(0, 1)).clamp(min=1e-9)).clamp(0, 1)


def _components(runs: Tensor, time: Tensor, near: Smoothing) -> tuple[Tensor, Tensor, Tensor]:
    """Give principal components of smoothed runs.

    Returns
    -------
    maps : Tensor, (RANK, n_voxels)
        Orthonormal.
    power : Tensor, (RANK,)
    codes : Tensor, (n_runs * n_volumes, RANK)
        Of the smoothed volumes.
    """
    n_runs, n_volumes, n_voxels = runs.shape
    count = min(RANK + OVERSAMPLING, n_runs * n_volumes)
    generator = torch.Generator().manual_seed(0)
    start = torch.randn((count, n_runs * n_volumes), generator=generator).to(runs.device)
    twice = time.mT @ time
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
    turned = codes.new_zeros((len(codes), RANK))
    turned[:, :keep] = codes @ vectors[:, order].float()
    return maps, power, turned


def nonnegative(products: Tensor, parts: Tensor, n_iterations: int = 40) -> Tensor:
    """Solve non-negative least squares on products (n, n_parts) of volumes with parts, by accelerated projection."""
    gram = parts @ parts.T
    step = 1 / gram.abs().sum(dim=1).max().clamp(min=1e-6)
    shares = ahead = products.clamp(min=0) * step
    for number in range(n_iterations):
        new = (ahead - step * (ahead @ gram - products)).clamp(min=0)
        ahead = new + number / (number + 3) * (new - shares)
        shares = new
    return shares


def _refined(parts: Tensor, maps: Tensor, codes: Tensor) -> Tensor:
    """Rectify parts, and refine them in turns with their non-negative shares in the smoothed volumes.

    Volumes are z-scored, so that shares count from an offset of each part of its own. All happens in the space of the
    components (`maps`), but that parts are rectified.
    """
    parts = functional.normalize(parts.clamp(min=0), dim=1)
    for _ in range(REFINEMENTS):
        shares = nonnegative(codes @ (maps @ parts.T), parts)
        shares = torch.cat([shares, torch.ones_like(shares[:, :1])], dim=1)
        gram = (shares.T @ shares).double()
        gram += (1e-3 * gram.diagonal().mean() + 1e-9) * torch.eye(len(gram), device=gram.device)
        renewed = torch.linalg.solve(gram, (shares.T @ codes).double())[:-1].float() @ maps
        parts = functional.normalize(renewed.clamp(min=0), dim=1)
    return parts


def _rotate(maps: Tensor) -> Tensor:
    """Turn orthonormal maps into independent ones (symmetric FastICA, tanh): unit length, the long tail upwards."""
    there = maps.square().sum(dim=1) > 0.5
    parts = torch.zeros_like(maps)
    if not bool(there.any()):
        return parts
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
    mixed = upward * (rotation @ whitening) @ maps[there]
    parts[: len(mixed)] = mixed / mixed.norm(dim=1, keepdim=True).clamp(min=1e-9)
    return parts


def _decorrelated(rotation: Tensor) -> Tensor:
    """Give the nearest rotation. A decomposition this small is quicker outside a graphics card."""
    left, _, right = torch.linalg.svd(rotation.double().cpu())
    return (left @ right).float().to(rotation.device)

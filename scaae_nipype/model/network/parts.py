"""What the volumes of many runs have in common, as components and as non-negative parts, and how far to trust them.

Components are the leading ones of the runs smoothed in space and in time: signal outlasts noise. The first of them,
rotated by independent component analysis, rectified and refined in turns with their non-negative shares in the volumes,
are the parts: networks, if these are sparse and of one sign. How components and parts hold in runs left out, and how
like each other the parts of two halves of the runs are, says how far they can be trusted. How skewed the shares of
parts are over time in runs left out says what of them there is to expect in one volume: where networks are active one
at a time, shares are small most of the time and seldom large; where all wander as a Gaussian process does, they are as
often low as high, and the best there is is linear.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ...errors import ModelError

__all__ = [
    "ASSUMED_SECONDS",
    "FEWEST_VOLUMES",
    "PARTS",
    "RANK",
    "FittedParts",
    "fit_parts",
    "nonnegative",
    "sparse_components",
    "stretches",
]

RANK, PARTS = 32, 12
"""Components; how many of them are rotated to parts."""

MOST_VOLUMES, SHORTEST = 3000, 50
"""Volumes that a fit uses, and how many in a row it takes of a run at least: bounds memory and time."""

FEWEST_VOLUMES = 8
"""Volumes below which nothing can be fitted, parts or components."""

TIME_SIGMA, LAG = 3.0, 3.0
"""Standard deviation of the smoothing in time, and about how much later a code should still be like itself, in s."""

ASSUMED_SECONDS = 2.0
"""Repetition time in s that is taken where none is known."""

OVERSAMPLING, ITERATIONS, ROTATIONS, REFINEMENTS = 12, 5, 30, 2

RIDGE = 0.05
"""Added to the products of parts of unit length with each other, so that parts which are alike can be told apart."""

BANDS = ((0, 4), (4, 8), (8, 16), (16, 32))

Smooth = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class FittedParts:
    """What was fitted."""

    maps: Tensor
    """Orthonormal components, the strongest first; zero rows where there were too few volumes: (RANK, n_voxels)."""
    stability: Tensor
    """Variance in runs left out over that in the runs that a component was fitted to, 0 to 1: (RANK,)."""
    persistence: Tensor
    """Correlation of a left-out run's codes with those about `LAG` s later, 0 to 1: (RANK,)."""
    parts: Tensor
    """Non-negative, of unit length: (PARTS, n_voxels)."""
    part_persistence: Tensor
    """The same of the volumes' products with the parts: (PARTS,)."""
    agreement: Tensor
    """Cosine of the parts of either half of the runs that are closest to each part, 0 to 1: (PARTS,)."""
    skewness: Tensor
    """Of the shares that the parts of either half have in the other half's volumes, over time, mean of both halves, the
    largest first; 0 for a Gaussian process: (PARTS,)."""
    n_runs: int
    n_volumes: int
    repetition_time: float
    """In s: the geometric mean over the volumes."""
    duration: float
    """In s: of all runs together, what was censored left out."""

    @property
    def about(self) -> Tensor:
        """All of it as the numbers that the attention knows: (18,)."""
        there = self.maps.square().sum(dim=1).mean()
        others = there.new_tensor([math.log1p(self.n_runs) / 3, math.log(self.repetition_time), float(self.n_runs > 0)])
        bands = [_in_bands(self.stability), _in_bands(self.persistence), there[None], others]
        return torch.cat([*bands, _in_thirds(self.part_persistence), _in_thirds(self.agreement)])


def stretches(lengths: Sequence[int]) -> list[tuple[int, slice]]:
    """Choose what of many runs is used: all, or so many volumes in a row of runs spread evenly over all of them.

    >>> stretches([100, 120])
    [(0, slice(0, 100, None)), (1, slice(0, 120, None))]
    >>> chosen = stretches([150] * 1000)
    >>> len(chosen), chosen[1]
    (60, (17, slice(0, 50, None)))
    """
    if sum(lengths) <= MOST_VOLUMES:
        return [(number, slice(0, length)) for number, length in enumerate(lengths)]
    length = max(SHORTEST, MOST_VOLUMES // len(lengths))
    count = min(len(lengths), max(1, MOST_VOLUMES // length))
    numbers = torch.linspace(0, len(lengths) - 1, count).round().int().tolist()
    return [(number, slice(0, min(length, lengths[number]))) for number in numbers]


def repetition_time(seconds: np.ndarray) -> float | None:
    """Give the shortest time between two volumes of a run in s; None of fewer than two.

    >>> repetition_time(np.array([0, 0.7, 2.8, 3.5])), repetition_time(np.array([4.0]))
    (0.7, None)
    """
    return round(float(np.diff(seconds).min()), 6) if len(seconds) > 1 else None


def fit_parts(runs: Sequence[Tensor], seconds: Sequence[np.ndarray], *, smooth: Smooth, adjoint: Smooth) -> FittedParts:
    """Fit components and parts to the volumes of runs; the same runs give the same result.

    Parameters
    ----------
    runs : sequence of float Tensor, (T_run, n_voxels)
        Kept volumes of each run in the order of time, z-scored.
    seconds : sequence of float array, (T_run,)
        When they were taken, rising. Runs may have different repetition times, and gaps where volumes were censored.
    smooth, adjoint : callable
        A linear smoothing of volumes (n, n_voxels), and its transpose.

    Raises
    ------
    ModelError
        If there are too few volumes.
    """
    total = sum(map(len, runs))
    if total < FEWEST_VOLUMES:
        raise ModelError(f"Only {total} volumes are kept; a context needs {FEWEST_VOLUMES} (censor less, or add runs).")
    fit = _Fit(smooth, adjoint)
    maps, _, codes = fit.components(runs, seconds)
    folds = [_Part(runs[start::2], seconds[start::2]) for start in (0, 1)] if len(runs) > 1 else _halves(runs, seconds)
    measured, found, skewed = [], [], []
    for fitted, left_out in (folds, folds[::-1]):
        directions, power, inner_codes = fit.components(*fitted)
        found.append(_refined(_rotate(directions[:PARTS]), directions, inner_codes))
        skewed.append(_skewness(left_out, found[-1]))
        turned = adjoint(directions).T
        left_out_codes = [run @ turned for run in left_out.runs]
        calmed = [calm(one, when) for one, when in zip(left_out_codes, left_out.seconds, strict=True)]
        variance = torch.cat(calmed).square().mean(dim=0)
        stable = (variance / power.clamp(min=1e-9)).clamp(0, 1)
        measured.append(torch.stack([stable, _persistence(left_out_codes, left_out.seconds)]))
    stability, persistence = sum(measured) / 2 * (maps.square().sum(dim=1) > 0)
    parts = _refined(_rotate(maps[:PARTS]), maps, codes)
    lasting = _persistence([run @ parts.T for run in runs], seconds)
    agreement = _agreement(parts, found)
    return FittedParts(
        maps,
        stability,
        persistence,
        parts,
        lasting,
        agreement,
        torch.stack(skewed).mean(dim=0),
        len(runs),
        total,
        _mean_repetition_time(seconds),
        sum(len(when) * (repetition_time(when) or 0.0) for when in seconds),
    )


class _Part(NamedTuple):
    """Some of the runs, and when their volumes were taken."""

    runs: Sequence[Tensor]
    seconds: Sequence[np.ndarray]


def _halves(runs: Sequence[Tensor], seconds: Sequence[np.ndarray]) -> list[_Part]:
    """Give the first halves of runs, and their second halves."""
    first, second = [slice(0, len(run) // 2) for run in runs], [slice(len(run) // 2, None) for run in runs]
    return [
        _Part(
            [run[part] for run, part in zip(runs, parts, strict=True)],
            [when[part] for when, part in zip(seconds, parts, strict=True)],
        )
        for parts in (first, second)
    ]


def _mean_repetition_time(seconds: Sequence[np.ndarray]) -> float:
    known = [(time, len(when)) for when in seconds if (time := repetition_time(when))]
    if not known:
        return ASSUMED_SECONDS
    total = sum(n * math.log(time) for time, n in known)
    return round(math.exp(total / sum(n for _, n in known)), 6)


def calm(rows: Tensor, seconds: np.ndarray, *, transposed: bool = False) -> Tensor:
    """Smooth rows (T, n) of these times by a Gaussian whose weights sum to 1, or apply the transpose of that."""
    places = torch.as_tensor(seconds, dtype=torch.float64)
    weights = torch.exp(-((places[:, None] - places) ** 2) / (2 * TIME_SIGMA**2))
    weights = (weights / weights.sum(dim=1, keepdim=True)).to(rows)
    return (weights.T if transposed else weights) @ rows


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


class _Fit:
    """Principal components of runs smoothed in space and time, by subspace iteration: time grows with the volumes."""

    def __init__(self, smooth: Smooth, adjoint: Smooth):
        self.smooth, self.adjoint = smooth, adjoint

    def components(self, runs: Sequence[Tensor], seconds: Sequence[np.ndarray]) -> tuple[Tensor, Tensor, Tensor]:
        """Give components (RANK, n_voxels), their power (RANK,) and codes of the smoothed volumes (n_volumes, RANK)."""
        flat, lengths = torch.cat(list(runs)), [len(run) for run in runs]
        n = len(flat)

        def in_time(rows: Tensor, *, transposed: bool = False) -> Tensor:
            parts = zip(rows.split(lengths), seconds, strict=True)
            return torch.cat([calm(part, when, transposed=transposed) for part, when in parts])

        start = torch.randn((min(RANK + OVERSAMPLING, n), n), generator=torch.Generator().manual_seed(0))
        sketch = _orthonormal(self.smooth(start @ flat))
        for _ in range(ITERATIONS):
            codes = in_time(in_time(flat @ self.adjoint(sketch).T), transposed=True)
            sketch = _orthonormal(self.smooth(codes.T @ flat))
        codes = in_time(flat @ self.adjoint(sketch).T)
        values, vectors = torch.linalg.eigh((codes.T @ codes).double())
        keep = max(1, min(RANK, n // 2))
        order = values.argsort(descending=True)[:keep]
        missing = RANK - len(order)
        turned = vectors[:, order].float()
        maps = functional.pad(turned.T @ sketch, (0, 0, 0, missing))
        power = functional.pad((values[order] / n).clamp(min=0).float(), (0, missing))
        return maps, power, functional.pad(codes @ turned, (0, missing))


def _orthonormal(rows: Tensor) -> Tensor:
    """Give rows that span the same space, orthonormal (Cholesky's decomposition, in double precision)."""
    rows = rows.double()
    gram = rows @ rows.T
    ridge = 1e-9 * gram.diagonal().mean().clamp(min=1e-12) * torch.eye(len(rows), dtype=torch.float64)
    return torch.linalg.solve_triangular(torch.linalg.cholesky(gram + ridge), rows, upper=False).float()


def _persistence(codes: Sequence[Tensor], seconds: Sequence[np.ndarray]) -> Tensor:
    """Correlate codes (T, n) of runs with those about `LAG` s later: (n,), 0 to 1."""
    power = torch.cat(list(codes)).square().mean(dim=0).clamp(min=1e-9)
    pairs = [(one, *_apart(when)) for one, when in zip(codes, seconds, strict=True)]
    products = [(one[later] * one[earlier]).mean(dim=0) for one, earlier, later in pairs if len(earlier)]
    return (sum(products) / len(products) / power).clamp(0, 1) if products else torch.zeros_like(power)


def _apart(seconds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give the numbers of volumes that have another one as many volumes later as make about `LAG` s, and of that.

    >>> _apart(np.array([0.0, 2, 4, 8, 10, 12]))
    (array([0, 2, 3]), array([2, 3, 5]))
    """
    step = repetition_time(seconds)
    if step is None:
        return np.empty(0, dtype=int), np.empty(0, dtype=int)
    frames = np.round((seconds - seconds[0]) / step).astype(int)
    wanted = frames + max(1, round(LAG / step))
    places = np.searchsorted(frames, wanted).clip(max=len(frames) - 1)
    there = np.flatnonzero(frames[places] == wanted)
    return there, places[there]


def _agreement(parts: Tensor, found: Sequence[Tensor]) -> Tensor:
    """Compare the parts of either half that are closest to each part, by what lies above their means."""
    parts, *halves = (functional.normalize(one - one.mean(dim=1, keepdim=True), dim=1) for one in (parts, *found))
    one, other = (half[(parts @ half.T).argmax(dim=1)] for half in halves)
    return (one * other).sum(dim=1).clamp(min=0)


def _skewness(left_out: _Part, parts: Tensor) -> Tensor:
    """Give the skewness over volumes, calmed, of the least-squares shares of parts, the largest first: (n_parts,)."""
    gram = parts @ parts.T + RIDGE * torch.eye(len(parts))
    calmed = [calm(run @ parts.T, when) for run, when in zip(left_out.runs, left_out.seconds, strict=True)]
    shares = torch.linalg.solve(gram, torch.cat(calmed).T)
    shares = shares - shares.mean(dim=1, keepdim=True)
    skewness = shares.pow(3).mean(dim=1) / shares.square().mean(dim=1).clamp(min=1e-9).pow(1.5)
    return skewness.sort(descending=True).values


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
        gram += (1e-3 * gram.diagonal().mean() + 1e-9) * torch.eye(len(gram))
        renewed = torch.linalg.solve(gram, (shares.T @ codes).double())[:-1].float() @ maps
        parts = functional.normalize(renewed.clamp(min=0), dim=1)
    return parts


def sparse_components(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Rotate orthonormal maps to independent ones, keep the weights that stand out, and give what finds their shares.

    A weight is kept if it is among the largest in size, as many of all maps as one map has voxels.

    Returns
    -------
    components : Tensor, (n_maps, n_voxels)
    unmixing : Tensor, (n_maps, n_voxels)
        Whose products with volumes are the least-squares shares of the components.
    """
    rotated = _rotate(maps)
    components = rotated * (rotated.abs() >= np.quantile(rotated.abs().numpy(), 1 - 1 / len(rotated)))
    return components, torch.linalg.pinv(components.double()).T.float().contiguous()


def _rotate(maps: Tensor) -> Tensor:
    """Turn orthonormal maps into independent ones (symmetric FastICA, tanh): unit length, the long tail upwards."""
    there = maps.square().sum(dim=1) > 0.5
    parts = torch.zeros_like(maps)
    if not bool(there.any()):
        return parts
    white = maps[there]
    white = white - white.mean(dim=1, keepdim=True)  # no longer orthonormal
    values, vectors = torch.linalg.eigh((white @ white.T).double())
    whitening = (vectors / values.clamp(min=1e-9).sqrt() @ vectors.T).float() * math.sqrt(white.shape[1])
    white = whitening @ white
    rotation = torch.eye(len(white))
    for _ in range(ROTATIONS):
        sources = torch.tanh(rotation @ white)
        turned = sources @ white.T / white.shape[1] - (1 - sources.square()).mean(dim=1, keepdim=True) * rotation
        left, _, right = torch.linalg.svd(turned.double())
        rotation = (left @ right).float()
    upward = torch.where((rotation @ white).pow(3).mean(dim=1, keepdim=True) < 0, -1.0, 1.0)
    mixed = upward * (rotation @ whitening) @ maps[there]
    parts[: len(mixed)] = functional.normalize(mixed, dim=1)
    return parts


def _in_bands(values: Tensor) -> Tensor:
    return torch.stack([values[a:b].mean() for a, b in BANDS])


def _in_thirds(values: Tensor) -> Tensor:
    """Give the means of the highest, middle and lowest third."""
    return torch.stack([part.mean() for part in values.sort(descending=True).values.tensor_split(3)])

"""What rivals are built of: components, patterns and states of a group of runs (a group may be the scored run alone).

Everything is computed from products of volumes with each other, once for a group and a width of smoothing.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, cast

import numpy as np
from scipy.linalg import eigh
from scipy.special import logsumexp
from sklearn.cluster import KMeans
from sklearn.decomposition import FastICA

from benchmarks.judge.runs import Group, smooth_time

__all__ = [
    "MOST_COMPONENTS",
    "Components",
    "Patterns",
    "States",
    "components",
    "independent_maps",
    "patterns",
    "states",
]

MOST_COMPONENTS = 64

PATTERN_COMPONENTS = 24
"""Principal components in which k-means clusters volumes: the rest is mostly noise."""

STICKY = 0.9
"""Probability of staying, at the start of fitting a hidden Markov model."""

ITERATIONS = 25

Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class Components:
    """Principal components of a group's smoothed volumes.

    Attributes
    ----------
    maps : float32 array, (n_components, n_voxels)
        Orthonormal, the strongest first.
    variance : float array, (n_components,)
        Mean square of the volumes along each.
    noise : float
        Mean square along each direction that is left: the noise of probabilistic PCA.
    slope : float array, (n_components,)
        How well the number along a component predicts the mean of the two neighbours in time, in runs left out.
    scores : float32 array, (n_volumes of all runs, n_components)
    """

    maps: np.ndarray
    variance: np.ndarray
    noise: float
    slope: np.ndarray
    scores: np.ndarray

    @property
    def predictive_rank(self) -> int:
        """The rank at which the plain projection predicts neighbours in left-out runs with the least squared error."""
        gain = np.cumsum((2 * self.slope - 1) * self.variance)
        return int(np.argmax(gain)) + 1

    @property
    def shrinkage(self) -> np.ndarray:
        """Probabilistic PCA's: the share of the variance along each component that is not noise."""
        return np.clip(1 - self.noise / self.variance, 0, 1)


def components(group: Group, sigma: float) -> Components:
    """Decompose a group's volumes, smoothed in space by `sigma` mm."""
    return _kept(group, ("components", sigma), lambda: _components(group, sigma))


def _kept(group: Group, key: tuple[object, ...], make: Callable[[], Result]) -> Result:
    """Make what a group lacks; what is kept under a key is always of the kind that its maker gives."""
    if key not in group.kept:
        group.kept[key] = make()
    return cast(Result, group.kept[key])


def _components(group: Group, sigma: float) -> Components:
    volumes = group.smoothed(sigma)
    products = (volumes @ volumes.T).astype(np.float64)
    values, vectors = _leading(products)
    maps = ((vectors / np.sqrt(values)).T @ volumes).astype(np.float32)
    rank = min(sum(length - 1 for length in group.lengths), group.grid.n_voxels)
    left = max(rank - len(values), 1)
    noise = max(np.trace(products) - values.sum(), 0) / left / len(volumes)
    slope = _slopes(products, group.lengths, len(values))
    return Components(maps, values / len(volumes), float(noise), slope, (vectors * np.sqrt(values)).astype(np.float32))


def _leading(products: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give the largest eigenvalues, descending, and their vectors; none that is only rounding."""
    n = len(products)
    count = min(MOST_COMPONENTS, n)
    values, vectors = eigh(products, subset_by_index=(n - count, n - 1), check_finite=False)
    usable = values > 1e-6 * values[-1]
    return values[usable][::-1], vectors[:, usable][:, ::-1]


def _slopes(products: np.ndarray, lengths: tuple[int, ...], count: int) -> np.ndarray:
    """Predict the mean of a volume's neighbours from the volume, along components of the runs that are not its own."""
    run = np.repeat(np.arange(len(lengths)), lengths)
    fold = run % 2 if len(lengths) > 1 else (np.arange(len(run)) >= len(run) // 2).astype(int)
    inner = np.flatnonzero((run[2:] == run[:-2]) & (fold[2:] == fold[:-2])) + 1
    found = []
    for part in (0, 1):
        values, vectors = _leading(products[np.ix_(fold != part, fold != part)])
        scores = products[:, fold != part] @ (vectors / np.sqrt(values))
        at = inner[fold[inner] == part]
        predicted, actual = scores[at], (scores[at - 1] + scores[at + 1]) / 2
        power = (predicted**2).sum(axis=0)
        slope = np.divide((predicted * actual).sum(axis=0), power, out=np.zeros(len(power)), where=power > 0)
        found.append(np.pad(np.clip(slope, 0, 1), (0, max(count - len(slope), 0)))[:count])
    return np.mean(found, axis=0)


def independent_maps(group: Group, sigma: float, count: int) -> np.ndarray:
    """Give a group's spatially independent maps, thresholded as nilearn does: (n_maps, n_voxels), longer tail positive.

    Each voxel's weight is kept if it is among the largest, as many of all maps as one map has voxels.
    """

    def make() -> np.ndarray:
        found = components(group, sigma).maps[:count]
        ica = FastICA(len(found), whiten="unit-variance", random_state=0, max_iter=300)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # noise components need not converge
            maps = ica.fit_transform(found.T.astype(np.float64)).T
        maps *= np.where(maps.max(axis=1) < -maps.min(axis=1), -1, 1)[:, None]
        return np.where(np.abs(maps) >= np.quantile(np.abs(maps), 1 - 1 / len(maps)), maps, 0).astype(np.float32)

    return _kept(group, ("independent", sigma, count), make)


@dataclass(frozen=True, eq=False)
class Patterns:
    """Centroids of co-activation patterns, in the group's leading principal components.

    Attributes
    ----------
    basis : float32 array, (n_components, n_voxels)
    centres : float32 array, (n_patterns, n_components)
    spread : float
        Mean squared distance of a volume from its centre, per component.
    """

    basis: np.ndarray
    centres: np.ndarray
    spread: float

    def memberships(self, scores: np.ndarray, spread: float | None = None) -> np.ndarray:
        """Give how probably each row of scores belongs to each pattern, (n_volumes, n_patterns)."""
        distance = ((scores[:, None] - self.centres) ** 2).sum(axis=2)
        log = -distance / (2 * (spread or self.spread))
        return np.exp(log - logsumexp(log, axis=1, keepdims=True)).astype(np.float32)


def patterns(group: Group, sigma: float, count: int, sigma_time: float = 0.0) -> Patterns:
    """Cluster a group's volumes, smoothed in space (mm) and in time (s), by k-means."""

    def make() -> Patterns:
        found = components(group, sigma)
        basis, scores = found.maps[:PATTERN_COMPONENTS], found.scores[:, :PATTERN_COMPONENTS]
        parts = np.split(scores, np.cumsum(group.lengths)[:-1])
        pairs = zip(parts, group.runs, strict=True)
        scores = np.concatenate([smooth_time(part, sigma_time, run.repetition_time) for part, run in pairs])
        fitted = KMeans(min(count, len(scores)), n_init=3, random_state=0).fit(scores)
        spread = fitted.inertia_ / scores.size
        return Patterns(basis, fitted.cluster_centers_.astype(np.float32), float(max(spread, 1e-12)))

    return _kept(group, ("patterns", sigma, count, sigma_time), make)


@dataclass(frozen=True, eq=False)
class States:
    """A hidden Markov model: one Gaussian per state, all of one spherical covariance, in principal components.

    Attributes
    ----------
    basis : float32 array, (n_components, n_voxels)
    centres : float array, (n_states, n_components)
    variance : float
    transitions : float array, (n_states, n_states)
    first : float array, (n_states,)
    """

    basis: np.ndarray
    centres: np.ndarray
    variance: float
    transitions: np.ndarray
    first: np.ndarray

    def posterior(self, scores: np.ndarray) -> np.ndarray:
        """Give the probability of every state at every volume of a run, (n_volumes, n_states)."""
        return _expectation(self, scores[None], np.ones((1, len(scores)), dtype=bool))[0][0]


def states(group: Group, sigma: float, count: int, rank: int) -> States:
    """Fit a hidden Markov model to a group's runs by expectation maximisation, from k-means."""
    return _kept(group, ("states", sigma, count, rank), lambda: _states(group, sigma, count, rank))


def _states(group: Group, sigma: float, count: int, rank: int) -> States:
    found = components(group, sigma)
    scores = found.scores[:, :rank].astype(np.float64)
    longest = max(group.lengths)
    padded = np.zeros((len(group.lengths), longest, scores.shape[1]))
    there = np.arange(longest) < np.array(group.lengths)[:, None]
    padded[there] = scores
    start = KMeans(min(count, len(scores)), n_init=3, random_state=0).fit(scores)
    count = len(start.cluster_centers_)
    moves = np.full((count, count), (1 - STICKY) / max(count - 1, 1))
    np.fill_diagonal(moves, STICKY)
    model = States(
        found.maps[:rank], start.cluster_centers_, start.inertia_ / scores.size, moves, np.full(count, 1 / count)
    )
    for _ in range(ITERATIONS):
        posterior, pairs = _expectation(model, padded, there)
        weights = posterior[there]
        total = weights.sum(axis=0)
        centres = (weights.T @ scores) / np.maximum(total, 1e-9)[:, None]
        squares = (scores**2).sum() - (total[:, None] * centres**2).sum()
        pairs += 1.0 / count  # one pseudo-count a row
        first = posterior[:, 0].sum(axis=0) + 1.0 / count
        model = States(
            model.basis,
            centres,
            max(squares / scores.size, 1e-12),
            pairs / pairs.sum(axis=1, keepdims=True),
            first / first.sum(),
        )
    return model


def _expectation(model: States, scores: np.ndarray, there: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Run forwards and backwards over padded runs (n_runs, n_volumes, n_components); padding says nothing.

    Returns
    -------
    posterior : float array, (n_runs, n_volumes, n_states)
    pairs : float array, (n_states, n_states)
        Expected number of moves.
    """
    distance = ((scores[:, :, None] - model.centres) ** 2).sum(axis=3)
    log = np.where(there[..., None], -distance / (2 * model.variance), 0.0)
    likelihood = np.exp(log - log.max(axis=2, keepdims=True)) + 1e-300
    forward, backward = np.empty_like(likelihood), np.ones_like(likelihood)
    before = np.broadcast_to(model.first, likelihood[:, 0].shape)
    for t in range(likelihood.shape[1]):
        joint = before * likelihood[:, t]
        forward[:, t] = joint / joint.sum(axis=1, keepdims=True)
        before = forward[:, t] @ model.transitions
    pairs = np.zeros_like(model.transitions)
    for t in range(likelihood.shape[1] - 2, -1, -1):
        ahead = likelihood[:, t + 1] * backward[:, t + 1]
        step = ahead @ model.transitions.T
        backward[:, t] = step / step.sum(axis=1, keepdims=True)
        both = forward[:, t, :, None] * model.transitions * ahead[:, None, :]
        both /= both.sum(axis=(1, 2), keepdims=True)
        pairs += both[there[:, t + 1]].sum(axis=0)
    posterior = forward * backward
    return posterior / posterior.sum(axis=2, keepdims=True), pairs

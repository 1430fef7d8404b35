"""The methods that a sceptic would try, in classes by what they may see.

A rival is fitted to other people's runs (or ignores them) and then gives a map for every volume of a run. Its settings
are tried on tuning seeds only; a table shows, for each score, the setting that was chosen for it there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import numpy as np

from benchmarks.judge.decompositions import components, independent_maps, patterns, states
from benchmarks.judge.runs import Group, Run, smooth_space, smooth_time
from scaae_nipype.evaluation.baselines.filters import rectified_squared

__all__ = ["CLASSES", "RIVALS", "Apply", "Rival", "Sees", "grid_of", "label_of", "marchenko_pastur_rank", "rivals_of"]

Sees = Literal["volume", "others", "run", "all"]

CLASSES: Mapping[Sees, str] = {
    "volume": "A: the volume alone",
    "others": "B: the volume and other people's runs",
    "run": "C: the run itself, its neighbours in time included",
    "all": "D: all of it",
}

Apply = Callable[[Run], np.ndarray]
"""From a run to maps, (n_volumes, n_voxels) or (n_branches, n_volumes, n_voxels)."""

Setting = Mapping[str, Any]


@dataclass(frozen=True)
class Rival:
    """A method, what it may see, and the settings it may be given.

    Parameters
    ----------
    name : str
    sees : {"volume", "others", "run", "all"}
    make : callable
        From other people's runs and a setting's values to what is applied to a run.
    settings : tuple of mapping
    """

    name: str
    sees: Sees
    make: Callable[..., Apply]
    settings: tuple[Setting, ...] = ({},)

    @property
    def needs_others(self) -> bool:
        return self.sees in ("others", "all")

    def fit(self, others: Group | None = None, **setting: Any) -> Apply:
        """Fit to other people's runs; rivals that may not see them are given nothing.

        Raises
        ------
        ValueError
            If the rival needs other people's runs and there are none.
        """
        if not self.needs_others:
            return self.make(**setting)
        if others is None:
            raise ValueError(f"The rival {self.name!r} is fitted to other people's runs; none are given.")
        return self.make(others, **setting)


def grid_of(**values: tuple[Any, ...]) -> tuple[Setting, ...]:
    """Give all combinations of settings.

    >>> grid_of(sigma=(4, 8), rank=(2,))
    ({'sigma': 4, 'rank': 2}, {'sigma': 8, 'rank': 2})
    """
    return tuple(dict(zip(values, chosen, strict=True)) for chosen in product(*values.values()))


def label_of(setting: Setting) -> str:
    """Name a setting: the key under which its scores are kept.

    >>> label_of({"sigma": 8, "rank": 12})
    'sigma=8 rank=12'
    """
    return " ".join(
        f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}" for name, value in setting.items()
    )


# The volume alone


def _volume() -> Apply:
    return lambda run: run.volumes


def _smoothed(sigma: float) -> Apply:
    return lambda run: run.smoothed(sigma)


def _squared(sigma: float) -> Apply:
    """Branch 1 is what is above the mean, branch 2 what is below."""
    return lambda run: np.stack([rectified_squared(sign * run.smoothed(sigma)) for sign in (1, -1)])


# Projections on components of other runs, or of the run itself


def _on_components(others: Group, sigma: float, rank: int | str, shrink: str = "no", sigma_time: float = 0.0) -> Apply:
    """Project on principal components; `rank` may be ``predicted``, `shrink` ``noise`` or ``slope``."""
    found = components(others, sigma)
    count = found.predictive_rank if rank == "predicted" else int(rank)
    basis = found.maps[:count]
    weights = {"no": np.ones(len(basis)), "noise": found.shrinkage[:count], "slope": found.slope[:count]}[shrink]

    def apply(run: Run) -> np.ndarray:
        scores = smooth_time(run.volumes @ basis.T, sigma_time, run.repetition_time)
        return (scores * weights.astype(np.float32)) @ basis

    return apply


def _alone(make: Callable[..., Apply]) -> Callable[..., Apply]:
    """Let a method of a group be fitted to the very run that it is applied to."""

    def of_run(**setting: Any) -> Apply:
        return lambda run: make(run.alone, **setting)(run)

    return of_run


def _on_independent(others: Group, sigma: float, count: int, sigma_time: float = 0.0) -> Apply:
    maps = independent_maps(others, sigma, count)
    inverse = np.linalg.pinv(maps.astype(np.float64)).astype(np.float32)
    return lambda run: smooth_time(run.volumes @ inverse, sigma_time, run.repetition_time) @ maps


def _dual_regression(others: Group, sigma: float, count: int, sigma_run: float, sigma_time: float = 0.0) -> Apply:
    """Group maps give the run's time courses, these give the run's own maps, and both its volumes."""
    inverse = np.linalg.pinv(independent_maps(others, sigma, count).astype(np.float64)).astype(np.float32)

    def apply(run: Run) -> np.ndarray:
        courses = run.volumes @ inverse
        own = np.linalg.lstsq(courses, run.smoothed(sigma_run), rcond=None)[0]
        return smooth_time(courses, sigma_time, run.repetition_time) @ own

    return apply


# Patterns and states


def _nearest_pattern(
    others: Group, sigma: float, count: int, assign: str, sigma_time: float = 0.0, fit_time: float = 0.0
) -> Apply:
    """Give each volume its co-activation pattern: the nearest, the nearest at its strength, or all by probability."""
    found = patterns(others, sigma, count, fit_time)
    maps = found.centres @ found.basis
    lengths = np.maximum((found.centres**2).sum(axis=1), 1e-12)

    def apply(run: Run) -> np.ndarray:
        scores = smooth_time(run.volumes @ found.basis.T, sigma_time, run.repetition_time)
        membership = found.memberships(scores)
        if assign == "probable":
            return membership @ maps
        nearest = membership.argmax(axis=1)
        strength = np.ones(len(run), dtype=np.float32)
        if assign == "scaled":
            strength = np.maximum((scores * found.centres[nearest]).sum(axis=1) / lengths[nearest], 0)
        return strength[:, None] * maps[nearest]

    return apply


def _hidden_states(others: Group, sigma: float, count: int, rank: int, assign: str = "probable") -> Apply:
    """Mean maps of a hidden Markov model's states, by their probability, optionally at the volume's strength."""
    found = states(others, sigma, count, rank)
    centres = found.centres.astype(np.float32)

    def apply(run: Run) -> np.ndarray:
        scores = run.volumes @ found.basis.T
        mean = found.posterior(scores).astype(np.float32) @ centres
        if assign == "scaled":
            mean *= np.maximum((scores * mean).sum(axis=1) / np.maximum((mean**2).sum(axis=1), 1e-12), 0)[:, None]
        return mean @ found.basis

    return apply


# The run itself


def _in_time(sigma: float, sigma_time: float) -> Apply:
    return lambda run: smooth_time(run.smoothed(sigma), sigma_time, run.repetition_time)


def _denoised(sigma: float) -> Apply:
    """Keep what stands out from noise by the law of Marčenko and Pastur, then smooth."""

    def apply(run: Run) -> np.ndarray:
        values, vectors = np.linalg.eigh((run.volumes @ run.volumes.T).astype(np.float64))
        rank = marchenko_pastur_rank(values[::-1], run.volumes.shape[1])
        leading = vectors[:, ::-1][:, :rank].astype(np.float32)
        kept = leading @ (leading.T @ run.volumes)
        return smooth_space(kept, run.grid, sigma) if sigma else kept

    return apply


def marchenko_pastur_rank(squares: np.ndarray, n_voxels: int) -> int:
    """Count components above noise (Veraart et al. 2016, doi 10.1016/j.neuroimage.2016.08.016).

    Parameters
    ----------
    squares : float array, (n_volumes,)
        Squared singular values of the run, descending. Directions that cleaning has emptied do not count.
    n_voxels : int
    """
    values = squares[squares > 1e-8 * squares[0]] / n_voxels
    for rank in range(len(values) - 1):
        rest = values[rank:]
        if rest.mean() >= (rest[0] - rest[-1]) / (4 * np.sqrt(len(rest) / n_voxels)):
            return rank
    return len(values)


def _similar_volumes(sigma: float, width: float) -> Apply:
    """Average volumes that look alike (non-local means), wherever in the run they are.

    Distances are those of smoothed volumes; `width` is in the typical distance of two volumes of the run.
    """

    def apply(run: Run) -> np.ndarray:
        seen = run.smoothed(sigma)
        return _weights_of_similar(seen @ seen.T, width) @ seen

    return apply


def _similar_in_components(others: Group, sigma: float, rank: int, width: float) -> Apply:
    basis = components(others, sigma).maps[:rank]

    def apply(run: Run) -> np.ndarray:
        scores = run.volumes @ basis.T
        return (_weights_of_similar(scores @ scores.T, width) @ scores) @ basis

    return apply


def _weights_of_similar(products: np.ndarray, width: float) -> np.ndarray:
    """Give how much each volume (column) counts for each (row): rows sum to 1; a volume counts as its nearest does."""
    squares = np.diag(products)
    distance = np.maximum(squares[:, None] + squares - 2 * products, 0)
    apart = ~np.eye(len(products), dtype=bool)
    typical = np.median(distance[apart])
    np.fill_diagonal(distance, np.where(apart, distance, np.inf).min(axis=1))
    nearest = distance.min(axis=1, keepdims=True)
    weights = np.exp(-(distance - nearest) / (2 * width**2 * typical))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


SIGMAS = (4.0, 8.0, 12.0, 16.0, 20.0)
RANKS = (4, 6, 8, 12, 16, 24)
SECONDS = (1.5, 3.0, 4.5)

RIVALS: tuple[Rival, ...] = (
    Rival("volume", "volume", _volume),
    Rival("smoothed", "volume", _smoothed, grid_of(sigma=SIGMAS)),
    Rival("smoothed, squared", "volume", _squared, grid_of(sigma=SIGMAS)),
    Rival("group PCA", "others", _on_components, grid_of(sigma=(4.0, 8.0), rank=RANKS)),
    Rival("group PCA, rank predicted", "others", _on_components, grid_of(sigma=(4.0, 8.0), rank=("predicted",))),
    Rival(
        "probabilistic PCA",
        "others",
        _on_components,
        grid_of(sigma=(4.0, 8.0), rank=(12, 24, 64), shrink=("noise", "slope")),
    ),
    Rival("group ICA", "others", _on_independent, grid_of(sigma=(4.0, 8.0), count=(10, 20))),
    Rival(
        "co-activation patterns",
        "others",
        _nearest_pattern,
        grid_of(sigma=(8.0,), count=(8, 12, 20), assign=("nearest", "scaled", "probable")),
    ),
    Rival("smoothed in time", "run", _in_time, grid_of(sigma=(0.0,), sigma_time=SECONDS)),
    Rival("smoothed in space and time", "run", _in_time, grid_of(sigma=(8.0, 12.0, 16.0), sigma_time=SECONDS)),
    Rival("own PCA", "run", _alone(_on_components), grid_of(sigma=(4.0, 8.0, 12.0), rank=(4, 6, 8, 12, 20))),
    Rival(
        "own PCA and time",
        "run",
        _alone(_on_components),
        grid_of(sigma=(8.0,), rank=(4, 6, 8, 12), sigma_time=SECONDS),
    ),
    Rival("own ICA", "run", _alone(_on_independent), grid_of(sigma=(4.0, 8.0), count=(10, 20))),
    Rival("Marčenko–Pastur denoising", "run", _denoised, grid_of(sigma=(0.0, 8.0, 12.0))),
    Rival("non-local means", "run", _similar_volumes, grid_of(sigma=(8.0, 12.0), width=(0.2, 0.3, 0.45))),
    Rival(
        "own co-activation patterns",
        "run",
        _alone(_nearest_pattern),
        grid_of(sigma=(8.0,), count=(8, 12), assign=("nearest", "scaled"), sigma_time=(0.0, 3.0)),
    ),
    Rival(
        "own hidden states",
        "run",
        _alone(_hidden_states),
        grid_of(sigma=(8.0,), count=(8, 12), rank=(8,), assign=("probable", "scaled")),
    ),
    Rival(
        "group PCA and time",
        "all",
        _on_components,
        grid_of(sigma=(8.0,), rank=(6, 8, 12, 24), sigma_time=SECONDS),
    ),
    Rival(
        "probabilistic PCA and time",
        "all",
        _on_components,
        grid_of(sigma=(8.0,), rank=(24, 64), shrink=("slope",), sigma_time=SECONDS),
    ),
    Rival(
        "co-activation patterns and time",
        "all",
        _nearest_pattern,
        grid_of(sigma=(8.0,), count=(12, 20), assign=("scaled", "probable"), sigma_time=SECONDS),
    ),
    Rival(
        "dual regression", "all", _dual_regression, grid_of(sigma=(8.0,), count=(10, 20), sigma_run=(4.0, 8.0, 12.0))
    ),
    Rival(
        "dual regression and time",
        "all",
        _dual_regression,
        grid_of(sigma=(8.0,), count=(10, 20), sigma_run=(8.0,), sigma_time=SECONDS),
    ),
    Rival(
        "non-local means in group PCA",
        "all",
        _similar_in_components,
        grid_of(sigma=(8.0,), rank=(8, 16), width=(0.2, 0.3, 0.45)),
    ),
    Rival(
        "hidden states",
        "all",
        _hidden_states,
        grid_of(sigma=(8.0,), count=(9, 12), rank=(8, 16), assign=("probable", "scaled")),
    ),
)


def rivals_of(*classes: Sees) -> Iterator[Rival]:
    """Give the rivals of some classes, all without an argument."""
    return (rival for rival in RIVALS if not classes or rival.sees in classes)

"""Did the noise of a run change while it was measured? What else than dynamics can make a temporal null reject.

Surrogates of a run have the same variance, smoothness and covariance from the first volume to the last. A run whose
noise changes (head motion sets in, a participant falls asleep, an amplifier drifts) is told from them as one with
states is. So variance, smoothness and motion are followed over the run, each as one number per volume, and asked
whether its level changed.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from scipy.signal import lfilter
from scipy.stats import norm, rankdata

from ..errors import InputError
from ..grid import Grid
from .scores.smoothness import volume_smoothness

__all__ = [
    "LEAST_VOLUMES",
    "Change",
    "Stationarity",
    "about_noise",
    "change_of_level",
    "check_stationarity",
    "volume_variance",
]

LEAST_VOLUMES = 20
"""With fewer, the noise of a run is not followed, and the run has no surrogates."""

N_DRAWS, WARM_UP, TRIMMED = 999, 100, 0.05
"""Series behind a p; values before them that are thrown away; share at both ends where no change is looked for."""


class Change(NamedTuple):
    """Where the level of a series changed most, and whether that is more than chance.

    Attributes
    ----------
    p : float
    position : int
        Of the first value after the likeliest change.
    before, after : float
        Median on both sides, in the unit of the series.
    """

    p: float
    position: int
    before: float
    after: float


class Stationarity(NamedTuple):
    """What `check_stationarity` found; positions are numbers of volumes of the run.

    Attributes
    ----------
    variance : Change
        Of the variance over voxels.
    smoothness : Change
        Of the smoothness, as FWHM in mm.
    motion : Change or None
        Of framewise displacement, in its unit; None where it is not known.
    p : float
        The smallest of the two or three, times their number (Bonferroni), at most 1.
    """

    variance: Change
    smoothness: Change
    motion: Change | None
    p: float


def check_stationarity(
    volumes: np.ndarray, kept: np.ndarray, grid: Grid, framewise_displacement: np.ndarray | None = None
) -> Stationarity:
    """Ask whether variance, smoothness and motion keep their level over a run.

    Parameters
    ----------
    volumes : float array, (n_kept, n_voxels)
        The kept volumes of a prepared run, over the mask of `grid`.
    kept : bool array, (n_volumes,)
    grid : Grid
        Whose mask is the run's region.
    framewise_displacement : float array, (n_volumes,), optional
        In mm. Censored volumes count, what lies before the first and after the last kept volume does not; NaN is left
        out.

    Raises
    ------
    InputError
        If fewer than 20 volumes are kept, or volumes do not belong to `kept` or `grid`.

    Notes
    -----
    See `change_of_level` for the test and what it does not see. p holds on stationary noise with a correlation in time
    of 0 to 0.8. In simulated stationary runs that were cleaned of motion, `p` is at most 0.05 in 5 %, in 15 % with
    censored volumes; of smoothness alone in 15 to 20 %, probably because cleaning is not stationary
    (``benchmarks/calibration.py``).

    Examples
    --------
    >>> grid = Grid(np.diag([4.0, 4, 4, 1]), np.ones((6, 6, 6), bool))
    >>> noise = np.random.default_rng(0).standard_normal((90, grid.n_voxels))
    >>> noise[60:] *= 2**0.5
    >>> found = check_stationarity(noise, np.ones(90, bool), grid)
    >>> found.variance.p <= 0.01, abs(found.variance.position - 60) < 3, found.motion is None
    (True, True, True)
    """
    kept = np.asarray(kept, dtype=bool)
    numbers = np.flatnonzero(kept)
    if volumes.shape != (len(numbers), grid.n_voxels):
        raise InputError(f"Volumes are {volumes.shape}, but {(len(numbers), grid.n_voxels)} are kept in the region.")
    if len(numbers) < LEAST_VOLUMES:
        raise InputError(f"only {len(numbers)} volumes are kept; {LEAST_VOLUMES} are needed to follow their noise.")
    variance = _of_run(change_of_level(volume_variance(volumes)), numbers)
    smoothness = _of_run(change_of_level(volume_smoothness(volumes, grid)), numbers)
    motion = None
    if framewise_displacement is not None:
        moved = np.asarray(framewise_displacement, dtype=float)
        known = np.flatnonzero(np.isfinite(moved[: numbers[-1] + 1]))
        known = known[known >= numbers[0]]
        motion = _of_run(change_of_level(moved[known]), known) if len(known) >= LEAST_VOLUMES else None
    tested = [change.p for change in (variance, smoothness, motion) if change is not None]
    return Stationarity(variance, smoothness, motion, min(1.0, len(tested) * min(tested)))


def about_noise(found: Stationarity) -> dict[str, Any]:
    """Say in an account what was found: P over all, and of each measure P, the likeliest volume, levels around it.

    >>> change = Change(0.001, 60, 1.0, 2.0)
    >>> about_noise(Stationarity(change, change._replace(p=0.5), None, 0.002))["Variance"]
    {'P': 0.001, 'Volume': 60, 'Before': 1.0, 'After': 2.0}
    """

    def told(change: Change | None) -> dict[str, Any] | None:
        if change is None:
            return None
        levels = (round(level, 4) for level in (change.before, change.after))
        return dict(zip(("P", "Volume", "Before", "After"), (change.p, change.position, *levels), strict=True))

    parts = {"Variance": found.variance, "Smoothness": found.smoothness, "Motion": found.motion}
    return {"P": found.p, **{name: told(change) for name, change in parts.items()}}


def volume_variance(volumes: np.ndarray) -> np.ndarray:
    """Give the variance over voxels of every volume, (n_volumes,).

    >>> volume_variance(np.array([[1.0, -1.0], [3.0, 5.0]]))
    array([1., 1.])
    """
    return np.array([np.var(volume, dtype=np.float64) for volume in volumes])


def change_of_level(series: np.ndarray) -> Change:
    """Test whether the level of a series changes at one time, somewhere.

    Parameters
    ----------
    series : float array, (n,)
        In the order of time; gaps are passed over.

    Raises
    ------
    InputError
        If it is shorter than 20, or holds values that are not finite.

    Notes
    -----
    The self-normalised change-point test of Shao and Zhang (2010, doi 10.1198/jasa.2010.tm10103), of normal scores of
    the ranks: the means before and after a time are compared on the scale of what the partial sums on either side do,
    so that neither the noise's spectrum nor its distribution has to be known. p is from 999 series as long, first-order
    autoregressive with the correlation of this one as its differences over one and two steps tell it, which a change of
    level leaves alone. It is made for a level that changes once, or drifts; one that changes and comes back is missed.

    >>> change = change_of_level(np.random.default_rng(0).standard_normal(80) + 3 * (np.arange(80) >= 50))
    >>> change.p, abs(change.position - 50) < 8
    (0.001, True)
    """
    series = np.asarray(series, dtype=float)
    if len(series) < LEAST_VOLUMES or np.isnan(series).any():
        raise InputError(f"A series needs {LEAST_VOLUMES} values, none missing, to look for a change in.")
    scores = norm.ppf((rankdata(series) - 0.5) / len(series))
    largest = _contrasts(scores[None])[0].max()
    drawn = _largest_by_chance(len(series), round(_correlation_of_steps(scores), 1))
    position = _likeliest(scores)
    return Change(
        float((1 + (drawn >= largest).sum()) / (1 + len(drawn))),
        position,
        float(np.median(series[:position])),
        float(np.median(series[position:])),
    )


def _of_run(change: Change, numbers: np.ndarray) -> Change:
    return change._replace(position=int(numbers[change.position]))


def _likeliest(series: np.ndarray) -> int:
    """Find the time whose sides differ most, by least squares: more exact than the largest contrast, without a p."""
    n = len(series)
    least, sides = _least(n), np.arange(1, n)
    explained = (series - series.mean()).cumsum()[:-1] ** 2 / (sides * (n - sides))
    return int(explained[least - 1 : n - least].argmax()) + least


def _least(n: int) -> int:
    return max(2, int(TRIMMED * n))


def _correlation_of_steps(series: np.ndarray) -> float:
    """Estimate the correlation of neighbours by differences: 1 + r is the ratio of those over two and over one step."""
    one, two = (np.mean((series[lag:] - series[:-lag]) ** 2) for lag in (1, 2))
    return float(np.clip(two / one - 1, 0, 0.9)) if one > 0 else 0.0


@lru_cache(maxsize=32)
def _largest_by_chance(n: int, correlation: float) -> np.ndarray:
    noise = np.random.default_rng((n, round(10 * correlation))).standard_normal((N_DRAWS, n + WARM_UP))
    drawn = lfilter([1.0], [1.0, -correlation], noise, axis=1)[:, WARM_UP:]
    return _contrasts(norm.ppf((rankdata(drawn, axis=1) - 0.5) / n)).max(axis=1)


def _contrasts(series: np.ndarray) -> np.ndarray:
    """Compare what is before and after every time, on the series' own scale: (n_series, n) to (n_series, n - 1).

    The k-th is that of the first k + 1 values with the rest; 0 near the ends, where one side says nothing.
    """
    series = series - series.mean(axis=1, keepdims=True)
    n = series.shape[1]
    scale = _sums_within(series)[:, :-1] + _sums_within(series[:, ::-1])[:, -2::-1]
    sums = series.cumsum(axis=1)[:, :-1]
    contrast = np.divide(n * sums**2, scale, out=np.zeros_like(sums), where=scale > 1e-9)
    least = _least(n)
    contrast[:, : least - 1] = contrast[:, n - least :] = 0
    return contrast


def _sums_within(series: np.ndarray) -> np.ndarray:
    """Sum, for every k, the squared partial sums of the first k values about their own mean: (n_series, n)."""
    steps = np.arange(1.0, series.shape[1] + 1)
    sums = series.cumsum(axis=1)
    slope = sums / steps
    return (sums**2).cumsum(axis=1) - 2 * slope * (steps * sums).cumsum(axis=1) + slope**2 * (steps**2).cumsum()

"""Clean the time series of a run: one matrix, because everything before the z-score is linear in time.

Order of operations (nilearn 0.14's, after Lindquist et al. 2019, doi 10.1002/hbm.24528, recommendation 2):

1. Dummy volumes, and censored volumes at either end, are cut off.
2. Censored volumes in between are interpolated by a cubic spline over the kept ones, in signals and regressors.
3. The linear trend goes, in signals and regressors.
4. Butterworth filter (order 5, forward and backward), of signals and regressors, so that regression cannot bring back
   what the filter took out.
5. Censored volumes are removed.
6. The z-scored regressors are regressed out.
7. Every voxel is z-scored over the kept volumes.

Without a filter nothing needs interpolation, and the linear trend, at the true times, joins the regressors.

`nilearn.signal.clean` does steps 3, 4 and 6. Step 2 is done here, because up to 0.14.1 nilearn interpolates a censored
volume only if the volume at the same distance from the run's other end is kept (it inverts an index array with ``~``).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.interpolate import CubicSpline

from ..errors import InputError
from .scratch import blocks, nothing

__all__ = ["clean_in_place", "residual_degrees_of_freedom", "temporal_operator"]

PADDING = {0: 0, 1: 18, 2: 33}
"""Volumes by which a Butterworth filter of order 5 with so many cut-offs is padded; a run must have more."""

CHUNK = 2**20
"""Values that are cleaned at once: bounds the memory for copies, whatever the length of the run."""

IMPULSES = 128
"""Unit impulses that are filtered at once, for the same reason."""

LEAST_VARIATION, LEAST_REMAINDER = 1e-6, 1e-5
"""A voxel is constant if its standard deviation is a smaller part of its mean, or of what it was before cleaning."""

VANISHED = 1e-8
"""A regressor is gone if its standard deviation is a smaller part of what it was before filtering."""


def temporal_operator(
    kept: np.ndarray,
    regressors: np.ndarray | None = None,
    *,
    repetition_time: float,
    high_pass: float | None = None,
    low_pass: float | None = None,
    detrend: bool = True,
) -> np.ndarray:
    """Make the matrix that cleans a time series (steps 1 to 6 above).

    Parameters
    ----------
    kept : bool array, (T,)
        False for dummy and censored volumes.
    regressors : float array, (T, R), optional
    repetition_time : float
        In s.
    high_pass, low_pass : float, optional
        Cut-offs in Hz.
    detrend : bool
        Whether the linear trend goes.

    Returns
    -------
    float array, (n_kept, n_kept)
        Cleaned series, mean 0 = matrix @ series at the kept volumes.

    Raises
    ------
    InputError
        If fewer volumes are kept than the filter needs.

    Examples
    --------
    >>> matrix = temporal_operator(np.ones(9, bool), repetition_time=2.0)
    >>> bool(np.abs(matrix @ np.arange(9.0)).max() < 1e-9)
    True
    """
    n_cutoffs = (high_pass is not None) + (low_pass is not None)
    n_kept = int(kept.sum())
    _check_volumes(n_kept, len(kept), n_cutoffs)
    if regressors is None:
        regressors = np.empty((len(kept), 0))
    trend = np.linspace(-1, 1, len(kept))[:, None]
    if not n_cutoffs and detrend:
        regressors = np.hstack([trend, regressors])
    raw = regressors[kept]
    filtering = _filter(kept, repetition_time, high_pass, low_pass, detrend) if n_cutoffs else lambda series: series
    filtered = filtering(raw)
    operator = np.empty((n_kept, n_kept))
    # The steps are linear: what they do to the unit impulses is their matrix.
    for start in range(0, n_kept, IMPULSES):
        columns = slice(start, min(start + IMPULSES, n_kept))
        impulses = np.eye(n_kept, columns.stop - start, -start)
        operator[:, columns] = _regress(filtering(impulses), raw, filtered)
    operator -= operator.mean(axis=0)
    return operator


def _check_volumes(n_kept: int, n_volumes: int, n_cutoffs: int) -> None:
    needed = max(PADDING[n_cutoffs] + 1, 3)
    if n_kept < needed:
        reason = "band-pass filter" if n_cutoffs == 2 else "filter" if n_cutoffs else "z-score"
        raise InputError(
            f"Only {n_kept} of {n_volumes} volumes are left without dummy and censored ones, and the {reason} needs "
            f"{needed}; switch filters off (`high_pass` 0, `low_pass` 0), censor less (a higher `fd_threshold`), or "
            "cut off fewer (`dummy_scans`)."
        )


def _filter(
    kept: np.ndarray, repetition_time: float, high_pass: float | None, low_pass: float | None, detrend: bool
) -> Callable[[np.ndarray], np.ndarray]:
    """Make the function that interpolates between kept volumes, detrends, filters, and takes the kept ones again."""
    from nilearn.signal import clean

    volumes = np.flatnonzero(kept)
    span = np.arange(volumes[0], volumes[-1] + 1)

    def apply(series: np.ndarray) -> np.ndarray:
        if not series.shape[1]:
            return series
        filtered = clean(
            CubicSpline(volumes, series)(span) if len(span) > len(volumes) else series,
            detrend=detrend,
            standardize=None,
            high_pass=high_pass,
            low_pass=low_pass,
            t_r=repetition_time,
            butterworth__copy=True,  # all columns at once: the alternative is a loop over them
        )
        return filtered[volumes - volumes[0]]

    return apply


def _regress(series: np.ndarray, raw: np.ndarray, regressors: np.ndarray) -> np.ndarray:
    """Take regressors (n, R) out of series (n, …), but not those of which filtering left only rounding errors."""
    from nilearn.signal import clean

    regressors = regressors[:, (regressors.std(axis=0) > VANISHED * raw.std(axis=0))]
    if not regressors.shape[1]:
        return series
    return clean(series, confounds=regressors, detrend=False, filter=False, standardize=None)


def residual_degrees_of_freedom(operator: np.ndarray) -> float:
    """Give what cleaning leaves of the kept volumes' degrees of freedom.

    >>> round(residual_degrees_of_freedom(temporal_operator(np.ones(9, bool), repetition_time=2.0)))
    7
    """
    return float(np.trace(operator))


def clean_in_place(
    data: np.ndarray,
    kept: np.ndarray,
    operator: np.ndarray,
    region: np.ndarray | None = None,
    release: Callable[[], None] = nothing,
) -> np.ndarray:
    """Clean and z-score the series of all voxels.

    Parameters
    ----------
    data : float32 array, (T, V)
        Overwritten: 0 at volumes that are not kept, outside the region, and in constant voxels.
    kept : bool array, (T,)
    operator : float array, (n_kept, n_kept)
        From `temporal_operator`.
    region : bool array, (V,), optional
        Voxels that are wanted; by default all.
    release : callable
        Called after every part (see `scratch.zeros`).

    Returns
    -------
    bool array, (V,)
        The region without voxels that do not vary, before or after cleaning.
    """
    region = np.ones(data.shape[1], dtype=bool) if region is None else region.copy()
    matrix = operator.astype(np.float32, copy=False)
    n_voxels = max(1, CHUNK // len(data))
    for start in range(0, data.shape[1], n_voxels):
        voxels = slice(start, min(start + n_voxels, data.shape[1]))
        series = np.empty((len(data), voxels.stop - start), dtype=np.float32)
        for volumes in blocks(len(data)):
            series[volumes] = data[volumes, voxels]
            release()
        series[kept], varies = _standardise(series[kept], matrix)
        region[voxels] &= varies
        series[~kept] = 0
        series[:, ~region[voxels]] = 0
        for volumes in blocks(len(data)):
            data[volumes, voxels] = series[volumes]
            release()
    return region


def _standardise(series: np.ndarray, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Clean and z-score series (n_kept, V); tell which vary."""
    mean = series.mean(axis=0, dtype=np.float64)
    centred = series - mean.astype(np.float32)  # the z-score removes it anyway, and float32 is exact near 0
    before = centred.std(axis=0, ddof=1)
    cleaned = matrix @ centred
    cleaned -= cleaned.mean(axis=0)
    after = cleaned.std(axis=0, ddof=1)
    varies = (before > LEAST_VARIATION * np.abs(mean)) & (after > LEAST_REMAINDER * before)
    cleaned /= np.where(varies, after, 1)
    return cleaned, varies

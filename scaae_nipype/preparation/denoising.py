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

import numpy as np
from scipy.interpolate import CubicSpline

from ..errors import InputError

__all__ = ["clean_in_place", "residual_degrees_of_freedom", "temporal_operator", "trends"]

PADDING = {0: 0, 1: 18, 2: 33}
"""Volumes by which a Butterworth filter of order 5 with so many cut-offs is padded; a run must have more."""

CHUNK = 4096
"""Voxels that are cleaned at once: bounds the memory for copies."""

ROUNDING = 1e-5
"""A voxel whose variation is a smaller part of its mean, or of its variation before cleaning, is constant."""


def trends(n_volumes: int, order: int) -> np.ndarray:
    """Give Legendre polynomials of the orders 1 … `order` over a run: (n_volumes, order).

    >>> trends(3, 1).ravel()
    array([-1.,  0.,  1.])
    """
    return np.polynomial.legendre.legvander(np.linspace(-1, 1, n_volumes), order)[:, 1:]


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
        Cleaned series = matrix @ series at the kept volumes.

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
    if not n_cutoffs:
        trend = trends(len(kept), int(detrend))
        return _regress(np.eye(n_kept), np.hstack([trend, regressors])[kept])
    settings = {
        "repetition_time": repetition_time,
        "high_pass": high_pass,
        "low_pass": low_pass,
        "detrend": detrend,
    }
    # The steps are linear: what they do to the unit impulses is their matrix.
    return _regress(_filtered(np.eye(n_kept), kept, **settings), _filtered(regressors[kept], kept, **settings))


def _check_volumes(n_kept: int, n_volumes: int, n_cutoffs: int) -> None:
    needed = max(PADDING[n_cutoffs] + 1, 3)
    if n_kept < needed:
        reason = "band-pass filter" if n_cutoffs == 2 else "filter" if n_cutoffs else "z-score"
        raise InputError(
            f"Only {n_kept} of {n_volumes} volumes are left without dummy and censored ones, and the {reason} needs "
            f"{needed}; switch filters off (--high-pass 0, --low-pass 0), or censor less (a higher --fd-thresh)."
        )


def _filtered(
    series: np.ndarray,
    kept: np.ndarray,
    *,
    repetition_time: float,
    high_pass: float | None,
    low_pass: float | None,
    detrend: bool,
) -> np.ndarray:
    """Interpolate between the kept volumes, detrend, filter, and take the kept volumes again."""
    from nilearn.signal import clean

    if not series.shape[1]:
        return series
    volumes = np.flatnonzero(kept)
    span = np.arange(volumes[0], volumes[-1] + 1)
    complete = CubicSpline(volumes, series)(span) if len(span) > len(volumes) else series
    filtered = clean(
        complete,
        detrend=detrend,
        standardize=None,
        high_pass=high_pass,
        low_pass=low_pass,
        t_r=repetition_time,
        butterworth__copy=True,  # all columns at once: the alternative is a loop over them
    )
    return filtered[volumes - volumes[0]]


def _regress(series: np.ndarray, regressors: np.ndarray) -> np.ndarray:
    """Take regressors (n, R) out of series (n, …)."""
    from nilearn.signal import clean

    regressors = regressors[:, np.ptp(regressors, axis=0) > 0]
    if not regressors.shape[1]:
        return series
    return clean(series, confounds=regressors, detrend=False, filter=False, standardize=None)


def residual_degrees_of_freedom(operator: np.ndarray) -> float:
    """Give what cleaning leaves of the kept volumes' degrees of freedom, the mean not counted.

    >>> round(residual_degrees_of_freedom(temporal_operator(np.ones(9, bool), repetition_time=2.0)))
    7
    """
    return float(np.trace(operator) - operator.sum() / len(operator))


def clean_in_place(data: np.ndarray, kept: np.ndarray, operator: np.ndarray) -> np.ndarray:
    """Clean and z-score the series of all voxels.

    Parameters
    ----------
    data : float32 array, (T, V)
        Overwritten: 0 at volumes that are not kept and in constant voxels.
    kept : bool array, (T,)
    operator : float array, (n_kept, n_kept)
        From `temporal_operator`.

    Returns
    -------
    bool array, (V,)
        False for voxels that do not vary, before or after cleaning.
    """
    varies = np.zeros(data.shape[1], dtype=bool)
    matrix = operator.astype(np.float32)
    for start in range(0, data.shape[1], CHUNK):
        voxels = slice(start, start + CHUNK)
        series = data[kept, voxels]
        mean = series.mean(axis=0, dtype=np.float64)
        series -= mean.astype(np.float32)  # the z-score removes it anyway, and float32 is exact near 0
        before = series.std(axis=0, ddof=1)
        series = matrix @ series
        series -= series.mean(axis=0)
        after = series.std(axis=0, ddof=1)
        alive = (before > ROUNDING * 0.1 * np.abs(mean)) & (after > ROUNDING * before) & (before > 0)
        varies[voxels] = alive
        data[:, voxels] = 0
        data[kept, voxels] = np.divide(series, after, out=np.zeros_like(series), where=alive)
    return varies

"""Do maps change gradually? Overlap of every map with the map some seconds later."""

from __future__ import annotations

import numpy as np
import pandas as pd

from .overlap import chance_iou

__all__ = ["CURVE_END", "lag_curve", "lagged_iou"]


CURVE_END = 20.0
"""Lag in s at which curves end where nothing else is asked for."""


def lagged_iou(maps: np.ndarray, kept: np.ndarray, lag: int = 1) -> np.ndarray:
    """IoU of every map with the one `lag` volumes later; lag 1 is the paper's Table 2.

    Parameters
    ----------
    maps : bool array, (n_volumes, n_voxels)
        Binary maps of all volumes, in order.
    kept : bool array, (n_volumes,)
        Pairs that a dropped volume belongs to, or lies between, are left out: two volumes beside a gap are further
        apart than their numbers say, and the volumes in between were dropped because something happened.
    lag : int
        In volumes, at least 1.

    Returns
    -------
    float array, (n_pairs,)
        0 where both maps are empty.

    >>> maps = np.array([[1, 1, 0], [0, 1, 1], [0, 1, 1], [0, 1, 1]], bool)
    >>> lagged_iou(maps, np.array([True, True, False, True]))
    array([0.33333333])
    """
    kept = np.asarray(kept, dtype=bool)
    dropped_before = np.concatenate([[0], np.cumsum(~kept)])
    start = np.arange(max(len(kept) - lag, 0))
    start = start[dropped_before[start + lag + 1] == dropped_before[start]]
    overlap = np.array([np.count_nonzero(maps[t] & maps[t + lag]) for t in start], dtype=float)
    size = maps.sum(axis=1)
    union = size[start] + size[start + lag] - overlap
    return np.divide(overlap, union, out=np.zeros_like(overlap), where=union > 0)


def lag_curve(
    maps: np.ndarray, kept: np.ndarray, *, repetition_time: float, longest_lag: float = CURVE_END
) -> pd.DataFrame:
    """Mean overlap as a function of the time between two maps.

    Compare runs of equal repetition time only, and lags in seconds: most of what is measured is how smooth the
    signal is in time, which filtering and the repetition time set.

    Parameters
    ----------
    maps : bool array, (n_volumes, n_voxels)
    kept : bool array, (n_volumes,)
    repetition_time : float
        In s.
    longest_lag : float
        In s; lag 1 is always there.

    Returns
    -------
    DataFrame
        One row per lag: ``lag`` (volumes), ``lag_seconds``, ``mean_iou``, ``sd_iou``, ``n_pairs``, ``density`` (mean
        share of the voxels in a kept map) and ``chance_iou`` (of independent maps of that density). NaN where no
        pair exists.
    """
    maps, kept = np.asarray(maps, dtype=bool), np.asarray(kept, dtype=bool)
    density = float(maps[kept].mean()) if kept.any() else np.nan
    rows = []
    for lag in range(1, max(1, int(longest_lag / repetition_time + 1e-6)) + 1):
        values = lagged_iou(maps, kept, lag)
        rows.append(
            {
                "lag": lag,
                "lag_seconds": lag * repetition_time,
                "mean_iou": values.mean() if len(values) else np.nan,
                "sd_iou": values.std(ddof=1) if len(values) > 1 else np.nan,
                "n_pairs": len(values),
                "density": density,
                "chance_iou": float(chance_iou(density)),
            }
        )
    return pd.DataFrame(rows)

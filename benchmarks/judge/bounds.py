"""What knowing the planted maps would give: the end of the way that starts at the volume itself.

No rival may use these. They bound what least squares can do with a volume, or with its neighbours, once the maps are
known; a method that also knew how states follow each other could do better still.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from scipy.linalg import qr, solve_triangular
from scipy.optimize import nnls

from benchmarks.judge.rivals import SECONDS, Sees
from benchmarks.judge.runs import Run, smooth_time

__all__ = ["BOUNDS", "BOUND_OF_CLASS", "amplitudes", "share_of_way"]


def amplitudes(run: Run, maps: np.ndarray, *, non_negative: bool, sigma_time: float = 0.0) -> np.ndarray:
    """Estimate how strong known maps are in every volume, by least squares.

    Parameters
    ----------
    run : Run
    maps : float array, (n_networks, n_voxels)
        Linearly independent.
    non_negative : bool
    sigma_time : float
        Standard deviation in s of a Gaussian in time that comes first; 0 for none.

    Returns
    -------
    float32 array, (n_volumes, n_networks)
    """
    q, r = qr(np.asarray(maps, dtype=np.float64).T, mode="economic")
    scores = smooth_time(run.volumes @ q.astype(np.float32), sigma_time, run.repetition_time).astype(np.float64)
    if non_negative:
        return np.stack([nnls(r, row)[0] for row in scores]).astype(np.float32)
    return solve_triangular(r, scores.T).T.astype(np.float32)


Bound = Callable[[Run, np.ndarray], np.ndarray]


def _bound(non_negative: bool, sigma_time: float = 0.0) -> Bound:
    def apply(run: Run, maps: np.ndarray) -> np.ndarray:
        return amplitudes(run, maps, non_negative=non_negative, sigma_time=sigma_time) @ maps

    return apply


BOUNDS: Mapping[str, Mapping[str, Bound]] = {
    "linear": {"": _bound(False)},
    "non-negative": {"": _bound(True)},
    "linear, with time": {f"sigma_time={s:g}": _bound(False, s) for s in SECONDS},
    "non-negative, with time": {f"sigma_time={s:g}": _bound(True, s) for s in SECONDS},
}
"""Name to setting to what gives maps (n_volumes, n_voxels) of a run whose planted maps are known. Widths in time are
chosen on tuning seeds."""

BOUND_OF_CLASS: Mapping[Sees, str] = {
    "volume": "non-negative",
    "others": "non-negative",
    "run": "non-negative, with time",
    "all": "non-negative, with time",
}
"""The bound that a class is held against."""


def share_of_way(score: float, volume: float, bound: float) -> float:
    """Give which part of the way from the volume's score to the bound's was gone; NaN where there is no way.

    >>> round(share_of_way(0.5, volume=0.1, bound=0.9), 3)
    0.5
    """
    return (score - volume) / (bound - volume) if bound != volume else float("nan")

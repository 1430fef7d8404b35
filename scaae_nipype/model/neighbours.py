"""Volumes and the means of their neighbours in time, which share the signal but not the thermal noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import ModelError

__all__ = ["FEWEST_VOLUMES", "Pair", "in_folds", "pairs_of_neighbours"]

MOST_VOLUMES = 3000
"""Volumes that a fit uses, spread evenly over all runs: bounds memory and time, whatever the size of the study."""

FEWEST_VOLUMES = 8
"""Volumes below which nothing can be fitted."""

FOLDS = 2
"""Parts of the training runs; each is predicted from the others."""

Pair = tuple[np.ndarray, np.ndarray]


def pairs_of_neighbours(runs: Sequence[np.ndarray]) -> list[Pair]:
    """Give volumes and the means of their neighbours, a pair of arrays a run, thinned out evenly.

    Parameters
    ----------
    runs : sequence of float arrays, (T_run, n_voxels)
        Kept volumes of each run in the order of time, z-scored. Volumes on both sides of a censored one count as
        neighbours.

    Returns
    -------
    list of (float32 array, float32 array)
        (n_volumes, n_voxels) each. A single run is given as its two halves.

    Raises
    ------
    ModelError
        If there are too few volumes.
    """
    inner = [np.arange(1, len(run) - 1) for run in runs if len(run) > 2]
    total = sum(map(len, inner))
    step = max(1.0, total / MOST_VOLUMES)
    pairs = []
    for run, volumes in zip((run for run in runs if len(run) > 2), inner, strict=True):
        chosen = volumes[np.unique(np.arange(0, len(volumes), step).astype(int))]
        before, at, after = (np.asarray(run[chosen + shift], dtype=np.float32) for shift in (-1, 0, 1))
        pairs.append((at, (before + after) / 2))
    found = sum(len(volumes) for volumes, _ in pairs)
    if found < FEWEST_VOLUMES:
        raise ModelError(
            f"Only {found} volumes have kept neighbours; a context needs {FEWEST_VOLUMES} (censor less, or add runs)."
        )
    if len(pairs) == 1:
        (x, y), middle = pairs[0], found // 2
        return [(x[:middle], y[:middle]), (x[middle:], y[middle:])]
    return pairs


def in_folds(pairs: Sequence[Pair]) -> list[tuple[list[Pair], list[Pair]]]:
    """Split runs: those to fit to, and those that are left out, for every fold."""
    return [
        ([pair for n, pair in enumerate(pairs) if n % FOLDS != fold], list(pairs[fold::FOLDS])) for fold in range(FOLDS)
    ]

"""What every room says of maps: how they are called, scaled and cut, and what their scores are called."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

__all__ = [
    "BRANCHES",
    "DECIDING",
    "LABELS",
    "NO_NETWORK",
    "SCORES",
    "SCORE_LABELS",
    "THRESHOLD",
    "are_constant",
    "binarise",
    "scale",
]

BRANCHES = ("fbn1", "fbn2")
"""The two branches of the network: as methods in tables, and as what their images are registered under."""

NO_NETWORK = ("volume", "volume_negated")
"""Methods that need no network: the prepared volume itself, and with its sign turned."""

LABELS = {
    "fbn1": "FBN branch 1",
    "fbn2": "FBN branch 2",
    "volume": "volume itself",
    "volume_negated": "volume, sign turned",
}
"""What the methods of the overlap and gradual-change tables are called for the reader."""

SCORES = ("iou", "dice", "size_matched_iou", "average_precision", "r")
"""The scores of a map with a template, in the order of the tables."""

DECIDING = ("average_precision", "size_matched_iou")
"""Scores that no monotone rescaling of a map changes: comparisons are decided by them."""

THRESHOLD = 0.3
"""Share of its own maximum that a map has to exceed, the paper's; never tuned."""

SCORE_LABELS = {
    "average_precision": "average precision",
    "size_matched_iou": "size-matched IoU",
    "iou": f"IoU at {THRESHOLD}",
    "r": "Pearson r",
}
"""What the scores are called for the reader, in the order of the report's tables."""


def scale(signed: ArrayLike) -> np.ndarray:
    """Scale every map for display: min to max becomes 0 to 1, then squared (equation 9).

    Parameters
    ----------
    signed : float array, (…, n_voxels)
        Maps over the voxels of the region: minimum and maximum are taken there.

    Returns
    -------
    float32 array, (…, n_voxels)
        0 everywhere for a map that is constant or holds a value that is no number.

    >>> scale([[-1.0, 0.0, 1.0], [2.0, 2.0, 2.0]]).tolist()
    [[0.0, 0.25, 1.0], [0.0, 0.0, 0.0]]
    """
    signed = np.asarray(signed, dtype=np.float32)
    scaled = signed - signed.min(axis=-1, keepdims=True)
    span = scaled.max(axis=-1, keepdims=True)
    varies = span > 0
    scaled /= np.where(varies, span, 1)
    scaled[~varies[..., 0]] = 0
    return np.square(scaled, out=scaled)


def binarise(maps: ArrayLike, threshold: float = THRESHOLD) -> np.ndarray:
    """Keep the voxels above `threshold` times each map's own maximum; negative values are dropped.

    Parameters
    ----------
    maps : float array, (…, n_voxels)
    threshold : float

    Returns
    -------
    bool array, (…, n_voxels)
        Nowhere true for a map without a positive value.

    >>> binarise([[-5.0, 0.5, 1.0, 2.0], [-1.0, -2.0, 0.0, 0.0]])
    array([[False, False,  True,  True],
           [False, False, False, False]])
    """
    maps = np.asarray(maps)
    highest = maps.max(axis=-1, keepdims=True)
    return (maps > threshold * highest) & (highest > 0)


def are_constant(maps: np.ndarray) -> np.ndarray:
    """Tell which maps have one value everywhere: (…, n_voxels) to bool, (…).

    >>> are_constant(np.array([[1, 1], [1, 2]])).tolist()
    [True, False]
    """
    same: np.ndarray = maps.max(axis=-1) == maps.min(axis=-1)
    return same

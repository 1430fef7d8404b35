"""Mean FBN per region of an atlas, for those who go on with parcels."""

from __future__ import annotations

import numpy as np

__all__ = ["region_means"]


def region_means(maps: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """Average every map over every region.

    Parameters
    ----------
    maps : float array, (n_maps, n_voxels)
    regions : bool array, (n_regions, n_voxels)
        They may overlap.

    Returns
    -------
    float array, (n_maps, n_regions)
        NaN for a region without voxels.

    >>> region_means(np.array([[1.0, 3.0, 8.0]]), np.array([[True, True, False], [False, False, False]]))
    array([[ 2., nan]])
    """
    size = regions.sum(axis=1)
    total = maps @ regions.T.astype(maps.dtype)
    return np.divide(total, size, out=np.full(total.shape, np.nan), where=size > 0)

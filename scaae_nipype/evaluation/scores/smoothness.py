"""How smooth a map is, as its own neighbouring voxels tell it."""

from __future__ import annotations

import numpy as np

from ...grid import Grid

__all__ = ["volume_smoothness"]


def volume_smoothness(volumes: np.ndarray, grid: Grid) -> np.ndarray:
    """Estimate the smoothness of every volume from neighbouring voxels.

    Parameters
    ----------
    volumes : float array, (n_volumes, n_voxels)
    grid : Grid
        Whose mask the voxels fill.

    Returns
    -------
    float array, (n_volumes,)
        Full width at half maximum in mm, mean of the three axes; 0 where neighbours are not correlated.

    Notes
    -----
    From the variance of the difference of neighbours (Forman et al. 1995, doi 10.1002/mrm.1910330508): of a Gaussian
    field of this width, two points a voxel apart correlate as these do.

    >>> from scaae_nipype.grid import load_grid, smooth
    >>> grid = load_grid()
    >>> noise = smooth(np.random.default_rng(0).standard_normal((1, grid.n_voxels)), grid, 5.0)
    >>> float(volume_smoothness(noise, grid).round(0)[0])  # the kernel has 11.8 mm
    12.0
    """
    index = np.full(grid.shape, -1)
    index[grid.mask] = np.arange(grid.n_voxels)
    neighbours = []
    for axis in range(3):
        first, second = np.delete(index, -1, axis).ravel(), np.delete(index, 0, axis).ravel()
        both = (first >= 0) & (second >= 0)
        neighbours.append((first[both], second[both]))
    widths = np.zeros((len(volumes), 3))
    for number, volume in enumerate(volumes):
        spread = np.var(volume, dtype=np.float64)
        for axis, (first, second) in enumerate(neighbours):
            if not len(first) or spread == 0:
                continue
            r = 1 - np.mean(np.square(volume[first] - volume[second], dtype=np.float64)) / (2 * spread)
            with np.errstate(divide="ignore"):  # without any difference, it is infinitely smooth
                widths[number, axis] = grid.voxel_sizes[axis] * np.sqrt(2 * np.log(2) / abs(np.log(r))) if r > 0 else 0
    return widths.mean(axis=1)

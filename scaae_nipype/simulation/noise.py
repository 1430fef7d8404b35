"""What covers the planted signal: autocorrelated smooth noise, drift and a global signal.

Everything here is in units of the noise's standard deviation.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.signal import lfilter

from ..grid import Grid
from .tissues import Tissues

__all__ = ["drift_factors", "global_factor", "noise_volumes", "smooth_field"]

FWHM_TO_SIGMA = 1 / np.sqrt(8 * np.log(2))

DRIFT_SMOOTHNESS = 40.0
"""FWHM in mm of the maps with which slow drifts vary over the brain."""

DRIFT_ORDER = 3
"""Highest degree of the drifts' polynomials."""

GLOBAL_TIME_CONSTANT = 6.0
"""Time constant in s of the first-order autoregressive global signal."""

GLOBAL_WEIGHTS = {"grey": 1.0, "white": 0.5, "csf": 0.4}
"""Strength of the global signal in a tissue."""


def smooth_field(grid: Grid, fwhm: float, rng: np.random.Generator) -> np.ndarray:
    """Draw a Gaussian random field on a grid's mask: mean 0, standard deviation 1 at every voxel.

    Parameters
    ----------
    grid : Grid
    fwhm : float
        Smoothness in mm; 0 is white noise.
    rng : Generator

    Returns
    -------
    float32 array, (n_voxels,)
    """
    if fwhm == 0:
        return rng.standard_normal(grid.n_voxels, dtype=np.float32)
    sigma = fwhm * FWHM_TO_SIGMA / grid.voxel_sizes
    # The box is padded by the kernel's reach and wrapped, so that the variance is the same everywhere.
    shape = [size + int(np.ceil(3 * width)) for size, width in zip(grid.box_shape, sigma, strict=True)]
    white = rng.standard_normal(shape, dtype=np.float32)
    field = gaussian_filter(white, sigma, mode="wrap", truncate=3.0)
    impulse = np.zeros(shape, dtype=np.float32)
    impulse[0, 0, 0] = 1
    gain = np.sqrt((gaussian_filter(impulse, sigma, mode="wrap", truncate=3.0).astype(float) ** 2).sum())
    x, y, z = grid.box_shape
    return field[:x, :y, :z][grid.mask[grid.box]] / np.float32(gain)


def noise_volumes(
    grid: Grid, n_volumes: int, *, fwhm: float, ar1: float, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Draw noise volume by volume: smooth in space, first-order autoregressive in time, standard deviation 1.

    Parameters
    ----------
    grid : Grid
    n_volumes : int
    fwhm : float
        Spatial smoothness in mm.
    ar1 : float
        Correlation of a volume with the one before, 0 to below 1.
    rng : Generator

    Yields
    ------
    float32 array, (n_voxels,)

    Examples
    --------
    >>> from scaae_nipype.simulation.tissues import source_grid
    >>> noise = np.stack(list(noise_volumes(source_grid(8), 50, fwhm=0, ar1=0.6, rng=np.random.default_rng(0))))
    >>> round(float((noise[1:] * noise[:-1]).mean()), 1), round(float(noise.std()), 1)
    (0.6, 1.0)
    """
    volume = smooth_field(grid, fwhm, rng)
    yield volume
    for _ in range(n_volumes - 1):
        volume = np.float32(ar1) * volume + np.float32(np.sqrt(1 - ar1**2)) * smooth_field(grid, fwhm, rng)
        yield volume


def drift_factors(
    grid: Grid, n_volumes: int, amplitude: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw scanner drift: polynomials in time with smooth maps, half of their variance common to all voxels.

    Parameters
    ----------
    grid : Grid
    n_volumes : int
    amplitude : float
        Expected standard deviation over time of a voxel's drift.
    rng : Generator

    Returns
    -------
    time_courses : float array, (n_volumes, 3)
        Legendre polynomials of degree 1 to 3, standard deviation 1.
    maps : float32 array, (3, n_voxels)
    """
    position = np.linspace(-1, 1, n_volumes)
    time_courses = np.polynomial.legendre.legvander(position, DRIFT_ORDER)[:, 1:]
    time_courses = (time_courses - time_courses.mean(axis=0)) / time_courses.std(axis=0)
    scale = np.float32(amplitude / np.sqrt(2 * DRIFT_ORDER))
    common = rng.standard_normal((DRIFT_ORDER, 1), dtype=np.float32)
    own = np.stack([smooth_field(grid, DRIFT_SMOOTHNESS, rng) for _ in range(DRIFT_ORDER)])
    return time_courses, scale * (common + own)


def global_factor(
    tissues: Tissues, n_volumes: int, *, repetition_time: float, amplitude: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a global signal: a slow autoregressive time course, strongest in grey matter.

    Parameters
    ----------
    tissues : Tissues
    n_volumes : int
    repetition_time : float
        In s.
    amplitude : float
        Its standard deviation over time in pure grey matter (in expectation).
    rng : Generator

    Returns
    -------
    time_course : float array, (n_volumes, 1)
    map : float32 array, (1, n_voxels)
    """
    forget = float(np.exp(-repetition_time / GLOBAL_TIME_CONSTANT))
    drive = rng.standard_normal(n_volumes) * np.sqrt(1 - forget**2)
    drive[0] /= np.sqrt(1 - forget**2)
    weights = sum(GLOBAL_WEIGHTS[tissue] * getattr(tissues, tissue) for tissue in GLOBAL_WEIGHTS)
    return lfilter([1], [1, -forget], drive)[:, None], (amplitude * np.asarray(weights, dtype=np.float32))[None]

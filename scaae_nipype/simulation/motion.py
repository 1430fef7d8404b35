"""Head motion: six parameters, spikes, and what remains of them in the data after realignment."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter1d

from ..errors import UsageError
from ..grid import Grid
from .tissues import Tissues

__all__ = [
    "MOTION_PARAMETERS",
    "framewise_displacement",
    "free_volumes",
    "motion_maps",
    "motion_parameters",
    "spin_history",
]

MOTION_PARAMETERS = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")
"""Columns of fMRIPrep's confounds: translations in mm, rotations in radians."""

HEAD_RADIUS = 50.0
"""Radius in mm on which rotations are measured as displacements (Power et al. 2012)."""

SLOW_MOTION = 0.15
"""Standard deviation in mm of the slow wandering of each parameter."""

SLOW_MOTION_SECONDS = 80.0
"""Time scale in s of the slow wandering, slower than the networks, as heads mostly sink."""

JITTER = 0.02
"""Standard deviation in mm of each parameter's jitter from volume to volume."""

SPIKE = (1.0, 2.0)
"""Length in mm of the jump at a spike, from and to, shared by the six parameters."""

RESIDUAL = 0.05
"""Share of the displacement that realignment leaves in the data."""

SPIN_HISTORY = 1.0
"""Loss of signal, in standard deviations of the noise per mm of framewise displacement beyond `STILL`."""

STILL = 0.3
"""Framewise displacement in mm up to which spins recover."""


def motion_parameters(
    n_volumes: int,
    *,
    repetition_time: float,
    amount: float = 1.0,
    n_spikes: int = 0,
    rng: np.random.Generator,
) -> tuple[pd.DataFrame, np.ndarray]:
    """Draw realignment parameters: slow wandering, jitter, and jumps that last one volume.

    Parameters
    ----------
    n_volumes : int
    repetition_time : float
        In s.
    amount : float
        Multiplies wandering and jitter, not the spikes; 0 is a still head.
    n_spikes : int
        They stand at least three volumes apart and three from either end.
    rng : Generator

    Returns
    -------
    parameters : DataFrame, (n_volumes, 6)
        Columns `MOTION_PARAMETERS`; mm and radians.
    spikes : int array, (n_spikes,)
        Volumes at which the head is away; framewise displacement is high there and at the next volume.

    Raises
    ------
    UsageError
        If the run is too short for the spikes.

    Examples
    --------
    >>> parameters, spikes = motion_parameters(40, repetition_time=2, n_spikes=2, rng=np.random.default_rng(0))
    >>> high = np.flatnonzero(framewise_displacement(parameters) > 0.8)
    >>> bool((high == np.sort([*spikes, *(spikes + 1)])).all())
    True
    """
    wander = gaussian_filter1d(
        rng.standard_normal((n_volumes, 6)), SLOW_MOTION_SECONDS / repetition_time, axis=0, mode="reflect"
    )
    wander *= SLOW_MOTION / np.maximum(wander.std(axis=0), 1e-9)
    millimetres = amount * (wander - wander[0] + JITTER * rng.standard_normal((n_volumes, 6)))
    spikes = np.zeros(0, dtype=int)
    if n_spikes:
        places = np.sort(rng.choice(free_volumes(n_volumes, n_spikes), n_spikes, replace=False))
        spikes = places + 3 + 2 * np.arange(n_spikes)
    directions = rng.standard_normal((n_spikes, 6))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    millimetres[spikes] += directions * rng.uniform(*SPIKE, size=(n_spikes, 1))
    millimetres[:, 3:] /= HEAD_RADIUS
    return pd.DataFrame(millimetres, columns=list(MOTION_PARAMETERS)), spikes


def free_volumes(n_volumes: int, n_spikes: int) -> int:
    """Count the places left for spikes once the distances between them are set aside.

    Raises
    ------
    UsageError
        If the run is too short for the spikes.

    Examples
    --------
    >>> free_volumes(40, 2)
    32
    """
    free = n_volumes - 6 - 2 * max(n_spikes - 1, 0)
    if free < n_spikes:
        raise UsageError(f"{n_volumes} volumes are too few for {n_spikes} motion spikes; ask for fewer spikes.")
    return free


def framewise_displacement(parameters: pd.DataFrame) -> np.ndarray:
    """Sum the absolute changes of the six parameters, rotations on a sphere of 50 mm (Power et al. 2012).

    Parameters
    ----------
    parameters : DataFrame, (n_volumes, 6)
        Columns `MOTION_PARAMETERS`; mm and radians.

    Returns
    -------
    float array, (n_volumes,)
        In mm; NaN at the first volume.

    Examples
    --------
    >>> still = pd.DataFrame(np.zeros((3, 6)), columns=MOTION_PARAMETERS)
    >>> still.loc[2, "rot_y"] = 0.01
    >>> framewise_displacement(still).tolist()
    [nan, 0.0, 0.5]
    """
    millimetres = parameters[list(MOTION_PARAMETERS)].to_numpy() * ([1.0] * 3 + [HEAD_RADIUS] * 3)
    return np.concatenate([[np.nan], np.abs(np.diff(millimetres, axis=0)).sum(axis=1)])


def motion_maps(grid: Grid, tissues: Tissues) -> np.ndarray:
    """Give the change of intensity per mm or radian of each parameter, to first order, after realignment.

    A small displacement d(x) changes the image I by -∇I · d; realignment leaves the share `RESIDUAL` of it.

    Returns
    -------
    float32 array, (6, n_voxels)
        In units of BOLD intensity; strongest at the edges of the brain.
    """
    volume = grid.volumes(tissues.baseline).astype(float)
    along_axes = np.stack(np.gradient(volume))[:, grid.mask]
    gradient = np.linalg.inv(grid.affine[:3, :3]).T @ along_axes
    position = nib.affines.apply_affine(grid.affine, np.argwhere(grid.mask)).T
    rotations = [np.cross(np.eye(3)[axis], position, axisa=0, axisb=0, axisc=0) for axis in range(3)]
    changes = [*gradient, *((gradient * rotation).sum(axis=0) for rotation in rotations)]
    return (-RESIDUAL * np.stack(changes)).astype(np.float32)


def spin_history(parameters: pd.DataFrame) -> np.ndarray:
    """Give the loss of signal after fast movement, in standard deviations of the noise: (n_volumes,), 0 or negative."""
    displacement = np.nan_to_num(framewise_displacement(parameters))
    return -SPIN_HISTORY * np.maximum(displacement - STILL, 0)

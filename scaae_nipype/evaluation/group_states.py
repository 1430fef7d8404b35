"""Mean map of every state over participants, from the state maps of their runs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..files import read_image

__all__ = ["GroupStateMaps", "mean_state_maps"]


@dataclass(frozen=True, eq=False)
class GroupStateMaps:
    """Means over participants.

    Attributes
    ----------
    values : float32 array, (X, Y, Z, n_states)
        0 where nobody has data, and everywhere for a state that nobody visits.
    affine : float array, (4, 4)
        Voxel to world, in mm.
    n_participants : int array, (n_states,)
        Who visit each state.
    """

    values: np.ndarray
    affine: np.ndarray
    n_participants: np.ndarray


def mean_state_maps(files: Mapping[str, Sequence[str | os.PathLike]]) -> GroupStateMaps:
    """Average state maps: over the runs of a participant in which a state appears, then over participants.

    Voxels without data in a run (0) do not count there. One run is in memory at a time.

    Parameters
    ----------
    files : mapping
        Participant to the 4D images of the runs, one volume per state, 0 where a state was never visited.

    Raises
    ------
    InputError
        If an image cannot be read or differs from the others in grid or number of states.
    """
    total = seen = affine = None
    visitors = np.empty(0, dtype=int)
    for paths in files.values():
        own = own_seen = None
        for path in paths:
            values, grid = _read(path)
            if own is None:
                own, own_seen = np.zeros_like(values), np.zeros(values.shape, dtype=np.uint16)
            if affine is None or total is None or seen is None:
                affine, total = grid, np.zeros(values.shape, dtype=np.float64)
                seen, visitors = np.zeros(values.shape, dtype=np.uint16), np.zeros(values.shape[3], dtype=int)
            if values.shape != total.shape or own.shape != values.shape or not np.allclose(grid, affine, atol=1e-3):
                raise InputError(f"{path}: lies on another grid or has other states than the other runs' state maps.")
            own += values
            own_seen += values != 0
        if own is None or own_seen is None or total is None or seen is None:
            continue
        there = own_seen > 0
        total[there] += own[there] / own_seen[there]
        seen += there
        visitors += there.any(axis=(0, 1, 2))
    if total is None or seen is None or affine is None:
        raise InputError("There are no state maps to average.")
    means = np.divide(total, seen, out=np.zeros_like(total), where=seen > 0)
    return GroupStateMaps(means.astype(np.float32), affine, visitors)


def _read(path: str | os.PathLike) -> tuple[np.ndarray, np.ndarray]:
    values, image = read_image(path)
    if values.ndim != 4:
        raise InputError(f"{path}: is not a 4D image.")
    return values, image.affine

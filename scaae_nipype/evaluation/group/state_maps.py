"""Mean map of every state over participants, from the state maps of their runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...errors import InputError
from ...images import open_image, read_image

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
    refused : mapping
        Images that were left out, with the reason in one line.
    """

    values: np.ndarray
    affine: np.ndarray
    n_participants: np.ndarray
    refused: Mapping[str, str] = field(default_factory=dict)


def mean_state_maps(
    files: Mapping[str, Sequence[str | os.PathLike[str]]], *, advance: Callable[[int], object] = lambda done: None
) -> GroupStateMaps:
    """Average state maps: over the runs of a participant in which a state appears, then over participants.

    Voxels without data in a run (0) do not count there. One run is in memory at a time. An image that cannot be used is
    left out and named.

    Parameters
    ----------
    files : mapping
        Participant to the 4D images of the runs, one volume per state, 0 where a state was never visited.
    advance : callable
        Hears of every image that was read.

    Raises
    ------
    InputError
        If no image can be used.
    """
    usable, refused = _usable(files)
    total = seen = affine = None
    visitors = np.empty(0, dtype=int)
    for paths in usable.values():
        own = own_seen = None
        n_own = 0
        for path in paths:
            advance(1)
            try:
                values, grid = _read(path)
            except InputError as error:
                refused[str(path)] = str(error)
                continue
            if own is None:
                own, own_seen = np.zeros(values.shape, dtype=np.float32), np.zeros(values.shape, dtype=np.uint16)
            if affine is None or total is None or seen is None:
                affine, total = grid, np.zeros(values.shape, dtype=np.float64)
                seen, visitors = np.zeros(values.shape, dtype=np.uint16), np.zeros(values.shape[3], dtype=int)
            own += values
            own_seen += values != 0
            n_own += 1
        if own is None or own_seen is None or total is None or seen is None:
            continue
        there = own_seen > 0
        if n_own > 1:
            np.divide(own, own_seen, out=own, where=there)
        total += own  # 0 where nothing is there
        seen += there
        visitors += there.any(axis=(0, 1, 2))
    if total is None or seen is None or affine is None:
        raise InputError(f"There are no state maps to average. {' '.join(refused.values())}".strip())
    means = np.divide(total, seen, out=np.zeros_like(total), where=seen > 0)
    return GroupStateMaps(means.astype(np.float32), affine, visitors, refused)


def _usable(
    files: Mapping[str, Sequence[str | os.PathLike[str]]],
) -> tuple[dict[str, list[str | os.PathLike[str]]], dict[str, str]]:
    """Look at the headers: set aside images that cannot be opened, or that differ in grid or states from the most."""
    kinds: dict[tuple[Any, ...], list[str | os.PathLike[str]]] = {}
    refused: dict[str, str] = {}
    for path in (path for paths in files.values() for path in paths):
        try:
            image = open_image(path)
        except InputError as error:
            refused[str(path)] = str(error)
            continue
        if len(image.shape) != 4:
            refused[str(path)] = f"{path}: is not a 4D image."
        else:
            kinds.setdefault((image.shape, tuple(np.round(image.affine, 2).ravel() + 0.0)), []).append(path)
    usual = max(kinds.values(), key=len, default=[])
    taken = set(usual)
    for paths in kinds.values():
        if paths is not usual:
            why = "lies on another grid or has other states than the other runs' state maps."
            refused |= {str(path): f"{path}: {why}" for path in paths}
    return {who: [path for path in paths if path in taken] for who, paths in files.items()}, refused


def _read(path: str | os.PathLike[str]) -> tuple[np.ndarray, np.ndarray]:
    values, image = read_image(path)
    if not np.isfinite(values).all():
        raise InputError(f"{path}: holds values that are not finite; it is damaged: do the run again.")
    return values, image.affine

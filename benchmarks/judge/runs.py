"""A run and a group of runs as rivals see them, with what several rivals need kept: smoothed volumes, products."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache

import numpy as np

from scaae_nipype.grid import Grid

__all__ = ["Group", "Run", "smooth_space", "smooth_time"]

TRUNCATE = 4.0
"""Standard deviations at which Gaussians are cut off, as SciPy's filter does."""

SMOOTHED_AT_ONCE = 32


class Run:
    """One prepared run.

    Parameters
    ----------
    volumes : float32 array, (n_volumes, n_voxels)
        z-scored, in the order of time.
    grid : Grid
        Its mask's voxels.
    repetition_time : float
        In s.
    """

    def __init__(self, volumes: np.ndarray, grid: Grid, repetition_time: float):
        self.volumes = np.asarray(volumes, dtype=np.float32)
        self.grid = grid
        self.repetition_time = float(repetition_time)
        self._smoothed: dict[float, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.volumes)

    def smoothed(self, sigma: float) -> np.ndarray:
        """Give the volumes smoothed in space by `sigma` mm (0: as they are), kept for the next rival."""
        if sigma == 0:
            return self.volumes
        if sigma not in self._smoothed:
            self._smoothed[sigma] = smooth_space(self.volumes, self.grid, sigma)
        return self._smoothed[sigma]

    @cached_property
    def alone(self) -> Group:
        """The run as a group of its own, for methods that are fitted to the run that they are applied to."""
        return Group([self])


def smooth_space(volumes: np.ndarray, grid: Grid, sigma: float) -> np.ndarray:
    """Smooth volumes inside a mask, as `scaae_nipype.grid.smooth` does, several times as fast.

    Parameters
    ----------
    volumes : float array, (n_volumes, n_voxels)
    grid : Grid
    sigma : float
        Standard deviation in mm.

    Returns
    -------
    float32 array, (n_volumes, n_voxels)
    """
    return _Smoother.of(grid, float(sigma))(np.asarray(volumes, dtype=np.float32))


class _Smoother:
    """A Gaussian inside a mask as one matrix product per axis."""

    def __init__(self, grid: Grid, sigma: float):
        self.inside = grid.mask[grid.box]
        sizes = zip(self.inside.shape, sigma / grid.voxel_sizes, strict=True)
        self.x, self.y, self.z = (_convolution(length, width) for length, width in sizes)
        weight = self._filter(self.inside[None].astype(np.float32))[0][self.inside]
        self.gain = (1 / weight).astype(np.float32)

    @staticmethod
    @lru_cache(maxsize=16)
    def of(grid: Grid, sigma: float) -> _Smoother:
        return _Smoother(grid, sigma)

    def _filter(self, boxes: np.ndarray) -> np.ndarray:
        n, x, y, z = boxes.shape
        boxes = (boxes.reshape(-1, z) @ self.z).reshape(n, x, y, z)
        boxes = self.y @ boxes
        return (self.x @ boxes.reshape(n, x, y * z)).reshape(n, x, y, z)

    def __call__(self, volumes: np.ndarray) -> np.ndarray:
        result = np.empty(volumes.shape, dtype=np.float32)
        for start in range(0, len(volumes), SMOOTHED_AT_ONCE):
            part = volumes[start : start + SMOOTHED_AT_ONCE]
            boxes = np.zeros((len(part), *self.inside.shape), dtype=np.float32)
            boxes[:, self.inside] = part
            result[start : start + len(part)] = self._filter(boxes)[:, self.inside] * self.gain
        return result


def _convolution(length: int, width: float) -> np.ndarray:
    """Give the convolution of `length` samples with a Gaussian (sum 1) as a symmetric matrix; zeros around."""
    reach = int(TRUNCATE * width + 0.5)
    offsets = np.arange(-reach, reach + 1)
    total = np.exp(-0.5 * (offsets / width) ** 2).sum()
    apart = np.abs(np.subtract.outer(np.arange(length), np.arange(length)))
    kernel = np.exp(-0.5 * (apart / width) ** 2) / total
    return np.where(apart <= reach, kernel, 0).astype(np.float32)


def smooth_time(rows: np.ndarray, sigma: float, repetition_time: float) -> np.ndarray:
    """Smooth in time by a Gaussian; the first and last volumes average over what there is.

    Parameters
    ----------
    rows : float array, (n_volumes, n)
        Volumes, or numbers per volume.
    sigma : float
        Standard deviation in s; 0 leaves everything as it is.
    repetition_time : float
        In s.

    >>> smooth_time(np.array([[0.0], [3.0], [0.0]]), sigma=100.0, repetition_time=1.0).round(2).ravel()
    array([1., 1., 1.], dtype=float32)
    """
    if sigma == 0:
        return np.asarray(rows, dtype=np.float32)
    apart = np.subtract.outer(np.arange(len(rows)), np.arange(len(rows))) * repetition_time
    weights = np.exp(-0.5 * (apart / sigma) ** 2)
    weights[np.abs(apart) > TRUNCATE * sigma] = 0
    weights /= weights.sum(axis=1, keepdims=True)
    return weights.astype(np.float32) @ np.asarray(rows, dtype=np.float32)


class Group:
    """Other people's runs, with the decompositions that several rivals draw on kept.

    Parameters
    ----------
    runs : sequence of Run
        All on one grid.
    """

    def __init__(self, runs: Sequence[Run]):
        if not runs:
            raise ValueError("A group needs at least one run.")
        self.runs = tuple(runs)
        self.kept: dict[object, object] = {}

    @cached_property
    def lengths(self) -> tuple[int, ...]:
        return tuple(len(run) for run in self.runs)

    @property
    def grid(self) -> Grid:
        return self.runs[0].grid

    def smoothed(self, sigma: float) -> np.ndarray:
        """Give all volumes smoothed in space, one run after the other: (n_volumes of all, n_voxels)."""
        return np.concatenate(
            [smooth_space(run.volumes, run.grid, sigma) if sigma else run.volumes for run in self.runs]
        )

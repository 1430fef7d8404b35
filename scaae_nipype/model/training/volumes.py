"""Training volumes on disk: in-mask float16 arrays that many processes map and none loads, and when they were taken."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import IterableDataset

from ...errors import InputError, ModelError
from ...files import PathLike, read_table, replacing
from ...grid import Grid
from ...headers import header_repetition_time
from ..extraction.neighbours import seconds_of

__all__ = ["VolumeCache", "VolumeStream", "cache_run", "times_of", "write_cache"]

_AT_ONCE = 64
"""Volumes in memory while all are read."""


def cache_run(image: PathLike, samples: PathLike, grid: Grid, path: PathLike) -> Path:
    """Cache the kept volumes of a prepared run, and when they were taken, if the image's header tells.

    Parameters
    ----------
    image : path
        Prepared 4D image on `grid`.
    samples : path
        Its table of volumes, with a column ``kept``.
    path : path
        The array file to write.

    Raises
    ------
    InputError
        If image and table do not fit the grid or each other.
    """
    vectors = grid.read_vectors(image)
    kept = read_table(samples)["kept"].to_numpy(dtype=bool)
    if len(kept) != len(vectors):
        raise InputError(f"{samples}: has {len(kept)} rows for {len(vectors)} volumes of {image}.")
    return write_cache(vectors[kept], path, times_of(kept, header_repetition_time(image)))


def times_of(kept: np.ndarray, repetition_time: float | None) -> np.ndarray | None:
    """Give when the kept volumes of a run were taken, in s; None where its repetition time (s) is not known.

    >>> times_of(np.array([True, False, True]), 1.5), times_of(np.array([True]), 0)
    (array([0., 3.]), None)
    """
    return seconds_of(kept, repetition_time) if repetition_time else None


def write_cache(vectors: np.ndarray, path: PathLike, seconds: np.ndarray | None = None) -> Path:
    """Write the kept volumes of one run as a float16 array file; behind them, in the same file, their times.

    A z-score needs no more: half precision resolves 0.002 at 3 SD.

    Parameters
    ----------
    vectors : float array, (T, n_voxels)
    path : path
    seconds : float array, (T,), optional
        When each volume was taken, in s; by default that is not known.
    """
    with replacing(path) as temporary, Path(temporary).open("wb") as file:
        np.save(file, np.asarray(vectors, dtype=np.float16))
        if seconds is not None:
            np.save(file, np.asarray(seconds, dtype=np.float64))
    return Path(path)


def _times_in(path: PathLike, run: np.memmap) -> np.ndarray | None:
    """Read what stands in a file behind the volumes that are mapped from it."""
    with Path(path).open("rb") as file:
        file.seek(run.offset + run.nbytes)
        return np.asarray(np.load(file)) if file.peek(1) else None


@dataclass(frozen=True)
class VolumeCache:
    """The volumes of many runs, one array file each, mapped into memory."""

    runs: Sequence[np.ndarray]
    """float16, (T_run, n_voxels) each."""
    seconds: Sequence[np.ndarray | None]
    """When the volumes of each run were taken, (T_run,), in s; None where that is not known."""

    @classmethod
    def open(cls, paths: Sequence[PathLike], grid: Grid) -> VolumeCache:
        """Map array files written by `write_cache`.

        Raises
        ------
        ModelError
            If a file is damaged or not of this grid, or there is no volume at all.
        """
        runs: list[np.ndarray] = []
        seconds: list[np.ndarray | None] = []
        for path in paths:
            try:
                run = np.load(path, mmap_mode="r")
                times = _times_in(path, run)
            except (OSError, ValueError) as error:
                raise ModelError(f"{path}: cannot be read as cached volumes ({error}).") from error
            if run.ndim != 2 or run.shape[1] != grid.n_voxels:
                raise ModelError(f"{path}: holds {run.shape}, not volumes of {grid.n_voxels} voxels; remove the file.")
            if times is not None and times.shape != (len(run),):
                raise ModelError(f"{path}: holds {len(run)} volumes and times of {times.shape}; remove the file.")
            runs.append(run)
            seconds.append(times)
        if not sum(map(len, runs)):
            raise ModelError("There is no volume to train on; check which runs were prepared.")
        return cls(runs, seconds)

    def __len__(self) -> int:
        return sum(map(len, self.runs))

    def take(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Read volumes by their number over all runs: float32, (len(indices), n_voxels)."""
        ends = np.cumsum([len(run) for run in self.runs])
        rows = []
        for index in indices:
            run = int(np.searchsorted(ends, index, side="right"))
            rows.append(self.runs[run][index - (ends[run] - len(self.runs[run]))])
        return np.stack(rows).astype(np.float32)

    def sample(self, n: int) -> np.ndarray:
        """Read `n` volumes spread evenly over all runs (all of them, if there are fewer)."""
        return self.take(np.unique(np.linspace(0, len(self) - 1, min(n, len(self))).round().astype(int)))

    @property
    def checksum(self) -> str:
        """Of all volumes, in their order; reads them all."""
        digest = hashlib.blake2b(digest_size=16)
        for run in self.runs:
            for start in range(0, len(run), _AT_ONCE):
                digest.update(run[start : start + _AT_ONCE].tobytes())
        return digest.hexdigest()


class VolumeStream(IterableDataset[torch.Tensor]):
    """Batches in an order that depends on the seed and the step alone, so that training resumes exactly.

    Every epoch is another permutation of all volumes; batches run over its end into the next.

    Parameters
    ----------
    cache : VolumeCache
    batch_size : int
        Volumes per step over all processes.
    seed : int
    start : int
        First step.
    rank, world_size : int
        Which share of every batch this process takes.

    Examples
    --------
    >>> cache = VolumeCache([np.arange(6, dtype=np.float16)[:, None]], [None])
    >>> first = [next(iter(VolumeStream(cache, batch_size=4, seed=1, start=step))).ravel() for step in range(3)]
    >>> sorted(torch.cat(first).tolist()) == sorted(2 * list(range(6)))
    True
    """

    def __init__(
        self, cache: VolumeCache, *, batch_size: int, seed: int, start: int = 0, rank: int = 0, world_size: int = 1
    ):
        super().__init__()
        if batch_size % world_size:
            raise ModelError(f"A batch of {batch_size} volumes cannot be shared equally by {world_size} processes.")
        self.cache, self.batch_size, self.seed, self.start = cache, batch_size, seed, start
        self.rank, self.world_size = rank, world_size

    def indices(self, step: int) -> np.ndarray:
        """Give the volumes of a step over all processes, (batch_size,)."""
        positions = np.arange(step * self.batch_size, (step + 1) * self.batch_size)
        epochs, places = np.divmod(positions, len(self.cache))
        orders = {
            epoch: np.random.default_rng([self.seed, epoch]).permutation(len(self.cache)) for epoch in set(epochs)
        }
        return np.array([orders[epoch][place] for epoch, place in zip(epochs, places, strict=True)])

    def __iter__(self) -> Iterator[torch.Tensor]:
        step = self.start
        while True:
            mine = self.indices(step)[self.rank :: self.world_size]
            yield torch.from_numpy(self.cache.take(mine))
            step += 1

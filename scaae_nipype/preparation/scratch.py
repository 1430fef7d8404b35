"""The voxels-by-time matrix of a run, in memory or in a file that memory is lent from."""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Callable, Iterator

import numpy as np

from ..files import PathLike, reserve

__all__ = ["BLOCK", "blocks", "nothing", "zeros"]

BLOCK = 32
"""Rows that are used between two releases."""


def nothing() -> None:
    """Release nothing: arrays in memory stay there."""


def blocks(n_rows: int) -> Iterator[slice]:
    """Cut rows into blocks of `BLOCK`.

    >>> list(blocks(40))
    [slice(0, 32, None), slice(32, 40, None)]
    """
    return (slice(start, min(start + BLOCK, n_rows)) for start in range(0, n_rows, BLOCK))


def zeros(shape: tuple[int, int], folder: PathLike | None = None) -> tuple[np.ndarray, Callable[[], None]]:
    """Make a float32 array of zeros.

    Parameters
    ----------
    shape : tuple of int
    folder : path, optional
        Where a file may hold the array, so that the process's memory does not grow with it. The file has no name and
        is gone with the array. By default the array is in memory.

    Returns
    -------
    array : float32 array
    release : callable
        Gives the memory of the parts that were used so far back to the system; what was written stays readable.

    Raises
    ------
    OSError
        If the folder's disk has no room.

    Examples
    --------
    >>> array, release = zeros((2, 3), tempfile.gettempdir())
    >>> array[1] = 7
    >>> release()
    >>> array[1]
    array([7., 7., 7.], dtype=float32)
    """
    if folder is None:
        return np.zeros(shape, dtype=np.float32), nothing
    n_bytes = 4 * shape[0] * shape[1]
    with tempfile.TemporaryFile(dir=os.fspath(folder), prefix=".voxels-") as file:
        reserve(file.fileno(), n_bytes)
        mapping = mmap.mmap(file.fileno(), n_bytes)  # keeps the file after it is closed
    return np.frombuffer(mapping, dtype=np.float32).reshape(shape), lambda: mapping.madvise(mmap.MADV_DONTNEED)

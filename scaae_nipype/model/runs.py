"""What a model reads and is fitted to: a run on its grid, as the preparation gives it, as an image or as an array."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from ..errors import GridError, InputError, ModelError
from ..grid import Grid
from ..headers import header_repetition_time
from ..images import ImageLike

__all__ = ["Prepared", "RunLike", "Volumes", "volumes_of"]


@runtime_checkable
class Prepared(Protocol):
    """A prepared run, as `prepare_run` gives it."""

    @property
    def data(self) -> np.ndarray:
        """Volumes, (T, n_voxels)."""

    @property
    def grid(self) -> Grid:
        """The voxels."""

    @property
    def region(self) -> np.ndarray:
        """The evaluation region: bool, (n_voxels,)."""

    @property
    def kept(self) -> np.ndarray:
        """Volumes that count: bool, (T,)."""

    @property
    def repetition_time(self) -> float:
        """In s."""


@dataclass(frozen=True, eq=False)
class Volumes:
    """The kept volumes of a run."""

    vectors: np.ndarray
    """float32, (n_kept, n_voxels)."""
    kept: np.ndarray
    """bool, (T,)."""
    region: np.ndarray
    """bool, (n_voxels,)."""
    repetition_time: float
    """In s; 0 where it is not known."""


RunLike = Prepared | Volumes | ImageLike | np.ndarray
"""A prepared run, or its kept volumes; or a z-scored 4D image on the model's grid or array (T, n_voxels), 0 where there
are no data."""


def volumes_of(run: RunLike, grid: Grid) -> Volumes:
    """Take the kept volumes of a run, whatever it comes as.

    Of an image or an array, volumes that are 0 everywhere were not kept, and voxels that always are lie outside.

    Raises
    ------
    ModelError
        If the run lies on another grid.
    InputError
        If the image cannot be read, or no volume is kept.
    """
    if isinstance(run, Volumes):
        return run
    try:
        if isinstance(run, Prepared):
            if run.grid.checksum != grid.checksum:
                raise GridError("the voxels of the run are not those of the model")
            data, kept, region, repetition_time = run.data, run.kept, run.region, run.repetition_time
        else:
            data = grid.as_vectors(run)
            kept, region = np.asarray(data.any(axis=1)), np.asarray(data.any(axis=0))
            repetition_time = 0.0 if isinstance(run, np.ndarray) else header_repetition_time(run) or 0.0
    except GridError as error:
        raise ModelError(
            f"The run lies on another grid than the model; prepare it with the model's ({error})."
        ) from error
    if not kept.any():
        raise InputError("No volume of the run is kept.")
    return Volumes(data if kept.all() else data[kept], kept, region, repetition_time)

"""The model-ready run, in memory and as four standard files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
import pandas as pd

from ..errors import InputError
from ..files import PathLike, read_json, read_table, write_json, write_table
from ..grid import Grid
from ..images import write_image
from .scratch import nothing
from .stream import write_volumes

__all__ = ["PreparedFiles", "PreparedRun", "read_prepared", "write_prepared"]


@dataclass(frozen=True, eq=False)
class PreparedRun:
    """A run on the model's grid, clean and z-scored.

    Parameters
    ----------
    data : float32 array, (T, grid.n_voxels)
        0 outside the region and at volumes that were not kept.
    region : bool array, (grid.n_voxels,)
        The evaluation region.
    samples : DataFrame
        T rows: ``volume``, ``kept``, ``dummy``, ``censored`` (1 or 0), ``framewise_displacement`` (mm).
    repetition_time : float
        In s.
    metadata : dict
        What was done, ready for JSON.
    grid : Grid
        The model's.
    release : callable
        Lends memory back where a file holds `data` (`prepare_run` with a scratch folder); does nothing otherwise.
    """

    data: np.ndarray
    region: np.ndarray
    samples: pd.DataFrame
    repetition_time: float
    metadata: dict[str, Any]
    grid: Grid
    release: Callable[[], None] = field(default=nothing, repr=False)

    @property
    def kept(self) -> np.ndarray:
        """Volumes that are neither dummy nor censored: bool, (T,)."""
        kept: np.ndarray = self.samples["kept"].to_numpy() == 1
        return kept

    def to_image(self) -> nib.Nifti1Image:
        """Give the volumes as a 4D image (int16 with a slope)."""
        return self.grid.image(self.data, self.repetition_time)


class PreparedFiles(NamedTuple):
    """Where a prepared run lies."""

    out_file: Path
    out_mask: Path
    out_samples: Path
    out_metadata: Path

    @classmethod
    def in_folder(cls, folder: PathLike) -> PreparedFiles:
        """Name the files of a folder."""
        names = ("prepared_bold.nii.gz", "prepared_mask.nii.gz", "prepared_samples.tsv", "prepared_metadata.json")
        return cls(*(Path(folder).resolve() / name for name in names))


def write_prepared(run: PreparedRun, folder: PathLike) -> PreparedFiles:
    """Write a prepared run into a folder: 4D image (int16 with slope), region, samples table, metadata."""
    files = PreparedFiles.in_folder(folder)
    write_volumes(files.out_file, run.data, run.grid, run.repetition_time, run.release)
    write_image(run.grid.image(run.region), files.out_mask)
    write_table(run.samples, files.out_samples)
    write_json(run.metadata, files.out_metadata)
    return files


def read_prepared(files: PreparedFiles, *, grid: Grid) -> PreparedRun:
    """Read a prepared run.

    Raises
    ------
    InputError
        If a file is unreadable, lies on another grid, or the table does not fit the image.
    """
    data = grid.read_vectors(files.out_file)
    samples = read_table(files.out_samples)
    if len(samples) != len(data):
        raise InputError(f"{files.out_samples}: has {len(samples)} rows for {len(data)} volumes.")
    metadata = read_json(files.out_metadata)
    return PreparedRun(
        data=data,
        region=grid.read_vectors(files.out_mask) > 0,
        samples=samples,
        repetition_time=float(metadata["RepetitionTime"]),
        metadata=metadata,
        grid=grid,
    )

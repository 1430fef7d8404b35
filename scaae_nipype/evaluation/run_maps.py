"""What is evaluated of a run: its maps over the voxels of its region, and the templates there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..errors import InputError
from ..files import PathLike, as_numbers, read_table
from ..grid import Grid, load_grid
from ..headers import repetition_time_of
from ..options import Evaluation
from .templates.loading import load_templates
from .templates.template_set import TemplateSet, coverage

__all__ = ["RunMaps", "read_run_maps", "read_volumes", "run_templates"]


@dataclass(frozen=True, eq=False)
class RunMaps:
    """What is evaluated of a run, over the voxels of its evaluation region."""

    region: Grid
    kept: np.ndarray
    """Volumes that count: bool, (n_volumes,)."""
    repetition_time: float
    """In s."""
    fbn: Mapping[str, np.ndarray]
    """From ``fbn1``, ``fbn2`` … to maps after equation 9: float32, (n_volumes, n_voxels)."""
    volume: np.ndarray
    """The prepared run, z-scored: float32, (n_volumes, n_voxels)."""
    framewise_displacement: np.ndarray | None = None
    """In mm, (n_volumes,), NaN where it is not known; None where the table of samples does not have it."""


def read_run_maps(
    fbn_maps: Sequence[PathLike],
    in_file: PathLike,
    in_mask: PathLike,
    in_samples: PathLike,
    *,
    num_threads: int = 1,
) -> RunMaps:
    """Read the files that preparation and extraction wrote for one run.

    Parameters
    ----------
    fbn_maps : paths
        4D image per branch, after equation 9.
    in_file : path
        The prepared run.
    in_mask : path
        The evaluation region.
    in_samples : path
        Table with a row per volume and a column ``kept``.
    num_threads : int
        Images that are read side by side.

    Raises
    ------
    InputError
        If a file cannot be read, the numbers of volumes differ, no volume is kept or the repetition time is missing.
    """
    region = load_grid(in_mask)
    samples = read_table(in_samples)
    if "kept" not in samples:
        raise InputError(f"{in_samples}: has no column 'kept'.")
    kept = samples["kept"].to_numpy() == 1
    if not kept.any():
        raise InputError(f"{in_samples}: no volume of the run is kept; nothing can be evaluated.")
    with ThreadPoolExecutor(num_threads) as pool:
        volume, *maps = pool.map(lambda path: read_volumes(path, region, len(kept)), [in_file, *fbn_maps])
    fbn = {f"fbn{number}": own for number, own in enumerate(maps, start=1)}
    moved = None
    if "framewise_displacement" in samples:
        moved = as_numbers(samples["framewise_displacement"]).to_numpy(dtype=float)
    return RunMaps(region, kept, repetition_time_of(in_file), fbn, volume, moved)


def read_volumes(path: PathLike, region: Grid, count: int) -> np.ndarray:
    """Read a 4D image with the run's number of volumes: (n_volumes, n_voxels).

    Raises
    ------
    InputError
        If it cannot be read or has another number of volumes.
    """
    volumes = region.read_vectors(path)
    found = len(volumes) if volumes.ndim == 2 else 1
    if found != count:
        raise InputError(f"{path}: has {found} volumes, but the run's table of samples has {count} rows.")
    return volumes


def run_templates(
    run: RunMaps,
    spec: PathLike,
    *,
    labels: PathLike | None,
    kind: str = Evaluation.template_kind,
    what: Literal["template", "atlas"] = "template",
    grid_mask: PathLike | None,
    in_mask: PathLike,
) -> tuple[TemplateSet, np.ndarray]:
    """Load templates on the model's grid and cut them to the region of a run.

    Parameters
    ----------
    run : RunMaps
    spec, labels, kind, what : as for `load_templates`
    grid_mask : path, optional
        The model's brain mask; the shipped one by default.
    in_mask : path
        The region's file, for the error message.

    Returns
    -------
    templates : TemplateSet
        Inside the region.
    coverage : float array, (n_templates,)

    Raises
    ------
    InputError, UsageError
    """
    whole = load_templates(spec, grid=load_grid(grid_mask), labels=labels, kind=kind, what=what)
    try:
        return whole.inside(run.region), coverage(whole, run.region)
    except InputError as error:
        raise InputError(f"{in_mask}: {error}") from error

"""One prepared run in, its networks and tables out: files on both sides."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ...errors import GridError, InputError, ModelError
from ...files import PathLike, read_table, write_json, write_table
from ...headers import repetition_time_of
from ...images import read_image, write_image
from ...maps import BRANCHES, THRESHOLD
from ...options import Training
from ...progress import Progress, silent
from ..runs import Volumes
from ..weights import Model, load_model
from .extractor import extract_networks, resolve_device

__all__ = ["ExtractedFiles", "check_same_maps", "extract_run"]

_SAME = 1e-4
"""Difference of FBN values (0 to 1) that rounding leaves: three steps of their 16-bit integers."""


class ExtractedFiles(NamedTuple):
    """Files with the networks of a run: see `extract_run`."""

    fbn_maps: list[Path]
    signed_maps: list[Path]
    channel_weights: Path
    code: Path
    metadata: Path


def extract_run(
    in_file: PathLike,
    in_mask: PathLike,
    in_samples: PathLike,
    model_dir: PathLike,
    *,
    out_dir: PathLike,
    save_signed: bool = False,
    device: str = Training.device,
    name: str | None = None,
    progress: Progress = silent,
) -> ExtractedFiles:
    """Extract the networks of a prepared run and write them with their tables.

    Parameters
    ----------
    in_file, in_mask, in_samples : path
        The run, its evaluation region and its table of volumes, as `PrepareRun` writes them.
    model_dir : path
    out_dir : path
    save_signed : bool
        Also write the maps before equation 9.
    device : str
    name : str, optional
        What the progress calls the run; default: the file's name.
    progress : Progress
        Counts volumes.

    Returns
    -------
    fbn_maps, signed_maps : list of Path
        4D image per branch, after equation 9 and before (no entries unless asked for).
    channel_weights, code : Path
        Tables with a row per volume.
    metadata : Path
        JSON: the model, sign and density of the branches.

    Raises
    ------
    ModelError
        If the model is damaged or made for another grid than the run.
    InputError
        If the run's files do not fit each other, or the model looks at neighbours in time and the repetition time is
        not known.
    """
    out_dir = Path(out_dir)
    model = load_model(model_dir)
    run = _read(in_file, in_mask, in_samples, model, model_dir)
    where = resolve_device(device)
    with progress(f"Networks of {name or Path(in_file).name}", int(run.kept.sum()), "volume") as advance:
        networks = extract_networks(model, run, device=where, progress=advance)
    inside = np.ix_(run.kept, run.region)
    fbn_maps, signed_maps, branches = [], [], []
    for branch, known in zip(BRANCHES, model.card.get("Branches", [{}, {}]), strict=True):
        maps = networks.maps(branch)
        branches.append({**known, "MeanDensity": float((maps[inside] > THRESHOLD).mean())})
        fbn_maps.append(write_image(model.grid.image(maps, run.repetition_time), out_dir / f"{branch}.nii.gz"))
        if save_signed:
            signed_maps.append(write_image(networks.to_image(branch, signed=True), out_dir / f"{branch}signed.nii.gz"))
    card = model.card
    metadata = {
        "ModelName": card.get("Name"),
        "ModelChecksum": card["WeightsSHA256"],
        "Preset": card["Preset"],
        "Mode": card.get("Mode"),
        "Precision": networks.precision,
        "TimeWidth": networks.time_width,
        "Device": where.type,
        "Undertrained": card.get("Training", {}).get("Undertrained"),
        "Branches": branches,
        "ChannelWeightRange": [networks.channel_weights.min(), networks.channel_weights.max()],
    }
    return ExtractedFiles(
        fbn_maps,
        signed_maps,
        write_table(_per_volume(networks.channel_weights, run.kept, "channel"), out_dir / "channel_weights.tsv"),
        write_table(_per_volume(networks.codes, run.kept, "code"), out_dir / "code.tsv"),
        write_json(metadata, out_dir / "networks.json"),
    )


def _read(in_file: PathLike, in_mask: PathLike, in_samples: PathLike, model: Model, model_dir: PathLike) -> Volumes:
    try:
        vectors = model.grid.read_vectors(in_file)
        region = model.grid.read_vectors(in_mask) > 0
    except GridError as error:
        raise ModelError(f"{model_dir}: is made for another grid; prepare the run with this model ({error})") from error
    kept = read_table(in_samples)["kept"].to_numpy(dtype=bool)
    if len(kept) != len(vectors) or not kept.any():
        raise InputError(
            f"{in_samples}: marks {kept.sum()} of {len(kept)} volumes as kept; the run has {len(vectors)}."
        )
    return Volumes(vectors if kept.all() else vectors[kept], kept, region, repetition_time_of(in_file))


def _per_volume(values: np.ndarray, kept: np.ndarray, prefix: str) -> pd.DataFrame:
    """Make a table with one row for every volume of the run, empty where it was not kept."""
    rows = np.full((len(kept), values.shape[1]), np.nan)
    rows[kept] = values
    table = pd.DataFrame(rows, columns=[f"{prefix}{number:02d}" for number in range(1, values.shape[1] + 1)])
    table.insert(0, "kept", kept.astype(int))
    return table


def check_same_maps(made: PathLike, there: PathLike) -> None:
    """See that an FBN image that was made again is the one that is there, up to rounding.

    Raises
    ------
    InputError
        If it is another one, or cannot be read.
    """
    (new, _), (old, _) = read_image(made), read_image(there)
    if new.shape != old.shape:
        raise InputError(f"{there}: has the shape {old.shape}; extracted again, it is {new.shape}.")
    difference = float(np.abs(new - old).max())
    if not difference <= _SAME:
        raise InputError(
            f"{Path(there).name}: extracted again with the same model, the networks differ by up to {difference:.2g} "
            "from those that are there (another processor or precision?), which stay as they are. Compute this on a "
            "machine like the one that made them, or remove this run's outputs and its record to have all made anew."
        )

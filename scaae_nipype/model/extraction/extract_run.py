"""One prepared run in, its networks and tables out: files on both sides."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from ...errors import GridError, InputError, ModelError
from ...files import read_table, write_json, write_table
from ...headers import repetition_time_of
from ...images import read_image, write_image
from ...maps import THRESHOLD, scale
from ..weights import load_model
from .extractor import extract_networks, resolve_device

__all__ = ["check_same_maps", "extract_run"]

_SAME = 1e-4
"""Difference of FBN values (0 to 1) that rounding leaves: three steps of their 16-bit integers."""


def extract_run(
    in_file: str | os.PathLike,
    in_mask: str | os.PathLike,
    in_samples: str | os.PathLike,
    model_dir: str | os.PathLike,
    *,
    out_dir: str | os.PathLike,
    save_signed: bool = False,
    device: str = "auto",
    name: str | None = None,
) -> dict[str, Any]:
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
        What the progress bar calls the run; default: the file's name.

    Returns
    -------
    dict
        Paths by the names of `ExtractNetworks`' outputs.

    Raises
    ------
    ModelError
        If the model is damaged or made for another grid than the run.
    InputError
        If the run's files do not fit each other.
    """
    out_dir = Path(out_dir)
    model = load_model(model_dir)
    grid = model.grid
    try:
        vectors = grid.read_vectors(in_file)
        region = grid.read_vectors(in_mask) > 0
    except GridError as error:
        raise ModelError(f"{model_dir}: is made for another grid; prepare the run with this model ({error})") from error
    kept = read_table(in_samples)["kept"].to_numpy(dtype=bool)
    if len(kept) != len(vectors) or not kept.any():
        raise InputError(
            f"{in_samples}: marks {kept.sum()} of {len(kept)} volumes as kept; the run has {len(vectors)}."
        )
    repetition_time = repetition_time_of(in_file)
    where = resolve_device(device)
    title = f"Networks of {name or Path(in_file).name}"
    with tqdm(total=int(kept.sum()), desc=title, unit="volume", mininterval=1.0, file=sys.stderr) as bar:
        networks = extract_networks(vectors[kept], model, device=where, progress=bar.update)
    outputs: dict[str, Any] = {"fbn_maps": [], "signed_maps": []}
    densities = []
    for branch, signed in enumerate(networks.signed, start=1):
        maps = np.zeros_like(vectors)
        maps[np.ix_(kept, region)] = scale(signed[:, region])
        densities.append(float((maps[np.ix_(kept, region)] > THRESHOLD).mean()))
        outputs["fbn_maps"].append(str(write_image(grid.image(maps, repetition_time), out_dir / f"fbn{branch}.nii.gz")))
        if save_signed:
            maps[np.ix_(kept, region)] = signed[:, region]
            place = out_dir / f"fbn{branch}signed.nii.gz"
            outputs["signed_maps"].append(str(write_image(grid.image(maps, repetition_time), place)))
    for key, prefix, values in (
        ("channel_weights", "channel", networks.channel_weights),
        ("codes", "code", networks.codes),
    ):
        outputs[key] = str(write_table(_per_volume(values, kept, prefix), out_dir / f"{key}.tsv"))
    card = model.card
    branches = card.get("Branches", [{}, {}])
    metadata = {
        "ModelName": card.get("Name"),
        "ModelChecksum": card["WeightsSHA256"],
        "Preset": card["Preset"],
        "Mode": card.get("Mode"),
        "Precision": card.get("Precision"),
        "Device": where.type,
        "Undertrained": card.get("Training", {}).get("Undertrained"),
        "Branches": [{**branch, "MeanDensity": density} for branch, density in zip(branches, densities, strict=True)],
        "ChannelWeightRange": [networks.channel_weights.min(), networks.channel_weights.max()],
    }
    outputs["out_metadata"] = str(write_json(metadata, out_dir / "networks.json"))
    return outputs


def _per_volume(values: np.ndarray, kept: np.ndarray, prefix: str) -> pd.DataFrame:
    """Make a table with one row for every volume of the run, empty where it was not kept."""
    rows = np.full((len(kept), values.shape[1]), np.nan)
    rows[kept] = values
    table = pd.DataFrame(rows, columns=[f"{prefix}{number:02d}" for number in range(1, values.shape[1] + 1)])
    table.insert(0, "kept", kept.astype(int))
    return table


def check_same_maps(made: str | os.PathLike, there: str | os.PathLike) -> None:
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

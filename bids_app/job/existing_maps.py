"""The maps of a run that are there already: whether they are whole, and still of that run."""

from __future__ import annotations

import filecmp
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ...derivatives.names import node_name, output_path
from ...errors import InputError
from ...files import read_json, write_json
from ...images import read_image
from ...maps import BRANCHES
from ..settings.settings import Settings
from .model_store import StoredModel

__all__ = ["check_same_run", "fbn_paths", "find_signed_maps", "output_id", "restore_metadata"]


def output_id(output_dir: Path) -> str:
    """Name an output dataset in the work folder, by where it lies."""
    return hashlib.sha256(os.fsencode(output_dir)).hexdigest()[:8]


def fbn_paths(output_dir: Path, entities: Mapping[str, str]) -> list[Path]:
    """Give the places of a run's FBNs in an output dataset."""
    return [output_dir / output_path(entities, branch) for branch in BRANCHES]


def find_signed_maps(
    settings: Settings, entities: Mapping[str, str], stem: str, model: StoredModel, *, is_certain: bool = True
) -> list[Path] | None:
    """Find a run's maps before equation 9: in the output dataset, or where their extraction wrote them.

    None where they were not kept. To be certain, it is seen byte for byte that maps in the work folder belong to those
    in the output dataset; for a plan, their sizes say enough.
    """
    there = [settings.output_dir / output_path(entities, f"{branch}_signed") for branch in BRANCHES]
    if all(path.is_file() for path in there):
        return there
    fbn = fbn_paths(settings.output_dir, entities)
    # Whatever made them, the same maps after equation 9 beside them say what they are.
    steps = f"*-{output_id(settings.output_dir)}/*_{model.checksum[:8]}_wf/{node_name(stem)}/networks_wf/extract"
    for folder in sorted(settings.work_dir.glob(steps)):
        own, signed = ([folder / f"{branch}{end}.nii.gz" for branch in BRANCHES] for end in ("", "signed"))
        if all(path.is_file() for path in (*own, *signed, *fbn)) and all(
            a.stat().st_size == b.stat().st_size and (not is_certain or filecmp.cmp(a, b, shallow=False))
            for a, b in zip(own, fbn, strict=True)
        ):
            return signed
    return None


def check_same_run(output_dir: Path, entities: Mapping[str, str], *, region: str, samples: str) -> None:
    """See that a run that was prepared once more (`region`, `samples`) has those of the maps that are there.

    Raises
    ------
    InputError
        If it has others, or a file cannot be read.
    """
    there = output_dir / output_path(entities, "region")
    (old, _), (new, _) = read_image(there), read_image(region)
    table = output_dir / output_path(entities, "samples")
    if not np.array_equal(old, new) or table.read_bytes() != Path(samples).read_bytes():
        raise InputError(
            "prepared once more, the run has another region or other volumes than the maps that are there, which stay "
            "as they are. Remove this run's outputs and its record to have all made anew."
        )


def restore_metadata(output_dir: Path, entities: Mapping[str, str], folder: Path) -> Path:
    """Write what the extraction said about itself, as the sidecar of the maps has kept it, into a file.

    Raises
    ------
    InputError
        If the sidecar is missing or damaged.
    """
    beside = output_dir / output_path(entities, BRANCHES[0], ".json")
    account = read_json(beside).get("Model")
    if not isinstance(account, dict):
        raise InputError(f"{beside}: says nothing about the model; remove it, and the run is done again.")
    return write_json(account, folder / f"{beside.name.partition('_desc-')[0]}_networks.json")

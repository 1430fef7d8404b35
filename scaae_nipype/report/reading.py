"""What an output dataset says about a participant: its runs, their tables, sidecars and images."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd

from ..errors import InputError, UsageError
from ..files import read_json, read_table
from ..grid import Grid, load_grid
from ..names import output_path, outputs, run_stem

__all__ = ["BRANCHES", "THRESHOLD", "Networks", "Run", "find_runs", "model_card", "model_folder"]

BRANCHES = ("fbn1", "fbn2")
"""Meanings, in the registry of names, of the two branches' networks."""

THRESHOLD = 0.3
"""An FBN is drawn and counted where it exceeds this share of its range (the paper's threshold)."""


@dataclass(frozen=True, eq=False)
class Networks:
    """What the report needs of one 4D FBN image.

    Parameters
    ----------
    affine : float array, (4, 4)
        Voxel to world, in mm.
    volumes : mapping
        Volume number to float32 array (X, Y, Z), of the volumes that were asked for.
    density : float array, (T,)
        Share of the evaluation region above the threshold, NaN where the volume is empty.
    """

    affine: np.ndarray
    volumes: Mapping[int, np.ndarray]
    density: np.ndarray


@dataclass(frozen=True, eq=False)
class Run:
    """One run of the output dataset; everything is read when it is asked for.

    Parameters
    ----------
    root : Path
        The output dataset.
    entities : mapping
        Entities of the run by their short keys, without ``res`` and ``desc``.
    """

    root: Path
    entities: Mapping[str, str]
    _cache: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    @property
    def stem(self) -> str:
        """What all file names of the run begin with."""
        return run_stem(self.entities)

    @property
    def title(self) -> str:
        """The stem without the participant, or "the only run" where nothing else distinguishes it."""
        return self.stem.partition("_")[2] or "the only run"

    def path(self, meaning: str, extension: str | None = None) -> Path:
        """Where the file of a meaning lies, whether it exists or not."""
        return self.root / output_path(self.entities, meaning, extension)

    def has(self, meaning: str) -> bool:
        """Tell whether the file of a meaning exists."""
        return self.path(meaning).is_file()

    def table(self, meaning: str, columns: Iterable[str] = ()) -> pd.DataFrame:
        """Read a table of the run once.

        Raises
        ------
        InputError
            If the table is missing, unreadable, or lacks one of `columns`.
        """
        path = self.path(meaning)
        if meaning not in self._cache:
            self._cache[meaning] = read_table(path)
        table: pd.DataFrame = self._cache[meaning]
        missing = [column for column in columns if column not in table.columns]
        if missing:
            raise InputError(f"{path.name}: lacks the column(s) {', '.join(missing)}.")
        return table

    def sidecar(self, meaning: str) -> dict[str, Any]:
        """Read the sidecar of a meaning; an empty one where it is missing or damaged."""
        key = f"{meaning}.json"
        if key not in self._cache:
            try:
                self._cache[key] = read_json(self.path(meaning, ".json"))
            except InputError:
                self._cache[key] = {}
        content: dict[str, Any] = self._cache[key]
        return content

    def _from_sidecars(self, key: str) -> dict[str, Any]:
        for meaning in outputs():
            content = self.sidecar(meaning).get(key)
            if isinstance(content, dict):
                return content
        return {}

    @cached_property
    def preparation(self) -> dict[str, Any]:
        """How the run was prepared, as the sidecars tell it."""
        return self._from_sidecars("Preparation")

    @cached_property
    def model(self) -> dict[str, Any]:
        """Which model made the networks and what it said about itself, as the sidecars tell it."""
        return self._from_sidecars("Model")

    @property
    def branches(self) -> list[dict[str, Any]]:
        """Sign, agreement and mean density of each branch, as far as known."""
        return [branch for branch in self.model.get("Branches") or [] if isinstance(branch, dict)]

    @cached_property
    def repetition_time(self) -> float | None:
        """In s; None where no sidecar and no header knows it."""
        candidates = [self.sidecar(meaning).get("RepetitionTime") for meaning in BRANCHES]
        candidates.append(self.preparation.get("RepetitionTime"))
        for meaning in BRANCHES:
            if self.has(meaning):
                candidates.append(_header_repetition_time(self.path(meaning)))
        return next((float(value) for value in candidates if isinstance(value, int | float) and value > 0), None)

    @cached_property
    def region(self) -> Grid:
        """The evaluation region.

        Raises
        ------
        InputError
            If the mask is missing or damaged.
        """
        return load_grid(self.path("region"))

    @property
    def kept(self) -> np.ndarray:
        """Which volumes were used: bool, (T,).

        Raises
        ------
        InputError
            If there is no table to tell.
        """
        meaning = "samples" if self.has("samples") or not self.has("templateiou") else "templateiou"
        return self.table(meaning, ["kept"])["kept"].to_numpy() == 1

    def networks(self, branch: str, volumes: Iterable[int] = ()) -> Networks:
        """Read an FBN image volume by volume, so that long runs need little memory.

        Raises
        ------
        InputError
            If the image or the evaluation region is missing or damaged, or the image is not 4D.
        """
        path, wanted = self.path(branch), set(volumes)
        try:
            image = nib.load(path, keep_file_open=True)
            if len(image.shape) != 4:
                raise InputError(f"{path.name}: is not a 4D image.")
            if not self.region.matches(image):
                raise InputError(f"{path.name}: lies on another grid than {self.path('region').name}.")
            region = self.region.mask
            density, taken = np.full(image.shape[3], np.nan), {}
            for volume in range(image.shape[3]):
                values = np.asanyarray(image.dataobj[..., volume], dtype=np.float32)
                if values.any():
                    density[volume] = (values[region] > THRESHOLD).mean()
                if volume in wanted:
                    taken[volume] = values
        except (OSError, EOFError, ValueError, nib.filebasedimages.ImageFileError) as error:
            raise InputError(f"{path.name}: cannot be read as an image ({error}).") from error
        return Networks(image.affine, taken, density)


def _header_repetition_time(path: Path) -> float | None:
    try:
        zooms = nib.load(path).header.get_zooms()
    except (OSError, EOFError, ValueError, nib.filebasedimages.ImageFileError):
        return None
    return float(zooms[3]) if len(zooms) > 3 else None


def find_runs(output_dir: str | os.PathLike, participant: str) -> list[Run]:
    """Find the runs of a participant by the files that belong to the registry of names.

    Parameters
    ----------
    output_dir : path
        The output dataset.
    participant : str
        Label, with or without ``sub-``.

    Returns
    -------
    list of Run
        In the order of their names.

    Raises
    ------
    UsageError
        If the label cannot be one.
    InputError
        If there is no run.
    """
    root, label = Path(output_dir), participant.removeprefix("sub-")
    if not label or any(sign in label for sign in r"/\*?[]_"):
        raise UsageError(f"{participant!r} cannot be a participant label: give letters and digits only.")
    endings = tuple(
        f"desc-{entry['entities']['desc']}_{entry['suffix']}{entry['extension']}" for entry in outputs().values()
    )
    found: dict[str, Run] = {}
    for folder in (f"sub-{label}/func", f"sub-{label}/ses-*/func"):
        for path in sorted(root.glob(f"{folder}/sub-{label}_*")):
            if path.name.endswith(endings):
                run = Run(root, _entities(path.name))
                found.setdefault(run.stem, run)
    if not found:
        raise InputError(f"{root}: holds no outputs of participant {label}; run the participant level first.")
    return [found[stem] for stem in sorted(found)]


def _entities(name: str) -> dict[str, str]:
    pairs = (part.partition("-") for part in name.split("_")[:-1])
    return {key: value for key, _, value in pairs if key not in ("res", "desc")}


def model_folder(output_dir: str | os.PathLike, name: object) -> Path | None:
    """Give the folder of a model in the output dataset; None where it is not kept there."""
    if not isinstance(name, str) or Path(name).name != name:  # a name from a sidecar must not lead elsewhere
        return None
    folder = Path(output_dir) / "models" / name
    return folder if folder.is_dir() else None


def model_card(output_dir: str | os.PathLike, name: object) -> dict[str, Any]:
    """Read a model's card; an empty one where it is missing or damaged."""
    folder = model_folder(output_dir, name)
    try:
        return read_json(folder / "card.json") if folder else {}
    except InputError:
        return {}

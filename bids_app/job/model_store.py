"""The models of an output dataset: which one applies, and how one gets there without two jobs in each other's way."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...errors import ModelError
from ...files import read_json, replacing_folder, write_json
from ...grid import AFFINE, SHAPE
from ...model.folder import lacking, read_card
from ..engine.locks import Lock
from ..settings.configuration import configuration_hash, maps_of, model_checksum
from ..settings.settings import Settings

__all__ = ["ModelStore", "StoredModel", "check_model", "mismatches", "model_name"]


@dataclass(frozen=True)
class StoredModel:
    """A finished model in the output dataset."""

    folder: Path
    checksum: str  # SHA-256 of the weights
    card: dict[str, Any]

    @property
    def mask(self) -> Path:
        """Mask of the model's grid."""
        return self.folder / "mask.nii.gz"

    @property
    def training_runs(self) -> tuple[str, ...]:
        """Stems of the runs that trained it; none where the card does not list them (imported weights)."""
        runs = self.card.get("Training", {}).get("Runs")
        return tuple(runs) if isinstance(runs, list) else ()

    @property
    def lacking(self) -> tuple[str, ...]:
        """Baselines that it cannot give."""
        return lacking(self.card)

    @property
    def is_undertrained(self) -> bool:
        """Whether the card says so."""
        return bool(self.card.get("Training", {}).get("Undertrained"))


@dataclass(frozen=True)
class ModelStore:
    """The place of the one model of a configuration: ``OUT/models/<name>``."""

    output_dir: Path
    name: str
    may_be_damaged: bool = False  # a damaged model counts as none, because it is going to be replaced
    more_card: Mapping[str, Any] = field(default_factory=dict)  # a model whose card says otherwise counts as none

    @property
    def folder(self) -> Path:
        """Where the model is, or will be."""
        return self.output_dir / "models" / self.name

    def find(self) -> StoredModel | None:
        """Give the model, if it is there.

        Raises
        ------
        ModelError
            If its card is damaged.
        """
        if not (self.folder / "card.json").is_file():
            return None
        try:
            found = StoredModel(self.folder, model_checksum(self.folder), read_card(self.folder))
        except ModelError as error:
            if self.may_be_damaged:
                return None
            raise ModelError(f"{error} Give --retrain to replace it.") from error
        return found if all(found.card.get(key) == value for key, value in self.more_card.items()) else None

    def place(self, model_dir: Path) -> StoredModel:
        """Copy a model folder to its place, complete or not at all; one that is there is replaced.

        Raises
        ------
        ModelError
            If there is no room or no permission.
        """
        try:
            with replacing_folder(self.folder) as copy:
                shutil.copytree(model_dir, copy)
                if self.more_card:
                    write_json(read_json(copy / "card.json") | dict(self.more_card), copy / "card.json")
        except OSError as error:
            raise ModelError(f"{self.folder}: the model cannot be written ({error.strerror}).") from error
        found = self.find()
        assert found is not None
        return found

    def get(
        self,
        make: Callable[[], Path],
        *,
        replacing: str | None = None,
        say: Callable[[str], None] = print,
    ) -> StoredModel:
        """Give the model; make it if nobody has.

        Parameters
        ----------
        make : callable
            Makes a model folder; called by one job at a time, and only if it is needed.
        replacing : str, optional
            Checksum of the model that is not wanted any more. Another one that appears meanwhile is.
        say : callable
            Gets a line when this job waits for another.
        """
        with Lock(self.folder.parent / f".{self.name}.lock", "fitting the model").acquire(say) as lock:
            there = self.find()
            if there is not None and there.checksum != replacing:
                return there
            made = make()
            there = self.find() if lock.is_lost else None
            if there is not None and there.checksum != replacing:
                return there
            return self.place(made)


def check_model(folder: Path) -> None:
    """Load a model once, to see before anything else that it is whole and made for this grid.

    Raises
    ------
    ModelError
    """
    from ...model import load_model

    grid = load_model(folder).grid
    if grid.shape != SHAPE or abs(grid.affine - AFFINE).max() > 1e-3:
        raise ModelError(
            f"{folder}: is made for another grid ({' x '.join(map(str, grid.shape))} voxels); this version works on "
            f"the 4 mm MNI grid of {' x '.join(map(str, SHAPE))} voxels."
        )


def model_name(settings: Settings, maps: str, known: Mapping[str, Mapping[str, Any]]) -> str:
    """Name the model of a configuration, as that is called which an earlier version has left.

    That version took the hash of all settings in place of `maps`, the hash of those that change the maps: one of the
    configurations that are `known`, because the output dataset holds or has held them.
    """
    same = [digest for digest, content in known.items() if configuration_hash(maps_of(content)) == maps]
    names = [_name(settings, digest) for digest in (maps, *same)]
    models = settings.output_dir / "models"
    return next((name for name in names if (models / name / "card.json").is_file()), names[0])


def _name(settings: Settings, digest: str) -> str:
    """Name a model by what it is trained as, or by the folder it was given in."""
    if settings.model is None:
        return f"{settings.preset}-{settings.training.mode}-{digest[:8]}"
    given = re.sub(r"[^A-Za-z0-9.]+", "-", settings.model.name).strip("-.") or "model"
    return f"{given}-{digest[:8]}"


def mismatches(card: Mapping[str, Any], preparation: Mapping[str, Any]) -> list[str]:
    """Say where a run was prepared otherwise than what the model was fitted to.

    >>> mismatches({"Preparation": {"SmoothingFWHM": 6.0}}, {"SmoothingFWHM": 0.0})
    ['The model was fitted to data with SmoothingFWHM 6.0, this run has 0.0.']
    """
    trained = card.get("Preparation", {})
    found = [
        f"The model was fitted to data with {name} {trained[name]}, this run has {preparation[name]}."
        for name in ("SmoothingFWHM", "NuisanceStrategy", "HighPass", "LowPass", "Detrend")
        if name in trained and name in preparation and trained[name] != preparation[name]
    ]
    shortest, longest = card.get("RepetitionTimeRange") or (0.0, float("inf"))
    seconds = preparation.get("RepetitionTime", shortest)
    if not 0.99 * shortest <= seconds <= 1.01 * longest:
        found.append(
            f"The model was fitted to runs with repetition times of {shortest} to {longest} s, not {seconds} s."
        )
    return found

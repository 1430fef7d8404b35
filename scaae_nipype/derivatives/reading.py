"""What an output dataset says: the runs of a participant and the group, their tables, sidecars and images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from ..errors import InputError, UsageError
from ..files import PathLike, read_json, read_table
from ..grid import Grid, load_grid
from ..headers import header_repetition_time
from ..images import open_image, read_image, reading_image, values_of
from ..maps import BRANCHES, LABELS, THRESHOLD
from .names import group_path, output_path, outputs, participant_of, run_stem

__all__ = ["Group", "Networks", "Run", "find_runs", "is_inverted", "read_run"]


@dataclass(frozen=True, eq=False)
class Networks:
    """What the report needs of one 4D FBN image.

    Parameters
    ----------
    affine : float array, (4, 4)
        Voxel to world, in mm.
    volumes : mapping
        Volume number (or name of the state) to float32 array (X, Y, Z), of the volumes that were asked for.
    density : float array, (T,)
        Share of the evaluation region above the threshold, NaN where the volume is empty.
    """

    affine: np.ndarray
    volumes: Mapping[Any, np.ndarray]
    density: np.ndarray


@dataclass(frozen=True, eq=False)
class _Outputs(ABC):
    """Outputs of a run or of the group, by their names in the registry; each is read once, when it is asked for.

    `root` is the output dataset.
    """

    root: Path
    _cache: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    @abstractmethod
    def path(self, output: str, extension: str | None = None) -> Path:
        """Where the file of an output lies, whether it exists or not."""

    def has(self, output: str) -> bool:
        """Tell whether the file of an output exists."""
        return self.path(output).is_file()

    def table(self, output: str, columns: Iterable[str] = ()) -> pd.DataFrame:
        """Read a table once.

        Raises
        ------
        InputError
            If the table is missing, unreadable, or lacks one of `columns`.
        """
        path = self.path(output)
        if output not in self._cache:
            self._cache[output] = read_table(path)
        table: pd.DataFrame = self._cache[output]
        missing = [column for column in columns if column not in table.columns]
        if missing:
            raise InputError(f"{path.name}: lacks the column(s) {', '.join(missing)}.")
        return table

    def sidecar(self, output: str) -> dict[str, Any]:
        """Read the sidecar of an output; an empty one where it is missing or damaged."""
        key = f"{output}.json"
        if key not in self._cache:
            self._cache[key] = _read_or_empty(self.path(output, ".json"))
        content: dict[str, Any] = self._cache[key]
        return content

    def state_maps(self, branch: str) -> Networks:
        """Read the mean maps of the states of a branch, by the names of the states.

        Raises
        ------
        InputError
            If the image is missing or damaged, or its sidecar does not name its volumes.
        """
        path = self.path(f"{branch}_states")
        names = self.sidecar(f"{branch}_states").get("TemplateLabels")
        values, image = read_image(path)
        if not isinstance(names, list) or values.shape[3:] != (len(names),):
            raise InputError(f"{path.name}: its sidecar does not name its volumes (TemplateLabels).")
        volumes = {str(name): values[..., index] for index, name in enumerate(names)}
        return Networks(image.affine, volumes, np.empty(0))


@dataclass(frozen=True, eq=False)
class Group(_Outputs):
    """The group level's outputs in an output dataset."""

    title: ClassVar[str] = ""  # there is one

    def path(self, output: str, extension: str | None = None) -> Path:
        return self.root / group_path(output, extension)

    def everybody(self, output: str, columns: Iterable[str]) -> pd.DataFrame:
        """Give the lines of a table that are about all participants; raises as `table`."""
        table = self.table(output, ["column", "repetition_time", *columns])
        return table[table["column"] == "all"]

    @property
    def account(self) -> dict[str, Any]:
        """What was asked, left out and warned of, as the sidecars tell it."""
        account = self.sidecar("participants").get("Group")
        return account if isinstance(account, dict) else {}


@dataclass(frozen=True, eq=False)
class Run(_Outputs):
    """One run of the output dataset.

    Parameters
    ----------
    root : Path
        The output dataset.
    entities : mapping
        Entities of the run by their short keys, without ``res`` and ``desc``.
    title : str
        What the reader calls it: what tells it from the participant's other runs.
    """

    entities: Mapping[str, str]
    title: str

    @property
    def stem(self) -> str:
        """What all file names of the run begin with."""
        return run_stem(self.entities)

    def path(self, output: str, extension: str | None = None) -> Path:
        return self.root / output_path(self.entities, output, extension)

    def _from_sidecars(self, key: str) -> dict[str, Any]:
        for output in outputs():
            content = self.sidecar(output).get(key)
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

    @cached_property
    def model_folder(self) -> Path | None:
        """The model that made the networks, found by its checksum or name; None where the dataset does not keep it."""
        cards = sorted(self.root.glob("models/*/card.json"))
        for key, told in (("WeightsSHA256", "ModelChecksum"), ("Name", "ModelName")):
            for path in cards:
                if self.model.get(told) and _read_or_empty(path).get(key) == self.model[told]:
                    return path.parent
        return None

    @cached_property
    def card(self) -> dict[str, Any]:
        """The card of that model; empty where there is none.

        Otherwise "Training" is always an object in it, and "Branches" a list of objects.
        """
        card = _read_or_empty(self.model_folder / "card.json") if self.model_folder else {}
        if card:
            card["Training"] = card["Training"] if isinstance(card.get("Training"), dict) else {}
            card["Branches"] = _objects(card.get("Branches"))
        return card

    @property
    def branches(self) -> list[dict[str, Any]]:
        """Sign, agreement and mean density of each branch, as far as known."""
        return _objects(self.model.get("Branches"))

    @property
    def channel_limits(self) -> tuple[float, float] | None:
        """Lowest and highest channel weight, as the sidecars tell; None where they do not."""
        limits = self.model.get("ChannelWeightRange")
        if not isinstance(limits, list) or len(limits) != 2 or not all(isinstance(v, int | float) for v in limits):
            return None
        return float(limits[0]), float(limits[1])

    @property
    def branch_titles(self) -> list[str]:
        """Names of the branches, with what they mark where that is known by design."""
        marks = [str(branch.get("Marks", "")) for branch in self.branches] + [""] * len(BRANCHES)
        return [LABELS[name] + (f": {what}" if what else "") for name, what in zip(BRANCHES, marks, strict=False)]

    @cached_property
    def repetition_time(self) -> float | None:
        """In s; None where no sidecar and no header knows it."""
        candidates = [self.sidecar(branch).get("RepetitionTime") for branch in BRANCHES]
        candidates.append(self.preparation.get("RepetitionTime"))
        for branch in filter(self.has, BRANCHES):
            with suppress(InputError):
                candidates.append(header_repetition_time(self.path(branch)))
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
        output = "samples" if self.has("samples") or not self.has("template_iou") else "template_iou"
        return np.asarray(self.table(output, ["kept"])["kept"] == 1)

    def networks(self, branch: str, volumes: Iterable[int] = ()) -> Networks:
        """Read an FBN image once, volume by volume, so that long runs need little memory.

        Raises
        ------
        InputError
            If the image or the evaluation region is missing or damaged, or the image is not 4D.
        """
        path, wanted = self.path(branch), set(volumes)
        known: Networks | None = self._cache.get(branch)
        if known is not None and wanted <= set(known.volumes):
            return known
        with reading_image(path.name):
            image = open_image(path)
            if len(image.shape) != 4:
                raise InputError(f"{path.name}: is not a 4D image.")
            if not self.region.matches(image):
                raise InputError(f"{path.name}: lies on another grid than {self.path('region').name}.")
            region = self.region.mask
            density, taken = np.full(image.shape[3], np.nan), {}
            with values_of(image) as stored:
                for volume in range(image.shape[3]):
                    values = np.asanyarray(stored[..., volume], dtype=np.float32)
                    if values.any():
                        density[volume] = (values[region] > THRESHOLD).mean()
                    if volume in wanted:
                        taken[volume] = values
        networks = self._cache[branch] = Networks(image.affine, taken, density)
        return networks


def is_inverted(branch: Mapping[str, Any]) -> bool:
    """Tell whether a branch, of `Run.branches`, runs against its volumes and was left so (paper mode)."""
    return "Marks" not in branch and branch.get("Sign") == 1 and branch.get("MeasuredSign") == -1


def _read_or_empty(path: Path) -> dict[str, Any]:
    try:
        return read_json(path)
    except InputError:
        return {}


def find_runs(output_dir: PathLike, participant: str) -> list[Run]:
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
    found: dict[str, dict[str, str]] = {}
    for folder in (f"sub-{label}/func", f"sub-{label}/ses-*/func"):
        for path in sorted(root.glob(f"{folder}/sub-{label}_*")):
            if path.name.endswith(endings):
                entities = _entities(path.name)
                found[run_stem(entities)] = entities
    if not found:
        raise InputError(f"{root}: holds no outputs of participant {label}; run the participant level first.")
    runs = [found[stem] for stem in sorted(found)]
    return [Run(root, entities, _title(entities, runs)) for entities in runs]


def read_run(output_dir: PathLike, run: str) -> Run:
    """Read a run of an output dataset back: its tables, sidecars and images.

    Parameters
    ----------
    output_dir : path
        The output dataset.
    run : str
        What the names of its files begin with (``sub-01_task-rest_run-1``), or as much of it as tells it from the
        participant's other runs (``sub-01``).

    Raises
    ------
    UsageError
        If the participant has several such runs; they are named.
    InputError
        If there is none.
    """
    runs = find_runs(output_dir, participant_of(run))
    wanted = {part for part in run.split("_") if "-" in part}
    found = [one for one in runs if wanted <= set(one.stem.split("_"))]
    if not found:
        raise InputError(f"{output_dir}: holds no run {run}; there are {', '.join(one.stem for one in runs)}.")
    if len(found) > 1:
        raise UsageError(f"{run}: is one of {', '.join(one.stem for one in found)}; say which.")
    return found[0]


def _entities(name: str) -> dict[str, str]:
    pairs = (part.partition("-") for part in name.split("_")[:-1])
    return {key: value for key, _, value in pairs if key not in ("res", "desc")}


def _title(entities: Mapping[str, str], runs: Iterable[Mapping[str, str]]) -> str:
    """Name a run by its task and by what differs between the runs, in the order of BIDS."""
    different = {key for run in runs for key in {*entities, *run} if entities.get(key) != run.get(key)}
    parts = run_stem({key: value for key, value in entities.items() if key == "task" or key in different})
    return parts.replace("_", " ") or run_stem(entities)


def _objects(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []

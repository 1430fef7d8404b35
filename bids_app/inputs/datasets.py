"""Where the input lies: derivative datasets in or around the folder that was given, and the raw one."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import InputError, UsageError
from ...files import read_json
from .absence import what_is_there

__all__ = ["Dataset", "Datasets", "find_datasets", "has_bold", "is_dataset", "participants_of"]

PREPROCESSED = re.compile(r"_desc-(preproc|denoised\w*)_bold\.nii(\.gz)?$")
BOLD = re.compile(r"_bold\.nii(\.gz)?$")

DEEPEST, MOST_FOLDERS = 4, 2000
"""How far below the folder that was given a dataset is looked for, to name it in a message."""


@dataclass(frozen=True)
class Dataset:
    """A dataset root and the name it goes by (in ``DatasetLinks`` and in messages)."""

    name: str
    root: Path


@dataclass(frozen=True)
class Datasets:
    """The derivatives to read, in the order of preference, the raw dataset, if one is known, and remarks."""

    derivatives: tuple[Dataset, ...]
    raw: Path | None
    notes: tuple[str, ...] = ()


def find_datasets(
    bids_dir: str | os.PathLike[str], derivatives: Mapping[str, str | os.PathLike[str]] | None = None
) -> Datasets:
    """Find the derivative datasets with preprocessed BOLD.

    Parameters
    ----------
    bids_dir : path
        A derivative root itself, a raw root with ``derivatives/<pipeline>/`` inside, or a folder that is no dataset
        itself and holds derivative roots (``derivatives``).
    derivatives : mapping, optional
        Name to path of further roots. One without preprocessed BOLD that is not declared a derivative is taken as
        the raw dataset (for events).

    Raises
    ------
    UsageError
        If a folder is missing, or none holds preprocessed BOLD; the message says where it was looked for, and what is
        there instead.
    """
    top = _folder(bids_dir, "The input folder")
    _refuse_part(top)
    found, looked, raw = _from_top(top)
    notes = _notes_on_place(top, found)
    for name, path in (derivatives or {}).items():
        root = _folder(path, f"-d {name}")
        if _holds(root, PREPROCESSED) or (_is_derivative(root) and _holds(root, BOLD)):
            found.append(Dataset(name, root))
        elif raw is None and not _is_derivative(root):
            raw = root
        else:
            looked.append(root)
            notes.append(f"-d {name}: no preprocessed BOLD in {root}.")
    if not found:
        raise UsageError(_nothing_found(top, looked))
    return Datasets(tuple(_distinct(found)), raw or _raw_around(found), tuple(notes))


def _from_top(top: Path) -> tuple[list[Dataset], list[Path], Path | None]:
    """Look at the first positional: derivatives found, folders looked at, raw root."""
    if _holds(top, PREPROCESSED) or (_is_derivative(top) and _holds(top, BOLD)):
        return [Dataset(_name(top), top)], [top], None
    pipelines = sorted(path for path in top.glob("derivatives/*") if path.is_dir())
    folders = [*pipelines, top / "derivatives"]  # the last: participants right under derivatives/
    found = [path for path in folders if _holds(path, PREPROCESSED)]
    found = found or [path for path in pipelines if _is_derivative(path) and _holds(path, BOLD)]
    datasets = [Dataset(path.name, path) for path in found]
    if not found and not is_dataset(top):
        inside = sorted(path for path in top.glob("*") if path.is_dir() and _holds(path, PREPROCESSED))
        if inside:
            return [Dataset(_name(path), path) for path in inside], [top], None
    return datasets, [top, *pipelines], None if _is_derivative(top) else top


def is_dataset(folder: Path) -> bool:
    """Tell whether a folder is a dataset itself: it has a description, or participants."""
    return (folder / "dataset_description.json").exists() or any(folder.glob("sub-*"))


def _refuse_part(top: Path) -> None:
    """Refuse the folder of a participant, a session or of ``func`` for that of the dataset."""
    parts = [top, *top.parents][:3]
    participant = next((folder for folder in parts if re.fullmatch(r"sub-[^_]+", folder.name)), None)
    inner = [folder.name for folder in parts[: parts.index(participant)]] if participant else []
    if participant is None or not all(name == "func" or name.startswith("ses-") for name in inner):
        return
    if any(top.glob("sub-*/")) or not _holds(participant.parent, BOLD):
        return
    raise UsageError(
        f"{top} is a part of a dataset; give the dataset, {participant.parent}, with "
        f"--participant-label {participant.name.removeprefix('sub-')} if only this participant is meant."
    )


def _notes_on_place(top: Path, found: list[Dataset]) -> list[str]:
    """Say what was read where that is not the folder given, and which datasets inside it are not read."""
    if found and found[0].root == top:
        inside = [path for path in sorted(top.glob("derivatives/*")) if path.is_dir() and _holds(path, PREPROCESSED)]
        return [f"Not read: preprocessed BOLD in {path}; `-d {path.name}={path}` adds it." for path in inside]
    if found and not is_dataset(top):
        return [f"{top} is no dataset itself; those inside it are read."]
    return []


def _nothing_found(top: Path, looked: list[Path]) -> str:
    """Say that there is no preprocessed BOLD, what there is, and what would help."""
    empty = [root for root in looked if root.is_dir() and not any(root.iterdir())]
    hint = f" {empty[0]} is empty (a DataLad subdataset: `datalad get -n {empty[0]}`)." if empty else ""
    elsewhere = [str(root) for root in _deeper(top) if root not in looked]
    hint += f" There is some in {', '.join(elsewhere[:3])}: give that." if elsewhere else ""
    told = "".join(f" {text}" for root in looked if (text := what_is_there(root, is_derivative=_is_derivative(root))))
    return (
        f"No preprocessed BOLD (desc-preproc or desc-denoised) in {', '.join(map(str, looked))};"
        f" give the folder of fMRIPrep's output, or name it with -d NAME=PATH.{told}{hint}"
    )


def _deeper(top: Path) -> list[Path]:
    """Find datasets with preprocessed BOLD some levels below a folder, or around it."""
    level, seen, found = [top], 0, [path for path in list(top.parents)[:2] if _holds(path, PREPROCESSED)]
    for _ in range(DEEPEST):
        below = []
        for folder in level:
            try:
                below += [
                    path
                    for path in sorted(folder.iterdir())
                    if path.is_dir() and not path.is_symlink() and not path.name.startswith((".", "sub-"))
                ]
            except OSError:
                continue
        level = below[: MOST_FOLDERS - seen]
        seen += len(level)
        found += [path for path in level if _holds(path, PREPROCESSED)]
    return found


def _folder(path: str | os.PathLike[str], what: str) -> Path:
    folder = Path(path).absolute()
    if not folder.is_dir():
        raise UsageError(f"{what} {folder} does not exist or is no folder.")
    return folder


def _description(root: Path) -> dict[str, Any]:
    path = root / "dataset_description.json"
    return read_json(path) if path.exists() else {}


def _is_derivative(root: Path) -> bool:
    return _description(root).get("DatasetType") == "derivative"


def has_bold(root: Path, label: str) -> bool:
    """Tell whether a dataset has a BOLD file of a participant."""
    return any(
        BOLD.search(path.name)
        for pattern in ("func/*_bold.nii*", "ses-*/func/*_bold.nii*")
        for path in (root / f"sub-{label}").glob(pattern)
    )


def _holds(root: Path, kind: re.Pattern[str]) -> bool:
    """Look until the first BOLD file of a kind."""
    return any(
        kind.search(path.name)
        for pattern in ("sub-*/func/*_bold.nii*", "sub-*/ses-*/func/*_bold.nii*")
        for path in root.glob(pattern)
    )


def _name(root: Path) -> str:
    """Name a dataset after the program that made it (a mount point such as ``/data`` says nothing)."""
    generated_by = _description(root).get("GeneratedBy")
    first = generated_by[0] if isinstance(generated_by, list) and generated_by else {}
    name = str(first.get("Name") or root.name) if isinstance(first, dict) else root.name
    return re.sub(r"[^a-zA-Z0-9_.-]+", "-", name).strip("-").lower() or "input"


def _distinct(found: list[Dataset]) -> Iterator[Dataset]:
    """Drop roots given twice, and number names that two roots share."""
    roots: set[Path] = set()
    names: set[str] = {"raw"}
    for dataset in found:
        if dataset.root.resolve() in roots:
            continue
        roots.add(dataset.root.resolve())
        name, number = dataset.name, 2
        while name in names:
            name, number = f"{dataset.name}-{number}", number + 1
        names.add(name)
        yield Dataset(name, dataset.root)


def _raw_around(found: list[Dataset]) -> Path | None:
    """Find the raw dataset of a root that lies in its ``derivatives`` folder."""
    for dataset in found:
        around = dataset.root.parent.parent
        with suppress(InputError):  # a damaged description there is no reason not to read what lies here
            if dataset.root.parent.name == "derivatives" and _description(around) and not _is_derivative(around):
                return around
    return None


def participants_of(*roots: Path) -> list[str]:
    """List the participants that have a folder in one of these datasets, each once."""
    folders = (path for root in roots for path in root.glob("sub-*") if path.is_dir())
    return sorted({path.name.removeprefix("sub-") for path in folders if path.name.isprintable()})

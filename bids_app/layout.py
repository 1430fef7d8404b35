"""Where the input lies and which files it holds: dataset roots, and pybids' index of them."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import FileLock

from ..errors import UsageError
from ..files import read_json
from .metadata import BidsFile

__all__ = ["Dataset", "Datasets", "find_datasets", "list_files", "participant_labels"]

PREPROCESSED = re.compile(r"_desc-(preproc|denoised\w*)_bold\.nii(\.gz)?$")
BOLD = re.compile(r"_bold\.nii(\.gz)?$")
RELEVANT = r"func/[^/]+_(bold\.(nii|nii\.gz|dtseries\.nii|func\.gii)|mask\.(nii|nii\.gz)|(timeseries|regressors)\.tsv)"
"""What is indexed of a participant: each further file costs time."""


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


def find_datasets(bids_dir: str | os.PathLike, derivatives: Mapping[str, str | os.PathLike] | None = None) -> Datasets:
    """Find the derivative datasets with preprocessed BOLD.

    Parameters
    ----------
    bids_dir : path
        A derivative root itself, or a raw root with ``derivatives/<pipeline>/`` inside.
    derivatives : mapping, optional
        Name to path of further roots. One without preprocessed BOLD that is not declared a derivative is taken as
        the raw dataset (for events).

    Raises
    ------
    UsageError
        If a folder is missing, or none holds preprocessed BOLD; the message says where it was looked for.
    """
    top = _folder(bids_dir, "The input folder")
    found, looked, raw = _from_top(top)
    notes = []
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
        empty = [root for root in looked if root.is_dir() and not any(root.iterdir())]
        hint = f" {empty[0]} is empty (a DataLad subdataset: `datalad get -n {empty[0]}`)." if empty else ""
        raise UsageError(
            f"No preprocessed BOLD (desc-preproc or desc-denoised) in {', '.join(map(str, looked))};"
            f" give the folder of fMRIPrep's output, or name it with -d NAME=PATH.{hint}"
        )
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
    return datasets, [top, *pipelines], None if _is_derivative(top) else top


def _folder(path: str | os.PathLike, what: str) -> Path:
    folder = Path(path).absolute()
    if not folder.is_dir():
        raise UsageError(f"{what} {folder} does not exist or is no folder.")
    return folder


def _description(root: Path) -> dict[str, Any]:
    path = root / "dataset_description.json"
    return read_json(path) if path.exists() else {}


def _is_derivative(root: Path) -> bool:
    return _description(root).get("DatasetType") == "derivative"


def _holds(root: Path, kind: re.Pattern) -> bool:
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
        if dataset.root.parent.name == "derivatives" and _description(around) and not _is_derivative(around):
            return around
    return None


def participant_labels(root: Path) -> list[str]:
    """List the participants that have a folder."""
    return sorted(path.name.removeprefix("sub-") for path in root.glob("sub-*") if path.is_dir())


def list_files(
    root: Path,
    participants: Collection[str],
    database_dir: str | os.PathLike | None = None,
    *,
    reindex: bool = False,
) -> tuple[list[BidsFile], list[str]]:
    """Index the BOLD files, masks and tables of some participants with pybids.

    Only their ``func`` folders are walked, and no metadata is read, which keeps large datasets quick.

    Parameters
    ----------
    root : Path
    participants : collection of str
        Labels; all of them if empty.
    database_dir : path, optional
        Folder for pybids' index, one per root and choice of participants. An index is made anew when files were
        added or removed since, or when it cannot be read.
    reindex : bool
        Whether it is made anew in any case.

    Returns
    -------
    files : list of BidsFile
        Sorted by path; names that are not BIDS are left out.
    notes : list of str

    Raises
    ------
    UsageError
        If `database_dir` lies in the input, which is never written to.
    """
    labels = "|".join(map(re.escape, sorted(participants))) if participants else "[^/]+"
    ignore = re.compile(rf"^/(?!sub-({labels})(/ses-[^/]+)?(/func|/{RELEVANT})?$)")
    notes: list[str] = []
    if database_dir is None:
        paths = _index(root, ignore, None)
    else:
        paths, notes = _cached_index(root, ignore, Path(database_dir).absolute(), reindex)
    files = (BidsFile.parse(path) for path in sorted(paths))
    return [file for file in files if file is not None], notes


def _index(root: Path, ignore: re.Pattern, database: Path | None) -> list[str]:
    from bids.layout import BIDSLayout, BIDSLayoutIndexer

    _description(root)  # damaged JSON gets our message instead of pybids'
    indexer = BIDSLayoutIndexer(validate=False, index_metadata=False, ignore=[ignore])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The PipelineDescription field", category=UserWarning)
        layout = BIDSLayout(root, validate=False, is_derivative=True, indexer=indexer, database_path=database)
    try:
        return [str(path) for path in layout.files]
    finally:
        layout.connection_manager.session.close()
        layout.connection_manager.engine.dispose()


def _cached_index(root: Path, ignore: re.Pattern, database_dir: Path, reindex: bool) -> tuple[list[str], list[str]]:
    if database_dir.resolve().is_relative_to(root.resolve()):
        raise UsageError(f"--bids-database-dir {database_dir} lies in the input, which is never written to.")
    key = hashlib.sha256(f"{version('pybids')}\n{root}\n{ignore.pattern}".encode()).hexdigest()[:16]
    database, state = database_dir / f"index-{key}", _folder_state(root, ignore)
    notes: list[str] = []
    try:
        database_dir.mkdir(parents=True, exist_ok=True)
        with FileLock(database_dir / f"index-{key}.lock"):
            if database.is_dir():
                try:
                    if not reindex and (database / "state.txt").read_text() == state:
                        return _index(root, ignore, database), []
                    reason = "is not used (--reindex-bids)" if reindex else "was out of date"
                except Exception as error:  # whatever pybids, SQLAlchemy or the file system dislike about it
                    reason = f"could not be read ({type(error).__name__})"
                notes.append(f"The index of {root} in {database_dir} {reason} and was made anew.")
            return _fill(database, root, ignore, state), notes
    except OSError as error:
        raise UsageError(f"--bids-database-dir {database_dir}: cannot be written ({error.strerror}).") from error


def _fill(database: Path, root: Path, ignore: re.Pattern, state: str) -> list[str]:
    """Make an index beside its place and move it there, so that a killed job leaves no half of one."""
    with tempfile.TemporaryDirectory(prefix=".writing-", dir=database.parent) as folder:
        fresh = Path(folder) / "index"
        paths = _index(root, ignore, fresh)
        (fresh / "state.txt").write_text(state)
        shutil.rmtree(database, ignore_errors=True)
        fresh.rename(database)
    return paths


def _folder_state(root: Path, ignore: re.Pattern) -> str:
    """Sum up when files were last added to or removed from the folders that are indexed."""
    folders = sorted(
        folder
        for pattern in ("sub-*", "sub-*/ses-*", "sub-*/func", "sub-*/ses-*/func")
        for folder in root.glob(pattern)
        if not ignore.search(f"/{folder.relative_to(root).as_posix()}")
    )
    lines = (f"{folder} {folder.stat().st_mtime_ns}" for folder in folders)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()

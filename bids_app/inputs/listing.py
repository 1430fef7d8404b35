"""Which files a dataset holds: a walk over its functional folders, or pybids' index where one is kept."""

from __future__ import annotations

import fnmatch
import hashlib
import os
import re
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from ...errors import InputError, UsageError
from ...files import read_text, replacing_folder
from ..engine.locks import Lock
from .bids_names import BidsFile, trouble_with_name
from .datasets import PREPROCESSED

__all__ = ["Ignored", "Listing", "ignored_by", "list_files"]

_KINDS = r"_(bold\.(nii|nii\.gz|dtseries\.nii|func\.gii)|mask\.(nii|nii\.gz)|(timeseries|regressors)\.tsv)"
_OF_KIND = re.compile(f"{_KINDS}$")
RELEVANT = rf"func/[^/]+{_KINDS}"
"""What is indexed of a participant: each further file costs time."""

_OF_DERIVATIVES = ("space", "cohort", "res", "den", "desc")
"""Entities that the name of a raw run has not."""


@dataclass(frozen=True)
class Listing:
    """The files of a dataset that matter, and with the reason what could not be listed or is a misnamed BOLD image."""

    files: tuple[BidsFile, ...]  # sorted by path; names that are not those of BIDS are left out
    notes: tuple[str, ...] = ()
    troubles: tuple[tuple[Path, str], ...] = ()


@dataclass(frozen=True)
class Ignored:
    """What the ``.bidsignore`` of a dataset says about single participants; lines about everybody do not count."""

    path: Path
    participants: Mapping[str, str] = field(default_factory=dict)  # label to the line that lists the whole participant
    parts: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Patterns for sessions and files, by the folder of the participant; those with wildcards in it under ``""``."""

    def line_on(self, file: BidsFile, root: Path) -> str | None:
        """Give the pattern that lists a file of a dataset, under its own name or that of its raw run."""
        patterns = [*self.parts.get(f"sub-{file.entities.get('sub')}", ()), *self.parts.get("", ())]
        if not patterns:
            return None
        folder = file.path.parent.relative_to(root)
        own = "_".join(f"{key}-{label}" for key, label in file.without(*_OF_DERIVATIVES).items())
        for path in (folder / file.path.name, folder / f"{own}_{file.suffix}{file.extension}"):
            for pattern in patterns:
                places = [path.as_posix()] if "/" in pattern else path.parts
                if any(fnmatch.fnmatchcase(place, end) for place in places for end in (pattern, f"{pattern}/*")):
                    return pattern
        return None


def ignored_by(root: Path) -> Ignored:
    """Read the ``.bidsignore`` of a dataset."""
    path = root / ".bidsignore"
    try:
        lines = read_text(path, fallback="cp1252").splitlines()
    except InputError:
        return Ignored(path)
    folders = {folder.name for folder in root.glob("sub-*") if folder.is_dir()} if lines else set()
    participants: dict[str, str] = {}
    parts: dict[str, dict[str, None]] = {}
    for line in map(str.strip, lines):
        pattern = re.sub(r"(/\*{0,2})?$", "", line.lstrip("!/").removeprefix("**/"))
        is_whole = "/" not in pattern and "_" not in pattern
        if not re.match(r"sub-[^*/_]+" if not is_whole else r"sub-[^*/]", pattern):
            continue
        if not is_whole:
            folder = re.split("[/_]", pattern)[0]
            own = parts.setdefault("" if re.search(r"[*?\[]", folder) else folder, {})
            own.pop(pattern, None)
            own |= {} if line.startswith("!") else {pattern: None}
            continue
        for name in [pattern] if pattern in folders else fnmatch.filter(folders, pattern):
            if line.startswith("!"):
                participants.pop(name.removeprefix("sub-"), None)
            else:
                participants[name.removeprefix("sub-")] = line
    return Ignored(path, participants, parts)


def list_files(
    root: Path,
    participants: Collection[str],
    database_dir: str | os.PathLike[str] | None = None,
    *,
    reindex: bool = False,
) -> Listing:
    """List the BOLD files, masks and tables of some participants.

    Only their ``func`` folders are walked, and no metadata is read, which keeps large datasets quick. Of pybids' index
    the paths are taken alone: its entities turn ``run-01`` into 1 and leave out what its configuration does not know,
    and outputs are to bear the labels of the input to the letter.

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

    Raises
    ------
    UsageError
        If `database_dir` lies in the input, which is never written to.
    """
    notes: list[str] = []
    if database_dir is not None:
        labels = "|".join(map(re.escape, sorted(participants))) if participants else "[^/]+"
        ignore = re.compile(rf"^/(?!sub-({labels})(/ses-[^/]+)?(/func|/{RELEVANT})?$)")
        try:
            paths, notes = _cached_index(root, ignore, Path(database_dir).absolute(), reindex)
            return Listing(_parsed(paths), tuple(notes), _misnamed(paths))
        except UsageError:
            raise
        except Exception as error:  # whatever pybids dislikes about one odd file must not stop the others
            notes = [f"pybids cannot index {root} ({type(error).__name__}); its folders were listed without an index."]
    walked, troubles = _walk(root, participants)
    return Listing(_parsed(walked), tuple(notes), (*troubles, *_misnamed(walked)))


def _parsed(paths: Collection[str]) -> tuple[BidsFile, ...]:
    """Take the names apart; a name that no text can hold (bytes that are not UTF-8) is none of BIDS."""
    files = (BidsFile.parse(path) for path in sorted(paths) if _name(path).isprintable())
    return tuple(file for file in files if file is not None)


def _misnamed(paths: Collection[str]) -> tuple[tuple[Path, str], ...]:
    """Name preprocessed BOLD images that nobody would miss, because their names cannot be taken apart."""
    names = [Path(path) for path in sorted(paths) if PREPROCESSED.search(path)]
    odd = [path for path in names if not path.name.startswith(".") and not path.name.isprintable()]
    return (
        *((path, trouble_with_name(path)) for path in names if path.name[0] != "." and _is_misnamed(path)),
        *((_printable(path), "its name has a sign that cannot be printed: rename it") for path in odd),
    )


def _name(path: str) -> str:
    return path.rpartition(os.sep)[2]


def _is_misnamed(path: Path) -> bool:
    return path.name.isprintable() and BidsFile.parse(path) is None


def _printable(path: Path) -> Path:
    """Write what no line of text can hold as Python does."""
    return Path("".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in str(path)))


def _walk(root: Path, participants: Collection[str]) -> tuple[list[str], list[tuple[Path, str]]]:
    """List relevant files, folder by folder; a folder that cannot be listed is told and does not stop the others."""
    troubles: list[tuple[Path, str]] = []

    def names(folder: Path) -> list[str]:
        try:
            with os.scandir(folder) as entries:
                return sorted(entry.name for entry in entries)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            troubles.append((folder, f"{folder} cannot be listed ({error.strerror})"))
            return []

    found: list[str] = []
    for label in sorted(participants) or [name[4:] for name in names(root) if name.startswith("sub-")]:
        participant = root / f"sub-{label}"
        sessions = [participant / name for name in names(participant) if name.startswith("ses-")]
        for folder in (place / "func" for place in (participant, *sessions)):
            found += [f"{folder}{os.sep}{name}" for name in names(folder) if _OF_KIND.search(name)]
    return found, troubles


def _index(root: Path, ignore: re.Pattern[str], database: Path | None) -> list[str]:
    from bids.layout import BIDSLayout, BIDSLayoutIndexer

    indexer = BIDSLayoutIndexer(validate=False, index_metadata=False, ignore=[ignore])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The PipelineDescription field", category=UserWarning)
        layout = BIDSLayout(root, validate=False, is_derivative=True, indexer=indexer, database_path=database)
    try:
        return [str(path) for path in layout.files]
    finally:
        layout.connection_manager.session.close()
        layout.connection_manager.engine.dispose()


def _cached_index(
    root: Path, ignore: re.Pattern[str], database_dir: Path, reindex: bool
) -> tuple[list[str], list[str]]:
    if database_dir.resolve().is_relative_to(root.resolve()):
        raise UsageError(f"--bids-database-dir {database_dir} lies in the input, which is never written to.")
    key = hashlib.sha256(f"{version('pybids')}\n{root}\n{ignore.pattern}".encode(errors="surrogateescape")).hexdigest()[
        :16
    ]
    database, state = database_dir / f"index-{key}", _folder_state(root, ignore)
    notes: list[str] = []
    try:
        database_dir.mkdir(parents=True, exist_ok=True)
        with Lock(database_dir / f"index-{key}.lock", "indexing the input"):
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


def _fill(database: Path, root: Path, ignore: re.Pattern[str], state: str) -> list[str]:
    """Make an index beside its place and move it there, so that a killed job leaves no half of one."""
    with replacing_folder(database) as fresh:
        paths = _index(root, ignore, fresh)
        (fresh / "state.txt").write_text(state)
    return paths


def _folder_state(root: Path, ignore: re.Pattern[str]) -> str:
    """Sum up when files were last added to or removed from the folders that are indexed."""
    folders = sorted(
        folder
        for pattern in ("sub-*", "sub-*/ses-*", "sub-*/func", "sub-*/ses-*/func")
        for folder in root.glob(pattern)
        if folder.is_dir() and not ignore.search(f"/{folder.relative_to(root).as_posix()}")
    )
    lines = (f"{folder} {folder.stat().st_mtime_ns}" for folder in folders)
    return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()

"""What belongs to a BOLD file: entities from its name, sidecars by inheritance, mask, confounds, events."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import InputError
from .timing import read_timing

__all__ = [
    "BidsFile",
    "Companions",
    "DirectoryCache",
    "absent_content",
    "best_match",
    "inherited",
]

ANNEX_POINTER = b"/annex/objects/"


@dataclass(frozen=True)
class BidsFile:
    """A file with the parts of its BIDS name, labels verbatim.

    pybids turns ``run-01`` into a number; here the name itself is read, so that outputs can repeat it.

    Parameters
    ----------
    path : Path
    entities : mapping
        Short key to label, in the order of the name.
    suffix : str
        ``bold``, ``mask`` …
    extension : str
        From the first dot on: ``.nii.gz``.
    """

    path: Path
    entities: Mapping[str, str]
    suffix: str
    extension: str

    @classmethod
    def parse(cls, path: str | os.PathLike) -> BidsFile | None:
        """Take a name apart; None if it is not one of BIDS.

        >>> BidsFile.parse("sub-01_task-rest_run-01_bold.nii.gz").entities
        {'sub': '01', 'task': 'rest', 'run': '01'}
        >>> BidsFile.parse("sub-01_notes_bold.nii.gz") is None
        True
        """
        path = Path(path)
        stem, dot, extension = path.name.partition(".")
        *parts, suffix = stem.split("_")
        pairs = [part.partition("-") for part in parts]
        if not suffix or "-" in suffix or not all(key and label for key, _, label in pairs):
            return None
        return cls(path, {key: label for key, _, label in pairs}, suffix, dot + extension)

    def without(self, *keys: str) -> dict[str, str]:
        """Give the entities except some."""
        return {key: label for key, label in self.entities.items() if key not in keys}


class DirectoryCache:
    """Parsed listings of directories, each read once: roots with many participants are long."""

    def __init__(self) -> None:
        self._listings: dict[Path, tuple[BidsFile, ...]] = {}

    def __call__(self, directory: Path) -> tuple[BidsFile, ...]:
        if directory not in self._listings:
            paths = sorted(directory.iterdir()) if directory.is_dir() else []
            files = (BidsFile.parse(path) for path in paths if path.name.endswith((".json", ".tsv")))
            self._listings[directory] = tuple(file for file in files if file is not None)
        return self._listings[directory]


def inherited(
    file: BidsFile, root: Path, listing: Callable[[Path], Iterable[BidsFile]], *, suffix: str, extension: str
) -> tuple[Path, ...]:
    """Find the files that apply to `file` by BIDS' inheritance principle, the strongest first.

    They lie in its directory or above, up to `root`, and carry no entity that `file` has not. A nearer directory
    wins over a farther one, and in one directory more entities win over fewer.

    Parameters
    ----------
    file : BidsFile
        It need not exist (events of the raw dataset are looked up for a BOLD file of a derivative).
    root : Path
        Of the dataset that holds the directory.
    listing : callable
        Directory to its files (`DirectoryCache`).
    suffix, extension : str
        What to look for: ``"bold"``, ``".json"``.
    """
    found: list[Path] = []
    directory = file.path.parent
    while True:
        here = [
            other
            for other in listing(directory)
            if other.suffix == suffix
            and other.extension == extension
            and other.entities.items() <= file.entities.items()
        ]
        found += [other.path for other in sorted(here, key=lambda other: (-len(other.entities), other.path.name))]
        if directory in (root, directory.parent):
            return tuple(found)
        directory = directory.parent


def best_match(
    bold: BidsFile,
    candidates: Iterable[BidsFile],
    rivals: Iterable[BidsFile] = (),
    *,
    strict: tuple[str, ...] = (),
    what: str = "file",
) -> BidsFile | None:
    """Find the one file that belongs to a BOLD run, on the entities that both names have.

    A candidate fits if no shared entity differs (``desc`` aside) and the `strict` ones are equal or absent in both.
    Of those that fit, the one with most shared entities is taken. A candidate that shares more with another run
    (`rivals`) belongs to that one: without this rule a run that lacks confounds would take its neighbour's.

    Parameters
    ----------
    bold : BidsFile
    candidates : iterable of BidsFile
    rivals : iterable of BidsFile
        The BOLD files of the same dataset.
    strict : tuple of str
        Entities that must be the same.
    what : str
        For the message.

    Raises
    ------
    InputError
        If several fit equally well; the message names them.

    >>> parse = BidsFile.parse
    >>> tables = [parse(f"sub-01_task-{task}_desc-confounds_timeseries.tsv") for task in ("rest", "nback")]
    >>> bold = parse("sub-01_task-rest_space-MNI152NLin6Asym_desc-preproc_bold.nii.gz")
    >>> best_match(bold, tables).path.name
    'sub-01_task-rest_desc-confounds_timeseries.tsv'
    """
    rivals = list(rivals)
    scores: defaultdict[int, list[BidsFile]] = defaultdict(list)
    for candidate in candidates:
        score = _shared(bold, candidate, strict)
        if score is not None:
            scores[score].append(candidate)
    for score in sorted(scores, reverse=True):  # rivals are asked about the best ones only: there may be hundreds
        fitting = [
            candidate
            for candidate in scores[score]
            if not any((_shared(rival, candidate, strict) or 0) > score for rival in rivals)
        ]
        if len(fitting) > 1:
            names = ", ".join(sorted(candidate.path.name for candidate in fitting))
            raise InputError(f"several {what}s fit it equally well: {names}; remove or rename the wrong one")
        if fitting:
            return fitting[0]
    return None


def _shared(one: BidsFile, other: BidsFile, strict: tuple[str, ...]) -> int | None:
    """Count the entities two names share; None if one of them differs (a plain loop: it runs most often of all)."""
    mine, theirs = one.entities, other.entities
    if any(mine.get(key) != theirs.get(key) for key in strict):
        return None
    shared = 0
    for key, label in mine.items():
        if key != "desc" and key in theirs:
            if theirs[key] != label:
                return None
            shared += 1
    return shared


def absent_content(path: Path) -> bool:
    """Tell whether a file's content is not here: a dangling link, or the pointer of git-annex's unlocked files.

    >>> absent_content(Path(__file__))
    False
    """
    try:
        with path.open("rb") as stream:
            return stream.read(len(ANNEX_POINTER)) == ANNEX_POINTER
    except FileNotFoundError:
        return path.is_symlink()
    except OSError:
        return False  # unreadable for another reason: whoever reads it says so


class Companions:
    """Find what belongs to BOLD runs, in the indexed files of their datasets and by inheritance.

    Parameters
    ----------
    files : mapping
        Dataset root to its indexed files.
    raw : Path or None
        Root of the raw dataset, for events.
    repetition_time : float, optional
        What the user gave, in s.
    """

    def __init__(
        self, files: Mapping[Path, Sequence[BidsFile]], raw: Path | None, repetition_time: float | None = None
    ) -> None:
        self._raw, self._repetition_time = raw, repetition_time
        self._roots = tuple(files)
        self._files: defaultdict[tuple[Path, str | None], list[BidsFile]] = defaultdict(list)
        for root, found in files.items():
            for file in found:
                self._files[root, file.entities.get("sub")].append(file)
        self._around: dict[tuple[str | Path | None, ...], list[BidsFile]] = {}
        self._listing = DirectoryCache()

    def of(self, bold: BidsFile, root: Path) -> dict[str, Any]:
        """Give mask, confounds, sidecars, repetition time and events of a run.

        Raises
        ------
        InputError
            If one of them is ambiguous, unreadable, or its content is not here.
        """
        sidecars = inherited(bold, root, self._listing, suffix="bold", extension=".json")
        mask, confounds = self._mask(bold, root), self._confounds(bold, root)
        metadata = self._sidecar(confounds, root) if confounds else None
        needed = [*sidecars, mask and mask.path, confounds and confounds.path, metadata]
        absent = [str(path) for path in needed if path and absent_content(path)]
        if absent:
            raise InputError(f"the content of files that belong to it is not here: `datalad get {' '.join(absent)}`")
        return {
            "sidecars": sidecars,
            "repetition_time": read_timing(sidecars, image=bold.path, given=self._repetition_time).repetition_time,
            "mask": mask and mask.path,
            "confounds": confounds and confounds.path,
            "confounds_metadata": metadata,
            "events": self._events(bold, root),
        }

    def _sidecar(self, file: BidsFile, root: Path) -> Path | None:
        found = inherited(file, root, self._listing, suffix=file.suffix, extension=".json")
        return found[0] if found else None

    def _mask(self, bold: BidsFile, root: Path) -> BidsFile | None:
        """Look in the run's dataset first, then in the others: XCP-D's runs share the masks of fMRIPrep."""
        for place in (root, *(other for other in self._roots if other != root)):
            masks, rivals = self._near(bold, place, "mask", "brain"), self._near(bold, place, "bold")
            mask = best_match(bold, masks, rivals, strict=("space", "cohort", "res", "den"), what="mask")
            if mask is not None:
                return mask
        return None

    def _confounds(self, bold: BidsFile, root: Path) -> BidsFile | None:
        """Look in the run's own dataset only: after XCP-D, fMRIPrep's table may have other rows than the run."""
        for suffix in ("timeseries", "regressors"):
            tables, rivals = self._near(bold, root, suffix, "confounds"), self._near(bold, root, "bold")
            table = best_match(bold, tables, rivals, what="confounds table")
            if table is not None:
                return table
        return None

    def _near(self, bold: BidsFile, root: Path, suffix: str, description: str | None = None) -> list[BidsFile]:
        """List files of a kind that may go with a run: same participant, no other session."""
        participant, session = bold.entities.get("sub"), bold.entities.get("ses")
        key = (root, participant, session, suffix, description)
        if key not in self._around:
            self._around[key] = [
                file
                for file in self._files[root, participant]
                if file.suffix == suffix
                and description in (None, file.entities.get("desc"))
                and (session is None or file.entities.get("ses", session) == session)
            ]
        return self._around[key]

    def _events(self, bold: BidsFile, root: Path) -> Path | None:
        for place in filter(None, (self._raw, root)):
            there = replace(bold, path=place / bold.path.relative_to(root))
            events = inherited(there, place, self._listing, suffix="events", extension=".tsv")
            if events and not absent_content(events[0]):
                return events[0]
        return None

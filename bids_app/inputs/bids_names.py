"""What the name of a BIDS file says, which sidecars apply to it, and which of several files belongs to a run."""

from __future__ import annotations

import os
import stat
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ...derivatives.names import output_name, outputs
from ...errors import InputError

__all__ = [
    "NUMBERED",
    "BidsFile",
    "Trouble",
    "best_match",
    "differences",
    "inherited",
    "list_sidecars",
    "same_label",
    "trouble_with",
    "trouble_with_labels",
    "trouble_with_name",
]

ANNEX_POINTER = b"/annex/objects/"

LONGEST_NAME = 250
"""Bytes of the longest name of an output; file systems take 255, and extensions differ."""

_NO_LABEL = r"/\*?[]"

NUMBERED = ("run", "echo", "split", "chunk", "flip", "inv")
"""Entities whose label is an index in BIDS: 1 and 01 are the same, which for other entities they are not."""


def same_label(key: str, one: str | None, other: str | None) -> bool:
    """Tell whether two labels of an entity are the same; None stands for a name without the entity.

    >>> same_label("run", "1", "01"), same_label("ses", "1", "01"), same_label("run", None, "1")
    (True, False, False)
    """
    if one == other or one is None or other is None:
        return one == other
    return key in NUMBERED and one.isdecimal() and other.isdecimal() and one.lstrip("0") == other.lstrip("0")


@dataclass(frozen=True)
class BidsFile:
    """A file with the parts of its BIDS name, labels verbatim.

    pybids turns ``run-01`` into a number; here the name itself is read, so that outputs can repeat it.
    """

    path: Path
    entities: Mapping[str, str]  # short key to label, in the order of the name
    suffix: str  # bold, mask …
    extension: str  # from the first dot on: .nii.gz

    @classmethod
    def parse(cls, path: str | os.PathLike[str]) -> BidsFile | None:
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
        entities = {key: label for key, _, label in pairs}
        if not suffix or "-" in suffix or len(entities) < len(pairs) or not all(map(all, pairs)):
            return None
        return cls(path, entities, suffix, dot + extension)

    def without(self, *keys: str) -> dict[str, str]:
        """Give the entities except some."""
        return {key: label for key, label in self.entities.items() if key not in keys}

    def label(self, key: str) -> str | None:
        """Give the label of an entity, or what else of the name queries ask for; None where there is none."""
        others = {"suffix": self.suffix, "extension": self.extension, "datatype": self.path.parent.name}
        return others[key] if key in others else self.entities.get(key)

    def says(self, key: str) -> str:
        """Say it as names do: ``task-rest``, or ``no task``."""
        label = self.label(key)
        return f"no {key}" if label is None else f"{key}-{label}"


def trouble_with_name(path: Path) -> str:
    """Say why a name cannot be taken apart.

    >>> trouble_with_name(Path("sub-01_task-rest_run_1_bold.nii.gz"))
    "its name is not one of BIDS: 'run' is no key-label"
    """
    *parts, suffix = path.name.partition(".")[0].split("_")
    keys = [part.partition("-")[0] for part in parts]
    odd = next((part for part in parts if not all(part.partition("-"))), None)
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if odd is not None:
        reason = f"'{odd}' is no key-label" if odd else "two '_' in a row"
    else:
        reason = f"'{twice}-' is there twice" if twice else f"'{suffix}' is no suffix"
    return f"its name is not one of BIDS: {reason}"


def trouble_with_labels(file: BidsFile) -> str:
    """Say why outputs cannot bear the labels of a file's name; empty if they can.

    >>> trouble_with_labels(BidsFile.parse("sub-x[1]_task-rest_bold.nii.gz"))
    "its label 'x[1]' has a [, which no output can bear: give it a label of letters and digits"
    """
    for label in file.entities.values():
        sign = next((sign for sign in label if sign in _NO_LABEL or not sign.isprintable()), None)
        if sign is not None:
            what = f"a {sign}" if sign in _NO_LABEL else "a sign that cannot be printed"
            return f"its label {label!r} has {what}, which no output can bear: give it a label of letters and digits"
    longest = max(len(output_name(file.entities, meaning, ".json").encode()) for meaning in outputs())
    if longest > LONGEST_NAME:
        return (
            f"its labels are too long: the names of its outputs would have {longest} bytes, and file systems take "
            f"{LONGEST_NAME}: shorten them"
        )
    return ""


def list_sidecars(directory: Path) -> tuple[BidsFile, ...]:
    """List the sidecars and tables in a directory.

    Raises
    ------
    InputError
        If it cannot be listed.
    """
    names: list[str] = []
    try:
        with suppress(FileNotFoundError, NotADirectoryError), os.scandir(directory) as entries:
            names = sorted(entry.name for entry in entries if entry.name.endswith((".json", ".tsv")))
    except OSError as error:
        raise InputError(f"{directory}: cannot be listed ({error.strerror}).") from error
    files = (BidsFile.parse(directory / name) for name in names)
    return tuple(file for file in files if file is not None)


def inherited(
    file: BidsFile, root: Path, listing: Callable[[Path], Iterable[BidsFile]], *, suffix: str, extension: str
) -> tuple[Path, ...]:
    """Find the files that apply to `file` by BIDS' inheritance principle, the strongest first.

    They lie in its directory or above, up to `root`, and carry no entity that `file` has not (``run-1`` is the same as
    ``run-01``). A nearer directory wins over a farther one, and in one directory more entities win over fewer.

    Parameters
    ----------
    file : BidsFile
        It need not exist (events of the raw dataset are looked up for a BOLD file of a derivative).
    root : Path
        Of the dataset that holds the directory.
    listing : callable
        Directory to its files (`list_sidecars`, which reads each directory once if it is cached).
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
            and all(same_label(key, label, file.entities.get(key)) for key, label in other.entities.items())
        ]
        verbatim = {other.path: len(other.entities.items() & file.entities.items()) for other in here}
        here.sort(key=lambda other: (-len(other.entities), -verbatim[other.path], other.path.name))
        found += [other.path for other in here]
        if directory in (root, directory.parent):
            return tuple(found)
        directory = directory.parent


def best_match(
    bold: BidsFile,
    candidates: Iterable[BidsFile],
    rivals: Iterable[BidsFile] = (),
    *,
    strict: tuple[str, ...] = (),
    regardless: tuple[str, ...] = (),
    what: str = "file",
) -> BidsFile | None:
    """Find the one file that belongs to a BOLD run, on the entities that both names have.

    A candidate fits if no shared entity differs (``desc`` aside) and the `strict` ones are equal or absent in both.
    Of those that fit, the one with most shared entities is taken, then the one whose labels are the same to the letter
    (``run-01``, not ``run-1``), then the one in the same folder. A candidate that shares more with another run
    (`rivals`) belongs to that one: without this rule a run that lacks confounds would take its neighbour's.

    Parameters
    ----------
    bold : BidsFile
    candidates : iterable of BidsFile
    rivals : iterable of BidsFile
        The BOLD files of the same dataset.
    strict : tuple of str
        Entities that must be the same.
    regardless : tuple of str
        Entities that may differ.
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
    rivals, regardless = list(rivals), ("desc", *regardless)
    scores: defaultdict[tuple[int, ...], list[BidsFile]] = defaultdict(list)
    for candidate in candidates:
        score = _shared(bold, candidate, strict, regardless)
        if score is not None:
            scores[score].append(candidate)
    for score in sorted(scores, reverse=True):  # rivals are asked about the best ones only: there may be hundreds
        fitting = [
            candidate
            for candidate in scores[score]
            if not any((_shared(rival, candidate, strict, regardless) or ())[:2] > score[:2] for rival in rivals)
        ]
        if len(fitting) > 1:
            names = ", ".join(sorted(candidate.path.name for candidate in fitting))
            raise InputError(f"several {what}s fit it equally well: {names}; remove or rename the wrong one")
        if fitting:
            return fitting[0]
    return None


def _shared(
    one: BidsFile, other: BidsFile, strict: tuple[str, ...], regardless: tuple[str, ...]
) -> tuple[int, ...] | None:
    """Count entities that two names share, and those alike to the letter, and say whether the files are neighbours.

    None if an entity differs (a plain loop: it runs most often of all).
    """
    mine, theirs = one.entities, other.entities
    if any(not same_label(key, mine.get(key), theirs.get(key)) for key in strict):
        return None
    shared = verbatim = 0
    for key, label in mine.items():
        if key in theirs and key not in regardless:
            if theirs[key] == label:
                verbatim += 1
            elif not same_label(key, theirs[key], label):
                return None
            shared += 1
    return shared, verbatim, int(one.path.parent == other.path.parent)


def differences(file: BidsFile, other: BidsFile, *, but: Iterable[str] = ()) -> list[str]:
    """Say in words where the labels of a name differ from those of another, except some entities.

    >>> one, two = (BidsFile.parse(f"sub-01_task-{task}_bold.nii.gz") for task in ("Rest", "rest_run-1"))
    >>> differences(one, two)
    ['task-Rest, not task-rest', 'no run, not run-1']
    """
    keys = [key for key in dict.fromkeys([*file.entities, *other.entities]) if key not in but]
    return [
        f"{file.says(key)}, not {other.says(key)}"
        for key in keys
        if not same_label(key, file.entities.get(key), other.entities.get(key))
    ]


@dataclass(frozen=True)
class Trouble:
    """Why a file cannot be read, in a few words."""

    reason: str
    remedy: str = ""  # the command that gets content which is not here

    def __str__(self) -> str:
        return f"{self.reason}: `{self.remedy}`" if self.remedy else self.reason


def trouble_with(path: Path) -> Trouble | None:
    """Say why a file cannot be read: not here, empty, something else than a file; None if it can.

    Content that is not here is a dangling link, or the pointer of git-annex's unlocked files. Nothing is opened that
    could block (a pipe).

    >>> trouble_with(Path(__file__)) is None
    True
    """
    not_here = Trouble("its content is not here", f"datalad get {path}")
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            is_folder = stat.S_ISDIR(status.st_mode)
            return Trouble("is a folder, no file" if is_folder else "is no regular file (a pipe or a device)")
        if status.st_size == 0:
            return Trouble("is empty (0 bytes): copy or make it again")
        with path.open("rb") as stream:
            is_pointer = stream.read(len(ANNEX_POINTER)) == ANNEX_POINTER
    except FileNotFoundError:
        return not_here if path.is_symlink() else Trouble("does not exist")
    except OSError as error:
        return Trouble(f"cannot be read ({error.strerror})")
    return not_here if is_pointer else None

"""Which runs were asked for: labels and the filter file, as criteria on file names, and the nearest misses."""

from __future__ import annotations

import difflib
import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ...errors import InputError, UsageError
from ...files import read_text
from ...opening import parse_json
from ...words import counted, shown
from .bids_names import NUMBERED, BidsFile, same_label

__all__ = ["EVERYTHING", "LONG_KEYS", "Criterion", "Query", "nearest", "read_filter_file", "space_of"]

# Entities whose long name is the short one, and what is no entity but asked for like one.
_ALIKE = ("sample", "task", "run", "echo", "flip", "part", "space", "cohort", "split", "chunk", "atlas", "label")
_BESIDE = ("suffix", "extension", "datatype")
SHORT_KEYS = {
    "subject": "sub",
    "session": "ses",
    "acquisition": "acq",
    "ceagent": "ce",
    "tracer": "trc",
    "reconstruction": "rec",
    "direction": "dir",
    "modality": "mod",
    "inversion": "inv",
    "processing": "proc",
    "hemisphere": "hemi",
    "segmentation": "seg",
    "resolution": "res",
    "density": "den",
    "description": "desc",
    **{name: name for name in (*_ALIKE, *_BESIDE)},
}
"""Entities of a filter file, long name (as in pybids and fMRIPrep) to short; the short ones are accepted too."""

LONG_KEYS = {short: long for long, short in SHORT_KEYS.items()}
ANY = "*"


@dataclass(frozen=True)
class Criterion:
    """One condition on a file name.

    One of the labels in `wanted` must be there; None stands for "no such entity", ``"*"`` for "any label".
    """

    key: str  # short key of an entity, or suffix, extension, datatype
    wanted: tuple[str | None, ...]
    option: str  # where the user asked for it

    def accepts(self, file: BidsFile) -> bool:
        """Tell whether a file fulfils the condition.

        >>> file = BidsFile.parse("sub-01_task-rest_run-01_bold.nii.gz")
        >>> Criterion("run", ("1",), "--run-id").accepts(file), Criterion("sub", ("1",), "").accepts(file)
        (True, False)
        >>> Criterion("acq", (None,), "").accepts(file), Criterion("acq", ("*",), "").accepts(file)
        (True, False)
        """
        label = file.label(self.key)
        if label in self._labels:  # where a thousand participants are named, most are found here
            return True
        if self.key in (*NUMBERED, "space"):
            return any(self.is_met(wanted, file) for wanted in self.wanted)
        return label is not None and ANY in self._labels

    @cached_property
    def _labels(self) -> frozenset[str | None]:
        return frozenset(self.wanted)

    def is_met(self, wanted: str | None, file: BidsFile) -> bool:
        """Compare one wanted label with the one that a file has."""
        label = file.label(self.key)
        if self.key == "space" and wanted not in (None, ANY) and label is not None:
            return _is_space(wanted, file)
        if wanted is None or label is None:
            return wanted is None and label is None
        return wanted == ANY or same_label(self.key, wanted, label)

    def labels(self, files: Iterable[BidsFile]) -> set[str]:
        """Give the labels that files have where this criterion looks."""
        return {label for file in files if (label := file.label(self.key)) is not None}

    def __str__(self) -> str:
        labels = (
            f"no {self.key}" if label is None else f"any {self.key}" if label == ANY else f"{self.key}-{label}"
            for label in self.wanted
        )
        return f"{' or '.join(labels)} ({self.option})"


def space_of(file: BidsFile) -> tuple[str, str | None]:
    """Give space and cohort of a file; a number behind ``+`` is the cohort, as older versions of nipreps write it.

    >>> space_of(BidsFile.parse("sub-01_task-rest_space-MNIPediatricAsym+2_bold.nii.gz"))
    ('MNIPediatricAsym', '2')
    >>> space_of(BidsFile.parse("sub-01_task-rest_space-MNIPediatricAsym_cohort-2_bold.nii.gz"))
    ('MNIPediatricAsym', '2')
    """
    label, cohort = file.entities.get("space", ""), file.entities.get("cohort")
    name, plus, rest = label.partition("+")
    return (name, rest) if plus and rest.isdecimal() and cohort is None else (label, cohort)


def _is_space(wanted: str, file: BidsFile) -> bool:
    """Compare with modifiers, as fMRIPrep takes them: ``MNI152NLin6Asym:res-2``, ``MNIPediatricAsym:cohort-2``."""
    name, *modifiers = wanted.replace("_", ":").split(":")
    base, plus, rest = name.partition("+")
    if plus and rest.isdecimal():
        name, modifiers = base, [f"cohort-{rest}", *modifiers]
    space, cohort = space_of(file)
    has = {**file.entities, **({} if cohort is None else {"cohort": cohort})}
    wanted_labels = [modifier.partition("-")[::2] for modifier in modifiers]
    return name in (space, space.partition("+")[0]) and all(has.get(key) == label for key, label in wanted_labels)


def read_filter_file(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a filter file as fMRIPrep takes it.

    Parameters
    ----------
    path : path
        JSON such as ``{"bold": {"session": "01", "acquisition": null, "run": ["1", "2"]}}``. Under ``bold``, entities
        by their long names; ``null`` means that a name must not have the entity, ``"*"`` that it must have it with
        any label. Other entries (``t1w`` …) have no meaning here and are ignored.

    Raises
    ------
    UsageError
        If the file is missing, is no JSON, has no ``bold`` entry, or names an unknown entity.
    """
    try:
        filters: dict[str, Any] = parse_json(read_text(path))
    except InputError as error:
        raise UsageError(f"--bids-filter-file {error}") from error
    except ValueError as error:
        raise UsageError(f"--bids-filter-file {path}: is not valid JSON ({error}).") from error
    try:
        _filter_criteria(filters)
    except UsageError as error:
        raise UsageError(f"--bids-filter-file {path}: {error}") from error
    return filters


@dataclass(frozen=True)
class Query:
    """The one query of a call, at all levels alike: criteria all of which the name of a BOLD file has to fulfil."""

    criteria: tuple[Criterion, ...] = ()

    @classmethod
    def of(
        cls,
        *,
        participants: Collection[str] = (),
        sessions: Collection[str] = (),
        tasks: Collection[str] = (),
        runs: Collection[str] = (),
        spaces: Collection[str] = (),
        filters: Mapping[str, Any] | None = None,
    ) -> Query:
        """Make one from labels, with or without their key, and the content of a filter file.

        A space may have modifiers (``MNI152NLin6Asym:res-2``).

        Raises
        ------
        UsageError
            If the filters are malformed.

        >>> str(Query.of(tasks=["task-rest", "nback"], runs=["1"], filters={"bold": {"session": None}}))
        'task-rest or task-nback (--task-id), run-1 (--run-id), no ses (--bids-filter-file)'
        """
        options = {
            "sub": ("--participant-label", participants),
            "ses": ("--session-label", sessions),
            "task": ("--task-id", tasks),
            "run": ("--run-id", runs),
            "space": ("--space", spaces),
        }
        asked = [
            Criterion(key, tuple(str(label).removeprefix(f"{key}-") for label in labels), option)
            for key, (option, labels) in options.items()
            if labels
        ]
        return cls((*asked, *_filter_criteria(filters)))

    def __str__(self) -> str:
        return ", ".join(map(str, self.criteria)) or "any"

    def takes(self, file: BidsFile) -> bool:
        """Tell whether a file fulfils all criteria."""
        return not self._refusing(file)

    def _refusing(self, file: BidsFile) -> list[Criterion]:
        return [criterion for criterion in self.criteria if not criterion.accepts(file)]

    def nearest_misses(self, files: Iterable[BidsFile]) -> str:
        """Describe in one sentence the files that fail the fewest criteria.

        >>> files = [BidsFile.parse(f"sub-01_task-{task}_bold.nii.gz") for task in ("rest", "nback")]
        >>> Query.of(tasks=["rst"]).nearest_misses(files)
        'Nearest: 1 file with task-nback, 1 file with task-rest, e.g. sub-01_task-nback_bold.nii.gz.'
        """
        misses = sorted(((self._refusing(file), file) for file in files), key=lambda miss: (len(miss[0]), miss[1].path))
        if not misses:
            return "There is no BOLD file at all."
        near = [(refusing, file) for refusing, file in misses if len(refusing) == len(misses[0][0])]
        instead = Counter(
            " and ".join(file.says(criterion.key) for criterion in refusing) or "the same labels"
            for refusing, file in near
        )
        parts = [f"{counted(n, 'file')} with {what}" for what, n in sorted(instead.items())[:5]]
        return f"Nearest: {', '.join(parts)}, e.g. {near[0][1].path.name}."

    @property
    def participants(self) -> list[str]:
        """The participants who were named by their option."""
        return [label for c in self.criteria if c.option == "--participant-label" for label in c.wanted if label]

    @property
    def named_participants(self) -> list[str]:
        """The participants who were named by any option."""
        return [label for c in self.criteria if c.key == "sub" for label in c.wanted if label not in (None, ANY)]

    @property
    def names_description(self) -> bool:
        """Whether ``desc-`` was asked for."""
        return any(criterion.key == "desc" for criterion in self.criteria)

    @property
    def names_spaces(self) -> bool:
        """Whether spaces were asked for by name."""
        return any(criterion.key == "space" and ANY not in criterion.wanted for criterion in self.criteria)

    def unmet(self, files: Collection[BidsFile]) -> list[str]:
        """Name labels that were asked for beside others and that no file has, with the nearest that one has."""
        return [
            f"{criterion.key}-{wanted} ({criterion.option}): no BOLD file has it"
            + "".join(f"; {criterion.key}-{near}?" for near in nearest(wanted, criterion.labels(files), 1))
            for criterion in self.criteria
            if criterion.key != "sub"
            for wanted in criterion.wanted
            if wanted not in (None, ANY) and not any(criterion.is_met(wanted, file) for file in files)
        ]


EVERYTHING = Query()


def _filter_criteria(filters: Mapping[str, Any] | None) -> list[Criterion]:
    if filters is None:
        return []
    if not isinstance(filters, Mapping) or not isinstance(filters.get("bold"), Mapping):
        raise UsageError('a filter file holds an object with a "bold" entry: {"bold": {"session": "01"}}.')
    found = []
    for name, value in filters["bold"].items():
        key = SHORT_KEYS.get(name, name)
        if key not in LONG_KEYS:
            near = difflib.get_close_matches(name, SHORT_KEYS, n=1) or ["task"]
            raise UsageError(f'"{name}" is no entity of BIDS; did you mean "{near[0]}"?')
        wanted = value if isinstance(value, list) else [value]
        if not wanted or not all(
            label is None or (isinstance(label, str | int) and not isinstance(label, bool)) for label in wanted
        ):
            raise UsageError(
                f'"{name}" must be a label, a list of labels, null (absent) or "*" (any), not {shown(value)}.'
            )
        labels = tuple(None if label is None else str(label).removeprefix(f"{key}-") for label in wanted)
        found.append(Criterion(key, labels, "--bids-filter-file"))
    return found


def nearest(label: str, labels: Collection[str], n: int = 3) -> list[str]:
    """Find the labels most like one that is not there, those with other zeros or case first.

    >>> nearest("1", ["01", "02", "11", "patient"])
    ['01', '11']
    """
    plain = label.lstrip("0").lower()
    same = sorted(other for other in labels if other.lstrip("0").lower() == plain)
    similar = difflib.get_close_matches(label, sorted(set(labels) - set(same)), n=n, cutoff=0.5)
    return (same + similar)[:n]

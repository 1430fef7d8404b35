"""Who is missing from a group: runs of the input, or participants that were named, without results."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ...derivatives.names import participant_of
from ...errors import ScaaeError, UsageError
from ...words import counted, few_and_more
from ..inputs.bids_names import BidsFile
from ..inputs.find import find_inputs
from ..output.records import RunRecord
from ..output.submissions import Ending, last_task_of, read_labels
from ..settings.settings import Settings

__all__ = ["Missing", "find_missing"]

_NOT_RUN = "it has no results; run the participant level"

_TOLD = ("memory", "time", "node", "preemption", "cancelled")
"""Ends of tasks that explain a missing run of a participant with others: a log without last words explains none."""


@dataclass(frozen=True)
class Missing:
    """What a group lacks."""

    reasons: Mapping[str, str] = field(default_factory=dict)  # run or participant to the reason, in one line
    participants: tuple[str, ...] = ()  # labels of those of whom nothing is there
    n_participants: int = 0  # in the input, or named
    endings: Mapping[str, Ending] = field(default_factory=dict)  # of whom a scheduler had a task: how it ended
    note: str = ""  # why it is not known who is missing

    @property
    def lines(self) -> list[str]:
        """What a person reads: how many of whom, then the reasons, each with its runs."""
        if not self.reasons:
            return [self.note] if self.note else []
        runs: dict[str, list[str]] = {}
        for name, reason in self.reasons.items():
            runs.setdefault(f"no results: {self.endings[name].what}" if name in self.endings else reason, []).append(
                name
            )
        of_whom = few_and_more([f"sub-{label}" for label in self.participants], 5)
        nothing = f"nothing of {counted(len(self.participants), 'participant')} of {self.n_participants} ({of_whom})"
        head = f"Missing: {counted(len(self.reasons), 'run')}" + (f", {nothing}" if self.participants else "")
        return [
            head,
            *(f"  {few_and_more(names, 3)}: {reason}{self._where(names[0])}" for reason, names in runs.items()),
        ]

    def _where(self, name: str) -> str:
        return f" ({self.endings[name].where})" if name in self.endings else ""


def find_missing(
    settings: Settings, there: Collection[str], records: Mapping[str, RunRecord | None], unknown: Collection[str]
) -> Missing:
    """Compare the runs of the input that were asked for with those that have results.

    Parameters
    ----------
    settings : Settings
    there : collection of str
        Stems of runs with results, usable or not.
    records : mapping
        Stem to record of a run.
    unknown : collection of str
        Labels of participants that were named and have no results.

    Raises
    ------
    UsageError
        If there is a list of those whose absence counts, and it cannot be used.
    """
    query, only = settings.query(), dict.fromkeys(_expected(settings))
    expected, note = _runs_of_input(settings)
    gone = {stem: reason for stem, reason in expected.items() if stem not in there}
    failed = {stem: record for stem, record in records.items() if record is not None and record.status == "failed"}
    takes = {stem for stem in failed if (file := BidsFile.parse(f"{stem}_bold.nii.gz")) and query.takes(file)}
    for stem in sorted(takes - {*there}):
        gone[stem] = f"it failed at the participant level: {failed[stem].message}"
    seen = {participant_of(stem) for stem in (*there, *expected, *takes)}
    gone |= {f"sub-{label}": _NOT_RUN for label in (*unknown, *only) if label not in seen}
    if only:
        gone = {name: reason for name, reason in gone.items() if participant_of(name) in only}
    with_results = {participant_of(stem) for stem in there}
    of_nothing = sorted({participant_of(name) for name in gone} - with_results)
    tasks = last_task_of(settings.output_dir, {participant_of(name) for name, why in gone.items() if why == _NOT_RUN})
    endings = {
        name: tasks[label]
        for name, reason in gone.items()
        if reason == _NOT_RUN
        and (label := participant_of(name)) in tasks
        and (label in of_nothing or tasks[label].kind in _TOLD)
    }
    gone |= {name: f"no results: {ending}" for name, ending in endings.items()}
    return Missing(gone, tuple(of_nothing), len(only or with_results | {*of_nothing}), endings, note)


def _runs_of_input(settings: Settings) -> tuple[dict[str, str], str]:
    """Give why each run of the input would be missing, if it is; and why that is not known, if it is not."""
    try:
        inputs = find_inputs(settings.bids_dir, settings.query(), concatenated=settings.concatenated)
    except ScaaeError as error:
        is_there = any(settings.bids_dir.iterdir())
        return {}, f"Who is missing is not known, because the input tells no runs: {error}" if is_there else ""
    expected = {run.stem: _NOT_RUN for run in inputs.runs}
    for skip in inputs.skipped:
        file = BidsFile.parse(skip.path)
        if skip.is_fault and file is not None:
            expected[skip.path.name.partition("_desc-")[0]] = f"it cannot run: {skip.reason}"
    return expected, ""


def _expected(settings: Settings) -> list[str]:
    """Read the labels of those whose absence counts; empty if everybody's does.

    Raises
    ------
    UsageError
        If the list cannot be read, or is empty.
    """
    if settings.group.expected is None:
        return []
    path = Path(settings.group.expected)
    try:
        labels = read_labels(path)
    except (OSError, ValueError) as error:
        raise UsageError(f"`expected` {path}: cannot be read ({error}).") from error
    if not labels:
        raise UsageError(f"`expected` {path}: names nobody; write a label a line.")
    return labels

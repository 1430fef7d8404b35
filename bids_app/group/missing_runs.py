"""Who is missing from a group: runs of the input, or participants that were named, without results."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from ...derivatives.names import participant_of
from ...errors import ScaaeError
from ...words import counted, few_and_more
from ..inputs.bids_names import BidsFile
from ..inputs.find import find_inputs
from ..output.records import RunRecord
from ..settings.settings import Settings

__all__ = ["Missing", "find_missing"]

_NOT_RUN = "it has no results; run the participant level"


@dataclass(frozen=True)
class Missing:
    """What a group lacks."""

    reasons: Mapping[str, str] = field(default_factory=dict)  # run or participant to the reason, in one line
    participants: tuple[str, ...] = ()  # labels of those of whom nothing is there
    n_participants: int = 0  # in the input, or named
    note: str = ""  # why it is not known who is missing

    @property
    def lines(self) -> list[str]:
        """What a person reads: how many of whom, then the reasons, each with its runs."""
        if not self.reasons:
            return [self.note] if self.note else []
        runs: dict[str, list[str]] = {}
        for name, reason in self.reasons.items():
            runs.setdefault(reason, []).append(name)
        of_whom = few_and_more([f"sub-{label}" for label in self.participants], 5)
        nothing = f"nothing of {counted(len(self.participants), 'participant')} of {self.n_participants} ({of_whom})"
        head = f"Missing: {counted(len(self.reasons), 'run')}" + (f", {nothing}" if self.participants else "")
        return [head, *(f"  {few_and_more(names, 3)}: {reason}" for reason, names in runs.items())]


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
    """
    note, query = "", settings.query()
    expected: dict[str, str] = {}
    try:
        inputs = find_inputs(settings.bids_dir, query, concatenated=settings.concatenated)
    except ScaaeError as error:
        if any(settings.bids_dir.iterdir()):
            note = f"Who is missing is not known, because the input tells no runs: {error}"
    else:
        expected = {run.stem: _NOT_RUN for run in inputs.runs}
        for skip in inputs.skipped:
            file = BidsFile.parse(skip.path)
            if skip.is_fault and file is not None:
                expected[skip.path.name.partition("_desc-")[0]] = f"it cannot run: {skip.reason}"
    gone = {stem: reason for stem, reason in expected.items() if stem not in there}
    failed = {stem: record for stem, record in records.items() if record is not None and record.status == "failed"}
    takes = {stem for stem in failed if (file := BidsFile.parse(f"{stem}_bold.nii.gz")) and query.takes(file)}
    for stem in sorted(takes - {*there}):
        gone[stem] = f"it failed at the participant level: {failed[stem].message}"
    seen = {participant_of(stem) for stem in (*there, *expected, *takes)}
    gone |= {f"sub-{label}": _NOT_RUN for label in unknown if label not in seen}
    with_results = {participant_of(stem) for stem in there}
    of_nothing = sorted({participant_of(name) for name in gone} - with_results)
    return Missing(gone, tuple(of_nothing), len(with_results | {*of_nothing}), note)

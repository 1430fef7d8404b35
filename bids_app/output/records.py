"""What became of every run: the record beside its outputs, and whether it still holds."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from ..._version import __version__
from ...errors import InputError
from ...files import read_json, write_json
from ..settings.configuration import configuration_hash, maps_of, merged_scores, odd_score, scores_of
from ..settings.option_table import PARTS
from .dataset_files import part_of
from .known_files import FileNotes, KnownFiles
from .score_changes import configured, parts_due, what_changes

__all__ = [
    "Due",
    "RunRecord",
    "faulty_outputs",
    "in_current_form",
    "participant_log_dir",
    "read_record",
    "read_records",
    "record_path",
    "whats_new",
]


@dataclass(frozen=True)
class RunRecord:
    """What became of a run.

    In records of earlier versions, which have no `scores`, `configuration` is the hash of all settings; those that list
    their outputs know nothing of them but that they were written.
    """

    run: str  # stem of the run's outputs
    participant: str  # label without sub-
    status: Literal["finished", "failed"]
    message: str  # why it failed, in one line; empty where it did not
    configuration: str  # hash of the settings that change the maps
    model: str  # checksum of the weights; empty where none was applied
    inputs: FileNotes  # every file that was read
    outputs: FileNotes = field(default_factory=dict)  # written, by places below the output dataset
    warnings: Sequence[str] = ()
    steps: Sequence[Mapping[str, Any]] = ()  # name, seconds and peak memory of every step
    finished_at: str = ""
    version: str = __version__
    scores: Mapping[str, Any] | None = (
        None  # settings that what is computed from the maps was computed with (scores_of)
    )
    pending: Sequence[str] = ()  # of PARTS, being computed: should the call end, they may be of either settings

    def write(self, output_dir: Path) -> Path:
        """Write the record to its place below the output dataset."""
        content = {one.name: getattr(self, one.name) for one in fields(self)}
        return write_json(content, record_path(output_dir, self.participant, self.run))


def participant_log_dir(output_dir: Path, participant: str) -> Path:
    """Give the folder of a participant's records and crash files."""
    return output_dir / f"sub-{participant}" / "log"


def record_path(output_dir: Path, participant: str, run: str) -> Path:
    """Give the place of a run's record."""
    return participant_log_dir(output_dir, participant) / f"{run}.json"


def read_record(path: Path) -> RunRecord | None:
    """Read a record; None where there is none or it is not readable (then the run is simply done again)."""
    with suppress(InputError, TypeError, AttributeError):
        content = read_json(path)
        if isinstance(listed := content.get("outputs"), list):
            content["outputs"] = {str(name): {} for name in listed}
        record = RunRecord(**content)
        return record if _is_sound(record) else None
    return None


def _is_sound(record: RunRecord) -> bool:
    """Tell whether everything is of the kind that it is used as."""
    texts = (record.run, record.participant, record.message, record.configuration, record.model)
    lists = (record.warnings, record.steps, record.pending)
    notes = (record.inputs, record.outputs)
    return (
        all(isinstance(text, str) for text in texts)
        and all(isinstance(several, list | tuple) for several in lists)
        and all(isinstance(word, str) for word in (*record.warnings, *record.pending))
        and all(
            isinstance(noted, Mapping) and all(isinstance(about, Mapping) for about in noted.values())
            for noted in notes
        )
        and (record.scores is None or (isinstance(record.scores, Mapping) and not odd_score(record.scores)))
    )


def read_records(output_dir: Path) -> list[RunRecord]:
    """Read all records of an output dataset, sorted by run."""
    records = [read_record(path) for path in sorted(output_dir.glob("sub-*/log/sub-*.json"))]
    return [record for record in records if record is not None]


def in_current_form(record: RunRecord | None, known: Mapping[str, Mapping[str, Any]]) -> RunRecord | None:
    """Give a record as this version writes it: earlier ones note one hash of all settings, which `known` resolves."""
    if record is None or record.scores is not None or record.configuration not in known:
        return record
    content = known[record.configuration]
    return replace(record, configuration=configuration_hash(maps_of(content)), scores=scores_of(content))


_FIRST = "not done yet"


@dataclass(frozen=True)
class Due:
    """Why a run has to be done, and what of it; false where there is nothing to do.

    Due are the parts of the scores (of `PARTS`, or ``signed_maps``) that are to be computed from the maps that are
    there; without parts everything is, the maps first.
    """

    reason: str = ""
    parts: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.reason)

    def __str__(self) -> str:
        if self.parts:
            return self.reason
        return f"networks to be extracted ({self.reason})"


def whats_new(
    record: RunRecord | None,
    output_dir: Path,
    *,
    configuration: str,
    model: str | None,
    inputs: Mapping[str, Path],
    wanted: Iterable[str],
    known: KnownFiles | None = None,
    scores: Mapping[str, Any] | None = None,
    mode: str = "calibrated",
    events: str | None = None,
    beside: Collection[str] = (),
) -> Due:
    """Say why a run has to be done (again), and what of it; nothing if its outputs are there and nothing has changed.

    Parameters
    ----------
    record : RunRecord or None
        As `in_current_form` gives it.
    output_dir : Path
    configuration : str
        Hash of today's settings that change the maps.
    model : str or None
        Checksum of the model that would be applied; None if it has yet to be trained.
    inputs : mapping
        Today's files by their names (`named_by_place`).
    wanted : iterable of str
        Outputs that today's settings ask for, below `output_dir`.
    known : KnownFiles, optional
        How files are compared with what was noted of them.
    scores : mapping, optional
        Today's settings of what is computed from the maps (`scores_of`); not looked at if not given.
    mode : str
    events : str, optional
        Name of the run's table of events among `inputs`: another one changes no map.
    beside : collection of str
        Parts that need something beside the run, and have it (`RunInput.beside`).
    """
    known = known or KnownFiles()
    if record is None:
        return Due(_FIRST)
    if record.status != "finished":
        return Due("failed before")
    if record.configuration != configuration or (scores is not None and record.scores is None):
        return Due("other settings")
    if model is None or record.model != model:
        return Due("another model")
    changed = known.changed_inputs(record.inputs, inputs)
    if changed and changed != {events}:
        return Due("its input has changed")
    faults = faulty_outputs(record, output_dir, known, wanted)
    of_maps = [name for name in faults if not part_of(name)]
    if of_maps:
        return Due(f"{min(of_maps)} {faults[min(of_maps)]}")
    own = scores_of(record.scores) if record.scores is not None else {}
    target = merged_scores(own, scores) if scores is not None else {}
    reasons, parts = [], set(record.pending)
    if changed:
        reasons.append("other events" if _had_events(record, str(events)) else "scores to be added: events")
        parts.add("events")
    if target:
        parts |= parts_due(own, target, mode=mode)
        reasons.append(what_changes(own, target))
    if record.pending:
        reasons.append("an earlier call ended while it computed scores")
    reasons.append(_what_is_faulty(record, {name: faults[name] for name in faults if part_of(name) not in parts}))
    parts |= {part_of(name) for name in faults}
    if "states" in parts:  # whose cut-off may be of the spatial null, and which the task is held against
        parts |= {"events", *(["matches"] if mode != "paper" else [])}
    parts -= {"events", "planted"} - {*beside, *(["events"] if events is not None else [])}
    parts &= {*configured(target), "signed_maps"} if target else {*PARTS, "signed_maps"}
    return Due("; ".join(filter(None, reasons)), frozenset(parts)) if parts else Due()


def faulty_outputs(
    record: RunRecord, output_dir: Path, known: KnownFiles, wanted: Iterable[str] = ()
) -> dict[str, str]:
    """Say of outputs that are missing, or not as they were written, what is wrong with them."""
    faults = {
        name: known.fault_of_output(output_dir / name, record.outputs.get(name, {}))
        for name in {**record.outputs, **dict.fromkeys(wanted)}
    }
    return {name: fault for name, fault in faults.items() if fault}


def _what_is_faulty(record: RunRecord, faults: Mapping[str, str]) -> str:
    never_made = all(part_of(name) == "signed_maps" and name not in record.outputs for name in faults)
    if never_made:
        return "signed maps to be written" if faults else ""
    return f"{min(faults)} {faults[min(faults)]}"


def _had_events(record: RunRecord, name: str) -> bool:
    return any(noted == name or noted.endswith(f"/{name}") for noted in record.inputs)

"""What became of every run: the record beside its outputs, and whether it still holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from ..._version import __version__
from ...errors import InputError
from ...files import read_json, write_json
from ..settings.configuration import configuration_hash, maps_of, merged_scores, scores_of
from ..settings.option_table import PARTS
from .dataset_files import part_of
from .score_changes import configured, parts_due, what_changes

__all__ = [
    "Due",
    "RunRecord",
    "fingerprints",
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

    In records of earlier versions, which have no `scores`, `configuration` is the hash of all settings.
    """

    run: str  # stem of the run's outputs
    participant: str  # label without sub-
    status: Literal["finished", "failed"]
    message: str  # why it failed, in one line; empty where it did not
    configuration: str  # hash of the settings that change the maps
    model: str  # checksum of the weights; empty where none was applied
    inputs: Mapping[str, Mapping[str, int]]  # path to size and time of change of every input file
    outputs: Sequence[str] = ()  # paths below the output dataset
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
        return write_json(asdict(self), record_path(output_dir, self.participant, self.run))


def participant_log_dir(output_dir: Path, participant: str) -> Path:
    """Give the folder of a participant's records and crash files."""
    return output_dir / f"sub-{participant}" / "log"


def record_path(output_dir: Path, participant: str, run: str) -> Path:
    """Give the place of a run's record."""
    return participant_log_dir(output_dir, participant) / f"{run}.json"


def fingerprints(files: Iterable[Path | None]) -> dict[str, dict[str, int]]:
    """Note size and time of change of files, by which a later call sees whether they are still the same."""
    return {
        str(path): {"size": (status := path.stat()).st_size, "mtime_ns": status.st_mtime_ns}
        for path in files
        if path is not None and path.exists()
    }


def read_record(path: Path) -> RunRecord | None:
    """Read a record; None where there is none or it is not readable (then the run is simply done again)."""
    with suppress(InputError, TypeError):
        return RunRecord(**read_json(path))
    return None


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
    inputs: Mapping[str, Mapping[str, int]],
    wanted: Iterable[str],
    scores: Mapping[str, Any] | None = None,
    mode: str = "calibrated",
    events: Path | None = None,
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
        Today's `fingerprints`.
    wanted : iterable of str
        Outputs that today's settings ask for, below `output_dir`.
    scores : mapping, optional
        Today's settings of what is computed from the maps (`scores_of`); not looked at if not given.
    mode : str
    events : Path, optional
        The run's table of events: another one changes no map.
    """
    if record is None:
        return Due(_FIRST)
    if record.status != "finished":
        return Due("failed before")
    if record.configuration != configuration or (scores is not None and record.scores is None):
        return Due("other settings")
    if model is None or record.model != model:
        return Due("another model")
    changed = {name for name in {**record.inputs, **inputs} if record.inputs.get(name) != inputs.get(name)}
    if changed and changed != {str(events)}:
        return Due("its input has changed")
    missing = [name for name in {*record.outputs, *wanted} if not (output_dir / name).is_file()]
    of_maps = [name for name in missing if not part_of(name)]
    if of_maps:
        return Due(f"{min(of_maps)} is missing")
    own = record.scores or {}
    target = merged_scores(own, scores) if scores is not None else {}
    reasons, parts = [], set(record.pending)
    if changed:
        reasons.append("other events" if str(events) in record.inputs else "scores to be added: events")
        parts.add("events")
    if target:
        parts |= parts_due(own, target, mode=mode)
        reasons.append(what_changes(own, target))
    if record.pending:
        reasons.append("an earlier call ended while it computed scores")
    reasons.append(_what_is_missing(record, [name for name in missing if part_of(name) not in parts]))
    parts |= {part_of(name) for name in missing}
    if "states" in parts:  # whose cut-off may be of the spatial null, and which the task is held against
        parts |= {"events", *(["matches"] if mode != "paper" else [])}
    parts -= set() if events is not None else {"events"}
    parts &= {*configured(target), "signed_maps"} if target else {*PARTS, "signed_maps"}
    return Due("; ".join(filter(None, reasons)), frozenset(parts)) if parts else Due()


def _what_is_missing(record: RunRecord, names: Sequence[str]) -> str:
    never_made = all(part_of(name) == "signed_maps" and name not in record.outputs for name in names)
    if never_made:
        return "signed maps to be written" if names else ""
    return f"{min(names)} is missing"

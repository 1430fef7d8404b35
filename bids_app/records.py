"""What became of every run: the record beside its outputs, and whether it still holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from .._version import __version__
from ..errors import InputError
from ..files import read_json, write_json

__all__ = [
    "RunRecord",
    "fingerprints",
    "participant_log_dir",
    "read_record",
    "read_records",
    "record_path",
    "whats_new",
]


@dataclass(frozen=True)
class RunRecord:
    """What became of a run.

    Parameters
    ----------
    run : str
        Stem of the run's outputs.
    participant : str
        Label without ``sub-``.
    status : {"finished", "failed"}
    message : str
        Why it failed, in one line; empty where it did not.
    configuration : str
        Hash of the settings.
    model : str
        Checksum of the weights; empty where none was applied.
    inputs : mapping
        Path to size and time of change of every input file.
    outputs : sequence of str
        Paths below the output dataset.
    warnings : sequence of str
    steps : sequence of mapping
        Name, seconds and peak memory of every step.
    finished_at : str
    """

    run: str
    participant: str
    status: Literal["finished", "failed"]
    message: str
    configuration: str
    model: str
    inputs: Mapping[str, Mapping[str, int]]
    outputs: Sequence[str] = ()
    warnings: Sequence[str] = ()
    steps: Sequence[Mapping[str, Any]] = field(default=())
    finished_at: str = ""
    version: str = __version__

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


def whats_new(
    record: RunRecord | None,
    output_dir: Path,
    *,
    configuration: str,
    model: str | None,
    inputs: Mapping[str, Mapping[str, int]],
    wanted: Iterable[str],
) -> str:
    """Say why a run has to be done (again); empty if its outputs are all there and nothing has changed.

    Parameters
    ----------
    record : RunRecord or None
    output_dir : Path
    configuration : str
        Hash of today's settings.
    model : str or None
        Checksum of the model that would be applied; None if it has yet to be trained.
    inputs : mapping
        Today's `fingerprints`.
    wanted : iterable of str
        Outputs that today's settings ask for, below `output_dir`.
    """
    if record is None:
        return "not done yet"
    if record.status != "finished":
        return "failed before"
    if record.configuration != configuration:
        return "other settings"
    if model is None or record.model != model:
        return "another model"
    if dict(record.inputs) != dict(inputs):
        return "its input has changed"
    missing = [name for name in {*record.outputs, *wanted} if not (output_dir / name).is_file()]
    if missing:
        return f"{min(missing)} is missing"
    return ""

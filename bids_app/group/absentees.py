"""Who should be in the group and is not, and why."""

from __future__ import annotations

from pathlib import Path

from ...errors import UsageError
from ..output.records import read_record
from ..output.submissions import last_task_of, read_labels
from ..settings.configuration import has_results
from ..settings.settings import Settings

__all__ = ["absentees"]


def absentees(settings: Settings) -> dict[str, str]:
    """Name participants without results, and runs that failed, of those who are expected; with the reason in one line.

    Raises
    ------
    UsageError
        If the list of those who are expected cannot be read, or is empty.
    """
    if settings.group.expected is None:
        return {}
    path, output_dir = Path(settings.group.expected), settings.output_dir
    try:
        labels = read_labels(path)
    except (OSError, ValueError) as error:
        raise UsageError(f"`expected` {path}: cannot be read ({error}).") from error
    if not labels:
        raise UsageError(f"`expected` {path}: names nobody; write a label a line.")
    missing: dict[str, str] = {}
    without = [label for label in labels if not has_results(output_dir, label)]
    failed = {label: _failed_runs(output_dir, label) for label in labels}
    endings = last_task_of(output_dir, [label for label in without if not failed[label]])
    for label in labels:
        missing |= {run: f"it failed at the participant level: {message}" for run, message in failed[label].items()}
        if label in without and not failed[label]:
            reason = f"no results: {endings[label]}" if label in endings else "no results; run the participant level."
            missing[f"sub-{label}"] = reason
    return missing


def _failed_runs(output_dir: Path, label: str) -> dict[str, str]:
    """Give the runs of a participant that failed, and why."""
    records = [read_record(path) for path in sorted((output_dir / f"sub-{label}" / "log").glob("sub-*.json"))]
    return {record.run: record.message for record in records if record is not None and record.status == "failed"}

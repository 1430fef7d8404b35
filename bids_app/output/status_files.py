"""How calls ended, in files: one for every call, beside its log, and a summary of them all, ``logs/status.json``."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...errors import InputError
from ...files import read_json, write_json

__all__ = ["StatusFiles", "call_name", "read_calls"]

_SUMMARY = "status.json"
_PATTERN = "scaae-bids_*.json"
_DETAILS = "Participants"
_ATTEMPTS = 3


def call_name(started: float) -> str:
    """Name the log and the status file of a call of this process: when, where, which process."""
    host = socket.gethostname().partition(".")[0]
    return f"scaae-bids_{time.strftime('%Y%m%dT%H%M%S', time.localtime(started))}_{host}_{os.getpid()}"


@dataclass(frozen=True)
class StatusFiles:
    """The status file of one call below ``OUT/logs``, and the summary of all calls there."""

    logs: Path
    name: str = field(default_factory=lambda: call_name(time.time()))

    @property
    def own(self) -> Path:
        """The file of this call."""
        return self.logs / f"{self.name}.json"

    @property
    def summary(self) -> Path:
        """The file of all calls."""
        return self.logs / _SUMMARY

    def write(self, content: Mapping[str, Any], *, with_summary: bool = True) -> None:
        """Write how this call stands or has ended, and the summary from the files of all calls.

        Calls may end at the same moment: who finds that others have written since reads them again.
        """
        write_json(content, self.own)
        for _ in range(_ATTEMPTS if with_summary else 0):
            seen = _versions(self.logs)
            write_json(_summary(read_calls(self.logs)), self.summary)
            if _versions(self.logs) == seen:
                break


def _versions(logs: Path) -> dict[str, int]:
    found = {}
    for path in logs.glob(_PATTERN):
        with suppress(OSError):
            found[path.name] = path.stat().st_mtime_ns
    return found


def read_calls(logs: Path) -> dict[str, dict[str, Any]]:
    """Read the files of all calls: name of the file to content, in the order in which they were last heard of."""
    found = {}
    for path in logs.glob(_PATTERN):
        with suppress(InputError):
            content = read_json(path)
            if isinstance(content.get("Started"), str):
                found[path.name] = content
    return dict(sorted(found.items(), key=lambda item: (_last_heard(item[1]), item[0])))


def _last_heard(content: Mapping[str, Any]) -> str:
    return str(content.get("Ended") or content["Started"])


def _summary(calls: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Give what the last call says, what became of every run, whichever call was at it last, and all verdicts."""
    if not calls:
        return {}
    name, last = list(calls.items())[-1]
    return {
        **{key: value for key, value in last.items() if key != _DETAILS},
        "StatusFile": name,
        _DETAILS: _newest(calls.values()),
        "Calls": {
            name: {key: content.get(key) for key in ("Verdict", "ExitCode", "Started", "Ended")}
            for name, content in calls.items()
        },
    }


def _newest(calls: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Join what calls say of participants: a call that found a run finished adds nothing to what is known of it."""
    joined: dict[str, dict[str, Any]] = {}
    for content in calls:
        details = content.get(_DETAILS)
        for label, runs in details.items() if isinstance(details, dict) else ():
            own = joined.setdefault(label, {})
            for run, about in runs.items() if isinstance(runs, dict) else ():
                if not isinstance(about, dict):
                    continue
                known = own.get(run, {}).get("Status") == "finished" and about.get("Status") == "finished before"
                own[run] = own[run] if known else about
    return {label: joined[label] for label in sorted(joined)}

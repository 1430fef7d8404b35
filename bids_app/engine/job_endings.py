"""How a job of a scheduler ended, from the last words of its log."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["kind_of_ending"]

_ENDINGS = (
    ("memory", re.compile(r"oom[-_ ]?kill|out of memory|exceeded memory limit|OOM Killed", re.IGNORECASE)),
    ("time", re.compile(r"DUE TO TIME LIMIT|exceeded.*(h_rt|wallclock)", re.IGNORECASE)),
    ("node", re.compile(r"DUE TO NODE FAILURE|NODE_FAIL|DUE TO NODE", re.IGNORECASE)),
    ("preemption", re.compile(r"DUE TO PREEMPTION", re.IGNORECASE)),
    ("cancelled", re.compile(r"CANCELLED AT", re.IGNORECASE)),
    ("done", re.compile(r"^All done\b", re.MULTILINE)),
)
"""What schedulers write at the end of a job's log, and what the app itself does; the first that is found counts."""


def kind_of_ending(log: Path) -> str:
    """Say how a job ended.

    Returns
    -------
    str
        ``memory``, ``time``, ``node``, ``preemption``, ``cancelled``, ``done``, ``unknown``; ``never`` without a log.
    """
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 4000))
            text = file.read().decode(errors="replace")
    except OSError:
        return "never"
    return next((kind for kind, pattern in _ENDINGS if pattern.search(text)), "unknown")

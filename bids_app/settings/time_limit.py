"""Time limits as schedulers write them."""

from __future__ import annotations

import re

from ...errors import UsageError

__all__ = ["minutes_of", "time_text"]

_FORM = re.compile(r"(?:(?P<days>\d+)-)?(?:(?P<hours>\d+):)?(?P<minutes>\d+)(?::(?P<seconds>\d+))?$")


def minutes_of(text: str, *, setting: str = "time_limit") -> int:
    """Give a time limit in minutes, rounded up.

    Raises
    ------
    UsageError
        If it is none, or zero.

    >>> [minutes_of(text) for text in ("90", "1:30:00", "2-00:00:00", "1-12:00")]
    [90, 90, 2880, 2160]
    """
    found = _FORM.match(text.strip())
    parts = {name: int(value or 0) for name, value in found.groupdict().items()} if found else {}
    # As in Slurm: 4:00 is in minutes and seconds, 1-4:00 and 4:00:00 are in hours and minutes.
    if found and found["hours"] and not found["seconds"] and not found["days"]:
        parts = {"days": 0, "hours": 0, "minutes": parts["hours"], "seconds": parts["minutes"]}
    minutes = 0
    if parts:
        minutes = 1440 * parts["days"] + 60 * parts["hours"] + parts["minutes"] + (parts["seconds"] > 0)
    if minutes <= 0:
        raise UsageError(f"`{setting}` {text}: give minutes (90), H:MM:SS (1:30:00) or D-HH:MM:SS (2-00:00:00).")
    return minutes


def time_text(minutes: int) -> str:
    """Write a time limit as H:MM:SS.

    >>> time_text(90), time_text(2880)
    ('1:30:00', '48:00:00')
    """
    return f"{minutes // 60}:{minutes % 60:02d}:00"

"""Files that another machine has written and that are seen here a little later, as on network file systems."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["LONGEST", "appears"]

LONGEST = 65.0
"""Seconds: NFS keeps what it knows of a folder for up to 60."""


def appears(
    is_there: Callable[[], bool],
    *,
    lacking: str = "No model is there yet",
    say: Callable[[str], None] = print,
    every: float = 5.0,
) -> bool:
    """Look again for something until it is there, for `LONGEST` at most; tell whether it is. `lacking` is said first.

    >>> appears(lambda: True)
    True
    """
    if is_there():
        return True
    say(f"{lacking}; looked for again for {LONGEST:.0f} s, in case another machine has just written it.")
    deadline = time.monotonic() + LONGEST
    while time.monotonic() < deadline:
        time.sleep(every)
        if is_there():
            return True
    return False

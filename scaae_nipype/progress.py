"""How the library tells how far it is: to whom is for the caller to say, and by default to nobody."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

__all__ = ["Advance", "Progress", "bar", "say", "silent"]


class Advance(Protocol):
    """Tells that `done` more units are done, and, where there is something to add, a note."""

    def __call__(self, done: int, note: str = "", /) -> object:
        """Go on."""


class Progress(Protocol):
    """Opens the progress of a piece of work: its name, its units in all, what a unit is, and how many are done."""

    def __call__(self, title: str, total: int, unit: str, done: int = 0, /) -> AbstractContextManager[Advance]:
        """Begin; the block ends where the work ends."""


@contextmanager
def silent(title: str, total: int, unit: str, done: int = 0, /) -> Iterator[Advance]:
    """Show nothing.

    >>> with silent("Networks", 10, "volume") as advance:
    ...     advance(1)
    """
    yield lambda done, note="", /: None


@contextmanager
def bar(title: str, total: int, unit: str, done: int = 0, /) -> Iterator[Advance]:
    """Draw a bar on standard error: for those who call the library, not for the library."""
    from tqdm.auto import tqdm

    with tqdm(total=total, initial=done, desc=title, unit=unit, mininterval=1.0, file=sys.stderr) as drawn:

        def advance(done: int, note: str = "", /) -> None:
            drawn.update(done)
            if note:
                drawn.set_postfix_str(note, refresh=False)

        yield advance


def say(text: str) -> None:
    """Write a line on standard error, for the same callers."""
    print(text, file=sys.stderr, flush=True)

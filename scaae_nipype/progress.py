"""How the library tells how far it is: to whom is for the caller to say, and by default to nobody."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from .words import counted, duration

__all__ = ["SECONDS_BETWEEN_LINES", "Advance", "Progress", "bar", "lines", "say", "silent"]

SECONDS_BETWEEN_LINES = 60.0
"""How often work says in a log how far it is."""


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


def bar(title: str, total: int, unit: str, done: int = 0, /) -> AbstractContextManager[Advance]:
    """Draw a bar on standard error, or write lines where nobody watches: for those who call the library."""
    is_watched = sys.stderr.isatty() or "ipykernel" in sys.modules
    return (_drawn if is_watched else lines)(title, total, unit, done)


@contextmanager
def lines(title: str, total: int, unit: str, done: int = 0, /) -> Iterator[Advance]:
    """Write a line on standard error when the work begins, and then every `SECONDS_BETWEEN_LINES`: for logs."""
    said: float | None = None
    before, began = done, time.monotonic()

    def advance(more: int, note: str = "", /) -> None:
        nonlocal done, said
        done, now = done + more, time.monotonic()
        if said is not None and now - said < SECONDS_BETWEEN_LINES:
            return
        left = (now - began) * (total - done) / (done - before) if said is not None and done > before else 0.0
        said = now
        extra = [note] if note else []
        extra += [f"about {duration(left)} left"] if left >= 1 else []
        say(f"{title}: {', '.join([f'{done} of {counted(total, unit)}', *extra])}")

    yield advance


@contextmanager
def _drawn(title: str, total: int, unit: str, done: int = 0, /) -> Iterator[Advance]:
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

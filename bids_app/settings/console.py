"""What the user sees while the program works: plain lines, kept in a log file too."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from .spelling import with_options

__all__ = ["Console"]


class Console:
    """Print lines, and write them with the time to ``OUT/logs`` once there is such a folder.

    Parameters
    ----------
    verbosity : int
        0: what happens to runs; 1: every step.
    """

    def __init__(self, verbosity: int = 0):
        self.verbosity = verbosity
        self._lines: list[str] = []
        self._log_file: Path | None = None

    def say(self, text: str, *, level: int = 0) -> None:
        """Print a text if the user wants to know that much; the log file gets all of it."""
        text = with_options(text)
        if level <= self.verbosity:
            sys.stderr.flush()
            print(text, flush=True)
        stamp = time.strftime("%Y-%m-%d %H:%M:%S")
        self._lines += [f"{stamp} {line}" for line in text.splitlines()]
        self._write()

    def log_to(self, folder: Path, command: Sequence[str], name: str) -> Path:
        """Start the log file of this call, with everything said so far."""
        folder.mkdir(parents=True, exist_ok=True)
        self._log_file = folder / f"{name}.log"
        self._lines.insert(0, " ".join(command))
        self._write()
        return self._log_file

    def _write(self) -> None:
        if self._log_file is not None and self._lines:
            try:
                with self._log_file.open("a", encoding="utf-8", errors="backslashreplace") as file:
                    file.write("\n".join(self._lines) + "\n")
            except OSError as error:  # a full disk: the work says so itself, and what is said is still seen
                print(f"{self._log_file}: the log is not written any more ({error.strerror}).", file=sys.stderr)
                self._log_file = None
            self._lines.clear()

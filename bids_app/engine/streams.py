"""Output that nobody reads any more does not end the work: the log has it all."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

__all__ = ["lasting_streams", "make_lasting"]


class _LastingStream:
    """A stream that falls silent where its reader has gone (``scaae-bids … | head``, a closed terminal)."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, if anybody reads."""
        try:
            return self._stream.write(text)
        except OSError as error:
            self._fall_silent(error)
        return len(text)

    def flush(self) -> None:
        """Hand over what was written, if anybody reads."""
        try:
            self._stream.flush()
        except OSError as error:
            self._fall_silent(error)

    def _fall_silent(self, error: OSError) -> None:
        if error.errno not in (errno.EPIPE, errno.EIO):  # no reader, no terminal
            raise error
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())  # what is still in the buffer goes there, now or at the end
        os.close(nowhere)
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def make_lasting() -> None:
    """Let output and error stream of this process outlive their readers."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):  # a terminal that knows ASCII alone gets escapes for other signs
            stream.reconfigure(errors="backslashreplace")
        if stream is not None and not isinstance(stream, _LastingStream):
            setattr(sys, name, _LastingStream(stream))


@contextmanager
def lasting_streams() -> Iterator[None]:
    """Do so within a block, and hand over at its end what was written."""
    before = sys.stdout, sys.stderr
    make_lasting()
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        sys.stdout, sys.stderr = before

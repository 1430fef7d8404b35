"""What people write: text files of any Unicode encoding, and words that are nearly those that are known."""

from __future__ import annotations

import codecs
import difflib
from collections.abc import Collection
from pathlib import Path

from ..errors import UsageError

__all__ = ["did_you_mean", "read_user_file"]


def read_user_file(path: Path) -> str:
    """Read a text file in UTF-8, with or without a byte order mark (or in UTF-16 with one).

    Raises
    ------
    UsageError
        If it cannot be read, or is in another encoding; the message does not name the file.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot be read ({error.strerror}).") from error
    encoding = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UsageError(f"is not UTF-8 text (line {line}); save it as UTF-8.") from error


def did_you_mean(word: str, possible: Collection[str]) -> str:
    """Give the end of a message that names the nearest of the possible words, if one is near.

    >>> did_you_mean("papr", ["calibrated", "paper"])
    '; did you mean paper?'
    >>> did_you_mean("x", ["calibrated", "paper"])
    ''
    """
    spelt = {name.lower(): name for name in possible}
    near = difflib.get_close_matches(word.lower(), spelt, n=1)
    return f"; did you mean {spelt[near[0]]}?" if near else ""

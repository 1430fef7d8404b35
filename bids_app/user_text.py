"""What people write: text files of any Unicode encoding."""

from __future__ import annotations

import codecs
from pathlib import Path

from ..errors import UsageError

__all__ = ["read_user_file"]


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

"""Files from outside: opened in one way, which no pipe, no endless link and no hostile content can hold up.

Everything that a user, a dataset or another program wrote is read through here: text by `read_bytes` and `decoded`,
JSON by `parse_json`; images (`scaae_nipype.images`) and weights are looked at with `refuse_odd_file` before a library
opens them.
"""

from __future__ import annotations

import codecs
import io
import json
import os
import stat
from collections.abc import Callable
from typing import Any

from .errors import InputError

__all__ = [
    "LARGEST_TEXT",
    "PathLike",
    "check_columns",
    "decoded",
    "open_regular",
    "parse_json",
    "read_bytes",
    "refuse_odd_file",
]

PathLike = str | os.PathLike[str]

LARGEST_TEXT = 512 * 2**20
"""Bytes of the largest text that is read whole. The confounds of 10,000 volumes in 1,000 columns have 200 MB."""

MOST_COLUMNS = 10_000
"""Columns of the widest table that is read: confounds have a few hundred, and each column costs time."""

DEEPEST = 100
"""Brackets within brackets that JSON may have: what walks through it later does so recursively."""

LONGEST_INTEGER = 300
"""Digits of the largest whole number that a float can hold; longer ones are infinite, as ``1e400`` is."""


def open_regular(path: PathLike) -> io.BufferedReader:
    """Open a regular file for reading; anything else is refused without waiting for it.

    Raises
    ------
    InputError
        If it is missing, is a folder, a pipe, a device or a link that leads to itself, or may not be read.
    """
    refuse_odd_file(path)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):  # exchanged since
        os.close(descriptor)
        raise InputError(f"{path}: cannot be read (it is no regular file).")
    return os.fdopen(descriptor, "rb")


def refuse_odd_file(path: PathLike) -> None:
    """See that a path leads to a regular file that is not empty of meaning to open: nothing is opened here.

    Raises
    ------
    InputError
        If it is missing, is a folder, a pipe, a device, or a link that leads to itself.
    """
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - also for paths that pathlib would normalise
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    except ValueError as error:  # a NUL byte, a name that cannot be encoded
        raise InputError(f"{str(path)!r}: is no path ({error}).") from error
    if not stat.S_ISREG(mode):
        kind = "a folder, no regular file" if stat.S_ISDIR(mode) else "no regular file"
        raise InputError(f"{path}: cannot be read (it is {kind}).")


def read_bytes(path: PathLike, *, most: int = LARGEST_TEXT) -> bytes:
    """Read a regular file whole, if it is not larger than `most` bytes.

    Raises
    ------
    InputError
        If it is no regular file, cannot be read, or is larger.
    """
    with open_regular(path) as file:
        try:
            content = file.read(most + 1)
        except (OSError, MemoryError) as error:
            reason = getattr(error, "strerror", None) or "it does not fit into memory"
            raise InputError(f"{path}: cannot be read ({reason}).") from error
    if len(content) > most:
        raise InputError(f"{path}: is larger than {_size(most)}, which no such file is; is it the right one?")
    return content


def decoded(content: bytes, path: PathLike, *, fallback: str | None = None) -> str:
    """Decode text in UTF-8, with or without the byte order mark that Windows programs put before it.

    Parameters
    ----------
    content : bytes
    path : path
        Its file, for messages.
    fallback : str, optional
        Encoding to try where the text is not UTF-8 (``"cp1252"``: what Windows programs write).

    Raises
    ------
    InputError
        If it is encoded otherwise, or no text.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in content[:1000]:
        raise InputError(f"{path}: is no text in UTF-8, but in UTF-16 or no text at all; save it as UTF-8.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if fallback is not None:
            return content.decode(fallback, errors="replace")
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}: line {line} is not in UTF-8 (perhaps Latin-1); save it as UTF-8.") from error


def check_columns(text: str, path: PathLike, separator: str = "\t") -> None:
    """See that the header of a table names no more columns than any table has.

    Raises
    ------
    InputError
    """
    n_columns = text.partition("\n")[0].count(separator) + 1
    if n_columns > MOST_COLUMNS:
        raise InputError(
            f"{path}: has {n_columns} columns, and no such table has more than {MOST_COLUMNS}; is it the right one?"
        )


def parse_json(text: str, *, pairs: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:
    r"""Read JSON that anybody may have written.

    What comes of it can be walked through, compared with numbers and written again: brackets are at most 100 deep,
    whole numbers that no float can hold are infinite, and halves of characters are replaced.

    Parameters
    ----------
    text : str
    pairs : callable, optional
        Makes an object of its names and values.

    Raises
    ------
    ValueError
        If it is no JSON, or nested more deeply.

    >>> parse_json('{"a": [1, 1' + "0" * 400 + r', "\ud800"]}')
    {'a': [1, inf, '?']}
    """
    try:
        content = json.loads(text, parse_int=_integer, object_pairs_hook=pairs)
    except RecursionError as error:
        raise ValueError(f"its brackets are nested more than {DEEPEST} deep") from error
    _refuse_depth(content)
    return _whole_characters(content) if "\\u" in text else content


def _integer(digits: str) -> float:
    return int(digits) if len(digits) <= LONGEST_INTEGER else float(digits)


def _refuse_depth(content: Any) -> None:
    level = [content]
    for _ in range(DEEPEST + 1):
        inside: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                inside += value.values()
            elif isinstance(value, list):
                inside += value
        level = [value for value in inside if isinstance(value, dict | list)]
        if not level:
            return
    raise ValueError(f"its brackets are nested more than {DEEPEST} deep")


def _whole_characters(value: Any) -> Any:
    """Replace surrogates without their other half, which no file and no terminal takes."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, list):
        return [_whole_characters(item) for item in value]
    if isinstance(value, dict):
        return {_whole_characters(key): _whole_characters(item) for key, item in value.items()}
    return value


def _size(n_bytes: int) -> str:
    for unit, size in (("MiB", 2**20), ("KiB", 2**10)):
        if n_bytes >= size:
            return f"{n_bytes / size:.0f} {unit}"
    return f"{n_bytes} bytes"

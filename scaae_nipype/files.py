"""Standard files, written beside their place and moved there, so that nobody ever reads half a file."""

from __future__ import annotations

import errno
import io
import json
import math
import os
import socket
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import InputError
from .opening import PathLike, check_columns, decoded, parse_json, read_bytes
from .words import one_line

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "PathLike",
    "as_numbers",
    "parse_table",
    "read_json",
    "read_table",
    "read_text",
    "replacing",
    "replacing_folder",
    "reserve",
    "write_json",
    "write_table",
    "write_text",
    "writer_of",
]


def _writing() -> str:
    """Begin the name of what this process writes; a killed process leaves it behind."""
    return f".writing-{os.getpid()}-{socket.gethostname().partition('.')[0]}-"


def writer_of(path: Path) -> int | None:
    """Give the process of this machine that writes, or wrote, a temporary file or folder; None if it is of another."""
    number, _, rest = path.name.removeprefix(".writing-").partition("-")
    host = socket.gethostname().partition(".")[0]
    return int(number) if number.isdigit() and rest.startswith(f"{host}-") else None


@contextmanager
def replacing(path: PathLike) -> Iterator[Path]:
    """Give a temporary name beside `path`; move it to `path` when the block ends well, remove it otherwise.

    The temporary name keeps the extension, because nibabel and pandas choose the format by it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    extension = "".join(path.suffixes[-2:]) if path.name.endswith(".gz") else path.suffix
    handle, name = tempfile.mkstemp(prefix=_writing(), suffix=extension, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp makes files private; outputs follow the user's umask
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(folder: PathLike) -> Iterator[Path]:
    """Give the name of a folder to be made beside `folder`; put it in the place of `folder` when the block ends well.

    Otherwise it is removed, and what was there stays as it was.
    """
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=_writing(), dir=folder.parent) as beside:
        new, old = Path(beside, "new"), Path(beside, "old")
        yield new
        there = folder.exists()
        if there:
            folder.replace(old)
        try:
            new.replace(folder)
        except OSError:
            if there:
                old.replace(folder)
            raise


def reserve(descriptor: int, n_bytes: int) -> None:
    """Take the disk space of a file that is going to be mapped into memory.

    Without it the file is sparse, and a disk that turns out to be full kills the process (SIGBUS) instead of raising.

    Raises
    ------
    OSError
        If the disk has no room.
    """
    os.ftruncate(descriptor, n_bytes)
    if hasattr(os, "posix_fallocate"):  # not on macOS
        try:
            os.posix_fallocate(descriptor, 0, n_bytes)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):  # file systems that cannot promise room
                raise


def write_text(text: str, path: PathLike) -> Path:
    """Write a text file in UTF-8; bytes of file names that are no text become escapes."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
    return Path(path)


def write_json(content: Mapping[str, Any], path: PathLike) -> Path:
    """Write a JSON object; numpy scalars and arrays become numbers and lists, NaN becomes null."""
    return write_text(json.dumps(_plain(content), indent=2, allow_nan=False) + "\n", path)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):  # of numpy, whose import the command line should not wait for
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Path):
        return str(value)
    return value


def read_text(path: PathLike, *, fallback: str | None = None) -> str:
    """Read a text file in UTF-8, with or without the byte order mark that Windows programs put before it.

    Parameters
    ----------
    path : path
    fallback : str, optional
        Encoding to try where the file is not UTF-8 (``"cp1252"``: what Windows programs write).

    Raises
    ------
    InputError
        If the file is missing, is no regular file (reading a pipe would wait for ever), is larger than any text, or is
        encoded otherwise.
    """
    return decoded(read_bytes(path), path, fallback=fallback)


def read_json(path: PathLike) -> dict[str, Any]:
    """Read a JSON object; what is not UTF-8 in it is taken for Windows' encoding (names of people and places).

    Raises
    ------
    InputError
        If the file is missing, is not JSON, or holds something else than an object.
    """
    try:
        content = parse_json(read_text(path, fallback="cp1252"))
    except ValueError as error:
        raise InputError(f"{path}: is not valid JSON ({error}).") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds no JSON object.")
    return content


def write_table(table: pd.DataFrame, path: PathLike) -> Path:
    """Write a BIDS table: tab-separated, header line, ``n/a`` where a value is missing, six significant digits."""
    with replacing(path) as temporary:
        table.to_csv(temporary, sep="\t", index=False, na_rep="n/a", float_format="%.6g", compression=None)
    return Path(path)


def read_table(path: PathLike) -> pd.DataFrame:
    """Read a BIDS table; only ``n/a`` and empty cells count as missing (a template may be called ``NA``).

    Raises
    ------
    InputError
        If the file is missing or cannot be parsed.
    """
    return parse_table(read_text(path), path, na_values=["n/a", ""])


def parse_table(text: str, path: PathLike, *, separator: str = "\t", **how: Any) -> pd.DataFrame:
    """Take a table apart; rows may end in separators with nothing between them.

    Parameters
    ----------
    text : str
    path : path
        Its file, for messages.
    separator : str
    **how
        For `pandas.read_csv`.

    Raises
    ------
    InputError
        If it cannot be parsed, has more columns than any table, or a row has more cells than the header has names
        (pandas would take the first of them for names of rows, and move all others by one column).
    """
    import pandas as pd

    check_columns(text, path, separator)
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", pd.errors.ParserWarning)
            table = pd.read_csv(io.StringIO(text), sep=separator, keep_default_na=False, index_col=False, **how)
    except (ValueError, OverflowError) as error:  # pandas' parser errors are ValueErrors
        raise InputError(f"{path}: is not a tab-separated table ({one_line(error)[:300]}).") from error
    if said and any(
        cell.strip() for line in text.splitlines()[1:] for cell in line.split(separator)[len(table.columns) :]
    ):
        raise InputError(f"{path}: its rows have more cells than its header has names; correct the header.")
    return table


def as_numbers(column: pd.Series) -> pd.Series:
    """Give a column of a table as numbers, NaN where a cell holds none; those that no float holds are infinite."""
    import pandas as pd

    try:
        return pd.to_numeric(column, errors="coerce")
    except OverflowError:  # a whole number of hundreds of digits
        return pd.to_numeric(column.map(_number), errors="coerce")


def _number(value: Any) -> float:
    try:
        return float(str(value))
    except ValueError:
        return math.nan

"""The cells of a table of confounds: read as they stand, and turned into numbers only where a column is used."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from ..errors import InputError
from ..files import PathLike
from ..opening import LARGEST_TEXT, check_columns, read_bytes
from ..words import shown

__all__ = ["empty_columns", "numbers", "read_cells"]

MISSING = ("n/a", "")
"""What BIDS writes where there is no value, and what spreadsheets make of it."""

_BOOLEANS = {"true": 1.0, "false": 0.0}


def read_cells(path: PathLike) -> pd.DataFrame:
    """Read a tab-separated table, also one that is gzip'ed, begins with a byte order mark or is in Latin-1.

    Columns whose cells are all numbers, booleans or missing become float; others stay text, and so do no harm until
    they are used. Of columns that share a name the first is kept; names whose columns differ are in ``attrs["twice"]``.

    Raises
    ------
    InputError
        If the file is missing, empty, not tab-separated, or a row has another number of cells than the header.
    """
    try:
        lines = list(csv.reader(io.StringIO(_text(path), newline=""), delimiter="\t"))
    except csv.Error as error:
        raise InputError(
            f"{path}: is not a tab-separated table ({error}; is there a quote that is not closed?)."
        ) from error
    while lines and not any(cell.strip() for cell in lines[-1]):
        lines.pop()
    if not lines:
        raise InputError(f"{path}: is empty; use the table of confounds of this run.")
    header = [name.strip() for name in lines[0]]
    check_columns("\t".join(header), path)
    separator = re.search(r"[,;]|\s", header[0]) if len(header) == 1 else None
    if separator:
        kind = {",": "commas", ";": "semicolons"}.get(separator[0], "spaces")
        raise InputError(f"{path}: its header is separated by {kind}, not by tabs; save it as a tab-separated table.")
    rows = [_row(cells, header, number, path) for number, cells in enumerate(lines[1:], start=1)]
    columns: dict[str, np.ndarray] = {}
    twice: list[str] = []
    for name, cells in zip(header, zip(*rows, strict=True) if rows else [()] * len(header), strict=True):
        if not name and not any(cells):
            continue  # a tab at the end of every line
        column = _column(cells)
        if name not in columns:
            columns[name] = column
        elif not pd.Series(columns[name]).equals(pd.Series(column)):
            twice.append(name)
    table = pd.DataFrame(columns, index=range(len(rows)))
    table.attrs["twice"] = tuple(dict.fromkeys(twice))
    return table


def _text(path: PathLike) -> str:
    try:
        content = read_bytes(path)
        if content.startswith(b"\x1f\x8b"):
            with gzip.open(io.BytesIO(content)) as stream:
                content = stream.read(LARGEST_TEXT + 1)
            if len(content) > LARGEST_TEXT:
                raise InputError(f"{path}: is larger than {LARGEST_TEXT // 2**20} MiB when unpacked; no table is.")
    except (OSError, EOFError, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InputError(f"{path}: cannot be read ({reason}).") from error
    is_utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        return content.decode("utf-16" if is_utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        if is_utf16:
            raise InputError(f"{path}: cannot be read (damaged text in UTF-16); save it again, as UTF-8.") from error
        return content.decode("latin-1")  # columns that are used are plain numbers under plain names


def _row(cells: list[str], header: list[str], number: int, path: Any) -> list[str]:
    """Take the cells of a row, which may end in a tab."""
    if not cells and len(header) == 1:
        return [""]
    wanted = len(header)
    if len(cells) < wanted or any(cell.strip() for cell in cells[wanted:]):
        raise InputError(
            f"{path}: is not a tab-separated table (line {number + 1} has {len(cells)} cells, and the header {wanted})."
        )
    return [cell.strip() for cell in cells[:wanted]]


def _column(cells: Iterable[str]) -> np.ndarray:
    values = [_value(cell) for cell in cells]
    texts = {value.lower() for value in values if isinstance(value, str)}
    if texts and texts <= _BOOLEANS.keys() and all(isinstance(value, str) or np.isnan(value) for value in values):
        return np.array([_BOOLEANS.get(str(value).lower(), np.nan) for value in values])
    return np.array(values, dtype=object if texts else float)


def _value(cell: Any) -> Any:
    """Give the number that a cell holds, NaN where it holds none, its text where that is something else."""
    if not isinstance(cell, str):
        return cell
    if cell in MISSING:
        return np.nan
    try:
        return float(cell) if "_" not in cell else cell
    except ValueError:
        return cell


def empty_columns(table: pd.DataFrame) -> set[str]:
    """Name the columns without any value."""
    return {str(name) for name in table.columns if table[name].isna().all()}


def numbers(table: pd.DataFrame, columns: Iterable[str], source: Any) -> pd.DataFrame:
    """Give columns as numbers, NaN where a value is missing.

    Raises
    ------
    InputError
        If a cell holds something else, or there are several such columns; the message names table, column, row, value.
    """
    chosen: dict[str, np.ndarray] = {}
    for name in columns:
        if name in table.attrs.get("twice", ()):
            raise InputError(f"{source}: has two columns {name} that differ; leave one out of the table.")
        values = [_value(cell) for cell in table[name].tolist()]
        for row, value in enumerate(values):
            if isinstance(value, str):
                raise InputError(
                    f"{source}: a confound is not a number: column {name}, {_where(row)}, holds {shown(value)}; "
                    f"{_advice(value)}."
                )
        chosen[name] = np.array(values, dtype=float)
    return pd.DataFrame(chosen, index=range(len(table)))


def _where(row: int) -> str:
    return f"row {row + 1} (line {row + 2} of the file)"


def _advice(value: str) -> str:
    if re.fullmatch(r"[-+]?[0-9.]*,[0-9]+(e[-+]?[0-9]+)?", value, re.IGNORECASE):
        return "write decimals with a point, not a comma"
    if re.fullmatch(r"[-–—.?]+|n\.?/?a\.?|null|none|missing", value, re.IGNORECASE):
        return "write n/a where a value is missing"
    return "repair the table, or choose a `strategy` without this column"

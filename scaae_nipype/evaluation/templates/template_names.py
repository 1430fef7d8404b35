"""Names of templates and regions, from the tables that atlases come with.

Read are: tables with a header (tabs, commas, semicolons), lists of numbers and names, bare names one per line,
FreeSurfer's and ITK-SNAP's look-up tables, and FSL's XML.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from ...errors import InputError
from ...opening import read_bytes

__all__ = ["NameTable", "label_names", "map_names", "read_names"]

INDEX_COLUMNS = (
    *("index", "id", "value", "label_id", "labelid", "roi_id", "roiid", "region_id", "no", "no.", "nr", "number"),
    *("intensity", "component", "label", "roi", "region", "parcel"),
)
"""Headers of a column of labels, the surest first, in lower case."""

NAME_COLUMNS = (
    *("name", "label", "label_name", "labelname", "roi_name", "region_name", "region", "roi", "structure", "network"),
    *("parcel", "difumo_names", "abbreviation", "abbr"),
)
"""Headers of a column of names, the surest first, in lower case."""

BACKGROUNDS = ("background", "unknown", "unclassified", "clear label", "none", "***", "")
"""Names of what is no region."""

_MISSING = ("", "n/a")
_LUT = re.compile(r"^\s*(-?\d{1,18})\s+(\S+)\s+\d+\s+\d+\s+\d+(?:\s+\d+)?\s*$")
_ITK = re.compile(r'^\s*(\d{1,18})(?:\s+[\d.]+){6}\s+"(.*)"\s*$')
_NUMBERED = re.compile(r"^\s*(-?\d{1,18})(\s+|\s*[,;:.)]\s*)(\S.*)$")


LARGEST_NAMES = 16 * 2**20
"""Bytes of the largest table of names."""


@dataclass(frozen=True)
class NameTable:
    """Names of templates."""

    path: Path
    names: tuple[str, ...]
    indices: tuple[int, ...] | None
    """The label of each name; None where the file does not tell."""
    is_list_of_all: bool = False
    """Whether the file lists whatever labels a program knows: those that an image lacks are left out."""
    columns: tuple[str, ...] = ()
    """Of a table with a header."""
    warnings: tuple[str, ...] = ()


def read_names(path: Path) -> NameTable:
    """Read a table of names, whatever of the known kinds it is.

    Raises
    ------
    InputError
        If it cannot be read, or if what is found in it allows no or more than one reading.
    """
    text, warnings = _text(path)
    lines = [line for line in text.splitlines() if line.strip()]
    if text.lstrip().startswith("<"):
        table = _from_xml(text, path)
    else:
        table = _from_look_up_table(lines, path) or _from_lines(lines, path)
    if not table.names:
        raise InputError(f"{path}: holds no names.")
    return replace(table, warnings=warnings)


def label_names(known: Sequence[int], table: NameTable, image: Path) -> tuple[list[int], tuple[str, ...]]:
    """Pair the labels of an image with names; names of a table whose label the image lacks stay, as empty ones.

    Raises
    ------
    InputError
        If a label has no name, or names cannot be told apart.
    """
    path, known = table.path, list(known)
    if table.indices is None:
        table = _numbered(known, table, image)
    assert table.indices is not None
    labels = zip(table.indices, table.names, strict=True)
    pairs = [(i, name) for i, name in labels if i in known or (i > 0 and not table.is_list_of_all)]
    indices, names = [index for index, _ in pairs], [name for _, name in pairs]
    if len(set(indices)) < len(indices):
        doubled = next(index for index in indices if indices.count(index) > 1)
        raise InputError(f"{path}: an index occurs twice ({doubled}).")
    missing = sorted(set(known) - set(indices))
    if missing:
        raise InputError(f"{path}: has no row for label {missing[0]} of {image} ({len(missing)} labels lack one).")
    return indices, _unique(names, path)


def map_names(count: int, table: NameTable, image: Path) -> tuple[str, ...]:
    """Give the names of the maps of a 4D image: one per map, in the order of their index if they have one.

    Raises
    ------
    InputError
        If there are more or fewer names than maps, or names cannot be told apart.
    """
    names = list(table.names)
    if table.indices is not None:
        order = np.argsort(table.indices, kind="stable")
        names = [names[place] for place in order]
    if len(names) == count + 1 and names[0].strip().lower() in BACKGROUNDS:
        names = names[1:]
    if len(names) != count:
        raise InputError(
            f"{table.path}: has {len(names)} rows for the {count} maps of {image}; it needs one row per map."
        )
    if any(name in _MISSING for name in names):
        raise InputError(f"{table.path}: a name is empty.")
    return _unique(names, table.path)


def _numbered(known: Sequence[int], table: NameTable, image: Path) -> NameTable:
    """Count names that come without labels, where the labels of the image are 1 to their number."""
    names = table.names
    if len(names) == len(known) + 1 and names[0].strip().lower() in BACKGROUNDS:
        names = names[1:]
    if list(known) != list(range(1, len(names) + 1)):
        found = (
            f"its columns are {', '.join(table.columns)}" if table.columns else f"it is a list of {len(names)} names"
        )
        raise InputError(
            f"{table.path}: has no column 'index', which a table for the label image {image} needs ({found}); names "
            f"alone do where labels are 1, 2, 3 … without a gap, one name each: the image has {len(known)} labels, "
            f"{_shown(known)}."
        )
    return replace(table, names=names, indices=tuple(known))


def _shown(labels: Sequence[int]) -> str:
    some = ", ".join(map(str, labels[:4]))
    return some if len(labels) <= 4 else f"{some} … {labels[-1]}"


def _unique(names: Sequence[str], path: Path) -> tuple[str, ...]:
    doubled = sorted(name for name, count in Counter(names).items() if count > 1)
    if doubled:
        raise InputError(f"{path}: the name {doubled[0]} occurs twice.")
    return tuple(names)


# ---- kinds of files ----------------------------------------------------------------------------------------------


def _text(path: Path) -> tuple[str, tuple[str, ...]]:
    """Decode a file: UTF-8 with or without byte order mark, UTF-16 with one, or Latin-1, which is said."""
    content = read_bytes(path, most=LARGEST_NAMES)
    try:
        if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return content.decode("utf-16"), ()
        if b"\0" in content:
            raise InputError(f"{path}: is not a text file; give a table with the columns index and name.")
        return content.decode("utf-8-sig"), ()
    except UnicodeDecodeError:
        return content.decode("latin-1"), (f"{path.name} is not UTF-8: its names were read as Latin-1.",)


def _from_xml(text: str, path: Path) -> NameTable:
    """Read FSL's description of an atlas: labels of probabilistic atlases stand one below those of its label images."""
    if "<!ENTITY" in text:  # nested, a few lines of them become gigabytes
        raise InputError(f"{path}: defines entities of XML, which no description of an atlas needs; remove them.")
    try:
        root = ElementTree.fromstring(text.lstrip())
    except ElementTree.ParseError as error:
        raise InputError(f"{path}: is not valid XML ({error}).") from error
    found = [(item.get("index", ""), (item.text or "").strip()) for item in root.iter("label")]
    if not found or not all(re.fullmatch(r"\d{1,18}", index) and name for index, name in found):
        raise InputError(f"{path}: is not FSL's description of an atlas: it has no elements label with an index.")
    is_labels = (root.findtext(".//type") or "").strip().lower() == "label"
    indices = tuple(int(index) + (0 if is_labels else 1) for index, _ in found)
    return NameTable(path, tuple(name for _, name in found), indices)


def _from_look_up_table(lines: Sequence[str], path: Path) -> NameTable | None:
    """Read FreeSurfer's or ITK-SNAP's list of labels, names and colours; None for anything else."""
    lines = [line for line in lines if not line.lstrip().startswith("#")]
    for pattern in (_LUT, _ITK):
        rows = [pattern.match(line) for line in lines]
        if len(rows) > 1 and rows[0] is None:
            rows = rows[1:]  # a header
        if rows and all(rows):
            found = [(int(row[1]), row[2].strip()) for row in rows if row]
            return NameTable(path, tuple(name for _, name in found), tuple(i for i, _ in found), is_list_of_all=True)
    return None


def _from_lines(lines: Sequence[str], path: Path) -> NameTable:
    lines = [line for line in lines if not line.lstrip().startswith(("#", "//"))] or list(lines)
    if not lines:
        raise InputError(f"{path}: holds no names.")
    separator = next((mark for mark in ("\t", ";", ",") if mark in lines[0]), None)
    try:
        rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=separator or "\t")]
    except csv.Error as error:
        raise InputError(f"{path}: is not a table of names ({error}).") from error
    header = [cell.lower() for cell in rows[0]]
    if set(header) & {*INDEX_COLUMNS, *NAME_COLUMNS} and not _numbers(rows[0]):
        return _from_columns(rows[0], rows[1:], path)
    numbered = [found for found in map(_NUMBERED.match, lines) if found]
    if len(numbered) == len(lines):
        is_split = separator == "\t" or bool({found[2].strip() for found in numbered} & {",", ";"})
        if not is_split or all(len(row) == 2 for row in rows):
            names = [row[1] for row in rows] if is_split else [found[3].strip().strip('"') for found in numbered]
            return NameTable(path, tuple(names), tuple(int(found[1]) for found in numbered))
    is_prose = separator == "," and len({len(row) for row in rows}) > 1  # commas within names, not between columns
    if is_prose or (all(len(row) == 1 for row in rows) and not _numbers([row[0] for row in rows])):
        return NameTable(path, tuple(line.strip() for line in lines) if is_prose else tuple(r[0] for r in rows), None)
    raise InputError(
        f"{path}: is no table of names: its first line is '{lines[0].strip()[:60]}'; expected are the columns index "
        "and name (tabs, commas or semicolons), FreeSurfer's look-up table, FSL's XML, or one name per line."
    )


def _numbers(cells: Sequence[str]) -> bool:
    """Tell whether there is something in a column, and all of it whole numbers."""
    given = [cell for cell in cells if cell not in _MISSING]
    return bool(given) and all(re.fullmatch(r"-?\d{1,18}(\.0*)?", cell) for cell in given)


def _from_columns(header: Sequence[str], rows: Sequence[Sequence[str]], path: Path) -> NameTable:
    ragged = next((number for number, row in enumerate(rows, start=2) if len(row) != len(header)), None)
    if ragged is not None:
        raise InputError(
            f"{path}: line {ragged} has {len(rows[ragged - 2])} cells, but the header has {len(header)}; put names "
            "with the separator in them in quotation marks."
        )
    if not rows:
        raise InputError(f"{path}: holds no names below its header ({', '.join(header)}).")
    columns = {name.lower(): [row[place] for row in rows] for place, name in reversed([*enumerate(header)])}
    index = next((name for name in INDEX_COLUMNS if _numbers(columns.get(name, ()))), None)
    if "index" in columns and index != "index":
        raise InputError(f"{path}: column 'index' holds something else than whole numbers.")
    named = next((name for name in NAME_COLUMNS if name in columns and name != index), None)
    if named is None:
        raise InputError(
            f"{path}: has no column 'name'; its columns are {', '.join(header)} (known are also "
            f"{', '.join(name.capitalize() for name in NAME_COLUMNS[1:8:2])} …)."
        )
    names, labels = columns[named], columns[index] if index else None
    if labels is not None:  # rows without a label are of no use, as rows for the background are not
        given = [place for place, label in enumerate(labels) if label not in _MISSING]
        names, labels = [names[place] for place in given], [labels[place] for place in given]
    is_background = [labels is not None and float(label) == 0 for label in labels or names]
    for name, is_empty in zip(names, is_background, strict=True):
        if name in _MISSING and not is_empty:
            raise InputError(f"{path}: column '{header[[h.lower() for h in header].index(named)]}' has an empty cell.")
    indices = None if labels is None else tuple(int(float(label)) for label in labels)
    return NameTable(path, tuple(names), indices, columns=tuple(header))

"""The table of participants, as people write it: other encodings, separators, and identifiers that lost their zeros."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ...errors import InputError
from ...files import parse_table, read_text
from ...words import few_and_more

__all__ = ["ParticipantsTable", "first_table", "read_participants", "similar_files"]

ID = "participant_id"
_SIMILAR_NAMES = {
    "participant",
    "participants",
    "subject",
    "subjects",
    "subjectid",
    "subid",
    "subj",
    "sub",
    "bidsid",
    "id",
}


@dataclass(frozen=True, eq=False)
class ParticipantsTable:
    """A table of participants, all cells as text.

    Its column ``participant_id`` holds ``sub-`` and the label as the dataset has it, where there is such a participant.
    """

    path: Path
    rows: pd.DataFrame
    notes: tuple[str, ...] = ()  # how it was read where it is not written as BIDS has it

    def without_row(self, participants: Iterable[str]) -> list[str]:
        """List the participants (``sub-01``) who are not in the table."""
        there = set(self.rows[ID])
        return [participant for participant in participants if participant not in there]

    def missing(self, participants: Collection[str]) -> str:
        """Say in a sentence whose row is missing and what there is instead; empty if nobody's."""
        absent = self.without_row(participants)
        if not absent:
            return ""
        others = [label for label in self.rows[ID].tolist() if label not in set(participants)]
        beside = f"; it has {few_and_more(others)}" if others else ""
        whom = "any participant: " if len(absent) == len(participants) else ""
        return f"{self.path} has no row for {whom}{few_and_more(absent)}{beside}."


def read_participants(path: Path, known: Collection[str]) -> ParticipantsTable | None:
    """Read a table of participants as it is written (01 stays 01); None where there is no such file.

    Parameters
    ----------
    path : Path
    known : collection of str
        Labels of the participants of the dataset. An identifier that is none of theirs is taken for the one label that
        differs from it in zeros, case or signs alone, if no other row or label could be meant.

    Raises
    ------
    InputError
        If it cannot be read, is no table, or has no column of participants.
    """
    if not path.exists() and not path.is_symlink():
        return None
    notes: list[str] = []
    try:
        text = read_text(path)
    except InputError:
        text = read_text(path, fallback="cp1252")
        notes.append(f"{path} is not in UTF-8; it was read as Windows-1252 (Latin-1).")
    rows = _parsed(text, path, notes)
    rows[ID] = "sub-" + rows[ID].str.strip().str.removeprefix("sub-")
    meant = _matched(rows[ID].tolist(), known, path, notes)
    rows[ID] = rows[ID].replace(meant)
    return ParticipantsTable(path, rows, tuple(notes))


def first_table(roots: Iterable[Path], known: Collection[str]) -> tuple[ParticipantsTable | None, list[str]]:
    """Give the first table that has a row for anybody, and what is to be said about this one and those before.

    Parameters
    ----------
    roots : iterable of Path
        Datasets, the preferred one first.
    known : collection of str
        Labels of the participants.
    """
    notes: list[str] = []
    for root in roots:
        try:
            table = read_participants(root / "participants.tsv", known)
        except InputError as error:
            notes.append(str(error))
            continue
        if table is None:
            continue
        notes += table.notes
        if table.rows[ID].isin([f"sub-{label}" for label in known]).any():
            return table, notes
        notes.append(table.missing([f"sub-{label}" for label in known]))
    return None, notes


def similar_files(roots: Iterable[Path]) -> list[str]:
    """List files that somebody may take for a table of participants, but that BIDS does not."""
    found = {
        str(path)
        for root in roots
        if root.is_dir()
        for path in root.iterdir()
        if re.fullmatch(
            r"(participants?|subjects?|phenotypes?)\b.*\.(tsv|csv|xlsx?|txt)(\.gz)?", path.name, re.IGNORECASE
        )
    }
    return sorted(found - {str(root / "participants.tsv") for root in roots})


def _parsed(text: str, path: Path, notes: list[str]) -> pd.DataFrame:
    header = text.partition("\n")[0]
    separator = next((sign for sign in "\t;," if sign in header), "\t")
    if separator != "\t":
        notes.append(f"{path} is separated by '{separator}' instead of tabs; it was read so.")
    rows = parse_table(text, path, separator=separator, dtype=str, skipinitialspace=True)
    rows.columns = rows.columns.str.strip()
    if ID not in rows:
        column = _column_of_participants([str(name) for name in rows.columns], path)
        notes.append(f"{path} has a column '{column}' instead of {ID}; it was taken for it.")
        rows = rows.rename(columns={column: ID})
    return rows[rows[ID].str.strip() != ""].reset_index(drop=True)


def _column_of_participants(names: list[str], path: Path) -> str:
    """Find the column that differs from ``participant_id`` in case and signs alone."""
    plain = {name: re.sub(r"[^a-z]", "", name.lower()) for name in names}
    same = [name for name in names if plain[name] == "participantid"]
    if len(same) == 1:
        return same[0]
    near = [name for name in names if plain[name] in _SIMILAR_NAMES]
    hint = f"; rename '{near[0]}' if it holds them" if near else ""
    raise InputError(f"{path}: has no column {ID}; its columns are {few_and_more(names)}{hint}.")


def _matched(rows: list[str], known: Collection[str], path: Path, notes: list[str]) -> dict[str, str]:
    """Pair rows that nobody has with participants who have no row, where both are alike and nobody else is."""
    people = [f"sub-{label}" for label in known]
    spare_rows: defaultdict[str, set[str]] = defaultdict(set)
    spare_people: defaultdict[str, set[str]] = defaultdict(set)
    for row in set(rows) - set(people):
        spare_rows[_plain(row)].add(row)
    for person in set(people) - set(rows):
        spare_people[_plain(person)].add(person)
    meant: dict[str, str] = {}
    for key in sorted(spare_rows.keys() & spare_people.keys()):
        if len(spare_rows[key]) == len(spare_people[key]) == 1:
            meant[min(spare_rows[key])] = min(spare_people[key])
        else:
            mine, theirs = sorted(spare_rows[key]), sorted(spare_people[key])
            notes.append(
                f"{path}: {few_and_more(mine)} may be {few_and_more(theirs)}, which is ambiguous; write them alike."
            )
    if meant:
        written = few_and_more([row.removeprefix("sub-") for row in meant])
        notes.append(
            f"{path} has {written} where the dataset has {few_and_more(list(meant.values()))}; taken for the same."
        )
    return meant


def _plain(label: str) -> str:
    """Reduce an identifier to what spreadsheets leave of it.

    >>> _plain("sub-001"), _plain("sub-1.0"), _plain("sub-SUB_01"), _plain("sub-Ctrl-01")
    ('1', '1', '1', 'ctrl01')
    """
    label = re.sub(r"^(sub(ject)?[-_ ]?)+", "", label.lower())
    label = re.sub(r"^(\d+)\.0+$", r"\1", label)
    label = re.sub(r"[^0-9a-z]", "", label)
    return label.lstrip("0") or "0" if label.isdecimal() else label

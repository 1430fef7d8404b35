"""What is known about the participants of a group: the columns of their table that are used."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pandas as pd

from ...errors import InputError, UsageError
from ...words import few_and_more
from ..inputs.datasets import participants_of
from ..inputs.participants import ParticipantsTable, read_participants, similar_files
from ..settings.settings import Settings

__all__ = ["People", "participants_table"]


@dataclass(frozen=True, eq=False)
class People:
    """What is known about the participants."""

    columns: pd.DataFrame  # those that are used, indexed by participant
    notes: tuple[str, ...] = ()  # how the table was read, and who has no row
    fault: str = ""  # why nothing that was asked about them can be answered; empty if it can


def participants_table(settings: Settings, participants: Collection[str]) -> People:
    """Give the columns of the participants' table that are used.

    The table of the output dataset is taken if it has all columns that are asked for, else that of the input.

    Raises
    ------
    UsageError
        If a column is asked for that no table has, or a participant has two rows that differ.
    """
    asked = settings.group.columns
    tables, problems = _tables_of_participants(settings)
    if not tables:
        if asked:
            raise UsageError(_no_table(settings, problems))
        return People(pd.DataFrame(index=pd.Index([], dtype=str)), tuple(problems))
    chosen = next((table for table in tables if set(asked) <= set(table.rows)), tables[0])
    for column in asked:
        if column not in chosen.rows or column == "participant_id":
            names = [name for name in map(str, chosen.rows) if name != "participant_id"]
            near = difflib.get_close_matches(column.lower(), [name.lower() for name in names], n=1, cutoff=0.7)
            meant = "".join(f"; did you mean '{name}'?" for name in names if name.lower() in near)
            raise UsageError(
                f"`{settings.group.asks_for(column)}` {column}: {chosen.path} has no such column (there are: "
                f"{', '.join(names) or 'none'}){meant or '.'}"
            )
    wanted = [*asked, *(["site"] if "site" in chosen.rows and settings.group.site is None else [])]
    rows = chosen.rows[["participant_id", *dict.fromkeys(wanted)]].drop_duplicates()
    rows = rows[rows["participant_id"].isin(list(participants))]
    if rows["participant_id"].duplicated().any():
        twice = rows.loc[rows["participant_id"].duplicated(), "participant_id"].iloc[0]
        raise UsageError(f"{chosen.path}: has several different rows for {twice}; leave one.")
    known = rows.set_index("participant_id").map(str.strip)
    columns = known.where(~known.isin(["", "n/a", "N/A", "NaN", "nan"]))
    missing = chosen.missing(list(participants)) if wanted else ""
    is_fault = bool(asked) and rows.empty
    notes = (*problems, *chosen.notes, *([missing] if missing and not is_fault else []))
    return People(columns, notes, missing if is_fault else "")


def _tables_of_participants(settings: Settings) -> tuple[list[ParticipantsTable], list[str]]:
    """Read what there is in the output and in the input; what cannot be read is said."""
    roots = (settings.output_dir, settings.bids_dir)
    known = participants_of(*roots)
    tables, problems = [], []
    for root in roots:
        try:
            table = read_participants(root / "participants.tsv", known)
        except InputError as error:
            problems.append(str(error))
            continue
        tables += [table] if table is not None else []
    return tables, problems


def _no_table(settings: Settings, problems: Sequence[str]) -> str:
    column = settings.group.columns[0]
    option = f"`{settings.group.asks_for(column)}` {column}"
    if problems:
        return f"{option}: {' '.join(problems)}"
    roots = (settings.output_dir, settings.bids_dir)
    near = similar_files(roots)
    hint = f" (there is {few_and_more(near)})" if near else ""
    return f"{option}: there is no participants.tsv with a column participant_id in {roots[0]} or {roots[1]}{hint}."

"""Tables that several subjects have: a line per row of data, or per subject with all methods abreast; their cells."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pandas as pd

from ..maps import LABELS
from ..words import number
from .labels import methods_of
from .page import Cell, Table

__all__ = ["abreast", "first", "level_of", "line_by_line", "most", "of_most", "p_value", "shown", "spread"]

OfRow = Callable[[pd.Series], Cell]


def line_by_line(title: str, table: pd.DataFrame, cells: Mapping[str, OfRow], caption: str = "") -> Table:
    """Make a line of every row of a table; `cells` are the headings, and what makes the cell below from a row."""
    rows = [[cell(row) for cell in cells.values()] for _, row in table.iterrows()]
    return Table(title, list(cells), rows, caption)


def abreast(
    title: str,
    table: pd.DataFrame,
    by: str | list[str],
    lead: Mapping[str, Callable[[pd.DataFrame], Cell]],
    cells: Mapping[str, OfRow],
    caption: str,
    *,
    narrow: bool = True,
) -> Table:
    """Make a line per value of the columns `by`, with all methods abreast.

    The headings in `lead` come with what makes a cell from the rows of a line, those in `cells` with what makes it from
    the row of a method, whose values are all NaN where there is none.
    """
    methods, rows = methods_of(table), []
    for _, part in table.groupby(by, sort=False):
        own = part.drop_duplicates("method").set_index("method").reindex(methods)
        line = [cell(part) for cell in lead.values()]
        rows.append(line + [cell(row) for _, row in own.iterrows() for cell in cells.values()])
    groups = [("", len(lead)), *((LABELS[method], len(cells)) for method in methods)]
    return Table(title, [*lead, *([*cells] * len(methods))], rows, caption, groups, narrow)


def first(column: str) -> Callable[[pd.DataFrame], Cell]:
    """Write the text that all rows of a line share."""
    return lambda part: Cell(str(part[column].iloc[0]))


def most(column: str) -> Callable[[pd.DataFrame], Cell]:
    """Write the largest count of a line."""
    return lambda part: Cell(number(part[column].max(), 0))


def shown(column: str, digits: int = 2) -> OfRow:
    """Write the number in a column."""
    return lambda row: Cell(number(row[column], digits))


def p_value(column: str, digits: int = 3) -> OfRow:
    """Write a p, bold where it is 0.05 or less."""
    return lambda row: Cell(number(row[column], digits), strong=bool(row[column] <= 0.05))


def spread(row: pd.Series, value: str, digits: int = 2, *, strong: bool = False) -> Cell:
    """Write a mean with its standard deviation below it, where there is a mean."""
    mean = row.get(f"{value}_mean")
    small = f"± {number(row.get(f'{value}_sd'), digits)}" if pd.notna(mean) else ""
    return Cell(number(mean, digits), small, strong)


def level_of(row: pd.Series) -> str:
    """Name the part of the participants that a line is about."""
    return "everybody" if row["column"] == "all" else f"{row['column']}: {row['level']}"


def of_most(table: pd.DataFrame) -> pd.DataFrame:
    """Give the lines of the repetition time that most participants have."""
    if table.empty:
        return table
    chosen = table.groupby("repetition_time")["n_participants"].max().idxmax()
    return table[table["repetition_time"] == chosen]

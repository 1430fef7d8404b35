"""Rows and cells that tables of several subjects share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import pandas as pd

from ..maps import LABELS
from ..words import number
from .page import Cell

__all__ = ["level_of", "of_most", "over_methods", "rows_abreast", "spread"]


def rows_abreast(
    table: pd.DataFrame,
    by: str | list[str],
    methods: list[str],
    lead: Callable[[pd.DataFrame], list[Cell]],
    cells: Callable[[pd.Series], Iterable[Cell]],
) -> list[list[Cell]]:
    """Make a row per value of `by` with all methods abreast.

    Parameters
    ----------
    table : DataFrame
        A line per value of `by` and method.
    by : str or list of str
        Columns.
    methods : list of str
    lead : callable
        From the lines of a row to its first cells.
    cells : callable
        From the line of a method to its cells; all values are NaN where there is no line.
    """
    rows = []
    for _, part in table.groupby(by, sort=False):
        own = part.drop_duplicates("method").set_index("method").reindex(methods)
        rows.append([*lead(part), *(cell for _, line in own.iterrows() for cell in cells(line))])
    return rows


def over_methods(methods: Sequence[str], width: int, before: int = 1) -> list[tuple[str, int]]:
    """Give the headings over such a table: methods over `width` columns each, nothing over the first ones."""
    return [("", before), *((LABELS[method], width) for method in methods)]


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

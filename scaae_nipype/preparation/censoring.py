"""Which volumes of a run are kept: dummy scans are cut off, volumes with too much motion are censored."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from ..errors import InputError
from ..files import PathLike
from ..words import counted, first_few
from .confound_values import numbers
from .confounds import other_names
from .stream import BoldFile

__all__ = ["choose_volumes", "count_dummy_scans", "framewise_displacement"]


def choose_volumes(
    table: pd.DataFrame | None,
    bold: BoldFile,
    fd_threshold: float | None,
    dummy_scans: int | Literal["auto"],
    notes: list[str],
    source: PathLike | None = None,
) -> pd.DataFrame:
    """Make the table of volumes: which are kept, and why the others are not."""
    displacement = _displacement(table, bold.n_volumes, source, notes, is_used=fd_threshold is not None)
    n_dummies = count_dummy_scans(table, source, notes) if dummy_scans == "auto" else int(dummy_scans)
    if not 0 <= n_dummies < bold.n_volumes:
        raise InputError(
            f"{bold.path}: {n_dummies} dummy volumes cannot be cut off a run of {bold.n_volumes}; change `dummy_scans`."
        )
    volume = np.arange(bold.n_volumes)
    dummy = volume < n_dummies
    censored = np.zeros(bold.n_volumes, dtype=bool)
    if fd_threshold is not None:
        notes.extend(_about_displacement(table, displacement, n_dummies))
        censored = ~dummy & (displacement > fd_threshold)
    return pd.DataFrame(
        {
            "volume": volume,
            "kept": (~dummy & ~censored).astype(int),
            "dummy": dummy.astype(int),
            "censored": censored.astype(int),
            "framewise_displacement": displacement,
        }
    )


def _displacement(
    table: pd.DataFrame | None, n_volumes: int, source: PathLike | None, notes: list[str], *, is_used: bool
) -> np.ndarray:
    """Read framewise displacement; where nothing is censored by it, a column that cannot be read is only said."""
    try:
        return framewise_displacement(table, n_volumes, source)
    except InputError as error:
        if is_used:
            raise
        notes.append(f"Framewise displacement is unknown: {error}")
        return np.full(n_volumes, np.nan)


def _about_displacement(table: pd.DataFrame | None, displacement: np.ndarray, n_dummies: int) -> list[str]:
    """Say where censoring for motion had nothing to go by."""
    if table is None or "framewise_displacement" not in table.columns:
        near = other_names(["framewise_displacement"], [] if table is None else list(table.columns))
        hint = f" ({near[0]})" if near else ""
        return [f"No volume was censored for motion: the run has no column framewise_displacement{hint}."]
    unknown = np.isnan(displacement)
    if unknown.all():
        return ["No volume was censored for motion: the column framewise_displacement is n/a in every row."]
    if not displacement[~unknown].any():
        return ["No volume was censored for motion: the column framewise_displacement is 0 in every row."]
    gaps = np.flatnonzero(unknown[max(n_dummies, 1) :]) + max(n_dummies, 1)  # the first volume never has a value
    if gaps.size:
        return [
            f"framewise_displacement is n/a in {counted(gaps.size, 'volume')} after the first "
            f"({first_few(gaps, 5, end=', …')}, counted from 0), which were kept whatever their motion."
        ]
    return []


def count_dummy_scans(table: pd.DataFrame | None, source: PathLike | None, notes: list[str]) -> int:
    """Count the volumes up to the last one that ``non_steady_state_outlier…`` columns mark; note others among them.

    Raises
    ------
    InputError
        If such a column holds something else than 1 and 0.

    >>> count_dummy_scans(pd.DataFrame({"non_steady_state_outlier00": [1, 0, 0], "csf": [1, 2, 3]}), None, [])
    1
    """
    if table is None:
        return 0
    columns = [name for name in table.columns if name.startswith("non_steady_state_outlier")]
    marks = numbers(table, columns, source)
    for name in columns:
        odd = np.flatnonzero(~marks[name].isin([0, 1]) & marks[name].notna())
        if odd.size:
            raise InputError(
                f"{source}: column {name}, row {odd[0] + 1}, holds {marks[name][odd[0]]:g}, and marks are 1 or 0; "
                "repair the table, or say how many volumes to leave out (`dummy_scans`)."
            )
    marked = np.flatnonzero((marks == 1).any(axis=1))
    n_dummies = int(marked[-1]) + 1 if marked.size else 0
    if unmarked := n_dummies - marked.size:
        notes.append(
            f"The confounds mark volumes that are not in a steady state up to volume {n_dummies - 1} (counted from 0), "
            f"{unmarked} of which {'is' if unmarked == 1 else 'are'} not marked; all {n_dummies} were cut off "
            "(`dummy_scans` says otherwise)."
        )
    return n_dummies


def framewise_displacement(table: pd.DataFrame | None, n_volumes: int, source: PathLike | None = None) -> np.ndarray:
    """Give framewise displacement in mm, (n_volumes,); NaN where it is unknown.

    Raises
    ------
    InputError
        If a value is no displacement: text, negative or infinite.
    """
    name = "framewise_displacement"
    if table is None or name not in table.columns:
        return np.full(n_volumes, np.nan)
    values = numbers(table, [name], source)[name].to_numpy()
    wrong = np.flatnonzero((values < 0) | np.isinf(values))
    if wrong.size:
        raise InputError(
            f"{source}: column {name}, row {wrong[0] + 1}, holds {values[wrong[0]]:g}, which is no displacement in mm; "
            "repair the table, or censor nothing (`fd_threshold` 0)."
        )
    return values

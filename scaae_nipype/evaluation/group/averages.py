"""Tables over participants, from tables of their runs: counts, means with spread, reliability.

All functions take a table of runs with a row per run (`RUN_COLUMNS`, and columns of the participants' table) and long
tables that name the run of each row in a column ``run``. Participants are the units: their runs are averaged first.
Runs of different repetition times are never averaged or compared.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from scipy.stats import t as student

from .reliability import intraclass_correlation

__all__ = [
    "EVERYBODY",
    "RUN_COLUMNS",
    "above_chance_table",
    "count_participants",
    "reliability_table",
    "spread_over_participants",
    "transition_means",
    "unit_means",
]

RUN_COLUMNS = (
    *("run", "participant_id", "task", "repeat", "repetition_time"),
    *("n_volumes", "n_volumes_kept", "mean_fd"),
)
"""What the table of runs needs: ``repeat`` tells a participant's runs of a task apart (session, run), times are in s,
displacement in mm."""

EVERYBODY = "all"
"""Name of the column and level under which all participants are summarised."""

_UNIT = ["participant_id", "repetition_time"]


def _levels(runs: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Repeat the runs once per column of interest: its level beside each; runs without a value drop out."""
    everybody = runs.assign(column=EVERYBODY, level=EVERYBODY)
    parts = [runs.assign(column=column, level=runs[column]).dropna(subset="level") for column in columns]
    return pd.concat([everybody, *parts], ignore_index=True)


def count_participants(runs: pd.DataFrame, columns: Sequence[str] = ()) -> pd.DataFrame:
    """Count participants, runs and volumes per level of each column and repetition time (the paper's Table 1).

    Parameters
    ----------
    runs : DataFrame
        With `RUN_COLUMNS`.
    columns : sequence of str
        Columns of `runs` to split by; all participants together come first.

    Returns
    -------
    DataFrame
        ``column``, ``level``, ``repetition_time`` (s), ``n_participants``, ``n_runs``, ``n_volumes``,
        ``n_volumes_kept``, ``mean_fd`` (mm, mean over participants) and ``sd_fd``.
    """
    keys = ["column", "level", "repetition_time"]
    split = _levels(runs, columns)
    motion = split.groupby([*keys, "participant_id"], sort=False)["mean_fd"].mean().groupby(keys, sort=False)
    counted = split.groupby(keys, sort=False).agg(
        n_participants=("participant_id", "nunique"),
        n_runs=("run", "nunique"),
        n_volumes=("n_volumes", "sum"),
        n_volumes_kept=("n_volumes_kept", "sum"),
    )
    return counted.assign(mean_fd=motion.mean(), sd_fd=motion.std()).reset_index()


def unit_means(table: pd.DataFrame, runs: pd.DataFrame, keys: Sequence[str], values: Sequence[str]) -> pd.DataFrame:
    """Average a participant's runs of equal repetition time.

    Parameters
    ----------
    table : DataFrame
        ``run``, `keys` and `values`.
    runs : DataFrame
    keys, values : sequence of str

    Returns
    -------
    DataFrame
        ``participant_id``, ``repetition_time``, `keys`, `values`.

    >>> runs = pd.DataFrame({"run": ["a", "b"], "participant_id": ["1", "1"], "repetition_time": [2.0, 2.0]})
    >>> unit_means(pd.DataFrame({"run": ["a", "b"], "iou": [0.2, 0.4]}), runs, [], ["iou"])["iou"].round(3).tolist()
    [0.3]
    """
    joined = table[["run", *keys, *values]].merge(runs[["run", *_UNIT]], on="run")
    return joined.groupby([*_UNIT, *keys], sort=False, dropna=False)[list(values)].mean().reset_index()


def spread_over_participants(
    table: pd.DataFrame,
    runs: pd.DataFrame,
    *,
    columns: Sequence[str],
    keys: Sequence[str],
    values: Sequence[str],
) -> pd.DataFrame:
    """Average values over participants, with their spread, per level of each column and repetition time.

    With `keys` method and template this is the paper's Figure 5, averaged; with method and lag its Table 2.

    Returns
    -------
    DataFrame
        ``column``, ``level``, ``repetition_time``, `keys`, ``n_participants`` (with a value of the first kind), and
        per value ``<value>_mean`` and ``<value>_sd`` (NaN for a single participant).
    """
    values = [value for value in values if value in table]
    means = unit_means(table, runs, keys, values)
    people = _levels(runs, columns)[["column", "level", *_UNIT]].drop_duplicates()
    by = ["column", "level", "repetition_time", *keys]
    grouped = people.merge(means, on=_UNIT).groupby(by, sort=False)
    found = pd.DataFrame({"n_participants": grouped[values[0]].count()})
    for value in values:
        found[f"{value}_mean"], found[f"{value}_sd"] = grouped[value].mean(), grouped[value].std()
    return found.reset_index()


def above_chance_table(overlap: pd.DataFrame, runs: pd.DataFrame, columns: Sequence[str] = ()) -> pd.DataFrame:
    """Average over participants what scores have above chance, with the interval of the mean.

    Parameters
    ----------
    overlap : DataFrame
        ``run``, ``method``, ``template`` and the columns ``chance_…`` and ``above_…`` of the runs.

    Returns
    -------
    DataFrame
        ``column``, ``level``, ``repetition_time``, ``method``, ``measure`` (``best_of_20_average_precision`` …),
        ``n_participants``, ``chance``, ``above``, and of the latter ``above_sd``, ``above_low`` and ``above_high``
        (95 %, Student's t; NaN for a single participant); without rows where no run has chance beside its scores.
    """
    names = [str(name).removeprefix("above_") for name in overlap if str(name).startswith("above_")]
    parts = []
    for name in names:
        values = [f"above_{name}", f"chance_{name}"]
        spread = spread_over_participants(overlap, runs, columns=columns, keys=["method"], values=values)
        n, sd = spread["n_participants"], spread[f"{values[0]}_sd"]
        half = student.ppf(0.975, (n - 1).where(n > 1)) * sd / n.pow(0.5)
        above = spread[f"{values[0]}_mean"]
        part = spread[["column", "level", "repetition_time", "method"]].assign(measure=name, n_participants=n)
        part = part.assign(chance=spread[f"{values[1]}_mean"], above=above, above_sd=sd)
        parts.append(part.assign(above_low=above - half, above_high=above + half)[n > 0])
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def transition_means(table: pd.DataFrame, runs: pd.DataFrame, columns: Sequence[str] = ()) -> pd.DataFrame:
    """Sum transitions over runs, and average their probabilities over participants (the group's Figure 6).

    Parameters
    ----------
    table : DataFrame
        ``run``, ``method``, ``from``, ``to``, ``count``.

    Returns
    -------
    DataFrame
        ``column``, ``level``, ``repetition_time``, ``method``, ``from``, ``to``, ``count``, and the mean and SD over
        participants of the probability to go on to that state; participants that never left a state do not count.
    """
    counts = table.merge(runs[["run", *_UNIT]], on="run")
    keys = ["method", "from", "to"]
    own = counts.groupby([*_UNIT, *keys], sort=False)["count"].sum().reset_index()
    leaving = own.groupby([*_UNIT, "method", "from"])["count"].transform("sum")
    own["probability"] = own["count"] / leaving.where(leaving > 0)
    people = _levels(runs, columns)[["column", "level", *_UNIT]].drop_duplicates()
    grouped = people.merge(own, on=_UNIT).groupby(["column", "level", "repetition_time", *keys], sort=False)
    return grouped.agg(
        count=("count", "sum"),
        n_participants=("probability", "count"),
        probability_mean=("probability", "mean"),
        probability_sd=("probability", "std"),
    ).reset_index()


def reliability_table(
    table: pd.DataFrame, runs: pd.DataFrame, *, keys: Sequence[str], values: Sequence[str]
) -> pd.DataFrame:
    """Compute intraclass correlations where participants have several runs of equal repetition time.

    Repeats are matched within a task, by their names (session, run): those that at least half of the participants with
    several runs have, and the participants that have all of those.

    Returns
    -------
    DataFrame
        ``repetition_time``, ``task``, `keys`, ``measure``, ``n_participants``, ``n_repeats``, ``repeats`` (names),
        ``icc_2_1`` and ``icc_3_1`` with ``_low`` and ``_high`` (95 %); without rows where nothing repeats.
    """
    measured = ["participant_id", "repetition_time", "task"]
    runs = runs[runs.duplicated(measured, keep=False)]
    joined = table.merge(runs[["run", "task", "repeat", *_UNIT]], on="run")
    rows = []
    for group, part in joined.groupby(["repetition_time", "task", *keys], sort=False):
        for value in values:
            wide = _repeats(part, value)
            if len(wide) < 2 or wide.shape[1] < 2:
                continue
            found = intraclass_correlation(wide.to_numpy())
            rows.append(
                {
                    **dict(zip(["repetition_time", "task", *keys], group, strict=True)),
                    "measure": value,
                    "n_participants": found.n_participants,
                    "n_repeats": found.n_repeats,
                    "repeats": ", ".join(map(str, wide.columns)),
                    "icc_2_1": found.icc_2_1,
                    "icc_2_1_low": found.icc_2_1_limits[0],
                    "icc_2_1_high": found.icc_2_1_limits[1],
                    "icc_3_1": found.icc_3_1,
                    "icc_3_1_low": found.icc_3_1_limits[0],
                    "icc_3_1_high": found.icc_3_1_limits[1],
                }
            )
    return pd.DataFrame(rows)


def _repeats(part: pd.DataFrame, value: str) -> pd.DataFrame:
    wide = part.pivot_table(index="participant_id", columns="repeat", values=value, aggfunc="mean")
    several = wide[wide.notna().sum(axis=1) > 1]
    common = several.columns[several.notna().sum() >= max(len(several) / 2, 1)]
    return several[common].dropna()

"""Do states and networks follow a task? What the conditions predict, against what is seen, by shifting the task."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ..errors import InputError
from ..files import PathLike, as_numbers, read_table, write_json, write_table
from ..words import few_and_more

__all__ = [
    "EVENT_COLUMNS",
    "MOST_CONDITIONS",
    "EventLocking",
    "RunEvents",
    "condition_regressors",
    "event_locking",
    "lock_to_events",
    "read_events",
]

EVENT_COLUMNS = (
    *("method", "measure", "condition", "template", "n_events", "n_volumes_locked", "mean_locked", "mean_elsewhere"),
    *("r", "p", "p_corrected", "least_p"),
)
"""Columns of the table of a run."""

MOST_CONDITIONS = 20
"""Conditions that are tested, those with most events first: a table of single trials is no design."""

_LEAST = 0.05  # a design whose smallest possible p is larger than this tests nothing
_HALF = 0.5  # of a predicted response's maximum: above it a volume counts as locked to the condition


@dataclass(frozen=True, eq=False)
class EventLocking:
    """How series follow one condition: arrays (n_series,)."""

    r: np.ndarray
    """Correlation with the predicted response over kept volumes; NaN where a series does not vary."""
    p: np.ndarray
    """Two-sided, each series for itself."""
    p_corrected: np.ndarray
    """By the maximum of |r| over the series."""
    mean_locked: np.ndarray
    """Mean over the kept volumes whose predicted response is above half of its maximum."""
    mean_elsewhere: np.ndarray
    """Mean over the other kept volumes."""
    n_volumes_locked: int
    least_p: float
    """The smallest p that this design can give: shifts that repeat it cannot be told from it."""


def read_events(path: PathLike) -> pd.DataFrame:
    """Read a BIDS table of events.

    Returns
    -------
    DataFrame
        ``onset`` and ``duration`` in s from the first volume, and ``condition``: the column ``trial_type``, ``event``
        where there is no such column. Rows without a value are left out; a missing duration is 0.

    Raises
    ------
    InputError
        If the table cannot be read, has no column ``onset`` or holds no event.
    """
    table = read_table(path)
    if "onset" not in table:
        raise InputError(f"{path}: has no column 'onset'; its columns are {few_and_more(table.columns, 10)}.")
    found = pd.DataFrame(
        {
            "onset": as_numbers(table["onset"]),
            "duration": as_numbers(table["duration"]) if "duration" in table else 0.0,
            "condition": table.get("trial_type", "event"),
        }
    )
    found = found.replace([np.inf, -np.inf], np.nan).dropna(subset=["onset", "condition"]).reset_index(drop=True)
    if found.empty:
        raise InputError(f"{path}: holds no event with an onset.")
    return found.assign(duration=found["duration"].fillna(0), condition=found["condition"].astype(str))


def condition_regressors(
    events: pd.DataFrame,
    n_volumes: int,
    repetition_time: float,
    start_time: float = 0.0,
    *,
    most: int | None = None,
) -> pd.DataFrame:
    """Predict the BOLD response to each condition: its events, convolved with SPM's haemodynamic response.

    Parameters
    ----------
    events : DataFrame
        As from `read_events`.
    n_volumes : int
    repetition_time : float
        In s.
    start_time : float
        When in the repetition time a volume counts as taken, in s (``StartTime`` of a BIDS sidecar).
    most : int, optional
        Of the conditions; by default all of them.

    Returns
    -------
    DataFrame, (n_volumes, n_conditions)
        A column per condition, most events first; conditions without an event inside the run are left out.

    >>> events = pd.DataFrame({"onset": [10.0], "duration": [20.0], "condition": ["faces"]})
    >>> predicted = condition_regressors(events, 30, 2.0)
    >>> 2 * int(predicted["faces"].idxmax())  # s
    22
    """
    from nilearn.glm.first_level import compute_regressor

    times = start_time + repetition_time * np.arange(n_volumes)
    inside = _inside(events, times[-1])
    predicted = {}
    for condition in inside["condition"].value_counts(sort=True).index[:most]:
        own = inside[inside["condition"] == condition]
        blocks = np.array([own["onset"], own["duration"], np.ones(len(own))], dtype=float)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # events shorter than nilearn's time step are impulses here too
            regressor, _ = compute_regressor(blocks, "spm", times)
        predicted[condition] = regressor[:, 0]
    return pd.DataFrame(predicted, index=np.arange(n_volumes))


def _inside(events: pd.DataFrame, last: float) -> pd.DataFrame:
    """Give the events that have begun before a run's last volume is taken and end after its first."""
    return events[(events["onset"] < last) & (events["onset"] + events["duration"] >= 0)]


def event_locking(series: np.ndarray, predicted: np.ndarray, kept: np.ndarray) -> EventLocking:
    """Test whether series follow a predicted response, by shifting the prediction round the run.

    The series stay where they are, with their gaps: only what the task predicts is shifted, by every number of
    volumes, and compared at the kept volumes. No value is filled in and nothing is joined across a gap, and what is
    slow or autocorrelated in the series stays so.

    Parameters
    ----------
    series : float array, (n_volumes, n_series)
        States as 0 and 1, or scores; values where `kept` is false do not matter.
    predicted : float array, (n_volumes,)
    kept : bool array, (n_volumes,)

    Notes
    -----
    All shifts are used, the observed arrangement among them, so p is a multiple of 1 / n_volumes and no chance is
    involved. A design that repeats itself cannot be told from its own shifts: `EventLocking.least_p`.

    >>> predicted = np.zeros(100); predicted[[7, 30, 31, 62]] = 1
    >>> found = event_locking(np.column_stack([predicted, np.arange(100) % 2]), predicted, np.ones(100, bool))
    >>> np.abs(found.r).round(2), found.p_corrected.round(2)
    (array([1., 0.]), array([0.01, 1.  ]))
    """
    kept = np.asarray(kept, dtype=bool)
    values = _standardised(np.asarray(series, dtype=float)[kept].T)
    shifts = np.arange(len(predicted))[:, None]
    shifted = np.asarray(predicted, dtype=float)[(np.arange(len(predicted)) - shifts) % len(predicted)]
    r = _standardised(shifted[:, kept]) @ values.T
    strength = np.nan_to_num(np.abs(r))  # a shift that leaves no variation in what is kept predicts nothing
    threshold = strength[0] * (1 - 1e-9)
    whole = _standardised(shifted)
    locked = predicted[kept] > _HALF * np.max(predicted)
    known = np.isfinite(r[0])
    return EventLocking(
        r[0],
        np.where(known, (strength >= threshold).mean(axis=0), np.nan),
        np.where(known, (strength.max(axis=1, keepdims=True, initial=0) >= threshold).mean(axis=0), np.nan),
        _mean(series, kept, locked),
        _mean(series, kept, ~locked),
        int(locked.sum()),
        float((np.nan_to_num(whole @ whole[0]) > 0.99).mean()),
    )


def _mean(series: np.ndarray, kept: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    values = np.asarray(series, dtype=float)[kept][chosen]
    return values.mean(axis=0) if len(values) else np.full(np.shape(series)[1], np.nan)


def _standardised(rows: np.ndarray) -> np.ndarray:
    """Give rows mean 0 and length 1; NaN to those that do not vary."""
    constant = np.ptp(rows, axis=1) <= 1e-9 * np.abs(rows).max(axis=1, initial=0) if rows.size else np.ones(len(rows))
    centred = rows - rows.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    length[np.asarray(constant, dtype=bool)] = np.nan
    return centred / length


class RunEvents(NamedTuple):
    """Files with what follows the events of a run: see `lock_to_events`."""

    events: Path
    metadata: Path


def lock_to_events(
    *,
    states: PathLike,
    scores: PathLike,
    events: PathLike,
    repetition_time: float,
    start_time: float = 0.0,
    out_dir: PathLike = ".",
) -> RunEvents:
    """Test whether states and scores follow the conditions of a task.

    Parameters
    ----------
    states : path
        Table that `assign_states_of_run` wrote.
    scores : path
        Table of scores per volume that `score_run` wrote.
    events : path
        BIDS table of events.
    repetition_time, start_time : float
        In s, as for `condition_regressors`.
    out_dir : path

    Returns
    -------
    events : Path
        A row per method, measure (``occupancy``, ``score``), condition and template: `EVENT_COLUMNS`.
        ``p_corrected`` is by the maximum statistic over the templates of one method, measure and condition.
        Without rows where the table of events cannot be used.
    metadata : Path
        JSON: how it was tested, conditions, warnings.

    Raises
    ------
    InputError
        If the tables of states or scores cannot be read.
    """
    state_table, score_table = read_table(states), read_table(scores)
    if len(state_table) != len(score_table):
        raise InputError(
            f"{scores}: has {len(score_table)} rows, but {states} has {len(state_table)}; take the tables of one run."
        )
    kept = state_table["kept"].to_numpy() == 1
    notes: list[str] = []
    table, conditions = pd.DataFrame(columns=EVENT_COLUMNS), []
    try:
        found = read_events(events)
        last = start_time + repetition_time * (len(kept) - 1)
        notes += _notes(found, set(_inside(found, last)["condition"]))
        predicted = condition_regressors(found, len(kept), repetition_time, start_time, most=MOST_CONDITIONS)
        conditions = list(map(str, predicted))
        tables = []
        for method, measure, series in _series(state_table, score_table):
            for condition in conditions:
                about = {"method": method, "measure": measure, "condition": condition, "template": series.columns}
                about["n_events"] = int((found["condition"] == condition).sum())
                locking = event_locking(series.to_numpy(), predicted[condition].to_numpy(), kept)
                tables.append(pd.DataFrame(about | vars(locking), columns=EVENT_COLUMNS))
        if any(map(len, tables)):
            table = pd.concat(tables, ignore_index=True)
            notes += [
                f"Condition {condition} repeats itself: no p below {least:.2g} is possible."
                for condition, least in table.groupby("condition", sort=False)["least_p"].first().items()
                if least > _LEAST
            ]
    except InputError as error:
        notes.append(f"Events were not used: {error}")
    about = {
        "Events": Path(events).name,
        "Conditions": conditions,
        "Response": "events convolved with SPM's canonical haemodynamic response function",
        "Statistic": "Pearson r over kept volumes",
        "Test": "all circular shifts of the predicted response; corrected by the maximum of |r| over templates within "
        "method, measure and condition",
        "StartTime": start_time,
        "Warnings": notes,
    }
    out_dir = Path(out_dir).absolute()
    return RunEvents(write_table(table, out_dir / "events.tsv"), write_json(about, out_dir / "events.json"))


def _series(states: pd.DataFrame, scores: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Give per method the states as 0 and 1, and the scores: a row per volume, a column per template."""
    for column in [name for name in map(str, states) if name.endswith("_state")]:
        method = column.removesuffix("_state")
        own = scores.loc[:, scores.columns.str.startswith(f"{method}_")].astype(float)
        own.columns = own.columns.str.removeprefix(f"{method}_")
        shown = {name: (states[column] == name).astype(float) for name in own}
        yield method, "occupancy", pd.DataFrame(shown, index=own.index)
        yield method, "score", own


def _notes(events: pd.DataFrame, inside: Collection[str]) -> list[str]:
    notes = []
    outside = sorted(set(events["condition"]) - {*inside})
    if outside:
        notes.append(f"No event of {', '.join(outside[:5])} lies inside the run.")
    if len(inside) > MOST_CONDITIONS:
        notes.append(f"The events have {len(inside)} conditions; the {MOST_CONDITIONS} with most events were tested.")
    return notes

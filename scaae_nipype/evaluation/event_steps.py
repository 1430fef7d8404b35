"""States and scores locked to a task as a pipeline finds them: files in, files out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import InputError
from ..files import read_table, write_json, write_table
from .events import MOST_CONDITIONS, condition_regressors, event_locking, read_events

__all__ = ["EVENT_COLUMNS", "lock_to_events"]

PathLike = str | os.PathLike

EVENT_COLUMNS = (
    *("method", "measure", "condition", "template", "n_events", "n_volumes_locked", "mean_locked", "mean_elsewhere"),
    *("r", "p", "p_corrected", "least_p"),
)
"""Columns of the table."""

_LEAST = 0.05  # a design whose smallest possible p is larger than this tests nothing


def lock_to_events(
    *,
    states: PathLike,
    scores: PathLike,
    events: PathLike,
    repetition_time: float,
    start_time: float = 0.0,
    out_dir: PathLike = ".",
) -> tuple[Path, Path]:
    """Test whether states and scores follow the conditions of a task.

    Parameters
    ----------
    states : path
        Table that `assign_states` wrote.
    scores : path
        Table of scores per volume that `score_run` wrote.
    events : path
        BIDS table of events.
    repetition_time, start_time : float
        In s, as for `condition_regressors`.
    out_dir : path

    Returns
    -------
    table : Path
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
        predicted = condition_regressors(found, len(kept), repetition_time, start_time)
        notes += _notes(found, predicted)
        predicted = predicted.iloc[:, :MOST_CONDITIONS]
        counts = found["condition"].value_counts()
        conditions = list(map(str, predicted))
        rows = [
            row
            for method, measure, names, series in _series(state_table, score_table)
            for row in _rows(method, measure, names, series, predicted, kept, counts)
        ]
        if rows:
            table = pd.DataFrame(rows, columns=EVENT_COLUMNS)
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
    return write_table(table, out_dir / "events.tsv"), write_json(about, out_dir / "events.json")


def _series(states: pd.DataFrame, scores: pd.DataFrame) -> Iterator[tuple[str, str, list[str], np.ndarray]]:
    """Give per method the states as 0 and 1, and the scores: method, measure, templates, (n_volumes, n_templates)."""
    for column in [name for name in map(str, states) if name.endswith("_state")]:
        method = column.removesuffix("_state")
        own = [name for name in map(str, scores) if name.startswith(f"{method}_")]
        templates = [name.removeprefix(f"{method}_") for name in own]
        occupancy = (states[column].to_numpy()[:, None] == np.array(templates, dtype=object)).astype(float)
        yield method, "occupancy", templates, occupancy
        yield method, "score", templates, scores[own].to_numpy(dtype=float)


def _rows(
    method: str,
    measure: str,
    templates: list[str],
    series: np.ndarray,
    predicted: pd.DataFrame,
    kept: np.ndarray,
    counts: pd.Series,
) -> Iterator[tuple]:
    for condition in map(str, predicted):
        found = event_locking(series, predicted[condition].to_numpy(), kept)
        for number, template in enumerate(templates):
            yield (
                *(method, measure, condition, template, int(counts[condition]), found.n_locked),
                *(found.mean_locked[number], found.mean_elsewhere[number]),
                *(found.r[number], found.p[number], found.p_corrected[number], found.least_p),
            )


def _notes(events: pd.DataFrame, predicted: pd.DataFrame) -> list[str]:
    notes = []
    outside = sorted(set(events["condition"]) - set(predicted))
    if outside:
        notes.append(f"No event of {', '.join(outside[:5])} lies inside the run.")
    if predicted.shape[1] > MOST_CONDITIONS:
        notes.append(
            f"The events have {predicted.shape[1]} conditions; the {MOST_CONDITIONS} with most events were tested."
        )
    return notes

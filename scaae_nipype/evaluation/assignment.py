"""Which template shows at each volume, and what its volumes have in common: the state, its metrics and its map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from .transitions import UNASSIGNED, visits

__all__ = ["Assignment", "assign", "split_half_r", "state_maps", "state_table"]


@dataclass(frozen=True, eq=False)
class Assignment:
    """The state of every volume of a run: arrays (n_volumes,)."""

    states: np.ndarray
    """Number of the template, or `UNASSIGNED`."""
    best: np.ndarray
    """The most similar template, whether or not it passed the cut; `UNASSIGNED` where a volume was not kept."""
    score: np.ndarray
    """Of the best template; NaN where there is none."""
    margin: np.ndarray
    """How far the best template is ahead of the second; NaN where there is none."""
    kept: np.ndarray


def assign(scores: np.ndarray, kept: np.ndarray, cutoff: float) -> Assignment:
    """Give every volume its most similar template, or none.

    Parameters
    ----------
    scores : float array, (n_volumes, n_templates)
        Of all volumes of the run; a template without scores (NaN) is never chosen. Of equal scores the first wins,
        with margin 0.
    kept : bool array, (n_volumes,)
    cutoff : float
        Lower scores leave a volume unassigned.

    >>> found = assign(np.array([[0.5, 0.4], [0.1, 0.2]]), np.array([True, True]), cutoff=0.3)
    >>> found.states, found.margin.round(2)
    (array([ 0, -1]), array([0.1, 0.1]))
    """
    kept = np.asarray(kept, dtype=bool)
    usable = np.where(np.isnan(scores) | ~kept[:, None], -np.inf, scores)
    best = usable.argmax(axis=1)
    ordered = np.sort(usable, axis=1)
    score = np.where(np.isfinite(ordered[:, -1]), ordered[:, -1], np.nan)
    second = ordered[:, -2] if scores.shape[1] > 1 else np.full(len(scores), -np.inf)
    margin = np.where(np.isfinite(second), score - np.where(np.isfinite(second), second, 0), np.nan)
    best = np.where(np.isnan(score), UNASSIGNED, best)
    passed = np.nan_to_num(score, nan=-np.inf) >= cutoff
    return Assignment(np.where(passed, best, UNASSIGNED), best, score, margin, kept)


def state_table(assignment: Assignment, names: Sequence[str], repetition_time: float) -> pd.DataFrame:
    """Summarise the states of a run: a row per template, also for those that never appear.

    Returns
    -------
    DataFrame
        ``state``, ``n_volumes``, ``occupancy`` (share of kept volumes), ``n_visits``, ``n_visits_truncated``,
        ``mean_dwell_seconds`` (over all visits; truncated ones count with what was seen of them),
        ``longest_dwell_seconds`` and ``mean_score``. NaN for dwell times and scores of states never visited.
    """
    seen = visits(assignment.states, assignment.kept)
    rows = []
    for number, name in enumerate(names):
        own = seen[seen["state"] == number]
        inside = assignment.states == number
        rows.append(
            {
                "state": name,
                "n_volumes": int(inside.sum()),
                "occupancy": inside.sum() / max(int(assignment.kept.sum()), 1),
                "n_visits": len(own),
                "n_visits_truncated": int(own["truncated"].sum()),
                "mean_dwell_seconds": own["length"].mean() * repetition_time,
                "longest_dwell_seconds": own["length"].max() * repetition_time,
                "mean_score": assignment.score[inside].mean() if inside.any() else np.nan,
            }
        )
    return pd.DataFrame(rows)


def state_maps(maps: np.ndarray, states: np.ndarray, n_states: int) -> np.ndarray:
    """Average the signed maps of the volumes in each state.

    Parameters
    ----------
    maps : float array, (n_volumes, n_voxels)
    states : int array, (n_volumes,)
    n_states : int

    Returns
    -------
    float32 array, (n_states, n_voxels)
        NaN for states never visited.
    """
    means = np.full((n_states, maps.shape[1]), np.nan, dtype=np.float32)
    for state in np.unique(states[states != UNASSIGNED]):
        means[state] = maps[states == state].mean(axis=0)
    return means


def split_half_r(maps: np.ndarray, assignment: Assignment, n_states: int) -> np.ndarray:
    """Correlate every state's mean map of the first half of the run with that of the second half.

    The volumes of both halves were chosen by the same template, so maps without structure agree to some degree too:
    compare it with a baseline's, not with 0.

    Returns
    -------
    float array, (n_states,)
        NaN where a state is missing in a half.
    """
    middle = int(np.searchsorted(np.cumsum(assignment.kept), assignment.kept.sum() / 2)) + 1
    first, second = (
        state_maps(maps[half], assignment.states[half], n_states) for half in (slice(middle), slice(middle, None))
    )
    return np.array([np.corrcoef(a, b)[0, 1] for a, b in zip(first, second, strict=True)])

"""Which network shows at each volume, how long it stays and what follows it (the paper's Figure 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

import networkx as nx
import numpy as np
import pandas as pd

from ..errors import UsageError

__all__ = [
    "RULES",
    "UNASSIGNED",
    "Assignment",
    "Rule",
    "assign",
    "entropy_rate",
    "occupancy_entropy",
    "rule_of",
    "split_half_r",
    "state_maps",
    "state_table",
    "transition_counts",
    "transition_graph",
    "transition_probabilities",
    "visits",
]

UNASSIGNED = -1
"""Number of the state of a volume that no template is similar enough to, or that was not kept."""


@dataclass(frozen=True)
class Rule:
    """The score that decides, and the least of it that a state needs."""

    score: str
    cutoff: float

    @property
    def score_in_words(self) -> str:
        """Name the score as texts do."""
        return {"iou": "IoU", "size_matched_iou": "size-matched IoU"}[self.score]


RULES = MappingProxyType({"paper": Rule("iou", 0.3), "calibrated": Rule("size_matched_iou", 0.2)})
"""Per mode. The paper leaves out volumes below IoU 0.3. The calibrated cut is on a score that no rescaling of the map
moves, and fixed: 0.2 is what the *best* of 150 unsmoothed volumes of real runs reached with a template, on average."""


def rule_of(mode: str, cutoff: float | None = None) -> Rule:
    """Give the rule of a mode, with another cut-off if one is given.

    Raises
    ------
    UsageError
        For an unknown mode.

    >>> rule_of("paper"), rule_of("calibrated", cutoff=0.25)
    (Rule(score='iou', cutoff=0.3), Rule(score='size_matched_iou', cutoff=0.25))
    """
    if mode not in RULES:
        raise UsageError(f"Mode '{mode}' is unknown; choose from {', '.join(RULES)}.")
    rule = RULES[mode]
    return rule if cutoff is None else Rule(rule.score, float(cutoff))


@dataclass(frozen=True, eq=False)
class Assignment:
    """The state of every volume of a run.

    Attributes
    ----------
    states : int array, (n_volumes,)
        Number of the template, or `UNASSIGNED`.
    best : int array, (n_volumes,)
        The most similar template, whether or not it passed the cut; `UNASSIGNED` where a volume was not kept.
    score, margin : float array, (n_volumes,)
        Score of the best template, and how far it is ahead of the second; NaN where there is none.
    kept : bool array, (n_volumes,)
    """

    states: np.ndarray
    best: np.ndarray
    score: np.ndarray
    margin: np.ndarray
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


def visits(states: np.ndarray, kept: np.ndarray) -> pd.DataFrame:
    """List the visits to states: stretches of volumes in one state, inside a stretch of kept volumes.

    Parameters
    ----------
    states : int array, (n_volumes,)
    kept : bool array, (n_volumes,)

    Returns
    -------
    DataFrame
        ``state``, ``start`` (volume), ``length`` (volumes) and ``truncated``: whether the visit touches a dropped
        volume or an end of the run, so that it may have been longer.

    >>> visits(np.array([0, 0, 1, -1, 1]), np.ones(5, bool)).to_numpy().tolist()
    [[0, 0, 2, True], [1, 2, 1, False], [1, 4, 1, True]]
    """
    states = np.where(kept, states, UNASSIGNED)
    starts = np.flatnonzero(np.concatenate([[True], states[1:] != states[:-1]])) if len(states) else np.empty(0, int)
    ends = np.append(starts[1:], len(states))
    beyond = np.concatenate([[False], np.asarray(kept, dtype=bool), [False]])  # is there a kept volume before, after?
    table = pd.DataFrame(
        {
            "state": states[starts],
            "start": starts,
            "length": ends - starts,
            "truncated": ~(beyond[starts] & beyond[ends + 1]),
        }
    )
    return table[table["state"] != UNASSIGNED].reset_index(drop=True)


def transition_counts(states: np.ndarray, kept: np.ndarray, n_states: int) -> np.ndarray:
    """Count how often a state follows a state from one volume to the next.

    Both volumes must be kept and assigned: nothing is counted across a dropped or unassigned volume.

    Returns
    -------
    int array, (n_states, n_states)
        From row to column; staying is on the diagonal.

    >>> transition_counts(np.array([0, 0, 1, -1, 0]), np.ones(5, bool), 2)
    array([[1, 1],
           [0, 0]])
    """
    assigned = np.asarray(kept, dtype=bool) & (states != UNASSIGNED)
    pairs = assigned[:-1] & assigned[1:]
    counts = np.zeros((n_states, n_states), dtype=int)
    np.add.at(counts, (states[:-1][pairs], states[1:][pairs]), 1)
    return counts


def transition_probabilities(counts: np.ndarray) -> np.ndarray:
    """Divide every row of transition counts by its sum; NaN for states that nothing was seen to follow.

    >>> transition_probabilities(np.array([[3, 1], [0, 0]]))
    array([[0.75, 0.25],
           [ nan,  nan]])
    """
    total = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, total, out=np.full(counts.shape, np.nan), where=total > 0)


def _entropy(probabilities: np.ndarray) -> float:
    positive = probabilities[probabilities > 0]
    return float(-(positive * np.log2(positive)).sum()) + 0.0


def occupancy_entropy(states: np.ndarray, n_states: int) -> float:
    """Entropy in bits of how assigned volumes share out among states; NaN without one.

    >>> occupancy_entropy(np.array([0, 1, 0, 1, -1]), 3)
    1.0
    """
    counts = np.bincount(states[states != UNASSIGNED], minlength=n_states)
    return _entropy(counts / counts.sum()) if counts.sum() else np.nan


def entropy_rate(counts: np.ndarray) -> float:
    """Entropy in bits of the next state given the present one; NaN without a transition.

    0 means that the sequence is fixed by its present state, log2 of the number of states that it forgets it.

    >>> entropy_rate(np.array([[0, 5], [5, 0]])), entropy_rate(np.array([[5, 5], [5, 5]]))
    (0.0, 1.0)
    """
    if not counts.sum():
        return np.nan
    weights = counts.sum(axis=1) / counts.sum()
    rows = np.nan_to_num(transition_probabilities(counts))
    return float(sum(weight * _entropy(row) for weight, row in zip(weights, rows, strict=True)))


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


def transition_graph(counts: np.ndarray, names: Sequence[str], occupancy: Sequence[float]) -> nx.DiGraph:
    """Draw transitions as a graph: a node per visited state, an edge per observed change (Figure 6).

    Returns
    -------
    networkx.DiGraph
        Nodes carry ``occupancy``, edges ``count`` and ``probability`` (of the changes out of their state); staying
        is no edge.
    """
    changes = counts * ~np.eye(len(counts), dtype=bool)
    probabilities = transition_probabilities(changes)
    graph = nx.DiGraph()
    graph.add_nodes_from(
        (name, {"occupancy": float(share)}) for name, share in zip(names, occupancy, strict=True) if share > 0
    )
    graph.add_edges_from(
        (names[i], names[j], {"count": int(changes[i, j]), "probability": float(probabilities[i, j])})
        for i, j in np.argwhere(changes)
    )
    return graph


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

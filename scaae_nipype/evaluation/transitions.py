"""How long states last and what follows them: visits, transitions, entropies (the paper's Figure 6)."""

from __future__ import annotations

from collections.abc import Sequence

import networkx as nx
import numpy as np
import pandas as pd

__all__ = [
    "UNASSIGNED",
    "entropy_rate",
    "occupancy_entropy",
    "transition_counts",
    "transition_graph",
    "transition_probabilities",
    "visits",
]

UNASSIGNED = -1
"""Number of the state of a volume that no template is similar enough to, or that was not kept."""


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

"""What is measured of a run's maps and held against surrogates: one function for the run and for every surrogate.

All statistics are blind to a positive factor per volume, as equation 9 is: how much variance a volume keeps depends on
the regression of confounds, and would tell every cleaned run from a stationary one.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import uniform_filter1d

from ...maps import binarise, scale
from ..assignment import assign, state_table
from ..scores.gradual_change import CURVE_END, lag_curve
from ..scores.overlap import iou, rank_scores
from ..scores.rules import Rule
from ..scores.scoring import spread_over_run
from ..templates.template_set import TemplateSet
from ..transitions import entropy_rate, occupancy_entropy, transition_counts, visits

__all__ = ["AVERAGED_SECONDS", "FAMILIES", "TESTED", "average_in_time", "run_statistics"]

AVERAGED_SECONDS = 10.0
"""Length of the running mean behind the statistics named "averaged": about as long as the haemodynamic response, so a
state that lasts is averaged over and noise is not. Chosen among 2 to 18 s on simulated runs of seeds 0 to 9."""

FAMILIES = {
    "clarity": "how clearly one template leads: score of the best, its margin over the second",
    "gradual_change": "IoU of maps a lag apart",
    "sequence": "changes of state, entropies, dwell time, share of volumes with a state",
    "transitions": "counts of every change of state",
    "dwell": "mean dwell time in every state, in s",
    "occupancy": "share of kept volumes in every state",
}

TESTED = "clarity"
"""The family that decides whether a run is told from its surrogates. Where one state excludes the others, the best
template stands out more than in a mixture with the same covariance and spectra. All families have the same null
hypothesis, and the others have little power against such states (benchmarks/calibration.py), so they come after it."""

Key = tuple[str, str]


def average_in_time(maps: np.ndarray, kept: np.ndarray, n_volumes: int) -> np.ndarray:
    """Average every map with its neighbours in time, within stretches of kept volumes.

    Parameters
    ----------
    maps : float array, (n_kept, n_voxels)
    kept : bool array, (n_volumes_of_the_run,)
    n_volumes : int
        Length of the running mean, odd. At the ends of a stretch the outermost map counts for those that are missing.

    Returns
    -------
    float array, (n_kept, n_voxels)

    >>> kept = np.array([True, True, True, False, True])
    >>> average_in_time(np.array([[0.0], [3.0], [6.0], [9.0]]), kept, 3).ravel()
    array([1., 3., 5., 9.])
    """
    numbers = np.flatnonzero(kept)
    starts = np.flatnonzero(np.diff(numbers, prepend=-2) > 1)
    averaged = np.empty_like(maps)
    for start, end in zip(starts, [*starts[1:], len(numbers)], strict=True):
        uniform_filter1d(maps[start:end], n_volumes, axis=0, output=averaged[start:end], mode="nearest")
    return averaged


def run_statistics(
    maps: np.ndarray,
    kept: np.ndarray,
    templates: TemplateSet,
    *,
    rule: Rule,
    repetition_time: float,
    longest_lag: float = CURVE_END,
) -> dict[Key, float]:
    """Measure what one branch shows in a run.

    Parameters
    ----------
    maps : float array, (n_kept, n_voxels)
        Signed maps of the kept volumes, before or after equation 9.
    kept : bool array, (n_volumes,)
    templates : TemplateSet
        Inside the region of the maps.
    rule : Rule
        How states are assigned (`RULES`).
    repetition_time, longest_lag : float
        In s.

    Returns
    -------
    dict from (family, statistic) to float
        The same keys for every run of this length and these templates; NaN where a statistic does not exist (the dwell
        time of a state that was never visited).
    """
    found: dict[Key, float] = {}
    matched = rank_scores(maps, templates.binary)[1]
    n_averaged = 2 * round(AVERAGED_SECONDS / repetition_time / 2 - 0.5) + 1
    averaged = rank_scores(average_in_time(maps, kept, max(n_averaged, 1)), templates.binary)[1]
    for suffix, scores in (("", matched), ("_averaged", averaged)):
        ordered = np.sort(np.nan_to_num(scores, nan=-1), axis=1)
        found["clarity", f"best_score{suffix}"] = float(ordered[:, -1].mean())
        if (ordered[:, -2:-1] >= 0).all() and ordered.shape[1] > 1:
            found["clarity", f"margin{suffix}"] = float((ordered[:, -1] - ordered[:, -2]).mean())
    binary = binarise(scale(maps))
    whole = np.zeros((len(kept), maps.shape[1]), dtype=bool)
    whole[kept] = binary
    curve = lag_curve(whole, kept, repetition_time=repetition_time, longest_lag=longest_lag)
    found |= {
        ("gradual_change", f"iou_lag{lag}"): value for lag, value in zip(curve["lag"], curve["mean_iou"], strict=True)
    }
    scores = matched if rule.score == "size_matched_iou" else iou(binary, templates.binary)
    return found | _of_states(spread_over_run(scores, kept), kept, rule.cutoff, templates.names, repetition_time)


def _of_states(
    scores: np.ndarray, kept: np.ndarray, cutoff: float, names: tuple[str, ...], repetition_time: float
) -> dict[Key, float]:
    assignment = assign(scores, kept, cutoff)
    counts = transition_counts(assignment.states, kept, len(names))
    changes = counts * ~np.eye(len(names), dtype=bool)
    n_changes = int(changes.sum())
    table = state_table(assignment, names, repetition_time)
    lengths = visits(assignment.states, kept)["length"]
    found: dict[Key, float] = {
        ("sequence", "assigned_share"): float((assignment.states >= 0).sum() / kept.sum()),
        ("sequence", "n_changes"): float(n_changes),
        ("sequence", "occupancy_entropy_bits"): occupancy_entropy(assignment.states, len(names)),
        ("sequence", "entropy_rate_bits"): entropy_rate(counts),
        ("sequence", "asymmetry"): float(np.abs(changes - changes.T).sum() / n_changes) if n_changes else np.nan,
        ("sequence", "mean_dwell_seconds"): float(lengths.mean() * repetition_time),
        ("sequence", "longest_dwell_seconds"): float(lengths.max() * repetition_time),
    }
    for i, j in np.argwhere(~np.eye(len(names), dtype=bool)):
        found["transitions", f"{names[i]} > {names[j]}"] = float(changes[i, j])
    for name, dwell, share in zip(names, table["mean_dwell_seconds"], table["occupancy"], strict=True):
        found["dwell", name] = float(dwell)
        found["occupancy", name] = float(share)
    return found

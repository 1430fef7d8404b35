"""What is measured of a run's maps and held against surrogates: one function for the run and for every surrogate.

All statistics are blind to a positive factor per volume, as equation 9 is: how much variance a volume keeps depends on
the regression of confounds, and would tell every cleaned run from a stationary one. What is averaged over neighbours in
time are therefore scores, not maps, whose scale would weigh them.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import uniform_filter1d

from ...maps import binarise, scale
from ..assignment import assign, state_table
from ..scores.gradual_change import CURVE_END, lag_curve
from ..scores.overlap import iou, pearson_r, size_matched_iou
from ..scores.rules import Rule
from ..scores.scoring import spread_over_run
from ..templates.template_set import TemplateSet
from ..transitions import entropy_rate, occupancy_entropy, transition_counts, visits

__all__ = ["AVERAGED_SECONDS", "FAMILIES", "TESTED", "average_in_time", "clarity", "run_statistics"]

AVERAGED_SECONDS = 10.0
"""Length of the running mean behind the statistics named "averaged": about as long as the haemodynamic response, so a
state that lasts is averaged over and noise is not. Chosen among 2 to 18 s on simulated runs of seeds 0 to 9."""

NO_SPREAD = 1e-6
"""Standard deviation over time, of correlations, below which they count as constant: that of rounding errors."""

FAMILIES = {
    "clarity": "how clearly one template leads (margin of the best r over the second), how rarely each does (skewness)",
    "gradual_change": "IoU of maps a lag apart",
    "sequence": "changes of state, entropies, dwell time, share of volumes with a state",
    "transitions": "counts of every change of state",
    "dwell": "mean dwell time in every state, in s",
    "occupancy": "share of kept volumes in every state",
}

TESTED = "clarity"
"""The family that decides whether a run is told from its surrogates. Where one state excludes the others, the best
template stands out more than in a mixture with the same covariance and spectra, and each template's correlation is high
seldom and low most of the time. A network that makes every map clear, whatever it is shown, takes from the first, not
from the second (benchmarks/NOTES.md). All families have the same null hypothesis, so the others come after it."""

Key = tuple[str, str]


def average_in_time(values: np.ndarray, kept: np.ndarray, n_volumes: int) -> np.ndarray:
    """Average the values of every volume with those of its neighbours in time, within stretches of kept volumes.

    Parameters
    ----------
    values : float array, (n_kept, n)
    kept : bool array, (n_volumes_of_the_run,)
    n_volumes : int
        Length of the running mean, odd. At the ends of a stretch the outermost volume counts for those that are
        missing.

    Returns
    -------
    float array, (n_kept, n)

    >>> kept = np.array([True, True, True, False, True])
    >>> average_in_time(np.array([[0.0], [3.0], [6.0], [9.0]]), kept, 3).ravel()
    array([1., 3., 5., 9.])
    """
    numbers = np.flatnonzero(kept)
    starts = np.flatnonzero(np.diff(numbers, prepend=-2) > 1)
    averaged = np.empty_like(values)
    for start, end in zip(starts, [*starts[1:], len(numbers)], strict=True):
        uniform_filter1d(values[start:end], n_volumes, axis=0, output=averaged[start:end], mode="nearest")
    return averaged


def clarity(scores: np.ndarray, kept: np.ndarray, repetition_time: float) -> dict[str, float]:
    """Say how clearly one template leads in a run, and how rarely each does.

    Parameters
    ----------
    scores : float array, (n_kept, n_templates)
        Correlations of maps with templates.
    kept : bool array, (n_volumes,)
    repetition_time : float
        In s.

    Returns
    -------
    dict from str to float
        ``margin``: of the highest score over the second, mean over volumes (with two templates or more); ``skewness``
        of each template's scores over time, mean over templates (NaN if none ever changes); both also of running means
        of the scores over `AVERAGED_SECONDS`, ``…_averaged``.
    """
    n_averaged = max(2 * round(AVERAGED_SECONDS / repetition_time / 2 - 0.5) + 1, 1)
    found = {}
    for suffix, own in (("", scores), ("_averaged", average_in_time(scores, kept, n_averaged))):
        if own.shape[1] > 1:
            ordered = np.sort(own, axis=1)
            found[f"margin{suffix}"] = float((ordered[:, -1] - ordered[:, -2]).mean())
        centred = own - own.mean(axis=0)
        spread = np.sqrt((centred**2).mean(axis=0))
        varies = spread > NO_SPREAD
        skewness = (centred[:, varies] ** 3).mean(axis=0) / spread[varies] ** 3
        found[f"skewness{suffix}"] = float(skewness.mean()) if varies.any() else np.nan
    return found


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
    there = templates.binary[templates.binary.any(axis=1) & ~templates.binary.all(axis=1)]
    correlations = np.nan_to_num(pearson_r(maps, there).astype(float))  # a map without any contrast is like none
    found: dict[Key, float] = {
        ("clarity", name): value for name, value in clarity(correlations, kept, repetition_time).items()
    }
    binary = binarise(scale(maps))
    whole = np.zeros((len(kept), maps.shape[1]), dtype=bool)
    whole[kept] = binary
    curve = lag_curve(whole, kept, repetition_time=repetition_time, longest_lag=longest_lag)
    found |= {
        ("gradual_change", f"iou_lag{lag}"): value for lag, value in zip(curve["lag"], curve["mean_iou"], strict=True)
    }
    by_rank = rule.score == "size_matched_iou"
    scores = size_matched_iou(maps, templates.binary) if by_rank else iou(binary, templates.binary)
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

"""Does a map match a template better than chance? The same overlap with templates that lie elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...errors import UsageError
from ...grid import Grid
from ...maps import binarise, scale
from ..states import RULES
from ..templates.template_set import TemplateSet
from .significance import check_number_of_surrogates, share_as_large
from .surrogate_templates import give_values

__all__ = ["SCORES_TESTED", "MatchNull", "match_null"]

SCORES_TESTED = tuple(rule.score for rule in RULES.values())
"""The scores by which states are assigned."""

SURROGATES_AT_ONCE = 50


@dataclass(frozen=True, eq=False)
class MatchNull:
    """What comparing maps with surrogate templates gave.

    Attributes
    ----------
    score : float array, (n_maps, n_templates)
        With the real templates; NaN for a template without voxels.
    p : float array, (n_maps, n_templates)
        Share of the surrogate sets (the real set among them) whose best score with this map is as high.
    p_best : float array, (n_templates,)
        Of the best score over maps: share of the sets whose best score with *any* map is as high.
    cutoff : float
        95th percentile of the best score of a map with a surrogate set, over sets and maps: a map without any relation
        to the templates passes it once in 20.
    n_surrogates : int
    """

    score: np.ndarray
    p: np.ndarray
    p_best: np.ndarray
    cutoff: float
    n_surrogates: int


def match_null(
    maps: np.ndarray,
    templates: TemplateSet,
    ranks: np.ndarray,
    grid: Grid,
    *,
    score: str = "size_matched_iou",
    progress: Callable[[int], object] | None = None,
) -> MatchNull:
    """Hold the scores of maps with templates against those with surrogate templates.

    Parameters
    ----------
    maps : float array, (n_maps, n_voxels)
        Signed maps over the region of `templates`, such as the FBNs of one branch.
    templates : TemplateSet
        Inside the region.
    ranks : int array, (n_surrogates, n_templates, n_grid_voxels)
        From `surrogate_ranks`, on the whole grid: cut to the region here, as the templates were. A file that is mapped
        into memory is read part by part.
    grid : Grid
        The whole grid.
    score : {"size_matched_iou", "iou"}
    progress : callable, optional
        Called with the number of surrogate templates done since the last call; all of them are
        n_surrogates * n_templates.

    Raises
    ------
    UsageError
        If there are too few surrogates for p <= 0.05, no template has a voxel, or the score is unknown.
    """
    check_number_of_surrogates(len(ranks))
    if score not in SCORES_TESTED:
        raise UsageError(f"Score '{score}' has no null; choose from {', '.join(SCORES_TESTED)}.")
    filled = np.flatnonzero(templates.binary.any(axis=1))
    if not len(filled):
        raise UsageError("No template has a voxel inside the region; nothing can be matched.")
    region = grid.vectors(templates.grid.mask)
    binary = binarise(scale(maps)) if score == "iou" else None
    observed = np.full((len(maps), len(templates.names)), np.nan)
    best = np.full((len(ranks), len(maps)), -np.inf)
    for number in filled:
        own = templates.binary[number]
        weights = _highest(maps, int(own.sum())) if binary is None else binary.astype(np.float32)
        observed[:, number] = _iou(weights, own[None])[:, 0]
        for start in range(0, len(ranks), SURROGATES_AT_ONCE):
            part = slice(start, min(start + SURROGATES_AT_ONCE, len(ranks)))
            moved = np.stack([give_values(one[region], own) for one in ranks[part, number]])
            np.maximum(best[part], _iou(weights, moved).T, out=best[part])
            if progress is not None:
                progress(part.stop - part.start)
    p = np.full(observed.shape, np.nan)
    ours = np.nanmax(observed, axis=1)
    for index, scores in enumerate(observed):
        p[index, filled] = share_as_large(scores[filled], np.append(best[:, index], ours[index]))
    p_best = np.full(len(templates.names), np.nan)
    p_best[filled] = share_as_large(observed[:, filled].max(axis=0), np.append(best.max(axis=1), ours.max()))
    return MatchNull(observed, p, p_best, float(np.quantile(best, 0.95)), len(ranks))


def _highest(maps: np.ndarray, n: int) -> np.ndarray:
    """Mark the n highest voxels of every map; voxels tied for the last places share them (as `rank_scores` does)."""
    maps = np.asarray(maps, dtype=np.float32)
    threshold = np.partition(maps, maps.shape[1] - n, axis=1)[:, maps.shape[1] - n, None]
    above, at = maps > threshold, maps == threshold
    share = (n - above.sum(axis=1, keepdims=True)) / at.sum(axis=1, keepdims=True)
    return above + at * share.astype(np.float32)


def _iou(weights: np.ndarray, templates: np.ndarray) -> np.ndarray:
    intersection = weights @ templates.T.astype(np.float32)
    union = weights.sum(axis=1)[:, None] + templates.sum(axis=1, dtype=np.float32) - intersection
    return np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0)

"""How well maps and templates agree, all volumes against all templates at once.

Maps and templates are rows over the voxels of the evaluation region. Scores of thresholded maps (`iou`, `dice`) depend
on how a map is scaled; scores of its ranks (`average_precision`, `size_matched_iou`) do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ...maps import are_constant

__all__ = [
    "average_precision",
    "best_of_n",
    "chance_iou",
    "dice",
    "iou",
    "pearson_r",
    "rank_scores",
    "size_matched_iou",
    "threshold_curve",
]

SORTED_TOGETHER = 24
"""Templates whose voxels are ranked in one go: those of more do not stay in the processor's cache."""


def iou(maps: np.ndarray, templates: np.ndarray) -> np.ndarray:
    """Intersection over union of every map with every template (equation 11).

    Parameters
    ----------
    maps : bool array, (n_maps, n_voxels)
        Or float32: how far each voxel belongs to the map, 0 to 1.
    templates : bool array, (n_templates, n_voxels)

    Returns
    -------
    float32 array, (n_maps, n_templates)
        0 where both are empty.

    >>> iou(np.array([[1, 1, 0]], bool), np.array([[0, 1, 1]], bool)).round(2)
    array([[0.33]], dtype=float32)
    """
    intersection, total = _overlap(maps, templates)
    union = total - intersection
    return np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0)


def dice(maps: np.ndarray, templates: np.ndarray) -> np.ndarray:
    """Dice coefficient of every map with every template, shapes as in `iou`; 0 where both are empty.

    >>> dice(np.array([[1, 1, 0]], bool), np.array([[0, 1, 1]], bool))
    array([[0.5]], dtype=float32)
    """
    intersection, total = _overlap(maps, templates)
    return np.divide(2 * intersection, total, out=np.zeros_like(intersection), where=total > 0)


def _overlap(maps: np.ndarray, templates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    # float32 counts voxels exactly up to 16 million, and its matrix product is the fast one
    intersection = maps.astype(np.float32, copy=False) @ templates.T.astype(np.float32)
    total = maps.sum(axis=1, dtype=np.float32)[:, None] + templates.sum(axis=1, dtype=np.float32)
    return intersection, total


def threshold_curve(
    maps: np.ndarray, templates: np.ndarray, thresholds: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """IoU at several thresholds, to show how much a score owes to the one that was chosen.

    Parameters
    ----------
    maps : float array, (n_maps, n_voxels)
        After equation 9.
    templates : bool array, (n_templates, n_voxels)
    thresholds : sequence of float
        Shares of each map's own maximum.

    Returns
    -------
    iou : float32 array, (n_thresholds, n_maps, n_templates)
    density : float32 array, (n_thresholds, n_maps)
        Share of the voxels above the threshold.

    >>> curve, density = threshold_curve(np.array([[0.2, 0.5, 1.0]]), np.array([[False, False, True]]), [0.1, 0.3, 0.6])
    >>> curve.ravel().round(2), density.ravel().round(2)
    (array([0.33, 0.5 , 1.  ], dtype=float32), array([1.  , 0.67, 0.33], dtype=float32))
    """
    n_templates, n_levels = len(templates), len(thresholds) + 1
    template, voxels = np.nonzero(templates)
    size, shift = templates.sum(axis=1)[:, None], template * n_levels
    curve = np.empty((len(thresholds), len(maps), n_templates), dtype=np.float32)
    density = np.empty(curve.shape[:2], dtype=np.float32)
    ascending = np.argsort(thresholds)
    for number, values in enumerate(maps):
        level = _thresholds_exceeded(values, thresholds)
        own = _tail_counts(np.bincount(level, minlength=n_levels))
        inside = np.bincount(level[voxels] + shift, minlength=n_templates * n_levels)
        intersection = _tail_counts(inside.reshape(n_templates, n_levels))
        union = own + size - intersection
        overlap = np.divide(intersection, union, out=np.zeros(union.shape), where=union > 0)
        curve[ascending, number], density[ascending, number] = overlap.T, own / templates.shape[1]
    return curve, density


def _thresholds_exceeded(values: np.ndarray, thresholds: Sequence[float]) -> np.ndarray:
    """Count, per voxel, the shares of the map's maximum that it exceeds."""
    level = np.zeros(len(values), dtype=np.uint8)
    highest = values.max()
    for threshold in thresholds if highest > 0 else ():
        level += values > threshold * highest
    return level


def _tail_counts(counts: np.ndarray) -> np.ndarray:
    """From voxels per level to voxels above each level but the last, along the last axis."""
    return counts[..., :0:-1].cumsum(axis=-1)[..., ::-1]


def chance_iou(density: ArrayLike) -> np.ndarray:
    """IoU that two independent random maps of the same density are expected to have: p / (2 - p).

    >>> float(chance_iou(0.5).round(3))
    0.333
    """
    density = np.asarray(density, dtype=float)
    return density / (2 - density)


def pearson_r(maps: np.ndarray, templates: np.ndarray) -> np.ndarray:
    """Correlation over voxels of every map with every template.

    Parameters
    ----------
    maps : float array, (n_maps, n_voxels)
        Signed maps. Equation 9 keeps their order but not their values: the square root of its result correlates as
        the signed map does.
    templates : float or bool array, (n_templates, n_voxels)

    Returns
    -------
    float32 array, (n_maps, n_templates)
        NaN where a map or a template is constant.

    >>> pearson_r(np.array([[1.0, 2.0, 3.0]]), np.array([[3.0, 5.0, 7.0], [1.0, 0.0, -1.0], [2.0, 2.0, 2.0]])).round(3)
    array([[ 1., -1., nan]], dtype=float32)
    """
    return np.clip(_standardise(maps) @ _standardise(templates).T, -1, 1)


def _standardise(maps: np.ndarray) -> np.ndarray:
    """Give rows mean 0 and length 1; rows without variation become NaN."""
    maps = np.asarray(maps, dtype=np.float32)
    centred = maps - maps.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
    length = np.sqrt(np.einsum("ij,ij->i", centred, centred))[:, None]
    length[are_constant(maps)] = np.nan
    centred /= length
    return centred


def average_precision(maps: np.ndarray, templates: np.ndarray) -> np.ndarray:
    """Average precision of every map as a detector of every template's voxels; arguments and ties as `rank_scores`.

    >>> average_precision(np.array([[0.9, 0.8, 0.7, 0.1]]), np.array([[True, False, True, False]])).round(3)
    array([[0.833]])
    """
    return rank_scores(maps, templates)[0]


def size_matched_iou(maps: np.ndarray, templates: np.ndarray) -> np.ndarray:
    """IoU of every template with the map's n highest voxels, n its own size; arguments and ties as `rank_scores`.

    >>> size_matched_iou(np.array([[0.9, 0.8, 0.7, 0.1]]), np.array([[True, False, True, False]])).round(3)
    array([[0.333]])
    """
    return rank_scores(maps, templates)[1]


def rank_scores(maps: np.ndarray, templates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Average precision and size-matched IoU, which no monotone rescaling of a map changes; one sort serves both.

    Voxels of equal value have no order. For average precision they enter together, as in scikit-learn's
    ``average_precision_score``: a constant map scores the template's density. For the size-matched IoU the overlap is
    the mean over all orders of the tied voxels. So neither score depends on where in memory a voxel stands.

    Parameters
    ----------
    maps : float array, (n_maps, n_voxels)
        Compared as float32.
    templates : bool array, (n_templates, n_voxels)

    Returns
    -------
    average_precision, size_matched_iou : float array, (n_maps, n_templates)
        NaN for a template without voxels.
    """
    precision = np.full((len(maps), len(templates)), np.nan)
    matched = np.full((len(maps), len(templates)), np.nan)
    filled = np.flatnonzero(templates.any(axis=1))
    parts = [filled[start : start + SORTED_TOGETHER] for start in range(0, len(filled), SORTED_TOGETHER)]
    members = [(part, _Members.of(templates[part])) for part in parts]
    places = np.arange(templates.shape[1], dtype=np.int32)
    place = np.empty_like(places)
    for row, values in enumerate(np.asarray(maps, dtype=np.float32)):
        order = _descending(values)
        rank = _ranks(values[order])
        place[order] = places
        for part, member in members:
            precision[row, part], matched[row, part] = _scores_of(member, place, rank)
    return precision, matched


class _Members(NamedTuple):
    """The voxels of several templates, one template after the other: what does not depend on the map."""

    voxel: np.ndarray
    """(n_members,)."""
    row_start: np.ndarray
    """Where the row of each template would start in a table of templates and voxels: (n_templates,)."""
    row_start_of_voxel: np.ndarray
    first: np.ndarray
    """Of each template's voxels: (n_templates,)."""
    first_of_voxel: np.ndarray
    size: np.ndarray
    """(n_templates,)."""

    @classmethod
    def of(cls, templates: np.ndarray) -> _Members:
        """Take the voxels of templates that have some: bool, (n_templates, n_voxels)."""
        template, voxel = np.nonzero(templates)
        size = templates.sum(axis=1)
        first = np.cumsum(size) - size
        row_start = np.arange(len(templates), dtype=np.int32) * np.int32(templates.shape[1])
        return cls(voxel, row_start, row_start[template], first, first[template], size)


def _scores_of(member: _Members, place: np.ndarray, rank: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Score one map, of which the place of every voxel from the top and the rank at every place are known."""
    places = place[member.voxel] + member.row_start_of_voxel
    places.sort()  # 32-bit integers are sorted several at a time; each template from the top down
    own = rank[places - member.row_start_of_voxel]
    first, first_of_voxel, size = member.first, member.first_of_voxel, member.size
    last = np.flatnonzero(np.append((own[1:] != own[:-1]) | (first_of_voxel[1:] != first_of_voxel[:-1]), True))
    found = last + 1 - first_of_voxel[last]  # tied voxels enter together
    share = np.diff(last, prepend=-1) * found / own[last]
    precision = np.add.reduceat(share, np.searchsorted(last, first)) / size

    end = rank[size - 1]  # of the tied voxels at which the n highest end
    start = np.searchsorted(rank, end)
    before, through = np.searchsorted(places, np.add(member.row_start, [start, end]).astype(np.int32)) - first
    intersection = before + (through - before) * (size - start) / (end - start)
    return precision, intersection / (2 * size - intersection)


def _ranks(ordered: np.ndarray) -> np.ndarray:
    """Give, for each of the ordered values, how many are at least as high."""
    rank = np.arange(1, len(ordered) + 1)
    ties = ordered[1:] == ordered[:-1]
    tied = np.flatnonzero(ties)
    ends = np.append(np.flatnonzero(~ties) + 1, len(ordered))
    rank[tied] = ends[np.searchsorted(ends, tied + 1)]  # (numpy's repeat would keep other threads waiting)
    return rank


def _descending(values: np.ndarray) -> np.ndarray:
    """Sort float32 values, highest first, by two 16-bit radix sorts: several times faster than comparing floats."""
    bits = values.view(np.int32)
    key = ~(bits ^ ((bits >> 31) & 0x7FFFFFFF))  # integers in the opposite order of the floats
    low = (key & 0xFFFF).astype(np.uint16)
    high = (key >> 16).astype(np.int16)
    order = np.argsort(low, kind="stable")
    return order[np.argsort(high[order], kind="stable")]


def best_of_n(scores: ArrayLike, n: int = 20) -> np.ndarray:
    """Give the expected maximum of `n` candidates drawn at random without replacement.

    It compares methods that offer different numbers of candidates, which their plain maxima do not.
    The i-th smallest of T candidates is the highest of the n drawn with probability C(i - 1, n - 1) / C(T, n).

    Parameters
    ----------
    scores : float array, (n_candidates, …)
        NaN is no candidate.
    n : int
        With n or fewer candidates the result is their maximum.

    Returns
    -------
    float array, (…)
        NaN without a candidate.

    >>> float(best_of_n([1.0, 2.0, 3.0], n=2))  # of (1, 2), (1, 3), (2, 3)
    2.6666666666666665
    """
    scores = np.asarray(scores, dtype=float)
    columns = scores.reshape(len(scores), -1)
    best = [_expected_maximum(column[np.isfinite(column)], n) for column in columns.T]
    return np.array(best).reshape(scores.shape[1:])


def _expected_maximum(candidates: np.ndarray, n: int) -> float:
    total = len(candidates)
    if total <= n:
        return float(candidates.max(initial=-np.inf)) if total else np.nan
    # from the highest candidate down: each weight is the one above times (i - n) / (i - 1)
    i = np.arange(total, n, -1)
    weights = n / total * np.concatenate([[1.0], np.cumprod((i - n) / (i - 1))])
    return float(weights @ np.sort(candidates)[::-1][: len(weights)])

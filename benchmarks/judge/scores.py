"""Scores of maps against what was planted, and by chance: the scores of `benchmarks.recovery_scores`, many at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from benchmarks.planted import PlantedRun
from benchmarks.recovery_scores import state_scores
from scaae_nipype.evaluation.scores.overlap import rank_scores
from scaae_nipype.maps import binarise, scale

__all__ = ["LOWER_IS_BETTER", "SCORES", "Target", "above_chance", "judge_maps"]

SCORES = (
    "average_precision",
    "size_matched_iou",
    "r",
    "state_accuracy",
    "transition_error",
    "amplitude_r",
    "iou",
    "below_average_precision",
    "below_size_matched_iou",
    "below_r",
)

LOWER_IS_BETTER = ("transition_error",)

EVEN, ODD = slice(0, None, 2), slice(1, None, 2)


@dataclass(frozen=True, eq=False)
class Target:
    """A truth that maps are held against, with what every method's scores need of it.

    Parameters
    ----------
    run : PlantedRun
    """

    run: PlantedRun

    @cached_property
    def binary(self) -> np.ndarray:
        """The planted networks of even volumes, bool (n_even, n_voxels)."""
        return binarise(self.run.truth[EVEN])

    @cached_property
    def below(self) -> np.ndarray:
        """What is planted below the mean, (n_volumes, n_voxels)."""
        return np.maximum(-self.run.truth, 0)

    @cached_property
    def below_binary(self) -> np.ndarray:
        return binarise(self.below[EVEN])

    @cached_property
    def centred(self) -> np.ndarray:
        return _centred(self.run.truth)

    @cached_property
    def centred_below(self) -> np.ndarray:
        return _centred(self.below)


def judge_maps(
    candidates: np.ndarray, target: Target, surrogates: Sequence[Target] = (), *, both_poles: bool = False
) -> dict[str, Any]:
    """Score a method's maps against the truth, and against truths that lie elsewhere.

    Parameters
    ----------
    candidates : float array, (n_volumes, n_voxels) or (n_branches, n_volumes, n_voxels)
    target : Target
    surrogates : sequence of Target
    both_poles : bool
        Whether what is below the mean is scored too.

    Returns
    -------
    dict
        Score to value as from `benchmarks.recovery_scores.score_maps`; with surrogates also ``chance``: score to the
        mean over surrogates, branch and sign chosen on odd volumes for each of them.
    """
    candidates = np.asarray(candidates, dtype=np.float32)
    candidates = candidates[None] if candidates.ndim == 2 else candidates
    targets = [target, *surrogates]
    lengths = [_centred(maps) for maps in candidates]
    found = _shapes(candidates, lengths, targets, below=False)
    for group, chosen, numbers in _oriented(candidates, found):
        for number, values in zip(numbers, _others(chosen, [targets[n] for n in numbers]), strict=True):
            found[number] |= values | {"branch": group[0] + 1, "sign": group[1]}
    if both_poles:
        for values, more in zip(found, _shapes(candidates, lengths, targets, below=True), strict=True):
            values |= {f"below_{name}": value for name, value in more.items() if name != "orientation"}
    for values in found:
        del values["orientation"]
    result = dict(found[0])
    if surrogates:
        names = [name for name in SCORES if name in result]
        result["chance"] = {name: float(np.nanmean([values[name] for values in found[1:]])) for name in names}
    return result


def above_chance(scores: dict[str, Any], name: str) -> float:
    """Give a score less what it is by chance; positive is better for every score.

    >>> round(above_chance({"r": 0.5, "chance": {"r": 0.1}}, "r"), 3)
    0.4
    """
    difference = scores[name] - scores["chance"][name]
    return -difference if name in LOWER_IS_BETTER else difference


def _centred(maps: np.ndarray) -> np.ndarray:
    """Give rows mean 0 and length 1; constant rows become 0."""
    centred = maps - maps.mean(axis=1, keepdims=True)
    length = np.sqrt(np.einsum("ij,ij->i", centred, centred))[:, None]
    return np.divide(centred, length, out=np.zeros_like(centred), where=length > 0)


def _correlations(standard: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Correlate each volume's map with its truth: 0 for a map that says nothing, NaN where there is nothing to say."""
    r = np.einsum("ij,ij->i", standard, truth)
    return np.where(truth.any(axis=1), r, np.nan)


def _shapes(
    candidates: np.ndarray, standard: list[np.ndarray], targets: Sequence[Target], *, below: bool
) -> list[dict[str, Any]]:
    """Choose branch and sign on odd volumes, score shape on even ones; for each target."""
    results: list[dict[str, Any]] = []
    for target in targets:
        truth = target.centred_below if below else target.centred
        r = [_correlations(maps, truth) for maps in standard]
        means = [_mean(values[ODD]) for values in r]
        branch = int(np.argmax(np.nan_to_num(np.abs(means))))
        sign = -1 if means[branch] < 0 else 1
        results.append({"orientation": (branch, sign), "r": sign * _mean(r[branch][EVEN])})
    for _, chosen, numbers in _oriented(candidates, results):
        members = np.stack([targets[n].below_binary if below else targets[n].binary for n in numbers], axis=1)
        ranked = [rank_scores(one[None], planted) for one, planted in zip(chosen[EVEN], members, strict=True)]
        precision, matched = np.array(ranked)[:, :, 0].swapaxes(0, 1)  # (n_even, n_targets) each
        for place, number in enumerate(numbers):
            results[number] |= {
                "average_precision": _mean(precision[:, place]),
                "size_matched_iou": _mean(matched[:, place]),
            }
    return results


def _mean(values: np.ndarray) -> float:
    """Average what is not NaN; NaN if nothing is left."""
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def _oriented(
    candidates: np.ndarray, found: Sequence[dict[str, Any]]
) -> Iterator[tuple[tuple[int, int], np.ndarray, list[int]]]:
    """Yield each branch and sign that was chosen, its maps, and the targets that chose it."""
    chosen = [values["orientation"] for values in found]
    for branch, sign in sorted(set(chosen)):
        numbers = [n for n, own in enumerate(chosen) if own == (branch, sign)]
        yield (branch, sign), sign * candidates[branch], numbers


def _others(maps: np.ndarray, targets: Sequence[Target]) -> list[dict[str, float]]:
    """Score what is not the shape of single volumes: IoU at 0.3, amplitude and states."""
    displayed = binarise(scale(maps[EVEN])).astype(np.float32)
    sizes = displayed.sum(axis=1)
    even, mean = maps[EVEN], maps[EVEN].mean(axis=1, keepdims=True)
    named = _named_states(maps, [target.run.networks.binary for target in targets])
    results = []
    for target, found in zip(targets, named, strict=True):
        run, networks = target.run, target.run.networks.binary.astype(np.float32)
        inside = even @ networks.T / networks.sum(axis=1) - mean
        shared = np.array([row[planted].sum() for row, planted in zip(displayed, target.binary, strict=True)])
        planted_sizes = target.binary.sum(axis=1)
        overlap = (shared / np.maximum(sizes + planted_sizes - shared, 1))[planted_sizes > 0]
        scores = {
            "iou": float(overlap.mean()),
            "amplitude_r": float(np.mean([_r(a, b) for a, b in zip(inside.T, run.bold[EVEN].T, strict=True)])),
        }
        results.append(scores | state_scores(found, run))
    return results


def _r(a: np.ndarray, b: np.ndarray) -> float:
    """Correlate; 0 for a course that is constant: it tells nothing."""
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 0 and b.std() > 0 else 0.0


def _named_states(maps: np.ndarray, networks: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Name the network with the highest size-matched IoU in every volume, for several sets of networks.

    As ``rank_scores(maps, one)[1].argmax(axis=1)`` of each set: voxels tied for the last places share them.
    """
    sizes = np.unique([own.sum(axis=1) for own in networks])
    places = maps.shape[1] - sizes
    partitioned = np.partition(maps, np.unique(places), axis=1)
    by_voxel = np.ascontiguousarray(maps.T)  # a network's voxels are then read row by row
    overlap = [np.zeros((len(maps), len(own))) for own in networks]
    for size, place in zip(sizes, places, strict=True):
        threshold = partitioned[:, place]
        above = np.count_nonzero(partitioned[:, place:] > threshold[:, None], axis=1)
        tied = np.count_nonzero(maps == threshold[:, None], axis=1)
        share = (size - above) / tied
        for found, own in zip(overlap, networks, strict=True):
            for k in np.flatnonzero(own.sum(axis=1) == size):
                inside = by_voxel[own[k]]
                shared = np.count_nonzero(inside > threshold, axis=0)
                shared = shared + share * np.count_nonzero(inside == threshold, axis=0)
                found[:, k] = shared / (2 * size - shared)
    return [values.argmax(axis=1) for values in overlap]

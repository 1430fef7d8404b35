"""How well maps of single volumes recover what was planted."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.metrics import balanced_accuracy_score

from benchmarks.planted import PlantedRun
from scaae_nipype.evaluation.scores.overlap import iou, rank_scores
from scaae_nipype.evaluation.transitions import transition_counts, transition_probabilities
from scaae_nipype.maps import binarise, scale

__all__ = ["oriented", "recovery", "score_maps", "state_scores"]


def oriented(candidates: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, int, int]:
    """Choose branch and sign by matched r on odd volumes.

    Parameters
    ----------
    candidates : float array, (n_branches, n_volumes, n_voxels)
    truth : float array, (n_volumes, n_voxels)

    Returns
    -------
    maps : float array, (n_volumes, n_voxels)
    branch, sign : int
    """
    odd = slice(1, None, 2)
    means = [np.nanmean(matched_r(maps[odd], truth[odd])) for maps in candidates]
    branch = int(np.argmax(np.abs(means)))
    sign = -1 if means[branch] < 0 else 1
    return sign * candidates[branch], branch, sign


def matched_r(maps: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Correlate each volume's map with the planted volume: (n_volumes,)."""
    maps, truth = (x - x.mean(axis=1, keepdims=True) for x in (maps, truth))
    lengths = np.linalg.norm(maps, axis=1) * np.linalg.norm(truth, axis=1)
    return np.divide((maps * truth).sum(axis=1), lengths, out=np.full(len(maps), np.nan), where=lengths > 0)


def score_maps(candidates: np.ndarray, run: PlantedRun, *, both_poles: bool = False) -> dict[str, Any]:
    """Score the branch and sign that odd volumes choose, and if asked also what goes below its mean.

    Parameters
    ----------
    candidates : float array, (n_branches, n_volumes, n_voxels)
    run : PlantedRun
    both_poles : bool

    Returns
    -------
    dict
        `recovery` of the chosen maps with ``branch`` and ``sign``. With both poles also ``below_r``,
        ``below_average_precision`` and ``below_size_matched_iou`` of the part of the truth that is below its mean, by
        the branch and sign that odd volumes choose for that part.
    """
    chosen, branch, sign = oriented(candidates, run.truth)
    scores: dict[str, Any] = {**recovery(chosen, run), "branch": branch + 1, "sign": sign}
    if both_poles:
        below = np.maximum(-run.truth, 0)
        chosen, branch, sign = oriented(candidates, below)
        shape = {f"below_{name}": value for name, value in shape_scores(chosen, below).items()}
        scores |= shape | {"below_branch": branch + 1, "below_sign": sign}
    return scores


def shape_scores(maps: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Score where maps of even volumes are high: ``r``, ``average_precision``, ``size_matched_iou``."""
    even = slice(0, None, 2)
    planted = binarise(truth[even])
    filled = planted.any(axis=1)
    ranked = [rank_scores(a[None], b[None]) for a, b in zip(maps[even][filled], planted[filled], strict=True)]
    return {
        "r": float(np.nanmean(matched_r(maps[even], truth[even]))),
        "average_precision": float(np.mean([precision[0, 0] for precision, _ in ranked])),
        "size_matched_iou": float(np.mean([matched[0, 0] for _, matched in ranked])),
    }


def recovery(maps: np.ndarray, run: PlantedRun) -> dict[str, float]:
    """Score oriented maps on even volumes; sequences of states on all.

    Parameters
    ----------
    maps : float array, (n_volumes, n_voxels)
    run : PlantedRun

    Returns
    -------
    dict
        ``r``, ``average_precision``, ``size_matched_iou``, ``iou``, ``amplitude_r``; where there are states,
        ``state_accuracy`` (balanced) and ``transition_error`` (mean total variation between rows).
    """
    even = slice(0, None, 2)
    planted = binarise(run.truth[even])
    filled = planted.any(axis=1)
    above = binarise(scale(maps[even][filled]))
    networks = run.networks.binary.astype(np.float32)
    inside = maps[even] @ networks.T / networks.sum(axis=1) - maps[even].mean(axis=1, keepdims=True)
    scores = {
        **shape_scores(maps, run.truth),
        "iou": float(np.mean([iou(a[None], b[None])[0, 0] for a, b in zip(above, planted[filled], strict=True)])),
        "amplitude_r": float(
            np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(inside.T, run.bold[even].T, strict=True)])
        ),
    }
    found = rank_scores(maps, run.networks.binary)[1].argmax(axis=1)
    return scores | state_scores(found, run)


def state_scores(found: np.ndarray, run: PlantedRun) -> dict[str, float]:
    """Score which network a method names at every volume; nothing where a run has no states.

    Parameters
    ----------
    found : int array, (n_volumes,)
    run : PlantedRun

    Returns
    -------
    dict
        ``state_accuracy`` (balanced) and ``transition_error`` (mean total variation between rows of the transition
        matrices that both sequences have).
    """
    if not (run.states >= 0).all():
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about states that a method names but that do not occur
        accuracy = float(balanced_accuracy_score(run.states, found))
    kept, count = np.ones(len(found), dtype=bool), len(run.networks)
    rows = [transition_probabilities(transition_counts(s, kept, count)) for s in (run.states, found)]
    both = ~np.isnan(rows[0]).any(axis=1) & ~np.isnan(rows[1]).any(axis=1)
    error = float(np.abs(rows[0][both] - rows[1][both]).sum(axis=1).mean() / 2) if both.any() else float("nan")
    return {"state_accuracy": accuracy, "transition_error": error}

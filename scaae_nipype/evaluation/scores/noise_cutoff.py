"""The least score of a state: what noise as smooth as the maps hardly ever reaches with any template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter

from ...errors import UsageError
from ...grid import Grid
from ...maps import DECIDING, binarise, scale
from ...options import Evaluation
from ..templates.template_set import TemplateSet
from .overlap import iou, rank_scores
from .rules import Rule
from .smoothness import volume_smoothness

__all__ = ["BY_NOISE", "BY_SURROGATES", "CutOffs", "NoiseCutoff", "cutoffs_of", "noise_cutoff"]

NOISE_SHARE, N_NOISE = 0.05, 400
"""Share of noise volumes that may be given a state, and how many are drawn."""

BY_NOISE = "noise as smooth as the maps"
BY_SURROGATES = "surrogate templates"
GIVEN = "given"
OF_MODE = "mode"
"""Where cut-offs come from."""

ROUNDS = 4
"""In which the width of noise is found."""

WIDTH_TO_SIGMA = 1 / np.sqrt(8 * np.log(2))


class NoiseCutoff(NamedTuple):
    """A least score of a state.

    Attributes
    ----------
    cutoff : float
    smoothness : float
        Of the maps, FWHM in mm.
    """

    cutoff: float
    smoothness: float


class CutOffs(NamedTuple):
    """The least score of a state, per method, and the account of where it comes from."""

    least: dict[str, float]
    about: dict[str, Any]


def cutoffs_of(
    maps: Mapping[str, np.ndarray], templates: TemplateSet, rule: Rule, *, given: bool, seed: int = Evaluation.seed
) -> CutOffs:
    """Find the least score of a state for the maps of every method.

    Parameters
    ----------
    maps : mapping from method to float array, (n_maps, n_voxels)
        Signed, over the region of `templates`.
    templates : TemplateSet
    rule : Rule
    given : bool
        Whether somebody chose the rule's cut-off.
    seed : int
        Of the noise.
    """
    if not rule.by_noise or not templates.binary.any():
        return CutOffs(dict.fromkeys(maps, rule.cutoff), {"CutOffSource": GIVEN if given else OF_MODE})
    found = {method: noise_cutoff(own, templates, score=rule.score, seed=seed) for method, own in maps.items()}
    about = {
        "CutOffSource": BY_NOISE,
        "NoiseShare": NOISE_SHARE,
        "NoiseSmoothness": {method: round(cut.smoothness, 2) for method, cut in found.items()},
        "NumberOfNoiseVolumes": N_NOISE,
        "NoiseSeed": seed,
    }
    return CutOffs({method: cut.cutoff for method, cut in found.items()}, about)


def noise_cutoff(
    maps: np.ndarray,
    templates: TemplateSet,
    *,
    score: str = "size_matched_iou",
    share: float = NOISE_SHARE,
    n_noise: int = N_NOISE,
    seed: int = Evaluation.seed,
) -> NoiseCutoff:
    """Give the score that at most a share of noise volumes as smooth as these maps reaches with any template.

    Parameters
    ----------
    maps : float array, (n_maps, n_voxels)
        Signed maps of one branch over the region of `templates`.
    templates : TemplateSet
        Inside the region.
    score : {"size_matched_iou", "average_precision", "iou"}
    share : float
        Of noise volumes that would be given a state.
    n_noise : int
    seed : int

    Raises
    ------
    UsageError
        If the score is unknown, no template has a voxel, or there are too few noise volumes for the share.

    Notes
    -----
    The noise is Gaussian; its smoothness is the median of the maps', both measured as `volume_smoothness` does. No
    surrogates are needed, so it can be the default where the spatial null was not asked for.
    """
    if score not in (*DECIDING, "iou"):
        raise UsageError(f"Score '{score}' has no cut-off; choose from {', '.join((*DECIDING, 'iou'))}.")
    if not templates.binary.any():
        raise UsageError("No template has a voxel inside the region; there is nothing to cut.")
    passing = int(share * (n_noise + 1))  # another such volume is above the passing-th largest in at most this share
    if passing < 1:
        raise UsageError(
            f"{n_noise} noise volumes cannot show a share of {share:g}; ask for {int(np.ceil(1 / share))}."
        )
    smoothness = float(np.median(volume_smoothness(maps, templates.grid)))
    noise = _noise_as_smooth(smoothness, templates.grid, n_noise, seed)
    if score == "iou":
        found = iou(binarise(scale(noise)), templates.binary)
    else:
        found = rank_scores(noise, templates.binary)[DECIDING.index(score)]
    best = np.nanmax(found, axis=1)
    # a volume has a state where it reaches the cut-off: above that one, as tables write it (6 digits)
    return NoiseCutoff(float(np.sort(best)[-passing]) + 1e-6, smoothness)


def _noise_as_smooth(smoothness: float, grid: Grid, n: int, seed: int) -> np.ndarray:
    """Draw Gaussian fields on the mask whose measured smoothness is that asked for: (n, n_voxels).

    A kernel narrower than a voxel, or wider than the brain, is not measured as its width: it is corrected by what is.
    """
    sigma = smoothness * WIDTH_TO_SIGMA
    for _ in range(ROUNDS if smoothness > 0 else 0):
        tried = _fields(grid, sigma, [(seed, number) for number in range(10)])
        measured = float(np.median(volume_smoothness(tried, grid)))
        sigma *= float(np.clip(smoothness / measured, 0.5, 2)) if measured > 0 else 2.0
    return _fields(grid, sigma, [(seed, 1, number) for number in range(n)])


def _fields(grid: Grid, sigma: float, seeds: Sequence[tuple[int, ...]]) -> np.ndarray:
    """Draw a smooth field from every seed: (n_seeds, n_voxels)."""
    widths = sigma / grid.voxel_sizes
    x, y, z = grid.box_shape
    # wrapped around a box that is wider by the kernel's reach, it has the same variance everywhere
    shape = [size + int(np.ceil(4 * width)) for size, width in zip((x, y, z), widths, strict=True)]
    brain = np.zeros(shape, dtype=bool)
    brain[:x, :y, :z] = grid.mask[grid.box]
    inside = np.flatnonzero(brain)
    fields = np.empty((len(seeds), len(inside)), dtype=np.float32)
    for field, seed in zip(fields, seeds, strict=True):
        white = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
        field[:] = gaussian_filter(white, widths, mode="wrap", truncate=3.0).ravel()[inside]
    return fields

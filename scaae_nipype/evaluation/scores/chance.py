"""What maps score with templates by chance, for being smooth and for being many.

Average precision and size-matched IoU grow with the smoothness of a map alone, with the number of maps of which the
best is taken, and with the choice of the better branch. A score is worth what it has above the same score with
templates that lie elsewhere, and a state what noise as smooth does not show.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter

from ...errors import UsageError
from ...grid import Grid
from ...maps import binarise, scale
from ...options import Evaluation
from ..templates.surrogates import give_values
from ..templates.template_set import TemplateSet
from .overlap import best_of_n, iou, rank_scores
from .smoothness import volume_smoothness

__all__ = ["ChanceScores", "NoiseCutoff", "chance_scores", "noise_cutoff"]

SCORES = ("average_precision", "size_matched_iou")
"""What `rank_scores` gives, in its order."""

SETS_AT_ONCE, ROUNDS = 10, 4
"""Sets of surrogates that are scored with one sort of every map; rounds in which the width of noise is found."""

WIDTH_TO_SIGMA = 1 / np.sqrt(8 * np.log(2))


class ChanceScores(NamedTuple):
    """Scores beside what chance gives, one value per template; NaN for a template without voxels.

    Attributes
    ----------
    score, chance, above : float arrays, (n_templates,)
        With the templates, the mean with surrogates of them, and the difference.
    drawn : float array, (n_surrogates, n_templates)
        With every set of surrogates.
    """

    score: np.ndarray
    chance: np.ndarray
    above: np.ndarray
    drawn: np.ndarray


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


def chance_scores(
    maps: np.ndarray,
    templates: TemplateSet,
    ranks: np.ndarray,
    grid: Grid,
    *,
    score: str = "average_precision",
    best_of: int | None = 20,
    both_signs: bool = False,
) -> ChanceScores:
    """Score maps with templates, and with surrogates of these templates under the same choices.

    Parameters
    ----------
    maps : float array, (n_branches, n_maps, n_voxels)
        Signed, over the region of `templates`. For every template, and for every surrogate anew, the branch with the
        higher score counts.
    templates : TemplateSet
        Inside the region.
    ranks : int array, (n_surrogates, n_templates, n_grid_voxels)
        From `surrogate_ranks`, on the whole grid.
    grid : Grid
        The whole grid.
    score : {"average_precision", "size_matched_iou"}
    best_of : int, optional
        Expected best of so many maps (`best_of_n`); None: the mean over maps.
    both_signs : bool
        Whether the sign was chosen by the score too. A sign that was anchored to the input was not.

    Raises
    ------
    UsageError
        If the score is unknown, or there are no surrogates.

    Notes
    -----
    Surrogates have a template's size, smoothness and values but lie elsewhere (see `surrogate_ranks`), so what maps
    share with them is chance, whatever the maps' own smoothness is.
    """
    if score not in SCORES:
        raise UsageError(f"Score '{score}' has no chance level; choose from {', '.join(SCORES)}.")
    if not len(ranks):
        raise UsageError("Without surrogate templates there is no chance level.")
    which, region = SCORES.index(score), grid.vectors(templates.grid.mask)
    candidates = [*maps, *(-maps)] if both_signs else list(maps)

    def summary(binary: np.ndarray) -> np.ndarray:
        found = [rank_scores(own, binary)[which] for own in candidates]
        values = [one.mean(axis=0) if best_of is None else best_of_n(one, best_of) for one in found]
        return np.max(values, axis=0)

    drawn = []
    for start in range(0, len(ranks), SETS_AT_ONCE):
        moved = [
            give_values(rank[region], own)
            for one in ranks[start : start + SETS_AT_ONCE]
            for rank, own in zip(one, templates.binary, strict=True)
        ]
        drawn.append(summary(np.stack(moved)).reshape(-1, len(templates.names)))
    by_chance = np.concatenate(drawn)
    real, chance = summary(templates.binary), by_chance.mean(axis=0)
    return ChanceScores(real, chance, real - chance, by_chance)


def noise_cutoff(
    maps: np.ndarray,
    templates: TemplateSet,
    *,
    score: str = "size_matched_iou",
    share: float = 0.05,
    n_noise: int = 200,
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
    if score not in (*SCORES, "iou"):
        raise UsageError(f"Score '{score}' has no cut-off; choose from {', '.join((*SCORES, 'iou'))}.")
    if not templates.binary.any():
        raise UsageError("No template has a voxel inside the region; there is nothing to cut.")
    passing = int(share * n_noise)
    if passing < 1:
        raise UsageError(
            f"{n_noise} noise volumes cannot show a share of {share:g}; ask for {int(np.ceil(1 / share))}."
        )
    smoothness = float(np.median(volume_smoothness(maps, templates.grid)))
    best = np.empty(n_noise)
    for number, noise in enumerate(_noise_as_smooth(smoothness, templates.grid, n_noise, seed)):
        if score == "iou":
            found = iou(binarise(scale(noise[None])), templates.binary)
        else:
            found = rank_scores(noise[None], templates.binary)[SCORES.index(score)]
        best[number] = np.nanmax(found)
    # a volume has a state where it reaches the cut-off: the next number above the first that may not
    return NoiseCutoff(float(np.nextafter(np.sort(best)[-passing - 1], np.inf)), smoothness)


def _noise_as_smooth(smoothness: float, grid: Grid, n: int, seed: int) -> list[np.ndarray]:
    """Draw Gaussian fields on the mask whose measured smoothness is that asked for: (n_voxels,) each.

    A kernel narrower than a voxel, or wider than the brain, is not measured as its width: it is corrected by what is.
    """
    sigma = smoothness * WIDTH_TO_SIGMA
    for _ in range(ROUNDS if smoothness > 0 else 0):
        tried = np.stack([_field(grid, sigma, np.random.default_rng((seed, number))) for number in range(10)])
        measured = float(np.median(volume_smoothness(tried, grid)))
        sigma *= float(np.clip(smoothness / measured, 0.5, 2)) if measured > 0 else 2.0
    return [_field(grid, sigma, np.random.default_rng((seed, 1, number))) for number in range(n)]


def _field(grid: Grid, sigma: float, rng: np.random.Generator) -> np.ndarray:
    widths = sigma / grid.voxel_sizes
    x, y, z = grid.box_shape
    # wrapped around a box that is wider by the kernel's reach, it has the same variance everywhere
    shape = [size + int(np.ceil(4 * width)) for size, width in zip((x, y, z), widths, strict=True)]
    field = gaussian_filter(rng.standard_normal(shape, dtype=np.float32), widths, mode="wrap", truncate=3.0)
    return field[:x, :y, :z][grid.mask[grid.box]]

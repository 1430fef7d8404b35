"""What maps score with templates by chance, for being smooth and for being many.

Average precision and size-matched IoU grow with the smoothness of a map alone, with the number of maps of which the
best is taken, and with the choice of the better branch. A score is worth what it has above the same score with
templates that lie elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ...errors import UsageError
from ...files import PathLike
from ...grid import Grid, load_grid
from ...maps import BRANCHES, DECIDING
from ...options import Evaluation
from ..templates.loading import load_templates
from ..templates.surrogates import give_values, ranks_of_templates
from ..templates.template_set import TemplateSet
from .overlap import best_of_n, rank_scores
from .scoring import CANDIDATES

__all__ = [
    "ChanceScores",
    "about_chance",
    "chance_scores",
    "hold_against",
    "moved_templates",
    "templates_elsewhere",
    "with_chance",
]

CHANCE_MEANING = (
    "By chance: the same score with sets of surrogates of the templates, which are as smooth and as large but lie "
    "elsewhere. AP and size-matched IoU of any map grow with its smoothness, so a score says what it has above chance. "
    "The better branch (of the volume, the better sign) is chosen for every template, and for every surrogate anew; "
    "both rows have the same numbers."
)

MOST_HELD = 40
"""Maps of a method that are held against surrogates, spread evenly over the run: more would hardly change a mean over
19 sets of them."""

SETS_AT_ONCE = 10
"""Sets of surrogates that are scored with one sort of every map."""


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
    if score not in DECIDING:
        raise UsageError(f"Score '{score}' has no chance level; choose from {', '.join(DECIDING)}.")
    if not len(ranks):
        raise UsageError("Without surrogate templates there is no chance level.")
    which = DECIDING.index(score)
    candidates = [*maps, *(-maps)] if both_signs else list(maps)

    def summary(binary: np.ndarray) -> np.ndarray:
        found = [rank_scores(own, binary)[which] for own in candidates]
        values = [one.mean(axis=0) if best_of is None else best_of_n(one, best_of) for one in found]
        return np.max(values, axis=0)

    drawn = []
    for start in range(0, len(ranks), SETS_AT_ONCE):
        moved = moved_templates(templates, ranks[start : start + SETS_AT_ONCE], grid)
        drawn.append(summary(moved.reshape(-1, moved.shape[-1])).reshape(len(moved), -1))
    by_chance = np.concatenate(drawn)
    real, chance = summary(templates.binary), by_chance.mean(axis=0)
    return ChanceScores(real, chance, real - chance, by_chance)


def moved_templates(templates: TemplateSet, ranks: np.ndarray, grid: Grid) -> np.ndarray:
    """Give surrogates of templates inside their region: bool, (n_surrogates, n_templates, n_voxels).

    Parameters
    ----------
    templates : TemplateSet
        Inside the region.
    ranks : int array, (n_surrogates, n_templates, n_grid_voxels)
        From `surrogate_ranks`, on the whole grid.
    grid : Grid
        The whole grid.
    """
    region = grid.vectors(templates.grid.mask)
    moved = np.empty((len(ranks), *templates.binary.shape), dtype=bool)
    for number, one in enumerate(ranks):
        for template, own in enumerate(templates.binary):
            moved[number, template] = give_values(one[template][region], own)
    return moved


def templates_elsewhere(
    templates: TemplateSet,
    spec: PathLike,
    *,
    labels: PathLike | None,
    kind: str,
    grid_mask: PathLike | None,
    surrogates: PathLike | None,
    n_chance_templates: int,
    seed: int,
) -> np.ndarray:
    """Give surrogates of a run's templates inside its region, as `moved_templates` does; of 0 sets, an empty array.

    Parameters
    ----------
    templates : TemplateSet
        Inside the region.
    spec, labels, kind, grid_mask
        What they are of, as for `score_run`.
    surrogates : path, optional
        From `make_surrogate_templates` with the same seed; made here if not given.
    n_chance_templates : int
        0, or 19 and more.
    seed : int

    Raises
    ------
    InputError, UsageError
    """
    n_sets = Evaluation(n_chance_templates=n_chance_templates).n_chance_templates
    if not n_sets:
        return np.empty((0, *templates.binary.shape), dtype=bool)
    whole = load_templates(spec, grid=load_grid(grid_mask), labels=labels, kind=kind)
    ranks = ranks_of_templates(whole, n_surrogates=n_sets, seed=seed, path=surrogates)
    return moved_templates(templates, ranks, whole.grid)


def about_chance(n_sets: int, seed: int) -> dict[str, Any]:
    """Say in an account how what scores are by chance was found."""
    told = {"NumberOfSets": n_sets, "Seed": seed, "MostMaps": MOST_HELD, "Meaning": CHANCE_MEANING}
    return {"Chance": told if n_sets else "not measured"}


def hold_against(maps: np.ndarray, templates: TemplateSet, moved: np.ndarray) -> dict[str, np.ndarray]:
    """Score some of a method's maps with templates and with surrogates of them.

    Parameters
    ----------
    maps : float array, (n_maps, n_voxels)
        At most `MOST_HELD` of them are taken, evenly.
    templates : TemplateSet
    moved : bool array, (n_surrogates, n_templates, n_voxels)
        From `moved_templates`.

    Returns
    -------
    dict from column of the overlap table to float array, (1 + n_surrogates, n_templates)
        ``best_of_20_…`` and ``mean_…`` of both `DECIDING` scores: with the templates first, then with every set.
    """
    some = maps[np.unique(np.linspace(0, len(maps) - 1, MOST_HELD).round().astype(int))]
    every = np.concatenate([templates.binary[None], moved])
    found = {}
    for score, values in zip(DECIDING, rank_scores(some, every.reshape(-1, every.shape[-1])), strict=True):
        for kind, summary in (
            (f"best_of_{CANDIDATES}", best_of_n(values, CANDIDATES)),
            ("mean", values.mean(axis=0)),
        ):
            found[f"{kind}_{score}"] = summary.reshape(every.shape[:2])
    return found


def with_chance(overlap: pd.DataFrame, held: Mapping[str, Mapping[str, np.ndarray]]) -> pd.DataFrame:
    """Add to a table of scores what they are by chance, and what they have above it.

    Parameters
    ----------
    overlap : DataFrame
        From `overlap_table`, of all methods in `held`, templates in the same order.
    held : mapping from method to what `hold_against` gives

    Returns
    -------
    DataFrame
        With, for ``best_of_20_…`` and ``mean_…`` of both `DECIDING` scores, three more columns: ``chance_…`` (mean over
        surrogate sets), ``above_…`` (the score less that) and ``chance_p_…`` (share of the sets, the templates' own
        among them, with a score as high). All are of the better of two branches, or of two signs, chosen for every
        template, and for every surrogate anew: both rows have the same.
    """
    pairs: dict[str, list[str]] = {}
    for method in held:
        pairs.setdefault(_choice(method), []).append(method)
    table = overlap.copy()
    for methods in pairs.values():
        for name in held[methods[0]]:
            values = np.max([held[method][name] for method in methods], axis=0)
            scores = np.max([overlap.loc[overlap["method"] == m, name].to_numpy(dtype=float) for m in methods], axis=0)
            chance = values[1:].mean(axis=0)
            # sums in another order must not turn a tie into a difference
            p = np.where(np.isnan(chance), np.nan, (values >= values[0] - 1e-9).mean(axis=0))
            for column, numbers in (("chance", chance), ("above", scores - chance), ("chance_p", p)):
                for method in methods:
                    table.loc[table["method"] == method, f"{column}_{name}"] = numbers
    return table


def _choice(method: str) -> str:
    """Name what one chooses from: the two branches of a network, the two signs of a map.

    >>> [_choice(name) for name in ("fbn2", "untrained_fbn1", "volume_negated", "smoothed_8mm")]
    ['fbn', 'untrained_fbn', 'volume', 'smoothed_8mm']
    """
    return method[:-1] if method.endswith(BRANCHES) else method.removesuffix("_negated")

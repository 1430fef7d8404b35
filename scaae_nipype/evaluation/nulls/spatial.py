"""Does a map match a template better than chance? The same overlap with templates that lie elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ...errors import UsageError
from ...files import PathLike, write_json, write_table
from ...grid import Grid, load_grid
from ...maps import binarise, scale
from ...options import Evaluation
from ...progress import Progress, silent
from ..run_maps import read_run_maps, run_templates
from ..scores.overlap import iou
from ..scores.rules import RULES, rule_of
from ..scores.scoring import by_method, template_score_table
from ..templates.surrogates import give_values, read_surrogate_ranks
from ..templates.template_set import TemplateSet
from .significance import check_number_of_surrogates, share_as_large

__all__ = ["SCORES_TESTED", "MatchNull", "RunMatches", "check_matches", "match_null"]

MATCH_MEANING = (
    "p is the share of surrogate template sets (as smooth and as dense as the real ones, but elsewhere) whose best "
    "score with the map is as high. A small p says that the map lies where the template does, not that the network was "
    "active. "
    "p_best counts all volumes of the run: it is the one to read where the best volume was chosen."
)

SCORES_TESTED = tuple(rule.score for rule in RULES.values())
"""The scores by which states are assigned."""

SURROGATES_AT_ONCE = 50


@dataclass(frozen=True, eq=False)
class MatchNull:
    """What comparing maps with surrogate templates gave; NaN for a template without voxels."""

    score: np.ndarray
    """With the real templates, (n_maps, n_templates)."""
    p: np.ndarray
    """Share of the surrogate sets (the real set among them) whose best score with this map is as high, same shape."""
    p_best: np.ndarray
    """Share of the sets whose best score with *any* map is as high as the template's own, (n_templates,)."""
    cutoff: float
    """95th percentile of the best score of a map with a surrogate set: a map without any relation to the templates
    passes it once in 20."""


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
    binary = binarise(scale(maps)).astype(np.float32) if score == "iou" else None
    observed = np.full((len(maps), len(templates.names)), np.nan)
    best = np.full((len(ranks), len(maps)), -np.inf)
    for number in filled:
        own = templates.binary[number]
        marked = _highest(maps, int(own.sum())) if binary is None else binary
        observed[:, number] = iou(marked, own[None])[:, 0]
        for start in range(0, len(ranks), SURROGATES_AT_ONCE):
            part = slice(start, min(start + SURROGATES_AT_ONCE, len(ranks)))
            moved = np.stack([give_values(one[region], own) for one in ranks[part, number]])
            np.maximum(best[part], iou(marked, moved).T, out=best[part])
            if progress is not None:
                progress(part.stop - part.start)
    p = np.full(observed.shape, np.nan)
    ours = np.nanmax(observed, axis=1)
    for index, scores in enumerate(observed):
        p[index, filled] = share_as_large(scores[filled], np.append(best[:, index], ours[index]))
    p_best = np.full(len(templates.names), np.nan)
    p_best[filled] = share_as_large(observed[:, filled].max(axis=0), np.append(best.max(axis=1), ours.max()))
    return MatchNull(observed, p, p_best, float(np.quantile(best, 0.95)))


def _highest(maps: np.ndarray, n: int) -> np.ndarray:
    """Mark the n highest voxels of every map; voxels tied for the last places share them (as `rank_scores` does)."""
    maps = np.asarray(maps, dtype=np.float32)
    threshold = np.partition(maps, maps.shape[1] - n, axis=1)[:, maps.shape[1] - n, None]
    above, at = maps > threshold, maps == threshold
    share = (n - above.sum(axis=1, keepdims=True)) / at.sum(axis=1, keepdims=True)
    return above + at * share.astype(np.float32)


class RunMatches(NamedTuple):
    """Files with how well a run matches templates: see `check_matches`."""

    match_p: Path
    matches: Path
    metadata: Path


def check_matches(
    *,
    fbn_maps: Sequence[PathLike],
    in_file: PathLike,
    in_mask: PathLike,
    in_samples: PathLike,
    surrogates: PathLike,
    templates: PathLike = Evaluation.templates,
    template_labels: PathLike | None = None,
    template_kind: str = Evaluation.template_kind,
    grid_mask: PathLike | None = None,
    mode: str = Evaluation.mode,
    seed: int | None = None,
    progress: Progress = silent,
    out_dir: PathLike = ".",
) -> RunMatches:
    """Test whether maps match templates better than surrogate templates.

    Parameters
    ----------
    fbn_maps, in_file, in_mask, in_samples, templates, template_labels, template_kind, grid_mask
        As for `score_run`.
    surrogates : path
        From `make_surrogate_templates`, of the same templates and mask.
    mode : str
        Key of `RULES`: whose score is tested.
    seed : int, optional
        That the surrogates were made with, for the record.
    progress : Progress
        Counts surrogate templates, each scored with all maps of a method.
    out_dir : path

    Returns
    -------
    match_p : Path
        Table, a row per volume: ``kept``, then p per method and template (``fbn1_<template>`` …), corrected over
        templates.
    matches : Path
        Table, a row per method and template: best score over the run, its volume and p corrected over templates and
        volumes (``p_best``), share of volumes with p <= 0.05, the cut-off.
    metadata : Path
        JSON: per method the cut-off for states (95th percentile), number of surrogates, what p means.

    Raises
    ------
    InputError, UsageError
    """
    rule = rule_of(mode)
    run = read_run_maps(fbn_maps, in_file, in_mask, in_samples)
    local, _ = run_templates(
        run, templates, labels=template_labels, kind=template_kind, grid_mask=grid_mask, in_mask=in_mask
    )
    grid = load_grid(grid_mask)
    ranks = read_surrogate_ranks(surrogates, n_maps=len(local.names), grid=grid)
    methods = {**run.fbn, "volume": run.volume}
    total = len(methods) * len(ranks) * int(local.binary.any(axis=1).sum())
    found: dict[str, MatchNull] = {}
    with progress("Spatial null", total, "map") as advance:
        for method, maps in methods.items():
            found[method] = match_null(maps[run.kept], local, ranks, grid, score=rule.score, progress=advance)
    p = {method: null.p for method, null in found.items()}
    matches = {method: _matches(null, local, np.flatnonzero(run.kept)) for method, null in found.items()}
    out_dir = Path(out_dir).absolute()
    about = {
        "Test": "spatial null",
        "Score": rule.score,
        "NumberOfSurrogates": len(ranks),
        "Seed": seed,
        "CutOff": {method: null.cutoff for method, null in found.items()},
        "Meaning": MATCH_MEANING,
        "Templates": local.source,
        "TemplateLabels": list(local.names),
        "Warnings": list(local.warnings),
    }
    return RunMatches(
        write_table(template_score_table(p, local.names, run.kept), out_dir / "matchp.tsv"),
        write_table(by_method(matches).assign(n_surrogates=len(ranks)), out_dir / "matches.tsv"),
        write_json(about, out_dir / "matches.json"),
    )


def _matches(null: MatchNull, templates: TemplateSet, volumes: np.ndarray) -> pd.DataFrame:
    """Summarise the matches of one method: a row per template."""
    scores = pd.DataFrame(null.score, index=volumes)
    scored = scores.columns[scores.notna().any()]
    return pd.DataFrame(
        {
            "template": templates.names,
            "best_score": scores.max(),
            "best_volume": scores[scored].idxmax().reindex(scores.columns).astype("Int64"),
            "p_best": null.p_best,
            "share_matched": np.where(np.isnan(null.p_best), np.nan, (null.p <= 0.05).mean(axis=0)),
            "cutoff": null.cutoff,
        }
    )

"""Maps and templates in, tables of scores out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ...grid import Grid
from ...images import ImageLike
from ...maps import binarise
from ...options import Evaluation
from ..templates.loading import load_templates
from ..templates.template_set import TemplateSet
from .overlap import best_of_n, iou, pearson_r, rank_scores, threshold_curve

__all__ = [
    "CANDIDATES",
    "THRESHOLDS",
    "by_method",
    "every_score",
    "over_templates",
    "overlap_table",
    "score_maps",
    "spread_over_run",
    "template_score_table",
    "threshold_table",
]

THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.55, 0.6, 0.7, 0.8, 0.9)
"""Shares of a map's maximum at which the threshold curve is measured. Scores are taken at 0.3 alone, the paper's."""

CANDIDATES = 20
"""Draws whose expected maximum makes methods with different numbers of maps comparable."""


def score_maps(
    maps: np.ndarray | ImageLike,
    templates: TemplateSet | ImageLike = Evaluation.templates,
    *,
    signed: np.ndarray | ImageLike | None = None,
    region: np.ndarray | None = None,
) -> pd.DataFrame:
    """Score maps against templates.

    Parameters
    ----------
    maps : array, (n_maps, n_voxels), or 3D or 4D image
        What is thresholded at 0.3 of each map's own maximum: FBNs after equation 9, or other maps as they are.
    templates : TemplateSet, or what `load_templates` takes
    signed : array or image, optional
        What is ranked and correlated: the maps before equation 9; by default `maps`.
    region : bool array, (n_voxels,), optional
        Where maps and templates are compared, such as a run's evaluation region; by default the whole brain mask.

    Returns
    -------
    DataFrame
        A row per map and template: ``map`` (its number, from 0), ``template``, then the scores (`SCORES`), missing
        for a template without voxels.

    Raises
    ------
    InputError
        If the maps do not lie on the templates' grid.
    UsageError

    Examples
    --------
    >>> templates = load_templates("default")
    >>> scores = score_maps(templates.binary[[2]].astype("f4"), templates).set_index("template")
    >>> float(scores.loc["DefaultMode", "iou"])
    1.0
    """
    values, local = over_templates(maps, templates, region)
    ranked = values if signed is None else over_templates(signed, templates, region)[0]
    scores = every_score(values, local, signed=ranked)
    numbers, names = np.divmod(np.arange(len(values) * len(local.names)), len(local.names))
    table = pd.DataFrame({"map": numbers, "template": np.array(local.names, dtype=object)[names]})
    return table.assign(**{score: own.ravel() for score, own in scores.items()})


def over_templates(
    maps: np.ndarray | ImageLike, templates: TemplateSet | ImageLike, region: np.ndarray | None
) -> tuple[np.ndarray, TemplateSet]:
    """Bring maps and templates, as `score_maps` takes them, to the same voxels: (n_maps, n_voxels), and a set."""
    found = templates if isinstance(templates, TemplateSet) else load_templates(templates)
    values = found.grid.as_vectors(maps)
    if region is None:
        return values, found
    return values[:, region], found.inside(Grid(found.grid.affine, found.grid.volumes(region)))


def every_score(maps: np.ndarray, templates: TemplateSet, *, signed: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Score maps against templates in every way that the tables report.

    Parameters
    ----------
    maps : float array, (n_maps, n_voxels)
        What is thresholded at 0.3 of each map's own maximum inside the templates' region: maps after equation 9, or
        components as they are.
    templates : TemplateSet
    signed : float array, (n_maps, n_voxels), optional
        What is ranked and correlated. By default the square root of `maps`: after equation 9 it differs from the
        signed map by an offset and a factor only, so it has the same ranks and the same correlation.

    Returns
    -------
    dict from score to float array, (n_maps, n_templates)
        `SCORES`; NaN for a template without voxels.
    """
    precision, matched = rank_scores(maps if signed is None else signed, templates.binary)
    binary, empty = binarise(maps), ~templates.binary.any(axis=1)
    overlap = iou(binary, templates.binary)
    overlap[:, empty] = np.nan
    correlation = pearson_r(np.sqrt(maps) if signed is None else signed, templates.values)
    ranked = {"size_matched_iou": matched, "average_precision": precision}
    return {"iou": overlap, "dice": 2 * overlap / (1 + overlap), **ranked, "r": correlation}


def overlap_table(
    scores: Mapping[str, np.ndarray],
    maps: np.ndarray,
    templates: TemplateSet,
    *,
    method: str,
    volumes: np.ndarray | None,
    template_coverage: np.ndarray,
) -> pd.DataFrame:
    """Summarise one method's scores over a run: a row per template.

    Parameters
    ----------
    scores : mapping from score to float array, (n_maps, n_templates)
        As from `every_score`.
    maps : float array, (n_maps, n_voxels)
        The scored maps, for their density.
    templates : TemplateSet
    method : str
    volumes : int array, (n_maps,), or None
        0-based volume number of each map in the run; None if maps belong to no single volume.
    template_coverage : float array, (n_templates,)

    Returns
    -------
    DataFrame
        ``method``, ``template``, ``template_density`` and ``method_density`` (shares of the region),
        ``template_coverage``, ``n_volumes`` (maps that were scored); per score the best, the volume it comes from,
        the expected best of 20 maps and the mean over maps; at the end, per score, ``mean_best_template``: the mean
        over maps of the score with each map's own best template, which is the same in all rows of a method.
    """
    table = pd.DataFrame(
        {
            "method": method,
            "template": templates.names,
            "template_density": templates.density,
            "template_coverage": template_coverage,
            "method_density": float(binarise(maps).mean()),
            "n_volumes": len(maps),
        }
    )
    for score, values in scores.items():
        frame = pd.DataFrame(values, index=volumes)
        scored = frame.columns[frame.notna().any() & (volumes is not None)]
        table[f"best_{score}"] = frame.max()
        table[f"best_volume_{score}"] = frame[scored].idxmax().reindex(frame.columns).astype("Int64")
        table[f"best_of_{CANDIDATES}_{score}"] = best_of_n(values, CANDIDATES)
        table[f"mean_{score}"] = frame.mean()
    for score, values in scores.items():
        table[f"mean_best_template_{score}"] = pd.DataFrame(values).max(axis=1).mean()
    return table


def threshold_table(maps: np.ndarray, templates: TemplateSet, *, method: str) -> pd.DataFrame:
    """Show how IoU hangs on the threshold: a row per template and threshold, for one method.

    Parameters
    ----------
    maps : float array, (n_maps, n_voxels)
        After equation 9.
    templates : TemplateSet
    method : str

    Returns
    -------
    DataFrame
        ``method``, ``template``, ``threshold``, ``method_density`` at that threshold, ``best_iou``,
        ``best_of_20_iou`` and ``mean_iou``: NaN for a template without voxels.
    """
    curve, density = threshold_curve(maps, templates.binary, THRESHOLDS)
    curve[..., ~templates.binary.any(axis=1)] = np.nan
    scores = curve.transpose(1, 2, 0)  # maps, templates, thresholds
    n_templates = len(templates.names)
    return pd.DataFrame(
        {
            "method": method,
            "template": np.repeat(templates.names, len(THRESHOLDS)),
            "threshold": np.tile(THRESHOLDS, n_templates),
            "method_density": np.tile(density.mean(axis=1), n_templates),
            "best_iou": scores.max(axis=0).ravel(),
            f"best_of_{CANDIDATES}_iou": best_of_n(scores, CANDIDATES).ravel(),
            "mean_iou": scores.mean(axis=0).ravel(),
        }
    )


def by_method(table_of: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Put the tables of methods below each other; a first column ``method`` says whose a row is."""
    return pd.concat(table_of, names=["method"]).reset_index(level="method")


def spread_over_run(values: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Put rows of kept volumes at their places in the run: NaN where a volume was not kept.

    >>> spread_over_run(np.array([[1.0], [2.0]]), np.array([True, False, True])).ravel()
    array([ 1., nan,  2.])
    """
    spread = np.full((len(kept), *values.shape[1:]), np.nan)
    spread[kept] = values
    return spread


def template_score_table(score_of: Mapping[str, np.ndarray], names: Sequence[str], kept: np.ndarray) -> pd.DataFrame:
    """Lay out a score per volume: ``kept``, then a column per method and template; a row per volume of the run.

    Parameters
    ----------
    score_of : mapping from method to float array, (n_kept, n_templates)
    names : sequence of str
    kept : bool array, (n_volumes,)
    """
    columns: dict[str, np.ndarray] = {"kept": kept.astype(int)}
    for method, values in score_of.items():
        spread = spread_over_run(values, kept)
        columns |= {f"{method}_{name}": column for name, column in zip(names, spread.T, strict=True)}
    return pd.DataFrame(columns)

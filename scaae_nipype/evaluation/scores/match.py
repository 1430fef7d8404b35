"""Templates, gradual change and regions as a pipeline evaluates them: files in, files out."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ...files import PathLike, write_json, write_table
from ...maps import NO_NETWORK, THRESHOLD, binarise, scale
from ...options import Evaluation
from ..run_maps import read_run_maps, run_templates
from ..templates.template_set import TemplateSet
from .chance import about_chance, hold_against, templates_elsewhere, with_chance
from .gradual_change import CURVE_END, lag_curve
from .regions import region_means
from .rules import rule_of
from .scoring import by_method, every_score, overlap_table, spread_over_run, template_score_table, threshold_table

__all__ = ["RunRegions", "RunScores", "about_templates", "change_gradually", "score_run", "tabulate_regions"]


class RunScores(NamedTuple):
    """Files with the scores of a run: see `score_run`."""

    template_iou: Path
    overlap: Path
    metadata: Path
    template_scores: Path
    threshold_curve: Path


class RunRegions(NamedTuple):
    """Files with the regions of a run: see `tabulate_regions`."""

    regions: list[Path]
    metadata: Path


def score_run(
    *,
    fbn_maps: Sequence[PathLike],
    in_file: PathLike,
    in_mask: PathLike,
    in_samples: PathLike,
    templates: PathLike = Evaluation.templates,
    template_labels: PathLike | None = None,
    template_kind: str = Evaluation.template_kind,
    grid_mask: PathLike | None = None,
    mode: str = Evaluation.mode,
    surrogates: PathLike | None = None,
    n_chance_templates: int = Evaluation.n_chance_templates,
    seed: int = Evaluation.seed,
    num_threads: int = 1,
    out_dir: PathLike = ".",
) -> RunScores:
    """Score every volume of a run against every template, and the volumes themselves beside the networks' maps.

    Parameters
    ----------
    fbn_maps, in_file, in_mask, in_samples : paths
        As for `read_run_maps`.
    templates, template_labels, template_kind : as for `load_templates`
    grid_mask : path, optional
        The model's brain mask, which coverage is measured against; the shipped one by default.
    mode : str
        Key of `RULES`: which score decides on states.
    surrogates : path, optional
        From `make_surrogate_templates`, of the same templates, mask and seed; made here if not given.
    n_chance_templates : int
        Sets of them that say what scores are by chance, 19 or more; 0: no such columns.
    seed : int
        Of surrogates that are made here.
    num_threads : int
        Methods that are scored side by side.
    out_dir : path

    Returns
    -------
    template_iou : Path
        Table: a row per volume, ``kept``, then IoU per branch and template.
    overlap : Path
        Table: a row per method and template (`overlap_table`), methods ``fbn1``, ``fbn2``, ``volume`` and
        ``volume_negated``: the z-scored volume through the same equation 9 and threshold needs no network. Beside the
        scores stand what they are by chance and what they have above it (`with_chance`).
    metadata : Path
        JSON: where the templates come from, their names, the threshold and warnings.
    template_scores : Path
        Table as `template_iou`, of the score that decides on states, for the branches and the volume itself.
    threshold_curve : Path
        Table: IoU at other thresholds (`threshold_table`), of the same methods as `overlap`.

    Raises
    ------
    InputError, UsageError
    """
    deciding = rule_of(mode).score
    run = read_run_maps(fbn_maps, in_file, in_mask, in_samples, num_threads=num_threads)
    local, covered = run_templates(
        run, templates, labels=template_labels, kind=template_kind, grid_mask=grid_mask, in_mask=in_mask
    )
    moved = templates_elsewhere(
        local,
        templates,
        labels=template_labels,
        kind=template_kind,
        grid_mask=grid_mask,
        surrogates=surrogates,
        n_chance_templates=n_chance_templates,
        seed=seed,
    )
    about = {"volumes": np.flatnonzero(run.kept), "template_coverage": covered}
    methods = [*run.fbn, *NO_NETWORK]
    kept = slice(None) if run.kept.all() else run.kept  # a slice copies nothing

    def scored(method: str) -> tuple[dict[str, np.ndarray], pd.DataFrame, pd.DataFrame, dict[str, np.ndarray]]:
        if method in run.fbn:
            maps = run.fbn[method][kept]
        else:
            maps = scale(run.volume[kept] if method == "volume" else -run.volume[kept])
        own = every_score(maps, local)
        table = overlap_table(own, maps, local, method=method, **about)
        curve = threshold_table(maps, local, method=method)
        return own, table, curve, hold_against(maps, local, moved) if len(moved) else {}

    with ThreadPoolExecutor(num_threads) as pool:
        of_methods, tables, curves, held = zip(*pool.map(scored, methods), strict=True)
    overlap = with_chance(pd.concat(tables, ignore_index=True), dict(zip(methods, held, strict=True)))
    scores = dict(zip(methods, of_methods, strict=True))
    per_volume = {name: scores[name]["iou"] for name in run.fbn}
    of_states = {name: scores[name][deciding] for name in (*run.fbn, "volume")}
    out_dir = Path(out_dir).absolute()
    return RunScores(
        write_table(template_score_table(per_volume, local.names, run.kept), out_dir / "templateiou.tsv"),
        write_table(overlap, out_dir / "overlap.tsv"),
        write_json(
            about_templates(local) | {"Score": deciding} | about_chance(len(moved), seed), out_dir / "overlap.json"
        ),
        write_table(template_score_table(of_states, local.names, run.kept), out_dir / "templatescores.tsv"),
        write_table(pd.concat(curves, ignore_index=True), out_dir / "thresholdcurve.tsv"),
    )


def about_templates(templates: TemplateSet) -> dict[str, Any]:
    """Say where templates come from, what they are called and how they were made binary."""
    return {
        "Templates": templates.source,
        "TemplateLabels": list(templates.names),
        "TemplateKind": templates.kind,
        "TemplateKindReason": templates.reason,
        "TemplateVoxels": dict(zip(templates.names, templates.voxels.tolist(), strict=True)),
        **_in_image(templates, "Template"),
        "CorrelatedWith": "binary templates" if templates.continuous is None else "continuous templates",
        "Threshold": THRESHOLD,
        "Warnings": list(templates.warnings),
    }


def _in_image(templates: TemplateSet, what: str) -> dict[str, Any]:
    """Say how large templates are in their own image, and how much of that the model's brain mask holds."""
    if templates.image_voxels is None or templates.share_in_mask is None:
        return {}
    return {
        f"{what}VoxelsInImage": dict(zip(templates.names, templates.image_voxels.tolist(), strict=True)),
        f"{what}ShareInModelMask": dict(zip(templates.names, templates.share_in_mask.round(4).tolist(), strict=True)),
    }


def change_gradually(
    *,
    fbn_maps: Sequence[PathLike],
    in_file: PathLike,
    in_mask: PathLike,
    in_samples: PathLike,
    longest_lag: float = CURVE_END,
    out_dir: PathLike = ".",
) -> Path:
    """Write the lag curves of both branches and of the volume itself as one table.

    Parameters
    ----------
    fbn_maps, in_file, in_mask, in_samples
        As for `read_run_maps`.
    longest_lag : float
        In s.
    out_dir : path

    Returns
    -------
    Path
        Table: ``method``, then the columns of `lag_curve`.

    Raises
    ------
    InputError
    """
    run = read_run_maps(fbn_maps, in_file, in_mask, in_samples)
    curves = {
        method: lag_curve(binarise(maps), run.kept, repetition_time=run.repetition_time, longest_lag=longest_lag)
        for method, maps in {**run.fbn, "volume": scale(run.volume)}.items()
    }
    return write_table(by_method(curves), Path(out_dir).absolute() / "gradualchange.tsv")


def tabulate_regions(
    *,
    fbn_maps: Sequence[PathLike],
    in_file: PathLike,
    in_mask: PathLike,
    in_samples: PathLike,
    atlas: PathLike,
    atlas_labels: PathLike | None = None,
    atlas_kind: str = Evaluation.atlas_kind,
    grid_mask: PathLike | None = None,
    out_dir: PathLike = ".",
) -> RunRegions:
    """Write the mean FBN per region of an atlas as a table per branch.

    Parameters
    ----------
    fbn_maps, in_file, in_mask, in_samples, grid_mask
        As for `score_run`.
    atlas, atlas_labels, atlas_kind : as the templates of `load_templates`
    out_dir : path

    Returns
    -------
    regions : list of Path
        Per branch a row per volume: ``kept``, then a column per region; n/a where not kept or outside the region.
    metadata : Path
        JSON: the atlas, how much of each of its regions was measured, the sampling frequency in Hz and warnings.

    Raises
    ------
    InputError, UsageError
    """
    run = read_run_maps(fbn_maps, in_file, in_mask, in_samples)
    local, covered = run_templates(
        run, atlas, labels=atlas_labels, kind=atlas_kind, what="atlas", grid_mask=grid_mask, in_mask=in_mask
    )
    out_dir = Path(out_dir).absolute()
    tables = []
    for branch, maps in run.fbn.items():
        means = spread_over_run(region_means(maps[run.kept], local.binary), run.kept)
        table = pd.DataFrame(means, columns=local.names)
        table.insert(0, "kept", run.kept.astype(int))
        tables.append(write_table(table, out_dir / f"{branch}_regions.tsv"))
    about = {
        "Atlas": local.source,
        "AtlasKind": local.kind,
        "AtlasKindReason": local.reason,
        "RegionVoxels": dict(zip(local.names, local.voxels.tolist(), strict=True)),
        **_in_image(local, "Region"),
        "RegionCoverage": dict(zip(local.names, covered, strict=True)),
        "SamplingFrequency": 1 / run.repetition_time,
        "Warnings": list(local.warnings),
    }
    return RunRegions(tables, write_json(about, out_dir / "regions.json"))

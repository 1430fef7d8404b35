"""A run's maps against templates and against each other: files in, tables out."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd

from ..errors import InputError
from ..files import read_table, write_json, write_table
from ..grid import Grid, load_grid
from .gradual_change import lag_curve
from .overlap import THRESHOLD, best_of_n, binarise, iou, pearson_r, rank_scores, scale
from .templates import TemplateSet, coverage, load_templates

__all__ = [
    "CANDIDATES",
    "SCORES",
    "RunMaps",
    "gradual_change_run",
    "overlap_table",
    "read_run",
    "score_maps",
    "score_run",
    "template_iou_table",
]

SCORES = ("iou", "size_matched_iou", "average_precision", "r")
"""The scores of a map with a template, in the order of the tables."""

CANDIDATES = 20
"""Draws whose expected maximum makes methods with different numbers of maps comparable."""


@dataclass(frozen=True, eq=False)
class RunMaps:
    """What is evaluated of a run, over the voxels of its region.

    Attributes
    ----------
    region : Grid
        The evaluation region.
    kept : bool array, (n_volumes,)
    repetition_time : float
        In s.
    fbn : mapping from "fbn1", "fbn2" … to float32 array, (n_volumes, n_voxels)
        After equation 9.
    volume : float32 array, (n_volumes, n_voxels)
        The prepared run, z-scored.
    """

    region: Grid
    kept: np.ndarray
    repetition_time: float
    fbn: Mapping[str, np.ndarray]
    volume: np.ndarray


def read_run(
    fbn_maps: Sequence[str | os.PathLike],
    in_file: str | os.PathLike,
    in_mask: str | os.PathLike,
    in_samples: str | os.PathLike,
) -> RunMaps:
    """Read the files that preparation and extraction wrote for one run.

    Parameters
    ----------
    fbn_maps : paths
        4D image per branch, after equation 9.
    in_file : path
        The prepared run.
    in_mask : path
        The evaluation region.
    in_samples : path
        Table with a row per volume and a column ``kept``.

    Raises
    ------
    InputError
        If a file cannot be read, the numbers of volumes differ, no volume is kept or the repetition time is missing.
    """
    region = load_grid(in_mask)
    samples = read_table(in_samples)
    if "kept" not in samples:
        raise InputError(f"{in_samples}: has no column 'kept'.")
    kept = samples["kept"].to_numpy() == 1
    if not kept.any():
        raise InputError(f"{in_samples}: no volume of the run is kept; nothing can be evaluated.")
    volume = _read_volumes(in_file, region, len(kept), in_samples)
    fbn = {
        f"fbn{number}": _read_volumes(path, region, len(kept), in_samples)
        for number, path in enumerate(fbn_maps, start=1)
    }
    repetition_time = float(nib.load(in_file).header.get_zooms()[3])
    if not repetition_time > 0:
        raise InputError(f"{in_file}: its header holds no repetition time; prepare the run again.")
    return RunMaps(region, kept, repetition_time, fbn, volume)


def _read_volumes(path: str | os.PathLike, region: Grid, count: int, samples: str | os.PathLike) -> np.ndarray:
    volumes = region.read_vectors(path)
    if volumes.ndim != 2 or len(volumes) != count:
        found = len(volumes) if volumes.ndim == 2 else 1
        raise InputError(f"{path}: has {found} volumes but {samples} has {count} rows.")
    return volumes


def score_maps(maps: np.ndarray, templates: TemplateSet) -> dict[str, np.ndarray]:
    """Score maps against templates in every way that the tables report.

    Parameters
    ----------
    maps : float array, (n_maps, n_voxels)
        After equation 9 inside the templates' region. Their square root differs from the signed map by an offset and
        a factor only, so it has the signed map's correlation.
    templates : TemplateSet

    Returns
    -------
    dict from score to float array, (n_maps, n_templates)
        ``iou``, ``size_matched_iou``, ``average_precision``, ``r``; NaN for a template without voxels.
    """
    precision, matched = rank_scores(maps, templates.binary)
    overlap = iou(binarise(maps), templates.binary)
    overlap[:, ~templates.binary.any(axis=1)] = np.nan
    return {
        "iou": overlap,
        "size_matched_iou": matched,
        "average_precision": precision,
        "r": pearson_r(np.sqrt(maps), templates.values),
    }


def overlap_table(
    scores: Mapping[str, np.ndarray],
    maps: np.ndarray,
    templates: TemplateSet,
    *,
    method: str,
    volumes: np.ndarray,
    template_coverage: np.ndarray,
) -> pd.DataFrame:
    """Summarise one method's scores over a run: a row per template.

    Parameters
    ----------
    scores : mapping from score to float array, (n_maps, n_templates)
        As from `score_maps`.
    maps : float array, (n_maps, n_voxels)
        The scored maps, for their density.
    templates : TemplateSet
    method : str
    volumes : int array, (n_maps,)
        0-based volume number of each map in the run.
    template_coverage : float array, (n_templates,)

    Returns
    -------
    DataFrame
        ``method``, ``template``, ``template_density`` and ``method_density`` (shares of the region),
        ``template_coverage``, ``n_volumes``; per score the best, the volume it comes from, the expected best of 20
        volumes and the mean over volumes.
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
        scored = frame.columns[frame.notna().any()]
        best_volume = frame[scored].idxmax().reindex(frame.columns)
        table[f"best_{score}"] = frame.max()
        table[f"best_volume_{score}"] = best_volume.astype("Int64")
        table[f"best_of_{CANDIDATES}_{score}"] = best_of_n(values, CANDIDATES)
        table[f"mean_{score}"] = frame.mean()
    return table


def template_iou_table(iou_of: Mapping[str, np.ndarray], names: Sequence[str], kept: np.ndarray) -> pd.DataFrame:
    """Lay out IoU per volume: a row per volume of the run, a column per method and template.

    Parameters
    ----------
    iou_of : mapping from method to float array, (n_kept, n_templates)
    names : sequence of str
    kept : bool array, (n_volumes,)
    """
    columns: dict[str, np.ndarray] = {"kept": kept.astype(int)}
    for method, values in iou_of.items():
        spread = np.full((len(kept), len(names)), np.nan)
        spread[kept] = values
        columns.update({f"{method}_{name}": column for name, column in zip(names, spread.T, strict=True)})
    return pd.DataFrame(columns)


def score_run(
    *,
    fbn_maps: Sequence[str | os.PathLike],
    in_file: str | os.PathLike,
    in_mask: str | os.PathLike,
    in_samples: str | os.PathLike,
    templates: str | os.PathLike = "default",
    template_labels: str | os.PathLike | None = None,
    grid_mask: str | os.PathLike | None = None,
    out_dir: str | os.PathLike = ".",
) -> tuple[Path, Path, Path]:
    """Score every volume of a run against every template, and the volumes themselves beside the networks' maps.

    Parameters
    ----------
    fbn_maps, in_file, in_mask, in_samples : paths
        As for `read_run`.
    templates, template_labels : as for `load_templates`
    grid_mask : path, optional
        The model's brain mask, which coverage is measured against; the shipped one by default.
    out_dir : path

    Returns
    -------
    iou : Path
        Table: a row per volume, ``kept``, then IoU per branch and template.
    overlap : Path
        Table: a row per method and template (`overlap_table`), methods ``fbn1``, ``fbn2``, ``volume`` and
        ``volume_negated``: the z-scored volume through the same equation 9 and threshold needs no network.
    metadata : Path
        JSON: where the templates come from, their names, the threshold and warnings.

    Raises
    ------
    InputError, UsageError
    """
    run = read_run(fbn_maps, in_file, in_mask, in_samples)
    whole = load_templates(templates, grid=load_grid(grid_mask), labels=template_labels)
    try:
        local, covered = whole.inside(run.region), coverage(whole, run.region)
    except InputError as error:
        raise InputError(f"{in_mask}: {error}") from error
    methods = {name: maps[run.kept] for name, maps in run.fbn.items()}
    methods |= {"volume": scale(run.volume[run.kept]), "volume_negated": scale(-run.volume[run.kept])}
    scores = {name: score_maps(maps, local) for name, maps in methods.items()}
    volumes = np.flatnonzero(run.kept)
    overlap = pd.concat(
        [
            overlap_table(scores[name], maps, local, method=name, volumes=volumes, template_coverage=covered)
            for name, maps in methods.items()
        ],
        ignore_index=True,
    )
    per_volume = template_iou_table({name: scores[name]["iou"] for name in run.fbn}, local.names, run.kept)
    metadata = {
        "Templates": local.source,
        "TemplateLabels": list(local.names),
        "TemplateKind": local.kind,
        "CorrelatedWith": "binary templates" if local.continuous is None else "continuous templates",
        "Threshold": THRESHOLD,
        "Warnings": list(local.warnings),
    }
    out_dir = Path(out_dir).absolute()
    return (
        write_table(per_volume, out_dir / "templateiou.tsv"),
        write_table(overlap, out_dir / "overlap.tsv"),
        write_json(metadata, out_dir / "overlap.json"),
    )


def gradual_change_run(
    *,
    fbn_maps: Sequence[str | os.PathLike],
    in_file: str | os.PathLike,
    in_mask: str | os.PathLike,
    in_samples: str | os.PathLike,
    longest_lag: float = 20.0,
    out_dir: str | os.PathLike = ".",
) -> Path:
    """Write the lag curves of both branches and of the volume itself as one table.

    Parameters
    ----------
    fbn_maps, in_file, in_mask, in_samples : paths
        As for `read_run`.
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
    run = read_run(fbn_maps, in_file, in_mask, in_samples)
    curves = []
    for method, maps in {**run.fbn, "volume": scale(run.volume)}.items():
        curve = lag_curve(binarise(maps), run.kept, repetition_time=run.repetition_time, longest_lag=longest_lag)
        curve.insert(0, "method", method)
        curves.append(curve)
    return write_table(pd.concat(curves, ignore_index=True), Path(out_dir).absolute() / "gradualchange.tsv")

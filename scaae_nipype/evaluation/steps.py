"""The steps of the evaluation as a pipeline runs them: files in, files out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd

from ..errors import InputError, UsageError
from ..files import read_table, replacing, write_json, write_table
from . import states as dynamics
from .baselines import baselines
from .gradual_change import lag_curve
from .overlap import THRESHOLD, binarise, scale
from .regions import region_means
from .run import RunMaps, read_run, read_volumes, run_templates
from .scoring import overlap_table, score_maps, spread_over_run, template_iou_table
from .templates import TemplateSet

__all__ = ["assign_states", "change_gradually", "score_baselines", "score_run", "tabulate_regions"]

PathLike = str | os.PathLike


def score_run(
    *,
    fbn_maps: Sequence[PathLike],
    in_file: PathLike,
    in_mask: PathLike,
    in_samples: PathLike,
    templates: PathLike = "default",
    template_labels: PathLike | None = None,
    grid_mask: PathLike | None = None,
    out_dir: PathLike = ".",
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
    local, covered = run_templates(run, templates, labels=template_labels, grid_mask=grid_mask, in_mask=in_mask)
    methods = {name: maps[run.kept] for name, maps in run.fbn.items()}
    methods |= {"volume": scale(run.volume[run.kept]), "volume_negated": scale(-run.volume[run.kept])}
    scores = {name: score_maps(maps, local) for name, maps in methods.items()}
    volumes = np.flatnonzero(run.kept)
    overlap = [
        overlap_table(scores[name], maps, local, method=name, volumes=volumes, template_coverage=covered)
        for name, maps in methods.items()
    ]
    per_volume = template_iou_table({name: scores[name]["iou"] for name in run.fbn}, local.names, run.kept)
    out_dir = Path(out_dir).absolute()
    return (
        write_table(per_volume, out_dir / "templateiou.tsv"),
        write_table(pd.concat(overlap, ignore_index=True), out_dir / "overlap.tsv"),
        write_json(_about(local), out_dir / "overlap.json"),
    )


def _about(templates: TemplateSet) -> dict:
    return {
        "Templates": templates.source,
        "TemplateLabels": list(templates.names),
        "TemplateKind": templates.kind,
        "CorrelatedWith": "binary templates" if templates.continuous is None else "continuous templates",
        "Threshold": THRESHOLD,
        "Warnings": list(templates.warnings),
    }


def change_gradually(
    *,
    fbn_maps: Sequence[PathLike],
    in_file: PathLike,
    in_mask: PathLike,
    in_samples: PathLike,
    longest_lag: float = 20.0,
    out_dir: PathLike = ".",
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


def assign_states(
    *,
    fbn_maps: Sequence[PathLike],
    in_file: PathLike,
    in_mask: PathLike,
    in_samples: PathLike,
    signed_maps: Sequence[PathLike] | None = None,
    templates: PathLike = "default",
    template_labels: PathLike | None = None,
    grid_mask: PathLike | None = None,
    mode: str = "calibrated",
    out_dir: PathLike = ".",
) -> tuple[Path, Path, Path, list[Path], Path]:
    """Give every volume a state per branch, and for comparison by the volume itself.

    Parameters
    ----------
    fbn_maps, in_file, in_mask, in_samples : paths
        As for `read_run`.
    signed_maps : paths, optional
        The maps before equation 9, which are averaged per state. Without them the square root of the scaled maps is,
        which differs from them by an offset and a factor per volume.
    templates, template_labels, grid_mask
        As for `score_run`.
    mode : str
        Key of `states.RULES`: which score decides, and from where on.
    out_dir : path

    Returns
    -------
    states : Path
        Table, a row per volume: ``kept``, then per method ``_state`` (``unassigned`` below the cut), ``_best``,
        ``_score`` and ``_margin``.
    metrics : Path
        Table, a row per method and template: occupancy, dwell times, visits, split-half correlation of the state map.
    transitions : Path
        Table, a row per method and pair of templates: ``method``, ``from``, ``to``, ``count``, ``probability``.
    maps : list of Path
        Per branch a 4D image, one mean map per template, 0 for states never visited.
    metadata : Path
        JSON: the rule, entropies, states never visited and warnings.

    Raises
    ------
    InputError, UsageError
    """
    if mode not in dynamics.RULES:
        raise UsageError(f"Mode '{mode}' is unknown; choose from {', '.join(dynamics.RULES)}.")
    run = read_run(fbn_maps, in_file, in_mask, in_samples)
    local, _ = run_templates(run, templates, labels=template_labels, grid_mask=grid_mask, in_mask=in_mask)
    averaged = [np.sqrt(maps) for maps in run.fbn.values()]
    if signed_maps:
        averaged = [read_volumes(path, run.region, len(run.kept)) for path in signed_maps]
    methods = {**run.fbn, "volume": scale(run.volume)}
    found = {method: _assigned(maps, local, run.kept, dynamics.RULES[mode]) for method, maps in methods.items()}
    signed = dict(zip(methods, [*averaged, run.volume], strict=True))
    out_dir = Path(out_dir).absolute()
    return (
        write_table(_state_sequence(found, local.names, run.kept), out_dir / "states.tsv"),
        write_table(_state_metrics(found, signed, local.names, run.repetition_time), out_dir / "statemetrics.tsv"),
        write_table(_transitions(found, local.names), out_dir / "transitions.tsv"),
        [
            _write_maps(dynamics.state_maps(signed[branch], found[branch].states, len(local.names)), run, path)
            for branch, path in ((branch, out_dir / f"{branch}_statemaps.nii.gz") for branch in run.fbn)
        ],
        write_json(_about(local) | _about_states(found, local, mode), out_dir / "states.json"),
    )


def _assigned(maps: np.ndarray, templates: TemplateSet, kept: np.ndarray, rule: dynamics.Rule) -> dynamics.Assignment:
    scores = spread_over_run(score_maps(maps[kept], templates)[rule.score], kept)
    return dynamics.assign(scores, kept, rule.cutoff)


def _state_sequence(found: dict[str, dynamics.Assignment], names: Sequence[str], kept: np.ndarray) -> pd.DataFrame:
    labels = np.array([*names, "unassigned"], dtype=object)  # UNASSIGNED is the last
    table = pd.DataFrame({"kept": kept.astype(int)})
    for method, assignment in found.items():
        table[f"{method}_state"] = pd.Series(labels[assignment.states]).where(kept)
        table[f"{method}_best"] = pd.Series(labels[assignment.best]).where(kept)
        table[f"{method}_score"] = assignment.score
        table[f"{method}_margin"] = assignment.margin
    return table


def _state_metrics(
    found: dict[str, dynamics.Assignment],
    signed: dict[str, np.ndarray],
    names: Sequence[str],
    repetition_time: float,
) -> pd.DataFrame:
    tables = []
    for method, assignment in found.items():
        table = dynamics.state_table(assignment, names, repetition_time)
        table.insert(0, "method", method)
        table["split_half_r"] = dynamics.split_half_r(signed[method], assignment, len(names))
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _transitions(found: dict[str, dynamics.Assignment], names: Sequence[str]) -> pd.DataFrame:
    rows = []
    for method, assignment in found.items():
        counts = dynamics.transition_counts(assignment.states, assignment.kept, len(names))
        probabilities = dynamics.transition_probabilities(counts)
        rows += [(method, names[i], names[j], counts[i, j], probabilities[i, j]) for i, j in np.ndindex(counts.shape)]
    return pd.DataFrame(rows, columns=["method", "from", "to", "count", "probability"])


def _write_maps(maps: np.ndarray, run: RunMaps, path: Path) -> Path:
    with replacing(path) as temporary:
        nib.save(run.region.image(np.nan_to_num(maps)), temporary)
    return path


def _about_states(found: dict[str, dynamics.Assignment], templates: TemplateSet, mode: str) -> dict:
    rule, count = dynamics.RULES[mode], len(templates.names)
    methods, warnings = {}, list(templates.warnings)
    for method, assignment in found.items():
        states = assignment.states
        assigned = int((states != dynamics.UNASSIGNED).sum())
        counts = dynamics.transition_counts(states, assignment.kept, count)
        methods[method] = {
            "AssignedVolumes": assigned,
            "OccupancyEntropyBits": dynamics.occupancy_entropy(states, count),
            "EntropyRateBits": dynamics.entropy_rate(counts),
            "NeverVisited": [name for number, name in enumerate(templates.names) if number not in states],
        }
        if not assigned:
            warnings.append(f"No volume of {method} reaches {rule.score} {rule.cutoff} with any template: no states.")
    return {"Mode": mode, "Score": rule.score, "CutOff": rule.cutoff, "Methods": methods, "Warnings": warnings}


def score_baselines(
    *,
    in_file: PathLike,
    in_mask: PathLike,
    in_samples: PathLike,
    names: Sequence[str],
    codes: PathLike | None = None,
    templates: PathLike = "default",
    template_labels: PathLike | None = None,
    grid_mask: PathLike | None = None,
    n_components: int = 20,
    seed: int = 0,
    out_dir: PathLike = ".",
) -> tuple[Path, Path]:
    """Score what needs no network on the same prepared run, in the same way.

    Parameters
    ----------
    in_file, in_mask, in_samples : paths
        As for `read_run`.
    names : sequence of str
        Keys of `baselines.BASELINES`.
    codes : path, optional
        Table with the encoder's features, a row per volume of the run; ``encoder_lasso`` needs it.
    templates, template_labels, grid_mask
        As for `score_run`.
    n_components, seed : int
    out_dir : path

    Returns
    -------
    overlap : Path
        Table with the columns of `overlap_table`, so that it can be put below that of `score_run`.
    metadata : Path
        JSON: templates and warnings; a baseline that this run does not allow is named there.

    Raises
    ------
    InputError, UsageError
    """
    run = read_run([], in_file, in_mask, in_samples)
    local, covered = run_templates(run, templates, labels=template_labels, grid_mask=grid_mask, in_mask=in_mask)
    volumes = np.flatnonzero(run.kept)
    features = None if codes is None else _features(codes, run.kept)
    tables, about = [], _about(local)
    for name in names:
        try:
            for made in baselines(
                [name],
                run.volume[run.kept],
                run.region,
                repetition_time=run.repetition_time,
                numbers=volumes,
                features=features,
                n_components=n_components,
                seed=seed,
            ):
                tables.append(
                    overlap_table(
                        score_maps(made.display, local, signed=made.signed),
                        made.display,
                        local,
                        method=made.method,
                        volumes=volumes if made.per_volume else None,
                        template_coverage=covered,
                    )
                )
        except InputError as error:
            about["Warnings"].append(str(error))
    if not tables:
        raise InputError(f"{in_file}: allows none of the baselines. {' '.join(about['Warnings'])}")
    out_dir = Path(out_dir).absolute()
    return (
        write_table(pd.concat(tables, ignore_index=True), out_dir / "baselines.tsv"),
        write_json(about, out_dir / "baselines.json"),
    )


def _features(path: PathLike, kept: np.ndarray) -> np.ndarray:
    table = read_table(path)
    if len(table) != len(kept):
        raise InputError(f"{path}: has {len(table)} rows for {len(kept)} volumes.")
    features = table.drop(columns="kept", errors="ignore").to_numpy(dtype=float)[kept]
    if not np.isfinite(features).all():
        raise InputError(f"{path}: lacks the features of a kept volume.")
    return features


def tabulate_regions(
    *,
    fbn_maps: Sequence[PathLike],
    in_file: PathLike,
    in_mask: PathLike,
    in_samples: PathLike,
    atlas: PathLike,
    atlas_labels: PathLike | None = None,
    grid_mask: PathLike | None = None,
    out_dir: PathLike = ".",
) -> tuple[list[Path], Path]:
    """Write the mean FBN per region of an atlas as a table per branch.

    Parameters
    ----------
    fbn_maps, in_file, in_mask, in_samples, grid_mask
        As for `score_run`.
    atlas, atlas_labels : as the templates of `load_templates`
    out_dir : path

    Returns
    -------
    tables : list of Path
        Per branch a row per volume: ``kept``, then a column per region; n/a where not kept or outside the region.
    metadata : Path
        JSON: the atlas, how much of each of its regions was measured, the sampling frequency in Hz and warnings.

    Raises
    ------
    InputError, UsageError
    """
    run = read_run(fbn_maps, in_file, in_mask, in_samples)
    local, covered = run_templates(run, atlas, labels=atlas_labels, grid_mask=grid_mask, in_mask=in_mask)
    out_dir = Path(out_dir).absolute()
    tables = []
    for branch, maps in run.fbn.items():
        means = spread_over_run(region_means(maps[run.kept], local.binary), run.kept)
        table = pd.concat(
            [pd.DataFrame({"kept": run.kept.astype(int)}), pd.DataFrame(means, columns=local.names)], axis=1
        )
        tables.append(write_table(table, out_dir / f"{branch}_regions.tsv"))
    about = {
        "Atlas": local.source,
        "RegionCoverage": dict(zip(local.names, covered, strict=True)),
        "SamplingFrequency": 1 / run.repetition_time,
        "Warnings": list(local.warnings),
    }
    return tables, write_json(about, out_dir / "regions.json")

"""The null models as a pipeline runs them: files in, files out."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from ...errors import InputError, UsageError
from ...files import write_json, write_table
from ...grid import load_grid
from ...maps import are_constant
from ...words import duration
from ..run_maps import RunMaps, read_run, run_templates
from ..scores.scoring import spread_over_run
from ..states import RULES, Rule
from ..templates.template_set import TemplateSet, load_templates
from .run_statistics import FAMILIES, TESTED
from .significance import check_number_of_surrogates
from .spatial import MatchNull, match_null
from .surrogate_runs import check_kept
from .surrogate_templates import read_surrogate_ranks, write_surrogate_ranks
from .temporal import COLUMNS, MEANING, Network, TemporalNull, seconds_per_volume, temporal_null

__all__ = ["check_dynamics", "check_matches", "make_surrogate_templates"]

PathLike = str | os.PathLike

MATCH_MEANING = (
    "p is the share of surrogate template sets (as smooth and as dense as the real ones, but elsewhere) whose best "
    "score with the map is as high. A small p says that the map lies where the template does, not that the network was "
    "active. "
    "p_best counts all volumes of the run: it is the one to read where the best volume was chosen."
)

IN_SAMPLE = (
    "The model was fitted to this run: it knows the run but not its surrogates, so p may be too small. A model of "
    "other participants (by cross-fitting, or one that was trained elsewhere) removes this."
)


def make_surrogate_templates(
    *,
    templates: PathLike = "default",
    template_labels: PathLike | None = None,
    template_kind: str = "auto",
    grid_mask: PathLike | None = None,
    n_surrogates: int = 199,
    seed: int = 0,
    out_dir: PathLike = ".",
) -> Path:
    """Write surrogate templates on the model's whole grid; one file serves all runs with these templates.

    Parameters
    ----------
    templates, template_labels, template_kind : as for `load_templates`
    grid_mask : path, optional
        The model's brain mask; the shipped one by default.
    n_surrogates : int
        Sets of surrogate templates, 19 or more.
    seed : int
    out_dir : path

    Returns
    -------
    Path
        NPY: ranks of the voxels, (n_surrogates, n_templates, n_voxels).

    Raises
    ------
    InputError, UsageError
    """
    check_number_of_surrogates(n_surrogates)
    grid = load_grid(grid_mask)
    maps = _filled(load_templates(templates, grid=grid, labels=template_labels, kind=cast("Any", template_kind)))
    with tqdm(total=n_surrogates, desc="Surrogate templates", unit="set", mininterval=1.0, file=sys.stderr) as bar:
        return write_surrogate_ranks(
            maps,
            grid,
            Path(out_dir).absolute() / "surrogate_templates.npy",
            n_surrogates=n_surrogates,
            seed=seed,
            progress=bar.update,
        )


def _filled(templates: TemplateSet) -> np.ndarray:
    """Take the maps that surrogates are made of; a template without voxels cannot have any and is never scored."""
    maps = np.array(templates.values, dtype=np.float32)
    maps[are_constant(maps), 0] += 1  # has an order then, which nothing uses
    return maps


def check_matches(
    *,
    fbn_maps: Sequence[PathLike],
    in_file: PathLike,
    in_mask: PathLike,
    in_samples: PathLike,
    surrogates: PathLike,
    templates: PathLike = "default",
    template_labels: PathLike | None = None,
    template_kind: str = "auto",
    grid_mask: PathLike | None = None,
    mode: str = "calibrated",
    seed: int | None = None,
    out_dir: PathLike = ".",
) -> tuple[Path, Path, Path]:
    """Test whether maps match templates better than surrogate templates.

    Parameters
    ----------
    fbn_maps, in_file, in_mask, in_samples : paths
        As for `read_run`.
    surrogates : path
        From `make_surrogate_templates`, of the same templates and mask.
    templates, template_labels, template_kind, grid_mask
        As for `score_run`.
    mode : str
        Key of `states.RULES`: whose score is tested.
    seed : int, optional
        That the surrogates were made with, for the record.
    out_dir : path

    Returns
    -------
    per_volume : Path
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
    rule = _rule(mode)
    run = read_run(fbn_maps, in_file, in_mask, in_samples)
    local, _ = run_templates(
        run, templates, labels=template_labels, kind=template_kind, grid_mask=grid_mask, in_mask=in_mask
    )
    grid = load_grid(grid_mask)
    ranks = read_surrogate_ranks(surrogates, n_maps=len(local.names), grid=grid)
    methods = {**run.fbn, "volume": run.volume}
    total = len(methods) * len(ranks) * int(local.binary.any(axis=1).sum())
    found: dict[str, MatchNull] = {}
    with tqdm(total=total, desc="Spatial null", unit="map", mininterval=1.0, file=sys.stderr) as bar:
        for method, maps in methods.items():
            found[method] = match_null(maps[run.kept], local, ranks, grid, score=rule.score, progress=bar.update)
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
    return (
        write_table(_p_per_volume(found, run, local), out_dir / "matchp.tsv"),
        write_table(_matches(found, run, local), out_dir / "matches.tsv"),
        write_json(about, out_dir / "matches.json"),
    )


def _rule(mode: str) -> Rule:
    if mode not in RULES:
        raise UsageError(f"Mode '{mode}' is unknown; choose from {', '.join(RULES)}.")
    return RULES[mode]


def _p_per_volume(found: dict[str, MatchNull], run: RunMaps, templates: TemplateSet) -> pd.DataFrame:
    columns: dict[str, np.ndarray] = {"kept": run.kept.astype(int)}
    for method, null in found.items():
        p = spread_over_run(null.p, run.kept)
        columns |= {f"{method}_{name}": column for name, column in zip(templates.names, p.T, strict=True)}
    return pd.DataFrame(columns)


def _matches(found: dict[str, MatchNull], run: RunMaps, templates: TemplateSet) -> pd.DataFrame:
    tables = []
    for method, null in found.items():
        scores = pd.DataFrame(null.score, index=np.flatnonzero(run.kept))
        scored = scores.columns[scores.notna().any()]
        tables.append(
            pd.DataFrame(
                {
                    "method": method,
                    "template": templates.names,
                    "best_score": scores.max(),
                    "best_volume": scores[scored].idxmax().reindex(scores.columns).astype("Int64"),
                    "p_best": null.p_best,
                    "share_matched": np.where(np.isnan(null.p_best), np.nan, (null.p <= 0.05).mean(axis=0)),
                    "cutoff": null.cutoff,
                    "n_surrogates": null.n_surrogates,
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def check_dynamics(
    *,
    network: Network,
    in_file: PathLike,
    in_mask: PathLike,
    in_samples: PathLike,
    templates: PathLike = "default",
    template_labels: PathLike | None = None,
    template_kind: str = "auto",
    grid_mask: PathLike | None = None,
    mode: str = "calibrated",
    cutoff: float | None = None,
    longest_lag: float = 20.0,
    n_surrogates: int = 99,
    seed: int = 0,
    in_sample: bool | None = None,
    model: Mapping[str, Any] | None = None,
    report: Callable[[str], object] | None = None,
    out_dir: PathLike = ".",
) -> tuple[Path, Path]:
    """Test whether a run is more than a stationary mixture, by common-phase surrogates through the same network.

    Parameters
    ----------
    network : callable
        From volumes (n_kept, n_voxels) of the region to signed maps (n_branches, n_kept, n_voxels).
    in_file, in_mask, in_samples : paths
        As for `read_run`.
    templates, template_labels, template_kind, grid_mask
        As for `score_run`.
    mode : str
        Key of `states.RULES`.
    cutoff : float, optional
        Least score of a state, in place of the rule's.
    longest_lag : float
        In s.
    n_surrogates : int
        19 or more.
    seed : int
    in_sample : bool, optional
        Whether the network was fitted to this run; None if that is not known.
    model : mapping, optional
        What the network is, for the record (``ModelOfTest``).
    report : callable, optional
        Is told what it will cost before it starts; by default standard error is.
    out_dir : path

    Returns
    -------
    table : Path
        Columns of `TemporalNull.table`, and ``in_sample``; without rows where the run has too few volumes, or most of
        it was censored: a warning in the metadata says so.
    metadata : Path
        JSON: the run's p, seed, numbers, whether in-sample, what a rejection means.

    Raises
    ------
    InputError, UsageError
    """
    rule = _rule(mode)
    rule = rule if cutoff is None else Rule(rule.score, cutoff)
    check_number_of_surrogates(n_surrogates)
    run = read_run([], in_file, in_mask, in_samples)
    local, _ = run_templates(
        run, templates, labels=template_labels, kind=template_kind, grid_mask=grid_mask, in_mask=in_mask
    )
    null: TemporalNull | None = None
    cost: dict[str, float] = {}
    try:
        check_kept(run.kept)
    except InputError as reason:  # the rest of the run does not depend on it
        warnings = [f"The temporal null of this run was left out: {reason}"]
    else:
        null, cost = _against_surrogates(
            run,
            network,
            local,
            rule=rule,
            longest_lag=longest_lag,
            n_surrogates=n_surrogates,
            seed=seed,
            say=report or _say,
        )
        warnings = [IN_SAMPLE] if in_sample else []
    known = {True: "yes", False: "no", None: "unknown"}[in_sample]
    about = {
        "Test": "temporal null",
        "P": None if null is None else null.p,
        "TestedFamily": TESTED,
        "Families": FAMILIES,
        "Rejected": None if null is None else null.p <= 0.05,
        "NumberOfSurrogates": n_surrogates if null else 0,
        "NumberOfVolumes": int(run.kept.sum()),
        "NumberOfCensoredVolumesInterpolated": _n_interpolated(run.kept),
        "Seed": seed,
        "Score": rule.score,
        "CutOff": rule.cutoff,
        "InSample": known,
        **({} if model is None else {"ModelOfTest": dict(model)}),
        "Meaning": MEANING,
        **cost,
        "Warnings": [*local.warnings, *warnings],
    }
    table = pd.DataFrame(columns=list(COLUMNS)) if null is None else null.table
    out_dir = Path(out_dir).absolute()
    return (
        write_table(table.assign(in_sample=known), out_dir / "dynamicsnull.tsv"),
        write_json(about, out_dir / "dynamicsnull.json"),
    )


def _against_surrogates(
    run: RunMaps,
    network: Network,
    templates: TemplateSet,
    *,
    rule: Rule,
    longest_lag: float,
    n_surrogates: int,
    seed: int,
    say: Callable[[str], object],
) -> tuple[TemporalNull, dict[str, float]]:
    """Say what it will cost, and hold the run against its surrogates: the result, and what was said."""
    volumes = run.volume[run.kept]
    cost = seconds_per_volume(network, volumes)
    seconds = cost * len(volumes) * (1 + n_surrogates)
    say(
        f"Temporal null: {n_surrogates} surrogates of {len(volumes)} volumes at {cost:.3g} s per volume through the "
        f"network, about {duration(seconds)}."
    )
    with tqdm(total=n_surrogates, desc="Temporal null", unit="surrogate", file=sys.stderr) as bar:
        null = temporal_null(
            volumes,
            run.kept,
            network,
            templates,
            repetition_time=run.repetition_time,
            rule=rule,
            longest_lag=longest_lag,
            n_surrogates=n_surrogates,
            seed=seed,
            progress=bar.update,
        )
    return null, {"SecondsPerVolume": cost, "EstimatedSeconds": seconds}


def _n_interpolated(kept: np.ndarray) -> int:
    numbers = np.flatnonzero(kept)
    return int(numbers[-1] - numbers[0] + 1 - len(numbers))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)

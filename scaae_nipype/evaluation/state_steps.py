"""States as a pipeline finds them: files in, files out."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import InputError, refuse_unequal
from ..files import read_json, read_table, write_json, write_table
from ..images import write_image
from ..maps import scale
from . import states as dynamics
from .run_maps import RunMaps, read_run, read_volumes, run_templates
from .scores.match import about_templates
from .scores.scoring import score_maps, spread_over_run
from .templates.template_set import TemplateSet

__all__ = ["assign_states"]

PathLike = str | os.PathLike


def assign_states(
    *,
    fbn_maps: Sequence[PathLike],
    in_file: PathLike,
    in_mask: PathLike,
    in_samples: PathLike,
    signed_maps: Sequence[PathLike] | None = None,
    templates: PathLike = "default",
    template_labels: PathLike | None = None,
    template_kind: str = "auto",
    grid_mask: PathLike | None = None,
    mode: str = "calibrated",
    cutoff: float | None = None,
    cutoffs: PathLike | None = None,
    scores: PathLike | None = None,
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
    templates, template_labels, template_kind, grid_mask
        As for `score_run`.
    mode : str
        Key of `states.RULES`: which score decides, and from where on.
    cutoff : float, optional
        The least score of a state, instead of the rule's.
    cutoffs : path, optional
        JSON of `check_matches` of this run, whose ``CutOff`` is the least score per method; not with `cutoff`.
    scores : path, optional
        Table that `score_run` wrote of this run in the same mode, so that nothing is scored twice.
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
    rule = dynamics.rule_of(mode, cutoff)
    refuse_unequal("branch", fbn_maps=fbn_maps, signed_maps=signed_maps or None)
    scaled_maps_matter = scores is None or not signed_maps
    run = read_run(fbn_maps if scaled_maps_matter else [], in_file, in_mask, in_samples)
    local, _ = run_templates(
        run, templates, labels=template_labels, kind=template_kind, grid_mask=grid_mask, in_mask=in_mask
    )
    if signed_maps:
        averaged = [read_volumes(path, run.region, len(run.kept)) for path in signed_maps]
    else:
        averaged = [np.sqrt(maps) for maps in run.fbn.values()]
    branches = [f"fbn{number}" for number in range(1, len(fbn_maps) + 1)]
    methods = [*branches, "volume"]
    known = _computed(run, local, rule.score) if scores is None else _read_scores(scores, methods, local.names, run)
    least = dict.fromkeys(methods, rule.cutoff)
    if cutoffs is not None and cutoff is None:
        least = _read_cutoffs(cutoffs, methods, rule.score)
    found = {method: dynamics.assign(known[method], run.kept, least[method]) for method in methods}
    signed = dict(zip(methods, [*averaged, run.volume], strict=True))
    out_dir = Path(out_dir).absolute()
    return (
        write_table(_state_sequence(found, local.names, run.kept), out_dir / "states.tsv"),
        write_table(_state_metrics(found, signed, local.names, run.repetition_time), out_dir / "statemetrics.tsv"),
        write_table(_transitions(found, local.names), out_dir / "transitions.tsv"),
        [
            _write_maps(dynamics.state_maps(signed[branch], found[branch].states, len(local.names)), run, path)
            for branch, path in ((branch, out_dir / f"{branch}_statemaps.nii.gz") for branch in branches)
        ],
        write_json(about_templates(local) | _about_states(found, local, mode, rule, least), out_dir / "states.json"),
    )


def _computed(run: RunMaps, templates: TemplateSet, score: str) -> dict[str, np.ndarray]:
    maps = {**run.fbn, "volume": scale(run.volume)}
    return {name: spread_over_run(score_maps(own[run.kept], templates)[score], run.kept) for name, own in maps.items()}


def _read_scores(path: PathLike, methods: Sequence[str], names: Sequence[str], run: RunMaps) -> dict[str, np.ndarray]:
    table = read_table(path)
    columns = {method: [f"{method}_{name}" for name in names] for method in methods}
    missing = [column for method in methods for column in columns[method] if column not in table]
    if missing or len(table) != len(run.kept):
        lacks = f"lacks the column {missing[0]}" if missing else f"has {len(table)} rows for {len(run.kept)} volumes"
        raise InputError(f"{path}: {lacks}; score the run again with the same templates.")
    return {method: table[columns[method]].to_numpy(dtype=float) for method in methods}


def _read_cutoffs(path: PathLike, methods: Sequence[str], score: str) -> dict[str, float]:
    about = read_json(path)
    told = about.get("CutOff")
    if about.get("Score") != score or not isinstance(told, dict) or not all(told.get(m) is not None for m in methods):
        raise InputError(f"{path}: has no cut-offs of {score} for {', '.join(methods)}; test the matches in this mode.")
    return {method: float(told[method]) for method in methods}


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
    return write_image(run.region.image(np.nan_to_num(maps)), path)


def _about_states(
    found: Mapping[str, dynamics.Assignment],
    templates: TemplateSet,
    mode: str,
    rule: dynamics.Rule,
    least: Mapping[str, float],
) -> dict:
    count = len(templates.names)
    methods, warnings = {}, list(templates.warnings)
    for method, assignment in found.items():
        states = assignment.states
        assigned = int((states != dynamics.UNASSIGNED).sum())
        counts = dynamics.transition_counts(states, assignment.kept, count)
        methods[method] = {
            "CutOff": least[method],
            "AssignedVolumes": assigned,
            "OccupancyEntropyBits": dynamics.occupancy_entropy(states, count),
            "EntropyRateBits": dynamics.entropy_rate(counts),
            "NeverVisited": [name for number, name in enumerate(templates.names) if number not in states],
        }
        if not assigned:
            warnings.append(
                f"No states of {method}: its {rule.score_in_words} with every template stays below {least[method]:.3g}."
            )
    fixed = len({*least.values()}) == 1
    return {
        "Mode": mode,
        "Score": rule.score,
        "CutOff": next(iter(least.values())) if fixed else dict(least),
        "Methods": methods,
        "Warnings": warnings,
    }

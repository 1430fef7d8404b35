"""Which network shows at each volume, how long it stays and what follows it: of maps, and of a run's files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ..errors import InputError, refuse_unequal
from ..files import PathLike, read_json, read_table, write_json, write_table
from ..headers import header_repetition_time
from ..images import ImageLike, write_image
from ..maps import scale
from ..options import Evaluation
from .assignment import Assignment, assign, split_half_r, state_maps, state_table
from .run_maps import RunMaps, read_run_maps, read_volumes, run_templates
from .scores.match import about_templates
from .scores.noise_cutoff import BY_SURROGATES, CutOffs, cutoffs_of, noise_cutoff
from .scores.rules import Rule, rule_of
from .scores.scoring import by_method, every_score, over_templates, spread_over_run
from .spikes import Spikes, find_spikes, on_spikes
from .stationarity import LEAST_VOLUMES, about_noise, check_stationarity
from .templates.template_set import TemplateSet
from .transitions import UNASSIGNED, entropy_rate, occupancy_entropy, transition_counts, transition_probabilities

__all__ = ["RunStates", "StateTables", "assign_states", "assign_states_of_run"]


class StateTables(NamedTuple):
    """The states of a series of maps."""

    states: pd.DataFrame
    """A row per volume: ``state`` (``unassigned`` below the cut-off, missing where not kept), ``best`` (the most
    similar template, passed or not), its ``score``, and the ``margin`` to the second."""
    state_metrics: pd.DataFrame
    """A row per template: occupancy, visits, dwell times, split-half correlation of the state's mean map."""
    transitions: pd.DataFrame
    """A row per pair of templates: ``from``, ``to``, ``count``, ``probability``."""


class RunStates(NamedTuple):
    """Files with the states of a run: see `assign_states_of_run`."""

    states: Path
    state_metrics: Path
    transitions: Path
    state_maps: list[Path]
    metadata: Path


def assign_states(
    maps: np.ndarray | ImageLike,
    templates: TemplateSet | ImageLike = Evaluation.templates,
    *,
    mode: str = Evaluation.mode,
    state_cutoff: float | None = None,
    seed: int = Evaluation.seed,
    signed: np.ndarray | ImageLike | None = None,
    kept: np.ndarray | None = None,
    region: np.ndarray | None = None,
    repetition_time: float | None = None,
) -> StateTables:
    """Give every map of a series the template that it is most like, and say how long states last.

    Parameters
    ----------
    maps, templates, region
        As for `score_maps`; the maps are in the order of time.
    mode : str
        Key of `RULES`: which score decides, and from where on.
    state_cutoff : float, optional
        The least score of a state. By default in calibrated mode what at most 5 % of noise volumes as smooth as the
        maps reach (`noise_cutoff`), in paper mode 0.3.
    seed : int
        Of that noise.
    signed : array or image, optional
        Maps that are averaged per state; by default `maps`.
    kept : bool array, (n_volumes,), optional
        Volumes that count; by default those that are not 0 everywhere.
    repetition_time : float, optional
        In s; by default the image's. Dwell times of an array without it are missing.

    Raises
    ------
    InputError, UsageError

    Examples
    --------
    >>> from scaae_nipype.evaluation import load_templates
    >>> templates = load_templates("default")
    >>> shown = templates.binary[[2, 2, 0]].astype("f4")
    >>> assign_states(shown, templates, repetition_time=2.0).states["state"].tolist()
    ['DefaultMode', 'DefaultMode', 'Auditory']
    """
    rule = rule_of(mode, state_cutoff)
    if repetition_time is None:
        repetition_time = np.nan if isinstance(maps, np.ndarray) else header_repetition_time(maps) or np.nan
    values, local = over_templates(maps, templates, region)
    averaged = values if signed is None else over_templates(signed, templates, region)[0]
    used = np.asarray(values.any(axis=1) if kept is None else kept, dtype=bool)
    scores = every_score(values[used], local, signed=values[used])[rule.score]
    least = noise_cutoff(values[used], local, score=rule.score, seed=seed).cutoff if rule.by_noise else rule.cutoff
    found = assign(spread_over_run(scores, used), used, least)
    return StateTables(
        _sequence(found, local.names),
        _metrics(found, averaged, local.names, repetition_time),
        _transitions(found, local.names),
    )


def assign_states_of_run(
    *,
    fbn_maps: Sequence[PathLike],
    in_file: PathLike,
    in_mask: PathLike,
    in_samples: PathLike,
    signed_maps: Sequence[PathLike] | None = None,
    templates: PathLike = Evaluation.templates,
    template_labels: PathLike | None = None,
    template_kind: str = Evaluation.template_kind,
    grid_mask: PathLike | None = None,
    mode: str = Evaluation.mode,
    state_cutoff: float | None = None,
    state_cutoffs: PathLike | None = None,
    seed: int = Evaluation.seed,
    scores: PathLike | None = None,
    out_dir: PathLike = ".",
) -> RunStates:
    """Give every volume a state per branch, and for comparison by the volume itself: files in, files out.

    Parameters
    ----------
    fbn_maps, in_file, in_mask, in_samples, templates, template_labels, template_kind, grid_mask
        As for `score_run`.
    signed_maps : paths, optional
        The maps before equation 9, which are averaged per state. Without them the square root of the scaled maps is,
        which differs from them by an offset and a factor per volume.
    mode, state_cutoff, seed
        As for `assign_states`; the cut-off by noise is found for the maps of every method.
    state_cutoffs : path, optional
        JSON of `check_matches` of this run, whose ``CutOff`` is the least score per method; not with `state_cutoff`.
    scores : path, optional
        Table that `score_run` wrote of this run in the same mode, so that nothing is scored twice.
    out_dir : path

    Returns
    -------
    states : Path
        Table, a row per volume: ``kept``, ``spike`` (whether it looks like one: `find_spikes`), then per method the
        columns of `StateTables.states` (``fbn1_state`` …).
    state_metrics : Path
        Table, a row per ``method`` and template; ``n_spikes`` are those of its volumes that look like spikes.
    transitions : Path
        Table, a row per ``method`` and pair of templates.
    state_maps : list of Path
        Per branch a 4D image, one mean map per template, 0 for states never visited.
    metadata : Path
        JSON: the rule, where cut-offs come from, entropies, states never visited, spikes with the states that sit on
        them, whether the noise of the run kept its level, and warnings.

    Raises
    ------
    InputError, UsageError
    """
    rule = rule_of(mode, state_cutoff)
    refuse_unequal("branch", fbn_maps=fbn_maps, signed_maps=signed_maps or None)
    scaled_maps_matter = scores is None or not signed_maps
    run = read_run_maps(fbn_maps if scaled_maps_matter else [], in_file, in_mask, in_samples)
    local, _ = run_templates(
        run, templates, labels=template_labels, kind=template_kind, grid_mask=grid_mask, in_mask=in_mask
    )
    if signed_maps:
        unscaled = [read_volumes(path, run.region, len(run.kept)) for path in signed_maps]
    else:
        unscaled = [np.sqrt(maps) for maps in run.fbn.values()]
    branches = [f"fbn{number}" for number in range(1, len(fbn_maps) + 1)]
    methods = [*branches, "volume"]
    known = _computed(run, local, rule.score) if scores is None else _read_scores(scores, methods, local.names, run)
    signed = dict(zip(methods, [*unscaled, run.volume], strict=True))
    if state_cutoffs is not None and state_cutoff is None:
        cut = CutOffs(_read_cutoffs(state_cutoffs, methods, rule.score), {"CutOffSource": BY_SURROGATES})
    else:
        kept_maps = {method: maps[run.kept] for method, maps in signed.items()}
        cut = cutoffs_of(kept_maps, local, rule, given=state_cutoff is not None, seed=seed)
    found = {method: assign(known[method], run.kept, cut.least[method]) for method in methods}
    volumes = run.volume[run.kept]
    spikes = find_spikes(volumes, run.kept)
    more = dict(cut.about)
    if len(volumes) >= LEAST_VOLUMES:  # whatever is tested over time may find that instead
        noise = check_stationarity(volumes, run.kept, run.region, run.framewise_displacement)
        more["Stationarity"] = about_noise(noise)
    kept = pd.DataFrame({"kept": run.kept.astype(int), "spike": np.isin(np.arange(len(run.kept)), spikes.volumes)})
    kept["spike"] = kept["spike"].astype(int).where(run.kept).astype("Int64")
    sequences = [_sequence(own, local.names).add_prefix(f"{method}_") for method, own in found.items()]
    metrics = {
        name: _metrics(own, signed[name], local.names, run.repetition_time).assign(
            n_spikes=np.bincount(own.states[spikes.volumes] + 1, minlength=len(local.names) + 1)[1:]
        )
        for name, own in found.items()
    }
    transitions = {method: _transitions(own, local.names) for method, own in found.items()}
    averaged = {name: state_maps(signed[name], found[name].states, len(local.names)) for name in branches}
    out_dir = Path(out_dir).absolute()
    return RunStates(
        write_table(pd.concat([kept, *sequences], axis=1), out_dir / "states.tsv"),
        write_table(by_method(metrics), out_dir / "statemetrics.tsv"),
        write_table(by_method(transitions), out_dir / "transitions.tsv"),
        [
            write_image(run.region.image(np.nan_to_num(maps)), out_dir / f"{branch}_statemaps.nii.gz")
            for branch, maps in averaged.items()
        ],
        write_json(
            about_templates(local) | _about_states(found, local, mode, rule, cut.least, spikes) | more,
            out_dir / "states.json",
        ),
    )


def _computed(run: RunMaps, templates: TemplateSet, score: str) -> dict[str, np.ndarray]:
    maps = {**run.fbn, "volume": scale(run.volume)}
    return {name: spread_over_run(every_score(own[run.kept], templates)[score], run.kept) for name, own in maps.items()}


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


def _sequence(found: Assignment, names: Sequence[str]) -> pd.DataFrame:
    labels = np.array([*names, "unassigned"], dtype=object)  # UNASSIGNED is the last
    return pd.DataFrame(
        {
            "state": pd.Series(labels[found.states]).where(found.kept),
            "best": pd.Series(labels[found.best]).where(found.kept),
            "score": found.score,
            "margin": found.margin,
        }
    )


def _metrics(found: Assignment, signed: np.ndarray, names: Sequence[str], repetition_time: float) -> pd.DataFrame:
    table = state_table(found, names, repetition_time)
    return table.assign(split_half_r=split_half_r(signed, found, len(names)))


def _transitions(found: Assignment, names: Sequence[str]) -> pd.DataFrame:
    counts = transition_counts(found.states, found.kept, len(names))
    probabilities = transition_probabilities(counts)
    rows = [(names[i], names[j], counts[i, j], probabilities[i, j]) for i, j in np.ndindex(counts.shape)]
    return pd.DataFrame(rows, columns=["from", "to", "count", "probability"])


def _about_states(
    found: Mapping[str, Assignment],
    templates: TemplateSet,
    mode: str,
    rule: Rule,
    least: Mapping[str, float],
    spikes: Spikes,
) -> dict[str, Any]:
    count = len(templates.names)
    methods, warnings = {}, list(templates.warnings)
    for method, assignment in found.items():
        states = assignment.states
        assigned = int((states != UNASSIGNED).sum())
        counts = transition_counts(states, assignment.kept, count)
        methods[method] = {
            "CutOff": least[method],
            "AssignedVolumes": assigned,
            "OccupancyEntropyBits": occupancy_entropy(states, count),
            "EntropyRateBits": entropy_rate(counts),
            "NeverVisited": [name for number, name in enumerate(templates.names) if number not in states],
            "StatesOnSpikes": on_spikes(spikes, states, templates.names),
        }
        if not assigned:
            warnings.append(
                f"No states of {method}: its {rule.score_in_words} with every template stays below {least[method]:.3g}."
            )
    different = {*least.values()}
    return {
        "Mode": mode,
        "Score": rule.score,
        "CutOff": different.pop() if len(different) == 1 else dict(least),
        "Spikes": spikes.volumes.tolist(),
        "Methods": methods,
        "Warnings": warnings,
    }

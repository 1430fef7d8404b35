"""Is there more in a run than a stationary mixture? The same statistics of the run and of its surrogates."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ...errors import InputError, UsageError
from ...files import PathLike, write_json, write_table
from ...options import USUAL_SURROGATES, Evaluation
from ...progress import Progress, silent
from ...words import duration
from ..run_maps import read_run_maps, run_templates
from ..scores.gradual_change import CURVE_END
from ..scores.rules import RULES, Rule, rule_of
from ..stationarity import about_noise, check_stationarity
from ..templates.template_set import TemplateSet
from .run_statistics import FAMILIES, TESTED, run_statistics
from .significance import check_number_of_surrogates, deviations, group_p, maximum_p, own_p
from .surrogate_runs import PhaseSurrogates, check_kept

__all__ = [
    "COLUMNS",
    "MEANING",
    "Network",
    "RunDynamics",
    "TemporalNull",
    "check_dynamics",
    "seconds_per_volume",
    "temporal_null",
]

Network = Callable[[np.ndarray], np.ndarray]
"""From kept volumes (n_kept, n_voxels) to signed maps (n_branches, n_kept, n_voxels), over the voxels of the region."""

MEANING = (
    "A rejection means that the run is not stationary, linear and Gaussian, no more: surrogates keep the mean, the "
    "covariance and all spectra of the run and lose the rest. It does not say that the brain has states, nor which. "
    "The lag curve is expected to lie near z = 0, because surrogates keep the spectrum and gradual change is mostly "
    "that; above it in a run that changes slowly (z = 1.7 for noise of a first-order correlation of 0.9)."
)

COLUMNS = (
    *("method", "family", "statistic", "observed", "surrogate_mean", "surrogate_sd"),
    *("z", "p", "p_family", "p_corrected"),
)
"""Of `TemporalNull.table`."""

IN_SAMPLE = (
    "The model was fitted to this run: it knows the run but not its surrogates, so p may be too small. A model of "
    "other participants (by cross-fitting, or one that was trained elsewhere) removes this."
)

NOISE_CHANGED = (
    "The noise of this run changes while it is measured (variance, smoothness or motion; p = {p:.3g}): surrogates do "
    "not, so the temporal null may reject the run for that, and not for dynamics."
)

LARGEST_P = 0.05
"""At which the noise of a run is said to change."""

N_PROBED = 4


@dataclass(frozen=True, eq=False)
class TemporalNull:
    """What comparing a run with its surrogates gave."""

    table: pd.DataFrame
    """A row per branch and statistic: ``method``, ``family``, ``statistic``, ``observed``, ``surrogate_mean``,
    ``surrogate_sd``, ``z`` (against the surrogates), ``p`` (two-sided, of this statistic alone), ``p_family`` (tested
    family: one-sided, the mean deviation of the branch's statistics against the larger of both branches; others:
    two-sided, against the largest deviation of the family, over branches) and ``p_corrected`` (the larger of
    ``p_family`` and the run's p: other families are looked into only where the tested one finds something)."""
    p: float
    """Of the run: the smallest ``p_corrected``, that of the tested family."""


def seconds_per_volume(network: Network, volumes: np.ndarray) -> float:
    """Measure what the network takes for a volume, on a few of them, after one to warm up."""
    network(volumes[:1])
    probed = volumes[:N_PROBED]
    start = time.perf_counter()
    network(probed)
    return (time.perf_counter() - start) / len(probed)


def temporal_null(
    volumes: np.ndarray,
    kept: np.ndarray,
    network: Network,
    templates: TemplateSet,
    *,
    repetition_time: float,
    rule: Rule = RULES["calibrated"],
    longest_lag: float = CURVE_END,
    n_surrogates: int = USUAL_SURROGATES,
    seed: int = Evaluation.seed,
    progress: Callable[[int], object] | None = None,
) -> TemporalNull:
    """Hold a run against common-phase surrogates that go through the same network.

    Parameters
    ----------
    volumes : float array, (n_kept, n_voxels)
        The kept volumes of a prepared run, z-scored.
    kept : bool array, (n_volumes,)
    network : callable
        See `Network`. It must not have been fitted to this run: the network would know the run but not its surrogates.
    templates : TemplateSet
        Inside the region.
    repetition_time, longest_lag : float
        In s.
    rule : Rule
        How states are assigned.
    n_surrogates : int
        19 or more.
    seed : int
    progress : callable, optional
        Called with 1 after every surrogate.

    Raises
    ------
    UsageError
        If there are too few surrogates for p <= 0.05, or no template has a voxel.
    InputError
        If too few volumes are kept.
    """
    check_number_of_surrogates(n_surrogates)
    if not templates.binary.any():
        raise UsageError("No template has a voxel inside the run's region; nothing can be measured.")
    surrogates = PhaseSurrogates(volumes, kept)

    def measure(series: np.ndarray) -> dict[tuple[str, str, str], float]:
        return {
            (f"fbn{branch}", *key): value
            for branch, maps in enumerate(network(series), start=1)
            for key, value in run_statistics(
                maps, kept, templates, rule=rule, repetition_time=repetition_time, longest_lag=longest_lag
            ).items()
        }

    observed = measure(volumes)
    values = np.empty((1 + n_surrogates, len(observed)))
    values[0] = list(observed.values())
    for number in range(n_surrogates):
        drawn = measure(surrogates.draw(np.random.default_rng((seed, number))))
        values[1 + number] = [drawn[key] for key in observed]
        if progress is not None:
            progress(1)
    table = pd.DataFrame(list(observed), columns=["method", "family", "statistic"])
    table = pd.concat([table, _compared(values, table)], axis=1)
    p = float(table.loc[table["family"] == TESTED, "p_family"].min())
    table["p_corrected"] = np.maximum(table["p_family"], p)
    return TemporalNull(table, p)


def _compared(values: np.ndarray, about: pd.DataFrame) -> pd.DataFrame:
    """Compare the first row with the others: a row per statistic, whose method and family `about` says."""
    observed, drawn = values[0], pd.DataFrame(values[1:])
    mean, deviation = drawn.mean().to_numpy(), drawn.std().to_numpy()
    z = np.divide(observed - mean, deviation, out=np.full(len(mean), np.nan), where=deviation > 0)
    deviated = deviations(values)
    p_family = np.full(len(observed), np.nan)
    for family in about["family"].unique():
        own = (about["family"] == family).to_numpy()
        if family == TESTED:
            p_family[own] = group_p(deviated[:, own], about.loc[own, "method"].to_numpy())
        else:
            p_family[own] = maximum_p(deviated[:, own])
    missing = np.isnan(observed)
    return pd.DataFrame(
        {
            "observed": observed,
            "surrogate_mean": mean,
            "surrogate_sd": deviation,
            "z": z,
            "p": np.where(missing, np.nan, own_p(deviated)),
            "p_family": np.where(missing, np.nan, p_family),
        }
    )


class RunDynamics(NamedTuple):
    """Files with what tells a run from a stationary mixture: see `check_dynamics`."""

    dynamics_null: Path
    metadata: Path


def check_dynamics(
    *,
    network: Network,
    in_file: PathLike,
    in_mask: PathLike,
    in_samples: PathLike,
    templates: PathLike = Evaluation.templates,
    template_labels: PathLike | None = None,
    template_kind: str = Evaluation.template_kind,
    grid_mask: PathLike | None = None,
    mode: str = Evaluation.mode,
    state_cutoff: float | None = None,
    longest_lag: float = CURVE_END,
    n_surrogates: int = USUAL_SURROGATES,
    seed: int = Evaluation.seed,
    in_sample: bool | None = None,
    model: Mapping[str, Any] | None = None,
    report: Callable[[str], object] | None = None,
    progress: Progress = silent,
    out_dir: PathLike = ".",
) -> RunDynamics:
    """Test whether a run is more than a stationary mixture, by common-phase surrogates through the same network.

    Parameters
    ----------
    network : callable
        From volumes (n_kept, n_voxels) of the region to signed maps (n_branches, n_kept, n_voxels).
    in_file, in_mask, in_samples, templates, template_labels, template_kind, grid_mask, mode
        As for `score_run`.
    state_cutoff : float, optional
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
        Is told what it will cost before it starts.
    progress : Progress
        Counts surrogates.
    out_dir : path

    Returns
    -------
    dynamics_null : Path
        Columns of `TemporalNull.table`, and ``in_sample``; without rows where the run has too few volumes, or most of
        it was censored: a warning in the metadata says so.
    metadata : Path
        JSON: the run's p, seed, numbers, whether in-sample, what a rejection means; whether variance, smoothness and
        motion keep their level (`check_stationarity`), because a run whose noise changes may be rejected for that.

    Raises
    ------
    InputError, UsageError
    """
    rule = rule_of(mode, state_cutoff)
    check_number_of_surrogates(n_surrogates)
    run = read_run_maps([], in_file, in_mask, in_samples)
    local, _ = run_templates(
        run, templates, labels=template_labels, kind=template_kind, grid_mask=grid_mask, in_mask=in_mask
    )
    null: TemporalNull | None = None
    more: dict[str, Any] = {}
    try:
        check_kept(run.kept)
    except InputError as reason:  # the rest of the run does not depend on it
        warnings = [f"The temporal null of this run was left out: {reason}"]
    else:
        warnings = [IN_SAMPLE] if in_sample else []
        volumes = run.volume[run.kept]
        per_volume = seconds_per_volume(network, volumes)
        noise = check_stationarity(volumes, run.kept, run.region, run.framewise_displacement)
        warnings += [NOISE_CHANGED.format(p=noise.p)] if noise.p <= LARGEST_P else []
        more = {"SecondsPerVolume": per_volume, "EstimatedSeconds": per_volume * len(volumes) * (1 + n_surrogates)}
        more["Stationarity"] = about_noise(noise)
        if report is not None:
            report(
                f"Temporal null: {n_surrogates} surrogates of {len(volumes)} volumes at {per_volume:.3g} s per volume "
                f"through the network, about {duration(more['EstimatedSeconds'])}."
            )
        with progress("Temporal null", n_surrogates, "surrogate") as advance:
            null = temporal_null(
                volumes,
                run.kept,
                network,
                local,
                repetition_time=run.repetition_time,
                rule=rule,
                longest_lag=longest_lag,
                n_surrogates=n_surrogates,
                seed=seed,
                progress=advance,
            )
    known = {True: "yes", False: "no", None: "unknown"}[in_sample]
    numbers = np.flatnonzero(run.kept)
    about = {
        "Test": "temporal null",
        "P": None if null is None else null.p,
        "TestedFamily": TESTED,
        "Families": FAMILIES,
        "Rejected": None if null is None else null.p <= 0.05,
        "NumberOfSurrogates": n_surrogates if null else 0,
        "NumberOfVolumes": len(numbers),
        "NumberOfCensoredVolumesInterpolated": int(numbers[-1] - numbers[0] + 1 - len(numbers)),
        "Seed": seed,
        "Score": rule.score,
        "CutOff": rule.cutoff,
        "InSample": known,
        **({} if model is None else {"ModelOfTest": dict(model)}),
        "Meaning": MEANING,
        **more,
        "Warnings": [*local.warnings, *warnings],
    }
    table = pd.DataFrame(columns=list(COLUMNS)) if null is None else null.table
    out_dir = Path(out_dir).absolute()
    return RunDynamics(
        write_table(table.assign(in_sample=known), out_dir / "dynamicsnull.tsv"),
        write_json(about, out_dir / "dynamicsnull.json"),
    )

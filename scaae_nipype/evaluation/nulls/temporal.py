"""Is there more in a run than a stationary mixture? The same statistics of the run and of its surrogates."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...errors import UsageError
from ..states import RULES, Rule
from ..templates.template_set import TemplateSet
from .run_statistics import FAMILIES, TESTED, run_statistics
from .significance import check_number_of_surrogates, deviations, group_p, maximum_p, own_p
from .surrogate_runs import PhaseSurrogates

__all__ = ["COLUMNS", "MEANING", "Network", "TemporalNull", "seconds_per_volume", "temporal_null"]

Network = Callable[[np.ndarray], np.ndarray]
"""From kept volumes (n_kept, n_voxels) to signed maps (n_branches, n_kept, n_voxels), over the voxels of the region."""

MEANING = (
    "A rejection means that the run is not stationary, linear and Gaussian, no more: surrogates keep the mean, the "
    "covariance and all spectra of the run and lose the rest. It does not say that the brain has states, nor which. "
    "The lag curve is expected to lie near z = 0, because surrogates keep the spectrum and gradual change is mostly "
    "that."
)

COLUMNS = (
    *("method", "family", "statistic", "observed", "surrogate_mean", "surrogate_sd"),
    *("z", "p", "p_family", "p_corrected"),
)
"""Of `TemporalNull.table`."""

N_PROBED = 4


@dataclass(frozen=True, eq=False)
class TemporalNull:
    """What comparing a run with its surrogates gave.

    Attributes
    ----------
    table : DataFrame
        A row per branch and statistic: ``method``, ``family``, ``statistic``, ``observed``, ``surrogate_mean``,
        ``surrogate_sd``, ``z`` (against the surrogates), ``p`` (two-sided, of this statistic alone), ``p_family``
        (tested family: one-sided, the mean deviation of the branch's statistics against the larger of both branches;
        others: two-sided, against the largest deviation of the family, over branches) and ``p_corrected`` (the larger
        of ``p_family`` and the run's p: other families are looked into only where the tested one finds something).
    p : float
        Of the run: the smallest ``p_corrected``, that of the tested family.
    n_surrogates : int
    """

    table: pd.DataFrame
    p: float
    n_surrogates: int


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
    longest_lag: float = 20.0,
    n_surrogates: int = 99,
    seed: int = 0,
    progress: Callable[[int], object] | None = None,
) -> TemporalNull:
    """Hold a run against common-phase surrogates that go through the same network.

    Surrogates are made, measured and forgotten one after the other.

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
    return TemporalNull(table, p, n_surrogates)


def _compared(values: np.ndarray, about: pd.DataFrame) -> pd.DataFrame:
    """Compare the first row with the others: a row per statistic, whose method and family `about` says."""
    observed, drawn = values[0], pd.DataFrame(values[1:])
    mean, deviation = drawn.mean().to_numpy(), drawn.std().to_numpy()
    z = np.divide(observed - mean, deviation, out=np.full(len(mean), np.nan), where=deviation > 0)
    deviated = deviations(values)
    p_family = np.full(len(observed), np.nan)
    for family in FAMILIES:
        own = (about["family"] == family).to_numpy()
        if not own.any():
            continue
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

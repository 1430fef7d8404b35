"""Does SCAAE find planted networks that a filter does not? ``make bench-recovery``.

The quick level and the real people after it take 36 minutes on 2 cores with AVX-512 (45 are allowed).
One model per regime is fitted to runs of other seeds and then applied. Filters are chosen on seeds 0-9, every method
is scored on seeds 10-19; branch and sign are fixed on odd volumes, scores are of even ones. Results accumulate in
``benchmarks/results/recovery.json``, a run at a time, and go on from there: remove the file after a change. Several
regimes may run at the same time.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import fast_precision
from benchmarks.planted import PlantedRun, grid_of_model, planted_run
from benchmarks.recovery_report import report
from benchmarks.recovery_scores import score_maps
from scaae_nipype.evaluation.baselines.candidates import make_baselines
from scaae_nipype.files import write_json
from scaae_nipype.grid import smooth
from scaae_nipype.model import PRESETS, Model, extract_networks
from scaae_nipype.model.extraction.functions import context_function
from scaae_nipype.model.group_pca import fit_group_pca
from scaae_nipype.model.network.contextual import ContextualSCAAE
from scaae_nipype.model.training.fitted_context import fit_network_context
from scaae_nipype.model.training.start import load_start
from scaae_nipype.model.training.volumes import VolumeCache
from scaae_nipype.model.weights import new_network
from scaae_nipype.simulation import planted_networks

RESULTS = Path(__file__).parent / "results" / "recovery.json"
TUNING, REPORTED, TRAINING = range(10), range(10, 20), 100
"""Seeds: filters are chosen on the first, all is reported on the second; runs to fit models start at the third."""

TRAINING_RUNS = (24, 3)
"""Sizes of the studies that models are fitted to: an ordinary and a very small one."""

LEVELS: dict[str, dict[str, Any]] = {
    "quick": {"regimes": ("exclusive", "mixture"), "snr": (0.5,), "baselines": ("volume", "smoothed", "pca", "cap")},
    "full": {
        "regimes": ("exclusive", "mixture", "stationary", "deactivations"),
        "snr": (0.25, 0.5, 1.0),
        "baselines": ("volume", "smoothed", "pca", "cap", "ica"),
    },
}


GIVEN_BY = {
    "volume": "volume",
    "smoothed": "smoothed_8mm",
    "pca": "pca_projection",
    "cap": "cap_centroid",
    "ica": "ica_projection",
    "networks": "scaae_24_runs",
}
"""A method that tells whether a baseline, or the networks, were scored already."""


def fitted_model(runs: list[np.ndarray], *, attention: str = "start") -> Model:
    """Fit a contextual model to prepared runs; `attention` is ``start`` (shipped) or ``untrained``."""
    grid = grid_of_model()
    network = new_network(PRESETS["contextual"], grid, seed=0)
    assert isinstance(network, ContextualSCAAE)
    if attention == "start":
        load_start(network, grid)
    if runs:
        fit_network_context(network, VolumeCache(runs))
    group_pca = fit_group_pca(runs, grid) if runs else None
    return Model(network.eval(), grid, {"Precision": fast_precision()}, group_pca)


def context_maps(model: Model, volumes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give the context alone, and the first guess: the linear parts of the network, (n_volumes, n_voxels) each."""
    network, context_of = model.network, context_function(model, model.grid)
    assert isinstance(network, ContextualSCAAE) and context_of is not None
    context = context_of(volumes)
    return context, context + float(network.wide_share.detach()) * smooth(volumes, model.grid, network.wide.sigma)


def candidates(run: PlantedRun, models: dict[str, Model], names: tuple[str, ...]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield every method's maps, (n_branches, n_volumes, n_voxels)."""
    grid = grid_of_model()
    for made in make_baselines(names, run.data, grid, repetition_time=2.0):
        if made.per_volume and made.method != "volume_negated":
            yield made.method, made.signed[None]
    for name, model in models.items():
        if name.startswith("scaae_"):
            context, guess = context_maps(model, run.data)
            yield name.replace("scaae", "context"), context[None]
            yield name.replace("scaae", "first_guess"), guess[None]
        yield name, extract_networks(model, run.data).signed


def score_seed(regime: str, snr: float, seed: int, models: dict[str, Model], names: tuple[str, ...]) -> dict[str, Any]:
    run = planted_run(regime, snr, seed, grid=grid_of_model(), networks=planted_networks(grid_of_model()))
    poles = regime == "deactivations"
    return {method: score_maps(maps, run, both_poles=poles) for method, maps in candidates(run, models, names)}


def results() -> dict[str, Any]:
    known: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    return known


def keep(key: str, scores: dict[str, Any]) -> None:
    """Add scores; another process may do the same for another regime."""
    with RESULTS.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = results()
        known[key] = known.get(key, {}) | scores
        write_json(known, RESULTS)


def run_level(level: str, *, regimes: Sequence[str], snrs: Sequence[float], n_seeds: int) -> None:
    """Add the methods that a level lacks, of some regimes and SNRs and of the first reported seeds."""
    settings = LEVELS[level]
    for regime in regimes or settings["regimes"]:
        for snr in snrs or settings["snr"]:
            models: dict[str, Model] = {}
            for seed in (*TUNING, *REPORTED[:n_seeds]):
                key = f"{regime} {snr:g} {seed}"
                known = results().get(key, {})
                asked = ("smoothed",) if seed in TUNING else (*settings["baselines"], "networks")
                missing = tuple(name for name in asked if GIVEN_BY[name] not in known)
                if not missing:
                    continue
                started = time.monotonic()
                if "networks" in missing:
                    models = models or models_of(regime, snr)
                names = tuple(name for name in missing if name != "networks")
                scores = score_seed(regime, snr, seed, models if "networks" in missing else {}, names)
                keep(key, scores)
                print(f"{key}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)


def models_of(regime: str, snr: float) -> dict[str, Model]:
    """Fit the models of a regime: of an ordinary and of a small study, and an untrained one."""
    runs = [
        planted_run(regime, snr, TRAINING + number, grid=grid_of_model()).data for number in range(max(TRAINING_RUNS))
    ]
    models = {f"scaae_{count}_runs": fitted_model(runs[:count]) for count in TRAINING_RUNS}
    return models | {"untrained": fitted_model([], attention="untrained")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("level", nargs="?", choices=[*LEVELS, "report"], default="quick")
    parser.add_argument("--regimes", nargs="+", choices=LEVELS["full"]["regimes"], default=(), help="only these")
    parser.add_argument("--snr", nargs="+", type=float, default=(), help="only these")
    parser.add_argument("--seeds", type=int, default=len(REPORTED), metavar="N", help="only the first N reported ones")
    options = parser.parse_args()
    if options.level != "report":
        RESULTS.parent.mkdir(exist_ok=True)
        run_level(options.level, regimes=options.regimes, snrs=options.snr, n_seeds=options.seeds)
    print("\n".join(report(results(), TUNING, REPORTED)))


if __name__ == "__main__":
    main()

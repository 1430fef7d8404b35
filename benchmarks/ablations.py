"""Which part of the network does what: ``python -m benchmarks.ablations`` (two hours; goes on where it stopped).

Every variant leaves one thing out or exchanges it (`benchmarks.variants`), is trained alike on the coarse grid, and is
scored on planted networks of seeds 10 to 14, every third volume. *contextual* is the preset: its attention is
trained on simulated studies with other networks, its context fitted to 24 runs or 3 of other seeds. *autoencoder* is
the paper's idea: trained by reconstruction on 24 runs of the regime. Its maps are compared along the training, and
between seeds. *pointwise*, the default, loses parts as it is shipped, without another training, on the model's own
grid (`benchmarks.search.parts`). Results are kept in ``benchmarks/results/ablations.json``; ``report`` prints them.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.coarse import coarse_grid, coarse_planted_run
from benchmarks.planted import PlantedRun
from benchmarks.recovery_scores import oriented, recovery
from benchmarks.search.parts import PARTS, PREFIX, report_parts, score_parts
from benchmarks.start import STUDIES, all_training_runs, train
from benchmarks.variants import VARIANTS, Variant, error_of, maps_of, new_variant, train_autoencoder
from scaae_nipype.files import write_json
from scaae_nipype.model.network.autoencoder import SCAAE
from scaae_nipype.model.network.context import FittedContext
from scaae_nipype.model.network.contextual import ContextualSCAAE
from scaae_nipype.model.training.fitted_context import fit_network_context
from scaae_nipype.model.training.volumes import VolumeCache

RESULTS = Path(__file__).parent / "results" / "ablations.json"
CACHE = RESULTS.with_suffix("")
"""Simulated runs, and the maps of each variant's probe volumes."""

SNR, SCORED, TRAINING, THIN = 0.5, range(10, 15), 100, 3
SHOWN = {"contextual": 1600, "autoencoder": 2400}
"""Volumes shown in training."""

LOOKS = 4
"""Times that the probe set's maps are kept along a training."""

PROBES = slice(0, 64, 2)
"""Volumes of a run of another seed on which maps of different trainings are compared."""

SCORES = ("r", "average_precision", "size_matched_iou", "state_accuracy")


@cache
def planted(regime: str, seed: int) -> PlantedRun:
    """Give a run on the coarse grid, every third volume of it if it is scored."""
    path = CACHE / f"{regime}{seed}.npz"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        run = coarse_planted_run(regime, SNR, seed)
        np.savez(path, data=run.data, truth=run.truth, bold=run.bold, states=run.states)
    kept = slice(None, None, THIN if seed < TRAINING else 1)
    with np.load(path) as arrays:
        data, truth, bold, states = (arrays[name][kept] for name in ("data", "truth", "bold", "states"))
    return PlantedRun(data, truth, _networks(), bold, states)


@cache
def _networks():
    from scaae_nipype.simulation import planted_networks

    return planted_networks(coarse_grid())


def training_volumes(regime: str, n_runs: int) -> list[np.ndarray]:
    return [planted(regime, TRAINING + number).data for number in range(n_runs)]


@cache
def fitted_context(regime: str, n_runs: int) -> FittedContext:
    """Fit a context; it does not depend on the attention."""
    network = new_variant(VARIANTS["contextual: as it is"])
    assert isinstance(network, ContextualSCAAE)
    runs = training_volumes(regime, n_runs)
    return fit_network_context(network, VolumeCache(runs, [None] * n_runs))


def score(network: SCAAE | ContextualSCAAE, variant: Variant, regime: str) -> dict[str, list[float]]:
    """Score a variant on all seeds; branch and sign are fixed on the half of the volumes that is not scored."""
    found: dict[str, list[float]] = {name: [] for name in SCORES}
    for seed in SCORED:
        run = planted(regime, seed)
        maps, *_ = oriented(maps_of(network, variant, run.data), run.truth)
        scores = recovery(maps, run)
        for name in SCORES:
            found[name].append(round(float(scores.get(name, np.nan)), 4))
    return found


def similarity(a: np.ndarray, b: np.ndarray) -> float:
    """Give the mean |r| of maps of the same volumes, branches paired for the best: (n_branches, n, n_voxels) each."""
    a, b = (x.astype(np.float32) - x.mean(axis=-1, keepdims=True, dtype=np.float32) for x in (a, b))
    a, b = (x / (np.linalg.norm(x, axis=-1, keepdims=True) + 1e-9) for x in (a, b))
    a, b = sorted((a, b), key=len)
    r = np.einsum("anv,bnv->abn", a, b).mean(axis=-1)  # the mean over volumes first: a branch has one sign
    pairings = itertools.permutations(range(len(b)), len(a))
    return float(max(np.mean([abs(r[i, j]) for i, j in enumerate(order)]) for order in pairings))


def run_variant(name: str, studies: Callable[[ContextualSCAAE], list]) -> dict[str, Any]:
    """Train a variant, score it, and compare its maps along the training."""
    variant = VARIANTS[name]
    network = new_variant(variant)
    probes = planted("exclusive", TRAINING + 50).data[PROBES]
    seen: list[np.ndarray] = []
    shown = SHOWN[variant.preset]

    def look(volumes: int) -> None:
        if volumes % (shown // LOOKS) == 0:
            seen.append(maps_of(network, variant, probes))

    started = time.monotonic()
    scores: dict[str, Any] = {}
    if isinstance(network, ContextualSCAAE):
        with_context = "no context" not in variant.parts
        train(
            network,
            studies(network),
            n_volumes=shown,
            seed=variant.seed,
            error=error_of(variant),
            with_context=with_context,
            look=look,
        )
        for regime, n_runs in (("exclusive", 24), ("exclusive", 3), ("mixture", 24)):
            network.context.load(fitted_context(regime, n_runs))
            scores[f"{regime}, context of {n_runs} runs"] = score(network, variant, regime)
            if "no context" in variant.parts and n_runs == 3:
                del scores[f"{regime}, context of {n_runs} runs"]
        network.context.load(fitted_context("exclusive", 24))
    else:
        vectors = np.concatenate(training_volumes("exclusive", 24))
        train_autoencoder(network, variant, vectors, n_volumes=shown, look=look)
        scores["exclusive"] = score(network, variant, "exclusive")
    maps = maps_of(network, variant, probes)
    np.save(CACHE / f"{_file_name(name)}.npy", maps.astype(np.float16))
    return {
        "scores": scores,
        "along_training": [round(similarity(a, b), 4) for a, b in itertools.pairwise(seen)],
        "with_reference": _similarity_with(f"{variant.preset}: as it is", maps),
        **({"with_seed_1": _similarity_with(f"{variant.preset}: seed 1", maps)} if variant.seed == 2 else {}),
        "seconds": round(time.monotonic() - started),
    }


def _similarity_with(other: str, maps: np.ndarray) -> float | None:
    """Compare with another variant's maps; they stay on the machine that made them, the scores travel."""
    path = CACHE / f"{_file_name(other)}.npy"
    return round(similarity(maps, np.load(path)), 4) if path.exists() else None


def _file_name(name: str) -> str:
    return name.replace(": ", "-").replace(" ", "_")


def _reference_filters() -> dict[str, Any]:
    """Score what needs no training: the volume, and smoothing."""
    from scaae_nipype.grid import smooth

    results: dict[str, Any] = {}
    for regime in ("exclusive", "mixture"):
        for name, sigma in (("the volume itself", 0.0), ("smoothed, σ 12 mm", 12.0), ("smoothed, σ 16 mm", 16.0)):
            found: dict[str, list[float]] = {score: [] for score in SCORES}
            for seed in SCORED:
                run = planted(regime, seed)
                maps = smooth(run.data, coarse_grid(), sigma) if sigma else run.data
                scores = recovery(oriented(maps[None], run.truth)[0], run)
                for key in SCORES:
                    found[key].append(round(float(scores.get(key, np.nan)), 4))
            results.setdefault(name, {"scores": {}})["scores"][regime] = found
    return results


def report(known: dict[str, Any]) -> None:
    """Print the table of the default, then one for each setting of the others."""
    print("\n".join(report_parts(known)))
    known = {name: result for name, result in known.items() if not name.startswith(PREFIX)}
    settings = dict.fromkeys(setting for result in known.values() for setting in result["scores"])
    for setting in settings:
        print(f"\n## {setting}\n\n| | r | AP | size-matched IoU | state accuracy |\n| --- |{' --- |' * len(SCORES)}")
        for name, result in known.items():
            if setting in result["scores"]:
                cells = (result["scores"][setting][score] for score in SCORES)
                print(f"| {name} | {' | '.join(f'{np.mean(c):.3f} ± {np.std(c, ddof=1):.3f}' for c in cells)} |")
    print("\n| | maps along training (|r| between quarters) | |r| with the reference |\n| --- | --- | --- |")
    for name, result in known.items():
        if "along_training" in result:
            reference = result["with_reference"]
            along = ", ".join(f"{r:.2f}" for r in result["along_training"])
            print(f"| {name} | {along} | {'–' if reference is None else reference} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["run", "report"], default="run")
    parser.add_argument("--only", help="part of the names of the variants that are wanted")
    parser.add_argument("--threads", type=int, help="threads for linear algebra")
    options = parser.parse_args()
    known: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if options.what == "run":
        runs: list = []

        def studies(network: ContextualSCAAE) -> list:
            if not runs:
                runs.extend(all_training_runs(network, STUDIES, voxel_size=8))
            return runs

        with threadpool_limits(options.threads):
            if not options.only or any(options.only in PREFIX + name for name in PARTS):
                for line in score_parts(known):
                    write_json(known, RESULTS)
                    print(line, file=sys.stderr, flush=True)
            wanted = [name for name in VARIANTS if not options.only or options.only in name]
            if wanted and "the volume itself" not in known:
                known |= _reference_filters()
            for name in wanted:
                if name in known:
                    continue
                known[name] = run_variant(name, studies)
                write_json(known, RESULTS)
                print(f"{name}: {known[name]}", file=sys.stderr, flush=True)
    report(known)


if __name__ == "__main__":
    main()

"""Judge weights on planted networks of tuning seeds: ``python -m benchmarks.search.score WEIGHTS [--only NAME …]``.

Runs are made by the product's simulator and prepared as the product does it; other runs are those of seeds from 100 on.
Beside the networks stand what they have to beat: the volume, filters, and plain group PCA of the same other runs.
Results accumulate in ``benchmarks/results/search_scores.json``; ``report`` in place of WEIGHTS prints them.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.search.context import Context, fit_context
from benchmarks.search.head import FOLDER, Head
from benchmarks.search.network import ViewAttention, padded
from benchmarks.search.variants import VARIANTS
from benchmarks.search.views import CHANNELS, Shown, Viewer

__all__ = ["load_network", "main"]

RESULTS = Path(__file__).parents[1] / "results" / "search_scores.json"
CACHE = FOLDER / "planted"
TRAINING, SIZES = 100, (0, 3, 24)
"""First seed of other runs; how many there are."""

REPETITION_TIME = 2.0
PLAIN = 1e-3
"""Smoothing in time of a plain PCA's runs, in s: none."""

SCORES = ("average_precision", "size_matched_iou", "r", "state_accuracy", "amplitude_r")


def planted(regime: str, snr: float, seed: int, jitter: float):
    """Give a run of the product's simulator, from the cache if it was made before."""
    from benchmarks.planted import PlantedRun, grid_of_model, planted_run
    from scaae_nipype.simulation import PlantedNetworks, planted_networks

    grid = grid_of_model()
    networks = planted_networks(grid)
    if jitter:
        networks = planted_networks(grid, jitter=jitter, rng=np.random.default_rng([7, seed]))
    path = CACHE / f"{regime}_{snr:g}_{jitter:g}_{seed}.npz"
    if not path.exists():
        run = planted_run(regime, snr, seed, grid=grid, networks=networks)
        CACHE.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part.npz")
        np.savez(part, data=run.data.astype(np.float16), bold=run.bold, states=run.states)
        part.replace(path)
    with np.load(path) as arrays:
        data, bold, states = arrays["data"].astype(np.float32), arrays["bold"], arrays["states"]
    truth = (snr * bold).astype(np.float32) @ networks.maps
    return PlantedRun(data, truth, PlantedNetworks(grid, networks.maps, networks.names), bold, states)


def contexts(head: Head, regime: str, snr: float, jitter: float, n_runs: int) -> dict[str, Context]:
    """Fit the search's context and a plain PCA to the first other runs."""
    runs = torch.zeros(0, 150, head.n_voxels)
    if n_runs:
        others = range(TRAINING, TRAINING + n_runs)
        runs = torch.stack([torch.from_numpy(planted(regime, snr, seed, jitter).data) for seed in others])
    return {
        "search": fit_context(head, runs, repetition_time=REPETITION_TIME),
        "plain": fit_context(head, runs, repetition_time=REPETITION_TIME, time_sigma=PLAIN),
    }


def load_network(path: Path, name: str, head: Head | None = None) -> ViewAttention:
    """Read a variant from a file of weights; those that look around a voxel need the head."""
    shape = VARIANTS[name].shape
    network = ViewAttention(shape, head.coarse if head is not None and shape.around else None).eval()
    with np.load(path) as arrays:
        prefix = f"{name}/"
        state = {key.removeprefix(prefix): torch.from_numpy(arrays[key]) for key in arrays if key.startswith(prefix)}
    network.load_state_dict(padded(state, network))
    return network


@torch.inference_mode()
def read(network: ViewAttention, shown: Shown, at_once: int = 4) -> np.ndarray:
    """Give the maps of both branches of all volumes: (2, n_volumes, n_voxels)."""
    order = torch.arange(len(shown.channels)).split(at_once)
    return torch.cat([network(shown.pick(part)) for part in order]).movedim(1, 0).numpy()


def methods(
    head: Head, data: Tensor, fitted: dict[str, Context], networks: dict[str, ViewAttention]
) -> dict[str, Callable[[], np.ndarray]]:
    """Give what makes maps (n_branches, n_volumes, n_voxels) of a run, by name."""
    viewer = Viewer(head)
    plain = fitted["plain"]

    def projection(rank: int) -> np.ndarray:
        maps = plain.maps[:rank]
        return ((data @ maps.T) @ maps).numpy()[None]

    found: dict[str, Callable[[], np.ndarray]] = {}
    if plain.n_runs:
        found |= {f"plain PCA, rank {rank}": (lambda rank=rank: projection(rank)) for rank in (8, 12)}
    else:
        found["the volume"] = lambda: data.numpy()[None]
        found |= {
            f"smoothed, σ {s:g} mm": (lambda n=n: viewer.smoothings[n](data).numpy()[None])
            for n, s in enumerate((8, 12, 16))
        }
    views: dict[str, Shown] = {}

    def view(name: str) -> np.ndarray:
        if "all" not in views:
            views["all"] = viewer.show(data, fitted["search"], repetition_time=REPETITION_TIME)
        return views["all"].channels[..., CHANNELS.index(name)].numpy()[None]

    for name in (
        "trusted",
        "above",
        "calm_rank8",
        "calm_trusted",
        "calm_above",
        "own8",
        "calm_own8",
        "mine",
        "calm_mine",
    ):
        if plain.n_runs or "own" in name:
            found[f"view {name}"] = lambda name=name: view(name)

    def networks_maps(network: ViewAttention) -> np.ndarray:
        wanted = network.shape.views
        return read(network, viewer.show(data, fitted["search"], repetition_time=REPETITION_TIME, channels=wanted))

    return found | {name: (lambda network=network: networks_maps(network)) for name, network in networks.items()}


def judge(
    head: Head,
    networks: dict[str, ViewAttention],
    known: dict[str, Any],
    *,
    settings: list[tuple],
    seeds: list[int],
    results: Path,
) -> None:
    """Score everything that is not known yet; results are kept after every setting."""
    from benchmarks.recovery_scores import oriented, recovery

    for regime, snr, jitter, n_runs in settings:
        key = f"{regime}, SNR {snr:g}, jitter {jitter:g} mm, {n_runs} runs"
        fitted = None
        for seed in seeds:
            run = planted(regime, snr, seed, jitter)
            empty = {name: Context(*[torch.zeros(0)] * 7, n_runs=n_runs) for name in ("plain", "search")}
            names = methods(head, torch.from_numpy(run.data), fitted or empty, networks)
            missing = [name for name in names if str(seed) not in known.setdefault(key, {}).setdefault(name, {})]
            if not missing:
                continue
            fitted = fitted or contexts(head, regime, snr, jitter, n_runs)
            ready = methods(head, torch.from_numpy(run.data), fitted, networks)
            for name in missing:
                started = time.process_time()
                candidates = ready[name]()
                seconds = (time.process_time() - started) / len(run.data)
                found = recovery(oriented(candidates, run.truth)[0], run)
                known[key][name][str(seed)] = {k: round(float(found[k]), 4) for k in SCORES if k in found}
                known[key][name][str(seed)]["seconds"] = round(seconds, 4)
            results.write_text(json.dumps(known, indent=1))
            print(key, seed, flush=True)


def report(known: dict[str, Any]) -> None:
    """Print a table for each setting: means over seeds."""
    for key, found in known.items():
        print(f"\n{key}\n\n| | {' | '.join(SCORES)} | s per volume |\n| --- |{' --- |' * (len(SCORES) + 1)}")
        for name, seeds in found.items():
            columns = [np.mean([x.get(score, np.nan) for x in seeds.values()]) for score in (*SCORES, "seconds")]
            if seeds:
                print(f"| {name} | {' | '.join(f'{value:.3f}' for value in columns)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", help="weights.npz of a training, `none` for the rivals alone, or `report`")
    parser.add_argument("--only", nargs="*", help="names of variants")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1])
    parser.add_argument("--regimes", nargs="*", default=["exclusive"])
    parser.add_argument("--snr", type=float, nargs="*", default=[0.5, 0.25])
    parser.add_argument("--jitter", type=float, nargs="*", default=[0.0, 5.0])
    parser.add_argument("--runs", type=int, nargs="*", default=list(SIZES))
    parser.add_argument("--suffix", default="", help="added to the variants' names in the results")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    if not all(0 <= seed < 10 for seed in options.seeds):
        parser.error("Only tuning seeds (0 to 9) may be looked at here.")
    known = json.loads(options.results.read_text()) if options.results.exists() else {}
    if options.weights != "report":
        torch.set_num_threads(1)
        head = Head.load(FOLDER / "head_4mm.npz")
        networks = {}
        if options.weights != "none":
            with np.load(options.weights) as arrays:
                there = dict.fromkeys(name.partition("/")[0] for name in arrays)
            for name in options.only or there:
                networks[name + options.suffix] = load_network(Path(options.weights), name, head)
        grid = [
            (regime, snr, jitter, n)
            for regime in options.regimes
            for snr in options.snr
            for jitter in options.jitter
            for n in options.runs
        ]
        judge(head, networks, known, settings=grid, seeds=options.seeds, results=options.results)
    report(known)


if __name__ == "__main__":
    main()

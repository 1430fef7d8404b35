"""Do tests keep their word? False positives and power, on simulated runs, noise maps and groups; resumable.

``python -m benchmarks.calibration temporal`` adds runs until there are as many as asked for; a second call goes on.
Results accumulate in ``benchmarks/results/calibration.json``, keyed by settings and seed; ``report`` prints them.

Runs are simulated at 4 mm, prepared as the default strategy does (smoothing 6 mm, 24 motion parameters, white matter,
CSF, high-pass 0.008 Hz, censoring above 0.5 mm, z-score) and averaged to 8 mm, which makes hundreds of runs affordable
(`benchmarks.coarse`). ``--method`` names a preset, by default the product's default one, or a filter; a preset is
fitted to other runs of the regime, so that no p is in-sample. Statistics were chosen on seeds 0 to 9 and 100 to 119;
the study is of seeds from 300, presets are fitted to runs from 900 on.
"""

from __future__ import annotations

import argparse
import fcntl
import json
from pathlib import Path

import numpy as np
from scipy.signal import lfilter
from tqdm import tqdm

from benchmarks import calibration_groups as groups
from benchmarks.calibration_report import TEMPORAL, page
from benchmarks.coarse import coarse_grid, load_coarse_start, smoothed_bold
from benchmarks.machine import fast_precision
from benchmarks.planted import HIGH_PASS, grid_of_model
from scaae_nipype.evaluation import load_templates
from scaae_nipype.evaluation.nulls.run_statistics import TESTED
from scaae_nipype.evaluation.nulls.spatial import match_null
from scaae_nipype.evaluation.nulls.surrogate_runs import PhaseSurrogates, standardise
from scaae_nipype.evaluation.nulls.surrogate_templates import surrogate_ranks
from scaae_nipype.evaluation.nulls.temporal import Network, temporal_null
from scaae_nipype.evaluation.scores.gradual_change import lag_curve
from scaae_nipype.evaluation.stationarity import check_stationarity
from scaae_nipype.files import write_json
from scaae_nipype.grid import smooth
from scaae_nipype.maps import binarise, scale
from scaae_nipype.model import PRESETS, Model
from scaae_nipype.model.extraction.functions import network_function
from scaae_nipype.model.network.contextual import ContextualSCAAE
from scaae_nipype.model.presets import CONTEXTUAL_PRESET, POINTWISE_PRESET
from scaae_nipype.model.runs import Volumes
from scaae_nipype.model.training.fitted_context import fit_network_context
from scaae_nipype.model.training.train import train_model
from scaae_nipype.model.training.volumes import VolumeCache
from scaae_nipype.model.weights import new_network
from scaae_nipype.options import Training
from scaae_nipype.preparation.denoising import clean_in_place, temporal_operator
from scaae_nipype.simulation import simulate_run
from scaae_nipype.simulation.noise import smooth_field

RESULTS = Path(__file__).parent / "results" / "calibration.json"
CACHE = RESULTS.with_suffix("")
"""Prepared runs, which all methods share."""

FITTED = (POINTWISE_PRESET, CONTEXTUAL_PRESET)
"""Presets that are fitted in closed form, which a study can afford."""

FIRST_SEED, TRAINING_SEED, TRAINING_RUNS = 300, 900, 24
FILTER_SIGMA = 8.0

REPETITION_TIME = 2.0
"""Of all simulated runs, in s: the simulator's default."""

ARMS = {
    "stationary": {"regime": "stationary", "snr": 0.5},
    "exclusive": {"regime": "exclusive", "snr": 0.5},
    "stationary_censored": {"regime": "stationary", "snr": 0.5, "motion_spikes": 10},
    "smoother": {"regime": "stationary", "snr": 0.5},
    "louder": {"regime": "stationary", "snr": 0.5},
}
"""What is simulated. Without states every rejection is false; ten spikes lead to about twenty censored volumes. Runs
that are `changed` have no states either: what a temporal null finds there is not dynamics."""

CORRELATIONS, N_VOLUMES = (0.3, 0.6, 0.9), 150
"""First-order correlations in time of the noise behind the lag curve, and its length."""

EXTRA_SIGMA, LOUDER = 6.0, 2.0
"""Of runs that are smoother from the middle on, in mm; factor on the variance of the last third of louder ones."""

SMOOTHNESS = (8.0, 12.0, 16.0, 24.0)
"""FWHM in mm of the noise maps of the spatial study."""


def method(name: str, arm: str) -> Network:
    """Give the function from volumes to maps; a preset is fitted to other runs of the arm."""
    grid = coarse_grid()
    if name in FITTED:
        return fitted_network(name, arm)
    filters = {"volume": lambda volumes: volumes[None], "smoothed": lambda v: smooth(v, grid, FILTER_SIGMA)[None]}
    return filters[name]


def fitted_network(preset: str, arm: str) -> Network:
    """Fit a preset as the product does; the attention of the contextual one is that trained at 8 mm."""
    grid = coarse_grid()
    of_arm = [prepared(arm, TRAINING_SEED + n) for n in range(TRAINING_RUNS)]
    if preset != CONTEXTUAL_PRESET:
        everywhere = np.ones(grid.n_voxels, dtype=bool)
        timed = [Volumes(volumes, kept, everywhere, REPETITION_TIME) for volumes, kept, _ in of_arm]
        return network_function(train_model(timed, Training(preset=preset), grid=grid), grid, batch_size=16)
    runs = [volumes for volumes, *_ in of_arm]
    network = new_network(PRESETS[preset], grid, seed=0)
    assert isinstance(network, ContextualSCAAE)
    load_coarse_start(network)
    fit_network_context(network, VolumeCache(runs, [None] * len(runs)))
    return network_function(Model(network.eval(), grid, {"Precision": fast_precision()}), grid, batch_size=16)


def changed(data: np.ndarray, arm: str) -> np.ndarray:
    """Let the noise of a run change, without a change of its networks' weights."""
    mean, n = data.mean(axis=0), len(data)
    if arm == "louder":
        data[2 * n // 3 :] = mean + np.sqrt(LOUDER) * (data[2 * n // 3 :] - mean)
    if arm == "smoother":
        late = smooth(data[n // 2 :] - mean, coarse_grid(), EXTRA_SIGMA)
        data[n // 2 :] = mean + late * ((data[n // 2 :] - mean).std() / late.std())
    return data


def prepared(arm: str, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Simulate a run and prepare it: kept volumes, z-scored, which were kept, and framewise displacement in mm."""
    path = CACHE / f"{arm}{seed}.npz"
    if not path.exists():
        run = simulate_run(grid=grid_of_model(), seed=seed, **ARMS[arm])
        table = run.confounds
        wanted = [c for c in table if c.startswith(("trans_", "rot_"))] + ["csf", "white_matter"]
        kept = ~(table["framewise_displacement"].to_numpy() > 0.5)
        operator = temporal_operator(
            kept,
            np.nan_to_num(table[wanted].to_numpy()),
            repetition_time=run.settings.repetition_time,
            high_pass=HIGH_PASS,
        )
        data = changed(smoothed_bold(run), arm)
        clean_in_place(data, kept, operator)
        CACHE.mkdir(parents=True, exist_ok=True)
        np.savez(path, volumes=data[kept], kept=kept, moved=table["framewise_displacement"].to_numpy())
    with np.load(path) as run:
        return run["volumes"], run["kept"], run["moved"]


def temporal(options: argparse.Namespace) -> None:
    """Add runs to the temporal study."""
    templates = load_templates("default", grid=coarse_grid())
    counts = {arm: options.power_runs if arm == "exclusive" else options.runs for arm in options.arms}
    keys = {arm: f"{TEMPORAL} | {options.method} | {arm} | {options.surrogates} surrogates" for arm in counts}
    known = read()
    units = [  # arms take turns: an interrupted study says something about all of them
        (arm, seed)
        for seed in range(FIRST_SEED, FIRST_SEED + max(counts.values()))
        for arm in options.arms
        if seed < FIRST_SEED + counts[arm] and str(seed) not in known.get(keys[arm], {})
    ]
    networks: dict[str, Network] = {}
    for arm, seed in tqdm(units, desc=f"temporal null, {options.method}", unit="run", mininterval=5):
        if arm not in networks:
            networks[arm] = method(options.method, arm)
        volumes, kept, moved = prepared(arm, seed)
        null = temporal_null(
            volumes,
            kept,
            networks[arm],
            templates,
            repetition_time=REPETITION_TIME,
            n_surrogates=options.surrogates,
            seed=seed,
        )
        told = null.table[(null.table["family"] == TESTED) | null.table["statistic"].isin(["iou_lag1", "iou_lag2"])]
        result = {
            "p": null.p,
            "families": null.table.groupby("family")["p_family"].min().dropna().to_dict(),
            "statistics": {f"{row.method} {row.statistic}": [round(row.z, 3), row.p] for row in told.itertuples()},
        }
        keep(keys[arm], str(seed), result | {"noise": noise_of(volumes, kept, moved)})


def noise_of(volumes: np.ndarray, kept: np.ndarray, moved: np.ndarray) -> dict[str, float]:
    """Give the p of the check of the run's noise, of each part and of all."""
    found = check_stationarity(volumes, kept, coarse_grid(), moved)
    parts = {name: getattr(found, name).p for name in ("variance", "smoothness", "motion")}
    return parts | {"any": found.p}


def noise(options: argparse.Namespace) -> None:
    """Add runs to the study of the check of a run's noise, which needs no network and no surrogates."""
    for seed in tqdm(range(FIRST_SEED, FIRST_SEED + options.runs), desc="noise of runs", unit="run"):
        for arm in options.arms:
            if str(seed) not in read().get(f"noise | {arm}", {}):
                keep(f"noise | {arm}", str(seed), noise_of(*prepared(arm, seed)))


def lag(options: argparse.Namespace) -> None:
    """Add runs of smooth stationary noise, to see where the lag curve lies among surrogates."""
    grid, kept = coarse_grid(), np.ones(N_VOLUMES, bool)

    def first(volumes: np.ndarray) -> float:
        curve = lag_curve(binarise(scale(volumes)), kept, repetition_time=2.0, longest_lag=2.0)
        return float(curve["mean_iou"].iloc[0])

    units = [(ar1, seed) for seed in range(FIRST_SEED, FIRST_SEED + options.lag_runs) for ar1 in CORRELATIONS]
    for ar1, seed in tqdm(units, desc="lag curve", unit="run"):
        key = f"lag | autoregressive {ar1:g} | {options.surrogates} surrogates"
        if str(seed) in read().get(key, {}):
            continue
        white = np.random.default_rng((seed, 5)).standard_normal((N_VOLUMES + 100, grid.n_voxels))
        run = standardise(smooth(lfilter([1.0], [1.0, -ar1], white, axis=0)[100:], grid, EXTRA_SIGMA))
        made = PhaseSurrogates(run.astype(np.float32), kept)
        drawn = [first(made.draw(np.random.default_rng((seed, number)))) for number in range(options.surrogates)]
        keep(key, str(seed), {"z": round(float((first(run) - np.mean(drawn)) / np.std(drawn, ddof=1)), 3)})


def spatial(options: argparse.Namespace) -> None:
    """Add noise maps to the spatial study."""
    grid = coarse_grid()
    templates = load_templates("default", grid=grid)
    key = f"spatial | noise maps | {options.spatial_surrogates} surrogates"
    ranks = None
    for number in tqdm(range(options.maps), desc=key, unit="map"):
        if str(number) in read().get(key, {}):
            continue
        if ranks is None:
            made = surrogate_ranks(templates.binary, grid, n_surrogates=options.spatial_surrogates, seed=1)
            ranks = np.stack(list(made))
        smoothness = SMOOTHNESS[number % len(SMOOTHNESS)]
        noise = smooth_field(grid, smoothness, np.random.default_rng((FIRST_SEED, number)))
        null = match_null(noise[None], templates, ranks, templates.grid)
        keep(key, str(number), {"p": float(np.nanmin(null.p)), "smoothness_mm": smoothness})


def group(options: argparse.Namespace) -> None:
    """Add studies to the calibration of group tests, a hundred of each design at a time."""
    starts = range(0, options.studies, groups.AT_ONCE)
    units = [(name, start) for start in starts for name in groups.DESIGNS]
    for name, start in tqdm(units, desc="group tests", unit="design"):
        key = f"group | {name} | {groups.N_PERMUTATIONS} permutations"
        if str(start) not in read().get(key, {}):
            seeds = ((FIRST_SEED, number) for number in range(start, start + groups.AT_ONCE))
            keep(key, str(start), groups.rejections(groups.DESIGNS[name], seeds))


def read() -> dict:
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def keep(key: str, unit: str, result: dict) -> None:
    """Add a result; studies of several methods may run at once."""
    with CACHE.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        results = read()
        results.setdefault(key, {})[unit] = result
        write_json(results, RESULTS)


def report(_: argparse.Namespace) -> None:
    """Print the page of all rates."""
    print("\n".join(page(read())))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["temporal", "spatial", "noise", "lag", "group", "report"])
    parser.add_argument("--method", choices=[*FITTED, "smoothed", "volume"], default=Training.preset)
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--power-runs", type=int, default=50)
    parser.add_argument("--surrogates", type=int, default=19)
    parser.add_argument("--spatial-surrogates", type=int, default=199)
    parser.add_argument("--maps", type=int, default=240)
    parser.add_argument("--lag-runs", type=int, default=30)
    parser.add_argument("--studies", type=int, default=1000)
    options = parser.parse_args()
    parts = {"temporal": temporal, "spatial": spatial, "noise": noise, "lag": lag, "group": group, "report": report}
    parts[options.what](options)


if __name__ == "__main__":
    main()

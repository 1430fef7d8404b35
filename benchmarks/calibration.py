"""Do the nulls keep their word? False positives and power, on simulated runs and noise maps; resumable.

``python -m benchmarks.calibration temporal --method smoothed`` adds runs until there are as many as asked for; a second
call goes on. Results accumulate in ``benchmarks/results/calibration.json``, keyed by settings and seed; ``report``
prints them. ``--model FOLDER`` puts a network in place of the filter (on the same grid, trained on other seeds).

Runs are simulated on an 8 mm grid, which is coarser than the product's 4 mm: it makes hundreds of runs affordable. They
are prepared as the default strategy does (smoothing 6 mm, 24 motion parameters, white matter, CSF, high-pass 0.008 Hz,
censoring above 0.5 mm, z-score). Statistics were chosen on seeds 0 to 9; those here start at 100.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from scipy.stats import binomtest
from tqdm import tqdm

from scaae_nipype.evaluation import load_templates
from scaae_nipype.evaluation.filters import smooth
from scaae_nipype.evaluation.spatial_null import match_null
from scaae_nipype.evaluation.spatial_surrogates import surrogate_ranks
from scaae_nipype.evaluation.temporal_null import Network, temporal_null
from scaae_nipype.files import write_json
from scaae_nipype.grid import Grid
from scaae_nipype.preparation.denoising import clean_in_place, temporal_operator
from scaae_nipype.simulation import simulate_run, source_grid
from scaae_nipype.simulation.noise import smooth_field

RESULTS = Path(__file__).parent / "results" / "calibration.json"
VOXEL_SIZE, FIRST_SEED, REPETITION_TIME = 8.0, 100, 2.0
FWHM_TO_SIGMA = 1 / np.sqrt(8 * np.log(2))
FILTER_SIGMA = 8.0

ARMS = {
    "stationary": {"regime": "stationary", "snr": 0.5},
    "exclusive": {"regime": "exclusive", "snr": 0.5},
    "stationary_censored": {"regime": "stationary", "snr": 0.5, "motion_spikes": 10},
}
"""What is simulated. Without states every rejection is false; ten spikes lead to about twenty censored volumes."""

SMOOTHNESS = (8.0, 12.0, 16.0, 24.0)
"""FWHM in mm of the noise maps of the spatial study."""


def method(name: str, model: str | None, grid: Grid) -> tuple[str, Network, Grid]:
    """Give a name for the results, the function from volumes to maps, and the grid."""
    if model is not None:
        from scaae_nipype.model.apply import network_function
        from scaae_nipype.model.weights import load_model

        loaded = load_model(model)
        label = f"{loaded.card.get('Name', Path(model).name)} ({loaded.card['WeightsSHA256'][:8]})"
        return label, network_function(loaded, loaded.grid, batch_size=16), loaded.grid
    filters = {"volume": lambda volumes: volumes[None], "smoothed": lambda v: smooth(v, grid, FILTER_SIGMA)[None]}
    return name, filters[name], grid


def prepared(grid: Grid, seed: int, **settings) -> tuple[np.ndarray, np.ndarray]:
    """Simulate a run and prepare it: kept volumes, z-scored, and which were kept."""
    run = simulate_run(grid=grid, seed=seed, repetition_time=REPETITION_TIME, **settings)
    table = run.confounds
    wanted = [c for c in table if c.startswith(("trans_", "rot_"))] + ["csf", "white_matter"]
    kept = ~(table["framewise_displacement"].to_numpy() > 0.5)
    operator = temporal_operator(
        kept, np.nan_to_num(table[wanted].to_numpy()), repetition_time=REPETITION_TIME, high_pass=0.008
    )
    data = smooth(run.bold(), grid, 6.0 * FWHM_TO_SIGMA)
    clean_in_place(data, kept, operator)
    return data[kept], kept


def temporal(options: argparse.Namespace) -> None:
    """Add runs to the temporal study."""
    label, network, grid = method(options.method, options.model, source_grid(VOXEL_SIZE))
    templates = load_templates("default", grid=grid)
    counts = {arm: options.power_runs if arm == "exclusive" else options.runs for arm in options.arms}
    units = [  # arms take turns: an interrupted study says something about all of them
        (arm, seed)
        for seed in range(FIRST_SEED, FIRST_SEED + max(counts.values()))
        for arm in options.arms
        if seed < FIRST_SEED + counts[arm]
    ]
    for arm, seed in tqdm(units, desc=f"temporal null, {label}", unit="run"):
        key = f"temporal | {label} | {arm} | {options.surrogates} surrogates"
        if str(seed) in read().get(key, {}):
            continue
        volumes, kept = prepared(grid, seed, **ARMS[arm])
        null = temporal_null(
            volumes,
            kept,
            network,
            templates,
            repetition_time=REPETITION_TIME,
            n_surrogates=options.surrogates,
            seed=seed,
        )
        told = null.table[~null.table["family"].isin(["transitions", "dwell", "occupancy"])]
        result = {
            "p": null.p,
            "families": null.table.groupby("family")["p_family"].min().to_dict(),
            "statistics": {f"{row.method} {row.statistic}": [round(row.z, 3), row.p] for row in told.itertuples()},
        }
        keep(key, str(seed), result)


def spatial(options: argparse.Namespace) -> None:
    """Add noise maps to the spatial study."""
    grid = source_grid(VOXEL_SIZE)
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


def read() -> dict:
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def keep(key: str, unit: str, result: dict) -> None:
    results = read()
    results.setdefault(key, {})[unit] = result
    write_json(results, RESULTS)


def rate(p: list[float]) -> str:
    """Give the share of p <= 0.05 with its exact (Clopper-Pearson) 95 % interval."""
    found = sum(value <= 0.05 for value in p)
    limits = binomtest(found, len(p)).proportion_ci(method="exact")
    return f"{found}/{len(p)} = {found / len(p):.3f} (95 % {limits.low:.3f} to {limits.high:.3f})"


def report(_: argparse.Namespace) -> None:
    """Print every rate; of the temporal null also what each family and each statistic does on its own."""
    for key, units in read().items():
        print(f"{key}\n  run or map rejected at 5 %: {rate([unit['p'] for unit in units.values()])}")
        if key.startswith("spatial"):
            for smoothness in SMOOTHNESS:
                own = [unit["p"] for unit in units.values() if unit["smoothness_mm"] == smoothness]
                print(f"  smoothness {smoothness:g} mm: {rate(own)}" if own else "")
            continue
        first = next(iter(units.values()))
        for family in first["families"]:
            print(f"    family {family}: {rate([unit['families'][family] for unit in units.values()])}")
        for statistic in first["statistics"]:
            z, p = np.array([unit["statistics"][statistic] for unit in units.values()], dtype=float).T
            print(f"      {statistic}: mean z {np.nanmean(z):.2f}, p <= 0.05 in {np.mean(p <= 0.05):.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["temporal", "spatial", "report"])
    parser.add_argument("--method", choices=["smoothed", "volume"], default="smoothed")
    parser.add_argument("--model", help="model folder on the 8 mm grid, instead of a filter")
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--power-runs", type=int, default=50)
    parser.add_argument("--surrogates", type=int, default=39)
    parser.add_argument("--spatial-surrogates", type=int, default=199)
    parser.add_argument("--maps", type=int, default=240)
    options = parser.parse_args()
    {"temporal": temporal, "spatial": spatial, "report": report}[options.what](options)


if __name__ == "__main__":
    main()

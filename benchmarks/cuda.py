"""Time and memory on a CUDA device: ``python -m benchmarks.cuda`` (two minutes), kept in ``benchmarks/results``.

Extraction of every preset in the precisions that it has, the agreement of its maps with the processor's, and a training
of the autoencoder. Where there is no such device it says so and leaves.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from scaae_nipype.grid import load_grid
from scaae_nipype.model import Model, Training
from scaae_nipype.model.extraction.extractor import extract_networks
from scaae_nipype.model.training.train import train_on_caches
from scaae_nipype.model.training.volumes import write_cache

from .engine import RESULTS, machine
from .measures import _model, _noise

N_VOLUMES, N_TRAINED = 256, 1600

PRESETS = {
    "pointwise": ("fp32",),
    "linear": ("fp32",),
    "contextual": ("fp32", "bf16"),
    "autoencoder": ("fp32", "bf16"),
    "published": ("fp32", "bf16"),
}

FITTED = ("pointwise", "linear")
"""What gives nothing before it has been fitted."""


def model_of(preset: str, precision: str) -> Model:
    """Make a model: with the weights that it has before training, or fitted to noise."""
    if preset not in FITTED:
        return _model(preset, precision)
    grid = load_grid()
    with tempfile.TemporaryDirectory() as folder:
        cache = write_cache(_noise(100, grid), Path(folder, "run.npy"))
        return train_on_caches([cache], grid, training=Training(preset=preset), work_dir=folder)[0]


def extraction(preset: str, precision: str) -> dict[str, float]:
    """Extract the networks of noise: s per volume, peak memory of the device in GB, agreement with the processor."""
    model = model_of(preset, precision)
    volumes = _noise(N_VOLUMES, model.grid)
    cuda = torch.device("cuda")
    extract_networks(model, volumes[:16], device=cuda)
    torch.cuda.reset_peak_memory_stats()
    started = time.perf_counter()
    maps = extract_networks(model, volumes, device=cuda).signed
    seconds = (time.perf_counter() - started) / N_VOLUMES
    model.card["Precision"] = "fp32"
    ours = extract_networks(model, volumes[:2], device="cpu").signed
    pairs = zip(maps[:, :2].reshape(4, -1), ours.reshape(4, -1), strict=True)
    differences = [(float(np.corrcoef(a, b)[0, 1]), float(np.abs(a - b).max() / b.std())) for a, b in pairs]
    return {
        "seconds_per_volume": seconds,
        "peak_gb": torch.cuda.max_memory_allocated() / 1e9,
        "lowest_r_with_fp32_on_the_processor": min(r for r, _ in differences),
        "largest_difference_in_sd": max(d for _, d in differences),
    }


def training(precision: str) -> dict[str, float]:
    """Train the autoencoder on noise: s per volume shown, from its start to its end."""
    grid = load_grid()
    with tempfile.TemporaryDirectory() as folder:
        cache = write_cache(_noise(400, grid), Path(folder, "run.npy"))
        torch.cuda.reset_peak_memory_stats()
        started = time.perf_counter()
        wanted = Training(preset="autoencoder", train_volumes=N_TRAINED, precision=precision, device="cuda")
        train_on_caches([cache], grid, training=wanted, work_dir=folder)
        return {
            "seconds_per_volume": (time.perf_counter() - started) / N_TRAINED,
            "peak_gb": torch.cuda.max_memory_allocated() / 1e9,
        }


def main() -> None:
    if not torch.cuda.is_available():
        sys.exit("PyTorch finds no CUDA device here: there is nothing to measure.")
    found = {
        "machine": machine() | {"device": torch.cuda.get_device_name()},
        "extraction": {
            f"{preset} {precision}": extraction(preset, precision)
            for preset, precisions in PRESETS.items()
            for precision in precisions
        },
        "training": {f"autoencoder {precision}": training(precision) for precision in ("fp32", "bf16")},
    }
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else RESULTS
    (folder / "cuda.json").write_text(json.dumps(found, indent=2) + "\n")
    for part in ("extraction", "training"):
        for name, figures in found[part].items():
            print(f"{part} {name}: " + ", ".join(f"{key} {value:.5g}" for key, value in figures.items()))


if __name__ == "__main__":
    main()

"""Golden results: what every preset gives for a planted run, in a few hundred numbers: ``python -m tools.golden``.

Tests hold what another number of threads, or another precision, gives against them, within the tolerances that stand
here and in ``docs/method.md``. Presets whose attention ships are fitted to the planted run in closed form; the others
have seeded weights as they are before training, because what a training adds is no property of the preset.

``python -m tools.golden`` writes ``tests/golden/maps.json`` anew, in fp32 and one thread; ``--measure PRECISION,…
PRESET …`` prints the same numbers as they are here, by precision, for the threads of ``OMP_NUM_THREADS``.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from scaae_nipype.files import write_text
from scaae_nipype.grid import Grid, load_grid
from scaae_nipype.simulation import simulate_run

__all__ = ["FILE", "FITTED_ANEW", "THREADS", "TOLERANCES", "Difference", "differences", "measure", "planted_volumes"]

FILE = Path(__file__).parents[1] / "tests" / "golden" / "maps.json"

SEED, N_VOLUMES = 16, 60
"""Of the planted run."""

VOLUMES = (10, 30, 50)
"""Volumes whose maps are kept."""

N_VOXELS = 100
"""Voxels of each map that are kept, spread evenly over the mask."""


class Difference(NamedTuple):
    """How far maps are from the golden ones at most."""

    voxel: float
    """Largest difference in a voxel, in standard deviations of the map."""
    correlation: float
    """1 less the lowest Pearson r of a map's kept voxels."""
    size: float
    """Largest difference of a map's standard deviation, as a part of it."""


THREADS = {"fp32": Difference(0.001, 1e-6, 1e-4), "bf16": Difference(0.02, 1e-6, 1e-4)}
"""What another number of threads may change on the same machine, by the precision.

Measured: 0.00001 and 1e-12 in fp32, 0.002 and 3e-8 in bf16 (a sum that differs in its last bit may round otherwise).
"""

TOLERANCES = {"fp32": Difference(0.005, 1e-6, 0.001), "bf16": Difference(0.15, 3e-4, 0.01)}
"""How far from the golden maps others may be, by their precision, also on another kind of processor.

Measured: 0.0002, 6e-10 and 0.00002 in fp32 without AVX-512, which the golden maps were computed with; 0.04, 5e-5 and
0.002 in bf16 with it.
"""

FITTED_ANEW = Difference(1.0, 0.05, 0.3)
"""The same for the pointwise preset, whose independent components are sensitive to the last bit where volumes are few.

Measured: 0 on the same kind of processor, 0.47, 0.014 and 0.12 without AVX-512.
"""


def planted_volumes(grid: Grid) -> np.ndarray:
    """Simulate the planted run: z-scored volumes, (N_VOLUMES, n_voxels)."""
    bold = simulate_run(grid=grid, seed=SEED, n_volumes=N_VOLUMES).bold()
    centred = bold - bold.mean(axis=0)
    return (centred / (bold.std(axis=0, ddof=1) + np.float32(1e-6))).astype(np.float32)


def measure(presets: Sequence[str], precisions: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Give the golden numbers of presets, computed here in as many threads as PyTorch has.

    Parameters
    ----------
    presets : sequence of str
    precisions : sequence of str
        ``fp32``, ``bf16``, used whether the processor has it or emulates it; each of the same fitted networks.

    Returns
    -------
    dict
        Precision, then preset, to ``Precision``, ``StandardDeviations`` (2 branches, volumes) and ``Maps`` (2, volumes,
        voxels), in standard deviations of each map.
    """
    grid = load_grid()
    volumes = planted_volumes(grid)
    models = {name: _model(name, volumes, grid) for name in presets}
    return {
        precision: {name: _numbers_of(model, volumes, grid, precision) for name, model in models.items()}
        for precision in precisions
    }


def _numbers_of(model: Any, volumes: np.ndarray, grid: Grid, precision: str) -> dict[str, Any]:
    from scaae_nipype.model import extract_networks

    model.card |= {"Precision": precision, "PrecisionDemanded": True}
    found = extract_networks(model, volumes[list(VOLUMES)], device="cpu")
    spread = found.signed.std(axis=-1)
    chosen = np.linspace(0, grid.n_voxels - 1, N_VOXELS).astype(int)
    maps = (found.signed[..., chosen] - found.signed.mean(axis=-1, keepdims=True)) / spread[..., None]
    return {
        "Precision": found.precision,
        "StandardDeviations": [[float(f"{value:.6g}") for value in row] for row in spread],
        "Maps": np.round(maps.astype(float), 5).tolist(),
    }


def _model(name: str, volumes: np.ndarray, grid: Grid) -> Any:
    from scaae_nipype.model import PRESETS, Model
    from scaae_nipype.model.group_pca import fit_group_pca
    from scaae_nipype.model.training.fitted_context import train_contextual
    from scaae_nipype.model.training.fitted_pointwise import train_pointwise
    from scaae_nipype.model.training.volumes import VolumeCache, write_cache
    from scaae_nipype.model.weights import new_network

    model = Model(new_network(PRESETS[name], grid, seed=SEED), grid, {})
    with tempfile.TemporaryDirectory(prefix="scaae-golden-") as folder:
        cache = VolumeCache.open([write_cache(volumes, Path(folder, "run.npy"))], grid)
        if PRESETS[name].pointwise:
            train_pointwise(model, cache, fit_group_pca(cache.runs, grid), seed=SEED)
        elif PRESETS[name].context:
            train_contextual(model, cache, seed=SEED)
        del cache
    model.network.eval()
    return model


def differences(golden: Mapping[str, Any], found: Mapping[str, Any]) -> Difference:
    """Compare the numbers of one preset with the golden ones.

    >>> one = {"Maps": [[[0.0, 1.0, 2.0]]], "StandardDeviations": [[2.0]]}
    >>> differences(one, {"Maps": [[[0.0, 1.0, 2.5]]], "StandardDeviations": [[2.0]]}).voxel
    0.5
    """
    here, there = np.array(golden["Maps"]), np.array(found["Maps"])
    size, other = np.array(golden["StandardDeviations"]), np.array(found["StandardDeviations"])
    flat = (maps.reshape(-1, maps.shape[-1]) for maps in (here, there))
    lowest = min(np.corrcoef(a, b)[0, 1] for a, b in zip(*flat, strict=True))
    return Difference(
        float(np.abs(here - there).max()), float(1 - lowest), float(np.abs(other / size - 1).max(initial=0))
    )


def _main(arguments: Sequence[str]) -> int:
    import torch

    from scaae_nipype.model import PRESETS

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    if arguments[:1] == ["--measure"]:
        json.dump(measure(arguments[2:], arguments[1].split(",")), sys.stdout)
        return 0
    content = {"Seed": SEED, "Volumes": list(VOLUMES), "Presets": measure(list(PRESETS), ["fp32"])["fp32"]}
    write_text(json.dumps(content) + "\n", FILE)
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))

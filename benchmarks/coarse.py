"""The model's grid at half its resolution, which makes hundreds of runs and dozens of trainings affordable.

Runs are simulated on the 4 mm grid and averaged: made at 8 mm directly, the same SNR would hold far less signal. The
network is the default one, its attention trained at 8 mm (``python -m benchmarks.start --voxel-size 8``).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
from safetensors.torch import load_file

from benchmarks.planted import SMOOTHING_SIGMA, PlantedRun, clean, grid_of_model
from scaae_nipype.grid import Grid, smooth
from scaae_nipype.model.network.contextual import ContextualSCAAE
from scaae_nipype.simulation import SimulatedRun, planted_networks, simulate_run

__all__ = ["coarse_grid", "coarse_planted_run", "coarse_study", "coarsen", "load_coarse_start", "smoothed_bold"]

START_8MM = Path(__file__).parent / "results" / "start_8mm.safetensors"


@cache
def coarse_grid() -> Grid:
    """Give the grid of 2 x 2 x 2 voxels of the model's; a voxel is brain if half of it is."""
    fine = grid_of_model()
    affine = fine.affine.copy()
    affine[:3, 3] += affine[:3, :3].sum(axis=1) / 2
    affine[:3, :3] *= 2
    return Grid(affine, _cubes(fine.mask[None]).sum(axis=-1)[0] >= 4)


def coarsen(vectors: np.ndarray) -> np.ndarray:
    """Average the brain's voxels in every coarse one: (n, n_voxels at 4 mm) to (n, n_voxels at 8 mm), float32."""
    fine, coarse = grid_of_model(), coarse_grid()
    counts = _cubes(fine.mask[None]).sum(axis=-1)[0][coarse.mask]
    averaged = np.empty((len(vectors), coarse.n_voxels), dtype=np.float32)
    for number, vector in enumerate(vectors):
        sums = _cubes(fine.volumes(np.asarray(vector, dtype=np.float32))[None]).sum(axis=-1)[0]
        averaged[number] = sums[coarse.mask] / counts
    return averaged


def _cubes(volumes: np.ndarray) -> np.ndarray:
    """Cut (n, X, Y, Z) in cubes of 2 x 2 x 2: (n, X / 2, Y / 2, Z / 2, 8)."""
    padded = np.pad(volumes, [(0, 0), *((0, size % 2) for size in volumes.shape[1:])])
    n, x, y, z = padded.shape
    cubes = padded.reshape(n, x // 2, 2, y // 2, 2, z // 2, 2)
    return np.moveaxis(cubes, (2, 4, 6), (4, 5, 6)).reshape(n, x // 2, y // 2, z // 2, 8)


def smoothed_bold(run: SimulatedRun) -> np.ndarray:
    """Smooth a run as the preparation does, then average it to the coarse grid: (n_volumes, n_voxels at 8 mm)."""
    return coarsen(smooth(run.bold(), run.grid, SMOOTHING_SIGMA))


def coarse_planted_run(regime: str, snr: float, seed: int) -> PlantedRun:
    """Simulate a run at 4 mm, prepare it, and give it and its truth at 8 mm."""
    run = simulate_run(grid=grid_of_model(), seed=seed, regime=regime, snr=snr)
    data = clean(smoothed_bold(run), run, already_smooth=True).data
    networks = planted_networks(coarse_grid())
    return PlantedRun(data, coarsen(run.planted()), networks, run.time_courses.bold, run.time_courses.states)


def coarse_study(study: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Average a study of `benchmarks.start` to the coarse grid; contexts are left out, they have to be fitted anew."""
    result = {"maps": coarsen(study["maps"]).astype(np.float16), "n_runs": study["n_runs"]}
    for run in range(int(study["n_runs"])):
        cleaned = coarsen(study[f"volumes{run}"].astype(np.float32) * study[f"spread{run}"])
        spread = cleaned.std(axis=0, ddof=1) + np.float32(1e-6)
        result |= {
            f"volumes{run}": ((cleaned - cleaned.mean(axis=0)) / spread).astype(np.float16),
            f"courses{run}": study[f"courses{run}"],
            f"spread{run}": spread,
        }
    return result


def load_coarse_start(network: ContextualSCAAE) -> None:
    """Put the attention that was trained at 8 mm into a network on the coarse grid."""
    tensors = {name: tensor.float() for name, tensor in load_file(START_8MM).items()}
    network.load_state_dict({**network.state_dict(), **tensors})

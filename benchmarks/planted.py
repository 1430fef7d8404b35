"""Simulated runs on the model's grid, prepared as `prepare_run` does it, without files in between."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scaae_nipype.grid import Grid, load_grid, smooth
from scaae_nipype.preparation.denoising import temporal_operator
from scaae_nipype.simulation import PlantedNetworks, SimulatedRun, planted_networks, simulate_run

SMOOTHING_SIGMA = 6.0 / np.sqrt(8 * np.log(2))
"""6 mm full width at half maximum, the default of the preparation, as a standard deviation in mm."""

HIGH_PASS = 0.008
"""In Hz, the default."""


@dataclass(frozen=True, eq=False)
class Cleaned:
    """A prepared run.

    Parameters
    ----------
    data : float32 array, (n_volumes, n_voxels)
        z-scored.
    spread : float32 array, (n_voxels,)
        Standard deviation of each cleaned voxel before it was z-scored.
    operator : float32 array, (n_volumes, n_volumes)
        What cleaned it.
    """

    data: np.ndarray
    spread: np.ndarray
    operator: np.ndarray


def grid_of_model() -> Grid:
    return load_grid()


def clean(bold: np.ndarray, run: SimulatedRun, *, already_smooth: bool = False) -> Cleaned:
    """Smooth, regress 24 motion parameters, white matter and CSF out, filter and z-score (strategy ``auto``)."""
    data = bold if already_smooth else smooth(bold, run.grid, SMOOTHING_SIGMA).astype(np.float32)
    columns = [c for c in run.confounds if c.startswith(("trans_", "rot_")) or c in ("white_matter", "csf")]
    operator = temporal_operator(
        np.ones(len(data), dtype=bool),
        run.confounds[columns].fillna(0).to_numpy(),
        repetition_time=run.settings.repetition_time,
        high_pass=HIGH_PASS,
    ).astype(np.float32)
    cleaned = operator @ (data - data.mean(axis=0))
    cleaned -= cleaned.mean(axis=0)
    spread = cleaned.std(axis=0, ddof=1) + np.float32(1e-6)
    return Cleaned(cleaned / spread, spread, operator)


@dataclass(frozen=True, eq=False)
class PlantedRun:
    """A prepared run and its truth.

    Parameters
    ----------
    data, truth : float32 arrays, (n_volumes, n_voxels)
        z-scored volumes; noise-free planted volumes.
    networks : PlantedNetworks
    bold : float array, (n_volumes, n_networks)
        Planted time courses after the haemodynamic response.
    states : int array, (n_volumes,)
        The network that dominates each volume; -1 in regimes without states.
    repetition_time : float
        In s.
    """

    data: np.ndarray
    truth: np.ndarray
    networks: PlantedNetworks
    bold: np.ndarray
    states: np.ndarray
    repetition_time: float = 2.0


def planted_run(
    regime: str, snr: float, seed: int, *, grid: Grid, networks: PlantedNetworks | None = None
) -> PlantedRun:
    """Simulate and prepare a run of the reference setting (150 volumes, repetition time 2 s)."""
    networks = networks or planted_networks(grid)
    run = simulate_run(grid=grid, seed=seed, regime=regime, snr=snr, networks=networks)
    data = clean(run.bold(), run).data
    return PlantedRun(data, run.planted(), networks, run.time_courses.bold, run.time_courses.states)

"""One simulated run: planted networks that vary in time, under noise, drift, motion and a global signal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
import pandas as pd

from ..errors import UsageError
from ..grid import Grid
from ..options import about, described, setting
from .confounds_table import confounds_table
from .motion import free_volumes, motion_maps, motion_parameters, spin_history
from .noise import drift_factors, global_factor, noise_volumes
from .planted import PlantedNetworks, planted_networks
from .timecourses import REGIMES, Block, Regime, TimeCourses, default_transitions, make_time_courses
from .tissues import BASELINE, fit_tissues

__all__ = ["NOISE_SD", "RunSettings", "SimulatedRun", "simulate_run"]

NOISE_SD = 0.01 * BASELINE["grey"]
"""Standard deviation of the noise in units of BOLD intensity: 1 % of grey matter."""

DUMMY_EXCESS = 0.25
"""Extra intensity of the very first volume, when longitudinal magnetisation has not settled."""

DUMMY_TIME_CONSTANT = 1.4
"""T1 of grey matter at 3 T in s."""


@described
@dataclass(frozen=True)
class RunSettings:
    """What a simulated run is like. The defaults are the reference setting; what cannot be raises `UsageError`."""

    regime: Regime = setting("exclusive", "how networks vary in time: see `make_time_courses`")
    n_volumes: int = setting(150, "volumes", low=4)
    repetition_time: float = setting(2.0, "time from volume to volume", unit="s")
    snr: float = setting(
        0.5,
        "amplitude of a fully active network at its peak voxel over the standard deviation of the noise (spatially "
        "smooth and autocorrelated as it is, before any smoothing of the preparation; drift, motion and global signal "
        "excluded)",
        low=0,
    )
    mean_dwell: float = setting(12.0, "mean duration of a state", unit="s")
    transition_preference: float = setting(0.4, "see `default_transitions`")
    occupancy: tuple[float, ...] | None = setting(
        None, "relative attraction of every network", default="all are equally attractive"
    )
    deactivation: float = setting(0.7, "depth of the suppressed network in regime ``deactivations``", low=0)
    noise_smoothness_fwhm: float = setting(4.0, "smoothness of the noise", unit="mm", low=0)
    ar1: float = setting(0.3, "correlation of the noise with that of the volume before, below 1", low=0)
    drift: float = setting(
        0.5, "standard deviation over time in an average voxel, in standard deviations of the noise", low=0
    )
    global_signal: float = setting(
        0.3, "standard deviation over time in grey matter, in standard deviations of the noise", low=0
    )
    head_motion: float = setting(
        1.0, "multiplies the slow motion of the head; 0 is a head that is still between spikes", low=0
    )
    motion_spikes: int = setting(0, "sudden movements that last one volume", low=0)
    n_dummies: int = setting(0, "volumes at the start that are brighter, before the steady state", low=0)

    def __post_init__(self) -> None:
        if self.regime not in REGIMES:
            raise UsageError(f"The regime {self.regime!r} is unknown; choose one of {', '.join(REGIMES)}.")
        for one in fields(self):
            value, lowest = getattr(self, one.name), about(one).low
            if lowest is not None and not (np.isfinite(value) and value >= lowest):
                raise UsageError(f"The simulation's {one.name} is {value}; it has to be {lowest} or more.")
        for name in ("repetition_time", "mean_dwell"):
            if not (np.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise UsageError(f"The simulation's {name} is {getattr(self, name)} s; it has to be above 0.")
        if self.ar1 >= 1:
            raise UsageError(f"The simulation's ar1 is {self.ar1}; it has to be below 1.")
        if self.n_dummies >= self.n_volumes:
            raise UsageError(f"The simulation has {self.n_dummies} dummies in {self.n_volumes} volumes; take fewer.")
        if self.motion_spikes:
            free_volumes(self.n_volumes, self.motion_spikes)


@dataclass(frozen=True, eq=False)
class SimulatedRun:
    """A simulated run with its truth. Large arrays are kept as factors; volumes are made when asked for.

    Parameters
    ----------
    grid : Grid
    settings : RunSettings
    networks : PlantedNetworks
        K maps, peak 1.
    time_courses : TimeCourses
        (T, K) after the haemodynamic response, plateau 1, and the states.
    noise : float32 array, (n_volumes, n_voxels)
        Standard deviation 1.
    nuisance_time_courses : float array, (n_volumes, M)
    nuisance_maps : float32 array, (M, n_voxels)
        In standard deviations of the noise.
    nuisance_names : tuple of str
        M names: drift, global signal, motion, spin history, steady state.
    baseline : float32 array, (n_voxels,)
        In units of BOLD intensity.
    motion : DataFrame, (n_volumes, 6)
    spikes : int array
        Volumes with a motion spike.
    confounds : DataFrame
    confounds_metadata : dict
    blocks : tuple of Block
        The task.
    """

    grid: Grid
    settings: RunSettings
    networks: PlantedNetworks
    time_courses: TimeCourses
    noise: np.ndarray
    nuisance_time_courses: np.ndarray
    nuisance_maps: np.ndarray
    nuisance_names: tuple[str, ...]
    baseline: np.ndarray
    motion: pd.DataFrame
    spikes: np.ndarray
    confounds: pd.DataFrame
    confounds_metadata: dict[str, Any]
    blocks: tuple[Block, ...]

    def planted(self, volumes: slice = slice(None)) -> np.ndarray:
        """Give the noise-free planted volumes in standard deviations of the noise: float32, (n, n_voxels)."""
        weights = (self.settings.snr * self.time_courses.bold[volumes]).astype(np.float32)
        return weights @ self.networks.maps

    def nuisance(self, volumes: slice = slice(None)) -> np.ndarray:
        """Give drift, global signal and motion in standard deviations of the noise: float32, (n, n_voxels)."""
        return self.nuisance_time_courses[volumes].astype(np.float32) @ self.nuisance_maps

    def bold(self, volumes: slice = slice(None)) -> np.ndarray:
        """Give what the scanner would have measured, in units of BOLD intensity: float32, (n, n_voxels)."""
        intensities = self.planted(volumes)
        intensities += self.nuisance(volumes)
        intensities += self.noise[volumes]
        intensities *= np.float32(NOISE_SD)
        intensities += self.baseline
        return intensities

    def parameters(self) -> dict[str, Any]:
        """Give the settings as a plain dictionary."""
        return asdict(self.settings)


def simulate_run(
    *,
    grid: Grid,
    seed: int | np.random.SeedSequence,
    settings: RunSettings | None = None,
    networks: PlantedNetworks | None = None,
    blocks: Sequence[Block] = (),
    **changes: Any,
) -> SimulatedRun:
    """Simulate one run. The same arguments give the same run.

    Time courses, noise, motion and nuisance come from separate streams of the seed: another SNR, or no drift, leaves
    the sequence of states as it was.

    Parameters
    ----------
    grid : Grid
        For instance `source_grid(4)`, or the model's own.
    seed : int or SeedSequence
    settings : RunSettings, optional
        Defaults to the reference setting.
    networks : PlantedNetworks, optional
        Networks on `grid`; by default `planted_networks(grid)`.
    blocks : sequence of Block, optional
        A task whose conditions drive networks.
    **changes
        Fields of `RunSettings` that replace those of `settings`.

    Raises
    ------
    UsageError
        If a setting is out of range, or the networks lie on another grid.

    Examples
    --------
    >>> from scaae_nipype.simulation.tissues import source_grid
    >>> run = simulate_run(grid=source_grid(8), seed=1, regime="mixture", n_volumes=20, motion_spikes=1)
    >>> run.bold().shape == (20, run.grid.n_voxels), run.planted(slice(0, 2)).shape[0], len(run.spikes)
    (True, 2, 1)
    """
    settings = RunSettings(**{**(asdict(settings) if settings else {}), **changes})
    networks = networks or planted_networks(grid)
    if networks.grid.checksum != grid.checksum:
        raise UsageError("The planted networks lie on another grid than the run; make them on the run's grid.")
    time_rng, noise_rng, motion_rng, drift_rng, global_rng = np.random.default_rng(seed).spawn(5)
    time_courses = make_time_courses(
        regime=settings.regime,
        n_networks=len(networks),
        n_volumes=settings.n_volumes,
        repetition_time=settings.repetition_time,
        rng=time_rng,
        mean_dwell=settings.mean_dwell,
        transitions=default_transitions(
            len(networks), preference=settings.transition_preference, occupancy=settings.occupancy
        ),
        deactivation=settings.deactivation,
        blocks=blocks,
    )
    noise = np.empty((settings.n_volumes, grid.n_voxels), dtype=np.float32)
    drawn = noise_volumes(
        grid, settings.n_volumes, fwhm=settings.noise_smoothness_fwhm, ar1=settings.ar1, rng=noise_rng
    )
    for index, volume in enumerate(drawn):
        noise[index] = volume
    motion, spikes = motion_parameters(
        settings.n_volumes,
        repetition_time=settings.repetition_time,
        amount=settings.head_motion,
        n_spikes=settings.motion_spikes,
        rng=motion_rng,
    )
    tissues = fit_tissues(grid)
    factors = _nuisance_factors(grid, settings, motion, drift_rng, global_rng)
    run = SimulatedRun(
        grid=grid,
        settings=settings,
        networks=networks,
        time_courses=time_courses,
        noise=noise,
        nuisance_time_courses=np.column_stack([time_course for time_course, _ in factors.values()]),
        nuisance_maps=np.concatenate([maps for _, maps in factors.values()]),
        nuisance_names=tuple(name for name, (_, maps) in factors.items() for _ in maps),
        baseline=tissues.baseline,
        motion=motion,
        spikes=spikes,
        confounds=pd.DataFrame(),
        confounds_metadata={},
        blocks=tuple(blocks),
    )
    table, metadata = confounds_table(
        run.bold(),
        tissues=tissues,
        motion=motion,
        repetition_time=settings.repetition_time,
        n_dummies=settings.n_dummies,
    )
    return replace(run, confounds=table, confounds_metadata=metadata)


def _nuisance_factors(
    grid: Grid,
    settings: RunSettings,
    motion: pd.DataFrame,
    drift_rng: np.random.Generator,
    global_rng: np.random.Generator,
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Give time courses (n_volumes, M) and maps (M, n_voxels), in standard deviations of the noise, by their cause."""
    tissues, everywhere = fit_tissues(grid), np.ones((1, grid.n_voxels), dtype=np.float32)
    return {
        "drift": drift_factors(grid, settings.n_volumes, settings.drift, drift_rng),
        "global_signal": global_factor(
            tissues,
            settings.n_volumes,
            repetition_time=settings.repetition_time,
            amplitude=settings.global_signal,
            rng=global_rng,
        ),
        "motion": (motion.to_numpy(), motion_maps(grid, tissues) / np.float32(NOISE_SD)),
        "spin_history": (spin_history(motion)[:, None], everywhere),
        "steady_state": (_saturation(settings)[:, None], tissues.baseline[None] / np.float32(NOISE_SD)),
    }


def _saturation(settings: RunSettings) -> np.ndarray:
    """Give the share by which each volume is brighter than in the steady state, (n_volumes,)."""
    seconds = np.arange(settings.n_volumes) * settings.repetition_time
    excess = DUMMY_EXCESS * np.exp(-seconds / DUMMY_TIME_CONSTANT)
    return np.where(np.arange(settings.n_volumes) < settings.n_dummies, excess, 0.0)

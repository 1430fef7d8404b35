"""Planted data of two kinds, with people who differ from each other: where, how wide and how strong networks are.

``regions`` are the simulator's own networks, sums of Gaussian regions, mostly bilateral; the shipped attention was
trained on others of that kind. ``parcels`` are of another kind that no training uses: surrogates of the shipped
Seitzman parcels of one hemisphere, irregular patches on both sides without symmetry, under noise whose variance and
smoothness differ over the brain and over time, or under residuals of real people.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, replace
from functools import cache, lru_cache
from importlib import resources
from pathlib import Path
from typing import Literal

import nibabel as nib
import numpy as np
from scipy.ndimage import map_coordinates
from scipy.signal import lfilter
from scipy.stats import gamma

from benchmarks.judge.runs import smooth_space
from benchmarks.planted import PlantedRun, clean, grid_of_model, planted_run
from scaae_nipype.evaluation.nulls.surrogate_templates import give_values, surrogate_ranks
from scaae_nipype.grid import Grid
from scaae_nipype.simulation import PlantedNetworks, SimulatedRun, fit_tissues, planted_networks, simulate_run
from scaae_nipype.simulation.noise import smooth_field
from scaae_nipype.simulation.timecourses import (
    LONGEST_STEP,
    WARM_UP,
    TimeCourses,
    default_transitions,
    gaussian_like,
    semi_markov,
    soft_mixture,
)

__all__ = [
    "LEVELS",
    "Plant",
    "cached",
    "haemodynamic_response",
    "harder",
    "other_noise",
    "person",
    "planted",
    "population",
]

Generator = Literal["regions", "parcels"]

N_PARCEL_NETWORKS = 5
"""The largest of the parcellation; their halves in the left and right hemisphere are ten networks."""

PARCEL_SEED, PARCEL_SET = 4242, 5
"""Of the population's networks of the second generator: the first set of which no map is like its own mirror image
(r below 0.1 for all ten)."""

PARCEL_FWHM = 12.0
"""In mm: joins neighbouring parcels (spheres of 8 mm) to patches before surrogates are made of them."""

WARP_FWHM = 40.0
"""In mm: how smoothly one person's brain is displaced against another's."""

N_REMOVED = 8
"""Leading components that are taken off real people's runs before what is left serves as noise."""

STREAM = 77
"""Sets what is drawn here apart from what the simulator draws from the same seed."""


@dataclass(frozen=True)
class Plant:
    """What is planted. The defaults are the simulator's reference setting, in which all people are alike.

    Parameters
    ----------
    generator : {"regions", "parcels"}
    regime : str
        As in `scaae_nipype.simulation.RunSettings`.
    snr : float
    place : float
        Standard deviation in mm, along each axis, by which networks lie elsewhere in another person.
    spread : float
        Largest relative change of each network's extent and of its strength between people.
    responses : bool
        Whether haemodynamic responses differ between people and networks.
    dwell : pair of float
        Shortest and longest mean dwell time of a person, in s.
    repetition_time : pair of float
        Shortest and longest of a run, in s.
    noise : {"simulated", "restless", "residuals"}
        The simulator's; the second generator's; what is left of real people without their leading components.
    """

    generator: Generator = "regions"
    regime: str = "exclusive"
    snr: float = 0.5
    place: float = 0.0
    spread: float = 0.0
    responses: bool = False
    dwell: tuple[float, float] = (12.0, 12.0)
    repetition_time: tuple[float, float] = (2.0, 2.0)
    noise: Literal["simulated", "restless", "residuals"] = "simulated"

    @property
    def key(self) -> str:
        """Name the plant in files: what it is made of, and that only."""
        people = f"{self.place:g}mm" if not self.is_plain else "alike"
        return f"{self.generator} {self.regime} {self.snr:g} {people} {self.noise}"

    @property
    def is_plain(self) -> bool:
        """Tell whether all people are alike, as in the simulator's reference setting."""
        changed = replace(Plant(), generator=self.generator, regime=self.regime, snr=self.snr, noise=self.noise)
        return self == changed


def harder(generator: Generator, *, regime: str = "exclusive", snr: float = 0.5, place: float = 6.0) -> Plant:
    """Give a plant in which people differ in everything."""
    return Plant(
        generator,
        regime,
        snr,
        place=place,
        spread=0.3,
        responses=True,
        dwell=(4.0, 20.0),
        repetition_time=(0.7, 3.0),
        noise="simulated" if generator == "regions" else "restless",
    )


REGIMES = ("exclusive", "mixture", "stationary", "deactivations")

LEVELS: dict[str, tuple[Plant, ...]] = {
    "quick": (Plant(), harder("parcels")),
    "full": tuple(
        plant
        for snr in (0.25, 0.5, 1.0)
        for regime in REGIMES
        for plant in (
            Plant(regime=regime, snr=snr),
            replace(harder("parcels", regime=regime, snr=snr), place=0.0),
            harder("regions", regime=regime, snr=snr, place=3.0),
            harder("regions", regime=regime, snr=snr),
            harder("parcels", regime=regime, snr=snr),
            replace(harder("parcels", regime=regime, snr=snr), noise="residuals"),
        )
    ),
}
"""One setting of each generator, and the grid; residuals need the people's data beside the checkout."""


def planted(plant: Plant, seed: int) -> PlantedRun:
    """Simulate and prepare a run; another seed is another person. The same arguments give the same run."""
    grid = grid_of_model()
    if plant == Plant(regime=plant.regime, snr=plant.snr):
        return planted_run(plant.regime, plant.snr, seed, grid=grid)  # just as the older tables
    rng = np.random.default_rng((STREAM, seed))
    own = person(plant, seed)
    dwell = float(np.exp(rng.uniform(*np.log(plant.dwell))))
    repetition_time = round(float(rng.uniform(*plant.repetition_time)), 2)
    base = simulate_run(  # everything but the networks
        grid=grid, seed=seed, networks=own, regime=plant.regime, snr=0, repetition_time=repetition_time
    )
    courses = _time_courses(plant, len(own), base.settings.n_volumes, dwell, repetition_time, rng)
    noise = base.noise if plant.noise == "simulated" else other_noise(plant.noise, base, rng)
    settings = replace(base.settings, snr=plant.snr, mean_dwell=dwell)
    run = replace(base, settings=settings, time_courses=courses, noise=noise)
    bold = run.bold()
    tissues = fit_tissues(grid)
    confounds = run.confounds.assign(
        white_matter=bold[:, tissues.white_mask].mean(axis=1), csf=bold[:, tissues.csf_mask].mean(axis=1)
    )
    data = clean(bold, replace(run, confounds=confounds)).data
    return PlantedRun(data, run.planted(), own, courses.bold, courses.states, repetition_time)


def population(generator: Generator) -> PlantedNetworks:
    """Give the networks that all people share but for their differences."""
    return planted_networks(grid_of_model()) if generator == "regions" else _parcel_networks()


def person(plant: Plant, seed: int) -> PlantedNetworks:
    """Give one person's networks; their maxima are the strengths, 1 where people are alike."""
    rng = np.random.default_rng((STREAM, seed, 1))
    grid, shared = grid_of_model(), population(plant.generator)
    maps = shared.maps
    if plant.place and plant.generator == "regions":
        maps = planted_networks(grid, jitter=plant.place, rng=rng).maps
    elif plant.place:
        maps = _warped(maps, grid, plant.place, rng)
    if plant.spread:
        low, high = 1 - plant.spread, 1 + plant.spread
        extent, strength = rng.uniform(low, high, (2, len(maps), 1)).astype(np.float32)
        # the square root of -2 log of a Gaussian profile is distance over width: this power scales the width
        maps = strength * np.maximum(maps, 0) ** (1 / extent**2)
    return PlantedNetworks(grid, maps, shared.names)


def _warped(maps: np.ndarray, grid: Grid, distance: float, rng: np.random.Generator) -> np.ndarray:
    """Displace maps by a smooth field of a standard deviation in mm along each axis; peaks keep their height."""
    here = np.argwhere(grid.mask).T.astype(np.float64)
    moved = (
        here + np.stack([smooth_field(grid, WARP_FWHM, rng) for _ in range(3)]) * distance / grid.voxel_sizes[:, None]
    )
    volumes = grid.volumes(maps)
    found = np.stack([map_coordinates(volume, moved, order=1, mode="constant") for volume in volumes])
    return (found / np.maximum(found.max(axis=1, keepdims=True), 1e-6)).astype(np.float32)


@cache
def _parcel_networks() -> PlantedNetworks:
    """Make surrogates of the largest Seitzman networks' parcels in one hemisphere: no two of them are a pair."""
    grid = grid_of_model()
    with resources.as_file(resources.files("scaae_nipype.data") / "seitzman2018_dseg_4mm.nii.gz") as path:
        labels = grid.vectors(np.asarray(nib.load(path).dataobj))
    x = nib.affines.apply_affine(grid.affine, np.argwhere(grid.mask))[:, 0]
    sizes = np.bincount(labels.astype(int))
    sizes[0] = 0
    largest = np.sort(np.argsort(sizes)[::-1][:N_PARCEL_NETWORKS])
    halves = np.stack([(labels == label) & ((x < 0) == left) for label in largest for left in (True, False)])
    soft = smooth_space(halves.astype(np.float32), grid, PARCEL_FWHM / np.sqrt(8 * np.log(2)))
    soft /= soft.max(axis=1, keepdims=True)
    *_, ranks = surrogate_ranks(soft, grid, n_surrogates=PARCEL_SET + 1, seed=PARCEL_SEED)
    maps = np.stack([give_values(rank, own) for rank, own in zip(ranks, soft, strict=True)])
    return PlantedNetworks(grid, maps, tuple(f"parcels{number:02d}" for number in range(1, len(maps) + 1)))


def haemodynamic_response(
    step: float, *, delay: float = 6.0, undershoot: float = 16.0, dispersion: float = 1.0, ratio: float = 1 / 6
) -> np.ndarray:
    """Give a difference of two gamma densities (SPM's form and defaults) in steps of `step` s, sum 1, 32 s long.

    >>> response = haemodynamic_response(0.5)
    >>> float(response.argmax() * 0.5), round(float(response.sum()), 6)
    (5.0, 1.0)
    """
    time = np.arange(0, 32, step)
    peak = gamma.pdf(time, delay / dispersion, scale=dispersion)
    response = peak - ratio * gamma.pdf(time, undershoot / dispersion, scale=dispersion)
    return response / response.sum()


def _time_courses(
    plant: Plant, n_networks: int, n_volumes: int, dwell: float, repetition_time: float, rng: np.random.Generator
) -> TimeCourses:
    """Make time courses as the simulator does, but with a haemodynamic response of each network's own."""
    per_volume = int(np.ceil(repetition_time / LONGEST_STEP))
    step = repetition_time / per_volume
    warm_up = int(np.ceil(WARM_UP / step))
    n_steps = warm_up + n_volumes * per_volume
    neural, states = _activity(plant.regime, n_steps, n_networks, step, dwell, rng)
    bold = np.empty_like(neural)
    for number, course in enumerate(neural.T):
        shape = {}
        if plant.responses:
            shape = {
                "delay": rng.uniform(5, 7.5),
                "undershoot": rng.uniform(14, 18),
                "dispersion": rng.uniform(0.8, 1.2),
                "ratio": rng.uniform(0.05, 0.25),
            }
        bold[:, number] = lfilter(haemodynamic_response(step, **shape), [1.0], course)
    at_volumes = slice(warm_up, None, per_volume)
    return TimeCourses(bold[at_volumes], states[at_volumes])


def _activity(
    regime: str, n_steps: int, n_networks: int, step: float, dwell: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw neural activity (n_steps, n_networks) and states (n_steps,), -1 where there are none."""
    moves = default_transitions(n_networks)

    def sequence(length: int) -> np.ndarray:
        return semi_markov(length, step=step, mean_dwell=dwell, transitions=moves, rng=rng)

    def active(states: np.ndarray) -> np.ndarray:
        return (states[:, None] == np.arange(n_networks)).astype(float)

    if regime == "mixture":
        neural = soft_mixture(n_steps, n_networks, step=step, mean_dwell=dwell, rng=rng)
        return neural, neural.argmax(axis=1)
    if regime == "stationary":
        reference = np.stack([active(sequence(2 * n_steps)) for _ in range(24)])
        return gaussian_like(reference, n_steps, rng), np.full(n_steps, -1)
    states = sequence(n_steps)
    neural = active(states)
    if regime == "deactivations":
        neural -= 0.7 * np.roll(neural, n_networks // 2, axis=1)
    return neural, states


def other_noise(kind: str, base: SimulatedRun, rng: np.random.Generator) -> np.ndarray:
    """Draw noise of standard deviation 1 that is not the simulator's, (n_volumes, n_voxels)."""
    noise = _restless(base, rng) if kind == "restless" else _residual_noise(base, rng)
    noise -= noise.mean(axis=0)
    return (noise / np.sqrt((noise**2).mean())).astype(np.float32)


def _restless(base: SimulatedRun, rng: np.random.Generator) -> np.ndarray:
    """Mix the simulator's noise, heavy-tailed, with smooth and slow noise, in shares that differ over the brain."""
    grid, n_volumes = base.grid, len(base.noise)
    share = 1 / (1 + np.exp(1 - 1.5 * smooth_field(grid, WARP_FWHM, rng)))
    smooth = np.stack([smooth_field(grid, 12.0, rng) for _ in range(n_volumes)])
    slow = sum(lfilter([np.sqrt(1 - f**2)], [1, -f], smooth, axis=0) for f in (0.3, 0.9)) / np.sqrt(2)
    tails = np.sqrt(5 / rng.chisquare(5, (n_volumes, 1)))  # of a t distribution, common to a volume
    variance = np.exp(0.4 * smooth_field(grid, WARP_FWHM, rng))
    return variance * (np.sqrt(1 - share) * base.noise * tails + np.sqrt(share) * slow)


def _residual_noise(base: SimulatedRun, rng: np.random.Generator) -> np.ndarray:
    """Combine real people's residual volumes at random, autoregressive in time; a tenth of the variance is white.

    Voxels that a person's run does not cover have the simulator's noise.

    Raises
    ------
    FileNotFoundError
        Where the people's data is not beside the checkout.
    """
    residuals, region = _residuals()
    forget = base.settings.ar1
    drive = rng.standard_normal((len(base.noise), len(residuals)))
    weights = lfilter([np.sqrt(1 - forget**2)], [1, -forget], drive, axis=0).astype(np.float32)
    noise = base.noise.copy()
    there = weights @ residuals / np.float32(np.sqrt((residuals**2).sum(axis=0).mean()))
    noise[:, region] = np.float32(np.sqrt(0.9)) * there + np.float32(np.sqrt(0.1)) * rng.standard_normal(there.shape)
    return noise


@lru_cache(maxsize=1)
def _residuals() -> tuple[np.ndarray, np.ndarray]:
    """Give real people's volumes without the eight leading components of each run, and where they lie on the grid.

    Returns
    -------
    residuals : float32 array, (n_volumes of all, n_region_voxels)
    region : bool array, (n_voxels,)
    """
    from benchmarks.judge.people import load_people

    people = list(load_people().values())
    left = []
    for run in people:
        leading = np.linalg.svd(run.volumes, full_matrices=False)[0][:, :N_REMOVED]
        left.append(run.volumes - leading @ (leading.T @ run.volumes))
    return np.concatenate(left).astype(np.float32), grid_of_model().vectors(people[0].grid.mask)


def cached(plant: Plant, seed: int, folder: Path) -> PlantedRun:
    """Give a planted run from a folder, where it is written when it is first asked for."""
    grid = grid_of_model()
    path = folder / f"{plant.key} {seed}.npz"
    if not path.exists():
        run = planted(plant, seed)
        folder.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}.part.npz")  # another process may make the same
        np.savez(
            temporary,
            data=run.data.astype(np.float16),
            maps=run.networks.maps,
            weights=plant.snr * run.bold,
            states=run.states,
            repetition_time=run.repetition_time,
            plant=str(asdict(plant)),
        )
        temporary.replace(path)
    with np.load(path) as kept:
        networks = PlantedNetworks(grid, kept["maps"], population(plant.generator).names)
        weights = kept["weights"]
        truth = weights.astype(np.float32) @ networks.maps
        data, bold = kept["data"].astype(np.float32), weights / plant.snr
        return PlantedRun(data, truth, networks, bold, kept["states"], float(kept["repetition_time"]))

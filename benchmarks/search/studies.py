"""Small simulated studies in torch: a study is other people's runs and the runs that are to be read.

Every study has networks, regime, repetition time, noise and differences between people of its own. Two families of
networks are never mixed: trainings see ``regions`` (Gaussian blobs, as the product's `random_networks`, and unions of
them of other widths) and ``patches`` (unions of a random parcellation's cells, smoothed), validation sees ``fields``
(level sets of smooth random fields, neither round nor bilateral).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.search.context import orthonormal
from benchmarks.search.courses import REGIMES, ar1_matrix, cleaning_basis, time_courses
from benchmarks.search.head import Head, Smoothing, along_axes, gaussian_matrix

__all__ = ["Design", "Run", "Study", "draw_design", "noise_fields", "random_maps", "simulate"]

FWHM = np.sqrt(8 * np.log(2))
PREPARED_FWHM = 6.0
"""Smoothing of the preparation in mm."""

SHARES = (0.3, 0.3, 0.2, 0.2)
"""Of `REGIMES` in training studies; until 110,080 volumes 0.35, 0.35, 0.2, 0.1."""

RUNS_AT_ONCE = 6
PATCHES = 0.35
"""Share of the training studies whose networks are patches."""

UNEVEN_FWHM = 40.0
"""In mm: how smoothly the noise's strength differs over the brain."""

OTHERS = (0, 1, 2, 3, 3, 4, 6, 8, 12, 24, 24, 48, 100)
"""Numbers of other runs that a study may have."""


@dataclass(frozen=True)
class Design:
    """What a study is like.

    Parameters
    ----------
    seed, n_others, n_targets, n_volumes, n_networks : int
    regime, family : str
    snr : float
        Amplitude of an active network at its peak over the standard deviation of the noise, before smoothing.
    repetition_time, mean_dwell, delay : float
        In s; `delay` is that of the haemodynamic response.
    noise_fwhm, background_fwhm : float
        In mm; of the noise and of spontaneous activity that belongs to no network.
    background : float
        Standard deviation of that activity, in those of the noise.
    ar1, background_ar1 : float
    jitter : float
        Standard deviation in mm by which places differ between people.
    individuality : float
        Standard deviation of the logarithm of a network's strength between people.
    global_signal, unrest : float
        Standard deviation of the global signal; of the logarithm of the noise's strength from volume to volume.
    n_motion : int
        Motion regressors that are taken out.
    uneven : float
        Standard deviation of the logarithm of the noise's strength over the brain, and of the background's.
    """

    seed: int
    n_others: int = 3
    n_targets: int = 2
    n_volumes: int = 120
    n_networks: int = 9
    regime: str = "exclusive"
    family: str = "regions"
    snr: float = 0.5
    repetition_time: float = 2.0
    mean_dwell: float = 12.0
    delay: float = 6.0
    noise_fwhm: float = 4.0
    background_fwhm: float = 15.0
    background: float = 0.0
    ar1: float = 0.3
    background_ar1: float = 0.5
    jitter: float = 0.0
    individuality: float = 0.0
    global_signal: float = 0.0
    unrest: float = 0.0
    n_motion: int = 24
    uneven: float = 0.0


def draw_design(seed: int, *, family: str = "regions", tiny: bool = False) -> Design:
    """Draw the design of a training study; of ``regions``, a third are ``patches``."""
    rng = np.random.default_rng([18, seed])
    if family == "regions" and rng.random() < PATCHES:
        family = "patches"
    n_volumes = int(rng.integers(100, 160))
    return Design(
        seed=seed,
        family=family,
        n_others=int(rng.choice(OTHERS[:6] if tiny else OTHERS)),
        n_targets=2,
        n_volumes=40 if tiny else n_volumes,
        n_networks=int(rng.integers(5, 16)),
        regime=str(rng.choice(REGIMES, p=SHARES)),
        snr=float(np.exp(rng.uniform(np.log(0.1), np.log(2.0)))),
        repetition_time=float(rng.choice([0.7, 1, 1.5, 2, 2, 2.5, 3])),
        mean_dwell=float(rng.uniform(4, 20)),
        delay=float(rng.uniform(5, 7)),
        noise_fwhm=float(rng.uniform(2.5, 12)),
        background=float(rng.choice([0, rng.uniform(0.1, 1)])),
        background_fwhm=float(rng.uniform(10, 25)),
        ar1=float(rng.uniform(0, 0.6)),
        background_ar1=float(rng.uniform(0.2, 0.8)),
        jitter=float(rng.choice([0, rng.uniform(1, 7)])),
        individuality=float(rng.choice([0, rng.uniform(0, 0.4)])),
        global_signal=float(rng.uniform(0, 0.6)),
        unrest=float(rng.choice([0, rng.uniform(0, 0.4)])),
        n_motion=0 if tiny else int(rng.choice([0, 6, 12, 24])),
        uneven=float(rng.choice([0, rng.uniform(0.1, 0.5)])),
    )


@dataclass(frozen=True, eq=False)
class Run:
    """A prepared run with its truth.

    Parameters
    ----------
    data : float Tensor, (n_volumes, n_voxels)
        z-scored.
    courses : float Tensor, (n_volumes, n_networks)
        Planted time courses times SNR, not cleaned.
    maps : float Tensor, (n_networks, n_voxels)
        This person's; peak 1 before individual strength.
    spread : float Tensor, (n_voxels,)
        Standard deviation of every voxel before it was z-scored, in those of the noise.
    """

    data: Tensor
    courses: Tensor
    maps: Tensor
    spread: Tensor

    def planted(self, volumes: Tensor | slice = slice(None)) -> Tensor:
        return self.courses[volumes] @ self.maps

    def centred(self, volumes: Tensor | slice = slice(None)) -> Tensor:
        """Give what is planted above or below each voxel's mean over the run."""
        return (self.courses[volumes] - self.courses.mean(dim=0)) @ self.maps


@dataclass(frozen=True, eq=False)
class Study:
    """A simulated study.

    Parameters
    ----------
    design : Design
    others : float Tensor, (n_others, n_volumes, n_voxels)
        Prepared runs of other people.
    targets : list of Run
        Runs that are to be read.
    maps : float Tensor, (n_networks, n_voxels)
        The group's.
    """

    design: Design
    others: Tensor
    targets: list[Run]
    maps: Tensor = field(repr=False)


def random_maps(head: Head, design: Design, rng: np.random.Generator) -> Tensor:
    """Draw the group's networks: (n_networks, n_voxels), each from 0 to 1."""
    maps = {"regions": _regions, "patches": _patches, "fields": _fields}[design.family](head, design, rng)
    maps = maps * head.weight
    return maps / maps.amax(dim=1, keepdim=True).clamp(min=1e-6)


def _regions(head: Head, design: Design, rng: np.random.Generator) -> Tensor:
    """Join Gaussian regions on the grey matter, in one or both hemispheres; networks lend each other regions."""
    places = head.places.cpu().numpy()
    right = np.flatnonzero((places[:, 0] > 0) & (head.grey.cpu().numpy() > 0.5))
    most, base = int(rng.integers(2, 11)), rng.uniform(7, 20)
    centres, widths, members = [], [], []
    for network in range(design.n_networks):
        count = int(rng.integers(2, most + 1))
        here = places[rng.choice(right, count)].astype(np.float32)
        there = here * np.float32([-1, 1, 1])
        side = rng.random()
        chosen = here if side < 0.12 else there if side < 0.24 else np.concatenate([here, there])
        centres.append(chosen)
        widths.append(base * np.exp(rng.normal(scale=0.25, size=len(chosen))))
        members += [network] * len(chosen)
    owner = np.array(members)
    loadings = (owner == np.arange(design.n_networks)[:, None]).astype(np.float32)
    for network in range(design.n_networks):  # overlap: regions of others
        lent = rng.choice(len(owner), int(rng.integers(0, 4)))
        loadings[network, lent] = np.maximum(loadings[network, lent], rng.uniform(0.5, 0.9))
    device = head.device
    points = torch.from_numpy(np.concatenate(centres)).to(device)
    width = torch.from_numpy(np.concatenate(widths).astype(np.float32)).to(device)
    sharpness = float(rng.choice([1, 3]))
    squared = torch.cdist(head.places, points).square()  # (n_voxels, n_regions)
    bumps = torch.exp(-sharpness / 2 * squared / width.square())
    return (torch.from_numpy(loadings).to(device) ** sharpness @ bumps.T) ** (1 / sharpness)


def _patches(head: Head, design: Design, rng: np.random.Generator) -> Tensor:
    """Join cells around random points of the grey matter, smoothed a little; networks lend each other cells."""
    grey = head.places[head.grey > 0.5]
    points = grey[torch.from_numpy(rng.integers(len(grey), size=int(rng.integers(60, 300)))).to(head.device)]
    cell = torch.cdist(head.places, points).argmin(dim=1)
    loadings = torch.zeros(design.n_networks, len(points))
    order = rng.permutation(len(points))
    most = max(3, min(12, len(points) // design.n_networks))
    for network in range(design.n_networks):
        count = int(rng.integers(2, most + 1))
        loadings[network, order[:count]] = torch.from_numpy(rng.uniform(0.6, 1, count).astype(np.float32))
        lent = rng.choice(len(points), int(rng.integers(0, 3)))
        loadings[network, lent] = 0.6
        order = np.roll(order, -count)
    return Smoothing(head, float(rng.uniform(3, 7)))(loadings.to(head.device)[:, cell])


def _fields(head: Head, design: Design, rng: np.random.Generator) -> Tensor:
    """Take what is above a level of smooth random fields, softly."""
    generator = torch.Generator(head.device).manual_seed(int(rng.integers(2**31)))
    fields = noise_fields(head, design.n_networks, rng.uniform(25, 45), generator)
    level = torch.from_numpy(rng.uniform(0.6, 1.3, (design.n_networks, 1)).astype(np.float32)).to(head.device)
    return 1 - torch.exp(-functional.softplus(8 * (fields - level)) / 4)


def noise_fields(head: Head, n: int, fwhm: float, generator: torch.Generator) -> Tensor:
    """Draw Gaussian random fields in the mask, standard deviation 1 at every voxel: (n, n_voxels)."""
    width = fwhm / FWHM / head.voxel_size
    # The box is padded by the kernel's reach and wrapped, so that the variance is the same everywhere.
    sizes = [size + int(np.ceil(3 * width)) for size in head.shape]
    matrices = [gaussian_matrix(size, width, wrapped=True).to(head.device) for size in sizes]
    matrices = [matrix / matrix[0].norm() for matrix in matrices]
    white = torch.randn((n, *sizes), generator=generator, device=head.device)
    x, y, z = head.shape
    return head.vectors(along_axes(white, matrices)[:, :x, :y, :z])


def _personal(head: Head, maps: Tensor, n: int, jitter: float, generator: torch.Generator) -> Iterator[Tensor]:
    """Move the group's maps for every person: by a smooth field of displacements, `jitter` mm along each axis."""
    if not jitter:
        yield from (maps for _ in range(n))
        return
    boxes = head.box(maps)[None]  # (1, K, X, Y, Z)
    sizes = torch.tensor(head.shape, device=head.device, dtype=torch.float32)
    voxels = head.mask.nonzero().float()
    inside = head.box(torch.ones_like(maps[:1]))[None]
    for _ in range(n):
        moved = noise_fields(head, 3, 30.0, generator).T * (jitter / head.voxel_size) + voxels
        places = (2 * moved / (sizes - 1) - 1).flip(-1)[None, :, None, None]  # grid_sample wants z, y, x
        sampled = functional.grid_sample(torch.cat([boxes, inside], 1), places, align_corners=True)[0, :, :, 0, 0]
        own = sampled[:-1] / sampled[-1:].clamp(min=0.2)
        yield own / own.amax(dim=1, keepdim=True).clamp(min=1e-6)


def simulate(head: Head, design: Design) -> Study:
    """Simulate a study; the same design gives the same study on the same kind of device."""
    rng = np.random.default_rng([81, design.seed])
    generator = torch.Generator(head.device).manual_seed(int(rng.integers(2**31)))
    group = random_maps(head, design, rng)
    n_runs, n_volumes = design.n_others + design.n_targets, design.n_volumes
    courses = design.snr * time_courses(
        design.regime,
        n_runs,
        n_volumes,
        design.n_networks,
        repetition_time=design.repetition_time,
        mean_dwell=design.mean_dwell,
        delay=design.delay,
        rng=rng,
    )
    courses = courses * np.exp(design.individuality * rng.standard_normal((n_runs, 1, design.n_networks)))
    forget = float(np.exp(-design.repetition_time / 6.0))
    whole = (ar1_matrix(n_volumes, forget) @ rng.standard_normal((n_volumes, n_runs))).T * design.global_signal
    basis = cleaning_basis(
        n_runs,
        n_volumes,
        repetition_time=design.repetition_time,
        high_pass=0.008,
        n_motion=min(design.n_motion, n_volumes // 4),
        global_signal=whole if rng.random() < 0.8 else None,
        rng=rng,
    )
    tensors = [torch.from_numpy(np.ascontiguousarray(a, dtype=np.float32)).to(head.device) for a in (courses, whole)]
    removed = orthonormal(torch.from_numpy(basis).to(head.device).mT).mT
    smooth = Smoothing(head, PREPARED_FWHM / FWHM)
    others, targets = [], []
    people = _personal(head, group, n_runs, design.jitter, generator)
    for begin in range(0, n_runs, RUNS_AT_ONCE):
        part = slice(begin, min(begin + RUNS_AT_ONCE, n_runs))
        maps = [next(people) for _ in range(begin, part.stop)]
        data, spread = _prepared(
            head, design, maps, tensors[0][part], tensors[1][part], removed[part], smooth, generator
        )
        for number, run in enumerate(range(begin, part.stop)):
            if run < design.n_others:
                others.append(data[number])
            else:
                targets.append(Run(data[number], tensors[0][run], maps[number], spread[number]))
    stacked = torch.stack(others) if others else group.new_zeros((0, n_volumes, head.n_voxels))
    return Study(design, stacked, targets, group)


def _prepared(
    head: Head,
    design: Design,
    maps: list[Tensor],
    courses: Tensor,
    whole: Tensor,
    removed: Tensor,
    smooth: Smoothing,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Make runs as the preparation leaves them: (n_runs, n_volumes, n_voxels), z-scored, and their spread before."""
    n_runs, n_volumes = courses.shape[:2]
    unrest = torch.randn((n_runs, n_volumes, 1), generator=generator, device=head.device)
    scale = torch.exp(design.unrest * unrest)

    def series(fwhm: float, ar1: float, amount: Tensor | float) -> Tensor:
        fields = noise_fields(head, n_runs * n_volumes, fwhm, generator).unflatten(0, (n_runs, n_volumes))
        return amount * (torch.from_numpy(ar1_matrix(n_volumes, ar1)).to(head.device) @ fields)

    uneven = torch.zeros(2, 1)
    if design.uneven:
        uneven = design.uneven * noise_fields(head, 2, UNEVEN_FWHM, generator)
    uneven = torch.exp(uneven).to(head.device)
    raw = series(design.noise_fwhm, design.ar1, scale * uneven[0])
    if design.background:
        raw += series(design.background_fwhm, design.background_ar1, design.background * uneven[1])
    raw += whole[..., None] * head.global_weight
    raw += torch.stack([own @ person for own, person in zip(courses, maps, strict=True)])
    data = smooth(raw.flatten(0, 1)).unflatten(0, (n_runs, n_volumes))
    data -= removed @ (removed.mT @ data)
    data -= data.mean(dim=1, keepdim=True)
    spread = data.std(dim=1, keepdim=True) + 1e-6
    return data / spread, spread[:, 0]

"""Templates that are as smooth and as dense as the real ones, but lie elsewhere: surrogates for a spatial null.

Any two smooth maps overlap by chance more than rough ones do, so a match has to be held against maps of the same
autocorrelation. The published generator for volumes, BrainSMASH (which neuromaps and BrainSpace call too), fits a
variogram over the sorted distances of all pairs of voxels: two files of n² values, 6 GB for the 28,546 voxels of the
4 mm mask, and dense regression per map; its last release is of 2021, under GPL-3. Fourier surrogates need neither.

Each surrogate is a stationary Gaussian field whose values are replaced, rank by rank, by those of the template. The
replacement changes correlations (a thresholded field is rougher than the field), so the field is given that
correlation which becomes the template's by it (Gaussian anamorphosis; Chilès & Delfiner 2012, ch. 6). The template's
own is estimated at every displacement, from all pairs of voxels that both lie inside the mask, so the irregular shape
of a brain leaves no trace, and direction counts: a bilateral template has bilateral surrogates.

Limit: where a map is so smooth that the mask holds only a handful of independent patches, its ranks within one mask say
little about its distribution, and surrogates are rougher at the shortest distances (up to 1.4 times the variogram in
our trials).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from scipy import fft
from scipy.integrate import cumulative_trapezoid
from scipy.special import ndtri

from ...errors import InputError
from ...files import PathLike, replacing, reserve
from ...grid import Grid
from ...maps import are_constant
from ...options import Evaluation
from .template_set import TemplateSet

__all__ = [
    "give_values",
    "ranks_of_templates",
    "read_surrogate_ranks",
    "ready_for_surrogates",
    "surrogate_ranks",
    "write_surrogate_ranks",
]

FEWEST_PAIRS = 0.05
"""Displacements at which a smaller share of the mask's voxels has a partner tell nothing: no correlation is assumed."""

EXACT_WITHIN_MM, FADES_MM, N_PROJECTIONS = 24.0, 40.0, 40
"""Distance within which the correlation is matched; how fast the estimate beyond is trusted less; rounds of it."""

SMOOTHING_MM = tuple(np.arange(0, 10, 0.5))
"""Standard deviations of the filter that is tried at the end."""

MOST_STEPS, N_CORRELATIONS = 64, 400
"""Levels of a template's values, and correlations, for which the effect of replacing a Gaussian's is computed."""


def surrogate_ranks(maps: np.ndarray, grid: Grid, *, n_surrogates: int, seed: int = 0) -> Iterator[np.ndarray]:
    """Make surrogates of a set of maps, one set after the other.

    All maps of a set are turned by the same random phases, so that they overlap each other as the real ones do.

    Parameters
    ----------
    maps : float or bool array, (n_maps, n_voxels)
        Over the mask of `grid`.
    grid : Grid
    n_surrogates : int
    seed : int
        The same seed gives the same sets, and more of them leave the first ones as they are.

    Yields
    ------
    uint16 or uint32 array, (n_maps, n_voxels)
        Rank of every voxel, 0 the lowest. `give_values` turns ranks into maps.

    Raises
    ------
    InputError
        If a map is constant: it has no structure that a surrogate could keep.

    Examples
    --------
    >>> from scaae_nipype.grid import load_grid
    >>> grid = load_grid()
    >>> ranks = next(surrogate_ranks(np.arange(grid.n_voxels)[None] < 500, grid, n_surrogates=1))
    >>> int(give_values(ranks[0], np.arange(grid.n_voxels) < 500).sum())
    500
    """
    maps = np.asarray(maps, dtype=np.float32)
    constant = are_constant(maps)
    if constant.any():
        raise InputError(f"Template number {np.flatnonzero(constant)[0] + 1} is the same everywhere in the brain mask.")
    box = _Box(grid)
    filters = [box.filter(one) for one in maps]
    kind = np.uint16 if grid.n_voxels <= 2**16 else np.uint32
    for number in range(n_surrogates):
        rng = np.random.default_rng((seed, number))
        noise = fft.rfftn(rng.standard_normal(box.shape, dtype=np.float32))
        yield np.stack([_ranks(box.values(noise * own)).astype(kind) for own in filters])


class _Box:
    """A box twice as wide as the mask, and the Fourier transform there of what lies inside the mask."""

    def __init__(self, grid: Grid):
        x, y, z = (fft.next_fast_len(2 * size, real=True) for size in grid.box_shape)
        self.shape = (x, y, z)
        mask = np.zeros(self.shape, dtype=np.float32)
        mask[tuple(slice(size) for size in grid.box_shape)] = grid.mask[grid.box]
        self.inside = np.flatnonzero(mask)
        self.pairs = np.rint(fft.irfftn(np.abs(fft.rfftn(mask)) ** 2, s=self.shape))
        sizes = list(zip(self.shape, grid.voxel_sizes, strict=True))
        steps = (np.minimum(np.arange(n), n - np.arange(n)) * size for n, size in sizes)
        self.distance = np.sqrt(sum(step**2 for step in np.meshgrid(*steps, indexing="ij"))).astype(np.float32)
        waves = (np.fft.fftfreq(n, size) for n, size in sizes[:2])
        last = np.fft.rfftfreq(z, grid.voxel_sizes[2])
        squared = sum(wave**2 for wave in np.meshgrid(*waves, last, indexing="ij"))
        self.frequency = (2 * np.pi * np.sqrt(squared)).astype(np.float32)
        self.enough = self.pairs >= FEWEST_PAIRS * grid.n_voxels

    def values(self, spectrum: np.ndarray) -> np.ndarray:
        return fft.irfftn(spectrum, s=self.shape).ravel()[self.inside]

    def filter(self, values: np.ndarray) -> np.ndarray:
        """Make what turns the spectrum of white noise into that of a field for surrogates of these values."""
        volume = np.zeros(self.shape, dtype=np.float32)
        volume.flat[self.inside] = values - values.mean()
        spectrum = fft.rfftn(volume)
        products = fft.irfftn(np.abs(spectrum) ** 2, s=self.shape)
        covariance = np.divide(products, self.pairs, out=np.zeros_like(products), where=self.enough)
        power = self._power(covariance / values.var(), _Replacement(values))
        size = np.abs(spectrum)
        own_phase = np.divide(spectrum, size, out=np.ones_like(spectrum), where=size > 0)
        return np.sqrt(power) * own_phase

    def _power(self, wanted: np.ndarray, replacement: _Replacement) -> np.ndarray:
        """Find the power spectrum of a Gaussian field that has the wanted correlation after replacement.

        What was estimated from one map need not be the correlation of any process: its spectrum has negative values,
        and setting them to 0 adds noise of short range. So that and restoring the short distances take turns. What
        remains is smoothed away, as far as that brings the variogram at short distances nearer to the wanted one.
        """
        near = self.distance <= EXACT_WITHIN_MM
        before = replacement.inverse(wanted)
        correlation = before * np.exp(-0.5 * (self.distance / FADES_MM) ** 2)
        for _ in range(N_PROJECTIONS):
            correlation[near] = before[near]
            power = np.maximum(fft.rfftn(correlation).real, 0)
            correlation = fft.irfftn(power, s=self.shape)
        near &= self.distance > 0
        rise = np.maximum(1 - wanted[near], 1e-3)
        weight = self.distance[near] ** -2.0  # every distance counts alike, though there are more of the long ones

        def misfit(sigma: float) -> float:
            smoothed = fft.irfftn(power * self._smoothing(sigma), s=self.shape)
            after = replacement.forward(smoothed / smoothed[0, 0, 0])
            # Values are given within the mask, which a smooth field varies less in than it does at large.
            variance = 1 - float((after * self.pairs).sum() / self.pairs.sum())
            found = np.maximum(1 - after[near], 1e-3) / variance
            return float(weight @ np.log(found / rise) ** 2)

        return power * self._smoothing(min(SMOOTHING_MM, key=misfit))

    def _smoothing(self, sigma: float) -> np.ndarray:
        """Give the power that a Gaussian filter (standard deviation in mm) leaves of every frequency."""
        return np.exp(-((self.frequency * sigma) ** 2))


class _Replacement:
    """What giving the ranks of Gaussian values the values of a map does to correlations.

    The map's values are steps of height d_i at the normal quantiles u_i. By Price's theorem the covariance of two
    replaced values grows with their Gaussian correlation r as sum_ij d_i d_j times the bivariate normal density at
    (u_i, u_j).
    """

    def __init__(self, values: np.ndarray):
        levels = np.unique(values)
        if len(levels) > MOST_STEPS:
            levels = np.linspace(levels[0], levels[-1], MOST_STEPS)
        height = np.diff(levels)
        below = np.searchsorted(np.sort(values), (levels[:-1] + levels[1:]) / 2) / len(values)
        inside = (below > 0) & (below < 1)
        height, step = height[inside], ndtri(below[inside])
        angle = np.linspace(-np.pi / 2, np.pi / 2, N_CORRELATIONS + 2)[1:-1]  # r = sin(angle): fine where r is near 1
        squares, products = step[:, None] ** 2 + step**2, step[:, None] * step
        growth = [height @ np.exp(-(squares - 2 * np.sin(a) * products) / (2 * np.cos(a) ** 2)) @ height for a in angle]
        curve = cumulative_trapezoid(growth, angle, initial=0)
        self.before = np.sin(angle)
        curve -= np.interp(0, self.before, curve)  # independent values stay independent
        self.after = curve / curve[-1]

    def forward(self, correlation: np.ndarray) -> np.ndarray:
        return np.interp(correlation, self.before, self.after)

    def inverse(self, correlation: np.ndarray) -> np.ndarray:
        """Invert; a sparse map cannot anticorrelate much, and the inverse would blow up what is error of estimate."""
        return np.where(correlation > 0, np.interp(correlation, self.after, self.before), correlation)


def _ranks(values: np.ndarray) -> np.ndarray:
    ranks = np.empty(len(values), dtype=np.int64)
    ranks[np.argsort(values)] = np.arange(len(values))
    return ranks


def ready_for_surrogates(templates: TemplateSet) -> np.ndarray:
    """Give the maps that surrogates of templates are made of: (n_templates, n_voxels).

    A template without voxels gets an order that nothing depends on: it is never scored.
    """
    maps = np.array(templates.values, dtype=np.float32)
    maps[are_constant(maps), 0] += 1
    return maps


_LAST: dict[bytes, np.ndarray] = {}
"""The last that were made, by what they were made of: a worker that scores many runs makes them once."""


def ranks_of_templates(
    templates: TemplateSet, *, n_surrogates: int, seed: int = Evaluation.seed, path: PathLike | None = None
) -> np.ndarray:
    """Give the first sets of surrogates of templates: (n_surrogates, n_templates, n_voxels).

    Parameters
    ----------
    templates : TemplateSet
        On the whole grid.
    n_surrogates : int
    seed : int
    path : path, optional
        File that holds as many, or more, with this seed; they are made (in half a second per template) if not given.

    Raises
    ------
    InputError
        If the file does not belong to these templates, or holds fewer.
    """
    if path is not None:
        ranks = read_surrogate_ranks(path, n_maps=len(templates.names), grid=templates.grid)
        if len(ranks) < n_surrogates:
            raise InputError(f"{path}: holds {len(ranks)} sets of surrogate templates; {n_surrogates} are asked for.")
        return ranks[:n_surrogates]
    maps, grid = ready_for_surrogates(templates), templates.grid
    made_of = (maps, grid.mask, grid.affine, np.array([n_surrogates, seed]))
    key = hashlib.sha256(b"".join(part.tobytes() for part in made_of)).digest()
    if key not in _LAST:
        made = np.stack(list(surrogate_ranks(maps, grid, n_surrogates=n_surrogates, seed=seed)))
        _LAST.clear()
        _LAST[key] = made
    return _LAST[key]


def give_values(ranks: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Give the voxels of a surrogate the values of the map: the highest rank the highest value.

    Parameters
    ----------
    ranks : int array, (n_voxels,)
        Of the region's voxels; they need not be consecutive, so that a part of a brain can be cut out.
    values : array, (n_voxels,)
        The map in the same region.

    >>> give_values(np.array([7, 1, 5]), np.array([False, False, True]))
    array([ True, False, False])
    """
    given = np.empty_like(values)
    given[np.argsort(ranks, kind="stable")] = np.sort(values)  # of 16-bit numbers a radix sort: five times faster
    return given


def write_surrogate_ranks(
    maps: np.ndarray,
    grid: Grid,
    path: PathLike,
    *,
    n_surrogates: int,
    seed: int = Evaluation.seed,
    progress: Callable[[int], object] | None = None,
) -> Path:
    """Write surrogates of a set of maps into one NPY file, (n_surrogates, n_maps, n_voxels), holding one set at a time.

    The file depends on the maps, the grid, the number and the seed only: one file serves all runs.
    """
    kind = np.uint16 if grid.n_voxels <= 2**16 else np.uint32
    shape = (n_surrogates, len(maps), grid.n_voxels)
    with replacing(path) as temporary:
        file = np.lib.format.open_memmap(temporary, mode="w+", dtype=kind, shape=shape)
        with temporary.open("r+b") as opened:
            reserve(opened.fileno(), temporary.stat().st_size)
        for number, ranks in enumerate(surrogate_ranks(maps, grid, n_surrogates=n_surrogates, seed=seed)):
            file[number] = ranks
            if progress is not None:
                progress(1)
        file.flush()
        del file
    return Path(path)


def read_surrogate_ranks(path: PathLike, *, n_maps: int, grid: Grid) -> np.ndarray:
    """Open a file of surrogates without loading it: (n_surrogates, n_maps, n_voxels).

    Raises
    ------
    InputError
        If it cannot be read or does not belong to these templates and this grid.
    """
    try:
        ranks = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: cannot be read as surrogate templates ({error}).") from error
    if ranks.ndim != 3 or ranks.shape[1:] != (n_maps, grid.n_voxels):
        raise InputError(
            f"{path}: holds surrogates of {ranks.shape[1:]} templates x voxels, not of {(n_maps, grid.n_voxels)}; "
            "make them again from these templates and this mask."
        )
    return ranks

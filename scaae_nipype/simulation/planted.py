"""Planted networks: smooth, overlapping, bilateral maps that are not the default templates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import nibabel as nib
import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter

from ..errors import UsageError
from ..grid import Grid
from ..maps import binarise
from .tissues import Tissues, fit_tissues

__all__ = ["PlantedNetworks", "planted_networks", "random_networks"]

REGION_SIGMA = 10.0
"""Gaussian width of a region in mm."""

HUB_LOADING = 0.8
"""Loading in a network of the region that it shares with another network."""

SHARPNESS = 3
"""Exponent with which regions are joined: high enough that neighbours do not add up to one peak."""

GREY_SMOOTHNESS = 6.0
"""FWHM in mm with which the preference for grey matter fades into white matter and CSF."""

WHITE_WEIGHT = 0.3
"""Weight of white matter in a network, where grey matter has 1 and CSF 0."""

DEFAULT_SPLITS = {
    "default": 2,
    "fronto-parietal": 1,
    "cingulo-opercular": 2,
    "sensorimotor": 2,
    "occipital": 1,
    "cerebellum": 1,
}
"""Parts into which each network of Dosenbach et al. (2010) is divided."""


@dataclass(frozen=True, eq=False)
class PlantedNetworks:
    """Maps of the planted networks on a grid.

    Parameters
    ----------
    grid : Grid
    maps : float32 array, (n_networks, n_voxels)
        Each from 0 to exactly 1.
    names : tuple of str
    """

    grid: Grid
    maps: np.ndarray
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def binary(self) -> np.ndarray:
        """Voxels that belong to each network, cut as templates are: bool, (n_networks, n_voxels)."""
        return binarise(self.maps)

    @property
    def densities(self) -> np.ndarray:
        """Share of the mask that each network covers, (n_networks,)."""
        return self.binary.mean(axis=1)

    @property
    def overlaps(self) -> np.ndarray:
        """Intersection over union of every pair of networks, (n_networks, n_networks)."""
        binary = self.binary.astype(np.float32)
        intersection = binary @ binary.T
        sizes = binary.sum(axis=1)
        return intersection / (sizes[:, None] + sizes - intersection)

    def table(self) -> pd.DataFrame:
        """List the networks, in the form of a template label table: index from 1, name, density."""
        return pd.DataFrame(
            {"index": np.arange(1, len(self) + 1), "name": self.names, "density": self.densities.round(4)}
        )


def planted_networks(
    grid: Grid,
    *,
    jitter: float = 0.0,
    rng: np.random.Generator | None = None,
    tissues: Tissues | None = None,
) -> PlantedNetworks:
    """Make nine networks from the 160 regions of Dosenbach et al. (2010, doi 10.1126/science.1194144).

    Its six networks are divided by position (left and right together); each region is a Gaussian on the grey matter,
    and every pair of networks shares one region, so that all networks overlap.

    Parameters
    ----------
    grid : Grid
    jitter : float
        Standard deviation in mm by which region centres move along each axis (a participant's own anatomy).
    rng : Generator, optional
        Needed with `jitter`.
    tissues : Tissues, optional
        Those of `grid`, if they are at hand.

    Raises
    ------
    UsageError
        If `jitter` is negative or has no generator.

    Examples
    --------
    >>> from scaae_nipype.simulation.tissues import source_grid
    >>> networks = planted_networks(source_grid(8))
    >>> networks.maps.shape[0], networks.names[0]
    (9, 'cerebellum')
    """
    centres, members, names = _dosenbach_parts()
    return _build(grid, _loadings(centres, members), centres, names, jitter=jitter, rng=rng, tissues=tissues)


def random_networks(
    grid: Grid,
    n_networks: int,
    *,
    rng: np.random.Generator,
    regions: tuple[int, int] = (10, 10),
    region_sigma: float = REGION_SIGMA,
    one_sided: float = 0.0,
    tissues: Tissues | None = None,
) -> PlantedNetworks:
    """Make networks of regions at random places of the grey matter, left and right alike.

    For models that should learn networks in general, not a given set of them.

    Parameters
    ----------
    grid : Grid
    n_networks : int
        At least 2.
    rng : Generator
    regions : tuple of int
        Fewest and most regions of a network in a hemisphere.
    region_sigma : float
        Gaussian width of a region in mm.
    one_sided : float
        Share of the networks that lie in one hemisphere.
    tissues : Tissues, optional
        Those of `grid`, if they are at hand.

    Examples
    --------
    >>> from scaae_nipype.simulation.tissues import source_grid
    >>> random_networks(source_grid(10), 3, rng=np.random.default_rng(0)).names
    ('random01', 'random02', 'random03')
    """
    if n_networks < 2 or not 2 <= regions[0] <= regions[1]:
        raise UsageError("Random networks need at least two networks of at least two regions.")
    tissues = tissues or fit_tissues(grid)
    world = nib.affines.apply_affine(grid.affine, np.argwhere(grid.mask))
    right = np.flatnonzero((world[:, 0] > 0) & (tissues.grey > 0.5))
    parts: list[np.ndarray] = []
    members: list[int] = []
    for network in range(n_networks):
        count = int(rng.integers(regions[0], regions[1] + 1))
        here = world[rng.choice(right, count)]
        there = here * [-1, 1, 1]
        side = rng.random() / one_sided if one_sided else 1.0
        for part in [here] if side < 0.5 else [there] if side < 1 else [here, there]:
            parts.append(part)
            members += [network] * count
    centres = np.concatenate(parts)
    names = tuple(f"random{number:02d}" for number in range(1, n_networks + 1))
    loadings = _loadings(centres, np.array(members))
    return _build(grid, loadings, centres, names, tissues=tissues, region_sigma=region_sigma)


def _dosenbach_parts() -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Give region centres in mm (160, 3), the part that each belongs to (160,), and the names of the parts."""
    from nilearn.datasets import fetch_coords_dosenbach_2010
    from scipy.cluster.vq import kmeans2

    regions = fetch_coords_dosenbach_2010(ordered_regions=True)
    centres = np.column_stack([regions.rois[axis] for axis in "xyz"]).astype(float)
    networks = np.asarray(regions.networks)
    members = np.zeros(len(centres), dtype=int)
    names: list[str] = []
    for network in sorted(DEFAULT_SPLITS):
        inside = np.flatnonzero(networks == network)
        n_parts = DEFAULT_SPLITS[network]
        folded = centres[inside] * [0.5, 1, 1]
        folded[:, 0] = np.abs(folded[:, 0])  # left and right stay together
        # Fixed starts from back to front: the parts never depend on a seed or on the version of a library.
        order = np.argsort(folded[:, 1], kind="stable")
        starts = folded[order[np.linspace(0, len(order) - 1, n_parts + 2).astype(int)[1:-1]]]
        _, part = kmeans2(folded, starts, minit="matrix", iter=50)
        for index, number in enumerate(np.argsort([folded[part == p, 1].mean() for p in range(n_parts)])):
            members[inside[part == number]] = len(names)
            names.append(network if n_parts == 1 else f"{network}-{('posterior', 'anterior')[index]}")
    return centres, members, tuple(names)


def _loadings(centres: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Load each region fully in its network, and one region of each other as a shared hub: (n_networks, n_regions)."""
    n_networks = int(members.max()) + 1
    loadings = (members == np.arange(n_networks)[:, None]).astype(float)
    for first, second in combinations(range(n_networks), 2):
        # Of each pair one network lends and the other borrows, in turn.
        lender, borrower = (first, second) if (first + second) % 2 else (second, first)
        lent, own = np.flatnonzero(members == lender), np.flatnonzero(members == borrower)
        distances = np.linalg.norm(centres[lent][:, None] - centres[own], axis=-1).min(axis=1)
        loadings[borrower, lent[np.argmin(distances)]] = HUB_LOADING
    return loadings


def _build(
    grid: Grid,
    loadings: np.ndarray,
    centres: np.ndarray,
    names: Sequence[str],
    *,
    jitter: float = 0.0,
    rng: np.random.Generator | None = None,
    tissues: Tissues | None = None,
    region_sigma: float = REGION_SIGMA,
) -> PlantedNetworks:
    if jitter < 0 or (jitter > 0 and rng is None):
        raise UsageError(f"Jittered networks need a jitter of 0 mm or more (got {jitter:g}) and a random generator.")
    if jitter > 0 and rng is not None:
        centres = centres + rng.normal(scale=jitter, size=centres.shape)
    tissues = tissues or fit_tissues(grid)
    world = nib.affines.apply_affine(grid.affine, np.argwhere(grid.mask)).astype(np.float32)
    maps = np.zeros((len(names), grid.n_voxels), dtype=np.float32)
    for centre, loading in zip(centres, loadings.T, strict=True):
        squared_distance = ((world - centre.astype(np.float32)) ** 2).sum(axis=1)
        maps += np.outer(
            (loading**SHARPNESS).astype(np.float32), np.exp(-SHARPNESS / (2 * region_sigma**2) * squared_distance)
        )
    maps = maps ** (1 / SHARPNESS) * _tissue_weight(grid, tissues)
    peaks = maps.max(axis=1, keepdims=True)
    if not (peaks > 0).all():
        raise UsageError("A planted network lies outside the brain mask of the grid; use a mask of the whole brain.")
    return PlantedNetworks(grid, maps / peaks, tuple(names))


def _tissue_weight(grid: Grid, tissues: Tissues) -> np.ndarray:
    """Give the factor by which networks prefer grey matter and avoid CSF, as smooth as real maps are: (n_voxels,)."""
    sigma = GREY_SMOOTHNESS / np.sqrt(8 * np.log(2)) / grid.voxel_sizes
    weight = grid.volumes((tissues.grey + WHITE_WEIGHT * tissues.white).astype(np.float32))
    inside = gaussian_filter(grid.mask.astype(np.float32), sigma)[grid.mask]
    return gaussian_filter(weight, sigma)[grid.mask] / inside

"""The group's principal components: the plainest thing that sees the same runs as the network.

A volume, smoothed, is projected on the leading principal components of the training runs' smoothed volumes. Their
number is the one that predicts best, in runs left out, the mean of a volume's two neighbours in time. It is stored with
every model, so that users see beside the networks what a linear method makes of the same volumes and the same runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file
from scipy.linalg import eigh

from ..files import replacing
from ..grid import Grid, smooth
from .neighbours import Pair, in_folds, pairs_of_neighbours

__all__ = ["MOST_COMPONENTS", "GroupPCA", "fit_group_pca"]

MANY_VOLUMES, SIGMA_OF_FEW, SIGMA_OF_MANY = 1000, 8.0, 4.0
"""Standard deviation of the smoothing, in mm, below and from so many volumes on.

Of 4 and 8 mm, each is the better one for the size of study that it is taken for, on planted networks of two seeds:
average precision 0.570 and 0.534 (8 and 4 mm) with 3 runs, 0.621 and 0.687 with 24 (`benchmarks.judge`, tuning seeds).
"""

MOST_COMPONENTS = 64


@dataclass(frozen=True, eq=False)
class GroupPCA:
    """Principal components of a group of runs.

    Parameters
    ----------
    maps : float32 array, (rank, n_voxels)
        Orthonormal, the strongest first.
    sigma : float
        Standard deviation in mm of the Gaussian that volumes are smoothed with before.
    n_volumes : int
        That the fit used.
    explained : float
        Share of the mean square of neighbours, in runs left out, that the projection explains.
    """

    maps: np.ndarray
    sigma: float
    n_volumes: int
    explained: float

    @property
    def about(self) -> dict[str, Any]:
        """What a card says of it."""
        return {
            "Rank": len(self.maps),
            "SmoothingSigma": self.sigma,
            "Volumes": self.n_volumes,
            "ExplainedInRunsLeftOut": round(self.explained, 4),
        }

    def save(self, path: Path) -> None:
        """Write the components; what else there is stands in the model's card."""
        with replacing(path) as temporary:  # safetensors makes files private
            save_file({"maps": self.maps}, temporary)

    @classmethod
    def load(cls, path: Path, about: Mapping[str, Any]) -> GroupPCA:
        """Read components, and what a card says of them."""
        maps = load_file(path)["maps"]
        return cls(maps, about["SmoothingSigma"], about["Volumes"], about["ExplainedInRunsLeftOut"])

    def project(self, volumes: np.ndarray, grid: Grid, inside: np.ndarray) -> np.ndarray:
        """Project volumes of a region on the components.

        Parameters
        ----------
        volumes : float array, (n_volumes, n_region_voxels)
        grid : Grid
            The region.
        inside : bool array, (n_voxels,)
            Which voxels of the model's grid the region has.

        Returns
        -------
        float32 array, (n_volumes, n_region_voxels)
            The least-squares fit of the components, as far as they lie in the region, to the smoothed volumes.
        """
        maps = self.maps[:, inside]
        coefficients = np.linalg.lstsq(maps.T, smooth(volumes, grid, self.sigma).T, rcond=None)[0]
        return (coefficients.T @ maps).astype(np.float32)


def fit_group_pca(runs: Sequence[np.ndarray], grid: Grid) -> GroupPCA:
    """Fit principal components to the volumes of runs; their number is chosen by prediction of runs left out.

    Parameters
    ----------
    runs : sequence of float arrays, (T_run, n_voxels)
        Kept volumes of each run in the order of time, z-scored.
    grid : Grid

    Raises
    ------
    ModelError
        If there are too few volumes.
    """
    sigma = SIGMA_OF_FEW if sum(map(len, runs)) < MANY_VOLUMES else SIGMA_OF_MANY
    pairs = [(smooth(x, grid, sigma), y) for x, y in pairs_of_neighbours(runs)]
    gains = [_gains(fitted, left_out) for fitted, left_out in in_folds(pairs)]
    gain = np.sum([own[: min(map(len, gains))] for own in gains], axis=0)
    rank = int(np.argmax(gain)) + 1
    maps = _components(np.concatenate([x for x, _ in pairs]))[:rank]
    total = sum(float(np.vdot(y, y)) for _, y in pairs)
    return GroupPCA(maps, sigma, sum(len(x) for x, _ in pairs), float(gain[rank - 1] / total) if total > 0 else 0.0)


def _components(volumes: np.ndarray) -> np.ndarray:
    """Give the leading principal components as orthonormal maps, (n, n_voxels); none that is only rounding."""
    n = len(volumes)
    products = (volumes @ volumes.T).astype(np.float64)
    values, vectors = eigh(products, subset_by_index=(max(n - MOST_COMPONENTS, 0), n - 1), check_finite=False)
    usable = values > 1e-6 * values[-1]
    found = ((vectors[:, usable] / np.sqrt(values[usable])).T @ volumes)[::-1]
    return np.ascontiguousarray(found, dtype=np.float32)


def _gains(fitted: Sequence[Pair], left_out: Sequence[Pair]) -> np.ndarray:
    """Say how much of the square of neighbours projections explain in runs left out, for every rank: (n,)."""
    maps = _components(np.concatenate([x for x, _ in fitted]))
    gain = np.zeros(len(maps))
    for x, y in left_out:
        on, target = x @ maps.T, y @ maps.T
        gain += (2 * on * target - on**2).sum(axis=0)
    return np.cumsum(gain)

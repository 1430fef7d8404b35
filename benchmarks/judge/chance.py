"""Targets that lie elsewhere but are as smooth, as large and as strong as the real ones: what a score is by chance.

AP and size-matched IoU grow with the smoothness of a map alone. So every score stands beside the same score with
surrogates of the targets (the product's spatial surrogates), the better branch and the sign chosen anew for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.planted import PlantedRun
from scaae_nipype.evaluation.nulls.surrogate_templates import (
    give_values,
    read_surrogate_ranks,
    surrogate_ranks,
    write_surrogate_ranks,
)
from scaae_nipype.grid import Grid
from scaae_nipype.simulation import PlantedNetworks

__all__ = ["SURROGATES", "elsewhere", "kept_ranks", "moved_maps"]

SURROGATES = 10
"""Sets of surrogates behind every chance level."""


def kept_ranks(maps: np.ndarray, grid: Grid, *, n_surrogates: int = SURROGATES, path: Path | None = None) -> np.ndarray:
    """Make surrogates of maps, or read them where they were kept: ranks, (n_surrogates, n_maps, n_voxels)."""
    if path is None:
        return np.stack(list(surrogate_ranks(maps, grid, n_surrogates=n_surrogates, seed=1)))
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_surrogate_ranks(maps, grid, path, n_surrogates=n_surrogates, seed=1)
    return read_surrogate_ranks(path, n_maps=len(maps), grid=grid)


def moved_maps(ranks: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Give one set of surrogates the values of maps: (n_maps, n_voxels) both."""
    return np.stack([give_values(rank, own) for rank, own in zip(ranks, maps, strict=True)])


def elsewhere(run: PlantedRun, ranks: np.ndarray) -> Sequence[PlantedRun]:
    """Give a planted run's truth with its networks lying elsewhere, once for each set of surrogates.

    Parameters
    ----------
    run : PlantedRun
    ranks : int array, (n_surrogates, n_networks, n_voxels)
        Surrogates of the networks that people share; their values become this person's.
    """
    weights = _weights(run)
    found = []
    for one in ranks:
        maps = moved_maps(one, run.networks.maps)
        networks = PlantedNetworks(run.networks.grid, maps, run.networks.names)
        found.append(replace(run, networks=networks, truth=weights @ maps))
    return found


def _weights(run: PlantedRun) -> np.ndarray:
    """Give the amplitudes (n_volumes, n_networks) that make the truth of the networks' maps."""
    maps = run.networks.maps.astype(np.float64)
    return np.linalg.solve(maps @ maps.T, maps @ run.truth.T.astype(np.float64)).T.astype(np.float32)

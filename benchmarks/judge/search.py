"""The search's network as methods of their classes: which views it is given decides in which class it is judged.

One set of weights serves all: without neighbours in time and the run's own parts it sees a volume and other people's
runs (class B, without other runs class A); with either, the run as well (classes D and C).
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from benchmarks.judge.rivals import Apply, Rival, grid_of
from benchmarks.judge.runs import Group, Run
from benchmarks.search.context import Context, fit_context
from benchmarks.search.head import Head
from benchmarks.search.network import ViewAttention
from benchmarks.search.score import load_network
from benchmarks.search.views import Viewer
from scaae_nipype.grid import Grid

__all__ = ["NAME", "SEARCH", "WEIGHTS", "apply_network", "context_of", "head_of"]

WEIGHTS = Path(__file__).parents[1] / "results" / "search_network.npz"
"""The chosen network's."""

NAME = "chosen"

WIDTH = 3.0
"""Of a Gaussian in time in s, where neighbours are looked at; not tuned."""

AT_ONCE = 4
"""Volumes that the network sees at once."""


@lru_cache(maxsize=4)
def head_of(grid: Grid) -> Head:
    """Give what the views need of a grid: the mask on its box and the size of a voxel."""
    none = torch.zeros(0)
    mask = torch.from_numpy(np.ascontiguousarray(grid.mask[grid.box]))
    return Head(mask, float(grid.voxel_sizes[0]), none, none, none, none)


@lru_cache(maxsize=4)
def _viewer(grid: Grid) -> Viewer:
    return Viewer(head_of(grid))


@lru_cache(maxsize=1)
def _network(path: Path, name: str) -> ViewAttention:
    return load_network(path, name)


def context_of(others: Group | None, grid: Grid) -> Context:
    """Fit the context to other people's runs, kept with them; none gives an empty one."""
    head = head_of(grid)
    if others is None:
        return fit_context(head, torch.zeros(0, 1, head.n_voxels), repetition_time=1.0)
    if "views" not in others.kept:
        runs = torch.stack([torch.from_numpy(run.volumes) for run in others.runs])
        seconds = [run.repetition_time for run in others.runs]
        others.kept["views"] = fit_context(head, runs, repetition_time=seconds)
    context = others.kept["views"]
    assert isinstance(context, Context)
    return context


def apply_network(network: ViewAttention, context: Context, run: Run, *, sigma_time: float, own: bool) -> np.ndarray:
    """Give the maps of both branches: (2, n_volumes, n_voxels)."""
    shown = _viewer(run.grid).show(
        torch.from_numpy(run.volumes),
        context,
        repetition_time=run.repetition_time,
        channels=network.shape.views,
        time_sigma=sigma_time,
        own=own,
    )
    with torch.inference_mode():
        parts = [network(shown.pick(part)) for part in torch.arange(len(run)).split(AT_ONCE)]
    return torch.cat(parts).movedim(1, 0).contiguous().numpy()


def _alone(sigma_time: float = 0.0, own: bool = False) -> Apply:
    return lambda run: apply_network(
        _network(WEIGHTS, NAME), context_of(None, run.grid), run, sigma_time=sigma_time, own=own
    )


def _with_others(others: Group, sigma_time: float = 0.0, own: bool = False) -> Apply:
    context = context_of(others, others.grid)
    return lambda run: apply_network(_network(WEIGHTS, NAME), context, run, sigma_time=sigma_time, own=own)


SEARCH: tuple[Rival, ...] = (
    Rival("search network", "others", _with_others),
    Rival("search network, own parts", "all", _with_others, grid_of(own=(True,))),
    Rival("search network, own parts and time", "all", _with_others, grid_of(own=(True,), sigma_time=(WIDTH,))),
    Rival("search network, no others", "volume", _alone),
    Rival("search network, no others, own parts and time", "run", _alone, grid_of(own=(True,), sigma_time=(WIDTH,))),
)
"""The ways in which the network may be used, with the same interface as the rivals."""

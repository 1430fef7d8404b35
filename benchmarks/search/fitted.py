"""The shipped default, fitted to other people's runs as the judge fits it, and its attention apart from its views.

Views and leads of volumes are made once; networks of the same layers and other numbers then read them in a moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmarks.judge.network import NETWORKS
from benchmarks.judge.plants import Plant, cached
from benchmarks.judge.run import CACHE
from benchmarks.judge.runs import Group, Run
from benchmarks.judge.seeds import OTHERS, TUNING, require
from benchmarks.planted import PlantedRun, grid_of_model
from scaae_nipype.grid import Grid
from scaae_nipype.model import Model
from scaae_nipype.model.network.pointwise import PointwiseSCAAE, Seen

__all__ = [
    "Views",
    "attention_of",
    "both_branches",
    "fitted_to",
    "group_of",
    "maps_of",
    "planted_run",
    "show",
    "thinned",
    "whole",
]

POINTWISE = next(one for one in NETWORKS if one.name.endswith("pointwise"))

AT_ONCE = 8
"""Volumes that are shown or read at once."""


class Views(NamedTuple):
    """What an attention looks at, and what is added to its networks whatever it says."""

    seen: Seen
    leads: Tensor
    """In the order of `scaae_nipype.model.network.pointwise.LEADS`, not weighted: (n_volumes, 2, n_voxels)."""

    def pick(self, volumes: Tensor, voxels: Tensor | slice = slice(None)) -> Views:
        """Take some volumes, and of them some voxels."""
        views, strengths, code = self.seen[:3]
        seen = Seen(views[volumes][:, voxels], strengths[volumes], code[volumes])
        return Views(seen, self.leads[volumes][..., voxels])


def planted_run(plant: Plant, seed: int) -> PlantedRun:
    """Give a planted run from the judge's cache; only tuning seeds and those of other people's runs may be looked at.

    Raises
    ------
    SeedError
        If the seed is one of those that are reported.
    """
    if seed not in OTHERS:
        require([seed], TUNING, "comparing parts of a network")
    return cached(plant, seed, CACHE)


def thinned(run: PlantedRun, every: int) -> PlantedRun:
    """Keep every so-manieth volume."""
    kept = {name: getattr(run, name)[::every] for name in ("data", "truth", "bold", "states")}
    return replace(run, **kept)


def group_of(plant: Plant, others: Sequence[int]) -> Group:
    """Give other people's runs by their seeds (`benchmarks.judge.seeds.others_of`)."""
    runs = [planted_run(plant, other) for other in others]
    return Group([Run(run.data, grid_of_model(), run.repetition_time) for run in runs])


def fitted_to(group: Group) -> Model:
    """Fit the shipped default to a group, as the judge does; kept with the group."""
    POINTWISE.fit(group)
    model = group.kept["pointwise"]
    assert isinstance(model, Model)
    return model


def attention_of(model: Model) -> PointwiseSCAAE:
    """Give a model's network, which has to be the pointwise one."""
    assert isinstance(model.network, PointwiseSCAAE)
    return model.network


def whole(volumes: np.ndarray, region: Grid) -> np.ndarray:
    """Put volumes of a region on the model's grid, 0 outside of it: (n_volumes, n_voxels)."""
    grid = grid_of_model()
    placed = np.zeros((len(volumes), grid.n_voxels), dtype=np.float32)
    placed[:, grid.vectors(region.mask)] = volumes
    return placed


@torch.inference_mode()
def show(model: Model, volumes: np.ndarray) -> Views:
    """Make the views and leads of volumes on the model's grid, (n_volumes, n_voxels)."""
    network = attention_of(model)
    seen: list[Seen] = []
    leads: list[Tensor] = []
    for start in range(0, len(volumes), AT_ONCE):
        boxes = model.volumes(volumes[start : start + AT_ONCE])
        seen.append(network.see(boxes))
        leads.append(network.lead(boxes))
    parts = (torch.cat(part) for part in zip(*(one[:3] for one in seen), strict=True))
    return Views(Seen(*parts), torch.cat(leads))


def both_branches(network: PointwiseSCAAE, views: Views) -> Tensor:
    """Give the networks of volumes as the product gives them: (n_volumes, 2, n_voxels)."""
    led = torch.einsum("l,nlv->nv", network.leads, views.leads)
    return network.attend(views.seen)[0] + torch.stack([led, -led], dim=1)


@torch.inference_mode()
def maps_of(network: PointwiseSCAAE, views: Views) -> np.ndarray:
    """Give the maps of both branches of all volumes: (2, n_volumes, n_voxels)."""
    order: Sequence[Tensor] = torch.arange(len(views.leads)).split(AT_ONCE)
    parts = [both_branches(network, views.pick(part)) for part in order]
    return torch.cat(parts).movedim(1, 0).contiguous().numpy()

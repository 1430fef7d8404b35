"""The product's networks as methods of their class: they see a volume, and were fitted to other people's runs."""

from __future__ import annotations

import numpy as np

from benchmarks.judge.rivals import Apply, Rival
from benchmarks.judge.runs import Group, Run
from benchmarks.planted import grid_of_model
from benchmarks.recovery import fitted_model
from scaae_nipype.model import PRESETS, Model
from scaae_nipype.model.extraction.functions import context_function, network_function
from scaae_nipype.model.group_pca import fit_group_pca
from scaae_nipype.model.training.fitted_pointwise import train_pointwise
from scaae_nipype.model.training.volumes import VolumeCache
from scaae_nipype.model.weights import new_network

__all__ = ["NETWORKS"]


def _model(others: Group) -> Model:
    """Fit the shipped network to other runs; kept with them."""
    if "model" not in others.kept:
        others.kept["model"] = fitted_model([_whole(run) for run in others.runs])
    model = others.kept["model"]
    assert isinstance(model, Model)
    return model


def _pointwise(others: Group) -> Apply:
    """Fit the pointwise preset to other runs."""
    if "pointwise" not in others.kept:
        grid = grid_of_model()
        runs = VolumeCache([_whole(run) for run in others.runs])
        group_pca = fit_group_pca(runs.runs, grid)
        model = Model(new_network(PRESETS["pointwise"], grid, seed=0).eval(), grid, {"Precision": "fp32"}, group_pca)
        train_pointwise(model, runs, group_pca, seed=0)
        others.kept["pointwise"] = model
    model = others.kept["pointwise"]
    assert isinstance(model, Model)
    return lambda run: network_function(model, run.grid)(run.volumes)


def _whole(run: Run) -> np.ndarray:
    """Put a run's volumes on the model's whole grid, 0 outside of its region, as the preparation does."""
    grid = grid_of_model()
    volumes = np.zeros((len(run), grid.n_voxels), dtype=np.float32)
    volumes[:, grid.vectors(run.grid.mask)] = run.volumes
    return volumes


def _scaae(others: Group) -> Apply:
    model = _model(others)
    return lambda run: network_function(model, run.grid)(run.volumes)


def _context(others: Group) -> Apply:
    model = _model(others)

    def apply(run: Run) -> np.ndarray:
        context = context_function(model, run.grid)
        assert context is not None
        return context(run.volumes)

    return apply


NETWORKS: tuple[Rival, ...] = (
    Rival("SCAAE", "others", _scaae),
    Rival("SCAAE's context alone", "others", _context),
    Rival("SCAAE, preset pointwise", "others", _pointwise),
)
"""What is judged, with the same interface as the rivals."""

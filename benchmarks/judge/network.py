"""Today's network as a method of its class: it sees a volume, and was fitted to other people's runs."""

from __future__ import annotations

import numpy as np

from benchmarks.judge.rivals import Apply, Rival
from benchmarks.judge.runs import Group, Run
from benchmarks.planted import grid_of_model
from benchmarks.recovery import fitted_model
from scaae_nipype.model import Model
from scaae_nipype.model.extraction.functions import context_function, network_function

__all__ = ["NETWORKS"]


def _model(others: Group) -> Model:
    """Fit the shipped network to other runs; kept with them."""
    if "model" not in others.kept:
        others.kept["model"] = fitted_model([_whole(run) for run in others.runs])
    model = others.kept["model"]
    assert isinstance(model, Model)
    return model


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


NETWORKS: tuple[Rival, ...] = (Rival("SCAAE", "others", _scaae), Rival("SCAAE's context alone", "others", _context))
"""What is judged, with the same interface as the rivals."""

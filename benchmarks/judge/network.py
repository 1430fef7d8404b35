"""Today's network as a method of its class: it sees a volume, and was fitted to other people's runs."""

from __future__ import annotations

import numpy as np

from benchmarks.judge.rivals import Apply, Rival
from benchmarks.judge.runs import Group, Run
from benchmarks.recovery import fitted_model
from scaae_nipype.model import Model, extract_networks
from scaae_nipype.model.apply import context_function

__all__ = ["NETWORKS"]


def _model(others: Group) -> Model:
    """Fit the shipped network to other runs; kept with them."""
    if "model" not in others.kept:
        others.kept["model"] = fitted_model([run.volumes for run in others.runs])
    model = others.kept["model"]
    assert isinstance(model, Model)
    return model


def _scaae(others: Group) -> Apply:
    model = _model(others)

    def apply(run: Run) -> np.ndarray:
        return extract_networks(run.volumes, model).signed

    return apply


def _context(others: Group) -> Apply:
    model = _model(others)
    context = context_function(model, model.grid)
    assert context is not None
    return lambda run: context(run.volumes)


NETWORKS: tuple[Rival, ...] = (Rival("SCAAE", "others", _scaae), Rival("SCAAE's context alone", "others", _context))
"""What is judged, with the same interface as the rivals."""

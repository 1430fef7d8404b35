"""The product's networks as methods of their class: they see a volume, and were fitted to others' runs or its own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from benchmarks.judge.rivals import Apply, Rival, grid_of
from benchmarks.judge.runs import Group, Run
from benchmarks.machine import fast_precision
from benchmarks.planted import grid_of_model
from scaae_nipype.model import PRESETS, Model
from scaae_nipype.model.extraction.functions import context_function, network_function
from scaae_nipype.model.group_pca import fit_group_pca
from scaae_nipype.model.network.contextual import ContextualSCAAE
from scaae_nipype.model.network.pointwise import PointwiseSCAAE
from scaae_nipype.model.training.fitted_context import fit_network_context
from scaae_nipype.model.training.fitted_pointwise import train_pointwise
from scaae_nipype.model.training.start import load_start
from scaae_nipype.model.training.volumes import VolumeCache
from scaae_nipype.model.weights import new_network

__all__ = ["IN_TIME", "JUDGED", "JUDGED_PRESETS", "NETWORKS", "PRECISIONS", "fitted_model", "networks"]

JUDGED_PRESETS = ("contextual", "pointwise")
"""Presets that are judged: the first takes most of the time, the second is the default of the product."""

WIDTH = 3.0
"""Standard deviation of the Gaussian over neighbours in time in s, where the network may look at them; not tuned."""

IN_TIME = "SCAAE, preset pointwise, in time"
"""The default network where it looks at neighbours in time."""

PRECISIONS = ("auto", "bf16", "fp32")
"""What networks may compute in; auto: bf16 where the processor does natively, else fp32."""


def fitted_model(runs: list[np.ndarray], *, precision: str = "auto") -> Model:
    """Fit the contextual preset, whose attention ships trained, to prepared runs on the model's whole grid.

    Parameters
    ----------
    runs : list of float32 array, (n_volumes, n_voxels)
    precision : str
        One of `PRECISIONS`.
    """
    grid = grid_of_model()
    network = new_network(PRESETS["contextual"], grid, seed=0)
    assert isinstance(network, ContextualSCAAE)
    load_start(network, grid)
    fit_network_context(network, VolumeCache(runs, [None] * len(runs)))
    card = {"Precision": fast_precision() if precision == "auto" else precision}
    card |= {"PrecisionDemanded": True} if precision != "auto" else {}
    return Model(network.eval(), grid, card)


def _model(others: Group, precision: str) -> Model:
    """Fit the contextual preset to other runs; kept with them."""
    if "model" not in others.kept:
        others.kept["model"] = fitted_model([_whole(run) for run in others.runs], precision=precision)
    model = others.kept["model"]
    assert isinstance(model, Model)
    return model


def _pointwise(others: Group, sigma_time: float = 0.0) -> Apply:
    """Fit the default preset to other runs; the fit does not depend on the width in time (s)."""
    if "pointwise" not in others.kept:
        grid = grid_of_model()
        seconds = [np.arange(len(run)) * run.repetition_time for run in others.runs]
        runs = VolumeCache([_whole(run) for run in others.runs], seconds)
        group_pca = fit_group_pca(runs.runs, grid)
        model = Model(new_network(PRESETS["pointwise"], grid, seed=0).eval(), grid, {"Precision": "fp32"}, group_pca)
        train_pointwise(model, runs, group_pca, seed=0)
        others.kept["pointwise"] = model
    model = others.kept["pointwise"]
    assert isinstance(model, Model)

    def apply(run: Run) -> np.ndarray:
        assert isinstance(model.network, PointwiseSCAAE)
        model.network.time_width.fill_(sigma_time)
        seconds = np.arange(len(run)) * run.repetition_time
        return network_function(model, run.grid, seconds=seconds)(run.volumes)

    return apply


def _with_itself(others: Group) -> Apply:
    """Fit the default preset to other runs and to the very run, which is what users do by default."""
    return lambda run: _pointwise(Group([run, *others.runs]))(run)


def _whole(run: Run) -> np.ndarray:
    """Put a run's volumes on the model's whole grid, 0 outside of its region, as the preparation does."""
    grid = grid_of_model()
    volumes = np.zeros((len(run), grid.n_voxels), dtype=np.float32)
    volumes[:, grid.vectors(run.grid.mask)] = run.volumes
    return volumes


def _scaae(others: Group, precision: str) -> Apply:
    model = _model(others, precision)
    return lambda run: network_function(model, run.grid)(run.volumes)


def _context(others: Group, precision: str) -> Apply:
    model = _model(others, precision)

    def apply(run: Run) -> np.ndarray:
        context = context_function(model, run.grid)
        assert context is not None
        return context(run.volumes)

    return apply


def networks(precision: str = "auto", presets: Sequence[str] = JUDGED_PRESETS) -> tuple[Rival, ...]:
    """Give what is judged, with the same interface as the rivals.

    Parameters
    ----------
    precision : str
        One of `PRECISIONS`; scores hardly depend on it, time does.
    presets : sequence of str
        Of `JUDGED_PRESETS`; the contextual one comes with its context alone, the pointwise one once more fitted to the
        very run that it is applied to, as where somebody has one run and no other, and to that run and the others.

    >>> [network.name.removeprefix("SCAAE, preset ") for network in networks(presets=("pointwise",))]
    ['pointwise', 'pointwise, in time', 'pointwise, of the run itself', 'pointwise, of the run itself and others']
    """
    made = {
        "contextual": (
            Rival("SCAAE", "others", partial(_scaae, precision=precision)),
            Rival("SCAAE's context alone", "others", partial(_context, precision=precision)),
        ),
        "pointwise": (
            Rival("SCAAE, preset pointwise", "others", _pointwise),
            Rival(IN_TIME, "all", _pointwise, grid_of(sigma_time=(WIDTH,))),
            Rival("SCAAE, preset pointwise, of the run itself", "run", lambda: lambda run: _pointwise(run.alone)(run)),
            Rival("SCAAE, preset pointwise, of the run itself and others", "all", _with_itself),
        ),
    }
    return tuple(network for preset in presets for network in made[preset])


NETWORKS = networks()
"""The product's networks; for names and classes."""

JUDGED = ("SCAAE", "SCAAE, preset pointwise")
"""Those that see every volume alone: they are held against the best of their class."""

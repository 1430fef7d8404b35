"""A model, or the same network before training, as a plain function of volumes; and whether it has seen a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from ...derivatives.names import participant_of
from ...errors import ModelError
from ...grid import Grid
from ..network.contextual import ContextualSCAAE
from ..network.linear import LinearNetwork
from ..network.pointwise import PointwiseSCAAE
from ..network.reading import branch_signs
from ..presets import RECIPES
from ..weights import Model, new_network
from .extractor import Extractor
from .neighbours import neighbours_of, rested_function, time_width_of

__all__ = [
    "account_of",
    "context_function",
    "group_pca_function",
    "network_function",
    "untrained_function",
    "was_trained_on",
]

PART = 32
"""Volumes that are put on the model's grid together."""


def network_function(
    model: Model,
    region: Grid,
    *,
    seconds: np.ndarray | None = None,
    device: torch.device | None = None,
    batch_size: int | None = None,
) -> Callable[[np.ndarray], np.ndarray]:
    """Make a function that gives the networks of volumes of one region; the network is made ready once.

    Parameters
    ----------
    model : Model
    region : Grid
        A part of the model's grid; voxels outside are 0 for the network, as in a prepared run.
    seconds : float array, (n_volumes,), optional
        When the volumes are taken, for a model that looks at neighbours in time.
    device : torch.device, optional
        Default: CPU.
    batch_size : int, optional
        As for `extract_networks`.

    Returns
    -------
    callable
        From (n_volumes, n_region_voxels) to signed maps (n_branches, n_volumes, n_region_voxels), float32.

    Raises
    ------
    ModelError
        If the region is not a part of the model's grid.
    InputError
        If the model looks at neighbours in time, and `seconds` are not given, or not those of the volumes.
    """
    grid, inside = model.grid, _inside(model, region)
    extractor, around = Extractor(model, device=device), neighbours_of(model, seconds)

    def apply(volumes: np.ndarray) -> np.ndarray:
        signed = np.empty((len(extractor.signs), *volumes.shape), dtype=np.float32)
        whole = np.zeros((2, PART, grid.n_voxels), dtype=np.float32)
        rested, averaged = (None, 1.0) if around is None else (around.rested(volumes), around.averaged)
        for start in range(0, len(volumes), PART):  # a part at a time: a run is not held twice
            here = slice(start, min(start + PART, len(volumes)))
            count = here.stop - start
            whole[0, :count, inside] = volumes[here].T
            if rested is not None:
                whole[1, :count, inside] = rested[here].T
            done = start
            calm = None if rested is None else whole[1, :count]
            for maps, *_ in extractor.batches(whole[0, :count], batch_size, rested=calm, averaged=averaged):
                signed[:, done : done + len(maps)] = maps[..., inside].swapaxes(0, 1)
                done += len(maps)
        return signed

    return apply


def _inside(model: Model, region: Grid) -> np.ndarray:
    """Tell which voxels of the model's grid are in the region."""
    grid = model.grid
    same_space = region.shape == grid.shape and np.allclose(region.affine, grid.affine, atol=1e-3)
    if not same_space or (region.mask & ~grid.mask).any():
        raise ModelError("The run's region is not a part of the model's grid; prepare the run with this model.")
    return grid.vectors(region.mask)


def context_function(
    model: Model, region: Grid, *, seconds: np.ndarray | None = None
) -> Callable[[np.ndarray], np.ndarray] | None:
    """Make a function that gives the context of volumes: the network's linear part, without any attention.

    Where the network looks at neighbours in time, so does this. Parameters and errors as for `network_function`.

    Returns
    -------
    callable or None
        From (n_volumes, n_region_voxels) to maps of the same shape, float32; None if the network has no context.
    """
    inside, network = _inside(model, region), model.network
    if not isinstance(network, ContextualSCAAE | PointwiseSCAAE):
        return None
    matrices = network.context.encode, network.context.decode
    encode, decode = (matrix.detach().cpu().numpy()[:, inside] for matrix in matrices)
    look = rested_function(model, seconds)
    return lambda volumes: (look(volumes) @ encode.T) @ decode


def group_pca_function(
    model: Model, region: Grid, *, seconds: np.ndarray | None = None
) -> Callable[[np.ndarray], np.ndarray] | None:
    """Make a function that projects volumes on the principal components of the runs that a model was fitted to.

    Where the network looks at neighbours in time, so does this. Parameters and errors as for `context_function`; None
    if the model has none (those of earlier versions).
    """
    inside, group_pca, look = _inside(model, region), model.group_pca, rested_function(model, seconds)
    return None if group_pca is None else lambda volumes: group_pca.project(look(volumes), region, inside)


def untrained_function(
    model: Model,
    region: Grid,
    *,
    seconds: np.ndarray | None = None,
    device: torch.device | None = None,
    batch_size: int | None = None,
) -> Callable[[np.ndarray], np.ndarray]:
    """Make the same function of the network as it was before training: what the architecture alone gives.

    The network is drawn anew with the model's seed. A contextual one then has neither the shipped attention nor a
    context. The branches of an autoencoder take the sign of their mean correlation with the volumes that the function
    is given, where the model's recipe has signs.

    Parameters and errors as for `network_function`.
    """
    network = new_network(model.network.preset, model.grid, seed=int(model.card.get("Seed") or 0)).eval()
    told: dict[str, Any] = {key: model.card[key] for key in ("Precision", "PrecisionDemanded") if key in model.card}
    untrained = Model(network, model.grid, told)
    if isinstance(network, PointwiseSCAAE):
        network.time_width.fill_(time_width_of(model))
    apply = network_function(untrained, region, seconds=seconds, device=device, batch_size=batch_size)
    recipe = RECIPES.get(str(model.card.get("Mode")), RECIPES["calibrated"])
    if isinstance(network, ContextualSCAAE | PointwiseSCAAE | LinearNetwork) or not recipe.signed:
        return apply

    def apply_signed(volumes: np.ndarray) -> np.ndarray:
        signed = apply(volumes)
        signs, _ = branch_signs(signed.swapaxes(0, 1), volumes)
        return signed * signs.astype(np.float32)[:, None, None]

    return apply_signed


def was_trained_on(card: Mapping[str, Any], run_name: str) -> bool | None:
    """Tell from a model's card whether a run was among those that it was fitted to.

    Returns
    -------
    bool or None
        None where the card does not list its runs (imported weights).

    >>> was_trained_on({"Training": {"Runs": ["sub-01_task-rest"]}}, "sub-01_task-rest")
    True
    >>> was_trained_on({"Preset": "published"}, "sub-01_task-rest") is None
    True
    """
    runs = (card.get("Training") or {}).get("Runs")
    return None if not runs else run_name in runs


def account_of(card: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Say for a sidecar which model was applied: its weights, whom it was trained on, and its fold if it has one.

    >>> card = {"WeightsSHA256": "ab", "Training": {"Runs": ["sub-01_run-1", "sub-01_run-2", "sub-02"]}}
    >>> account_of(card, "main")["NumberOfTrainingParticipants"], account_of(card, "main")["Fold"]
    (2, None)
    """
    runs = (card.get("Training") or {}).get("Runs")
    names = runs if isinstance(runs, list) else []
    fold = card.get("CrossFit") or {}
    return {
        "ModelName": name,
        "ModelChecksum": card.get("WeightsSHA256"),
        "Fold": fold.get("Fold"),
        "NumberOfFolds": fold.get("NumberOfFolds"),
        "NumberOfTrainingParticipants": len({participant_of(run) for run in names}) or None,
        "NumberOfTrainingRuns": len(names) or None,
    }

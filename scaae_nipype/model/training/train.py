"""Training: from runs, or from their cached volumes, to a model with a card."""

from __future__ import annotations

import math
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn
from torch.optim.swa_utils import update_bn

from ...errors import ModelError
from ...grid import Grid, load_grid
from ...options import Training
from ...progress import Progress, silent
from ..extraction.extractor import AGREEMENT, Extractor, bf16_is_fast, resolve_device
from ..extraction.fused import FusedReader
from ..group_pca import GroupPCA, fit_group_pca
from ..network.contextual import ContextualSCAAE
from ..network.linear import LinearNetwork
from ..network.pointwise import PointwiseSCAAE
from ..network.reading import branch_signs
from ..presets import RECIPES, Recipe, check_training, preset_named
from ..runs import RunLike, volumes_of
from ..weights import Model, new_network
from .fitted_context import train_contextual
from .fitted_linear import train_linear
from .fitted_pointwise import train_pointwise
from .volumes import VolumeCache, times_of, write_cache

__all__ = ["ENOUGH_VOLUMES", "train_model", "train_on_caches", "volume_budget"]

ENOUGH_VOLUMES = 2400
"""Volumes shown below which a model counts as undertrained: branches are still inverted or dense before that."""

LOOK_EVERY = 400
"""Volumes between two looks at the probe set."""

PROBE_VOLUMES = 32
"""Volumes over which batch-norm statistics, signs and stability are measured, spread over all runs."""

POLES = {"above the mean": 1, "below the mean": -1}
"""What the branches of a contextual network mark, and the sign of its correlation with the volume."""

FLAGGED_BELOW = 0.9
"""Share of volumes that must agree with a branch's sign."""


def volume_budget(n_volumes: int, recipe: Recipe, requested: Literal["auto"] | int = "auto") -> int:
    """Give the number of volumes to show in training: as asked for, else the recipe's epochs up to its largest budget.

    >>> volume_budget(100, RECIPES["calibrated"]), volume_budget(10**5, RECIPES["calibrated"])
    (400, 2400)
    >>> volume_budget(100, RECIPES["paper"])
    2000
    """
    if requested != "auto":
        return requested
    budget = n_volumes * recipe.epochs
    return budget if recipe.largest_budget is None else min(budget, recipe.largest_budget)


def train_model(
    runs: Sequence[RunLike],
    training: Training = Training(),
    *,
    grid: Grid | None = None,
    work_dir: str | Path | None = None,
    card: dict[str, Any] | None = None,
    progress: Progress = silent,
) -> Model:
    """Fit a network to the volumes of prepared runs, in this process.

    Parameters
    ----------
    runs : sequence of PreparedRun, image or array
        As for `extract_networks`. The default preset looks at neighbours in time while it is fitted; of an array, or
        an image whose header leaves the repetition time open, it takes 2 s, and the card says so.
    training : Training
    grid : Grid, optional
        The model's; by default that of the shipped mask.
    work_dir : path, optional
        Folder for checkpoints and logs, from which an interrupted training goes on; by default nothing is kept.
    card : dict, optional
        What else the card should say (runs, preparation).
    progress : Progress
        Counts volumes.

    Raises
    ------
    ModelError
        If a run lies on another grid, or as for `train_on_caches`.
    InputError
        If an image cannot be read, or no volume of a run is kept.
    """
    grid = load_grid() if grid is None else grid
    with tempfile.TemporaryDirectory(prefix="scaae-") as scratch:
        caches = []
        for number, run in enumerate(runs):
            own = volumes_of(run, grid)
            path = Path(scratch, "cache", f"run-{number:05d}.npy")
            caches.append(write_cache(own.vectors, path, times_of(own.kept, own.repetition_time)))
        folder = Path(scratch, "training") if work_dir is None else work_dir
        model, _ = train_on_caches(
            caches, grid, training=replace(training, processes=1), work_dir=folder, card=card, progress=progress
        )
    return model


def train_on_caches(
    cache_files: Sequence[str | Path],
    grid: Grid,
    *,
    training: Training,
    work_dir: str | Path,
    card: dict[str, Any] | None = None,
    progress: Progress = silent,
) -> tuple[Model, bool]:
    """Train a network and measure what its card has to say.

    An interrupted training goes on from its last checkpoint in `work_dir`, to the same result.

    Parameters
    ----------
    cache_files : sequence of path
        Array files of `scaae_nipype.model.training.volumes.write_cache`, one a run.
    grid, training, card, progress
        As for `train_model`.
    work_dir : path
        For checkpoints and logs (CSV, TensorBoard). Private: checkpoints are not for exchange.

    Returns
    -------
    model : Model
    first : bool
        Whether this is the first of the processes that take part, whose model is the one to keep.

    Raises
    ------
    ModelError
        If there is nothing to train on, the work folder cannot be written, a checkpoint there belongs to another
        training, or bf16 is asked for and does not agree with fp32.
    UsageError
        If a setting has no effect on the network that is asked for.
    """
    check_training(training)
    cache = VolumeCache.open(cache_files, grid)
    device = resolve_device(training.device)
    network = new_network(preset_named(training.preset), grid, seed=training.seed)
    fastest = "bf16" if bf16_is_fast(device) else "fp32"
    precision = fastest if training.precision == "auto" else training.precision
    model = Model(network, grid, {**(card or {}), "Precision": precision})
    if training.precision == "bf16":
        model.card["PrecisionDemanded"] = True  # wherever the model is applied
    group_pca: GroupPCA | None = None
    if isinstance(network, PointwiseSCAAE):
        model.card["Precision"] = "fp32"
        group_pca = fit_group_pca(cache.runs, grid)
        train_pointwise(model, cache, group_pca, seed=training.seed, time_width=training.time_width)
        network.eval()
        first = int(os.environ.get("RANK", "0")) == 0
    elif isinstance(network, LinearNetwork):
        model.card["Precision"] = "fp32"
        group_pca = train_linear(model, cache, seed=training.seed)
        network.eval()
        first = int(os.environ.get("RANK", "0")) == 0
    elif isinstance(network, ContextualSCAAE):
        train_contextual(model, cache, seed=training.seed)
        network.eval()
        first = int(os.environ.get("RANK", "0")) == 0
    else:
        first = _train_autoencoder(model, cache, training, device, work_dir=Path(work_dir), progress=progress)
    model.card |= {
        "Name": f"{training.preset}-{training.mode}",
        "Mode": training.mode,
        "Branches": _branches(model, cache.sample(PROBE_VOLUMES), signed=RECIPES[training.mode].signed),
        "Licence": "not stated",
    }
    if first:
        model.group_pca = group_pca or fit_group_pca(cache.runs, grid)
    if model.card["Precision"] == "bf16":
        _check_bf16(model, device, demanded=training.precision == "bf16")
    return model, first


def _train_autoencoder(
    model: Model, cache: VolumeCache, training: Training, device: torch.device, *, work_dir: Path, progress: Progress
) -> bool:
    """Train by reconstruction, and complete the card; tell whether this is the first of the processes."""
    # With Lightning, which takes seconds to import: what is fitted in closed form does without
    from .learner import Learner, SettledNetworks
    from .trainer import fit

    started = time.monotonic()
    network, grid, precision = model.network, model.grid, model.card["Precision"]
    recipe = RECIPES[training.mode]
    shared = min(recipe.batch_size, len(cache)) // training.processes * training.processes
    recipe = replace(recipe, batch_size=max(training.processes, shared))
    n_steps = max(1, math.ceil(volume_budget(len(cache), recipe, training.train_volumes) / recipe.batch_size))
    mask = np.ascontiguousarray(grid.mask[model.box])
    learner = Learner(network, recipe=recipe, n_steps=n_steps, place=model.volumes, mask=mask)  # type: ignore[arg-type]
    identity = {
        "preset": training.preset,
        "seed": training.seed,
        "precision": precision,
        "steps": n_steps,
        "training_volumes": len(cache),
        "data": cache.checksum,
        "grid": grid.checksum,
        **asdict(recipe),
    }
    probes = cache.sample(PROBE_VOLUMES // 2)
    settled = SettledNetworks(
        lambda network: _probe_networks(network, model, probes),
        interval=max(1, LOOK_EVERY // recipe.batch_size),
        first=math.ceil(ENOUGH_VOLUMES / recipe.batch_size),
    )
    trainer = fit(
        learner,
        cache,
        seed=training.seed,
        bf16=precision == "bf16",
        device=device,
        processes=training.processes,
        callbacks=[settled],
        identity=identity,
        work_dir=work_dir,
        progress=progress,
    )
    network.to("cpu", memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]
    recompute_batch_norm(model, cache.sample(PROBE_VOLUMES), batch_size=recipe.batch_size)
    seen = trainer.global_step * recipe.batch_size
    model.card |= {
        "Seed": training.seed,
        "Training": {
            "Runs": len(cache.runs),
            **model.card.get("Training", {}),
            "Volumes": len(cache),
            "VolumesSeen": seen,
            "Steps": trainer.global_step,
            "BatchSize": recipe.batch_size,
            "LearningRate": recipe.learning_rate,
            "Loss": "mean squared error over the " + ("brain mask" if recipe.masked_loss else "whole field"),
            "FinalLoss": learner.last_loss,
            "StoppedEarly": trainer.global_step < n_steps,
            "Undertrained": seen < ENOUGH_VOLUMES,
            "Seconds": round(time.monotonic() - started, 1),
        },
    }
    return trainer.is_global_zero


@torch.inference_mode()
def _probe_networks(network: nn.Module, model: Model, vectors: np.ndarray) -> np.ndarray:
    """Give the signed maps (n, 2, n_voxels) of a few volumes from the network as it is."""
    dtype = torch.bfloat16 if model.card["Precision"] == "bf16" else torch.float32
    parameter = next(network.parameters())
    read = FusedReader(network, dtype=dtype).to(parameter.device).eval()  # type: ignore[arg-type]
    volumes = (model.volumes(vector[None]).to(parameter.device) for vector in vectors)
    return np.stack([model.vectors(read(volume).maps.cpu())[0] for volume in volumes])


def recompute_batch_norm(model: Model, vectors: np.ndarray, *, batch_size: int) -> None:
    """Replace the running statistics of batch norm by those of a fixed sample.

    Running averages lag behind the weights and, on CPU, differ between the processes of one training; a fixed sample
    makes them a property of the weights alone.
    """
    batches = [vectors[start : start + batch_size] for start in range(0, len(vectors), batch_size)]
    dtype = torch.bfloat16 if model.card["Precision"] == "bf16" else torch.float32
    with torch.no_grad(), torch.autocast("cpu", dtype, enabled=dtype == torch.bfloat16):
        layout = torch.channels_last_3d
        update_bn((model.volumes(batch).contiguous(memory_format=layout) for batch in batches), model.network)
    model.network.eval()


def _branches(model: Model, vectors: np.ndarray, *, signed: bool) -> list[dict[str, Any]]:
    """Measure the sign of each branch on a probe set.

    No sign is applied in paper mode, nor to the branches of a contextual network, which have one by design: the first
    marks what is above a voxel's mean, the second what is below.
    """
    signs, agreement = branch_signs(_probe_networks(model.network, model, vectors), vectors)
    by_design = isinstance(model.network, ContextualSCAAE | PointwiseSCAAE | LinearNetwork)
    branches = []
    for sign, share, pole in zip(signs, agreement, POLES, strict=True):
        if by_design and sign != POLES[pole]:
            share = 1 - share
        branches.append(
            {
                "Sign": int(sign) if signed and not by_design else 1,
                "MeasuredSign": int(sign),
                "SignAgreement": round(float(share), 4),
                "Flagged": bool(share < FLAGGED_BELOW),
                **({"Marks": pole} if by_design else {}),
            }
        )
    return branches


def _check_bf16(model: Model, device: torch.device, *, demanded: bool) -> None:
    """Fall back to fp32 extraction where bf16 maps do not agree; refuse where bf16 was demanded."""
    agreement = Extractor(model, device=device).agreement_with_fp32
    if agreement >= AGREEMENT:
        return
    if demanded:
        raise ModelError(
            f"bf16 is asked for, but its FBNs correlate only {agreement:.4f} with fp32 ones (needed: {AGREEMENT}); use "
            "`precision` fp32 or auto."
        )
    model.card["Precision"] = "fp32"

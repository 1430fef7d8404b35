"""Networks with a part left out or exchanged, and how they are trained: what `benchmarks.ablations` compares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.coarse import coarse_grid
from benchmarks.machine import fast_precision
from benchmarks.start import loss
from scaae_nipype.model import PRESETS, Model
from scaae_nipype.model.network.attention import AttentionPath, ParallelBlock, SpatialAttention
from scaae_nipype.model.network.autoencoder import SCAAE
from scaae_nipype.model.network.contextual import ContextualSCAAE
from scaae_nipype.model.presets import RECIPES
from scaae_nipype.model.training.learner import Learner
from scaae_nipype.model.training.train import recompute_batch_norm
from scaae_nipype.model.weights import new_network

__all__ = ["VARIANTS", "Variant", "maps_of", "new_variant", "train_autoencoder"]


@dataclass(frozen=True)
class Variant:
    """A network that differs from the default (`contextual`) or from the paper's idea (`autoencoder`) in one thing.

    Parameters
    ----------
    preset : str
    seed : int
    blocks : int
        Convolution blocks before the branches; 2 in the paper.
    parts : tuple of str
        Names of what is left out or exchanged, see `new_variant`.
    error : str
        ``masked`` or ``whole_box`` squared error of the reconstruction; ``correlation`` or ``squared`` error of maps.
    """

    preset: str
    seed: int = 0
    blocks: int = 2
    parts: tuple[str, ...] = field(default=())
    error: str = ""


def _variants() -> dict[str, Variant]:
    variants = {}
    for preset in ("contextual", "autoencoder"):
        variants[f"{preset}: as it is"] = reference = Variant(preset)
        for seed in (1, 2):
            variants[f"{preset}: seed {seed}"] = replace(reference, seed=seed)
        for blocks in (0, 1, 3):
            variants[f"{preset}: {blocks} blocks before the branches"] = replace(reference, blocks=blocks)
        for part in ("no channel attention", "no spatial attention", "one branch"):
            variants[f"{preset}: {part}"] = replace(reference, parts=(part,))
    for part in ("no context", "no surroundings", "no first guess"):
        variants[f"contextual: {part}"] = Variant("contextual", parts=(part,))
    variants["contextual: squared error"] = Variant("contextual", error="squared")
    for part in ("linear decoder", "deeper decoder"):
        variants[f"autoencoder: {part}"] = Variant("autoencoder", parts=(part,))
    variants["autoencoder: loss over the whole box"] = Variant("autoencoder", error="whole_box")
    return variants


VARIANTS = _variants()


class _Constant(nn.Module):
    """Channel attention that knows nothing: what the sigmoid gives for zero."""

    def forward(self, pooled: Tensor) -> Tensor:
        return torch.full_like(pooled, 0.5)


class _Nothing(nn.Module):
    """A view that shows nothing."""

    sigma = 1.0

    def forward(self, volumes: Tensor) -> Tensor:
        return torch.zeros_like(volumes)


class _LinearDecoder(nn.Module):
    """One map for each number of the code."""

    def __init__(self, shape: tuple[int, ...]):
        super().__init__()
        self.shape, self.maps = shape, nn.Linear(64, int(np.prod(shape)))

    def forward(self, code: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            return self.maps(code.float()).reshape(-1, 1, *self.shape)


def new_variant(variant: Variant) -> SCAAE | ContextualSCAAE:
    """Make an untrained variant on the coarse grid."""
    preset = replace(PRESETS[variant.preset], trunk_blocks=variant.blocks)
    network = new_network(preset, coarse_grid(), seed=variant.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(variant.seed)
        for part in variant.parts:
            _CHANGES[part](network)
    return network


def _one_branch(network: SCAAE | ContextualSCAAE) -> None:
    path: AttentionPath = network.attention
    features = 2 * network.preset.branch_features  # as many channels in all
    path.branches = nn.ModuleList([ParallelBlock(network.preset.features, features, residual=False)])
    path.spatial = nn.ModuleList([SpatialAttention(features)])


def _no_spatial(network: SCAAE | ContextualSCAAE) -> None:
    network.attention.spatial = nn.ModuleList(nn.Identity() for _ in network.attention.spatial)


def _no_first_guess(network: SCAAE | ContextualSCAAE) -> None:
    for parameter in (network.logit_gain, network.wide_share):
        parameter.requires_grad = False
        parameter.data.zero_()


def _deeper_decoder(network: SCAAE | ContextualSCAAE) -> None:
    layers = list(network.decoder.layers)
    block = [ParallelBlock(network.preset.branch_features, network.preset.branch_features, residual=True)]
    network.decoder.layers = nn.Sequential(*layers[:-3], *block, *layers[-3:])


_CHANGES: dict[str, Callable[[SCAAE | ContextualSCAAE], None]] = {
    "no channel attention": lambda network: setattr(network.attention, "channel", _Constant()),
    "no spatial attention": _no_spatial,
    "one branch": _one_branch,
    "no context": lambda network: None,  # nothing is fitted: see `maps_of`, and `with_context` of the training
    "no surroundings": lambda network: setattr(network, "wide", _Nothing()),
    "no first guess": _no_first_guess,
    "linear decoder": lambda network: setattr(network, "decoder", _LinearDecoder(network.field)),
    "deeper decoder": _deeper_decoder,
}


def error_of(variant: Variant) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Give the error of a contextual variant's maps."""
    if "one branch" in variant.parts:
        return _signed_loss
    return _squared if variant.error == "squared" else loss


def _signed_loss(maps: Tensor, planted: Tensor, mask: Tensor) -> Tensor:
    found, target = (maps[:, :1] - maps[:, 1:])[:, :, mask], planted[:, :, mask]
    found, target = (x - x.mean(dim=-1, keepdim=True) for x in (found, target))
    return 1 - ((found * target).sum(-1) / (found.norm(dim=-1) * target.norm(dim=-1) + 1e-6)).mean()


def _squared(maps: Tensor, planted: Tensor, mask: Tensor) -> Tensor:
    target = torch.cat([planted.clamp(min=0), (-planted).clamp(min=0)], dim=1)
    return (maps - target)[:, :, mask].square().mean()


def train_autoencoder(
    network: SCAAE, variant: Variant, vectors: np.ndarray, *, n_volumes: int, look: Callable[[int], None]
) -> None:
    """Train by reconstruction, as the recipe of calibrated mode says; batch norm is recomputed before every look."""
    recipe = replace(RECIPES["calibrated"], masked_loss=variant.error != "whole_box")
    grid = coarse_grid()
    model = Model(network, grid, {"Precision": fast_precision()})
    n_steps = n_volumes // recipe.batch_size
    mask = np.ascontiguousarray(grid.mask[model.box])
    learner = Learner(network.train(), recipe=recipe, n_steps=n_steps, place=model.volumes, mask=mask)
    learner.log = lambda *_, **__: None  # type: ignore[method-assign, assignment]
    optimiser = torch.optim.Adam(network.parameters(), lr=recipe.learning_rate)
    schedule = torch.optim.lr_scheduler.StepLR(optimiser, max(1, n_steps // 10), recipe.decay)
    random = np.random.default_rng(variant.seed)
    sample = vectors[np.linspace(0, len(vectors) - 1, 32).astype(int)]
    for step in range(n_steps):
        batch = torch.from_numpy(vectors[random.integers(0, len(vectors), recipe.batch_size)])
        optimiser.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            value = learner.training_step(batch, 0)
        value.backward()
        optimiser.step()
        schedule.step()
        if (step + 1) % 25 == 0:
            recompute_batch_norm(model, sample, batch_size=recipe.batch_size)
            look((step + 1) * recipe.batch_size)
            network.train()
    network.eval()


@torch.inference_mode()
def maps_of(network: SCAAE | ContextualSCAAE, variant: Variant, vectors: np.ndarray) -> np.ndarray:
    """Give signed maps (n_branches, n_volumes, n_voxels), unfused: a changed path has no fused form."""
    model = Model(network.eval(), coarse_grid())
    maps = []
    for begin in range(0, len(vectors), 16):
        volumes = model.volumes(vectors[begin : begin + 16]).contiguous(memory_format=torch.channels_last_3d)
        options = {"context": torch.zeros_like(volumes)} if "no context" in variant.parts else {}
        with torch.autocast("cpu", torch.bfloat16):
            maps.append(model.vectors(network.read(volumes, **options).maps))
    found = np.concatenate(maps).swapaxes(0, 1)
    if "one branch" in variant.parts:
        return (found[:1] - found[1:]) if variant.preset == "contextual" else found.sum(axis=0, keepdims=True)
    return found

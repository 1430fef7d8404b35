"""Networks and training recipes as data: a preset is a network, a recipe says how it is trained."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from ..errors import UsageError
from ..options import Training

__all__ = [
    "CODE_SIZE",
    "CONTEXTUAL_PRESET",
    "LINEAR_PRESET",
    "POINTWISE_PRESET",
    "PRESETS",
    "RECIPES",
    "Preset",
    "Recipe",
    "check_training",
    "preset_named",
]


@dataclass(frozen=True)
class Preset:
    """A network: which layers, how wide, on which field."""

    name: str
    description: str
    field: Literal["grid", "brain"] = "brain"
    """What the network works on: the whole grid, or the smallest box that holds the brain mask."""
    features: int = 32
    """Channels of the trunk."""
    branch_features: int = 16
    """Channels of each of the two spatial-attention branches."""
    trunk_blocks: int = 2
    """Blocks of three parallel convolutions between the stem and the branches."""
    attention_hidden: int = 8
    """Hidden units of channel attention (equation 6)."""
    code_blocks: int = 3
    """Blocks between the patch embedding and the code."""
    patch: int | None = None
    """Edge of the patches that the attended features are cut into, in voxels. None: an eighth of the field, rounded up,
    so that every one of the 64 numbers of the code sees brain."""
    decoder: Literal["published", "light"] = "light"
    context: int = 0
    """Numbers of a context that is fitted in closed form (`ContextualSCAAE`); 0 for an autoencoder (`SCAAE`), to which
    alone the three fields above apply."""
    pointwise: bool = False
    """Layers of one voxel over views of a volume (`PointwiseSCAAE`), in place of convolutions."""
    linear: bool = False
    """No attention at all: `context` principal components of your runs (`LinearNetwork`)."""

    @property
    def in_fp32(self) -> bool:
        """Whether it computes in fp32 alone, as its arithmetic is small."""
        return self.pointwise or self.linear


@dataclass(frozen=True)
class Recipe:
    """How a network is trained."""

    learning_rate: float
    """Of Adam."""
    batch_size: int
    """Volumes per step."""
    epochs: int
    """Passes over the training volumes, if `largest_budget` allows."""
    largest_budget: int | None
    """Most volumes shown in all; None for no limit."""
    decay: float
    """Factor on the learning rate after every tenth of the training (the paper: 0.9 every 2 of 20 epochs)."""
    masked_loss: bool
    """Mean squared error over the brain mask; otherwise over the whole field, which is mostly background."""
    signed: bool
    """Whether branches get the sign of their correlation with the input."""


PRESETS = MappingProxyType(
    {
        preset.name: preset
        for preset in (
            Preset(
                "pointwise",
                "attention, the same at every voxel, over views fitted to your runs: a hundredth of the arithmetic",
                features=48,
                trunk_blocks=0,
                context=32,
                pointwise=True,
            ),
            Preset(
                "contextual",
                "published attention, trained and shipped, and a context fitted to your runs in minutes",
                context=64,
            ),
            Preset(
                "linear",
                "no attention: each volume projected on the principal components of your runs",
                branch_features=1,
                trunk_blocks=0,
                context=12,
                linear=True,
            ),
            Preset("autoencoder", "published attention and code with a light decoder, trained on your runs"),
            Preset(
                "published",
                "the published network, layer by layer, trained on your runs; takes hours",
                field="grid",
                patch=8,
                decoder="published",
            ),
            Preset(
                "tiny",
                "a few channels, for trying things out: its maps mean nothing",
                features=4,
                branch_features=2,
                trunk_blocks=1,
                attention_hidden=2,
                code_blocks=1,
            ),
        )
    }
)

RECIPES = MappingProxyType(
    {
        "calibrated": Recipe(
            learning_rate=1e-3,
            batch_size=8,
            epochs=4,
            largest_budget=2400,
            decay=0.9,
            masked_loss=True,
            signed=True,
        ),
        "paper": Recipe(
            learning_rate=1e-3,
            batch_size=12,
            epochs=20,
            largest_budget=None,
            decay=0.9,
            masked_loss=False,
            signed=False,
        ),
    }
)
"""The recipe of each mode."""

POINTWISE_PRESET = "pointwise"
"""The default preset, whose attention ships and whose views are fitted in closed form."""

CONTEXTUAL_PRESET = "contextual"
"""The preset whose convolutions ship and whose context is fitted in closed form."""

LINEAR_PRESET = "linear"
"""The preset without attention, a group PCA."""

CODE_SIZE = 64
"""Numbers of the code of a network without a context."""


def preset_named(name: str) -> Preset:
    """Find a preset.

    Raises
    ------
    UsageError
        If there is none of that name.

    >>> preset_named("contextual").field
    'brain'
    """
    if name not in PRESETS:
        near = difflib.get_close_matches(name, PRESETS, n=1)
        hint = f"; did you mean {near[0]}?" if near else "."
        raise UsageError(f"`preset`: there is no preset {name!r}; choose one of {', '.join(PRESETS)}{hint}")
    return PRESETS[name]


def check_training(training: Training) -> None:
    """Refuse what has no effect on the network that is asked for.

    Raises
    ------
    UsageError
        Which setting.
    """
    if training.time_width and not preset_named(training.preset).pointwise:
        raise UsageError(
            f"`time_width` is not for `preset` {training.preset}, which sees every volume alone: leave it out, or "
            f"choose `preset` {POINTWISE_PRESET}."
        )
    if not preset_named(training.preset).context:
        return
    if preset_named(training.preset).in_fp32 and training.precision == "bf16":
        raise UsageError(
            f"`precision` bf16 is not for `preset` {training.preset}, which computes in fp32: leave it out."
        )
    without_effect = {"train_volumes": training.train_volumes != "auto", "processes": training.processes > 1}
    for name, is_given in without_effect.items():
        if is_given:
            raise UsageError(
                f"`{name}` has no effect with `preset` {training.preset}, which is fitted in closed form: leave it "
                "out, or choose `preset` autoencoder."
            )

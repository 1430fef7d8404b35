"""What is tried: one change at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from benchmarks.search.network import Shape
from benchmarks.search.views import BASIC, CALM, CALM_OWN, CALM_PARTS, EVERYTHING, OWN, PARTS

__all__ = ["SETTINGS", "VARIANTS", "Looks", "Variant"]

Looks = Literal["classic", "any", "volume", "everything", "product"]
"""What a variant is shown in training: always neighbours in time (3 s) and the run; any width in time with the run or
without, drawn for every run; the volume alone (with the context of other runs); always neighbours and the run, in any
width; any width in time or none, never the run, as the product does."""

SETTINGS = {"volume": (0.0, False), "own": (0.0, True), "time": (3.0, False), "everything": (3.0, True)}
"""Width in time in s, and whether the run itself may be looked at: the ways in which one network may be used."""

ALL_CALM = (*CALM, *CALM_PARTS)


@dataclass(frozen=True)
class Variant:
    """A network and how it is trained.

    Parameters
    ----------
    shape : Shape
    amplitude : float
        Share of the loss that knows the strength of volumes of one run.
    raw : float
        Share of the planted volume as it is, the rest being what lies above each voxel's mean, in branch 1's target.
    rate : float
        Learning rate.
    seed : int
    decay : float
        Decay of the weights.
    looks : {"classic", "any", "volume", "everything", "product"}
    signed : bool
        Whether branch 1 should mark what lies below 0 as such, in place of leaving it at 0.
    """

    shape: Shape
    amplitude: float = 0.3
    raw: float = 1.0
    rate: float = 2e-3
    seed: int = 0
    decay: float = 1e-4
    looks: Looks = "classic"
    signed: bool = False


VARIANTS = {
    "pointwise": Variant(Shape(), amplitude=0.0),
    "pointwise_amplitude": Variant(Shape()),
    "pointwise_centred": Variant(Shape(), raw=0.0),
    "parts": Variant(Shape((*BASIC, *PARTS))),
    "combine": Variant(Shape((*BASIC, *PARTS), combine=True)),
    "combine_seed1": Variant(Shape((*BASIC, *PARTS), combine=True), seed=1),
    "combine_amplitude": Variant(Shape((*BASIC, *PARTS), combine=True), amplitude=0.7),
    "combine_wide": Variant(Shape((*BASIC, *PARTS), width=96, depth=2, combine=True)),
    "around": Variant(Shape((*BASIC, *PARTS), combine=True, around=True)),
    "own": Variant(Shape((*BASIC, *PARTS, *OWN), combine=True)),
    "calm": Variant(Shape((*BASIC, *PARTS, *ALL_CALM), combine=True, calm=True)),
    "calm_own": Variant(Shape((*BASIC, *PARTS, *ALL_CALM, *OWN, *CALM_OWN), combine=True, calm=True)),
    "calm_own_wide": Variant(
        Shape((*BASIC, *PARTS, *ALL_CALM, *OWN, *CALM_OWN), width=96, depth=2, combine=True, calm=True)
    ),
}

FEW = tuple(
    name
    for name in EVERYTHING
    if name not in ("rank4", "rank16", "rank32", "calm_rank4", "calm_rank16", "near16", "calm16", "mine", "calm_mine")
)
ONE = Shape(EVERYTHING, width=64, depth=2, combine=True, calm=True, handed=True)

VARIANTS |= {
    "one": Variant(ONE, looks="any"),
    "one_amplitude": Variant(ONE, amplitude=0.6, looks="any"),
    "one_seed1": Variant(ONE, seed=1, looks="any"),
    "one_centred": Variant(ONE, raw=0.0, looks="any"),
    "one_not_combined": Variant(Shape(EVERYTHING, width=64, depth=2, calm=True, handed=True), looks="any"),
    "one_small": Variant(Shape(FEW, width=32, depth=1, branch=8, calm=True, handed=True), looks="any"),
    "one_not_handed": Variant(Shape(EVERYTHING, width=64, depth=2, combine=True, calm=True), looks="any"),
    "volume_only": Variant(Shape((*BASIC, *PARTS), width=64, depth=2, combine=True, handed=True), looks="volume"),
    "everything_only": Variant(ONE, looks="everything"),
}

SHIP = Shape(FEW, width=48, depth=2, calm=True, handed=True, agreed=True)
KNOWS = replace(SHIP, skewed=True)
VARIANTS |= {
    "few": Variant(SHIP, amplitude=0.5, raw=0.3, decay=1e-2, looks="any"),
    "few_seed1": Variant(SHIP, amplitude=0.5, raw=0.3, decay=1e-2, seed=1, looks="any"),
    "few_raw": Variant(SHIP, amplitude=0.5, decay=1e-2, looks="any"),
    "few_small": Variant(replace(SHIP, width=32, depth=1, branch=8), amplitude=0.5, raw=0.3, decay=1e-2, looks="any"),
    "longer": Variant(SHIP, amplitude=0.5, decay=1e-2, rate=5e-4, looks="any"),
    "chosen": Variant(replace(SHIP, lead=30.0), amplitude=0.5, decay=1e-2, looks="any"),
    "skewed": Variant(KNOWS, amplitude=0.5, decay=1e-2, rate=1e-3, looks="product"),
    "skewed_signed": Variant(KNOWS, amplitude=0.5, decay=1e-2, rate=1e-3, looks="product", signed=True),
    "skewed_shape": Variant(KNOWS, amplitude=0.2, decay=1e-2, rate=1e-3, looks="product", signed=True),
    "skewed_strength": Variant(KNOWS, amplitude=0.8, decay=1e-2, rate=1e-3, looks="product", signed=True),
}
"""One network for all settings, and what it is held against. ``chosen`` is ``few_raw`` with a view that leads,
``longer`` goes on from it, at a lower rate."""

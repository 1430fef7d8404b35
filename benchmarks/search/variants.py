"""What is tried: one change at a time."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.search.network import Shape
from benchmarks.search.views import BASIC, CALM, CALM_OWN, CALM_PARTS, OWN, PARTS

__all__ = ["VARIANTS", "Variant"]

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
    """

    shape: Shape
    amplitude: float = 0.3
    raw: float = 1.0
    rate: float = 2e-3
    seed: int = 0


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

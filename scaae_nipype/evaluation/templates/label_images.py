"""Label images: whole numbers that stand for regions, told from the steps of a map by how neighbours change."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_erosion, find_objects

from ...errors import InputError

__all__ = ["FLAT", "ONE_VALUE", "STEPWISE", "Labels", "Structure", "as_labels", "structure_of", "whole_numbers"]

NEARLY_WHOLE = 0.1
"""How far a label may lie from a whole number: images stored with a scale factor round."""

ONE_VALUE = 1e-3
"""How far the values of one label may differ, absolutely or as a share of 1000 times the label."""

FLAT = 0.5
"""Share of neighbours with equal values: atlases have 0.8 and more, probabilities in percent 0.4 and less."""

FALLS_OFF = 0.6
"""A map's values beside 0 are lower than this share of those inside it; labels there are as high as elsewhere."""

STEPWISE = 0.7
"""Share of changes between neighbours that are to the next value: those of a map in few steps nearly all are."""

UNRELATED = 0.7
"""Mean change between neighbours, as a share of that between any two voxels, above which they are unrelated."""


@dataclass(frozen=True, eq=False)
class Labels:
    """A label image."""

    indices: np.ndarray
    """The labels, in order, without the background: int, (n_labels,)."""
    codes: np.ndarray
    """0 for the background, n for the n-th label: int32, (X, Y, Z)."""
    background: tuple[int, ...]
    """Values that belong to no label."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Structure:
    """How values change from voxel to voxel: see the constants above."""

    levels: int
    flat: float
    stepwise: float
    falls_off: bool
    unrelated: bool

    @property
    def is_clearly_labels(self) -> bool:
        """Whether these are regions without doubt."""
        return self.levels > 2 and self.flat > FLAT and self.stepwise < STEPWISE and not self.falls_off


def as_labels(values: np.ndarray, *, source: str, what: str = "template", named: Collection[int] = ()) -> Labels:
    """Take an image of whole numbers as labels; one value below 0 is the background.

    Parameters
    ----------
    values : float array, (X, Y, Z, 1)
    source, what, named
        As for `recognise`.

    Raises
    ------
    InputError
        If the image has more volumes, or values that are not whole.
    """
    if values.shape[3] != 1:
        raise InputError(f"{source}: has {values.shape[3]} volumes; a label image has one.")
    whole = whole_numbers(values)
    if whole is None and (values > 0).any():
        raise InputError(f"{source}: its values are not whole numbers, as those of a label image are.")
    whole = np.rint(values) if whole is None else whole
    distinct, codes = np.unique(whole[..., 0].astype(np.int64), return_inverse=True)
    codes = codes.reshape(values.shape[:3])
    below_0 = tuple(distinct[distinct < 0].tolist())
    background, said = ((0,) if 0 in distinct else ()) + below_0, []
    if len(below_0) > 1:
        said.append(f"{source}: its {len(below_0)} different values below 0 all count as background.")
    if below_0 and 0 in distinct:
        below = ", ".join(map(str, below_0))
        largest = np.bincount(codes.ravel())[distinct > 0].max(initial=0)
        is_label = 0 in named if named else (codes == np.searchsorted(distinct, 0)).sum() <= 2 * largest
        taken = f"{below} as background and 0 as a label" if is_label else f"{below} and 0 as background"
        said.append(
            f"{source} holds {below} and 0: {taken}. A row for 0 in the table of names (`{what}_labels`) makes it a "
            "label, a table without one makes it background."
        )
        background = below_0 if is_label else background
    is_known = ~np.isin(distinct, background)
    numbers = np.where(is_known, np.cumsum(is_known), 0).astype(np.int32)
    return Labels(distinct[is_known], numbers[codes], background, tuple(said))


def whole_numbers(values: np.ndarray) -> np.ndarray | None:
    """Round values each of which stands for one whole number, at least one of them above 0; None for others."""
    if values.max(initial=0) < 1 - NEARLY_WHOLE:
        return None
    rounded = np.rint(values)
    if np.abs(values - rounded).max() > NEARLY_WHOLE:
        return None
    distinct = np.unique(values)
    groups = np.rint(distinct)
    first = np.r_[True, np.diff(groups) > 0]
    last = np.r_[first[1:], True]
    spread = distinct[last] - distinct[first]
    if (spread > np.maximum(ONE_VALUE, ONE_VALUE / 1000 * np.abs(groups[first]))).any():
        return None
    return rounded


def structure_of(whole: np.ndarray) -> Structure:
    """Look at neighbouring voxels; values at or below 0 count as outside."""
    for filled in find_objects((whole > 0).astype(np.uint8)):  # the box that holds them, and one voxel around it
        whole = whole[tuple(slice(max(side.start - 1, 0), side.stop + 1) for side in filled)]
    distinct, ranks = np.unique(np.maximum(whole, 0), return_inverse=True)
    ranks = (ranks.reshape(whole.shape) + (0 if distinct[0] == 0 else 1)).astype(np.int32)
    start = np.concatenate([ranks[:-1].ravel(), ranks[:, :-1].ravel(), ranks[:, :, :-1].ravel()])
    end = np.concatenate([ranks[1:].ravel(), ranks[:, 1:].ravel(), ranks[:, :, 1:].ravel()])
    inside = (start > 0) & (end > 0)
    change = np.abs(start - end)
    changed = change > 0
    sizes = np.bincount(ranks[ranks > 0]).astype(float)
    share = sizes / max(sizes.sum(), 1)
    below = np.cumsum(share)
    any_two = 2 * float((below * (1 - below)).sum())  # mean difference of ranks of two voxels drawn at random
    return Structure(
        levels=int((distinct > 0).sum()),
        flat=float((change[inside] == 0).mean()) if inside.any() else 1.0,
        stepwise=float((change[changed] == 1).mean()) if changed.any() else 0.0,
        falls_off=_falls_off(ranks),
        unrelated=bool(not inside.any() or change[inside].mean() > UNRELATED * any_two),
    )


def _falls_off(ranks: np.ndarray) -> bool:
    """Tell whether values beside 0 are lower than those further inside."""
    inside = ranks > 0
    core = binary_erosion(inside, border_value=1)
    edge = inside & ~core
    if not edge.any() or not core.any():
        return False
    return bool(np.median(ranks[edge]) < FALLS_OFF * np.median(ranks[core]))

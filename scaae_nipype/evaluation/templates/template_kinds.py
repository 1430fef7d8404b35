"""What an image of templates holds: labels, continuous maps, or maps that were thresholded before.

Labels are whole numbers that stand for regions: neighbouring voxels carry the same number, and numbers of neighbouring
regions mean nothing. A map falls off towards its edge, in steps if it is stored as whole numbers. A map that was
thresholded has no values between 0 and its threshold. Where these marks contradict each other nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from ...errors import InputError, UsageError
from ...maps import THRESHOLD
from ...words import percent

__all__ = ["Kind", "Labels", "Recognised", "as_labels", "checked_kind", "recognise"]

Kind = Literal["continuous", "labels", "thresholded"]

NEARLY_WHOLE = 0.1
"""How far a label may lie from a whole number: images stored with a scale factor round."""

ONE_VALUE = 1e-3
"""How far the values of one label may differ, absolutely or as a share of 1000 times the label."""

FEW_STEPS = 4
"""Images with fewer different values above 0 have too few for a look at how they change from voxel to voxel."""

FLAT = 0.5
"""Share of neighbours with equal values: atlases have 0.8 and more, probabilities in percent 0.4 and less."""

FALLS_OFF = 0.6
"""A map's values beside 0 are lower than this share of those inside it; labels there are as high as elsewhere."""

STEPWISE = 0.7
"""Share of changes between neighbours that are to the next value: those of a map in few steps nearly all are."""

UNRELATED = 0.7
"""Mean change between neighbours, as a share of that between any two voxels, above which they are unrelated."""

PLATEAUS = 0.2
"""Share of exactly whole values among other ones above which labels were interpolated."""

CONTINUOUS, THRESHOLDED = 0.2, THRESHOLD
"""Smallest value above 0, as a share of the highest tenth: up to the first a map falls off, from the second on it was
cut, as the paper cuts maps."""

MOSTLY_ZERO = 0.5
"""Maps that were thresholded leave more than this share of the brain at exactly 0."""

_LOOKED_AT = 5
"""Volumes of a 4D image of whole numbers that are looked at for labels."""


@dataclass(frozen=True)
class Recognised:
    """What an image holds.

    Attributes
    ----------
    kind : "continuous", "labels" or "thresholded"
    reason : str
        What tells so, in words.
    warnings : tuple of str
        What a user should check.
    """

    kind: Kind
    reason: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Labels:
    """A label image.

    Attributes
    ----------
    indices : int array, (n_labels,)
        The labels, in order, without the background.
    codes : int32 array, (X, Y, Z)
        0 for the background, n for the n-th label.
    background : tuple of int
        Values that belong to no label.
    warnings : tuple of str
    """

    indices: np.ndarray
    codes: np.ndarray
    background: tuple[int, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Structure:
    """How values change from voxel to voxel: see the constants above."""

    levels: int
    flat: float
    stepwise: float
    falls_off: bool
    unrelated: bool


def recognise(
    values: np.ndarray, zeros: Callable[[], float], *, source: str, what: str = "template", named: Collection[int] = ()
) -> Recognised:
    """Recognise what an image holds.

    Parameters
    ----------
    values : float array, (X, Y, Z, n_volumes)
        0 where the image holds no finite number.
    zeros : callable
        Gives the share of exact zeros inside the brain mask; asked only where that matters.
    source : str
        The file, for messages.
    what : str
        What it is for, "template" or "atlas": ``{what}_kind`` is the setting that says what the image holds.
    named : collection of int
        Labels that a table names, or that are known otherwise: they decide where the image itself does not.

    Raises
    ------
    InputError
        If the image is none of the three, or if nothing tells which.
    """
    choose = f"say what it holds with `{what}_kind` (labels, continuous or thresholded)"
    whole = _whole(values) if values.shape[3] == 1 else None
    if whole is not None:
        return _of_whole_numbers(whole[..., 0], source=source, what=what, named=named, choose=choose)
    if values.shape[3] == 1:
        _refuse_spoilt_labels(values[..., 0], source=source, choose=choose)
    elif _many_label_images(values):
        raise InputError(
            f"{source}: its {values.shape[3]} volumes look like label images, not like maps; give one label image with "
            f"one volume, or {choose}."
        )
    return _of_maps(values, zeros, source=source, choose=choose)


def checked_kind(kind: str, what: str) -> Kind | None:
    """Give a kind that was asked for, None for ``auto``.

    Raises
    ------
    UsageError
        If there is no such kind.
    """
    if kind != "auto" and kind not in get_args(Kind):
        raise UsageError(
            f"{what.capitalize()}s of kind '{kind}': choose one of auto, {', '.join(get_args(Kind))} (`{what}_kind`)."
        )
    return None if kind == "auto" else kind  # type: ignore[return-value]


# ---- labels ------------------------------------------------------------------------------------------------------


def _whole(values: np.ndarray) -> np.ndarray | None:
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


def _of_whole_numbers(whole: np.ndarray, *, source: str, what: str, named: Collection[int], choose: str) -> Recognised:
    distinct = np.unique(whole).astype(np.int64)
    positive = distinct[distinct > 0]
    if (n_below := int((distinct < 0).sum())) > 1:
        if _is_clearly_labels(_structure(np.abs(whole))):
            raise InputError(
                f"{source}: looks like a label image, but has {n_below} different labels below 0, where one at most "
                f"can be the background: number all labels from 1 on, or {choose}."
            )
        return Recognised("continuous", f"one map of whole numbers, among them {n_below} different ones below 0")
    names = f"{len(positive)} different whole numbers above 0" if len(positive) > 1 else "one number above 0"
    labels = Recognised("labels", f"one volume of {names}")
    structure = _structure(whole)
    looks_like_map = structure.levels >= FEW_STEPS and (structure.flat < FLAT or structure.stepwise > STEPWISE)
    if not looks_like_map or not (structure.falls_off or (structure.flat < FLAT and not structure.unrelated)):
        return labels
    if len(positive) and set(positive.tolist()) <= set(named):
        return Recognised("labels", f"{labels.reason}, each of which has a name")
    if structure.falls_off and structure.flat < FLAT:
        reason = f"one volume of {names} that change from voxel to voxel and fall off to the edge, as in a map"
        return Recognised(
            "continuous", reason, (f"{source} holds {reason}: it was taken as one map. If it holds labels, {choose}.",)
        )
    raise InputError(
        f"{source}: cannot tell whether its {len(positive)} whole numbers are labels or the steps of one map: "
        f"{choose}, or give a table with a name for every label (`{what}_labels`)."
    )


def as_labels(values: np.ndarray, *, source: str, what: str = "template", named: Collection[int] = ()) -> Labels:
    """Take an image of whole numbers as labels; one value below 0 is the background.

    Parameters
    ----------
    values : float array, (X, Y, Z, 1)
    source, what
        As for `recognise`.
    named : collection of int
        Labels that a table names.

    Raises
    ------
    InputError
        If the image has more volumes, or values that are not whole.
    """
    if values.shape[3] != 1:
        raise InputError(f"{source}: has {values.shape[3]} volumes; a label image has one.")
    whole = _whole(values)
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


def _structure(whole: np.ndarray) -> _Structure:
    """Look at neighbouring voxels; values at or below 0 count as outside."""
    whole = _box_of(whole)
    distinct, ranks = np.unique(np.maximum(whole, 0), return_inverse=True)
    ranks = (ranks.reshape(whole.shape) + (0 if distinct[0] == 0 else 1)).astype(np.int32)
    pairs = [
        (start.ravel(), end.ravel())
        for along in (np.moveaxis(ranks, axis, 0) for axis in range(3))
        for start, end in [(along[:-1], along[1:])]
    ]
    start, end = (np.concatenate(side) for side in zip(*pairs, strict=True))
    inside = (start > 0) & (end > 0)
    change = np.abs(start - end)
    changed = change > 0
    sizes = np.bincount(ranks[ranks > 0]).astype(float)
    share = sizes / max(sizes.sum(), 1)
    below = np.cumsum(share)
    any_two = 2 * float((below * (1 - below)).sum())  # mean difference of ranks of two voxels drawn at random
    return _Structure(
        levels=int((distinct > 0).sum()),
        flat=float((change[inside] == 0).mean()) if inside.any() else 1.0,
        stepwise=float((change[changed] == 1).mean()) if changed.any() else 0.0,
        falls_off=_falls_off(ranks),
        unrelated=bool(not inside.any() or change[inside].mean() > UNRELATED * any_two),
    )


def _is_clearly_labels(structure: _Structure) -> bool:
    return structure.levels > 2 and structure.flat > FLAT and structure.stepwise < STEPWISE and not structure.falls_off


def _box_of(volume: np.ndarray) -> np.ndarray:
    """Cut a volume to what lies above 0, and one voxel around it."""
    for axis in range(3):
        filled = np.flatnonzero((volume > 0).any(axis=tuple(other for other in range(3) if other != axis)))
        if filled.size:
            volume = np.take(volume, range(max(filled[0] - 1, 0), min(filled[-1] + 2, volume.shape[axis])), axis=axis)
    return volume


def _falls_off(ranks: np.ndarray) -> bool:
    """Tell whether values beside 0 are lower than those further inside."""
    inside = ranks > 0
    core = inside.copy()
    for axis in range(3):
        along, kept = np.moveaxis(inside, axis, 0), np.moveaxis(core, axis, 0)
        kept[1:] &= along[:-1]
        kept[:-1] &= along[1:]
    edge = inside & ~core
    if not edge.any() or not core.any():
        return False
    return bool(np.median(ranks[edge]) < FALLS_OFF * np.median(ranks[core]))


def _refuse_spoilt_labels(volume: np.ndarray, *, source: str, choose: str) -> None:
    """Refuse labels that somebody interpolated, or multiplied by something.

    Raises
    ------
    InputError
    """
    positive = volume[volume > 0]
    if not positive.size:
        return
    whole = np.abs(positive - np.rint(positive)) < ONE_VALUE
    labels = np.unique(np.rint(positive[whole])) if whole.mean() > PLATEAUS else np.array([])
    if len(labels[labels > 0]) > 1:
        raise InputError(
            f"{source}: {percent(whole.mean())} of its values above 0 are whole numbers and the rest lies between "
            "them, as in a label image that was interpolated: make it again with nearest neighbours (or its "
            f"like for labels), or {choose}."
        )
    structure = _structure(volume)
    if _is_clearly_labels(structure):
        raise InputError(
            f"{source}: holds {structure.levels} different values above 0 in flat regions, as a label image does, but "
            f"they are not whole numbers (the smallest is {positive.min():.4g}): store it without a scale factor, or "
            f"{choose}."
        )


def _many_label_images(values: np.ndarray) -> bool:
    filled = [volume for volume in np.moveaxis(values, -1, 0)[:_LOOKED_AT] if (volume > 0).any()]
    looks = []
    for volume in filled:
        whole = _whole(volume)
        if whole is None or (np.unique(whole) < 0).sum() > 1:
            return False
        seen = _structure(whole)
        looks.append(seen.levels >= FEW_STEPS and _is_clearly_labels(seen))
    return bool(looks) and sum(looks) > len(looks) / 2


# ---- maps --------------------------------------------------------------------------------------------------------


def _of_maps(values: np.ndarray, zeros: Callable[[], float], *, source: str, choose: str) -> Recognised:
    """Tell maps that fall off from maps that were cut, by what lies between 0 and their highest values."""
    lowest, n_coarse, one_level = [], 0, True
    for volume in np.moveaxis(values, -1, 0):
        positive = volume[volume > 0]
        if positive.size:
            low, high = np.percentile(positive, [1, 90], method="lower")
            lowest.append(low / high)
            n_coarse += low / high > CONTINUOUS and _is_one_step(positive)
            one_level &= bool(positive.min() == positive.max())
    if not lowest:
        return Recognised("continuous", "no value above 0")
    if one_level and (values == 0).any():
        return Recognised("thresholded", "no two different values above 0 in a map")
    usual = float(np.median(lowest))
    reason = f"the smallest values above 0 are {100 * usual:.2g} % of a map's highest tenth"
    if usual <= CONTINUOUS:
        odd = sum(ratio >= THRESHOLDED for ratio in lowest)
        return Recognised("continuous", reason, _mixed(odd, len(lowest), source, "continuous", choose))
    if (share := zeros()) <= MOSTLY_ZERO:
        return Recognised("continuous", f"the maps leave only {percent(share)} of the brain at 0")
    if n_coarse > len(lowest) / 2:
        reason = "they hold few different values, the smallest above 0 one step from it"
    elif usual >= THRESHOLDED:
        odd = sum(ratio <= CONTINUOUS for ratio in lowest)
        return Recognised("thresholded", reason, _mixed(odd, len(lowest), source, "thresholded", choose))
    else:
        reason += (
            f", where continuous maps have {percent(CONTINUOUS)} or less and thresholded ones "
            f"{percent(THRESHOLDED)} or more"
        )
    raise InputError(f"{source}: cannot tell whether its maps were thresholded before: {reason}: {choose}.")


def _is_one_step(positive: np.ndarray) -> bool:
    """Tell whether the smallest of few values lies as far from 0 as the values from each other: that is no gap."""
    distinct = np.unique(positive)
    return len(distinct) > 2 and bool(distinct[0] <= 1.5 * np.median(np.diff(distinct)))


def _mixed(odd: int, count: int, source: str, kind: str, choose: str) -> tuple[str, ...]:
    if not odd:
        return ()
    return (
        f"{source}: {odd} of {count} maps look otherwise than the rest, but all were taken as {kind}; if that is "
        f"wrong, {choose}.",
    )

"""What an image of templates holds: labels, continuous maps, or maps that were thresholded before.

Labels are whole numbers that stand for regions: neighbouring voxels carry the same number, and numbers of neighbouring
regions mean nothing. A map falls off towards its edge, in steps if it is stored as whole numbers. A map that was
thresholded has no values between 0 and its threshold. Where these marks contradict each other nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import cast, get_args

import numpy as np

from ...errors import InputError, UsageError
from ...maps import THRESHOLD
from ...words import percent
from .label_images import FLAT, ONE_VALUE, STEPWISE, structure_of, whole_numbers
from .template_set import Kind

__all__ = ["GIVEN", "Recognised", "checked_kind", "recognise"]

GIVEN = "not recognised but given"
"""Why an image is of its kind where nobody had to recognise it."""

FEW_STEPS = 4
"""Images with fewer different values above 0 have too few for a look at how they change from voxel to voxel."""

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
    """What an image holds."""

    kind: Kind
    reason: str
    """What tells so, in words."""
    warnings: tuple[str, ...] = ()
    """What a user should check."""


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
    whole = whole_numbers(values) if values.shape[3] == 1 else None
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
    return None if kind == "auto" else cast("Kind", kind)


# ---- labels ------------------------------------------------------------------------------------------------------


def _of_whole_numbers(whole: np.ndarray, *, source: str, what: str, named: Collection[int], choose: str) -> Recognised:
    distinct = np.unique(whole).astype(np.int64)
    positive = distinct[distinct > 0]
    if (n_below := int((distinct < 0).sum())) > 1:
        if structure_of(np.abs(whole)).is_clearly_labels:
            raise InputError(
                f"{source}: looks like a label image, but has {n_below} different labels below 0, where one at most "
                f"can be the background: number all labels from 1 on, or {choose}."
            )
        return Recognised("continuous", f"one map of whole numbers, among them {n_below} different ones below 0")
    names = f"{len(positive)} different whole numbers above 0" if len(positive) > 1 else "one number above 0"
    labels = Recognised("labels", f"one volume of {names}")
    structure = structure_of(whole)
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


def _refuse_spoilt_labels(volume: np.ndarray, *, source: str, choose: str) -> None:
    """Refuse labels that somebody interpolated, or multiplied by something."""
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
    structure = structure_of(volume)
    if structure.is_clearly_labels:
        raise InputError(
            f"{source}: holds {structure.levels} different values above 0 in flat regions, as a label image does, but "
            f"they are not whole numbers (the smallest is {positive.min():.4g}): store it without a scale factor, or "
            f"{choose}."
        )


def _many_label_images(values: np.ndarray) -> bool:
    filled = [volume for volume in np.moveaxis(values, -1, 0)[:_LOOKED_AT] if (volume > 0).any()]
    looks = []
    for volume in filled:
        whole = whole_numbers(volume)
        if whole is None or (np.unique(whole) < 0).sum() > 1:
            return False
        seen = structure_of(whole)
        looks.append(seen.levels >= FEW_STEPS and seen.is_clearly_labels)
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

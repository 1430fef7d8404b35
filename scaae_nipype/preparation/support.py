"""Which voxels of a run hold data: they have a number in every volume, and it changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..errors import InputError
from ..words import few_and_more
from .denoising import LEAST_VARIATION
from .stream import BoldFile

__all__ = ["Contents"]

LARGEST = 1e30
"""No measured value is larger: such ones are taken for damage, as infinite ones are."""

SMALLEST = 1e-18
"""Of smaller values, single precision cannot hold the squares."""

FAR_FROM_ZERO = 0.6
"""A voxel is 0 in some volumes for want of data if the mean of the others is this part of their largest: a signal that
varies around 0, or noise that touches it, has a smaller mean."""

NOISE = 1e-6
"""A voxel whose range is a smaller part of the usual range varies by rounding errors only."""

WHOLE = 0.1
"""If this part of the brain has no value in a volume, beyond the usual, the volume is broken and not the voxels."""


@dataclass
class Contents:
    """What the voxels of a run were seen to hold, collected while it is read."""

    bold: BoldFile
    mask: np.ndarray | None = None
    """The run's brain mask, where it is known before reading: bool, (X, Y, Z)."""
    indices: list[int] = field(default_factory=list, init=False)
    without_number: list[int] = field(default_factory=list, init=False)
    zero: list[int] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        shape = self.bold.shape
        # In the order of the file, or every sum would take ten times as long.
        self.total = np.zeros(shape, dtype=np.float64, order="F")
        self.zeros, self.missing = (np.zeros(shape, dtype=np.uint32, order="F") for _ in range(2))
        if self.mask is not None:
            self.mask = np.asfortranarray(self.mask)
        self.low, self.high = np.empty(0), np.empty(0)

    def add(self, index: int, volume: np.ndarray) -> np.ndarray:
        """Take note of a volume; give it with 0 where it has no number (some tools write NaN outside the brain)."""
        volume, missing = _filled(volume)
        self.indices.append(index)
        zero = volume == 0
        if missing is not None:
            zero &= ~missing
            self.missing += missing
        self.zeros += zero
        self.total += volume
        if len(self.indices) == 1:
            self.low, self.high = volume.copy(order="K"), volume.copy(order="K")
        else:
            np.minimum(self.low, volume, out=self.low)
            np.maximum(self.high, volume, out=self.high)
        self.zero.append(self._count(zero))
        self.without_number.append(0 if missing is None else self._count(missing))
        return volume

    def _count(self, voxels: np.ndarray) -> int:
        return int(np.count_nonzero(voxels if self.mask is None else voxels & self.mask))

    @property
    def mean(self) -> np.ndarray:
        """Mean volume, with 0 for values without a number: (X, Y, Z)."""
        return self.total / max(len(self.indices), 1)

    def check_volumes(self) -> None:
        """Refuse a run of which a whole volume has no values, or whose values are too small to compute with.

        Raises
        ------
        InputError
        """
        n_voxels = int(np.prod(self.bold.shape) if self.mask is None else self.mask.sum())
        for counts, is_zero in ((np.array(self.without_number), False), (np.array(self.zero), True)):
            usual = np.median(counts)
            is_empty = is_zero & (counts == n_voxels)
            places = np.flatnonzero(is_empty | (counts - usual >= max(1, WHOLE * (n_voxels - usual))))
            if not places.size:
                continue
            broken = [self.indices[i] for i in places]
            if not is_zero:
                what = f"{_named(broken, 'has', 'have')} values that are not finite in the brain"
                what += f" (NaN, infinite, or above {LARGEST:g})"
            elif is_empty[places].all():
                what = f"{_named(broken, 'has', 'have')} no values but 0 in the brain"
            else:
                share, more = counts[places].min() / n_voxels, " or more" if len(broken) > 1 else ""
                what = f"{_named(broken, 'is', 'are')} 0 in {share:.0%} of the brain{more}"
            raise InputError(f"{self.bold.path}: {what}; {_way_out(broken, len(self.indices))}.")
        largest = max(float(self.high.max()), -float(self.low.min()))
        if 0 < largest < SMALLEST:
            raise InputError(
                f"{self.bold.path}: its largest value is {largest:.3g}, which is too small to compute with in single "
                "precision; scale the image, or repair the slope in its header."
            )

    def holdings(self, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, dict[str, int], list[str]]:
        """Tell voxels that hold data from others.

        Parameters
        ----------
        mask : bool array, (X, Y, Z)
            The run's brain mask.

        Returns
        -------
        support : bool array, (X, Y, Z)
            Voxels that hold data.
        leaky : bool array, (X, Y, Z)
            Voxels that do not, but have values in some volumes, which must not be smoothed into their neighbours.
        counts : dict
            Voxels of the mask and, of these, those without data, by the names of the metadata.
        notes : list of str

        Raises
        ------
        InputError
            If no voxel of the mask holds data.
        """
        n, missing, zeros = len(self.indices), self.missing, self.zeros
        high, low = self.high.astype(np.float32), self.low.astype(np.float32)
        largest, spread = np.maximum(np.abs(high), np.abs(low)), high - low
        varies = spread > LEAST_VARIATION * largest
        usual = np.median(spread[varies & mask]) if (varies & mask).any() else 0.0
        constant = ~varies | (spread <= NOISE * usual)
        some_zeros = (zeros > 0) & (zeros < n) & ((low >= 0) | (high <= 0))
        of_the_others = np.abs(self.total) / np.maximum(n - zeros.astype(np.int64), 1)
        gappy = some_zeros & (missing == 0) & (of_the_others > FAR_FROM_ZERO * largest)
        has_none = missing > 0
        constant &= ~has_none
        gappy &= ~constant
        counts = {
            "NumberOfMaskVoxels": int(mask.sum()),
            "NumberOfMaskVoxelsConstant": int((constant & mask).sum()),
            "NumberOfMaskVoxelsNotFinite": int((has_none & mask).sum()),
            "NumberOfMaskVoxelsWithGaps": int((gappy & mask).sum()),
        }
        support, notes = ~(constant | has_none | gappy), _notes(counts)
        if not (support & mask).any():
            raise InputError(f"{self.bold.path}: no voxel in its brain mask varies over time. {' '.join(notes)}")
        leaky = has_none & (missing < n)
        if (gappy & mask).any():
            leaky |= gappy
        return support, leaky, counts, notes


def _filled(volume: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    if volume.dtype.kind != "f":
        return volume, None
    with np.errstate(over="ignore", invalid="ignore"):
        total = volume.sum(dtype=np.float64)
        if np.abs(total) < LARGEST:  # False for NaN, too
            return volume, None
        missing = ~(np.abs(volume) < LARGEST)
    return np.where(missing, volume.dtype.type(0), volume), missing


def _notes(counts: dict[str, int]) -> list[str]:
    lost = {
        "NumberOfMaskVoxelsConstant": "hold no data (constant over time, 0 for example)",
        "NumberOfMaskVoxelsNotFinite": f"are not finite (NaN, infinite, or above {LARGEST:g}) in some volume",
        "NumberOfMaskVoxelsWithGaps": "are 0 in some volumes, as at the edge of the field of view",
    }
    told = [f"{counts[name]} {what}" for name, what in lost.items() if counts[name]]
    if not told:
        return []
    return [
        f"Of {counts['NumberOfMaskVoxels']} voxels in the brain mask, {'; '.join(told)}; they left the region, and "
        "nothing of them was smoothed into others."
    ]


def _named(volumes: Sequence[int], one: str, several: str) -> str:
    """Name the first volumes, with a verb.

    >>> _named([3], "has", "have"), _named([0, 1, 2, 3, 4, 5, 6], "has", "have")
    ('volume 3 has', 'volumes 0, 1, 2, 3, 4 and 2 more have')
    """
    if len(volumes) == 1:
        return f"volume {volumes[0]} {one}"
    return f"volumes {few_and_more(volumes)} {several}"


def _way_out(volumes: Sequence[int], n_volumes: int) -> str:
    """Say what helps.

    >>> _way_out([0, 1], 60), _way_out([0, 1], 2)
    ('make the image again, or cut them off (`dummy_scans` 2)', 'make the image again')
    """
    if len(volumes) == n_volumes:
        return "make the image again"
    if list(volumes) == list(range(len(volumes))):
        return f"make the image again, or cut them off (`dummy_scans` {len(volumes)})"
    return (
        "make the image again, or have them censored: a framewise_displacement above `fd_threshold` in their rows of "
        "the table of confounds does it"
    )

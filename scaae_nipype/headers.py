"""What a NIfTI header says about place and time, and what it leaves open."""

from __future__ import annotations

import itertools
import math
import os
from dataclasses import dataclass

import nibabel as nib
import numpy as np

from .errors import InputError
from .files import PathLike
from .images import ImageLike, name_of, open_image
from .options import LONGEST_TR, SHORTEST_TR

__all__ = ["HeaderTime", "check_place", "header_repetition_time", "header_time", "largest_shift", "repetition_time_of"]

SECONDS = {"sec": 1.0, "msec": 1e-3, "usec": 1e-6}
"""What one unit of the header's time axis is in s."""

SMALLEST_VOXEL, LARGEST_VOXEL = 0.3, 20.0
"""Edges of a voxel outside this range, in mm, are mistakes in the affine or its unit."""

ROUNDING, FAR = 1.0, 10.0
"""Distances in mm: below the first, two transforms are the same; above the second, one of them is wrong."""

TALAIRACH = 3
STANDARD_SPACES, NATIVE_SPACES = (3, 4, 5), (1, 2)
"""Codes of sform and qform: Talairach, MNI, another template; scanner, aligned to another file."""


@dataclass(frozen=True)
class HeaderTime:
    """The time between two volumes, as a header tells it."""

    seconds: float | None
    said: str
    """What the header holds, as the end of a sentence that begins with "its header"."""
    is_plain: bool = True
    """Whether there is no doubt about the unit."""


def header_time(header: nib.Nifti1Header) -> HeaderTime:
    """Read the repetition time of a header.

    Programs that know no repetition time leave 0 or 1 there, without a unit: that says nothing.

    >>> header = nib.Nifti1Image(np.zeros((2, 2, 2, 3), "f4"), np.eye(4)).header
    >>> header_time(header).seconds is None
    True
    >>> header.set_xyzt_units("mm", "msec")
    >>> header["pixdim"][4] = 800
    >>> header_time(header).seconds
    0.8
    """
    value, unit = float(header["pixdim"][4]), _units(header)[1]
    shape = header.get_data_shape()
    if len(shape) > 4 and max(shape[4:]) > 1:
        return HeaderTime(None, "has its volumes along a fifth axis, which is none of time")
    if unit not in (*SECONDS, "unknown"):
        return HeaderTime(None, f"has a fourth axis in {unit}, not in time")
    if not (math.isfinite(value) and value > 0):
        return HeaderTime(None, f"gives {value:g}")
    if unit in SECONDS:
        return HeaderTime(round(value * SECONDS[unit], 7), f"gives {value:g} {unit}")
    if value == 1:
        return HeaderTime(None, "gives 1 without a unit of time, as programs do that know no repetition time")
    if not SHORTEST_TR <= value <= LONGEST_TR:
        return HeaderTime(None, f"gives {value:g} without a unit of time")
    return HeaderTime(round(value, 7), f"gives {value:g} without a unit of time", is_plain=False)


def header_repetition_time(image: ImageLike) -> float | None:
    """Give the repetition time (s) that an image's header tells; None where it leaves it open.

    Raises
    ------
    InputError
        If the image cannot be read.
    """
    header = open_image(image).header
    return header_time(header).seconds if isinstance(header, nib.Nifti1Header) else None


def repetition_time_of(path: ImageLike) -> float:
    """Read the repetition time (s) of a prepared run or of its maps.

    Raises
    ------
    InputError
        If the image cannot be read, or its header does not say.
    """
    header = open_image(path).header
    time = header_time(header) if isinstance(header, nib.Nifti1Header) else None
    if time is None or time.seconds is None:
        said = "" if time is None else f" (it {time.said})"
        raise InputError(f"{name_of(path)}: its header holds no repetition time{said}; prepare the run again.")
    return time.seconds


def check_place(image: nib.Nifti1Pair, path: PathLike) -> tuple[str, ...]:
    """See that a header says where its voxels are, without contradiction.

    Parameters
    ----------
    image : Nifti1Pair
    path : path
        Its file, for messages.

    Returns
    -------
    tuple of str
        What may be wrong, in sentences.

    Raises
    ------
    InputError
        If the image has no place in space, its unit of length cannot be mm, or its two transforms name places of
        centimetres apart.
    """
    header, affine = image.header, image.affine
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine)) < 1e-9:
        raise InputError(f"{path}: its affine is singular, so its voxels have no place in space; repair the header.")
    if header["sform_code"] <= 0 and header["qform_code"] <= 0:
        raise InputError(
            f"{path}: its header has neither sform nor qform (both codes are 0), so the image has no place in space; "
            "write the affine of its space into it (code 4 for MNI)."
        )
    edges, unit = nib.affines.voxel_sizes(affine), _units(header)[0]
    size = " x ".join(f"{edge:.3g}" for edge in edges)
    if unit not in ("mm", "unknown"):
        raise InputError(
            f"{path}: its header says that lengths are in {unit} (voxels of {size}); write the affine in mm, and mm as "
            "its unit."
        )
    if edges.min() < SMALLEST_VOXEL or edges.max() > LARGEST_VOXEL:
        raise InputError(
            f"{path}: its affine makes voxels of {size} mm, which no image of a brain has; is it in another unit? "
            "Repair the header."
        )
    return _doubts(image, path, edges)


def _doubts(image: nib.Nifti1Pair, path: PathLike, edges: np.ndarray) -> tuple[str, ...]:
    header, name, doubts = image.header, os.path.basename(os.fspath(path)), []  # noqa: PTH119 - a str as well
    sform, s_code = header.get_sform(coded=True)
    try:
        qform, q_code = header.get_qform(coded=True)
    except (ValueError, nib.spatialimages.HeaderDataError):
        qform, q_code = None, 0
        doubts.append(f"The qform of {name} is damaged; the sform is taken.")
    if sform is not None and qform is not None and (shift := largest_shift(image.shape, sform, qform)) > ROUNDING:
        apart = (
            f"sform (code {s_code}) {_in_words(sform)} and qform (code {q_code}) {_in_words(qform)} disagree by up to "
            f"{shift:.0f} mm at the image's corners ({_difference(image.shape, sform, qform)})"
        )
        if shift > FAR and not (s_code in STANDARD_SPACES and q_code in NATIVE_SPACES):
            raise InputError(
                f"{path}: its {apart}; write the right one into both, or set the code of the wrong one to 0."
            )
        doubts.append(f"In {name}, {apart}; the sform is taken.")
    if TALAIRACH in (s_code if sform is not None else q_code,):
        doubts.append(f"The header of {name} says that it is in Talairach space, not in MNI space.")
    pixdim = np.array(header["pixdim"][1:4], dtype=float)
    if sform is not None and not np.allclose(pixdim, edges, rtol=0.02):
        told = " x ".join(f"{edge:.3g}" for edge in pixdim)
        taken = " x ".join(f"{edge:.3g}" for edge in edges)
        doubts.append(f"In {name}, pixdim says voxels of {told} mm and the affine {taken} mm; the affine is taken.")
    return tuple(doubts)


def largest_shift(shape: tuple[int, ...], one: np.ndarray, other: np.ndarray) -> float:
    """Give how far two affines put a corner of an image apart at most, in mm.

    >>> largest_shift((3, 3, 3), np.eye(4), nib.affines.from_matvec(np.eye(3), [3, 4, 0]))
    5.0
    """
    corners = np.array(list(itertools.product(*((0, n - 1) for n in shape[:3]))))
    apart = nib.affines.apply_affine(one, corners) - nib.affines.apply_affine(other, corners)
    return float(np.linalg.norm(apart, axis=1).max())


def _difference(shape: tuple[int, ...], one: np.ndarray, other: np.ndarray) -> str:
    """Say how the image moves from one affine to another: its centre, and its axes."""
    centre = (np.array(shape[:3]) - 1) / 2
    moved = nib.affines.apply_affine(other, centre) - nib.affines.apply_affine(one, centre)
    axes, turned = (affine[:3, :3] / nib.affines.voxel_sizes(affine) for affine in (one, other))
    if np.linalg.det(axes) * np.linalg.det(turned) < 0:
        turn = "mirrored"
    else:
        angle = math.degrees(math.acos(np.clip((np.trace(axes.T @ turned) - 1) / 2, -1, 1)))
        turn = f"turned by {angle:.0f} degrees"
    return f"centre moved by {', '.join(f'{mm:.0f}' for mm in moved)} mm, {turn}"


def _in_words(affine: np.ndarray) -> str:
    return "[" + "; ".join(" ".join(f"{value:.4g}" for value in row + 0.0) for row in affine[:3]) + "]"


def _units(header: nib.Nifti1Header) -> tuple[str, str]:
    """Give the units of space and time; ``unknown`` for codes that are none."""
    code, names = int(header["xyzt_units"]), nib.nifti1.unit_codes.label
    return str(names.get(code % 8, "unknown")), str(names.get(code - code % 8, "unknown"))

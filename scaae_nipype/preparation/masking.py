"""The evaluation region of a run: which voxels of the model's grid its brain mask covers."""

from __future__ import annotations

import warnings
from typing import Any

import nibabel as nib
import numpy as np
from scipy.ndimage import find_objects
from scipy.signal import fftconvolve

from ..errors import InputError
from ..grid import Grid
from .resampling import make_resampler
from .stream import BoldFile

__all__ = ["check_coverage", "check_overlap", "estimate_mask", "mask_on_grid"]

LEAST_COVERAGE, GOOD_COVERAGE = 0.1, 0.8
"""Parts of the model's brain mask: below the first a run is refused, below the second there is a warning."""

BACKGROUND = 0.2
"""If at least this part of an image is exactly 0, it has been masked already."""

BOX = 0.85
"""If data fill this part of the smallest box around them, they are a slab: no head has such corners."""

MARGIN = 4
"""Voxels by which a slab is continued before its mask is made."""

MISPLACED, LOST = 0.08, 0.2
"""Parts of a run's mask that come to lie inside the model's brain if it is moved: from the first on there is a
warning, from the second on the run is refused if `MUCH_OUTSIDE`, too. A larger mask gains nothing by it, a slab of one
may: there the second makes a warning, and nothing is refused."""

ASKEW, MUCH_OUTSIDE = 0.15, 0.3
"""Parts of a run's mask that lie outside of the model's brain."""

FLAT = 0.4
"""A mask is cut off where its last slice has this part of the area of its largest one."""

HALF = 0.5 - 1e-4
"""A voxel belongs to a mask if at least half of it does; float32 rounds."""


def mask_on_grid(mask: np.ndarray, affine: np.ndarray, grid: Grid) -> np.ndarray:
    """Interpolate a mask linearly and keep what is at least 0.5: bool, (grid.n_voxels,)."""
    return make_resampler(mask.shape, affine, grid)(mask) >= HALF


def estimate_mask(mean: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, str]:
    """Make a brain mask from the mean volume of a run.

    Parameters
    ----------
    mean : float array, (X, Y, Z)
    affine : float array, (4, 4)

    Returns
    -------
    mask : bool array, (X, Y, Z)
        The voxels that are not 0 where the image has been masked before, else `nilearn.masking.compute_epi_mask`.
    how : str
        A clause that says which.
    """
    from nilearn.masking import compute_epi_mask

    data = mean != 0
    boxes = find_objects(data.astype(np.uint8))
    box = boxes[0] if boxes else (slice(None),) * 3
    is_slab = data[box].mean() >= BOX
    if (~data).mean() >= BACKGROUND and not is_slab:
        return data, "the voxels that are not zero"
    mask = np.zeros(mean.shape, dtype=bool)
    margin = MARGIN if mean[box].size < mean.size else 0
    goes_on = np.pad(mean[box], margin, mode="edge")  # or opening the mask would take its ends off at a slab's faces
    with warnings.catch_warnings():  # an empty mask is reported by check_coverage
        warnings.simplefilter("ignore")
        image = compute_epi_mask(nib.Nifti1Image(goes_on.astype(np.float32), affine))
    mask[box] = np.asanyarray(image.dataobj)[tuple(slice(margin, n - margin) for n in goes_on.shape)] > 0
    return mask, "the intensities of its mean volume"


def check_coverage(region: np.ndarray, bold: BoldFile, *, made_from: str = "") -> list[str]:
    """Give a warning where a run covers little of the model's brain mask.

    Parameters
    ----------
    region : bool array, (grid.n_voxels,)
    bold : BoldFile
    made_from : str
        What the run's mask was made from, if it has none of its own.

    Raises
    ------
    InputError
        If it covers less than 10 %.
    """
    coverage = float(region.mean())
    if coverage < LEAST_COVERAGE and made_from:
        raise InputError(
            f"{bold.path}: has no brain mask, and the one made from {made_from} covers only {coverage:.0%} of the MNI "
            "brain; give its mask, and see that the image is in MNI space (space-MNI152…)."
        )
    if coverage < LEAST_COVERAGE:
        raise InputError(
            f"{bold.path}: only {coverage:.0%} of the MNI brain lies inside this run's brain mask; is the image in MNI "
            "space (space-MNI152…) and the mask its own?"
        )
    if coverage < GOOD_COVERAGE:
        return [f"The run covers only {coverage:.0%} of the model's brain mask."]
    return []


def check_overlap(
    mask: np.ndarray, region: np.ndarray, bold: BoldFile, grid: Grid, *, is_estimated: bool = False
) -> tuple[dict[str, Any], list[str]]:
    """Hold where a run's brain is against where the model's is.

    Parameters
    ----------
    mask : bool array, (X, Y, Z)
        Of the run.
    region : bool array, (grid.n_voxels,)
        What it covers of the model's brain mask.
    bold : BoldFile
    grid : Grid
    is_estimated : bool
        Whether the mask was made from the data: then it is no proof, and there is a warning only.

    Returns
    -------
    found : dict
        ``MaskOutsideModel`` (share of the run's mask) and ``MaskCentreOffset`` (mm along x, y, z), for the metadata.
    warnings : list of str

    Raises
    ------
    InputError
        If the brain lies centimetres away from the model's.
    """
    places = nib.affines.apply_affine(bold.affine, np.argwhere(mask))
    voxels = np.rint(nib.affines.apply_affine(np.linalg.inv(grid.affine), places)).astype(int)
    on_grid = ((voxels >= 0) & (voxels < grid.shape)).all(axis=1)
    inside = grid.mask[tuple(voxels[on_grid].T)].sum() / len(voxels)
    centre = nib.affines.apply_affine(grid.affine, np.argwhere(grid.mask)).mean(axis=0)
    offset = places.mean(axis=0) - centre
    move, best = _best_move(voxels, grid)
    outside, gain = 1 - float(inside), float(best - inside)
    found = {"MaskOutsideModel": round(outside, 4), "MaskCentreOffset": [round(float(mm), 1) for mm in offset]}
    is_cut = _is_cut(mask)
    told = f"{outside:.0%} of the run's brain mask lie outside of the model's brain"
    if gain >= (LOST if is_cut else MISPLACED):
        moved = ", ".join(f"{mm:+.0f}" for mm in move)
        told += f", and {max(0.0, 1 - best):.0%} would if it were moved by {moved} mm (x, y, z)"
    elif outside > ASKEW and region.mean() < GOOD_COVERAGE:
        told += f", of which it covers only {region.mean():.0%}"
    else:
        return found, []
    advice = "is it in MNI space (space-MNI152…), and are its affine and mask right? Look at it over a template"
    if gain > LOST and outside > MUCH_OUTSIDE and not (is_cut or is_estimated):
        raise InputError(f"{bold.path}: {told}; {advice}.")
    return found, [f"{told}: {advice}."]


def _is_cut(mask: np.ndarray) -> bool:
    """Tell whether a mask ends flat, as the field of view does, and not round, as a brain does."""
    for axis in range(3):
        areas = mask.sum(axis=tuple(other for other in range(3) if other != axis))
        filled = areas[areas > 0]
        if max(filled[0], filled[-1]) > FLAT * areas.max():
            return True
    return False


def _best_move(voxels: np.ndarray, grid: Grid) -> tuple[np.ndarray, float]:
    """Find the translation that brings most of a mask (n voxels of the grid, 3) into the model's brain.

    Gives mm, (3,), and the part that is inside.
    """
    low = np.minimum(voxels.min(axis=0), 0)
    shape = np.maximum(voxels.max(axis=0) + 1, grid.shape) - low
    own, model = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32)
    np.add.at(own, tuple((voxels - low).T), 1)
    model[tuple(slice(-start, -start + n) for start, n in zip(low, grid.shape, strict=True))] = grid.mask
    inside = fftconvolve(model, own[::-1, ::-1, ::-1])
    best = np.unravel_index(inside.argmax(), inside.shape)
    return grid.affine[:3, :3] @ (np.array(best) - (shape - 1)), float(inside[best]) / len(voxels)

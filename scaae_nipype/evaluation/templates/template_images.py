"""Images of templates: read whole, moved to the model's grid, and counted in their own voxels."""

from __future__ import annotations

import math

import nibabel as nib
import numpy as np

from ...errors import InputError
from ...grid import Grid
from ...headers import check_place
from ...images import ImageLike, check_memory, name_of, open_image, reading_image, values_of

__all__ = ["in_mask", "on_grid", "read_templates"]

NOISE = 1e-6
"""Values below this share of the largest count as 0: storing with a scale factor leaves them behind."""

_WHOLE_IN_FLOAT32 = 2**24


def read_templates(source: ImageLike) -> tuple[nib.Nifti1Image, tuple[str, ...]]:
    """Read an image whole, as 4D, with 0 where a value is not finite: interpolation would spread NaN.

    Returns
    -------
    image : Nifti1Image
        float32; float64 where labels are too large for float32 to tell them apart.
    warnings : tuple of str

    Raises
    ------
    InputError
        If it cannot be read, is no image of numbers, has no place in space (`headers.check_place`), or has other
        dimensions than 3 or 4.
    """
    image, path = open_image(source), name_of(source)
    shape = tuple(getattr(image, "shape", ()))
    if not isinstance(image, nib.spatialimages.SpatialImage):
        raise InputError(f"{path}: is no volume image ({type(image).__name__}); give a NIfTI image in MNI space.")
    kind = image.get_data_dtype()
    if kind.kind not in "iufb":
        what = "colours" if kind.names else f"values of type {kind}"
        raise InputError(f"{path}: holds {what}; give an image with one number per voxel.")
    while len(shape) > 4 and 1 in shape[3:]:
        shape = (*shape[:3], *_without_one(shape[3:]))
    if len(shape) not in (3, 4) or 0 in shape:
        raise InputError(f"{path}: has {len(shape)} dimensions; templates are a 3D label image or a 4D image.")
    doubts = _place(image, path)
    check_memory(2 * math.prod(shape), path, "its values")
    with reading_image(path), values_of(image) as stored:
        values = np.asanyarray(stored, dtype=np.float64 if len(shape) == 3 or shape[3] == 1 else np.float32)
    values = np.nan_to_num(values.reshape(*shape[:3], -1), posinf=0, neginf=0)
    largest = max(float(values.max(initial=0)), -float(values.min(initial=0)))
    if largest < _WHOLE_IN_FLOAT32:
        values = values.astype(np.float32, copy=False)
    if largest < 1e6:  # large labels stand beside small ones
        values[np.abs(values) < NOISE * largest] = 0
    return nib.Nifti1Image(values, image.affine), doubts


def _without_one(shape: tuple[int, ...]) -> tuple[int, ...]:
    place = shape.index(1)
    return shape[:place] + shape[place + 1 :]


def _place(image: nib.spatialimages.SpatialImage, path: str) -> tuple[str, ...]:
    """See that an image says where it lies, as NIfTI may and Analyze cannot; give what may be wrong with it."""
    if isinstance(image, nib.Nifti1Pair):
        return check_place(image, path)
    if isinstance(image, nib.AnalyzeImage):
        raise InputError(
            f"{path}: is an Analyze file, which does not say where it lies in space; convert it to NIfTI with the "
            "affine of its space."
        )
    if not np.isfinite(image.affine).all() or abs(np.linalg.det(image.affine)) < 1e-9:
        raise InputError(f"{path}: its affine is singular, so its voxels have no place in space; repair the header.")
    return ()


def on_grid(image: nib.Nifti1Image, grid: Grid, interpolation: str) -> np.ndarray:
    """Resample a 4D image to the voxels of the grid's mask: (n_volumes, n_voxels), 0 outside the image."""
    if grid.matches(image):
        return np.asanyarray(image.dataobj)[grid.mask].T
    from nilearn.image import resample_img

    resampled = resample_img(image, grid.affine, grid.shape, interpolation=interpolation)
    return np.asanyarray(resampled.dataobj)[grid.mask].T


def in_mask(image: nib.Nifti1Image, grid: Grid) -> np.ndarray:
    """Tell which voxels of an image have their centre in a voxel of the grid's mask, (X, Y, Z)."""
    to_grid = np.linalg.inv(grid.affine) @ image.affine
    x, y, z = (np.arange(size) for size in image.shape[:3])
    inside = np.empty(image.shape[:3], dtype=bool)
    for i in x:  # a slice at a time: coordinates of all voxels take much memory
        plane = to_grid[:3, 0, None, None] * i + to_grid[:3, 1, None, None] * y[:, None]
        plane = np.rint(plane + to_grid[:3, 2, None, None] * z + to_grid[:3, 3, None, None]).astype(int)
        fits = (plane >= 0).all(axis=0) & (plane < np.array(grid.shape)[:, None, None]).all(axis=0)
        inside[i] = fits & grid.mask[tuple(np.where(fits, plane, 0))]
    return inside

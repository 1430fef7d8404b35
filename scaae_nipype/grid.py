"""The model's space: a voxel grid in MNI space with a brain mask, and the ways in and out of it."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy.ndimage import find_objects

from .errors import GridError, InputError
from .files import PathLike
from .headers import check_place
from .images import (
    ImageLike,
    check_memory,
    image_4d,
    mni_image,
    name_of,
    open_image,
    quantise,
    read_image,
    reading_image,
    values_of,
    write_image,
)
from .masks import read_as_mask

__all__ = ["AFFINE", "SHAPE", "Grid", "load_grid", "smooth"]

SHAPE = (49, 58, 47)
"""Voxels of the 4 mm MNI grid of the SCAAE paper."""

AFFINE = np.array([[-4.0, 0, 0, 96], [0, 4.0, 0, -132], [0, 0, 4.0, -70], [0, 0, 0, 1]])
"""World coordinates in mm of voxel (i, j, k): x = 96 - 4i, y = 4j - 132, z = 4k - 70."""

_VOLUMES_AT_ONCE = 32


@dataclass(frozen=True, eq=False)
class Grid:
    """A voxel grid and the brain mask on it.

    Arrays of a run come in two forms: *volumes* ``(…, X, Y, Z)`` and *vectors* ``(…, n_voxels)``, which hold the
    voxels of the mask in C order. Time stands first in both.

    Parameters
    ----------
    affine : float array, (4, 4)
        Voxel to world, in mm.
    mask : bool array, (X, Y, Z)

    Raises
    ------
    InputError
        If the mask is empty or the affine singular.

    Examples
    --------
    >>> grid = load_grid()
    >>> grid.shape, grid.box_shape
    ((49, 58, 47), (35, 45, 36))
    >>> vectors = np.arange(2 * grid.n_voxels, dtype="f4").reshape(2, -1)
    >>> bool((grid.vectors(grid.volumes(vectors)) == vectors).all())
    True
    """

    affine: np.ndarray
    mask: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "affine", np.asarray(self.affine, dtype=np.float64))
        object.__setattr__(self, "mask", np.asarray(self.mask, dtype=bool))
        if self.mask.ndim != 3 or self.affine.shape != (4, 4):
            raise InputError(f"A grid needs a 3D mask and a 4 x 4 affine, not {self.mask.shape}, {self.affine.shape}.")
        if not self.mask.any():
            raise InputError("The brain mask of the grid is empty.")
        if abs(np.linalg.det(self.affine)) < 1e-6:
            raise InputError("The affine of the grid is singular.")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along each axis."""
        x, y, z = self.mask.shape
        return x, y, z

    @cached_property
    def n_voxels(self) -> int:
        """Voxels in the mask."""
        return int(self.mask.sum())

    @property
    def voxel_sizes(self) -> np.ndarray:
        """Edge lengths of a voxel in mm, (3,)."""
        return nib.affines.voxel_sizes(self.affine)

    @cached_property
    def box(self) -> tuple[slice, slice, slice]:
        """The smallest box that holds the mask."""
        x, y, z = find_objects(self.mask.astype(np.uint8))[0]
        return x, y, z

    @property
    def box_shape(self) -> tuple[int, int, int]:
        """Voxels of the box along each axis."""
        x, y, z = (s.stop - s.start for s in self.box)
        return x, y, z

    @cached_property
    def _voxels_in_file(self) -> np.ndarray:
        """Where the mask's voxels, in their order, stand in an image file, whose first axis is the fastest."""
        return np.ravel_multi_index(np.nonzero(self.mask), self.shape, order="F")

    @cached_property
    def checksum(self) -> str:
        """SHA-256 of shape, affine (to 1 µm) and mask: equal for equal spaces, whatever the file looked like."""
        digest = hashlib.sha256(repr(self.shape).encode())
        digest.update((np.round(self.affine, 3) + 0.0).tobytes())
        digest.update(np.packbits(self.mask).tobytes())
        return digest.hexdigest()

    def vectors(self, volumes: np.ndarray) -> np.ndarray:
        """Take the mask's voxels: (…, X, Y, Z) to (…, n_voxels)."""
        return volumes[..., self.mask]

    def volumes(self, vectors: np.ndarray) -> np.ndarray:
        """Put vectors back in space, 0 outside the mask: (…, n_voxels) to (…, X, Y, Z)."""
        vectors = np.asarray(vectors)
        volumes = np.zeros((*vectors.shape[:-1], *self.shape), dtype=vectors.dtype)
        volumes[..., self.mask] = vectors
        return volumes

    def image(self, vectors: np.ndarray, repetition_time: float = 0.0) -> nib.Nifti1Image:
        """Make an image: 3D from (n_voxels,), 4D int16 with slope from (T, n_voxels), TR in s."""
        if np.ndim(vectors) == 2:
            rounded, slope = quantise(np.asarray(vectors))
            return image_4d(np.moveaxis(self.volumes(rounded), 0, -1), self.affine, repetition_time, slope=slope)
        volumes = self.volumes(vectors)
        return mni_image(volumes.astype("u1" if volumes.dtype == bool else volumes.dtype), self.affine)

    def matches(self, image: nib.spatialimages.SpatialImage) -> bool:
        """Tell whether an image lies on this grid (same voxels, affine equal to 1 µm)."""
        return tuple(image.shape[:3]) == self.shape and bool(np.allclose(image.affine, self.affine, atol=1e-3))

    def read_vectors(self, path: ImageLike) -> np.ndarray:
        """Read an image that lies on this grid: (n_voxels,) of a 3D, (T, n_voxels) of a 4D image, float32.

        Raises
        ------
        GridError
            If the image lies on another grid.
        InputError
            If it is unreadable, or has other axes than three, or a fourth for time.
        """
        name = name_of(path)
        with reading_image(path):
            image = open_image(path)
            if not self.matches(image):
                raise GridError(f"{name}: lies on another grid ({image.shape[:3]}) than the model's ({self.shape}).")
            if len(image.shape) > 4:
                raise InputError(f"{name}: has {len(image.shape)} axes; three, or four with time, are needed.")
            if len(image.shape) == 3:
                check_memory(math.prod(image.shape), path, "its values")
                with values_of(image) as values:
                    return np.asanyarray(values)[self.mask].astype(np.float32)
            check_memory(image.shape[3] * self.n_voxels, path, "its values on this grid")
            vectors = np.empty((image.shape[3], self.n_voxels), dtype=np.float32)
            slope, intercept = getattr(image.dataobj, "slope", 1), getattr(image.dataobj, "inter", 0)
            with values_of(image, is_scaled=False) as stored:
                for start in range(0, len(vectors), _VOLUMES_AT_ONCE):  # in file order: a file is read once
                    part = slice(start, start + _VOLUMES_AT_ONCE)
                    block = np.asarray(stored[..., part])
                    inside = block.reshape(-1, block.shape[3], order="F").T.take(self._voxels_in_file, axis=1)
                    if (slope, intercept) != (1, 0):  # only the mask's need scaling
                        inside = inside * np.float64(slope) + np.float64(intercept)
                    vectors[part] = inside
        return vectors

    def as_vectors(self, maps: np.ndarray | ImageLike) -> np.ndarray:
        """Take maps as they come: (n_maps, n_voxels) of an array of that shape, or of a 3D or 4D image on this grid.

        Raises
        ------
        GridError
            If they lie on another grid.
        InputError
            If the image is unreadable.
        """
        vectors = np.atleast_2d(maps if isinstance(maps, np.ndarray) else self.read_vectors(maps))
        if vectors.ndim != 2 or vectors.shape[1] != self.n_voxels:
            raise GridError(f"Maps of shape {vectors.shape} are not (n_maps, {self.n_voxels}), as on this grid.")
        return vectors

    def save(self, path: PathLike) -> Path:
        """Write the mask as an image; `load_grid` reads it back."""
        return write_image(self.image(np.ones(self.n_voxels, dtype=bool)), path)


def load_grid(mask_file: ImageLike | None = None) -> Grid:
    """Load a grid from a mask image, or the one that ships with the package.

    The shipped mask is nilearn's bundled MNI152 brain mask on the 4 mm grid of the paper.

    Raises
    ------
    InputError
        If the image is unreadable, not 3D, no mask of two values, empty, or has no place in space.
    """
    if mask_file is None:
        with resources.as_file(resources.files("scaae_nipype.data") / "mask_4mm.nii.gz") as shipped:
            return load_grid(shipped)
    name = name_of(mask_file)
    values, image = read_image(mask_file, what="a mask image")
    if values.ndim == 4 and values.shape[3] == 1:
        values = values[..., 0]
    try:
        mask, decided = read_as_mask(values)
    except InputError as error:
        raise InputError(f"{name}: {error}.") from error
    if decided:  # nobody would hear of it, and a grid is made once
        raise InputError(f"{name}: {decided[0]}, which is not asked of a grid; make it a mask of 0 and 1.")
    if isinstance(image, nib.Nifti1Pair):
        check_place(image, name)
    try:
        return Grid(image.affine, mask)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error


def smooth(volumes: np.ndarray, region: Grid, sigma: float) -> np.ndarray:
    """Smooth volumes in space inside a region; voxels at its border average over what lies inside.

    Parameters
    ----------
    volumes : float array, (n_volumes, n_voxels)
    region : Grid
    sigma : float
        Standard deviation of the Gaussian in mm (FWHM = 2.355 sigma).

    Returns
    -------
    float32 array, (n_volumes, n_voxels)
    """
    from scipy.ndimage import gaussian_filter

    widths = sigma / region.voxel_sizes
    inside = region.mask[region.box]

    def filtered(vector: np.ndarray) -> np.ndarray:
        box = np.zeros(inside.shape, dtype=np.float32)
        box[inside] = vector
        return gaussian_filter(box, widths, mode="constant")[inside]

    weight = filtered(np.ones(region.n_voxels, dtype=np.float32))
    return np.stack([filtered(volume) / weight for volume in volumes])

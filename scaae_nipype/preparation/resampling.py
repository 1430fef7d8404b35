"""Smooth a volume at its own resolution and interpolate it linearly at the voxels of the model's grid.

Both operations are linear. Where the axes of image and grid are parallel (any MNI-space derivative), both are also
separable, and one small matrix per axis does smoothing and interpolation at once: three matrix products per volume.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d, map_coordinates

from ..grid import Grid

__all__ = ["ObliqueResampler", "SeparableResampler", "axis_matrix", "make_resampler"]

FWHM_PER_SIGMA = np.sqrt(8 * np.log(2))
"""Full width at half maximum of a Gaussian with a standard deviation of 1."""

PARALLEL = 1e-3
"""Axes count as parallel if no voxel of the grid moves by more than this, in voxels of the image."""

EDGE = 1e-4
"""Positions this close outside the image (in voxels) are rounding errors of the affines and belong to the edge."""


def make_resampler(
    shape: Sequence[int], affine: np.ndarray, grid: Grid, *, smoothing_fwhm: float = 0.0
) -> Callable[[np.ndarray], np.ndarray]:
    """Choose the way from the voxels of an image to the mask's voxels of `grid`.

    Parameters
    ----------
    shape : sequence of int
        (X, Y, Z) of the image.
    affine : float array, (4, 4)
        Voxel to world of the image, in mm.
    grid : Grid
    smoothing_fwhm : float
        Full width at half maximum of the Gaussian in mm; 0 for none.

    Returns
    -------
    callable
        Takes a volume (X, Y, Z), gives float32 (grid.n_voxels,). Outside the image is 0.

    Examples
    --------
    >>> from scaae_nipype.grid import Grid
    >>> grid = Grid(np.diag([4.0, 4, 4, 1]), np.ones((2, 1, 1), bool))
    >>> fine = np.arange(3, dtype="f4").reshape(3, 1, 1)
    >>> make_resampler(fine.shape, np.diag([2.0, 4, 4, 1]), grid)(fine)
    array([0., 2.], dtype=float32)
    """
    to_image = np.linalg.inv(affine) @ grid.affine
    sigmas = smoothing_fwhm / FWHM_PER_SIGMA / np.sqrt((np.asarray(affine)[:3, :3] ** 2).sum(axis=0))
    grid_axes = np.abs(to_image[:3, :3]).argmax(axis=1)
    skew = np.abs(to_image[:3, :3])
    skew[np.arange(3), grid_axes] = 0
    if len(set(grid_axes)) == 3 and (skew @ (np.array(grid.shape) - 1)).max() < PARALLEL:
        return SeparableResampler.between(shape, to_image, grid, sigmas, grid_axes)
    return ObliqueResampler.between(shape, to_image, grid, sigmas)


def axis_matrix(n_source: int, positions: np.ndarray, sigma: float) -> np.ndarray:
    """Compose Gaussian smoothing and linear interpolation along one axis.

    Parameters
    ----------
    n_source : int
        Voxels of the image along the axis.
    positions : float array, (n,)
        Where to interpolate, in voxels of the image.
    sigma : float
        Standard deviation of the Gaussian in voxels of the image; 0 for none.

    Returns
    -------
    float array, (n, n_source)
        Rows of positions outside the image are 0.

    >>> axis_matrix(3, np.array([0.25, 2.0, 2.5]), 0.0)
    array([[0.75, 0.25, 0.  ],
           [0.  , 0.  , 1.  ],
           [0.  , 0.  , 0.  ]])
    """
    inside = (positions >= -EDGE) & (positions <= n_source - 1 + EDGE)
    clipped = np.clip(positions, 0, n_source - 1)
    weights = np.maximum(0, 1 - np.abs(clipped[:, None] - np.arange(n_source)))
    weights[~inside] = 0
    # The filter is linear, so what it does to the unit vectors is its matrix: borders are nilearn's, exactly.
    return weights @ gaussian_filter1d(np.eye(n_source), sigma, axis=0) if sigma > 0 else weights


@dataclass(frozen=True, eq=False)
class SeparableResampler:
    """Smoothing and interpolation as one matrix per axis of the image.

    Parameters
    ----------
    crop : tuple of 3 slices
        The part of the image (Z, Y, X) that has any weight.
    matrices : tuple of 3 float32 arrays
        For the image's Z, Y and X axis: (voxels of the grid's box, voxels of the crop).
    order : int array, (n_voxels,)
        Flat index of the mask's voxels in the (Z, Y, X) result.
    """

    crop: tuple[slice, ...]
    matrices: tuple[np.ndarray, ...]
    order: np.ndarray

    @classmethod
    def between(
        cls, shape: Sequence[int], to_image: np.ndarray, grid: Grid, sigmas: np.ndarray, grid_axes: np.ndarray
    ) -> SeparableResampler:
        """Make the matrices; `grid_axes` names the grid's axis that runs along each axis of the image."""
        crop, matrices = [], []
        for axis in (2, 1, 0):  # files store the first axis fastest: reversed, a volume is C-contiguous
            box = grid.box[grid_axes[axis]]
            positions = to_image[axis, grid_axes[axis]] * np.arange(box.start, box.stop) + to_image[axis, 3]
            matrix = axis_matrix(shape[axis], positions, sigmas[axis])
            used = np.flatnonzero(matrix.any(axis=0))
            used_slice = slice(int(used[0]), int(used[-1]) + 1) if used.size else slice(0, 1)
            crop.append(used_slice)
            matrices.append(np.ascontiguousarray(matrix[:, used_slice], dtype=np.float32))
        # Number the result's voxels, look at the numbers along the grid's axes, and take those of the mask.
        numbers = np.arange(np.prod([len(m) for m in matrices])).reshape([len(m) for m in matrices])
        image_axis_of_grid_axis = np.argsort(grid_axes)
        order = numbers.transpose(2 - image_axis_of_grid_axis)[grid.mask[grid.box]]
        return cls(tuple(crop), tuple(matrices), order)

    def __call__(self, volume: np.ndarray) -> np.ndarray:
        """Resample one volume: (X, Y, Z) to float32 (n_voxels,)."""
        part = np.ascontiguousarray(volume.T[self.crop], dtype=np.float32)
        first, second, third = self.matrices
        part = (first @ part.reshape(len(part), -1)).reshape(len(first), *part.shape[1:])
        part = np.matmul(second, part)
        return (part.reshape(-1, part.shape[2]) @ third.T).ravel()[self.order]


@dataclass(frozen=True, eq=False)
class ObliqueResampler:
    """Gaussian filters along the image's axes, then trilinear interpolation at the mask's voxels.

    Parameters
    ----------
    positions : float array, (3, n_voxels)
        The mask's voxels in voxels of the image.
    sigmas : float array, (3,)
        Standard deviation of the Gaussian along each axis, in voxels of the image.
    """

    positions: np.ndarray
    sigmas: np.ndarray

    @classmethod
    def between(cls, shape: Sequence[int], to_image: np.ndarray, grid: Grid, sigmas: np.ndarray) -> ObliqueResampler:
        """Compute the positions."""
        positions = to_image[:3, :3] @ np.argwhere(grid.mask).T + to_image[:3, 3:]
        last = np.array(shape)[:, None] - 1
        at_edge = (positions > -EDGE) & (positions < last + EDGE)
        return cls(np.where(at_edge, np.clip(positions, 0, last), positions), sigmas)

    def __call__(self, volume: np.ndarray) -> np.ndarray:
        """Resample one volume: (X, Y, Z) to float32 (n_voxels,)."""
        smooth = np.array(volume, dtype=np.float32, order="C")
        for axis, sigma in enumerate(self.sigmas):
            if sigma > 0:
                gaussian_filter1d(smooth, sigma, axis=axis, output=smooth)
        return map_coordinates(smooth, self.positions, order=1, mode="constant", cval=0.0)

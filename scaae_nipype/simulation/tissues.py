"""The head that is simulated: a voxel grid of any resolution in MNI space and the tissues on it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import nibabel as nib
import numpy as np
from scipy.ndimage import binary_erosion

from ..errors import UsageError
from ..grid import Grid

__all__ = ["Tissues", "fit_tissues", "source_grid"]

CORNER = (-80.0, -114.0, -74.0)
"""World coordinates in mm of the first voxel: just outside the brain on the left, behind and below."""

EXTENT = (160.0, 192.0, 166.0)
"""Edge lengths in mm of the field of view."""

CSF_DEPTH = 12.0
"""Voxels nearer than this to the brain's surface, in mm, are not taken for ventricles."""

TISSUE_THRESHOLD = 0.8
"""Probability from which a voxel counts as white matter or CSF for a nuisance signal."""

BASELINE = {"grey": 10_000.0, "white": 8_500.0, "csf": 12_000.0}
"""Typical BOLD intensity of a tissue, in arbitrary units."""


@lru_cache(maxsize=4)
def source_grid(voxel_size: float = 4.0) -> Grid:
    """Make the grid of a scanner-like run: isotropic voxels, axes to the right, front and top.

    It is *not* the model's grid (whose first axis runs right to left), so that data made on it have to be resampled.

    Parameters
    ----------
    voxel_size : float
        Edge length of a voxel in mm, 1 to 10.

    Raises
    ------
    UsageError
        If the voxel size is out of range.

    Examples
    --------
    >>> grid = source_grid(5)
    >>> grid.shape, grid.voxel_sizes.tolist()
    ((33, 39, 34), [5.0, 5.0, 5.0])
    """
    if not 1 <= voxel_size <= 10:
        raise UsageError(f"The voxel size is {voxel_size:g} mm; give one from 1 to 10 mm.")
    from nilearn.datasets import load_mni152_brain_mask

    shape = [int(extent // voxel_size) + 1 for extent in EXTENT]
    affine = np.diag([voxel_size, voxel_size, voxel_size, 1.0])
    affine[:3, 3] = CORNER
    mask = _resample(load_mni152_brain_mask(resolution=2), affine, shape) >= 0.5
    return Grid(affine, mask)


@dataclass(frozen=True, eq=False)
class Tissues:
    """Probabilities of the tissues in the voxels of a grid's mask, each (n_voxels,) in 0–1.

    Examples
    --------
    >>> tissues = fit_tissues(source_grid(8))
    >>> bool(np.allclose(tissues.grey + tissues.white + tissues.csf, 1))
    True
    """

    grey: np.ndarray
    white: np.ndarray
    csf: np.ndarray
    white_mask: np.ndarray
    csf_mask: np.ndarray

    @cached_property
    def baseline(self) -> np.ndarray:
        """Mean BOLD intensity of every voxel, (n_voxels,) float32."""
        mixed = self.grey * BASELINE["grey"] + self.white * BASELINE["white"] + self.csf * BASELINE["csf"]
        return mixed.astype(np.float32)


@lru_cache(maxsize=4)
def fit_tissues(grid: Grid) -> Tissues:
    """Put nilearn's bundled grey- and white-matter probabilities on a grid; CSF is what they leave.

    A grid's tissues are kept in memory, because every run on it needs them. White matter and CSF masks (for the
    nuisance signals of a confounds table) hold at least the most certain voxel.
    """
    from nilearn.datasets import load_mni152_gm_template, load_mni152_wm_template

    grey, white = (
        np.clip(grid.vectors(_resample(load(resolution=2), grid.affine, grid.shape)), 0, 1)
        for load in (load_mni152_gm_template, load_mni152_wm_template)
    )
    total = np.maximum(grey + white, 1)
    grey, white = grey / total, white / total
    csf = 1 - grey - white
    steps = max(1, round(CSF_DEPTH / float(grid.voxel_sizes.mean())))
    deep = grid.vectors(binary_erosion(np.pad(grid.mask, 1), iterations=steps)[1:-1, 1:-1, 1:-1])
    return Tissues(grey, white, csf, _certain(white, deep), _certain(csf, deep))


def _certain(probability: np.ndarray, deep: np.ndarray) -> np.ndarray:
    inside = np.where(deep, probability, -1) if deep.any() else probability
    return inside >= min(TISSUE_THRESHOLD, float(inside.max()))


def _resample(image: nib.Nifti1Image, affine: np.ndarray, shape: tuple[int, ...] | list[int]) -> np.ndarray:
    from nilearn.image import resample_img, smooth_img

    continuous = nib.Nifti1Image(image.get_fdata(dtype=np.float32), image.affine)
    # A voxel is the mean over its extent, not a sample of a 2 mm image at its centre.
    continuous = smooth_img(continuous, fwhm=0.7 * float(nib.affines.voxel_sizes(affine).mean()))
    return resample_img(continuous, affine, tuple(shape), interpolation="linear").get_fdata()

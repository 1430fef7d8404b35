"""The evaluation region of a run: which voxels of the model's grid its brain mask covers."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field

import numpy as np

from ..errors import InputError
from ..grid import Grid
from .resampling import make_resampler
from .stream import BoldFile

__all__ = ["Gaps", "check_coverage", "estimate_mask", "mask_on_grid"]

LEAST_COVERAGE, GOOD_COVERAGE = 0.1, 0.8
"""Parts of the model's brain mask: below the first a run is refused, below the second there is a warning."""

BACKGROUND = 0.2
"""If at least this part of an image is exactly 0, it has been masked already."""

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
    import nibabel as nib
    from nilearn.masking import compute_epi_mask

    if (mean == 0).mean() >= BACKGROUND:
        return mean != 0, "the voxels that are not zero"
    with warnings.catch_warnings():  # an empty mask is reported by check_coverage
        warnings.simplefilter("ignore")
        image = compute_epi_mask(nib.Nifti1Image(mean.astype(np.float32), affine))
    return np.asanyarray(image.dataobj) > 0, "the intensities of its mean volume"


def check_coverage(region: np.ndarray, bold: BoldFile) -> list[str]:
    """Give a warning where a run covers little of the model's brain mask.

    Raises
    ------
    InputError
        If it covers less than 10 %.
    """
    coverage = float(region.mean())
    if coverage < LEAST_COVERAGE:
        raise InputError(
            f"{bold.path}: only {coverage:.0%} of the MNI brain lies inside this run's brain mask; is the image in MNI "
            "space (space-MNI152…) and the mask its own?"
        )
    if coverage < GOOD_COVERAGE:
        return [f"The run covers only {coverage:.0%} of the model's brain mask."]
    return []


@dataclass
class Gaps:
    """Voxels without a number and volumes without content, collected while a run is read.

    Parameters
    ----------
    bold : BoldFile
    broken : list of int
        Volumes with values that are not finite inside the run's mask.
    empty : list of int
        Volumes that are 0 everywhere in the brain.
    """

    bold: BoldFile
    broken: list[int] = field(default_factory=list)
    empty: list[int] = field(default_factory=list)
    _anywhere: np.ndarray | None = None

    def fill(self, index: int, volume: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
        """Replace values that are not finite by 0, as nilearn does (some tools write NaN outside the brain)."""
        if volume.dtype.kind != "f" or np.isfinite(volume.sum(dtype=np.float64)):
            return volume
        missing = ~np.isfinite(volume)
        if missing.all() or (mask is not None and (missing & mask).any()):
            self.broken.append(index)
        elif mask is None:
            self._anywhere = missing if self._anywhere is None else self._anywhere | missing
        return np.where(missing, 0, volume)

    def check(self, mask: np.ndarray | None = None) -> None:
        """Refuse the run if a volume cannot be used.

        Parameters
        ----------
        mask : bool array, (X, Y, Z), optional
            A mask that became known after reading.

        Raises
        ------
        InputError
            If it has gaps.
        """
        for volumes, what in (
            (self.broken, "values that are not finite inside the brain mask"),
            (self.empty, "no values but 0 in the brain"),
        ):
            if volumes:
                raise InputError(
                    f"{self.bold.path}: {_listed(volumes)} {what}; repair the image, or drop such volumes "
                    "(`dummy_scans`, `fd_threshold`)."
                )
        if mask is not None and self._anywhere is not None and (mask & self._anywhere).any():
            raise InputError(
                f"{self.bold.path}: {(mask & self._anywhere).sum()} voxels inside the brain have values that are not "
                "finite; repair the image, or give its brain mask."
            )


def _listed(volumes: list[int]) -> str:
    """Name the first volumes.

    >>> _listed([3]), _listed([0, 1, 2, 3, 4, 5, 6])
    ('volume 3 has', 'volumes 0, 1, 2, 3, 4 and 2 more have')
    """
    if len(volumes) == 1:
        return f"volume {volumes[0]} has"
    first = ", ".join(map(str, volumes[:5]))
    return f"volumes {first} and {len(volumes) - 5} more have" if len(volumes) > 5 else f"volumes {first} have"

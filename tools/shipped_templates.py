"""Make the shipped mask and templates again from what nilearn bundles: ``python -m tools.shipped_templates``.

A test holds the shipped files against this recipe.
"""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from scaae_nipype.files import write_table
from scaae_nipype.grid import AFFINE, SHAPE, Grid
from scaae_nipype.images import write_image

__all__ = ["brain_grid", "grey_matter", "seitzman_labels"]

FOLDER = Path(__file__).parents[1] / "scaae_nipype" / "data"

LOWEST_SLICE = 2
"""Axial slices below z = -62 mm hold the tail of the brainstem, which few fields of view cover."""

SMALLEST_END_SLICE = 20
"""End slices with fewer voxels than this would only enlarge the box that the network works on."""

REACH = 12.0
"""Largest distance in mm from a grey-matter voxel to the centre of the region whose network it takes."""


def _on_grid(image: nib.Nifti1Image) -> np.ndarray:
    from nilearn.image import resample_img

    continuous = nib.Nifti1Image(image.get_fdata(dtype=np.float32), image.affine)
    return resample_img(continuous, AFFINE, SHAPE, interpolation="linear").get_fdata()


def brain_grid() -> Grid:
    """Put nilearn's bundled MNI152 brain mask on the 4 mm grid, without thin end slices."""
    from nilearn.datasets import load_mni152_brain_mask

    mask = _on_grid(load_mni152_brain_mask(resolution=2)) >= 0.5
    mask[:, :, :LOWEST_SLICE] = False
    for axis in range(3):
        counts = mask.sum(axis=tuple(a for a in range(3) if a != axis))
        np.moveaxis(mask, axis, 0)[counts < SMALLEST_END_SLICE] = False
    return Grid(AFFINE, mask)


def grey_matter(grid: Grid) -> np.ndarray:
    """Give the voxels of `grid` that nilearn's bundled mask calls grey matter: bool, (n_voxels,)."""
    from nilearn.datasets import load_mni152_gm_mask

    return grid.vectors(_on_grid(load_mni152_gm_mask(resolution=2)) >= 0.5)


def seitzman_labels(grid: Grid) -> tuple[np.ndarray, pd.DataFrame]:
    """Give every grey-matter voxel the network of the nearest Seitzman (2018) region within 12 mm.

    Returns
    -------
    labels : int array, (n_voxels,)
        0 where there is none; networks under 1 % of the mask are left out.
    table : DataFrame
        Columns ``index`` and ``name``.
    """
    from nilearn.datasets import fetch_coords_seitzman_2018

    regions = fetch_coords_seitzman_2018(ordered_regions=True)
    centres = np.column_stack([regions.rois[axis] for axis in "xyz"])
    networks = np.asarray(regions.networks)
    world = nib.affines.apply_affine(grid.affine, np.argwhere(grid.mask))
    distance, nearest = cKDTree(centres).query(world)
    reached = grey_matter(grid) & (distance <= REACH)
    names = [
        name
        for name in sorted(set(networks) - {"unassigned"})
        if (reached & (networks[nearest] == name)).sum() >= 0.01 * grid.n_voxels
    ]
    labels = np.zeros(grid.n_voxels, dtype=np.uint8)
    for index, name in enumerate(names, start=1):
        labels[reached & (networks[nearest] == name)] = index
    return labels, pd.DataFrame({"index": range(1, len(names) + 1), "name": names})


def main() -> None:
    """Write mask, templates and label table."""
    grid = brain_grid()
    grid.save(FOLDER / "mask_4mm.nii.gz")
    labels, table = seitzman_labels(grid)
    write_image(grid.image(labels), FOLDER / "seitzman2018_dseg_4mm.nii.gz")
    write_table(table, FOLDER / "seitzman2018_dseg.tsv")


if __name__ == "__main__":
    main()

"""A small brain, and a place for images."""

import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from scaae_nipype.grid import Grid

sys.path.append(str(Path(__file__).parent))
from brain_and_blobs import AFFINE, SHAPE


@pytest.fixture(scope="module")
def brain() -> Grid:
    mask = np.zeros(SHAPE, bool)
    mask[2:-2, 2:-2, 2:-2] = True
    return Grid(AFFINE, mask)


@pytest.fixture
def save(tmp_path):
    def save(values, name="image.nii.gz", affine=AFFINE, slope=None):
        image = nib.Nifti1Image(values, affine, dtype=values.dtype)
        if slope is not None:
            image.header.set_slope_inter(slope, 0)
        save.path = tmp_path / name
        nib.save(image, save.path)
        return save.path

    return save

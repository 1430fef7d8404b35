"""A small run with planted networks, as files."""

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from scaae_nipype.evaluation import scale
from scaae_nipype.files import write_table
from scaae_nipype.grid import Grid

AFFINE = np.diag([4.0, 4, 4, 1])
N_VOLUMES = 30
DROPPED = [0, 1, 12]


@pytest.fixture
def grid():
    mask = np.zeros((8, 8, 8), bool)
    mask[1:7, 1:7, 1:7] = True
    return Grid(AFFINE, mask)


@pytest.fixture
def run(tmp_path, grid):
    """A run whose volume 20 shows template "left" in branch 1, and whose volume 5 is its negative."""
    rng = np.random.default_rng(0)
    labels = np.zeros((8, 8, 8), np.int16)
    labels[1:3, 1:7, 1:7], labels[5:7, 1:7, 1:7], labels[0] = 1, 2, 3
    nib.save(nib.Nifti1Image(labels, AFFINE), tmp_path / "networks.nii.gz")
    write_table(pd.DataFrame({"index": [1, 2, 3], "name": ["left", "right", "outside"]}), tmp_path / "networks.tsv")
    grid.save(tmp_path / "grid.nii.gz")
    region = grid.mask.copy()
    region[6] = False
    region = Grid(AFFINE, region)
    region.save(tmp_path / "region.nii.gz")
    left = region.vectors(labels == 1).astype("f4")
    volume = rng.standard_normal((N_VOLUMES, region.n_voxels)).astype("f4")
    volume[5] = -3 * left + 0.1 * volume[5]
    fbn = [scale(rng.standard_normal(volume.shape)) for _ in range(2)]
    fbn[0][20] = scale(3 * left + 0.1 * volume[20])
    kept = np.ones(N_VOLUMES, int)
    kept[DROPPED] = 0
    paths = {"in_mask": tmp_path / "region.nii.gz", "in_samples": tmp_path / "samples.tsv"}
    for name, maps in {"run": volume, "fbn1": fbn[0], "fbn2": fbn[1]}.items():
        nib.save(region.image(maps * kept[:, None], 2.5), tmp_path / f"{name}.nii.gz")
    write_table(pd.DataFrame({"volume": range(N_VOLUMES), "kept": kept}), paths["in_samples"])
    paths |= {"in_file": tmp_path / "run.nii.gz", "fbn_maps": [tmp_path / "fbn1.nii.gz", tmp_path / "fbn2.nii.gz"]}
    return paths


@pytest.fixture
def matching(run, tmp_path):
    return run | {"templates": str(tmp_path / "networks.nii.gz"), "grid_mask": tmp_path / "grid.nii.gz"}

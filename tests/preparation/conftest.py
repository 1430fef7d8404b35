"""A small grid, and runs that lie on other voxels than it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from scaae_nipype.files import write_json, write_table
from scaae_nipype.grid import Grid


def ellipsoid(shape):
    axes = np.meshgrid(*(np.linspace(-1.25, 1.25, n) for n in shape), indexing="ij")
    return sum(axis**2 for axis in axes) < 1


@pytest.fixture(scope="session")
def grid() -> Grid:
    """Give 12 x 13 x 11 voxels of 8 mm; the first axis runs right to left, as in the model's grid."""
    return Grid(np.array([[-8.0, 0, 0, 46], [0, 8, 0, -50], [0, 0, 8, -38], [0, 0, 0, 1]]), ellipsoid((12, 13, 11)))


AFFINE = np.array([[5.0, 0, 0, -50], [0, 5, 0, -55], [0, 0, 5, -45], [0, 0, 0, 1]])
SHAPE = (21, 23, 19)


@dataclass
class Files:
    """What belongs to a run on disk."""

    bold: Path
    mask: Path
    confounds: Path
    data: np.ndarray
    table: pd.DataFrame


def confounds_table(n_volumes: int, rng: np.random.Generator) -> pd.DataFrame:
    """Make a table with fMRIPrep's columns."""
    bases = [*(f"{kind}_{axis}" for kind in ("trans", "rot") for axis in "xyz"), "csf", "white_matter", "global_signal"]
    table = {}
    for base in bases:
        series = rng.normal(size=n_volumes).cumsum() * 0.1
        derivative = np.r_[np.nan, np.diff(series)]
        table |= {base: series, f"{base}_derivative1": derivative}
        table |= {f"{base}_power2": series**2, f"{base}_derivative1_power2": derivative**2}
    for index in range(15):
        table[f"a_comp_cor_{index:02d}"] = rng.normal(size=n_volumes)
    for index in range(3):
        table[f"cosine{index:02d}"] = np.cos(np.pi * (index + 1) * (2 * np.arange(n_volumes) + 1) / (2 * n_volumes))
    table["framewise_displacement"] = np.r_[np.nan, np.full(n_volumes - 1, 0.1)]
    return pd.DataFrame(table)


@pytest.fixture
def make_run(tmp_path) -> Callable[..., Files]:
    """Give a function that writes a run of noise around a mean, with mask and confounds."""

    def make(n_volumes=60, *, seed=0, name="bold.nii.gz", change=None, table=None, repetition_time=2.0) -> Files:
        rng = np.random.default_rng(seed)
        mask = ellipsoid(SHAPE)
        data = (500 + 100 * rng.normal(size=(*SHAPE, 1)) + 20 * rng.normal(size=(*SHAPE, n_volumes))).astype("f4")
        data[~mask] *= 0.02
        table = confounds_table(n_volumes, rng) if table is None else table
        if change is not None:
            change(data, table)
        image = nib.Nifti1Image(data, AFFINE)
        image.header.set_zooms((5, 5, 5, repetition_time))
        image.header.set_xyzt_units("mm", "sec")
        files = Files(tmp_path / name, tmp_path / "mask.nii.gz", tmp_path / "confounds.tsv", data, table)
        nib.save(image, files.bold)
        nib.save(nib.Nifti1Image(mask.astype("u1"), AFFINE), files.mask)
        write_table(table, files.confounds)
        write_json(
            {f"a_comp_cor_{i:02d}": {"Mask": ["combined", "WM", "CSF"][i % 3], "Retained": True} for i in range(15)}
            | {"trans_x": {}},
            files.confounds.with_suffix(".json"),
        )
        return files

    return make

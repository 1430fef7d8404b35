"""Small prepared runs, a run to prepare and a model, on disk, for real runs of Nipype's nodes."""

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from scaae_nipype.files import write_json, write_table
from scaae_nipype.grid import Grid

N_VOLUMES = 24


@pytest.fixture(scope="session")
def grid() -> Grid:
    """Give a small brain: an ellipsoid on a 12 mm grid."""
    axes = np.meshgrid(*(np.linspace(-1.2, 1.2, size) for size in (15, 17, 14)), indexing="ij")
    affine = np.array([[-12.0, 0, 0, 84], [0, 12, 0, -110], [0, 0, 12, -60], [0, 0, 0, 1]])
    return Grid(affine, sum(axis**2 for axis in axes) < 1)


@pytest.fixture
def grid_mask(grid, tmp_path) -> str:
    return str(grid.save(tmp_path / "grid_mask.nii.gz"))


@pytest.fixture
def write_run(grid, tmp_path) -> Callable[..., dict[str, str]]:
    """Give a writer of a prepared run, a volume dropped, and of a map beside it: how nodes call its files."""

    def write(name: str, *, seed: int) -> dict[str, str]:
        kept = np.ones(N_VOLUMES, dtype=int)
        kept[3] = 0
        data = np.random.default_rng(seed).standard_normal((N_VOLUMES, grid.n_voxels)).astype("f4") * kept[:, None]
        nib.save(grid.image(data, 2.0), tmp_path / f"{name}.nii.gz")
        nib.save(grid.image(np.ones(grid.n_voxels, dtype=bool)), tmp_path / f"{name}_mask.nii.gz")
        write_table(pd.DataFrame({"kept": kept}), tmp_path / f"{name}_samples.tsv")
        nib.save(grid.image(np.abs(data) / np.abs(data).max(), 2.0), tmp_path / f"{name}_fbn.nii.gz")
        return {
            "in_file": str(tmp_path / f"{name}.nii.gz"),
            "in_mask": str(tmp_path / f"{name}_mask.nii.gz"),
            "in_samples": str(tmp_path / f"{name}_samples.tsv"),
        }

    return write


@pytest.fixture
def runs(write_run) -> list[dict[str, str]]:
    return [write_run(f"run{number}", seed=number) for number in (1, 2)]


@pytest.fixture
def templates(grid, tmp_path) -> str:
    """Write an image of three labels without a table of names."""
    labels = np.broadcast_to(np.arange(grid.shape[1])[:, None] // 6 + 1, grid.shape).astype("i2")
    nib.save(nib.Nifti1Image(labels, grid.affine), tmp_path / "templates.nii.gz")
    return str(tmp_path / "templates.nii.gz")


@pytest.fixture
def make_model(grid, tmp_path) -> Callable[..., Path]:
    """Give a writer of an untrained network as a model folder: another seed, other weights."""
    from scaae_nipype.model import PRESETS, Model, save_model
    from scaae_nipype.model.weights import new_network

    def make(name: str = "model", *, seed: int = 0) -> Path:
        network = new_network(PRESETS["tiny"], grid, seed=seed).eval()
        return save_model(Model(network, grid, {"Mode": "calibrated", "Precision": "fp32"}), tmp_path / name)

    return make


@pytest.fixture
def bold(grid, tmp_path) -> dict[str, str]:
    """Write a run as fMRIPrep leaves it, with confounds: what `PrepareRun` calls its files."""
    rng = np.random.default_rng(0)
    data = (500 + 20 * rng.normal(size=(*grid.shape, 60))).astype("f4")
    data[~grid.mask] = 0
    image = nib.Nifti1Image(data, grid.affine)
    image.header.set_zooms((12, 12, 12, 2.0))
    image.header.set_xyzt_units("mm", "sec")
    nib.save(image, tmp_path / "bold.nii.gz")
    bases = [*(f"{kind}_{axis}" for kind in ("trans", "rot") for axis in "xyz"), "csf", "white_matter", "global_signal"]
    table = pd.DataFrame({base: rng.normal(size=60) for base in bases})
    for base in bases:
        table[f"{base}_derivative1"] = np.r_[np.nan, np.diff(table[base])]
        table[f"{base}_power2"], table[f"{base}_derivative1_power2"] = table[base] ** 2, 0.0
    table["framewise_displacement"] = np.r_[np.nan, np.full(59, 0.1)]
    write_table(table, tmp_path / "confounds.tsv")
    write_json({"trans_x": {}}, tmp_path / "confounds.json")
    return {"in_file": str(tmp_path / "bold.nii.gz"), "confounds_file": str(tmp_path / "confounds.tsv")}

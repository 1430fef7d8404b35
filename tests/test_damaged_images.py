"""Whatever byte of an image is damaged, every reader says so in one line, or reads what is still there."""

import warnings

import nibabel as nib
import numpy as np
import pytest

from scaae_nipype.bids_app.inputs.bids_names import BidsFile
from scaae_nipype.bids_app.inputs.choice import Candidate
from scaae_nipype.bids_app.inputs.datasets import Dataset
from scaae_nipype.bids_app.job.memory import memory_gb
from scaae_nipype.errors import InputError
from scaae_nipype.evaluation.group.state_maps import mean_state_maps
from scaae_nipype.evaluation.templates.loading import load_templates
from scaae_nipype.grid import Grid, load_grid
from scaae_nipype.headers import repetition_time_of
from scaae_nipype.images import read_image
from scaae_nipype.preparation.stream import open_bold, read_mask
from scaae_nipype.preparation.timing import choose_timing

GRID = Grid(np.array([[-4.0, 0, 0, 10], [0, 4, 0, -8], [0, 0, 4, -6], [0, 0, 0, 1]]), np.ones((6, 5, 4), bool))


def read_bold(path):
    bold = open_bold(path)
    choose_timing(bold)
    return list(bold.volumes())


def read_template(path):
    return load_templates(path, grid=GRID)


def read_voxel_size(path):
    file = BidsFile(path, {"sub": "01", "res": "2"}, "bold", ".nii.gz")
    return Candidate(file, Dataset("d", path.parent)).voxel_size


READERS_4D = (
    read_bold,
    read_image,
    GRID.read_vectors,
    repetition_time_of,
    read_voxel_size,
    lambda path: mean_state_maps({"01": [path]}),
    lambda path: memory_gb("prepare", path),
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Write a healthy run, its mask, and the same run not compressed."""
    folder = tmp_path_factory.mktemp("whole")
    values = np.random.default_rng(0).normal(size=(5, GRID.n_voxels))
    nib.save(GRID.image(values, 2.0), folder / "run.nii.gz")
    nib.save(GRID.image(values, 2.0), folder / "run.nii")
    nib.save(GRID.image(np.ones(GRID.n_voxels, bool)), folder / "mask.nii.gz")
    nib.save(GRID.image(np.ones(GRID.n_voxels, bool)), folder / "mask.nii")
    return folder


def flipped(whole, name, position, mask, tmp_path):
    content = bytearray((whole / name).read_bytes())
    content[position % len(content)] ^= mask
    path = tmp_path / name
    path.write_bytes(content)
    return path


def only_input_errors(reader, path):
    """Count what was refused; anything but an InputError of one line fails the test."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # of numbers that a damaged slope makes infinite
            reader(path)
    except InputError as error:
        assert "\n" not in str(error)
        assert path.name in str(error)
        return 1
    return 0


@pytest.mark.parametrize("mask", [0xFF, 0x10])
def test_a_damaged_compressed_run(whole, tmp_path, mask):
    n_bytes = (whole / "run.nii.gz").stat().st_size
    refused = 0
    for position in {*range(0, 60, 3), *range(60, n_bytes, 29), *range(n_bytes - 8, n_bytes)}:
        path = flipped(whole, "run.nii.gz", position, mask, tmp_path)
        refused += sum(only_input_errors(reader, path) for reader in (*READERS_4D, read_template))
    assert refused > 100


@pytest.mark.parametrize(("mask", "step"), [(0xFF, 1), (0x01, 3), (0x80, 3)])
def test_a_damaged_header(whole, tmp_path, mask, step):
    refused = 0
    for position in [*range(0, 4), *range(36, 124, step), *range(252, 352, step)]:
        path = flipped(whole, "run.nii", position, mask, tmp_path)
        refused += sum(only_input_errors(reader, path) for reader in READERS_4D)
    assert refused > 20


@pytest.mark.parametrize("name", ["mask.nii", "mask.nii.gz"])
def test_a_damaged_mask(whole, tmp_path, name):
    bold = open_bold(whole / "run.nii.gz")
    size = (whole / name).stat().st_size
    refused = 0
    for position in [*range(0, size, 7), *range(254, 352)]:
        path = flipped(whole, name, position, 0xFF, tmp_path)
        for reader in (load_grid, GRID.read_vectors, lambda path: read_mask(path, bold)):
            refused += only_input_errors(reader, path)
    assert refused > 50

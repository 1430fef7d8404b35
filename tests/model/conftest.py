"""Small models and cached volumes for the tests of the model room."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from scaae_nipype.grid import Grid
from scaae_nipype.model import PRESETS, Model
from scaae_nipype.model.training.volumes import write_cache
from scaae_nipype.model.weights import new_network


@pytest.fixture(scope="session")
def grid():
    """Give a small brain: an ellipsoid on a 12 mm grid."""
    axes = np.meshgrid(*(np.linspace(-1.2, 1.2, size) for size in (15, 17, 14)), indexing="ij")
    affine = np.array([[-12.0, 0, 0, 84], [0, 12, 0, -110], [0, 0, 12, -60], [0, 0, 0, 1]])
    return Grid(affine, sum(axis**2 for axis in axes) < 1)


@pytest.fixture
def mask_file(grid, tmp_path):
    return grid.save(tmp_path / "grid_mask.nii.gz")


@pytest.fixture(scope="session")
def vectors(grid):
    """Give 16 smooth noise volumes, z-scored: (16, n_voxels)."""
    noise = np.random.default_rng(0).standard_normal((16, *grid.shape), dtype=np.float32)
    smooth = grid.vectors(gaussian_filter(noise, (0, 1, 1, 1)))
    return (smooth - smooth.mean(axis=0)) / smooth.std(axis=0)


@pytest.fixture
def cache_files(vectors, tmp_path):
    return [write_cache(vectors[:9], tmp_path / "a.npy"), write_cache(vectors[9:], tmp_path / "b.npy")]


@pytest.fixture(scope="session")
def training_script():
    """Give a program that trains the tiny preset: VOLUMES CHECKPOINT_EVERY FOLDER MASK CACHE … as its arguments."""
    return """
import sys
from scaae_nipype.grid import load_grid
from scaae_nipype.model import Training, save_model
from scaae_nipype.model.training.train import train_on_caches
from scaae_nipype.progress import bar
import scaae_nipype.model.training.trainer as fitting
volumes, fitting.CHECKPOINT_EVERY = map(int, sys.argv[1:3])
folder, mask, *caches = sys.argv[3:]
training = Training(preset="tiny", train_volumes=volumes, precision="fp32")
model, _ = train_on_caches(caches, load_grid(mask), training=training, work_dir=folder, progress=bar)
save_model(model, folder + "/model")
"""


@pytest.fixture(scope="session")
def randomised():
    return _randomise_statistics


def _randomise_statistics(network):
    """Give batch norms statistics and gains that an untrained network does not have."""
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            for tensor, low, high in (
                (module.running_mean, -0.5, 0.5),
                (module.running_var, 0.5, 2.0),
                (module.weight.data, 0.5, 2.0),
                (module.bias.data, -0.5, 0.5),
            ):
                tensor.uniform_(low, high, generator=generator)
    return network.eval()


@pytest.fixture
def tiny(grid):
    network = _randomise_statistics(new_network(PRESETS["tiny"], grid, seed=0))
    branches = [
        {"Sign": -1, "SignAgreement": 1.0, "Flagged": False},
        {"Sign": 1, "SignAgreement": 0.8, "Flagged": True},
    ]
    return Model(network, grid, {"Name": "tiny", "Mode": "calibrated", "Precision": "fp32", "Branches": branches})

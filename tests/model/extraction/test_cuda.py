"""The same networks and trainings on a CUDA device as on the processor."""

import json
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest
import torch

from scaae_nipype.bids_app.cli import main
from scaae_nipype.errors import ModelError
from scaae_nipype.grid import load_grid
from scaae_nipype.model import PRESETS, Model, Training, load_model, save_model
from scaae_nipype.model.extraction.extractor import Extractor, extract_networks, resolve_device
from scaae_nipype.model.training.train import train_on_caches
from scaae_nipype.model.weights import new_network

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no CUDA device here")

CUDA = torch.device("cuda")


def test_a_cuda_device_that_is_not_there_is_named():
    missing = f"cuda:{torch.cuda.device_count()}"
    with pytest.raises(ModelError, match=rf"'{missing}' .*`device`"):
        resolve_device(missing)


@needs_cuda
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("preset", ["contextual", "autoencoder", "published", "tiny"])
def test_maps_of_both_devices_agree(preset, precision, randomised):
    """Weights drawn at random: the largest difference is given in SD of the map, because readers see SDs."""
    grid = load_grid()
    network = randomised(new_network(PRESETS[preset], grid, seed=0))
    model = Model(network, grid, {"Precision": precision})
    volumes = np.random.default_rng(0).standard_normal((2, grid.n_voxels), dtype=np.float32)
    cpu, cuda = (extract_networks(model, volumes, device=device) for device in (torch.device("cpu"), CUDA))
    assert Extractor(model, device=CUDA).precision == precision
    for a, b in zip(cpu.signed.reshape(4, -1), cuda.signed.reshape(4, -1), strict=True):
        assert np.corrcoef(a, b)[0, 1] > {"fp32": 0.999999, "bf16": 0.999}[precision]
        if precision == "fp32":
            assert np.abs(a - b).max() < 1e-3 * a.std()
    np.testing.assert_allclose(cpu.channel_weights, cuda.channel_weights, atol=5e-3)


@needs_cuda
def test_the_number_of_volumes_at_once_does_not_matter(tiny, vectors):
    one, many = (extract_networks(tiny, vectors, device=CUDA, batch_size=size).signed for size in (1, 8))
    np.testing.assert_allclose(one, many, atol=1e-4 * one.std())


@needs_cuda
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_training_on_cuda_goes_as_on_the_processor_and_its_model_works_there(
    precision, grid, vectors, cache_files, tmp_path
):
    losses = {}
    for device in ("cpu", "cuda"):
        training = Training(preset="tiny", train_volumes=160, precision=precision, device=device)
        model, _ = train_on_caches(cache_files, grid, training=training, work_dir=tmp_path / device)
        losses[device] = np.genfromtxt(tmp_path / device / "csv" / "metrics.csv", delimiter=",", names=True)["loss"]
    np.testing.assert_allclose(losses["cuda"], losses["cpu"], rtol=0.01)
    save_model(model, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert {parameter.device.type for parameter in loaded.network.parameters()} == {"cpu"}
    maps = [extract_networks(loaded, vectors, device=device).signed for device in (torch.device("cpu"), CUDA)]
    assert np.corrcoef(maps[0].ravel(), maps[1].ravel())[0, 1] > 0.999


@needs_cuda
def test_the_whole_job_runs_on_cuda_in_workers(tmp_path):
    """In worker processes: a device that the parent had touched could not be used there."""
    simulate = [sys.executable, "-m", "scaae_nipype.bids_app.simulate_cli", str(tmp_path / "data")]
    subprocess.run([*simulate, "--participants", "2", "--volumes", "60", "--voxel-size", "6"], check=True)
    maps = {}
    for device in ("cpu", "cuda"):
        out = tmp_path / device
        arguments = [str(tmp_path / "data"), str(out), "participant", "-w", str(tmp_path / f"work-{device}")]
        assert main([*arguments, "--device", device, "--precision", "fp32", "--nprocs", "2"]) == 0
        maps[device] = {path.name: nib.load(path).get_fdata() for path in out.rglob("*desc-fbn1_boldmap.nii.gz")}
        sidecar = next(iter(sorted(out.rglob("*desc-fbn1_boldmap.json"))))
        assert json.loads(sidecar.read_text())["Device"].startswith(device)
    assert maps["cpu"].keys() == maps["cuda"].keys() != set()
    for name, expected in maps["cpu"].items():
        assert np.corrcoef(expected.ravel(), maps["cuda"][name].ravel())[0, 1] > 0.9999

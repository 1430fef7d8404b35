"""The same networks and trainings on a CUDA device as on the processor."""

import json
import subprocess
import sys
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
import torch

from scaae_nipype.bids_app.cli import main
from scaae_nipype.errors import ModelError
from scaae_nipype.grid import load_grid
from scaae_nipype.model import PRESETS, Model, Training, load_model, save_model
from scaae_nipype.model.extraction.extractor import Extractor, extract_networks, resolve_device
from scaae_nipype.model.extraction.functions import network_function
from scaae_nipype.model.runs import Volumes
from scaae_nipype.model.training.train import train_on_caches
from scaae_nipype.model.training.volumes import write_cache
from scaae_nipype.model.weights import new_network
from scaae_nipype.simulation import simulate_run

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no CUDA device here")

CUDA = torch.device("cuda")

FITTED = {
    "pointwise": Training(preset="pointwise"),
    "in time": Training(preset="pointwise", time_width=3.0),
    "linear": Training(preset="linear"),
    "contextual": Training(preset="contextual", precision="fp32"),
}
"""What is fitted in closed form."""


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


@pytest.fixture(scope="module")
def planted(grid):
    """Give three simulated runs of 60 volumes, z-scored."""
    runs = [simulate_run(grid=grid, seed=seed, n_volumes=60).bold() for seed in (1, 2, 3)]
    return [((run - run.mean(axis=0)) / (run.std(axis=0) + 1e-6)).astype(np.float32) for run in runs]


@needs_cuda
@pytest.mark.parametrize("n_runs", [1, 3])
@pytest.mark.parametrize("kind", FITTED)
def test_what_is_fitted_in_closed_form_is_the_same_on_both_devices(kind, n_runs, planted, grid, tmp_path):
    """Of one run, which the network then knows again, and of three; surrogates go through the same function."""
    caches = [write_cache(run, tmp_path / f"{number}.npy") for number, run in enumerate(planted[:n_runs])]
    on_cpu, model = (
        train_on_caches(caches, grid, training=replace(FITTED[kind], device=device), work_dir=tmp_path / device)[0]
        for device in ("cpu", "cuda")
    )
    for name, weights in on_cpu.network.state_dict().items():
        torch.testing.assert_close(model.network.state_dict()[name], weights, rtol=0, atol=0)
    vectors, seconds = planted[0], np.arange(60) * 2.0
    run = Volumes(vectors, np.ones(60, dtype=bool), np.ones(grid.n_voxels, dtype=bool), 2.0)
    cpu, cuda = (extract_networks(model, run, device=device) for device in (torch.device("cpu"), CUDA))
    assert np.abs(cpu.signed - cuda.signed).max() < 1e-3 * cpu.signed.std()
    np.testing.assert_allclose(cuda.channel_weights, cpu.channel_weights, atol=1e-3)
    np.testing.assert_allclose(cuda.codes, cpu.codes, atol=1e-3 * cpu.codes.std())
    again = network_function(model, grid, seconds=seconds, device=CUDA)(vectors)
    np.testing.assert_allclose(again, cuda.signed, atol=1e-4 * cpu.signed.std())


@needs_cuda
@pytest.mark.parametrize("kind", ["pointwise", "tiny"])
def test_the_number_of_volumes_at_once_does_not_matter(kind, tiny, planted, grid, tmp_path):
    model = tiny
    if kind in FITTED:
        caches = [write_cache(planted[0], tmp_path / "run.npy")]
        model, _ = train_on_caches(caches, grid, training=FITTED[kind], work_dir=tmp_path)
    one, many = (extract_networks(model, planted[1], device=CUDA, batch_size=size).signed for size in (1, 8))
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
    """In worker processes: a device that the parent had touched could not be used there. Null models go there, too."""
    simulate = [sys.executable, "-m", "scaae_nipype.bids_app.simulate_cli", str(tmp_path / "data")]
    subprocess.run([*simulate, "--participants", "2", "--volumes", "60", "--voxel-size", "6"], check=True)
    maps = {}
    for device in ("cpu", "cuda"):
        out = tmp_path / device
        arguments = [str(tmp_path / "data"), str(out), "participant", "-w", str(tmp_path / f"work-{device}")]
        arguments += ["--nprocs", "2", "--precision", "fp32"]
        arguments += ["--surrogates", "19", "--surrogate-templates", "0"] if device == "cuda" else []
        assert main([*arguments, "--device", device]) == 0
        maps[device] = {path.name: nib.load(path).get_fdata() for path in out.rglob("*desc-fbn1_boldmap.nii.gz")}
        sidecar = next(iter(sorted(out.rglob("*desc-fbn1_boldmap.json"))))
        assert json.loads(sidecar.read_text())["Model"]["Device"] == device
    assert maps["cpu"].keys() == maps["cuda"].keys() != set()
    for name, expected in maps["cpu"].items():
        assert np.corrcoef(expected.ravel(), maps["cuda"][name].ravel())[0, 1] > 0.9999

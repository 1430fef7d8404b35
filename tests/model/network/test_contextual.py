"""The contextual network: fused and plain paths, what its branches mark, and how it is fitted."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from scaae_nipype.errors import UsageError
from scaae_nipype.grid import Grid
from scaae_nipype.model import PRESETS, Model, Training, extract_networks, load_model, save_model
from scaae_nipype.model.extraction.fused import FusedReader
from scaae_nipype.model.extraction.selftest import compare_paths
from scaae_nipype.model.training.start import load_start
from scaae_nipype.model.training.train import train_on_caches
from scaae_nipype.model.weights import new_network

WANTED = Training(preset="contextual", precision="fp32")


@pytest.fixture
def network(grid, randomised):
    network = randomised(new_network(PRESETS["contextual"], grid, seed=0))
    random = np.random.default_rng(0)
    for matrix, scale in ((network.context.encode, 0.05), (network.context.decode, 0.1)):
        matrix.copy_(torch.from_numpy(scale * random.standard_normal(matrix.shape)))
    return network


@pytest.fixture
def volumes(grid, vectors, network):
    return Model(network, grid, {}).volumes(vectors[:2])


def test_the_fused_path_is_exact_in_double_precision(network, volumes):
    double = network.double()
    with torch.inference_mode():
        plain, fused = (read(volumes.double()) for read in (double.read, FusedReader(double, dtype=torch.float64)))
    for a, b in zip(plain, fused, strict=True):
        torch.testing.assert_close(a, b, atol=1e-9, rtol=0)


def test_bf16_agrees(network, volumes):
    with torch.inference_mode():
        full, half = (FusedReader(network, dtype=dtype)(volumes).maps for dtype in (torch.float32, torch.bfloat16))
    for a, b in zip(full.flatten(0, 1), half.flatten(0, 1), strict=True):
        assert np.corrcoef(a.ravel(), b.ravel())[0, 1] >= 0.999


def test_the_first_guess_is_part_of_every_logit(network, volumes):
    """Equations 7 and 8 over logits that hold the guess give what `read` adds to the maps."""
    with torch.inference_mode():
        views = network.views(volumes)
        attention = network.attention(views.stacked)
        poles = [views.first_guess.clamp(min=0), (-views.first_guess).clamp(min=0)]
        spread = torch.cat([pole.expand(-1, 16, -1, -1, -1) for pole in poles], dim=1)
        logits = attention.logits + network.logit_gain[:, None, None, None] * spread
        weighted = attention.channel_weights[:, :, None, None, None] * logits
        expected = torch.stack([weighted[:, :16].sum(dim=1), weighted[:, 16:].sum(dim=1)], dim=1)
        torch.testing.assert_close(network.read(volumes).maps, expected, atol=1e-4, rtol=1e-4)


def test_context_and_surroundings_are_what_they_are_called(network, volumes, grid, vectors):
    with torch.inference_mode():
        views = network.views(volumes)
        code = torch.from_numpy(vectors[:2]) @ network.context.encode.T
        torch.testing.assert_close(views.code, code, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(network.vectors(views.stacked[:, 1:2]), 4 * code @ network.context.decode)
        torch.testing.assert_close(views.stacked[:, :1], volumes)
        torch.testing.assert_close(views.stacked[:, 2:], 3 * network.wide(volumes))


@pytest.fixture
def trained(cache_files, grid, tmp_path):
    return train_on_caches(cache_files, grid, training=WANTED, work_dir=tmp_path / "work")[0]


def test_training_fits_the_context_and_takes_the_shipped_attention(trained, cache_files, grid, tmp_path):
    shipped = new_network(PRESETS["contextual"], grid, seed=5)
    load_start(shipped, grid)
    for name, tensor in trained.network.state_dict().items():
        assert name.startswith("context.") or torch.equal(tensor, shipped.state_dict()[name]), name
    card = trained.card
    assert card["Training"]["Volumes"] == 16
    assert card["Training"]["Undertrained"] is False
    assert len(card["Context"]["Reliability"]) == 64
    assert card["Start"]["Name"] == "start_4mm"
    assert [branch["Marks"] for branch in card["Branches"]] == ["above the mean", "below the mean"]
    assert [branch["Sign"] for branch in card["Branches"]] == [1, 1]
    assert not list((tmp_path / "work").glob("checkpoints/*"))
    again, _ = train_on_caches(cache_files, grid, training=WANTED, work_dir=tmp_path / "again")
    assert torch.equal(again.network.context.encode, trained.network.context.encode)


def test_a_saved_model_reads_the_same(trained, vectors, tmp_path):
    loaded = load_model(save_model(trained, tmp_path / "model"))
    one, two = (extract_networks(model, vectors[:3]) for model in (trained, loaded))
    np.testing.assert_array_equal(one.signed, two.signed)
    assert one.codes.shape == (3, 64)
    assert "agree" in compare_paths(loaded)[0]


def test_other_voxel_sizes_are_noted_in_the_card(trained, grid):
    assert "The attention was trained at 4 mm" in trained.card["Start"]["Warning"]
    fine = Grid(np.diag([4.0, 4, 4, 1]), grid.mask)
    assert "Warning" not in load_start(new_network(PRESETS["contextual"], fine, seed=0), fine)


def test_showing_volumes_to_what_is_fitted_is_refused(cache_files, grid, tmp_path):
    with pytest.raises(UsageError, match="`train_volumes` has no effect with `preset` contextual"):
        train_on_caches(cache_files, grid, training=replace(WANTED, train_volumes=80), work_dir=tmp_path)

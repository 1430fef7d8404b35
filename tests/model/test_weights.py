"""Model folders: written whole, read with every check."""

import copy
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from scaae_nipype.errors import ModelError, UsageError
from scaae_nipype.grid import Grid
from scaae_nipype.model import PRESETS, Model, load_model, save_model
from scaae_nipype.model.group_pca import GroupPCA
from scaae_nipype.model.presets import preset_named
from scaae_nipype.model.weights import new_network


@pytest.fixture
def folder(tiny, tmp_path):
    return save_model(tiny, tmp_path / "model")


def test_a_model_survives_saving(tiny, folder):
    loaded = load_model(folder)
    assert loaded.grid.checksum == tiny.grid.checksum
    assert loaded.card == json.loads((folder / "card.json").read_text())
    for name, tensor in tiny.network.state_dict().items():
        torch.testing.assert_close(loaded.network.state_dict()[name], tensor)
    assert not loaded.network.training


def test_saving_replaces_an_older_model_and_leaves_nothing_else(tiny, folder):
    tiny.card["Name"] = "second"
    save_model(tiny, folder)
    assert load_model(folder).card["Name"] == "second"
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_a_new_network_depends_on_its_seed_alone(grid):
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, second, other = (new_network(PRESETS["tiny"], grid, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    weights = [network.attention.stem.weight for network in (first, second, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_volumes_and_vectors_are_inverse(tiny, vectors):
    np.testing.assert_array_equal(tiny.vectors(tiny.volumes(vectors)[:, 0]), vectors)


@pytest.mark.parametrize("name", ["weights.safetensors", "card.json", "mask.nii.gz"])
def test_missing_file(folder, name):
    (folder / name).unlink()
    with pytest.raises(ModelError, match=f"not a model folder, {name} missing"):
        load_model(folder)


def test_components_of_the_training_runs_go_with_the_model(tiny, tmp_path):
    maps = np.eye(2, tiny.grid.n_voxels, dtype="f4")
    tiny.group_pca = GroupPCA(maps, 8.0, n_volumes=40)
    folder = save_model(tiny, tmp_path / "model")
    loaded = load_model(folder)
    np.testing.assert_array_equal(loaded.group_pca.maps, maps)
    assert loaded.card["GroupPCA"].items() >= loaded.group_pca.about.items()
    for damage in (lambda path: path.write_bytes(b"other"), Path.unlink):
        damage(folder / "group_pca.safetensors")
        with pytest.raises(ModelError, match=r"group_pca.safetensors differs from what the card describes"):
            load_model(folder)


def test_truncated_weights(folder):
    whole = (folder / "weights.safetensors").read_bytes()
    (folder / "weights.safetensors").write_bytes(whole[:-100])
    with pytest.raises(ModelError, match="differs from what the card describes"):
        load_model(folder)


def test_card_of_another_preset(folder):
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(card | {"Preset": "autoencoder"}))
    with pytest.raises(ModelError, match="does not hold the weights of preset 'autoencoder'"):
        load_model(folder)


def test_card_without_a_key(folder):
    card = json.loads((folder / "card.json").read_text())
    del card["WeightsSHA256"]
    (folder / "card.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match=r"card\.json: has no WeightsSHA256"):
        load_model(folder)


@pytest.mark.parametrize(
    ("key", "value"),
    [("Precision", "fp8"), ("Branches", []), ("Branches", [{"Sign": 0}, {"Sign": 1}]), ("FormatVersion", "new")],
)
def test_card_with_an_impossible_value(folder, key, value):
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(card | {key: value}))
    with pytest.raises(ModelError, match=rf"card\.json: {key} must be .*; take an undamaged copy"):
        load_model(folder)


def test_truncated_weights_with_a_card_that_agrees(folder):
    weights = folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    card = json.loads((folder / "card.json").read_text())
    card["WeightsSHA256"] = hashlib.sha256(weights.read_bytes()).hexdigest()
    (folder / "card.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match=r"weights\.safetensors: is truncated or damaged"):
        load_model(folder)


def test_card_that_is_no_json(folder):
    (folder / "card.json").write_text("{")
    with pytest.raises(ModelError, match="is not valid JSON"):
        load_model(folder)


def test_mask_of_another_grid(folder, grid):
    mask = grid.mask.copy()
    mask[tuple(np.argwhere(mask)[0])] = False
    Grid(grid.affine, mask).save(folder / "mask.nii.gz")
    with pytest.raises(ModelError, match="not the mask that the card describes"):
        load_model(folder)


def test_unknown_preset():
    known = "pointwise, contextual, linear, autoencoder, published, tiny"
    with pytest.raises(UsageError, match=f"no preset 'huge'; choose one of {known}"):
        preset_named("huge")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_leaves_the_older_model_intact(tiny, folder, monkeypatch):
    def full(tensors, path):
        with Path("/dev/full").open("wb") as file:
            file.write(b"0" * 10_000)

    monkeypatch.setattr("scaae_nipype.model.weights.save_file", full)
    with pytest.raises(ModelError, match=r"cannot be written.*No space left"):
        save_model(Model(tiny.network, tiny.grid, {"Name": "new"}), folder)
    monkeypatch.undo()
    assert load_model(folder).card["Name"] == "tiny"
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused_though_card_and_checksum_agree(tiny, folder, value):
    name = next(iter(tiny.network.state_dict()))
    tensors = load_file(folder / "weights.safetensors")
    tensors[name].view(-1)[0] = value
    save_file(tensors, folder / "weights.safetensors")
    card = json.loads((folder / "card.json").read_text())
    card["WeightsSHA256"] = hashlib.sha256((folder / "weights.safetensors").read_bytes()).hexdigest()
    (folder / "card.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match=f"{name} holds values that are not finite"):
        load_model(folder)
    before = (folder / "weights.safetensors").read_bytes()
    spoilt = Model(copy.deepcopy(tiny.network), tiny.grid, {})
    spoilt.network.state_dict()[name].view(-1)[0] = value
    with pytest.raises(ModelError, match="not written"):
        save_model(spoilt, folder)
    assert (folder / "weights.safetensors").read_bytes() == before

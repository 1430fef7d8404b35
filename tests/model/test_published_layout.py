"""The published network, held against what its implementation computes."""

import csv
import pickle

import numpy as np
import pytest
import torch

from scaae_nipype.errors import ModelError
from scaae_nipype.grid import load_grid
from scaae_nipype.model import PRESETS, Model, extract_networks
from scaae_nipype.model.published import published_names, read_published_weights
from scaae_nipype.model.weights import new_network

SMALL = 1e-4


@pytest.fixture(scope="module")
def published(shared):
    grid = load_grid(shared / "data/templates/adhd200_mask_4mm.nii.gz")
    network = new_network(PRESETS["published"], grid, seed=0).eval()
    read_published_weights(shared / "reference/published_layout_random_weights.pth", network)
    return Model(network, grid, {"Precision": "fp32"})


@pytest.fixture(scope="module")
def expected(shared):
    return np.load(shared / "reference/published_layout_expected.npz")


@pytest.mark.reference
def test_every_tensor_of_the_published_layout_has_a_place_of_its_shape(shared, published):
    with (shared / "reference/published_layout_state_dict.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    names = published_names(published.network)
    own = published.network.state_dict()
    assert len(rows) == 629
    assert {row["name"] for row in rows} == names.keys()
    for row in rows:
        target, position = names[row["name"]]
        shape = own[target].shape if position is None else own[target].shape[1:]
        assert ("x".join(map(str, shape)) or "scalar") == row["shape"], row["name"]
    assert sum(parameter.numel() for parameter in published.network.parameters()) == 2_702_961


@pytest.mark.reference
def test_the_plain_network_computes_the_published_numbers(published, expected):
    with torch.inference_mode():
        result = published.network(torch.from_numpy(expected["volumes"])[:, None])
    index = expected["voxel_index"]
    for ours, theirs in (
        (result.attention.channel_weights, expected["channel_weights"]),
        (result.attention.logits.flatten(2)[..., index], expected["spatial_attention_logits"]),
        (result.volumes.flatten(1)[..., index], expected["reconstruction"]),
    ):
        np.testing.assert_allclose(ours.numpy(), theirs, atol=SMALL)


@pytest.mark.reference
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_fused_path_gives_the_published_networks(published, expected, precision):
    grid = published.grid
    model = Model(published.network, grid, {"Precision": precision})
    networks = extract_networks(model, grid.vectors(expected["volumes"]))
    maps = np.stack([networks.maps(branch) for branch in ("fbn1", "fbn2")], axis=1)
    if precision == "fp32":
        np.testing.assert_allclose(networks.channel_weights, expected["channel_weights"], atol=SMALL)
        np.testing.assert_allclose(maps, expected["fbn_in_mask"], atol=SMALL)
    else:
        for ours, theirs in zip(maps.reshape(4, -1), expected["fbn_in_mask"].reshape(4, -1), strict=True):
            assert np.corrcoef(ours, theirs)[0, 1] > 0.999


class TestRefusals:
    """Files that are not a state dict of the published layout."""

    @pytest.fixture
    def network(self, grid):
        return new_network(PRESETS["published"], grid, seed=0)

    @pytest.fixture
    def state(self, network):
        own = network.state_dict()
        return {
            theirs: own[ours] if position is None else own[ours][position].clone()
            for theirs, (ours, position) in published_names(network).items()
        }

    @pytest.mark.parametrize("how", ["pickle", "torch"])
    def test_code_in_the_file_is_not_run(self, network, state, tmp_path, how, recwarn):
        class Trap:
            def __reduce__(self):
                return (tmp_path.joinpath("trapped").touch, ())

        if how == "torch":
            torch.save({**state, "more": Trap()}, tmp_path / "bad.pth")
        else:
            with (tmp_path / "bad.pth").open("wb") as file:
                pickle.dump(Trap(), file)
        with pytest.raises(ModelError, match=r"bad\.pth: .*refused"):
            read_published_weights(tmp_path / "bad.pth", network)
        assert not (tmp_path / "trapped").exists()
        assert not recwarn.list  # a warning would be more than the one line

    def test_missing_tensor(self, network, state, tmp_path):
        del state["decoder.decoder.bias"]
        torch.save(state, tmp_path / "w.pth")
        with pytest.raises(ModelError, match=r"lacks 1 tensor of.*decoder.decoder.bias"):
            read_published_weights(tmp_path / "w.pth", network)

    def test_misshapen_tensor(self, network, state, tmp_path):
        state["sa_encoder.conv.weight"] = torch.zeros(32, 1, 3, 3, 3)
        torch.save(state, tmp_path / "w.pth")
        with pytest.raises(ModelError, match=r"'sa_encoder.conv.weight' has shape \(32, 1, 3, 3, 3\) instead of"):
            read_published_weights(tmp_path / "w.pth", network)

    def test_tensor_that_is_not_finite(self, network, state, tmp_path):
        state["sa_encoder.conv.bias"][3] = float("nan")
        torch.save(state, tmp_path / "w.pth")
        with pytest.raises(ModelError, match=r"'sa_encoder.conv.bias' has values that are not finite"):
            read_published_weights(tmp_path / "w.pth", network)

    def test_unknown_tensor_and_wrapping(self, network, state, tmp_path):
        wrapped = {f"module.{name}": tensor for name, tensor in state.items()}
        torch.save({"state_dict": wrapped}, tmp_path / "w.pth")
        read_published_weights(tmp_path / "w.pth", network)
        torch.save(wrapped | {"extra": torch.zeros(1)}, tmp_path / "w.pth")
        with pytest.raises(ModelError, match="has 1 tensor unknown to the published layout, such as 'extra'"):
            read_published_weights(tmp_path / "w.pth", network)

    @pytest.mark.parametrize("share", [2, 1000])
    def test_truncated_file(self, network, state, tmp_path, share):
        torch.save(state, tmp_path / "w.pth")
        whole = (tmp_path / "w.pth").read_bytes()
        (tmp_path / "w.pth").write_bytes(whole[: len(whole) // share])
        with pytest.raises(ModelError, match=r"w\.pth: is truncated, damaged"):
            read_published_weights(tmp_path / "w.pth", network)

"""From a prepared run on disk to networks on disk."""

import copy

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch

from scaae_nipype.errors import InputError, ModelError
from scaae_nipype.files import read_json, read_table, write_table
from scaae_nipype.grid import Grid
from scaae_nipype.interfaces.model import ExtractNetworks
from scaae_nipype.model import Model, extract_networks, save_model
from scaae_nipype.model.extraction import extractor
from scaae_nipype.model.extraction.extract_run import extract_run
from scaae_nipype.model.extraction.selftest import compare_paths

DROPPED = [0, 7]


@pytest.fixture
def run(grid, vectors, tmp_path):
    """Write a prepared run of which two volumes are dropped and some voxels not covered."""
    kept = np.ones(len(vectors), dtype=int)
    kept[DROPPED] = 0
    region = np.ones(grid.n_voxels, dtype=bool)
    region[:50] = False
    data = vectors * kept[:, None] * region
    nib.save(grid.image(data, 1.5), tmp_path / "run.nii.gz")
    nib.save(grid.image(region), tmp_path / "mask.nii.gz")
    write_table(pd.DataFrame({"volume": range(len(kept)), "kept": kept}), tmp_path / "samples.tsv")
    return {
        "in_file": tmp_path / "run.nii.gz",
        "in_mask": tmp_path / "mask.nii.gz",
        "in_samples": tmp_path / "samples.tsv",
    }


def test_files_hold_what_the_function_gives(run, tiny, grid, vectors, tmp_path):
    model_dir = save_model(tiny, tmp_path / "model")
    result = ExtractNetworks(
        **{key: str(path) for key, path in run.items()}, model_dir=str(model_dir), save_signed=True
    ).run(cwd=str(tmp_path))
    outputs = result.outputs.get()
    kept = np.setdiff1d(np.arange(len(vectors)), DROPPED)
    region = grid.read_vectors(run["in_mask"]) > 0
    networks = extract_networks(tiny, run["in_file"])
    np.testing.assert_array_equal(np.flatnonzero(networks.kept), kept)
    np.testing.assert_array_equal(networks.region, region)
    for branch in range(2):
        image = nib.load(outputs["fbn_maps"][branch])
        assert image.get_data_dtype() == np.int16
        assert image.header.get_zooms()[3] == 1.5
        maps = grid.read_vectors(outputs["fbn_maps"][branch])
        np.testing.assert_allclose(maps[kept], networks.maps(f"fbn{branch + 1}")[kept], atol=1e-4)
        assert not maps[DROPPED].any()
        assert not maps[:, ~region].any()
        signed = grid.read_vectors(outputs["signed_maps"][branch])[kept]
        np.testing.assert_allclose(signed[:, region], networks.signed[branch][:, region], atol=1e-3)
    weights = read_table(outputs["channel_weights"])
    assert list(weights.columns[:2]) == ["kept", "channel01"]
    assert weights["channel01"].isna().sum() == len(DROPPED)
    np.testing.assert_allclose(weights.iloc[kept, 1:], networks.channel_weights, rtol=1e-4)
    codes = read_table(outputs["code"])
    assert codes.shape == (len(vectors), 65)
    metadata = read_json(outputs["out_metadata"])
    assert metadata["Branches"][0]["Sign"] == -1
    assert metadata["Branches"][1]["Flagged"] is True
    density = (networks.maps("fbn1")[np.ix_(kept, region)] > 0.3).mean()
    assert metadata["Branches"][0]["MeanDensity"] == pytest.approx(density)


def test_the_batch_size_does_not_matter_and_signs_are_applied(tiny, vectors):
    one, four = (extract_networks(tiny, vectors[:4], batch_size=size) for size in (1, 4))
    np.testing.assert_allclose(one.signed, four.signed, atol=1e-5)
    np.testing.assert_allclose(one.codes, four.codes, atol=1e-5)
    tiny.card["Branches"][0]["Sign"] = 1
    np.testing.assert_allclose(extract_networks(tiny, vectors[:4]).signed[0], -one.signed[0], atol=1e-5)


def test_a_model_of_another_grid_is_refused(run, tiny, grid, tmp_path):
    other = Grid(grid.affine, grid.mask[:, :, :13])
    tiny.grid = other
    save_model(tiny, tmp_path / "model")
    with pytest.raises(ModelError, match="made for another grid"):
        extract_run(**run, model_dir=tmp_path / "model", out_dir=tmp_path)
    with pytest.raises(ModelError, match=r"on another grid than the model; .*\(2, 9\)"):
        extract_networks(tiny, np.zeros((2, 9)))


def test_a_table_that_does_not_fit(run, tiny, tmp_path):
    save_model(tiny, tmp_path / "model")
    write_table(pd.DataFrame({"kept": [0] * 16}), run["in_samples"])
    with pytest.raises(InputError, match="marks 0 of 16 volumes as kept"):
        extract_run(**run, model_dir=tmp_path / "model", out_dir=tmp_path)


def test_where_bf16_would_be_emulated_networks_are_extracted_in_fp32_unless_it_was_demanded(tiny, monkeypatch):
    model = Model(tiny.network, tiny.grid, tiny.card | {"Precision": "bf16"})
    demanded = Model(tiny.network, tiny.grid, model.card | {"PrecisionDemanded": True})
    for native, expected in ((True, ["bf16", "bf16"]), (False, ["fp32", "bf16"])):
        monkeypatch.setattr(extractor, "bf16_is_fast", lambda device, native=native: native)
        assert [extractor.Extractor(one).precision for one in (model, demanded)] == expected
    assert "does not compute in bf16 natively" in compare_paths(model)[-1]
    run = np.random.default_rng(0).standard_normal((2, model.grid.n_voxels)).astype("f4")
    assert extract_networks(model, run).precision == "fp32"


def test_maps_that_are_not_finite_are_refused_with_the_volume(tiny, grid, vectors):
    huge = Model(copy.deepcopy(tiny.network), grid, dict(tiny.card))
    with torch.no_grad():
        for parameter in huge.network.parameters():
            parameter.fill_(1e30)
    with pytest.raises(ModelError, match=r"volume 1 of \d+ is not finite"):
        extract_networks(huge, vectors)

"""The network before training, as a baseline on the run that the trained one is scored on."""

from dataclasses import replace

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from scaae_nipype.errors import UsageError
from scaae_nipype.files import read_table, write_table
from scaae_nipype.grid import Grid
from scaae_nipype.interfaces.evaluation import ScoreBaselines
from scaae_nipype.model import PRESETS, Model, extract_networks, save_model
from scaae_nipype.model.apply import network_function, untrained_function
from scaae_nipype.model.networks import branch_signs
from scaae_nipype.model.weights import new_network


def card(**more):
    return {"Name": "m", "Mode": "calibrated", "Precision": "fp32", "Seed": 3, **more}


@pytest.fixture
def trained(tiny):
    tiny.card["Seed"] = 3
    return tiny


def test_it_is_the_fresh_network_of_the_models_seed_and_not_the_model(trained, grid, vectors):
    found = untrained_function(trained, grid)(vectors)
    fresh = Model(new_network(PRESETS["tiny"], grid, seed=3).eval(), grid, {"Precision": "fp32"})
    expected = extract_networks(vectors, fresh).signed
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-4)
    model = network_function(trained, grid)(vectors)
    assert all(abs(np.corrcoef(found[b].ravel(), model[b].ravel())[0, 1]) < 0.9 for b in range(2))


def test_its_branches_take_the_sign_of_the_volumes_unless_the_recipe_has_none(trained, grid, vectors):
    signs, _ = branch_signs(untrained_function(trained, grid)(vectors).swapaxes(0, 1), vectors)
    assert signs.tolist() == [1, 1]
    turned = untrained_function(trained, grid)(-vectors)
    signs, _ = branch_signs(turned.swapaxes(0, 1), -vectors)
    assert signs.tolist() == [1, 1]
    raw = Model(new_network(PRESETS["tiny"], grid, seed=3).eval(), grid, {"Precision": "fp32"})
    paper = untrained_function(replace(trained, card=card(Mode="paper")), grid)(vectors)
    np.testing.assert_allclose(paper, extract_networks(vectors, raw).signed, atol=1e-4)


def test_a_contextual_network_has_neither_context_nor_shipped_attention(grid, vectors):
    small = replace(
        PRESETS["contextual"], features=4, branch_features=2, trunk_blocks=1, attention_hidden=2, context=64
    )
    network = new_network(small, grid, seed=3)
    network.context.encode.data.normal_()
    network.context.decode.data.normal_()
    model = Model(network.eval(), grid, card())
    found = untrained_function(model, grid)(vectors)
    fresh = Model(new_network(small, grid, seed=3).eval(), grid, {"Precision": "fp32"})
    assert not fresh.network.context.decode.any()
    np.testing.assert_allclose(found, extract_networks(vectors, fresh).signed, atol=1e-4)
    assert not np.allclose(found, network_function(model, grid)(vectors), atol=1e-2)


def test_it_is_scored_beside_the_other_baselines(trained, grid, tmp_path):
    inside = np.ones(grid.n_voxels, dtype=bool)
    inside[:50] = False
    region = Grid(grid.affine, grid.volumes(inside))
    kept = np.ones(12, dtype=int)
    kept[3] = 0
    noise = np.random.default_rng(0).standard_normal((12, grid.n_voxels)).astype("f4") * kept[:, None] * inside
    nib.save(grid.image(noise, 2.0), tmp_path / "run.nii.gz")
    write_table(pd.DataFrame({"kept": kept}), tmp_path / "samples.tsv")
    labels = np.broadcast_to(np.arange(grid.shape[1])[:, None] // 6 + 1, grid.shape).astype("i2")
    nib.save(nib.Nifti1Image(labels, grid.affine), tmp_path / "templates.nii.gz")
    model_dir = save_model(trained, tmp_path / "model")
    files = {
        "in_file": str(tmp_path / "run.nii.gz"),
        "in_mask": str(region.save(tmp_path / "region.nii.gz")),
        "in_samples": str(tmp_path / "samples.tsv"),
        "templates": str(tmp_path / "templates.nii.gz"),
        "grid_mask": str(model_dir / "mask.nii.gz"),
    }
    scored = ScoreBaselines(**files, names=["untrained"], model_dir=str(model_dir), device="cpu", num_threads=1)
    table = read_table(scored.run(cwd=str(tmp_path)).outputs.out_overlap)
    assert table["method"].unique().tolist() == ["untrained_fbn1", "untrained_fbn2"]
    assert (table["n_volumes"] == 11).all()
    assert table["best_volume_iou"].notna().all() and not (table["best_volume_iou"] == 3).any()
    with pytest.raises(UsageError, match="'untrained' needs the model"):
        ScoreBaselines(**files, names=["untrained"]).run(cwd=str(tmp_path))

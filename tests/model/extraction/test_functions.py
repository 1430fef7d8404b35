"""What baselines take from a model: the network before training, and the linear part of the trained one."""

from dataclasses import replace

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch

from scaae_nipype.errors import UsageError
from scaae_nipype.files import read_table, write_table
from scaae_nipype.grid import Grid
from scaae_nipype.interfaces.evaluation import ScoreBaselines
from scaae_nipype.model import PRESETS, Model, extract_networks, save_model
from scaae_nipype.model.extraction.functions import (
    context_function,
    group_pca_function,
    network_function,
    untrained_function,
)
from scaae_nipype.model.group_pca import GroupPCA
from scaae_nipype.model.network.reading import branch_signs
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
    expected = extract_networks(fresh, vectors).signed
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
    np.testing.assert_allclose(paper, extract_networks(raw, vectors).signed, atol=1e-4)


@pytest.fixture
def contextual(grid):
    """A contextual model with a context of noise."""
    network = new_network(PRESETS["contextual"], grid, seed=3)
    network.context.encode.data.normal_()
    network.context.decode.data.normal_()
    return Model(network.eval(), grid, card())


def test_a_contextual_network_has_neither_context_nor_shipped_attention(contextual, grid, vectors):
    found = untrained_function(contextual, grid)(vectors)
    fresh = Model(new_network(contextual.network.preset, grid, seed=3).eval(), grid, {"Precision": "fp32"})
    assert not fresh.network.context.decode.any()
    np.testing.assert_allclose(found, extract_networks(fresh, vectors).signed, atol=1e-4)
    assert not np.allclose(found, network_function(contextual, grid)(vectors), atol=1e-2)


def test_the_context_alone_is_what_the_network_sees_of_it(contextual, trained, grid, vectors):
    _, maps = contextual.network.context(torch.from_numpy(vectors))
    np.testing.assert_allclose(context_function(contextual, grid)(vectors), maps.numpy(), rtol=1e-4, atol=1e-3)
    part = Grid(grid.affine, grid.volumes(np.arange(grid.n_voxels) > 50))
    inside = grid.vectors(part.mask)
    _, maps = contextual.network.context(torch.from_numpy(vectors * inside))
    found = context_function(contextual, part)(vectors[:, inside])
    np.testing.assert_allclose(found, maps.numpy()[:, inside], rtol=1e-4, atol=1e-3)
    assert context_function(trained, grid) is None


def test_the_components_of_the_training_runs_work_in_the_region(trained, grid, vectors):
    assert group_pca_function(trained, grid) is None
    maps = np.linalg.qr(np.random.default_rng(0).standard_normal((grid.n_voxels, 3)))[0].T.astype("f4")
    trained.group_pca = GroupPCA(maps, 4.0, n_volumes=40)
    part = Grid(grid.affine, grid.volumes(np.arange(grid.n_voxels) > 50))
    inside = grid.vectors(part.mask)
    found = group_pca_function(trained, part)(vectors[:, inside])
    np.testing.assert_array_equal(found, trained.group_pca.project(vectors[:, inside], part, inside))
    assert found.shape == (len(vectors), part.n_voxels)


@pytest.fixture
def files(grid, tmp_path):
    """A run with one volume left out, a region without its first voxels, and templates."""
    inside = np.arange(grid.n_voxels) >= 50
    region = Grid(grid.affine, grid.volumes(inside))
    kept = np.ones(12, dtype=int)
    kept[3] = 0
    noise = np.random.default_rng(0).standard_normal((12, grid.n_voxels)).astype("f4") * kept[:, None] * inside
    nib.save(grid.image(noise, 2.0), tmp_path / "run.nii.gz")
    write_table(pd.DataFrame({"kept": kept}), tmp_path / "samples.tsv")
    labels = np.broadcast_to(np.arange(grid.shape[1])[:, None] // 6 + 1, grid.shape).astype("i2")
    nib.save(nib.Nifti1Image(labels, grid.affine), tmp_path / "templates.nii.gz")
    return {
        "in_file": str(tmp_path / "run.nii.gz"),
        "in_mask": str(region.save(tmp_path / "region.nii.gz")),
        "in_samples": str(tmp_path / "samples.tsv"),
        "templates": str(tmp_path / "templates.nii.gz"),
        "grid_mask": str(grid.save(tmp_path / "mask.nii.gz")),
    }


def scored(files, folder, model=None, *, baselines):
    """Run the node; give its table."""
    given = {} if model is None else {"model_dir": str(save_model(model, folder / "model"))}
    node = ScoreBaselines(**files, **given, baselines=baselines, device="cpu", num_threads=1)
    return read_table(node.run(cwd=str(folder)).outputs.baselines)


def test_it_is_scored_beside_the_other_baselines(trained, files, tmp_path):
    table = scored(files, tmp_path, trained, baselines=["untrained"])
    assert table["method"].unique().tolist() == ["untrained_fbn1", "untrained_fbn2"]
    assert (table["n_volumes"] == 11).all()
    assert table["best_volume_iou"].notna().all() and not (table["best_volume_iou"] == 3).any()


def test_the_context_is_scored_in_both_signs(contextual, files, tmp_path):
    table = scored(files, tmp_path, contextual, baselines=["context", "pca"])
    assert table["method"].unique().tolist() == ["context", "context_negated", "pca_projection"]


def test_components_of_the_training_runs_are_scored_in_both_signs(trained, files, grid, tmp_path):
    trained.group_pca = GroupPCA(np.eye(3, grid.n_voxels, k=60, dtype="f4"), 4.0, n_volumes=40)
    table = scored(files, tmp_path, trained, baselines=["group_pca", "pca"])
    assert table["method"].unique().tolist() == ["group_pca", "group_pca_negated", "pca_projection"]


def test_a_model_without_a_context_is_compared_with_the_rest(trained, files, tmp_path):
    table = scored(files, tmp_path, trained, baselines=["context", "group_pca", "pca"])
    assert table["method"].unique().tolist() == ["pca_projection"]
    assert scored(files, tmp_path, trained, baselines=["context"]).empty


def test_what_is_of_a_model_needs_one(files, tmp_path):
    with pytest.raises(UsageError, match="untrained needs `model_dir`"):
        scored(files, tmp_path, baselines=["untrained"])
    with pytest.raises(UsageError, match="context needs `model_dir`"):
        scored(files, tmp_path, baselines=["context"])

"""Neighbours in time: what is averaged, that everything of a model looks at the same, and who may look at all."""

from copy import deepcopy

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from nipype.interfaces.base import TraitError
from scipy.ndimage import gaussian_filter1d

from scaae_nipype.errors import InputError, UsageError
from scaae_nipype.files import read_json, read_table, write_table
from scaae_nipype.interfaces.evaluation import CheckDynamics, ScoreBaselines
from scaae_nipype.interfaces.model import ExtractNetworks, TrainModel
from scaae_nipype.model import Training, extract_networks, load_model, save_model
from scaae_nipype.model.extraction.functions import context_function, group_pca_function, network_function
from scaae_nipype.model.extraction.neighbours import Neighbours, neighbours_of, seconds_of
from scaae_nipype.model.runs import Volumes
from scaae_nipype.model.training.train import train_on_caches
from scaae_nipype.model.training.volumes import write_cache


@pytest.fixture(scope="module")
def fitted(vectors, grid, tmp_path_factory):
    folder = tmp_path_factory.mktemp("neighbours")
    caches = [write_cache(vectors[:9], folder / "a.npy"), write_cache(vectors[9:], folder / "b.npy")]
    wanted = Training(preset="pointwise", time_width=3.0)
    return train_on_caches(caches, grid, training=wanted, work_dir=folder / "work")[0]


@pytest.fixture
def in_time(fitted):
    return deepcopy(fitted)


def volumes_of(vectors, repetition_time, kept=None):
    kept = np.ones(len(vectors), dtype=bool) if kept is None else kept
    return Volumes(vectors, kept, np.ones(vectors.shape[1], dtype=bool), repetition_time)


def test_away_from_the_ends_it_is_a_gaussian_filter():
    rows = np.random.default_rng(0).standard_normal((60, 4))
    found = Neighbours(np.arange(60) * 0.8, width=2.4).rested(rows)
    expected = gaussian_filter1d(rows, 3.0, axis=0, truncate=5.0)
    np.testing.assert_allclose(found[15:-15], expected[15:-15], atol=1e-5)


@given(
    times=st.lists(st.floats(0.3, 9), min_size=1, max_size=30),
    width=st.sampled_from([0.0, 1.0, 2.5, 5.0]),
    level=st.floats(-5, 5),
)
def test_what_does_not_change_stays_and_nothing_leaves_the_range(times, width, level):
    around = Neighbours(np.cumsum(times), width)
    rows = np.random.default_rng(len(times)).standard_normal((len(times), 3)).astype(np.float32)
    np.testing.assert_allclose(around.rested(np.full_like(rows, level)), level, atol=1e-5)
    found = around.rested(rows)
    assert (found.min(axis=0) >= rows.min(axis=0) - 1e-5).all() and (found.max(axis=0) <= rows.max(axis=0) + 1e-5).all()
    assert 1 - 1e-9 <= around.averaged <= len(times) + 1e-9
    if not width:
        np.testing.assert_array_equal(found, rows)


def test_a_gap_of_volumes_that_were_left_out_counts_as_time():
    kept = np.ones(40, dtype=bool)
    kept[10:30] = False
    rows = np.repeat([[1.0], [-1.0]], 10, axis=0)
    found = Neighbours(seconds_of(kept, 2.0), width=3.0).rested(rows)
    np.testing.assert_allclose(found, rows, atol=1e-6)  # neither side knows of the other
    closed = Neighbours(np.arange(20) * 2.0, width=3.0).rested(rows)
    assert abs(closed[9, 0]) < 0.5


def test_a_volume_is_seen_with_neighbours_and_not_with_what_is_far(in_time, vectors):
    """And the longer the repetition time is, the more it is alone."""
    long = np.concatenate([vectors] * 4)
    first = extract_networks(in_time, volumes_of(long, 2.0), device="cpu").signed
    changed = long.copy()
    changed[40:] = np.random.default_rng(1).permuted(long[40:], axis=0)
    second = extract_networks(in_time, volumes_of(changed, 2.0), device="cpu").signed
    np.testing.assert_allclose(second[:, :32], first[:, :32], atol=1e-4)  # 8 volumes are 16 s, over 5 widths
    assert np.abs(second[:, 36:40] - first[:, 36:40]).max() > 0.05
    alone = extract_networks(in_time, volumes_of(long, 19.0), device="cpu").signed
    in_time.network.time_width.zero_()
    every = extract_networks(in_time, volumes_of(long, 2.0), device="cpu")
    np.testing.assert_allclose(alone, every.signed, atol=1e-3)
    assert every.time_width == 0
    assert np.abs(first - every.signed).max() > 0.05


def test_the_function_gives_what_extraction_gives_over_its_parts_too(in_time, grid, vectors):
    long = np.concatenate([vectors] * 5)  # more than are put on the grid together
    seconds = np.arange(len(long)) * 2.0
    expected = extract_networks(in_time, volumes_of(long, 2.0), device="cpu").signed
    found = network_function(in_time, grid, seconds=seconds)
    np.testing.assert_allclose(found(long), expected, atol=1e-4)
    assert found(long[:3]).shape == (2, 3, grid.n_voxels)  # the first ones of a run, to see what they take


def test_parts_of_the_model_look_at_the_same(in_time, grid, vectors):
    seconds = np.arange(len(vectors)) * 2.0
    rested = Neighbours(seconds, 3.0).rested(vectors)
    for make in (context_function, group_pca_function):
        found = make(in_time, grid, seconds=seconds)(vectors)
        in_time.network.time_width.zero_()
        np.testing.assert_allclose(found, make(in_time, grid)(rested), atol=1e-5)
        in_time.network.time_width.fill_(3.0)


def test_it_goes_with_the_weights_and_weights_of_before_it_see_volumes_alone(in_time, tmp_path, vectors):
    again = load_model(save_model(in_time, tmp_path / "model"))
    assert neighbours_of(again, np.arange(4)).width == 3.0
    assert read_json(tmp_path / "model" / "card.json")["TimeWidth"] == 3.0
    kept = {name: value for name, value in in_time.network.state_dict().items() if not name.startswith("time_")}
    in_time.network.time_width.zero_()
    expected = extract_networks(in_time, vectors, device="cpu").signed
    again.network.load_state_dict(kept | {"time_width": torch.zeros(())})
    np.testing.assert_array_equal(extract_networks(again, vectors, device="cpu").signed, expected)
    fresh = type(again.network)(again.network.preset, mask=again.grid.mask[again.box], voxel_sizes=(12, 12, 12))
    fresh.load_state_dict(kept)
    assert float(fresh.time_width) == 0


def test_a_run_whose_repetition_time_is_not_known_is_refused(in_time, vectors, grid):
    with pytest.raises(InputError, match=r"looks at neighbours in time \(σ 3 s\), but .*repetition time is not known"):
        extract_networks(in_time, vectors, device="cpu")
    with pytest.raises(InputError, match="repetition time is not known"):
        network_function(in_time, grid)
    with pytest.raises(InputError, match="16 volumes are given, but only 3 times"):
        network_function(in_time, grid, seconds=np.arange(3.0))(vectors)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"preset": "contextual", "time_width": 3.0}, "`time_width` is not for `preset` contextual"),
        ({"preset": "tiny", "time_width": 3.0}, "`time_width` is not for `preset` tiny"),
        ({"time_width": 0.5}, r"must be 0 \(every volume alone\), or 1 or larger"),
        ({"time_width": 8.0}, "must be at most 5 s"),
    ],
)
def test_a_width_that_nothing_was_trained_for_is_refused(cache_files, grid, tmp_path, more, message):
    with pytest.raises(UsageError, match=message):
        train_on_caches(cache_files, grid, training=Training(**more), work_dir=tmp_path)


def test_nodes_hand_the_times_of_the_run_to_everything(in_time, grid, tmp_path):
    """Maps, baselines and surrogates of a run with a gap: each as the library gives it with that gap."""
    kept = np.ones(32, dtype=int)
    kept[[0, 17, 18, 19]] = 0
    noise = np.random.default_rng(0).standard_normal((32, grid.n_voxels)).astype("f4") * kept[:, None]
    nib.save(grid.image(noise, 2.5), tmp_path / "run.nii.gz")
    write_table(pd.DataFrame({"kept": kept}), tmp_path / "samples.tsv")
    labels = np.broadcast_to(np.arange(grid.shape[1])[:, None] // 6 + 1, grid.shape).astype("i2")
    nib.save(nib.Nifti1Image(labels, grid.affine), tmp_path / "templates.nii.gz")
    model_dir = save_model(in_time, tmp_path / "model")
    run = {
        "in_file": str(tmp_path / "run.nii.gz"),
        "in_mask": str(grid.save(tmp_path / "region.nii.gz")),
        "in_samples": str(tmp_path / "samples.tsv"),
        "model_dir": str(model_dir),
    }
    found = ExtractNetworks(**run, save_signed=True).run(cwd=str(tmp_path)).outputs
    assert read_json(found.out_metadata)["TimeWidth"] == 3.0
    signed = grid.read_vectors(found.signed_maps[0])[kept > 0]
    data = grid.read_vectors(run["in_file"])[kept > 0]
    expected = network_function(in_time, grid, seconds=seconds_of(kept, 2.5))(data)[0]
    assert np.corrcoef(signed.ravel(), expected.ravel())[0, 1] > 0.9999
    scored = {"templates": str(tmp_path / "templates.nii.gz"), "grid_mask": str(model_dir / "mask.nii.gz")}
    baselines = ["group_pca", "untrained"]
    scores = ScoreBaselines(**run, **scored, baselines=baselines, n_chance_templates=0).run(cwd=str(tmp_path))
    assert set(read_table(scores.outputs.baselines)["method"]) >= {"group_pca", "untrained_fbn1"}
    null = CheckDynamics(**run, **scored, n_surrogates=19).run(cwd=str(tmp_path)).outputs
    assert len(read_table(null.dynamics_null))


def test_a_training_node_takes_0_and_what_was_trained_and_nothing_between():
    node = TrainModel()
    for width in (0, 0.0, 1, 2.5, 5):
        node.inputs.time_width = width
        assert node.inputs.time_width == width
    for width in (0.5, -1, 9, float("nan"), "3", True):
        with pytest.raises(TraitError, match="TrainModel: `time_width` must be a number 0 or from 1 to 5 s"):
            node.inputs.time_width = width

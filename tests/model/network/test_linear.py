"""The linear network: what it gives, from which fit, and that nothing else is in it."""

import numpy as np
import pytest

from scaae_nipype.errors import ModelError, UsageError
from scaae_nipype.model import Training, extract_networks, load_model, save_model
from scaae_nipype.model.extraction.functions import context_function, group_pca_function, untrained_function
from scaae_nipype.model.extraction.selftest import compare_paths
from scaae_nipype.model.training.train import train_on_caches
from scaae_nipype.model.training.volumes import write_cache

WANTED = Training(preset="linear")


@pytest.fixture
def trained(cache_files, grid, tmp_path):
    return train_on_caches(cache_files, grid, training=WANTED, work_dir=tmp_path / "work")[0]


def test_its_maps_are_the_group_pca_that_the_model_keeps_and_its_negative(trained, vectors, grid):
    found = extract_networks(trained, vectors)
    projected = group_pca_function(trained, grid)(vectors)
    scale = np.abs(projected).max()
    np.testing.assert_allclose(found.signed[0], projected, atol=0.02 * scale)
    np.testing.assert_array_equal(found.signed[1], -found.signed[0])


def test_it_is_linear_and_blind_to_what_lies_beside_the_components(trained, grid, vectors):
    def maps(volumes):
        return extract_networks(trained, volumes.astype(np.float32)).signed[0]

    one, other = vectors[:2], vectors[2:4]
    np.testing.assert_allclose(maps(2 * one - other), 2 * maps(one) - maps(other), atol=1e-4)
    components = trained.network.components.numpy()
    code = extract_networks(trained, vectors).codes
    np.testing.assert_allclose(code @ components, maps(vectors), atol=1e-5)
    assert np.linalg.matrix_rank(maps(vectors), tol=1e-3) <= len(components) == 12


def test_channel_weights_are_one_since_there_is_no_attention(trained, vectors):
    assert (extract_networks(trained, vectors).channel_weights == 1).all()


def test_the_same_volumes_give_the_same_model_whatever_the_seed_and_it_is_kept(trained, cache_files, grid, tmp_path):
    again, first = train_on_caches(
        cache_files, grid, training=Training(preset="linear", seed=5), work_dir=tmp_path / "again"
    )
    assert first and again.card["Seed"] == 5
    np.testing.assert_array_equal(again.network.components, trained.network.components)
    loaded = load_model(save_model(trained, tmp_path / "model"))
    np.testing.assert_array_equal(loaded.network.components, trained.network.components)
    assert bool(loaded.network.few_volumes) == bool(trained.network.few_volumes)
    assert loaded.card["Precision"] == "fp32" and loaded.card["Context"]["Rank"] == len(trained.group_pca.maps)
    assert [branch["Marks"] for branch in loaded.card["Branches"]] == ["above the mean", "below the mean"]
    assert len(compare_paths(loaded)) == 1  # it raises if the paths disagree


def test_before_the_fit_it_projects_on_maps_of_chance(trained, grid, vectors):
    drawn = untrained_function(trained, grid)(vectors)
    assert np.isfinite(drawn).all() and drawn[0].std() > 0
    assert not np.allclose(drawn[0], extract_networks(trained, vectors).signed[0], atol=1e-2)
    assert context_function(trained, grid) is None


def test_what_it_cannot_do_is_refused(cache_files, grid, tmp_path):
    for more, message in (
        ({"precision": "bf16"}, "`precision` bf16 is not for `preset` linear"),
        ({"time_width": 3.0}, "`time_width` is not for `preset` linear"),
        ({"processes": 2}, "`processes` has no effect with `preset` linear"),
    ):
        with pytest.raises(UsageError, match=message):
            train_on_caches(cache_files, grid, training=Training(preset="linear", **more), work_dir=tmp_path)
    few = write_cache(np.ones((5, grid.n_voxels)), tmp_path / "few.npy")
    with pytest.raises(ModelError, match="Only 5 volumes are kept; components need 8"):
        train_on_caches([few], grid, training=WANTED, work_dir=tmp_path)

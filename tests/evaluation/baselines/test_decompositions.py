import numpy as np
import pytest
from sklearn.linear_model import Lasso

from scaae_nipype.errors import InputError
from scaae_nipype.evaluation import average_precision
from scaae_nipype.evaluation.baselines import decompositions
from scaae_nipype.grid import Grid

N_NETWORKS = 3


@pytest.fixture(scope="module")
def planted():
    """Three blocks of voxels with their own time courses, in noise."""
    rng = np.random.default_rng(0)
    mask = np.zeros((12, 12, 12), bool)
    mask[1:11, 1:11, 1:11] = True
    region = Grid(np.diag([4.0, 4, 4, 1]), mask)
    networks = np.zeros((N_NETWORKS, 12, 12, 12), bool)
    networks[0, 1:4, 1:6], networks[1, 5:7, 2:8], networks[2, 8:11, 6:11] = True, True, True
    networks = region.vectors(networks)
    courses = rng.standard_normal((60, N_NETWORKS))
    volumes = 3 * courses @ networks + rng.standard_normal((60, region.n_voxels))
    volumes = (volumes - volumes.mean(axis=0)) / volumes.std(axis=0)
    return volumes.astype("f4"), region, networks, courses


def found_in(maps, networks):
    both_signs = np.concatenate([maps, -maps])
    return average_precision(both_signs, networks).max(axis=0)


@pytest.mark.parametrize("method", [decompositions.canica, decompositions.dictionary_learning])
def test_nilearns_decompositions_find_planted_networks(planted, method):
    volumes, region, networks, _ = planted
    maps = method(volumes, region, n_components=N_NETWORKS)
    assert maps.shape == (N_NETWORKS, region.n_voxels)
    assert (found_in(maps, networks) > 0.95).all()
    np.testing.assert_array_equal(method(volumes, region, n_components=N_NETWORKS), maps)


@pytest.mark.parametrize("method", [decompositions.canica, decompositions.dictionary_learning])
def test_a_run_shorter_than_its_components_is_refused(planted, method):
    with pytest.raises(InputError, match="20 components need more than 20 volumes; leave it out"):
        method(planted[0][:20], planted[1])


def test_sliding_windows_find_networks_that_come_and_go(planted):
    volumes, _, networks, courses = planted
    rng = np.random.default_rng(1)
    gated = np.where(np.arange(60)[:, None] < 30, courses * [1, 1, 0], courses * [0, 0, 1])
    volumes = 3 * gated @ networks + rng.standard_normal(volumes.shape)
    options = {"repetition_time": 2.0, "window": 60.0, "n_components": 4}
    maps = decompositions.sliding_window_ica(volumes, np.arange(60), **options)
    assert len(maps) == 3 * 4  # windows start at volumes 0, 15 and 30
    assert (found_in(maps[:4], networks)[:2] > 0.95).all()
    assert found_in(maps[:4], networks)[2] < 0.6
    assert found_in(maps[8:], networks)[2] > 0.95


def test_a_window_is_a_span_of_time_whatever_was_dropped(planted):
    volumes, *_ = planted
    numbers = np.delete(np.arange(60), slice(5, 25))
    options = {"repetition_time": 2.0, "window": 60.0, "n_components": 5}
    maps = decompositions.sliding_window_ica(volumes[numbers], numbers, **options)
    assert len(maps) == 3 * 5  # volumes 0-29 keep ten, enough for five components
    fewer = decompositions.sliding_window_ica(volumes[numbers], numbers, **options | {"n_components": 6})
    assert len(fewer) == 2 * 6  # but not for six


def test_windows_without_enough_volumes_are_refused(planted):
    with pytest.raises(InputError, match="no window of 20 s keeps 20 volumes"):
        decompositions.sliding_window_ica(planted[0], np.arange(60), repetition_time=2.0, window=20.0)


def test_lasso_of_orthogonal_features_is_soft_thresholding():
    rng = np.random.default_rng(0)
    features = rng.standard_normal((50, 5))
    features -= features.mean(axis=0)
    features = np.linalg.qr(features)[0]
    volumes = rng.standard_normal((50, 30))
    volumes -= volumes.mean(axis=0)
    correlation = features.T @ volumes / np.sqrt(50)  # of features with mean 0 and variance 1
    cut = 0.1 * np.abs(correlation).max()
    expected = np.sign(correlation) * np.maximum(np.abs(correlation) - cut, 0)
    np.testing.assert_allclose(decompositions.encoder_lasso(volumes, features), expected, atol=1e-4)


def test_lasso_maps_are_scikit_learns_and_find_the_network_of_each_feature(planted):
    volumes, _, networks, courses = planted
    features = courses + 0.1 * np.random.default_rng(1).standard_normal(courses.shape)
    maps = decompositions.encoder_lasso(volumes, features)
    assert (np.diag(average_precision(maps, networks)) > 0.95).all()
    z = (features - features.mean(axis=0)) / features.std(axis=0)
    penalty = 0.1 * np.abs(z.T @ volumes).max() / 60
    voxel = int(np.flatnonzero(networks[1])[0])
    expected = Lasso(alpha=penalty, fit_intercept=False).fit(z, volumes[:, voxel]).coef_
    np.testing.assert_allclose(maps[:, voxel], expected, atol=1e-3)


def test_features_that_say_nothing_give_no_map(planted):
    volumes, _, _, courses = planted
    features = np.column_stack([courses, np.full(60, 7.0)])
    assert len(decompositions.encoder_lasso(volumes, features)) == N_NETWORKS
    with pytest.raises(InputError, match="the features explain no voxel"):
        decompositions.encoder_lasso(volumes, np.ones((60, 2)))
    with pytest.raises(InputError, match="59 rows of features for 60 volumes"):
        decompositions.encoder_lasso(volumes, courses[1:])

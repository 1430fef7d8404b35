import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

from scaae_nipype.evaluation.baselines import filters
from scaae_nipype.grid import Grid, smooth


@pytest.fixture
def cube():
    mask = np.zeros((17, 17, 17), bool)
    mask[1:16, 1:16, 1:16] = True
    return Grid(np.diag([-4.0, 4, 4, 1]), mask)


@pytest.fixture
def run():
    rng = np.random.default_rng(0)
    volumes = rng.standard_normal((40, 3)) @ rng.standard_normal((3, 300)) + 0.3 * rng.standard_normal((40, 300))
    return (volumes - volumes.mean(axis=0)).astype("f4")


def test_smoothing_spreads_a_point_as_a_gaussian_of_that_width_in_mm(cube):
    volume = np.zeros(cube.shape)
    volume[8, 8, 8] = 1
    smoothed = cube.volumes(smooth(cube.vectors(volume)[None], cube, 6.0))[0]
    # the mask is far away: falling off by exp(-d²/2σ²) from the centre
    for steps in (1, 2):
        assert smoothed[8 + steps, 8, 8] / smoothed[8, 8, 8] == pytest.approx(
            np.exp(-((4 * steps) ** 2) / 72), rel=0.01
        )


def test_smoothing_keeps_a_constant_up_to_the_border(cube):
    np.testing.assert_allclose(smooth(np.full((2, cube.n_voxels), 3.0), cube, 12.0), 3.0, rtol=1e-5)


def test_smoothing_sees_only_the_region(cube):
    values = np.random.default_rng(0).standard_normal((1, cube.n_voxels))
    wider = Grid(cube.affine, np.ones(cube.shape, bool))
    padded = smooth(wider.vectors(cube.volumes(values)), wider, 8.0)
    assert not np.allclose(wider.volumes(padded)[:, cube.mask], smooth(values, cube, 8.0), atol=1e-3)


def test_rectifying_drops_negative_values_before_squaring():
    assert filters.rectified_squared(np.array([-3.0, 2.0])).tolist() == [0.0, 4.0]


def test_pca_projection_is_scikit_learns(run):
    pca = PCA(3).fit(run)
    expected = pca.inverse_transform(pca.transform(run))
    np.testing.assert_allclose(filters.pca_projection(run, 3), expected, atol=1e-4)


def test_projections_are_idempotent_and_complete(run):
    once = filters.pca_projection(run, 5)
    np.testing.assert_allclose(filters.pca_projection(once, 5), once, atol=1e-4)
    np.testing.assert_allclose(filters.pca_projection(run, 40), run, atol=1e-4)
    maps = np.random.default_rng(1).standard_normal((4, 300))
    projected = filters.project(run, maps)
    np.testing.assert_allclose(filters.project(projected, maps), projected, atol=1e-4)
    np.testing.assert_allclose((run - projected) @ maps.T, 0, atol=1e-3)  # the rest is orthogonal


def test_projection_on_the_principal_components_is_pca(run):
    maps = PCA(3).fit(run).components_
    np.testing.assert_allclose(filters.project(run, maps), filters.pca_projection(run, 3), atol=1e-4)


def test_cap_centroids_are_those_of_k_means_on_all_voxels():
    rng = np.random.default_rng(0)
    patterns = 3 * rng.standard_normal((4, 300))
    truth = rng.integers(0, 4, 60)
    volumes = (patterns[truth] + rng.standard_normal((60, 300))).astype("f4")
    found = filters.cap_centroids(volumes, n_patterns=4)
    model = KMeans(4, n_init=10, random_state=0).fit(volumes)
    np.testing.assert_allclose(found, model.cluster_centers_[model.labels_], atol=1e-3)
    for state in range(4):
        assert np.abs(found[truth == state] - volumes[truth == state].mean(axis=0)).max() < 1e-3


def test_fewer_volumes_than_patterns_are_their_own_centroids(run):
    np.testing.assert_allclose(filters.cap_centroids(run[:3]), run[:3], atol=1e-5)

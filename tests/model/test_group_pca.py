"""Principal components of the training runs: the space of what they share, and projections on it in any region."""

import numpy as np
import pytest

from scaae_nipype.grid import Grid, smooth
from scaae_nipype.model.group_pca import RANK, GroupPCA, fit_group_pca


@pytest.fixture(scope="module")
def grid():
    mask = np.zeros((14, 16, 12), dtype=bool)
    mask[2:12, 2:14, 2:10] = True
    return Grid(np.diag([4.0, 4.0, 4.0, 1.0]), mask)


def planted(grid, n_maps, *, noise, n_runs=4, n_volumes=60):
    """Smooth maps, each with a slow time course of its own in every run, and white noise."""
    random = np.random.default_rng(0)
    maps = smooth(random.standard_normal((n_maps, grid.n_voxels)).astype("f4"), grid, 10.0)
    maps /= np.linalg.norm(maps, axis=1, keepdims=True) / np.sqrt(grid.n_voxels)
    runs = []
    for _ in range(n_runs):
        phases, periods = random.uniform(0, 2 * np.pi, n_maps), random.uniform(15, 40, n_maps)
        courses = np.cos(2 * np.pi * np.arange(n_volumes)[:, None] / periods + phases)
        data = courses @ maps + noise * random.standard_normal((n_volumes, grid.n_voxels))
        runs.append(data.astype("f4"))
    return maps, runs


def test_the_planted_space_is_found(grid):
    maps, runs = planted(grid, 5, noise=1.0)
    found = fit_group_pca(runs, grid)
    assert len(found.maps) == RANK
    np.testing.assert_allclose(found.maps @ found.maps.T, np.eye(RANK), atol=1e-4)
    inside = maps @ found.maps.T @ found.maps
    assert (np.linalg.norm(inside, axis=1) / np.linalg.norm(maps, axis=1)).min() > 0.95
    strength = [((run @ found.maps.T) ** 2).sum(axis=0) for run in runs]
    assert (np.diff(np.sum(strength, axis=0)[:5]) < 0).all()


def test_there_are_no_more_components_than_the_volumes_have(grid):
    _, runs = planted(grid, 3, noise=0.0)
    assert len(fit_group_pca(runs, grid).maps) == 3
    assert len(fit_group_pca([runs[0][:2], np.empty((0, grid.n_voxels))], grid).maps) == 2


def test_the_smoothing_is_narrower_where_there_are_many_volumes(grid):
    few, many = (planted(grid, 2, noise=1.0, n_runs=2, n_volumes=n)[1] for n in (60, 510))
    assert (fit_group_pca(few, grid).sigma, fit_group_pca(many, grid).sigma) == (8.0, 4.0)


def test_a_projection_is_the_least_squares_fit_in_the_region_alone(grid):
    maps, runs = planted(grid, 3, noise=0.5)
    found = fit_group_pca(runs, grid)
    inside = np.zeros(grid.n_voxels, dtype=bool)
    inside[: grid.n_voxels // 2] = True
    mask = np.zeros_like(grid.mask)
    mask[grid.mask] = inside
    region = Grid(grid.affine, mask)
    volumes = runs[0][:5, inside]
    projected, smoothed = found.project(volumes, region, inside), smooth(volumes, region, found.sigma)
    own = found.maps[:, inside]
    np.testing.assert_allclose((smoothed - projected) @ own.T, 0, atol=2e-2)  # what is left is orthogonal to the maps
    assert np.linalg.matrix_rank(projected, tol=1e-3) == 5
    whole = found.project(maps, grid, np.ones(grid.n_voxels, dtype=bool))
    assert min(np.corrcoef(a, b)[0, 1] for a, b in zip(whole, maps, strict=True)) > 0.9


def test_it_is_written_and_read_again(grid, tmp_path):
    found = fit_group_pca(planted(grid, 2, noise=1.0)[1], grid)
    found.save(tmp_path / "pca.safetensors")
    path = tmp_path / "pca.safetensors"
    again = GroupPCA.load(path.read_bytes(), found.about, path=path, n_voxels=found.maps.shape[1])
    np.testing.assert_array_equal(again.maps, found.maps)
    assert (again.sigma, again.n_volumes) == (found.sigma, found.n_volumes)
    assert found.about["Rank"] == RANK

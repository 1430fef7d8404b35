from itertools import pairwise

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from scaae_nipype.errors import InputError, UsageError
from scaae_nipype.evaluation import load_templates, size_matched_iou
from scaae_nipype.evaluation.nulls.spatial import check_matches, match_null
from scaae_nipype.evaluation.nulls.surrogate_templates import (
    give_values,
    make_surrogate_templates,
    read_surrogate_ranks,
    surrogate_ranks,
    write_surrogate_ranks,
)
from scaae_nipype.files import read_json, read_table
from scaae_nipype.grid import Grid, load_grid


@pytest.fixture(scope="module")
def ball():
    """An irregular mask: a ball with a hole and a bump."""
    x, y, z = np.meshgrid(*(np.arange(24) - 11.5,) * 3, indexing="ij")
    mask = (x**2 + y**2 + z**2 < 110) & ~((x - 4) ** 2 + y**2 + z**2 < 9) | ((abs(x) < 3) & (abs(y) < 3) & (z > 0))
    return Grid(np.diag([6.0, 6, 6, 1]), mask)


def field(grid, sigma, seed):
    """Smooth noise with a margin, so that it is the same everywhere; sigma in voxels."""
    noise = np.random.default_rng(seed).standard_normal([size + 20 for size in grid.shape])
    return grid.vectors(gaussian_filter(noise, sigma)[10:-10, 10:-10, 10:-10]).astype("f4")


def binary_maps(grid, density, sigma, n, seed):
    maps = np.stack([field(grid, sigma, (seed, number)) for number in range(n)])
    return maps > np.quantile(maps, 1 - density, axis=1, keepdims=True)


def template_set(grid, binary):
    from scaae_nipype.evaluation.templates.template_set import TemplateSet

    names = tuple(f"t{number}" for number in range(len(binary)))
    return TemplateSet(names, None, binary, "made", "labels", grid)


def variogram(values, grid, distances, *, n_pairs=20_000, seed=0):
    """Half of the mean squared difference of two voxels a distance apart, estimated on random pairs: one per class.

    Distances are edges of the classes, in mm. Two maps are compared on the same pairs.
    """
    rng = np.random.default_rng(seed)
    voxels = np.argwhere(grid.mask)
    index = np.full(grid.shape, -1)
    index[grid.mask] = np.arange(grid.n_voxels)
    found = []
    for low, high in pairwise(distances):
        start = rng.integers(grid.n_voxels, size=4 * n_pairs)
        direction = rng.standard_normal((len(start), 3))
        direction *= rng.uniform(low, high, len(start))[:, None] / np.linalg.norm(direction, axis=1, keepdims=True)
        step = np.rint(direction / grid.voxel_sizes).astype(int)
        end = voxels[start] + step
        length = np.linalg.norm(step * grid.voxel_sizes, axis=1)
        usable = ((end >= 0) & (end < grid.shape)).all(axis=1) & (length >= low) & (length < high)
        ends = index[tuple(end[usable].T)]
        pairs = np.column_stack([start[usable], ends])[ends >= 0][:n_pairs]
        assert len(pairs)
        found.append(0.5 * np.mean((values[pairs[:, 0]].astype(float) - values[pairs[:, 1]]) ** 2))
    return np.array(found)


@pytest.mark.parametrize("sigma", [1.0, 1.5])
def test_surrogates_have_the_variogram_and_the_values_of_the_map(ball, sigma):
    grid = ball
    maps = np.stack([field(grid, sigma, seed) for seed in range(4)])
    edges = np.array([3.0, 9, 15, 21, 27, 33])
    wanted = np.mean([variogram(one, grid, edges, n_pairs=4000) for one in maps], axis=0)
    found = []
    for ranks in surrogate_ranks(maps, grid, n_surrogates=6):
        for one, values in zip(ranks, maps, strict=True):
            made = give_values(one, values)
            np.testing.assert_array_equal(np.sort(made), np.sort(values))
            found.append(variogram(made, grid, edges, n_pairs=4000))
    np.testing.assert_allclose(np.mean(found, axis=0) / wanted, 1, atol=0.15)
    shuffled = variogram(np.random.default_rng(0).permutation(maps[0]), grid, edges, n_pairs=4000)
    assert shuffled[0] / wanted[0] > 3  # what a permutation of voxels would give


def test_surrogates_of_the_shipped_templates_have_their_variogram():
    grid = load_grid()
    templates = load_templates("default", grid=grid)
    binary = templates.binary[[2, 11]]  # of small ones a few surrogates say too little
    edges = np.array([3.0, 11, 19, 27])
    found = np.zeros((2, 3))
    for ranks in surrogate_ranks(binary, grid, n_surrogates=3):
        for k in range(2):
            made = give_values(ranks[k], binary[k]).astype("f4")
            found[k] += variogram(made, grid, edges) / variogram(binary[k].astype("f4"), grid, edges) / 3
    np.testing.assert_allclose(found, 1, atol=0.15)


def test_surrogates_lie_anywhere(ball):
    grid = ball
    binary = binary_maps(grid, 0.1, 2.0, 1, seed=3)
    r = [
        np.corrcoef(give_values(ranks[0], binary[0]), binary[0])[0, 1]
        for ranks in surrogate_ranks(binary, grid, n_surrogates=40)
    ]
    assert abs(np.mean(r)) < 0.06
    assert max(r) < 0.8


def test_the_seed_decides_and_more_surrogates_leave_the_first_ones(ball, tmp_path):
    grid = ball
    binary = binary_maps(grid, 0.1, 2.0, 2, seed=0)
    two = list(surrogate_ranks(binary, grid, n_surrogates=2, seed=7))
    path = write_surrogate_ranks(binary, grid, tmp_path / "s.npy", n_surrogates=3, seed=7)
    three = read_surrogate_ranks(path, n_maps=2, grid=grid)
    np.testing.assert_array_equal(three[:2], two)
    assert (next(surrogate_ranks(binary, grid, n_surrogates=1, seed=8)) != two[0]).any()
    with pytest.raises(InputError, match="make them again from these templates"):
        read_surrogate_ranks(path, n_maps=3, grid=grid)


def test_a_constant_map_has_no_surrogate(ball):
    grid = ball
    with pytest.raises(InputError, match="Template number 2 is the same everywhere"):
        next(surrogate_ranks(np.stack([field(grid, 2, 0), np.ones(grid.n_voxels)]), grid, n_surrogates=1))


@pytest.fixture(scope="module")
def surrogates(ball):
    grid = ball
    binary = binary_maps(grid, 0.08, 2.0, 3, seed=1)
    return template_set(grid, binary), np.stack(list(surrogate_ranks(binary, grid, n_surrogates=99)))


def test_scores_are_those_of_the_tables_also_with_ties(ball, surrogates):
    grid = ball
    templates, ranks = surrogates
    maps = np.stack([field(grid, 2, 5), np.round(field(grid, 2, 6) * 10)])
    null = match_null(maps, templates, ranks, grid)
    np.testing.assert_allclose(null.score, size_matched_iou(maps, templates.binary), atol=1e-6)


def test_noise_of_any_smoothness_is_rarely_matched(ball, surrogates):
    grid = ball
    templates, ranks = surrogates
    for sigma in (1.0, 2.0, 3.0):
        maps = np.stack([field(grid, sigma, (9, seed)) for seed in range(150)])
        null = match_null(maps, templates, ranks, grid)
        rejected = (null.p.min(axis=1) <= 0.05).mean()
        assert rejected <= 0.1  # 5 % plus three standard errors
        assert (null.score.max(axis=1) > null.cutoff).mean() == pytest.approx(0.05, abs=0.05)


def test_a_map_that_shows_a_template_is_matched_and_the_best_of_noise_is_not(ball, surrogates):
    grid = ball
    templates, ranks = surrogates
    noise = np.stack([field(grid, 2, (11, seed)) for seed in range(80)])
    noise /= noise.std(axis=1, keepdims=True)
    null = match_null(noise, templates, ranks, grid)
    assert null.p_best.min() > 0.05 >= null.p.min()  # some volume of 80 passes alone, but not as the best of them
    shown = noise.copy()
    shown[4] += 3 * templates.binary[1]
    null = match_null(shown, templates, ranks, grid)
    assert null.p[4, 1] == null.p_best[1] == 0.01
    assert null.p_best[[0, 2]].min() > 0.05


def test_templates_outside_the_region_have_no_p(ball, surrogates):
    grid = ball
    templates, ranks = surrogates
    mask = grid.volumes(~templates.binary[0])
    mask[:, :, :4] = False
    region = Grid(grid.affine, mask)
    local = templates.inside(region)
    null = match_null(np.stack([grid.volumes(field(grid, 2, 1))[mask]]), local, ranks, grid)
    assert np.isnan(null.p[0, 0])
    assert np.isnan(null.p_best[0])
    assert np.isfinite(null.p[0, 1:]).all()


def test_what_cannot_be_tested_is_refused(ball, surrogates):
    grid = ball
    templates, ranks = surrogates
    maps = field(grid, 2, 0)[None]
    with pytest.raises(UsageError, match="10 surrogates cannot give"):
        match_null(maps, templates, ranks[:10], grid)
    with pytest.raises(UsageError, match="Score 'r' has no null"):
        match_null(maps, templates, ranks, grid, score="r")
    with pytest.raises(UsageError, match="No template has a voxel"):
        match_null(maps, template_set(grid, np.zeros((3, grid.n_voxels), bool)), ranks, grid)


def test_steps_from_files_to_tables(matching, tmp_path):
    options = {name: matching[name] for name in ("templates", "grid_mask")}
    made = make_surrogate_templates(**options, n_surrogate_templates=39, out_dir=tmp_path)
    volumes, matches, metadata = check_matches(**matching, surrogates=made, out_dir=tmp_path)
    p, best, about = read_table(volumes), read_table(matches), read_json(metadata)
    assert p["fbn1_left"].isna().tolist() == (p["kept"] == 0).tolist()
    assert p["fbn1_outside"].isna().all()  # a template without voxels
    assert p.loc[20, "fbn1_left"] == p["fbn1_left"].min()
    row = best.set_index(["method", "template"]).loc[("fbn1", "left")]
    assert row["best_volume"] == 20
    assert set(best["method"]) == {"fbn1", "fbn2", "volume"}
    assert set(about["CutOff"]) == {"fbn1", "fbn2", "volume"}
    assert row["cutoff"] == pytest.approx(about["CutOff"]["fbn1"], abs=1e-5)
    with pytest.raises(UsageError, match="18 surrogates cannot give"):
        make_surrogate_templates(**options, n_surrogate_templates=18, out_dir=tmp_path)

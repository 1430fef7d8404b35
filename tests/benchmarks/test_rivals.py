"""Every rival against a case whose answer is known."""

from itertools import pairwise

import numpy as np
import pytest

from benchmarks.judge.decompositions import components, states
from benchmarks.judge.rivals import CLASSES, RIVALS, Rival, label_of, marchenko_pastur_rank, rivals_of
from benchmarks.judge.runs import Group, Run, smooth_space, smooth_time
from scaae_nipype.grid import Grid, smooth

ONE_SETTING = {rival.name: rival.settings[0] for rival in RIVALS}


@pytest.fixture(scope="module")
def grid() -> Grid:
    """Make an ellipsoid of some 2,000 voxels of 10 mm."""
    shape = np.array([16, 18, 14])
    away = (np.indices(shape).T - (shape - 1) / 2) / (shape / 2)
    return Grid(np.diag([10.0, 10, 10, 1]), (away**2).sum(axis=-1).T < 1)


def patches(grid: Grid, count: int) -> np.ndarray:
    """Give maps without overlap, slabs from left to right: (count, n_voxels)."""
    position = np.argwhere(grid.mask)[:, 0]
    edges = np.quantile(position, np.linspace(0, 1, count + 1))
    edges[-1] += 1
    return np.stack([(position >= a) & (position < b) for a, b in pairwise(edges)]).astype("f4")


def run_of(weights: np.ndarray, maps: np.ndarray, grid: Grid, noise: float = 0.0, seed: int = 0) -> Run:
    volumes = weights.astype("f4") @ maps
    volumes += noise * np.random.default_rng(seed).standard_normal(volumes.shape, dtype="f4")
    return Run(volumes, grid, repetition_time=2.0)


def blocks(n_states: int, dwell: int, repeats: int) -> np.ndarray:
    return np.tile(np.repeat(np.arange(n_states), dwell), repeats)


def rival(name: str) -> Rival:
    return next(one for one in RIVALS if one.name == name)


def test_classes_hold_what_a_sceptic_would_try():
    assert {one.sees for one in RIVALS} == set(CLASSES)
    assert len({one.name for one in RIVALS}) == len(RIVALS)
    assert {one.name for one in rivals_of("volume")} == {"volume", "smoothed", "smoothed, squared"}
    for one in RIVALS:
        assert len({label_of(setting) for setting in one.settings}) == len(one.settings)


@pytest.mark.parametrize("name", [one.name for one in RIVALS])
def test_every_rival_gives_a_finite_map_of_every_volume(name, grid):
    rng = np.random.default_rng(0)
    maps = patches(grid, 3)
    runs = [run_of(rng.standard_normal((60, 3)), maps, grid, noise=0.5, seed=n) for n in range(3)]
    given = rival(name).fit(Group(runs[:2]), **ONE_SETTING[name])(runs[2])
    assert given.shape[-2:] == runs[2].volumes.shape
    assert np.isfinite(given).all()


def test_rivals_of_one_run_never_see_the_others(grid):
    runs = [run_of(np.random.default_rng(n).standard_normal((60, 3)), patches(grid, 3), grid, 1.0, n) for n in range(3)]
    for one in rivals_of("volume", "run"):
        setting = ONE_SETTING[one.name]
        given = [one.fit(Group([runs[n]]), **setting)(Run(runs[2].volumes, grid, 2.0)) for n in (0, 1)]
        assert np.array_equal(*given), one.name


def test_rivals_of_single_volumes_do_not_look_at_neighbours(grid):
    runs = [run_of(np.random.default_rng(n).standard_normal((60, 3)), patches(grid, 3), grid, 1.0, n) for n in range(3)]
    order = np.random.default_rng(0).permutation(60)
    for one in rivals_of("volume", "others"):
        apply = one.fit(Group(runs[:2]), **ONE_SETTING[one.name])
        shuffled = apply(Run(runs[2].volumes[order], grid, 2.0))
        assert np.allclose(shuffled, apply(runs[2])[..., order, :], atol=1e-4), one.name


def test_rivals_of_other_runs_refuse_to_work_without_them():
    with pytest.raises(ValueError, match="group PCA"):
        rival("group PCA").fit(None, sigma=0.0, rank=1)


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("group PCA", {"rank": 1}),
        ("group PCA, rank predicted", {"rank": "predicted"}),
        ("probabilistic PCA", {"rank": 1, "shrink": "noise"}),
        ("own PCA", {"rank": 1}),
        ("group PCA and time", {"rank": 1, "sigma_time": 0.0}),
    ],
)
def test_components_give_one_planted_map_back_exactly(name, setting, grid):
    rng = np.random.default_rng(1)
    maps = patches(grid, 4)[:1]
    # strong at neighbouring volumes too, so that prediction finds the component
    courses = smooth_time(rng.standard_normal((80, 1)), 4.0, 2.0)
    run = run_of(courses, maps, grid)
    others = Group([run_of(smooth_time(rng.standard_normal((80, 1)), 4.0, 2.0), maps, grid) for _ in range(2)])
    given = rival(name).fit(others, sigma=0.0, **setting)(run)
    assert np.allclose(given, run.volumes, atol=1e-4)


def test_the_volume_is_left_as_it_is(grid):
    run = run_of(np.random.default_rng(0).standard_normal((5, 3)), patches(grid, 3), grid, 1.0)
    assert np.array_equal(rival("volume").fit()(run), run.volumes)


def test_probabilistic_components_are_shrunk_as_the_model_of_probabilistic_pca_says(grid):
    """The posterior mean of a latent number, taken back to voxels, is the projection times 1 - noise / variance."""
    rng = np.random.default_rng(12)
    maps = 5 * np.linalg.qr(rng.standard_normal((grid.n_voxels, 3)))[0].T
    group = Group([run_of(rng.standard_normal((80, 3)), maps, grid, 0.1, n) for n in range(3)])
    found = components(group, 0.0)
    volumes = group.smoothed(0.0).astype(float)
    left = np.linalg.svd(volumes, compute_uv=False)[len(found.maps) :] ** 2
    assert found.noise == pytest.approx(left.sum() / (240 - 3 - len(found.maps)) / len(volumes), rel=1e-3)
    run = run_of(rng.standard_normal((6, 3)), maps, grid, 0.1)
    given = rival("probabilistic PCA").fit(group, sigma=0.0, rank=3, shrink="noise")(run)
    loadings = found.maps[:3].T * np.sqrt(found.variance[:3] - found.noise)  # Tipping & Bishop 1999, equation 7
    posterior = np.linalg.solve(loadings.T @ loadings + found.noise * np.eye(3), loadings.T @ run.volumes.T)
    assert np.allclose(given, (loadings @ posterior).T, atol=1e-3)


@pytest.mark.parametrize(
    ("name", "without", "setting"),
    [
        ("own PCA and time", "own PCA", {"rank": 3}),
        ("group PCA and time", "group PCA", {"rank": 3}),
        ("probabilistic PCA and time", "probabilistic PCA", {"rank": 3, "shrink": "slope"}),
        ("dual regression and time", "dual regression", {"count": 3, "sigma_run": 0.0}),
    ],
)
def test_linear_rivals_with_time_are_those_without_smoothed_in_time(name, without, setting, grid):
    rng = np.random.default_rng(13)
    maps = patches(grid, 6)[[0, 2, 4]]
    group = Group([run_of(rng.laplace(size=(60, 3)), maps, grid, 0.3, n) for n in range(2)])
    run = run_of(rng.laplace(size=(60, 3)), maps, grid, 0.3, 9)
    plain = rival(without).fit(group, sigma=0.0, **setting)(run)
    given = rival(name).fit(group, sigma=0.0, sigma_time=3.0, **setting)(run)
    assert np.allclose(given, smooth_time(plain, 3.0, 2.0), atol=1e-4)


@pytest.mark.parametrize("name", ["co-activation patterns and time", "own co-activation patterns"])
def test_neighbours_in_time_help_to_find_the_pattern_of_a_noisy_volume(name, grid):
    sequence = blocks(2, dwell=12, repeats=6)
    maps = patches(grid, 2)
    group = Group([run_of(np.eye(2)[sequence], maps, grid, 12.0, n) for n in range(4)])
    run = run_of(np.eye(2)[sequence], maps, grid, 12.0, 9)

    def right(sigma_time: float) -> float:
        given = rival(name).fit(group, sigma=0.0, count=2, assign="nearest", sigma_time=sigma_time, fit_time=4.0)(run)
        left = maps @ given.T
        return float((left.argmax(axis=0) == sequence).mean())

    assert right(4.0) > max(0.8, right(0.0) + 0.04)


def test_group_components_take_noise_away(grid):
    rng = np.random.default_rng(2)
    maps = patches(grid, 4)
    clean = run_of(rng.standard_normal((50, 4)), maps, grid)
    noisy = Run(clean.volumes + rng.standard_normal(clean.volumes.shape, dtype="f4"), grid, 2.0)
    others = Group([run_of(rng.standard_normal((50, 4)), maps, grid, 1.0, n) for n in range(4)])
    given = rival("group PCA").fit(others, sigma=0.0, rank=4)(noisy)
    assert np.square(given - clean.volumes).mean() < 0.05 < 0.9 < np.square(noisy.volumes - clean.volumes).mean()


def test_predicted_rank_counts_the_planted_maps_that_last(grid):
    rng = np.random.default_rng(3)
    maps = patches(grid, 5)
    courses = [smooth_time(rng.standard_normal((100, 5)), 6.0, 2.0) * 5 for _ in range(6)]
    found = components(Group([run_of(c, maps, grid, 1.0, n) for n, c in enumerate(courses)]), 0.0)
    assert found.predictive_rank == 5
    assert found.slope[:5].min() > 0.7 > 0.3 > found.slope[5:].max()


def test_noise_of_probabilistic_components_is_the_noise(grid):
    rng = np.random.default_rng(4)
    others = Group([run_of(5 * rng.standard_normal((60, 2)), patches(grid, 2), grid, 0.5, n) for n in range(3)])
    found = components(others, 0.0)
    weak = components(Group([run_of(np.zeros((60, 2)), patches(grid, 2), grid, 1.0, n) for n in range(3)]), 0.0)
    assert found.shrinkage[:2].min() > 0.95
    assert weak.shrinkage.max() < 0.6  # the largest of pure noise stand out by chance alone


def test_independent_maps_are_the_planted_ones(grid):
    rng = np.random.default_rng(5)
    maps = patches(grid, 6)[[0, 2, 4]]
    group = Group([run_of(rng.laplace(size=(80, 3)), maps, grid, 0.05, n) for n in range(3)])
    run = run_of(rng.laplace(size=(40, 3)), maps, grid)
    own = Run(np.concatenate([one.volumes for one in group.runs]), grid, 2.0)
    given = rival("group ICA").fit(group, sigma=0.0, count=3)(run)
    assert min(np.corrcoef(a, b)[0, 1] for a, b in zip(given, run.volumes, strict=True)) > 0.9
    of_own = rival("own ICA").fit(sigma=0.0, count=3)(own)
    assert np.corrcoef(of_own.ravel(), own.volumes.ravel())[0, 1] > 0.95


def test_dual_regression_finds_a_map_that_lies_elsewhere_in_this_run(grid):
    rng = np.random.default_rng(6)
    maps = patches(grid, 6)[[0, 2, 4]]
    own = patches(grid, 12)[[0, 4, 8]]  # half of each map only
    group = Group([run_of(rng.laplace(size=(80, 3)), maps, grid, 0.05, n) for n in range(3)])
    run = run_of(rng.laplace(size=(80, 3)), own, grid, 0.05)
    shared = rival("group ICA").fit(group, sigma=0.0, count=3)(run)
    dual = rival("dual regression").fit(group, sigma=0.0, count=3, sigma_run=0.0)(run)

    def r(given: np.ndarray) -> float:
        return float(np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(given, run.volumes, strict=True)]))

    assert r(dual) > 0.9 > r(shared)


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("co-activation patterns", {"count": 3, "assign": "nearest"}),
        ("co-activation patterns", {"count": 3, "assign": "probable"}),
        ("co-activation patterns and time", {"count": 3, "assign": "nearest", "sigma_time": 0.0}),
        ("own co-activation patterns", {"count": 3, "assign": "nearest"}),
        ("hidden states", {"count": 3, "rank": 3}),
        ("own hidden states", {"count": 3, "rank": 3}),
    ],
)
def test_patterns_and_states_give_the_planted_map_of_every_volume(name, setting, grid):
    sequence = blocks(3, dwell=5, repeats=6)
    maps = patches(grid, 3)
    truth = run_of(np.eye(3)[sequence], maps, grid)
    group = Group([run_of(np.eye(3)[sequence], maps, grid, 0.1, n) for n in range(2)])
    given = rival(name).fit(group, sigma=0.0, **setting)(run_of(np.eye(3)[sequence], maps, grid, 0.1, 9))
    assert np.abs(given - truth.volumes).max() < 0.2


def test_scaled_patterns_follow_the_strength_of_a_volume(grid):
    maps = patches(grid, 2)
    group = Group([run_of(np.eye(2)[blocks(2, 5, 8)], maps, grid, 0.02, n) for n in range(2)])
    run = run_of(np.array([[2.0, 0], [0, 0.5]]), maps, grid)
    given = rival("co-activation patterns").fit(group, sigma=0.0, count=2, assign="scaled")(run)
    assert np.allclose(given, run.volumes, atol=0.1)


def test_hidden_states_use_the_order_of_volumes(grid):
    sequence = blocks(2, dwell=10, repeats=8)
    maps = patches(grid, 2)
    runs = [run_of(np.eye(2)[sequence], maps, grid, 12.0, n) for n in range(4)]
    model = states(Group(runs), 0.0, 2, 1)
    scores = runs[0].volumes @ model.basis.T
    in_order = model.posterior(scores).argmax(axis=1)
    alone = np.abs(scores - model.centres[None, :, 0]).argmin(axis=1)

    def right(found: np.ndarray) -> float:
        share = float((found == sequence).mean())
        return max(share, 1 - share)

    assert right(in_order) > right(alone)
    assert model.transitions.diagonal().min() > 0.8
    assert np.allclose(model.transitions.sum(axis=1), 1)


def test_hidden_states_take_runs_of_different_lengths(grid):
    maps = patches(grid, 2)
    runs = [run_of(np.eye(2)[blocks(2, 5, repeats)], maps, grid, 0.1, repeats) for repeats in (3, 6)]
    model = states(Group(runs), 0.0, 2, 1)
    assert model.posterior(runs[0].volumes @ model.basis.T).shape == (30, 2)
    assert model.transitions.diagonal() == pytest.approx([0.8, 0.8], abs=0.12)


def test_time_filter_weakens_a_sinusoid_by_its_known_gain(grid):
    sigma, period, repetition_time = 3.0, 20.0, 0.5
    course = np.sin(2 * np.pi * np.arange(400) * repetition_time / period)
    run = Run(np.outer(course, np.ones(grid.n_voxels)), grid, repetition_time)
    given = rival("smoothed in time").fit(sigma=0.0, sigma_time=sigma)(run)
    gain = np.exp(-2 * (np.pi * sigma / period) ** 2)
    inner = slice(40, -40)
    assert np.allclose(given[inner, 0], gain * course[inner], atol=2e-3)


def test_filter_in_space_and_time_is_both(grid):
    run = run_of(np.random.default_rng(7).standard_normal((30, 3)), patches(grid, 3), grid, 1.0)
    given = rival("smoothed in space and time").fit(sigma=12.0, sigma_time=3.0)(run)
    assert np.allclose(given, smooth_space(smooth_time(run.volumes, 3.0, 2.0), grid, 12.0), atol=1e-5)


@pytest.mark.parametrize("sigma", [4.0, 12.0, 20.0])
def test_fast_smoothing_is_the_products(sigma, grid):
    volumes = np.random.default_rng(8).standard_normal((3, grid.n_voxels)).astype("f4")
    assert np.allclose(smooth_space(volumes, grid, sigma), smooth(volumes, grid, sigma), atol=2e-4)


def test_squared_filter_has_a_branch_for_either_sign(grid):
    run = run_of(np.array([[1.0, -2.0]]), patches(grid, 2), grid)
    above, below = rival("smoothed, squared").fit(sigma=4.0)(run)
    left, right = patches(grid, 2).astype(bool)
    assert above[0, left].mean() > 0.5 > above[0, right].mean()
    assert below[0, right].mean() > 2 > below[0, left].mean()


def test_marchenko_pastur_keeps_nearly_nothing_of_noise_and_all_planted_components(grid):
    rng = np.random.default_rng(9)
    noise = Run(rng.standard_normal((60, grid.n_voxels)), grid, 2.0)
    given = rival("Marčenko–Pastur denoising").fit(sigma=0.0)(noise)
    assert np.square(given).mean() < 0.03
    planted = run_of(3 * rng.standard_normal((60, 5)), patches(grid, 5), grid, 1.0)
    assert marchenko_pastur_rank(np.linalg.svd(planted.volumes, compute_uv=False) ** 2, grid.n_voxels) == 5


def test_marchenko_pastur_is_not_misled_by_directions_that_cleaning_emptied(grid):
    rng = np.random.default_rng(10)
    volumes = run_of(3 * rng.standard_normal((60, 4)), patches(grid, 4), grid, 1.0).volumes
    nuisance = np.linalg.qr(rng.standard_normal((60, 20)))[0].astype("f4")
    volumes = volumes - nuisance @ (nuisance.T @ volumes)
    assert marchenko_pastur_rank(np.linalg.svd(volumes, compute_uv=False) ** 2, grid.n_voxels) == 4


@pytest.mark.parametrize(("name", "setting"), [("non-local means", {}), ("non-local means in group PCA", {"rank": 4})])
def test_similar_volumes_are_averaged_wherever_they_are(name, setting, grid):
    sequence = np.random.default_rng(11).permutation(np.repeat(np.arange(4), 30))
    maps = 2 * patches(grid, 4)
    truth = run_of(np.eye(4)[sequence], maps, grid)
    noisy = run_of(np.eye(4)[sequence], maps, grid, 1.0)
    given = rival(name).fit(Group([noisy]), sigma=0.0, width=0.2, **setting)(noisy)
    assert np.square(given - truth.volumes).mean() < 0.1 * np.square(noisy.volumes - truth.volumes).mean()

"""Does the check of a run's noise find what was planted, and nothing else?"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from scaae_nipype.errors import InputError
from scaae_nipype.evaluation.scores.smoothness import volume_smoothness
from scaae_nipype.evaluation.stationarity import (
    change_of_level,
    check_stationarity,
    volume_variance,
)
from scaae_nipype.grid import Grid, smooth

N = 120
EVERY = np.ones(N, bool)


@pytest.fixture(scope="module")
def grid():
    mask = np.ones((9, 9, 9), bool)
    mask[:2, :3] = False
    return Grid(np.diag([6.0, 6, 6, 1]), mask)


def noise(grid, seed, *, ar1=0.5, sigma=6.0):
    """Draw stationary noise, correlated in time and smooth in space."""
    white = np.random.default_rng(seed).standard_normal((N + 30, grid.n_voxels))
    coloured = lfilter([np.sqrt(1 - ar1**2)], [1, -ar1], white, axis=0)[30:]
    return smooth(coloured, grid, sigma) if sigma else coloured


def test_stationary_noise_is_flagged_as_rarely_as_promised(grid):
    found = []
    for seed in range(120):
        run = noise(grid, seed, ar1=(0, 0.5, 0.8)[seed % 3], sigma=0)
        found.append(check_stationarity(run, EVERY, grid, np.abs(run[:, 0]) + np.abs(run[:, 1])))
    p = np.array([[one.variance.p, one.smoothness.p, one.motion.p, one.p] for one in found])
    assert ((p <= 0.05).mean(axis=0) <= 0.1).all()
    assert ((p <= 0.5).mean(axis=0)[:3] > 0.35).all()


def test_smoothness_that_switches_at_the_middle_is_found(grid):
    positions = []
    for seed in range(10):
        run = noise(grid, seed, sigma=0)
        run[60:] = smooth(run[60:], grid, 4.0)
        run /= run.std(axis=1, keepdims=True)
        found = check_stationarity(run, EVERY, grid)
        assert found.smoothness.p <= 0.01 and found.p <= 0.02
        assert found.smoothness.before < found.smoothness.after
        positions.append(found.smoothness.position)
    assert np.abs(np.array(positions) - 60).max() <= 2


def test_variance_that_doubles_in_the_last_third_is_found(grid):
    found = []
    for seed in range(20):
        run = noise(grid, seed)
        run[80:] *= np.sqrt(2)
        found.append(check_stationarity((run - run.mean(0)) / run.std(0), EVERY, grid))
    assert np.mean([one.p <= 0.05 for one in found]) >= 0.8
    assert np.median([one.variance.position for one in found]) == pytest.approx(80, abs=4)
    assert np.median([one.variance.after / one.variance.before for one in found]) == pytest.approx(2, rel=0.25)


def test_motion_that_sets_in_is_found_and_named_by_its_volume(grid):
    moved = np.random.default_rng(1).gamma(2, 0.1, N)
    moved[90:] *= 3
    moved[0] = np.nan
    kept = EVERY & (moved < 1.5)
    kept[:3] = False
    found = check_stationarity(noise(grid, 2)[kept], kept, grid, moved)
    assert found.motion.p <= 0.01 and found.motion.position == pytest.approx(90, abs=3)
    assert found.variance.p > 0.05


def test_volumes_are_numbered_as_in_the_run(grid):
    kept = EVERY.copy()
    kept[20:40] = False
    run = noise(grid, 3, sigma=0)
    run[80:] *= 2
    assert check_stationarity(run[kept], kept, grid).variance.position == 80


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 500), scale=st.floats(0.01, 100), shift=st.floats(-10, 10))
def test_units_do_not_matter(seed, scale, shift):
    series = np.random.default_rng(seed).standard_normal(60).round(3)
    first, other = change_of_level(series), change_of_level(scale * series + shift)
    assert (other.p, other.position) == (first.p, first.position)
    assert other.before == pytest.approx(scale * first.before + shift, abs=1e-6)
    assert change_of_level(np.exp(series)).p == first.p  # ranks decide


def test_time_may_run_backwards():
    series = np.random.default_rng(4).standard_normal(50) + (np.arange(50) >= 20)
    forward, backward = change_of_level(series), change_of_level(series[::-1])
    assert backward.p == forward.p and backward.position == 50 - forward.position
    assert (backward.before, backward.after) == (forward.after, forward.before)


@pytest.mark.parametrize("sigma", [4.0, 7.0])
def test_smoothness_is_that_of_the_kernel(sigma):
    grid = Grid(np.diag([4.0, 4, 4, 1]), np.ones((24, 24, 24), bool))
    made = smooth(np.random.default_rng(0).standard_normal((6, grid.n_voxels)), grid, sigma)
    assert volume_smoothness(made, grid).mean() == pytest.approx(sigma * np.sqrt(8 * np.log(2)), rel=0.1)
    np.testing.assert_allclose(volume_smoothness(3 * made + 1, grid), volume_smoothness(made, grid), rtol=1e-4)


def test_volumes_without_neighbours_or_spread_have_no_smoothness():
    grid = Grid(np.eye(4), np.eye(4, dtype=bool)[:, :, None])
    assert volume_smoothness(np.arange(8.0).reshape(2, 4), grid).tolist() == [0, 0]
    assert volume_variance(np.ones((2, 4))).tolist() == [0, 0]


def test_what_cannot_be_followed_is_refused(grid):
    with pytest.raises(InputError, match="only 10 volumes are kept"):
        check_stationarity(noise(grid, 0)[:10], np.arange(N) < 10, grid)
    with pytest.raises(InputError, match="are kept in the region"):
        check_stationarity(noise(grid, 0)[:50], EVERY, grid)
    with pytest.raises(InputError, match="none missing"):
        change_of_level(np.full(30, np.nan))


def test_a_level_that_never_moves_has_not_changed():
    assert change_of_level(np.ones(30)).p == 1

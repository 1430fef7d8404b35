"""The four regimes: dwell times, transitions, stationarity, haemodynamics, tasks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from scaae_nipype.errors import UsageError
from scaae_nipype.simulation.timecourses import (
    REGIMES,
    Block,
    convolve_hrf,
    default_transitions,
    gaussian_like,
    make_time_courses,
    semi_markov,
    soft_mixture,
)

K = 5


def _made(regime, seed, n_volumes=150, **options):
    return make_time_courses(
        regime=regime,
        n_networks=K,
        n_volumes=n_volumes,
        repetition_time=2.0,
        rng=np.random.default_rng(seed),
        **options,
    )


def _runs(states):
    """Give the states and lengths of stretches that are complete (neither first nor last)."""
    edges = np.flatnonzero(np.diff(states)) + 1
    stretches = np.split(states, edges)[1:-1]
    return np.array([s[0] for s in stretches]), np.array([len(s) for s in stretches])


def test_dwell_times_have_the_mean_and_spread_asked_for():
    states = semi_markov(
        400_000, step=0.5, mean_dwell=12, transitions=default_transitions(K), rng=np.random.default_rng(0)
    )
    dwell = 0.5 * _runs(states)[1]
    assert len(dwell) > 10_000
    assert dwell.mean() == pytest.approx(12, rel=0.02)
    assert dwell.std() == pytest.approx(6, rel=0.03)  # gamma of shape 4
    assert stats.kstest(dwell, stats.gamma(4, scale=3).cdf).statistic < 0.03  # half a step of rounding


def test_transitions_follow_the_matrix():
    matrix = default_transitions(K, preference=0.6, occupancy=[1, 1, 3, 1, 1])
    states = semi_markov(200_000, step=1, mean_dwell=5, transitions=matrix, rng=np.random.default_rng(1))
    visited = _runs(states)[0]
    counts = np.zeros((K, K))
    np.add.at(counts, (visited[:-1], visited[1:]), 1)
    np.testing.assert_allclose(counts / counts.sum(axis=1, keepdims=True), matrix, atol=0.02)
    occupancy = np.bincount(states, minlength=K) / len(states)
    assert occupancy.argmax() == 2


@given(st.integers(2, 12), st.floats(0, 1), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_transition_matrices_are_stochastic(n_states, preference, seed):
    attraction = np.random.default_rng(seed).uniform(0.2, 3, n_states)
    matrix = default_transitions(n_states, preference=min(preference, 0.99), occupancy=attraction)
    np.testing.assert_allclose(matrix.sum(axis=1), 1)
    assert (np.diag(matrix) == 0).all()
    assert (matrix >= 0).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_states": 1}, "two states or more"),
        ({"n_states": 3, "preference": 1.5}, "preference in 0-1"),
        ({"n_states": 3, "occupancy": [1, 1]}, "3 positive numbers"),
        ({"n_states": 3, "occupancy": [1, 0, 1]}, "3 positive numbers"),
    ],
)
def test_impossible_transitions_are_refused(arguments, message):
    with pytest.raises(UsageError, match=message):
        default_transitions(**arguments)


def test_the_response_delays_and_keeps_plateaus():
    step = 0.5
    boxcar = np.zeros((200, 1))
    boxcar[40:120] = 1  # 40 s
    bold = convolve_hrf(boxcar, step)[:, 0]
    assert bold[119] == pytest.approx(1, abs=0.01)
    impulse = np.zeros((100, 1))
    impulse[0] = 1
    assert 4.5 <= step * convolve_hrf(impulse, step)[:, 0].argmax() <= 6  # SPM's peak
    assert (bold[:40] == 0).all()


def test_exclusive_states_light_one_network_at_a_time():
    made = _made("exclusive", 0, n_volumes=2000)
    assert made.bold.max() == pytest.approx(1.1, abs=0.1)  # plateau 1 and the response's overshoot
    np.testing.assert_allclose(made.bold[5:].sum(axis=1), 1, atol=1e-6)
    shifted = [(made.states[lag:] == made.neural_states[: len(made.states) - lag]).mean() for lag in range(6)]
    assert np.argmax(shifted) in (2, 3)  # the signal trails the states by 4 to 6 s
    assert max(shifted) > 0.8


def test_the_first_volume_is_in_full_swing():
    sums = [_made("exclusive", seed, n_volumes=4).bold[0].sum() for seed in range(5)]
    np.testing.assert_allclose(sums, 1, atol=1e-6)


def test_a_mixture_has_several_networks_at_once():
    made = _made("mixture", 0, n_volumes=3000)
    active = (made.bold > 0.5).sum(axis=1)
    assert (active >= 2).mean() > 0.1
    assert (active == 0).mean() > 0.1  # and sometimes none
    middling = (made.bold > 0.2) & (made.bold < 0.8)
    assert middling.mean() > 0.15  # soft, unlike states
    assert 0.9 < np.percentile(made.bold, 99.9) < 1.15
    assert np.abs(np.corrcoef(made.bold.T)[np.triu_indices(K, 1)]).max() < 0.15
    assert set(made.states) == set(range(K))


def test_mixture_activity_forgets_with_its_time_constant():
    activity = soft_mixture(100_000, 2, step=1.0, mean_dwell=10.0, rng=np.random.default_rng(0))
    latent = np.log(activity / (1 - activity))
    assert np.corrcoef(latent[:-10, 0], latent[10:, 0])[0, 1] == pytest.approx(np.exp(-1), abs=0.03)
    assert (activity > 0.5).mean() == pytest.approx(stats.norm.sf(0.5), abs=0.02)


def test_attractive_networks_are_more_active_in_a_mixture():
    matrix = default_transitions(K, occupancy=[1, 1, 4, 1, 1])
    made = _made("mixture", 0, n_volumes=3000, transitions=matrix)
    assert made.bold.mean(axis=0).argmax() == 2


def test_deactivations_have_both_poles():
    made = _made("deactivations", 0, n_volumes=2000, deactivation=0.7)
    assert made.bold.min() < -0.6
    active = made.bold.argmax(axis=1)
    lowest = made.bold.argmin(axis=1)
    settled = made.bold.max(axis=1) > 0.95
    np.testing.assert_array_equal(lowest[settled], (active[settled] + K // 2) % K)


@pytest.fixture(scope="module")
def samples():
    """Give 150 runs of the exclusive and of the stationary regime, without their mean."""
    return {
        regime: np.stack([_made(regime, seed, n_volumes=100).bold for seed in range(150)]) - 1 / K
        for regime in ("exclusive", "stationary")
    }


def test_stationary_has_the_covariance_of_exclusive(samples):
    exclusive, stationary = (np.einsum("sti,stj->ij", x, x) / x[..., 0].size for x in samples.values())
    np.testing.assert_allclose(stationary, exclusive, atol=0.025)  # three standard errors of 150 runs
    assert np.trace(stationary) == pytest.approx(np.trace(exclusive), rel=0.05)
    assert np.diag(exclusive).mean() > 0.1


def test_stationary_has_the_spectrum_of_exclusive(samples):
    exclusive, stationary = (
        (np.abs(np.fft.rfft(x * np.hanning(100)[:, None], axis=1)) ** 2).mean(axis=(0, 2)) for x in samples.values()
    )
    strong = exclusive > 0.01 * exclusive.max()
    assert strong.sum() > 8
    np.testing.assert_allclose(stationary[strong] / exclusive[strong], 1, atol=0.25)


def test_stationary_is_gaussian_and_exclusive_is_not(samples):
    skewness = {regime: stats.skew(x[:, ::10].ravel()) for regime, x in samples.items()}
    kurtosis = {regime: stats.kurtosis(x[:, ::10].ravel()) for regime, x in samples.items()}
    assert abs(skewness["stationary"]) < 0.1
    assert abs(kurtosis["stationary"]) < 0.2
    assert skewness["exclusive"] > 1
    assert kurtosis["exclusive"] > 0.3


def test_stationary_halves_have_the_same_covariance(samples):
    x = samples["stationary"]
    first, second = (np.einsum("sti,stj->ij", half, half) / half[..., 0].size for half in (x[:, :50], x[:, 50:]))
    np.testing.assert_allclose(first, second, atol=0.02)
    # Nothing of the drawn process's period is left: ends are no more alike than far-apart volumes are.
    ends = np.mean(x[:, 0] * x[:, -1]) / np.mean(x**2)
    assert abs(ends) < 0.12


def test_stationary_keeps_the_direction_of_the_ring(samples):
    lagged = {regime: np.einsum("sti,stj->ij", x[:, :-6], x[:, 6:]) / x[:, 6:, 0].size for regime, x in samples.items()}
    ahead = {r: np.mean([c[k, (k + 1) % K] - c[(k + 1) % K, k] for k in range(K)]) for r, c in lagged.items()}
    assert ahead["exclusive"] > 0.02
    assert ahead["stationary"] == pytest.approx(ahead["exclusive"], abs=0.015)


def test_gaussian_like_keeps_a_known_cross_covariance():
    rng = np.random.default_rng(0)
    mixing = np.array([[1.0, 0.0], [0.8, 0.6]])
    reference = rng.standard_normal((200, 64, 2)) @ mixing.T + [3, -1]
    drawn = np.concatenate([gaussian_like(reference, 64, np.random.default_rng(seed)) for seed in range(200)])
    np.testing.assert_allclose(np.cov(drawn.T), mixing @ mixing.T, atol=0.06)
    np.testing.assert_allclose(drawn.mean(axis=0), [3, -1], atol=0.06)


def test_a_regime_without_states_says_so():
    made = _made("stationary", 0)
    assert (made.neural_states == -1).all()
    assert (made.states == -1).all()


@pytest.mark.parametrize("regime", ["exclusive", "deactivations", "mixture"])
def test_a_task_drives_its_networks(regime):
    blocks = [Block(10 + 40 * index, 20, 3) for index in range(10)]
    made = _made(regime, 0, n_volumes=200, blocks=blocks)
    time = 2.0 * np.arange(200)
    within = np.any([(time >= b.onset) & (time < b.onset + b.duration) for b in blocks], axis=0)
    share = (made.neural_states == 3)[within].mean()
    assert share == 1 if regime != "mixture" else share > 0.8
    assert (made.neural_states == 3)[~within].mean() < 0.5


def test_impossible_regimes_are_refused():
    with pytest.raises(UsageError, match="'chaos' is unknown; choose one of exclusive, mixture"):
        _made("chaos", 0)
    with pytest.raises(UsageError, match="no states that a task could drive"):
        _made("stationary", 0, blocks=[Block(0, 10, 0)])


@pytest.mark.parametrize("regime", REGIMES)
def test_same_generator_same_time_courses(regime):
    one, again, other = (_made(regime, seed, n_volumes=20).bold for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.allclose(one, other)


@pytest.mark.parametrize("repetition_time", [0.72, 2.0, 3.1])
def test_any_repetition_time_gives_the_volumes_asked_for(repetition_time):
    made = make_time_courses(
        regime="exclusive", n_networks=3, n_volumes=33, repetition_time=repetition_time, rng=np.random.default_rng(0)
    )
    assert made.bold.shape == (33, 3)
    assert made.neural_states.shape == (33,)

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from nilearn.signal import clean
from scipy.signal import butter, sosfiltfilt

from scaae_nipype.errors import InputError
from scaae_nipype.preparation.denoising import (
    CHUNK,
    PADDING,
    clean_in_place,
    residual_degrees_of_freedom,
    temporal_operator,
)

T = 80
EVERY = np.ones(T, bool)


def dropping(*volumes, n=T):
    kept = np.ones(n, bool)
    kept[list(volumes)] = False
    return kept


def noise(seed=0, n_volumes=T, n_voxels=6):
    return np.random.default_rng(seed).normal(size=(n_volumes, n_voxels))


FILTERS = [(None, None), (0.01, None), (None, 0.1), (0.009, 0.08)]


@pytest.mark.parametrize(("high_pass", "low_pass"), FILTERS)
@pytest.mark.parametrize("detrend", [True, False])
@pytest.mark.parametrize("n_regressors", [0, 5])
def test_the_matrix_does_what_nilearn_does(high_pass, low_pass, detrend, n_regressors):
    series, regressors = noise() + 100, noise(1, n_voxels=n_regressors)
    settings_ = {"high_pass": high_pass, "low_pass": low_pass, "detrend": detrend}
    matrix = temporal_operator(EVERY, regressors, repetition_time=2.0, **settings_)
    confounds = regressors if n_regressors else None
    expected = clean(series, confounds=confounds, t_r=2.0, standardize=None, **settings_)
    np.testing.assert_allclose(matrix @ series, expected - expected.mean(axis=0), atol=1e-9)


@pytest.mark.parametrize("dropped", [(0, 1, 2), (20,), (0, 1, 30, 31), (10, 40, 41, 42), (77, 79)])
def test_censoring_does_what_nilearn_does_where_nilearn_is_right(dropped):
    kept = dropping(*dropped)
    assert not set(dropped) & {T - 1 - volume for volume in dropped}, "nilearn is wrong here, see the next test"
    series, regressors = noise(), noise(1, n_voxels=3)
    matrix = temporal_operator(kept, regressors, repetition_time=2.0, high_pass=0.01)
    expected = clean(
        series, confounds=regressors, sample_mask=np.flatnonzero(kept), t_r=2.0, high_pass=0.01, standardize=None
    )
    np.testing.assert_allclose(matrix @ series[kept], expected - expected.mean(axis=0), atol=1e-9)


def test_a_spike_does_not_leak_from_mirrored_censored_volumes():
    # nilearn's own interpolation leaves volume k as it is where volume T - 1 - k is censored too.
    kept, series = dropping(20, 59), noise(n_voxels=1)
    spiked = series.copy()
    spiked[[20, 59]] = 1000
    common = {"sample_mask": np.flatnonzero(kept), "t_r": 2.0, "high_pass": 0.01, "standardize": None}
    by_nilearn = [clean(x, **common) for x in (series, spiked)]
    assert np.abs(by_nilearn[0] - by_nilearn[1]).max() > 10, "nilearn is repaired: its sample_mask can be used again"
    data = [x.astype("f4") for x in (series, spiked)]
    for x in data:
        clean_in_place(x, kept, temporal_operator(kept, repetition_time=2.0, high_pass=0.01))
    np.testing.assert_array_equal(*data)


def test_a_gap_is_bridged_by_a_spline():
    time = np.arange(T)
    smooth = np.sin(time / 6)[:, None]
    kept = dropping(25, 26, 50)
    through_gap = temporal_operator(kept, repetition_time=2.0, high_pass=0.01) @ smooth[kept]
    without_gap = (temporal_operator(EVERY, repetition_time=2.0, high_pass=0.01) @ smooth)[kept]
    np.testing.assert_allclose(through_gap, without_gap - without_gap.mean(), atol=1e-3)


@settings(max_examples=25, deadline=None)
@given(
    dropped=st.sets(st.integers(0, T - 1), max_size=20),
    cutoffs=st.sampled_from(FILTERS),
    n_regressors=st.integers(0, 6),
    seed=st.integers(0, 50),
)
def test_cleaned_series_hold_no_regressor_and_no_trace_of_dropped_volumes(dropped, cutoffs, n_regressors, seed):
    kept = dropping(*dropped)
    assume(kept.sum() > 40)
    high_pass, low_pass = cutoffs
    regressors = noise(seed, n_voxels=n_regressors)
    matrix = temporal_operator(kept, regressors, repetition_time=2.0, high_pass=high_pass, low_pass=low_pass)
    data = noise(seed + 100).astype("f4")
    original = data.copy()
    assert clean_in_place(data, kept, matrix).all()
    assert not data[~kept].any()
    np.testing.assert_allclose(data[kept].mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(data[kept].std(axis=0, ddof=1), 1, rtol=1e-4)
    # A regressor cleans to nothing, with and without the filter, and can be added to the data without effect.
    assert np.abs(matrix @ regressors[kept]).max(initial=0) < 1e-8
    planted = (original + regressors.sum(axis=1, keepdims=True) * 3 + 7).astype("f4")
    planted[~kept] = 1e6
    clean_in_place(planted, kept, matrix)
    np.testing.assert_allclose(planted, data, atol=2e-3)


def test_cleaning_commutes_with_mixing_voxels():
    mixing = np.random.default_rng(3).normal(size=(6, 4))
    kept = dropping(3, 40)
    matrix = temporal_operator(kept, noise(1, n_voxels=4), repetition_time=2.0, high_pass=0.008)
    series = noise()[kept]
    np.testing.assert_allclose((matrix @ series) @ mixing, matrix @ (series @ mixing), atol=1e-12)


def test_without_a_filter_the_trend_is_fitted_at_the_true_times():
    kept = dropping(*range(30, 60))
    ramp = np.arange(T, dtype=float)[:, None]
    assert np.abs(temporal_operator(kept, repetition_time=2.0) @ ramp[kept]).max() < 1e-9


def test_a_regressor_that_filtering_removes_costs_nothing():
    ramp = np.linspace(-1, 1, T)[:, None]
    without = temporal_operator(EVERY, repetition_time=2.0, high_pass=0.01)
    np.testing.assert_array_equal(temporal_operator(EVERY, ramp, repetition_time=2.0, high_pass=0.01), without)
    np.testing.assert_array_equal(
        temporal_operator(EVERY, np.full((T, 1), 3.0), repetition_time=2.0, detrend=False),
        temporal_operator(EVERY, repetition_time=2.0, detrend=False),
    )


def test_degrees_of_freedom_are_counted():
    assert residual_degrees_of_freedom(temporal_operator(EVERY, repetition_time=2.0)) == pytest.approx(T - 2)
    matrix = temporal_operator(EVERY, noise(1, n_voxels=7), repetition_time=2.0, detrend=False)
    assert residual_degrees_of_freedom(matrix) == pytest.approx(T - 1 - 7)
    # 160 s hold 2 x 0.05 Hz x 160 s = 16 below 0.05 Hz.
    matrix = temporal_operator(EVERY, repetition_time=2.0, high_pass=0.05)
    assert residual_degrees_of_freedom(matrix) == pytest.approx(T - 16, abs=3)


@pytest.mark.parametrize(("high_pass", "low_pass"), FILTERS[1:])
def test_the_shortest_run_of_each_filter_is_scipys(high_pass, low_pass):
    band = [x for x in (high_pass, low_pass) if x]
    kind = "bandpass" if len(band) == 2 else "highpass" if high_pass else "lowpass"
    sos = butter(5, band if len(band) == 2 else band[0], kind, fs=0.5, output="sos")
    padding = PADDING[len(band)]
    with pytest.raises(ValueError, match="padlen"):
        sosfiltfilt(sos, np.zeros(padding))
    sosfiltfilt(sos, np.zeros(padding + 1))
    cutoffs = {"high_pass": high_pass, "low_pass": low_pass}
    temporal_operator(np.ones(padding + 1, bool), repetition_time=2.0, **cutoffs)
    with pytest.raises(
        InputError, match=rf"Only {padding} of {padding} volumes .* needs {padding + 1}; .*`high_pass` 0"
    ):
        temporal_operator(np.ones(padding, bool), repetition_time=2.0, **cutoffs)


def test_two_volumes_cannot_be_z_scored():
    with pytest.raises(InputError, match=r"Only 2 of 80 volumes are left .* the z-score needs 3; .*`fd_threshold`"):
        temporal_operator(~dropping(3, 4), repetition_time=2.0)


def test_voxels_that_do_not_vary_leave_the_region():
    rng = np.random.default_rng(0)
    kept = dropping(0)
    regressor = rng.normal(size=(T, 1))
    data = np.column_stack(
        [
            rng.normal(size=T),
            np.zeros(T),
            np.full(T, 1234.567),
            regressor[:, 0] * 40 + 1000,
            1e4 + 0.1 * rng.normal(size=T),
        ]
    ).astype("f4")
    data[0, 1] = 9  # varies only where it is not kept
    varies = clean_in_place(data, kept, temporal_operator(kept, regressor, repetition_time=2.0))
    assert varies.tolist() == [True, False, False, False, True]
    assert np.isfinite(data).all()
    assert not data[:, ~varies].any()


def test_chunks_leave_no_seam():
    data = np.random.default_rng(0).normal(50, 2, size=(30, CHUNK // 30 + 3)).astype("f4")
    kept = np.ones(30, bool)
    matrix = temporal_operator(kept, repetition_time=2.0)
    tail = data[:, -5:].copy()
    clean_in_place(tail, kept, matrix)
    clean_in_place(data, kept, matrix)
    np.testing.assert_allclose(data[:, -5:], tail, atol=1e-4)

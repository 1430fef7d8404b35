import numpy as np
import pytest

from scaae_nipype.evaluation import binarise, chance_iou, lag_curve, lagged_iou, scale


def sliding_window(n_volumes, width):
    """Map t covers voxels t … t + width - 1, so IoU at any lag is known."""
    return np.array([[t <= voxel < t + width for voxel in range(n_volumes + width)] for t in range(n_volumes)])


def test_lagged_iou_of_a_sliding_window_is_known():
    maps, kept = sliding_window(12, 6), np.ones(12, bool)
    for lag in (1, 2, 5, 6):
        expected = max(6 - lag, 0) / (6 + min(lag, 6))
        np.testing.assert_allclose(lagged_iou(maps, kept, lag), [expected] * (12 - lag))


def test_no_pair_crosses_a_dropped_volume():
    maps, kept = sliding_window(7, 3), np.ones(7, bool)
    kept[3] = False
    assert len(lagged_iou(maps, kept, 1)) == 4  # 0-1, 1-2, 4-5, 5-6
    assert len(lagged_iou(maps, kept, 2)) == 2  # 0-2, 4-6
    assert len(lagged_iou(maps, kept, 3)) == 0


def test_what_dropped_volumes_hold_changes_nothing():
    rng = np.random.default_rng(0)
    maps, kept = rng.random((30, 50)) < 0.3, rng.random(30) < 0.8
    assert not kept.all()
    other = maps.copy()
    other[~kept] = True
    first, second = (lag_curve(m, kept, repetition_time=2.0) for m in (maps, other))
    assert first.equals(second)


def test_curve_is_in_seconds_and_starts_at_one_volume():
    curve = lag_curve(sliding_window(30, 4), np.ones(30, bool), repetition_time=2.5, longest_lag=10.0)
    assert curve["lag"].tolist() == [1, 2, 3, 4]
    assert curve["lag_seconds"].tolist() == [2.5, 5.0, 7.5, 10.0]
    assert curve["n_pairs"].tolist() == [29, 28, 27, 26]
    slow = lag_curve(sliding_window(30, 4), np.ones(30, bool), repetition_time=30.0, longest_lag=10.0)
    assert slow["lag"].tolist() == [1]


def test_a_binary_fraction_of_a_second_does_not_lose_the_last_lag():
    curve = lag_curve(sliding_window(40, 4), np.ones(40, bool), repetition_time=0.8, longest_lag=20.0)
    assert curve["lag"].max() == 25


def test_independent_maps_stay_at_chance():
    maps = np.random.default_rng(0).random((60, 5000)) < 0.2
    curve = lag_curve(maps, np.ones(60, bool), repetition_time=2.0)
    np.testing.assert_allclose(curve["mean_iou"], chance_iou(0.2), atol=0.005)
    np.testing.assert_allclose(curve["chance_iou"], chance_iou(0.2), atol=0.005)


def test_smooth_time_courses_change_gradually():
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((80, 2000))
    smooth = np.apply_along_axis(np.convolve, 0, noise, np.ones(6), "valid")
    curve = lag_curve(binarise(scale(smooth)), np.ones(len(smooth), bool), repetition_time=2.0)
    assert curve["mean_iou"].iloc[:5].is_monotonic_decreasing
    assert curve["mean_iou"].iloc[0] > curve["chance_iou"].iloc[0] + 0.1
    assert curve["mean_iou"].iloc[-1] == pytest.approx(curve["chance_iou"].iloc[-1], abs=0.02)


def test_without_any_pair_the_curve_is_missing_not_zero():
    curve = lag_curve(sliding_window(6, 2), np.arange(6) % 2 == 0, repetition_time=2.0, longest_lag=2.0)
    assert curve["n_pairs"].tolist() == [0]
    assert curve[["mean_iou", "sd_iou"]].isna().all(axis=None)

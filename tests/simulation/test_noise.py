"""Noise, drift, global signal and head motion against what is known of them analytically."""

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from scaae_nipype.errors import UsageError
from scaae_nipype.grid import Grid
from scaae_nipype.simulation import RunSettings, fit_tissues, source_grid
from scaae_nipype.simulation.motion import (
    MOTION_PARAMETERS,
    RESIDUAL,
    framewise_displacement,
    motion_maps,
    motion_parameters,
    spin_history,
)
from scaae_nipype.simulation.noise import drift_factors, global_factor, noise_volumes, smooth_field


@pytest.mark.parametrize("fwhm", [0.0, 5.0, 12.0])
def test_fields_have_unit_variance_up_to_the_edge(head, fwhm):
    rng = np.random.default_rng(0)
    fields = np.stack([smooth_field(head, fwhm, rng) for _ in range(400)])
    assert fields.std() == pytest.approx(1, abs=0.02)
    voxels = fields.std(axis=0)
    assert 0.8 < voxels.min() <= voxels.max() < 1.2  # 400 samples: SD 0.035 per voxel


def test_fields_are_as_smooth_as_asked():
    affine = np.diag([2.0, 2, 2, 1])
    grid = Grid(affine, np.ones((30, 30, 30), bool))
    fwhm = 10.0
    rng = np.random.default_rng(0)
    fields = np.stack([grid.volumes(smooth_field(grid, fwhm, rng)) for _ in range(10)])
    sigma = fwhm / np.sqrt(8 * np.log(2))
    for lag in (1, 3):
        expected = np.exp(-((2.0 * lag) ** 2) / (4 * sigma**2))  # a Gaussian kernel convolved with itself
        for axis in (1, 2, 3):
            near = np.moveaxis(fields, axis, 0)
            assert np.mean(near[lag:] * near[:-lag]) == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("ar1", [0.0, 0.3, 0.8])
def test_noise_has_the_autocorrelation_and_spectrum_of_ar1(head, ar1):
    noise = np.stack(list(noise_volumes(head, 128, fwhm=0, ar1=ar1, rng=np.random.default_rng(0))))
    assert noise.shape == (128, head.n_voxels)
    assert noise.std() == pytest.approx(1, abs=0.01)
    assert noise[0].std() == pytest.approx(1, abs=0.05)  # starts in its stationary distribution
    for lag in (1, 2, 4):
        assert np.mean(noise[lag:] * noise[:-lag]) == pytest.approx(ar1**lag, abs=0.02)
    power = (np.abs(np.fft.rfft(noise, axis=0)) ** 2).mean(axis=1)[1:-1] / 128
    frequency = np.fft.rfftfreq(128)[1:-1]
    expected = (1 - ar1**2) / (1 - 2 * ar1 * np.cos(2 * np.pi * frequency) + ar1**2)
    np.testing.assert_allclose(power[4:], expected[4:], rtol=0.15)


@pytest.mark.parametrize(("fwhm", "ar1"), [(-1, 0.3), (4, 1.0), (4, -0.1)])
def test_impossible_noise_is_refused(fwhm, ar1):
    with pytest.raises(UsageError, match="it has to be"):
        RunSettings(noise_smoothness_fwhm=fwhm, ar1=ar1)


def test_drift_is_slow_and_as_large_as_asked(head):
    variances = []
    for seed in range(60):
        time_courses, maps = drift_factors(head, 100, 0.5, np.random.default_rng(seed))
        variances.append((time_courses @ maps).var(axis=0).mean())
    assert np.sqrt(np.mean(variances)) == pytest.approx(0.5, rel=0.1)
    # Cubic at most: nothing is left after three polynomials.
    powers = np.vander(np.linspace(-1, 1, 100), 4)
    assert np.abs(time_courses - powers @ np.linalg.lstsq(powers, time_courses, rcond=None)[0]).max() < 1e-8


def test_the_global_signal_is_strongest_in_grey_matter(head):
    tissues = fit_tissues(head)
    time_course, weights = global_factor(
        tissues, 20_000, repetition_time=2, amplitude=0.4, rng=np.random.default_rng(0)
    )
    assert time_course.std() == pytest.approx(1, abs=0.05)
    assert np.corrcoef(time_course[1:, 0], time_course[:-1, 0])[0, 1] == pytest.approx(np.exp(-2 / 6), abs=0.02)
    grey, white = tissues.grey.argmax(), tissues.white.argmax()
    assert weights[0, grey] == pytest.approx(0.4, rel=0.05)
    assert weights[0, white] == pytest.approx(0.2, rel=0.05)


def test_spikes_stand_out_of_framewise_displacement():
    parameters, spikes = motion_parameters(150, repetition_time=2, n_spikes=6, rng=np.random.default_rng(3))
    displacement = framewise_displacement(parameters)
    expected = np.sort([*spikes, *(spikes + 1)])
    np.testing.assert_array_equal(np.flatnonzero(displacement > 0.8), expected)
    assert np.delete(displacement, expected)[1:].max() < 0.5
    assert np.diff(spikes).min() >= 3
    assert spikes.min() >= 3
    assert spikes.max() <= 146


def test_every_seed_spaces_its_spikes():
    for seed in range(50):
        _, spikes = motion_parameters(20, repetition_time=2, n_spikes=4, rng=np.random.default_rng(seed))
        assert len(spikes) == 4
        assert np.diff(spikes).min() >= 3
        assert spikes.min() >= 3
        assert spikes.max() <= 16


def test_too_many_spikes_are_refused():
    with pytest.raises(UsageError, match="10 volumes are too few for 4 motion spikes"):
        motion_parameters(10, repetition_time=2, n_spikes=4, rng=np.random.default_rng(0))


def test_a_still_head_is_still():
    parameters, spikes = motion_parameters(50, repetition_time=2, amount=0, rng=np.random.default_rng(0))
    assert (parameters.to_numpy() == 0).all()
    assert len(spikes) == 0
    assert (spin_history(parameters) == 0).all()


def test_spins_forget_small_movements_only():
    parameters = pd.DataFrame(np.zeros((4, 6)), columns=list(MOTION_PARAMETERS))
    parameters.loc[1:, "trans_x"] = 0.2
    parameters.loc[2:, "trans_y"] = 1.3
    np.testing.assert_allclose(spin_history(parameters), [0, 0, -1.0, 0])


def test_motion_maps_are_the_first_order_change_of_a_displaced_head():
    grid = source_grid(4)
    tissues = fit_tissues(grid)
    maps = motion_maps(grid, tissues) / RESIDUAL
    voxel = 4.0
    volume = grid.volumes(tissues.baseline).astype(float)
    moved = np.roll(volume, 1, axis=1)  # the head went 4 mm forward
    back = np.roll(volume, -1, axis=1)
    expected = grid.vectors((moved - back) / (2 * voxel))
    np.testing.assert_allclose(maps[1], expected, rtol=1e-4, atol=1)
    # A rotation about z moves a voxel at (x, y) by (-y, x) per radian.
    x, y, _ = nib.affines.apply_affine(grid.affine, np.argwhere(grid.mask)).T
    np.testing.assert_allclose(maps[5], -y * maps[0] + x * maps[1], rtol=1e-3, atol=1)

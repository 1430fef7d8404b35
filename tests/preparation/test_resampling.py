import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nilearn.image import resample_img, smooth_img
from scipy.ndimage import gaussian_filter1d, map_coordinates

from scaae_nipype.errors import UsageError
from scaae_nipype.grid import Grid, load_grid
from scaae_nipype.options import Preparation
from scaae_nipype.preparation.resampling import (
    FWHM_PER_SIGMA,
    ObliqueResampler,
    SeparableResampler,
    axis_matrix,
    make_resampler,
)

PLAIN = np.array([[3.1, 0, 0, -58], [0, 4.3, 0, -61], [0, 0, 5.2, -49], [0, 0, 0, 1]])
FLIPPED = np.array([[-3.1, 0, 0, 58], [0, 4.3, 0, -61], [0, 0, -5.2, 47], [0, 0, 0, 1]])
PERMUTED = np.array([[0, 0, 3.1, -58], [4.3, 0, 0, -61], [0, -5.2, 0, 47], [0, 0, 0, 1]])
ANGLE = np.deg2rad(7)
OBLIQUE = PLAIN @ np.array(
    [[np.cos(ANGLE), -np.sin(ANGLE), 0, 0], [np.sin(ANGLE), np.cos(ANGLE), 0, 1], [0, 0, 1, 0], [0, 0, 0, 1]]
)
SHAPE = (34, 31, 24)


def by_nilearn(volume, affine, grid, fwhm):
    smooth = smooth_img(nib.Nifti1Image(volume, affine), fwhm or None)
    image = resample_img(smooth, grid.affine, grid.shape, interpolation="linear")
    return grid.vectors(image.get_fdata())


def by_the_oblique_path(volume, affine, grid, fwhm):
    sigmas = fwhm / FWHM_PER_SIGMA / nib.affines.voxel_sizes(affine)
    return ObliqueResampler.between(volume.shape, np.linalg.inv(affine) @ grid.affine, grid, sigmas)(volume)


@pytest.fixture
def volume():
    return np.random.default_rng(0).normal(100, 20, size=SHAPE).astype("f4")


@pytest.mark.parametrize("fwhm", [0.0, 6.0, 15.0])
@pytest.mark.parametrize(
    ("affine", "path"),
    [
        (PLAIN, SeparableResampler),
        (FLIPPED, SeparableResampler),
        (PERMUTED, SeparableResampler),
        (OBLIQUE, ObliqueResampler),
    ],
)
def test_both_paths_do_what_nilearn_does(volume, grid, affine, path, fwhm):
    resample = make_resampler(SHAPE, affine, grid, smoothing_fwhm=fwhm)
    assert isinstance(resample, path)
    result = resample(volume)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, by_nilearn(volume, affine, grid, fwhm), atol=2e-3)
    np.testing.assert_allclose(result, by_the_oblique_path(volume, affine, grid, fwhm), atol=2e-3)


def test_a_two_millimetre_image_on_the_grid_of_the_model():
    grid = load_grid()
    affine = np.array([[-2.0, 0, 0, 90], [0, 2, 0, -126], [0, 0, 2, -72], [0, 0, 0, 1]])
    volume = np.random.default_rng(1).integers(0, 3000, size=(91, 109, 91)).astype("i2")
    result = make_resampler(volume.shape, affine, grid, smoothing_fwhm=6.0)(np.asfortranarray(volume))
    np.testing.assert_allclose(result, by_nilearn(volume.astype("f4"), affine, grid, 6.0), rtol=1e-5)


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(2, 30),
    sigma=st.one_of(st.just(0.0), st.floats(0.2, 4)),
    positions=st.lists(st.floats(-5, 35), min_size=1, max_size=8),
    seed=st.integers(0, 99),
)
def test_an_axis_matrix_is_the_filter_then_the_interpolation(n, sigma, positions, seed):
    positions = np.array([p for p in positions if abs(p) > 1e-3 and abs(p - (n - 1)) > 1e-3])
    series = np.random.default_rng(seed).normal(size=n)
    smooth = gaussian_filter1d(series, sigma) if sigma else series
    expected = map_coordinates(smooth, positions[None], order=1, mode="constant", cval=0.0)
    np.testing.assert_allclose(axis_matrix(n, positions, sigma) @ series, expected, atol=1e-9)


def test_an_image_on_the_grid_passes_unchanged(grid):
    volume = np.random.default_rng(2).normal(size=grid.shape).astype("f4")
    np.testing.assert_array_equal(make_resampler(grid.shape, grid.affine, grid)(volume), grid.vectors(volume))


def test_the_edge_belongs_to_the_image_despite_rounding(grid):
    nudged = grid.affine.copy()
    nudged[:3, 3] += 1e-5
    volume = np.ones(grid.shape, "f4")
    everything = Grid(grid.affine, np.ones(grid.shape, bool))
    np.testing.assert_allclose(make_resampler(grid.shape, nudged, everything)(volume), 1, atol=1e-4)
    np.testing.assert_allclose(by_the_oblique_path(volume, nudged, everything, 0.0), 1, atol=1e-4)


@pytest.mark.parametrize("fwhm", [0.0, 6.0])
def test_outside_the_image_is_zero_and_inside_a_constant_stays(grid, fwhm):
    half = np.full((7, 13, 11), 5.0, "f4")
    result = grid.volumes(make_resampler(half.shape, grid.affine, grid, smoothing_fwhm=fwhm)(half))
    assert (result[7:] == 0).all()
    np.testing.assert_allclose(result[:7][grid.mask[:7]], 5, rtol=1e-6)


def test_an_image_far_away_gives_zeros(grid):
    affine = PLAIN.copy()
    affine[0, 3] = 1000
    assert not make_resampler(SHAPE, affine, grid)(np.ones(SHAPE, "f4")).any()


@pytest.mark.parametrize("fwhm", [-1.0, np.nan, np.inf])
def test_an_impossible_width_is_refused(fwhm):
    with pytest.raises(UsageError, match=r"`smoothing_fwhm` .*: must be "):
        Preparation(smoothing_fwhm=fwhm)

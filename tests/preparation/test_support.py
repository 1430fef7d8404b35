"""The region of a run ends where its data end, and nothing without data is smoothed into it."""

import nibabel as nib
import numpy as np
import pytest
from nilearn.image import resample_img

from scaae_nipype.errors import InputError
from scaae_nipype.options import Preparation
from scaae_nipype.preparation import prepare_run

N = 60
COURSE = np.sin(2 * np.pi * 4 * np.arange(N) / N) + np.cos(2 * np.pi * 9 * np.arange(N) / N)
"""A time series with mean 0 and no trend to speak of."""

CUT = 10
"""The first of the run's 19 slices that holds no data."""


def prepare(files, grid, **arguments):
    settings = {name: arguments.pop(name) for name in Preparation.__dataclass_fields__ if name in arguments}
    preparation = Preparation(**{"strategy": "none", **settings})
    return prepare_run(files.bold, grid=grid, preparation=preparation, **{"mask": files.mask, **arguments})


def plant(data, table):
    data[:] = 1000 + 10 * COURSE


def slices_of(empty):
    def change(data, table):
        plant(data, table)
        data[:, :, CUT:] = empty

    return change


def correlations(run):
    """Correlate the series of the region's voxels with the planted one."""
    return np.corrcoef(COURSE, run.data[:, run.region].T)[0, 1:]


def weight_of(support, affine, grid):
    """Give what of the interpolation at every voxel of the grid falls on voxels with data, by nilearn."""
    image = nib.Nifti1Image(support.astype("f4"), affine)
    return grid.vectors(resample_img(image, grid.affine, grid.shape, interpolation="linear").get_fdata())


@pytest.mark.filterwarnings("ignore:Resampling binary images")
@pytest.mark.parametrize("fwhm", [0.0, 12.0])
@pytest.mark.parametrize("empty", [0.0, -7.0, 4000.0, np.nan])
def test_a_mask_that_is_larger_than_the_data_ends_with_them(make_run, grid, empty, fwhm):
    files = make_run(N, change=slices_of(empty))
    run = prepare(files, grid, smoothing_fwhm=fwhm)
    mask = nib.load(files.mask)
    support = np.asanyarray(mask.dataobj) > 0
    n_empty = int(support[:, :, CUT:].sum())
    support[:, :, CUT:] = False
    weight = weight_of(support, mask.affine, grid)
    assert weight[run.region].min() > 0.499
    assert run.region[weight > 0.501].all(), "voxels with data were left out"
    assert correlations(run).min() > 0.999
    kind = "NumberOfMaskVoxelsNotFinite" if np.isnan(empty) else "NumberOfMaskVoxelsConstant"
    assert run.metadata[kind] == n_empty
    (said,) = [text for text in run.metadata["Warnings"] if "left the region" in text]
    assert f" {n_empty} " in said


def test_a_field_of_constant_signal_that_is_cut_stays_constant_to_the_edge(make_run, grid):
    run = prepare(make_run(N, change=slices_of(0.0)), grid, smoothing_fwhm=10.0)
    inside = run.data[:, run.region]
    np.testing.assert_allclose(inside, np.broadcast_to(inside[:, :1], inside.shape), atol=2e-3)


def test_a_field_of_view_that_is_smaller_than_the_grid_ends_the_region(make_run, grid):
    files = make_run(N, change=plant)
    for path in (files.bold, files.mask):
        nib.save(nib.load(path).slicer[:, :, :CUT], path)
    whole = np.ones(nib.load(files.mask).shape, "u1")
    nib.save(nib.Nifti1Image(whole, nib.load(files.mask).affine), files.mask)
    run = prepare(files, grid)
    top = nib.affines.apply_affine(grid.affine, np.argwhere(grid.mask))[:, 2]
    last = nib.load(files.bold).affine[2, 3] + 5 * (CUT - 1)
    assert top[run.region].max() <= last < top.max()
    assert top[run.region].max() > last - 8, "a slice with data was left out"
    assert correlations(run).min() > 0.999


def test_a_cut_field_of_view_without_a_mask_is_no_masked_brain(make_run, grid):
    files = make_run(N, change=lambda data, table: data.__setitem__((slice(None), slice(None), slice(CUT, None)), 0))
    with_mask, without = prepare(files, grid), prepare(files, grid, mask=None)
    agreement = (with_mask.region & without.region).sum() / (with_mask.region | without.region).sum()
    assert agreement > 0.9
    assert "one was made from the intensities" in " ".join(without.metadata["Warnings"])


VOXEL = (10, 11, 9)


@pytest.mark.parametrize(
    ("value", "volumes", "with_mask"),
    [
        (np.nan, slice(7, 8), True),
        (np.nan, slice(7, 8), False),
        (np.nan, slice(None), True),
        (-np.inf, slice(7, 8), True),
        (1e35, slice(None), False),
    ],
)
def test_voxels_without_a_number_leave_the_region_and_the_run_goes_on(make_run, grid, value, volumes, with_mask):
    hole = tuple(slice(index - 1, index + 2) for index in VOXEL)
    given = {} if with_mask else {"mask": None}
    silent = prepare(make_run(change=lambda data, table: data.__setitem__(hole, 0)), grid)
    run = prepare(make_run(change=lambda data, table: data.__setitem__((*hole, volumes), value)), grid, **given)
    assert np.isfinite(run.data).all()
    if with_mask:
        np.testing.assert_array_equal(run.region, silent.region)
        np.testing.assert_allclose(run.data, silent.data, atol=1e-4)
    assert run.metadata["NumberOfMaskVoxelsNotFinite"] == 27
    assert any("27 are not finite" in text and "left the region" in text for text in run.metadata["Warnings"])
    whole = prepare(make_run(), grid, **given).region
    assert 0 < whole.sum() - run.region.sum() < 10


def test_voxels_that_are_empty_in_some_volumes_leave_the_region(make_run, grid):
    edge = (slice(None), slice(None), slice(13, None))
    silent = prepare(make_run(change=lambda data, table: data.__setitem__(edge, 0)), grid)

    def move_out(data, table):
        data[:, :, 13, 40:44] = 0  # the head moves, and the field of view with it
        data[:, :, 14:] = 0

    run = prepare(make_run(change=move_out), grid)
    assert run.metadata["NumberOfMaskVoxelsWithGaps"] > 100
    np.testing.assert_array_equal(run.region, silent.region)
    np.testing.assert_allclose(run.data, silent.data, atol=1e-4)


def test_denoised_data_that_pass_through_zero_are_complete(make_run, grid):
    def denoise(data, table):
        noise = data - data.mean(axis=-1, keepdims=True)
        data[:] = np.rint(noise / noise.std() * 3)  # 0 in one volume of eight

    run = prepare(make_run(change=denoise), grid, denoised=True)
    counts = {key: value for key, value in run.metadata.items() if key.startswith("NumberOfMaskVoxels")}
    assert counts.pop("NumberOfMaskVoxels") > 1000
    assert set(counts.values()) == {0}


def test_voxels_that_vary_by_rounding_errors_hold_no_data(make_run, grid):
    noise = 1e-12 * np.random.default_rng(0).normal(size=N)
    run = prepare(make_run(N, change=slices_of(noise)), grid, denoised=True)
    assert correlations(run).min() > 0.999
    assert run.metadata["NumberOfMaskVoxelsConstant"] > 900


def test_a_volume_of_which_the_brain_is_missing_is_refused_with_what_helps(make_run, grid):
    files = make_run(change=lambda data, table: data.__setitem__((slice(5, 16), slice(None), slice(None), 30), 0))
    with pytest.raises(InputError, match=r"volume 30 is 0 in [4-9][0-9]% of the brain; .* `fd_threshold`"):
        prepare(files, grid)
    files = make_run(change=lambda data, table: data.__setitem__((..., slice(0, 2)), np.nan))
    with pytest.raises(InputError, match=r"volumes 0, 1 have values that are not finite .* \(`dummy_scans` 2\)"):
        prepare(files, grid)
    assert prepare(files, grid, dummy_scans=2).metadata["NumberOfMaskVoxelsNotFinite"] == 0


def test_data_in_a_corner_of_the_brain_are_refused_with_the_reason(make_run, grid):
    files = make_run(change=lambda data, table: data.__setitem__((slice(None), slice(None), slice(4, None)), 0))
    with pytest.raises(InputError, match=r"only [0-9]% of the MNI brain .* in the brain mask, [0-9]+ hold no data"):
        prepare(files, grid)


def test_an_image_without_any_number_is_refused(make_run, grid):
    files = make_run(change=lambda data, table: data.__setitem__(..., np.nan))
    with pytest.raises(InputError, match=r"no voxel in its brain mask varies over time. Of .* are not finite"):
        prepare(files, grid)

import json
from dataclasses import replace

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from nilearn.image import resample_img, smooth_img
from nilearn.signal import clean

from scaae_nipype.errors import InputError, UsageError
from scaae_nipype.files import read_json, read_table, write_json, write_table
from scaae_nipype.grid import Grid, load_grid
from scaae_nipype.interfaces.preparation import PrepareRun
from scaae_nipype.options import Preparation
from scaae_nipype.preparation import PreparedFiles, prepare_run, read_prepared, write_prepared
from scaae_nipype.preparation.masking import mask_on_grid


def prepare(files, grid, **arguments):
    settings = {name: arguments.pop(name) for name in Preparation.__dataclass_fields__ if name in arguments}
    given = {"mask": files.mask, "confounds": files.confounds, **arguments}
    return prepare_run(files.bold, grid=grid, preparation=Preparation(**settings), **given)


def test_a_run_becomes_ready_for_the_model(make_run, grid):
    def mark(data, table):
        table["non_steady_state_outlier00"] = np.eye(60)[0]
        table["non_steady_state_outlier01"] = np.eye(60)[1]
        table.loc[[20, 39], "framewise_displacement"] = 0.9
        data[..., [0, 1, 20, 39]] += 5000

    files = make_run(change=mark)
    run = prepare(files, grid)
    dropped = [0, 1, 20, 39]
    assert run.data.shape == (60, grid.n_voxels)
    assert run.data.dtype == np.float32
    assert np.flatnonzero(~run.kept).tolist() == dropped
    assert np.flatnonzero(run.samples["dummy"]).tolist() == dropped[:2]
    assert np.flatnonzero(run.samples["censored"]).tolist() == dropped[2:]
    assert list(run.samples) == ["volume", "kept", "dummy", "censored", "framewise_displacement"]
    assert not run.data[dropped].any()
    assert not run.data[:, ~run.region].any()
    inside = run.data[np.ix_(run.kept, run.region)]
    np.testing.assert_allclose(inside.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(inside.std(axis=0, ddof=1), 1, rtol=1e-4)
    assert np.abs(inside).max() < 7, "a spike leaked"
    metadata = json.loads(json.dumps(run.metadata))
    assert metadata["NuisanceRegressors"][:2] == ["trans_x", "trans_x_derivative1"]
    assert len(metadata.pop("NuisanceRegressors")) == 26
    assert metadata.pop("MaskOutsideModel") == pytest.approx(0.35, abs=0.01), "its mask is larger than the model's"
    assert np.abs(metadata.pop("MaskCentreOffset")).max() < 3
    assert metadata.pop("NumberOfMaskVoxels") == np.asanyarray(nib.load(files.mask).dataobj).sum()
    assert metadata.pop("MaskCoverage") == pytest.approx(run.region.mean(), abs=1e-4)
    assert 25 < metadata.pop("ResidualDegreesOfFreedom") < 56 - 26
    assert metadata == {
        "RepetitionTime": 2.0,
        "RepetitionTimeSource": "header",
        "NumberOfMaskVoxelsConstant": 0,
        "NumberOfMaskVoxelsNotFinite": 0,
        "NumberOfMaskVoxelsWithGaps": 0,
        "NumberOfVolumes": 60,
        "NumberOfVolumesKept": 56,
        "NumberOfDummyScans": 2,
        "NumberOfVolumesCensored": 2,
        "SmoothingFWHM": 6.0,
        "NuisanceStrategy": "auto: 24P + WM + CSF",
        "HighPass": 0.008,
        "LowPass": None,
        "Detrend": True,
        "FramewiseDisplacementThreshold": 0.5,
        "Warnings": [],
        "Description": "Volumes were smoothed with a Gaussian of 6 mm FWHM and interpolated linearly onto a 8 x 8 x 8 "
        "mm MNI grid. Time series were cleaned by linear detrending, high-pass filtering (0.008 Hz, Butterworth), "
        "regression of 26 confounds (auto: 24P + WM + CSF) and z-scoring, without 2 initial volumes and 2 volumes with "
        "a framewise displacement above 0.5 mm.",
    }


def test_resampling_first_equals_cleaning_the_full_image_first(make_run, grid):
    files = make_run(90)
    run = prepare(files, grid, strategy="24P", low_pass=0.15, fd_threshold=0)
    image = nib.load(files.bold)
    regressors = files.table[run.metadata["NuisanceRegressors"]].bfill()
    series = image.get_fdata().reshape(-1, 90).T
    full = clean(series, confounds=regressors, t_r=2.0, high_pass=0.008, low_pass=0.15, standardize=None)
    cleaned = nib.Nifti1Image(full.T.reshape(image.shape), image.affine)
    smooth = resample_img(smooth_img(cleaned, 6.0), grid.affine, grid.shape, interpolation="linear")
    expected = grid.vectors(np.moveaxis(smooth.get_fdata(), -1, 0))
    expected = (expected - expected.mean(axis=0)) / expected.std(axis=0, ddof=1)
    np.testing.assert_allclose(run.data[:, run.region], expected[:, run.region], atol=2e-3)


def test_a_planted_confound_goes_and_a_planted_signal_stays(make_run, grid, tmp_path):
    signal = np.sin(2 * np.pi * 0.05 * 2.0 * np.arange(60))

    def plant(data, table):
        data[:10] += 300 * table["csf"].to_numpy().astype("f4")
        data[10:] += 60 * signal.astype("f4")

    files = make_run(change=plant)

    def correlation(series, strategy):
        volumes = grid.volumes(prepare(files, grid, strategy=strategy).data)
        left = grid.mask & (np.arange(12) >= 8)[:, None, None]  # low x of the run, whose axis runs the other way
        right = grid.mask & (np.arange(12) < 4)[:, None, None]
        return [abs(np.corrcoef(volumes[:, part].mean(axis=1), series)[0, 1]) for part in (left, right)]

    confound = files.table["csf"].to_numpy() - np.polyval(
        np.polyfit(np.arange(60), files.table["csf"], 1), np.arange(60)
    )
    assert correlation(confound, "published-code")[0] > 0.95
    only_csf = write_json({"columns": ["csf"]}, tmp_path / "csf.json")
    for strategy in ("auto", only_csf):
        assert correlation(confound, strategy)[0] < 0.2
    assert correlation(signal, only_csf)[1] > 0.95


def test_the_region_is_the_grids_mask_within_the_runs(make_run, grid):
    def silence(data, table):
        data[:, :12] = 700.0  # constant

    files = make_run(change=silence)
    run = prepare(files, grid, smoothing_fwhm=0.0)
    own = mask_on_grid(np.asanyarray(nib.load(files.mask).dataobj) > 0, nib.load(files.mask).affine, grid)
    constant = grid.vectors(np.broadcast_to((np.arange(13) * 8 - 50 <= 0)[None, :, None], grid.shape))
    np.testing.assert_array_equal(run.region, own & ~constant)
    assert run.metadata["Warnings"][-1].startswith("The run covers only")


def test_settings_replace_the_strategys(make_run, grid):
    files = make_run(change=lambda data, table: table.__setitem__("framewise_displacement", [0.1, 0.1, 0.9, 0.4] * 15))
    settings = {"high_pass": 0, "low_pass": 0, "fd_threshold": 0.5, "dummy_scans": 3}
    metadata = prepare(files, grid, strategy="athena", **settings).metadata
    assert [metadata[key] for key in ("HighPass", "LowPass", "FramewiseDisplacementThreshold")] == [None, None, 0.5]
    assert (metadata["NumberOfDummyScans"], metadata["NumberOfVolumesKept"]) == (3, 60 - 3 - 14)
    assert prepare(files, grid, fd_threshold=0).metadata["NumberOfVolumesCensored"] == 0
    assert prepare(files, grid, strategy="athena").metadata["NumberOfVolumesCensored"] == 0


def test_a_low_pass_above_the_nyquist_frequency_is_left_out(make_run, grid):
    run = prepare(make_run(repetition_time=8.0), grid, strategy="athena")
    assert run.metadata["LowPass"] is None
    assert run.metadata["Warnings"] == [
        "The low-pass filter at 0.08 Hz was left out: a repetition time of 8 s holds no frequency above 0.0625 Hz."
    ]


def test_a_denoised_run_is_not_denoised_twice(make_run, grid):
    files = make_run()
    run = prepare(files, grid, denoised=True)
    bare = prepare(files, grid, strategy="none")
    np.testing.assert_array_equal(run.data, bare.data)
    assert (run.metadata["HighPass"], run.metadata["Detrend"], run.metadata["NuisanceRegressors"]) == (None, False, [])
    assert run.metadata["FramewiseDisplacementThreshold"] == 0.5
    assert "had been denoised before; every voxel was z-scored" in run.metadata["Description"]
    assert prepare(files, grid, denoised=True, confounds=None).metadata["NuisanceRegressors"] == []


@pytest.mark.parametrize("background", ["noise", "zero"])
def test_a_missing_mask_is_made_from_the_data(make_run, grid, background):
    def blank(data, table):
        if background == "zero":
            data[data.mean(axis=-1) < 100] = 0

    files = make_run(change=blank)
    with_mask, without = prepare(files, grid), prepare(files, grid, mask=None)
    agreement = (with_mask.region & without.region).sum() / (with_mask.region | without.region).sum()
    assert agreement > 0.9
    how = "the voxels that are not zero" if background == "zero" else "the intensities of its mean volume"
    assert f"The run has no brain mask; one was made from {how}." in without.metadata["Warnings"]


def test_values_that_are_not_numbers_are_nothing_outside_the_brain(make_run, grid):
    files = make_run(change=lambda data, table: data.__setitem__(data.mean(axis=-1) < 100, 0))
    expected = prepare(files, grid)
    files = make_run(change=lambda data, table: data.__setitem__(data.mean(axis=-1) < 100, np.nan))
    np.testing.assert_array_equal(prepare(files, grid).data, expected.data)
    np.testing.assert_array_equal(
        prepare(files, grid, mask=None).region, prepare(replace(files), grid, mask=None).region
    )


def break_volumes(*volumes, value=np.nan, voxels=(10, 11, 9)):
    return lambda data, table: data.__setitem__((*voxels, list(volumes)), value)


@pytest.mark.parametrize("mask", [True, False])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (break_volumes(*range(9), value=np.inf, voxels=(slice(8, 14),) * 3), "0, 1, 2, 3, 4 and 4 more .* cut them"),
        (break_volumes(3, 4, voxels=(slice(None),) * 3), "volumes 3, 4 have values that are not finite .* `fd_thres"),
        (break_volumes(5, value=0, voxels=(slice(None),) * 3), "volume 5 has no values but 0 in the brain"),
    ],
)
def test_volumes_that_cannot_be_used_are_named(make_run, grid, change, message, mask):
    files = make_run(change=change)
    with pytest.raises(InputError, match=rf"bold\.nii\.gz: .*({message})"):
        prepare(files, grid, **({} if mask else {"mask": None}))


def test_volumes_that_are_dropped_may_be_broken(make_run, grid):
    def change(data, table):
        data[..., 0] = 0
        data[..., 30] = np.nan
        table.loc[30, "framewise_displacement"] = 3

    run = prepare(make_run(change=change), grid, dummy_scans=1)
    assert np.isfinite(run.data).all()
    assert run.metadata["NumberOfVolumesKept"] == 58


FAILURES = [
    ({"strategy": "37P"}, UsageError, r"^37P: no nuisance strategy has this name"),
    ({"repetition_time": 0.0}, InputError, r"bold\.nii\.gz: the repetition time of 0 s \(argument\)"),
    (
        {"dummy_scans": 60},
        InputError,
        r"bold\.nii\.gz: 60 dummy volumes cannot be cut off .*dummy_scans",
    ),
    ({"dummy_scans": -1}, UsageError, r"`dummy_scans` -1: must be auto, or 0 or larger"),
    (
        {"dummy_scans": 45},
        InputError,
        r"bold\.nii\.gz: Only 15 of 60 volumes are left .* filter needs 19; .*`fd_threshold`",
    ),
    (
        {"strategy": "athena", "dummy_scans": 30},
        InputError,
        r"Only 30 of 60 .* band-pass filter needs 34; .*`low_pass`",
    ),
    (
        {"strategy": "36P", "dummy_scans": 25},
        InputError,
        r"35 volumes are left, and 36P .* takes all .*`fd_threshold`",
    ),
    ({"high_pass": 0.3}, InputError, r"no frequency is above a high-pass of 0\.3 Hz and below 0\.25 Hz"),
    (
        {"high_pass": 0.1, "low_pass": 0.05},
        UsageError,
        r"`high_pass` 0\.1 must be lower than `low_pass` 0\.05 \(both in Hz\)",
    ),
    ({"high_pass": -0.1}, UsageError, r"`high_pass` -0\.1: must be 0 or larger"),
    ({"smoothing_fwhm": -6}, UsageError, r"`smoothing_fwhm` -6: must be 0 or larger"),
    ({"strategy": "24P", "confounds": None}, InputError, r"24P needs a table of confounds"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), FAILURES)
def test_impossible_requests_are_refused_in_one_line(make_run, grid, arguments, error, message):
    with pytest.raises(error, match=message) as caught:
        prepare(make_run(), grid, **arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("with_mask", [True, False])
def test_an_image_elsewhere_is_refused(make_run, grid, with_mask):
    away = Grid(grid.affine + np.array([[0, 0, 0, 90], *[[0, 0, 0, 0]] * 3]), grid.mask)
    with pytest.raises(InputError, match=r"bold\.nii\.gz: only \d% of the MNI brain .*; is the image in MNI space"):
        prepare(make_run(), away, **({} if with_mask else {"mask": None}))


def test_an_image_that_does_not_change_is_refused(make_run, grid):
    files = make_run(change=lambda data, table: data.__setitem__(..., data[..., :1]))
    with pytest.raises(InputError, match=r"bold\.nii\.gz: no voxel in its brain mask varies over time"):
        prepare(files, grid)


def test_a_table_that_is_none_is_refused(make_run, grid):
    files = make_run()
    files.confounds.write_text("a\tb\n1\t2\n1\t2\t3\n")
    with pytest.raises(InputError, match=r"confounds\.tsv: is not a tab-separated table .*\)\.$") as caught:
        prepare(files, grid)
    assert "\n" not in str(caught.value)


def test_memory_in_a_file_changes_nothing(make_run, grid, tmp_path):
    files = make_run()
    (tmp_path / "scratch").mkdir()
    run = prepare(files, grid, scratch_dir=tmp_path / "scratch")
    assert not list((tmp_path / "scratch").iterdir()), "the file has a name"
    np.testing.assert_array_equal(run.data, prepare(files, grid).data)
    written = write_prepared(run, tmp_path / "out")
    nib.save(grid.image(run.data, 2.0), tmp_path / "whole.nii.gz")
    by_volumes, whole = nib.load(written.out_file), nib.load(tmp_path / "whole.nii.gz")
    assert by_volumes.header == whole.header
    np.testing.assert_array_equal(by_volumes.get_fdata(), whole.get_fdata())


def test_confounds_of_another_run_are_refused(make_run, grid):
    files = make_run()
    write_table(files.table[:-1], files.confounds)
    with pytest.raises(InputError, match=r"confounds\.tsv: has 59 rows, but the run has 60 volumes"):
        prepare(files, grid)


def test_few_degrees_of_freedom_and_a_missing_column_are_warned_of(make_run, grid):
    files = make_run(45)
    write_table(files.table.drop(columns="framewise_displacement"), files.confounds)
    first, second = prepare(files, grid, strategy="36P").metadata["Warnings"]
    assert first == "No volume was censored for motion: the run has no column framewise_displacement."
    assert second.startswith("Only ")
    assert second.endswith(" degrees of freedom are left in each time series.")


def test_oblique_runs_are_prepared(make_run, grid):
    files = make_run()
    angle = np.deg2rad(4)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    for path in (files.bold, files.mask):
        image = nib.load(path)
        turned = nib.Nifti1Image(np.asanyarray(image.dataobj), turn @ image.affine, image.header)
        nib.save(turned, path)
    run = prepare(files, grid)
    assert run.region.mean() > 0.9
    assert np.isfinite(run.data).all()


def test_what_is_written_is_read_again(make_run, grid, tmp_path):
    run = prepare(make_run(), grid, dummy_scans=2)
    files = write_prepared(run, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(path.name for path in files)
    again = read_prepared(files, grid=grid)
    np.testing.assert_allclose(again.data, run.data, atol=np.abs(run.data).max() / 32767)
    np.testing.assert_array_equal(again.region, run.region)
    pd.testing.assert_frame_equal(again.samples, run.samples, check_dtype=False)
    assert (again.metadata, again.repetition_time) == (run.metadata, 2.0)
    image = nib.load(files.out_file)
    assert image.get_data_dtype() == np.int16
    assert image.header.get_zooms()[3] == 2.0
    assert grid.matches(nib.load(files.out_mask))
    write_table(again.samples[:-1], files.out_samples)
    with pytest.raises(InputError, match=r"prepared_samples\.tsv: has 59 rows for 60 volumes"):
        read_prepared(files, grid=grid)


def test_the_interface_works_on_paths(make_run, grid, tmp_path, monkeypatch):
    files = make_run()
    (tmp_path / "node").mkdir()
    monkeypatch.chdir(tmp_path / "node")
    node = PrepareRun(in_file=files.bold, in_mask=files.mask, confounds_file=files.confounds)
    node.inputs.grid_mask = grid.save(tmp_path / "grid.nii.gz")
    node.inputs.trait_set(strategy="24P+gsr", high_pass=0.0, dummy_scans=1)
    outputs = node.run().outputs
    run = read_prepared(PreparedFiles(*outputs.get().values()), grid=grid)
    assert run.metadata["NuisanceStrategy"] == "24P+gsr"
    assert run.metadata["HighPass"] is None
    assert read_table(outputs.out_samples)["kept"].tolist() == [0] + [1] * 59
    assert read_json(outputs.out_metadata)["SmoothingFWHM"] == 6.0
    assert {key for key, trait in node.inputs.traits().items() if not trait.desc} <= {"trait_added", "trait_modified"}


@pytest.mark.reference
def test_a_real_run_is_prepared(shared, tmp_path):
    grid = load_grid()
    source = shared / "data" / "bold-lowres" / "sub-007_lowres.nii.gz"
    run = prepare_run(source, grid=grid, preparation=Preparation(low_pass=0.1))
    assert run.data.shape == (50, grid.n_voxels)
    assert run.metadata["MaskCoverage"] > 0.8
    assert len(run.metadata["Warnings"]) == 4
    image = smooth_img(str(source), 6.0)
    resampled = resample_img(image, grid.affine, grid.shape, interpolation="linear")
    few = np.flatnonzero(run.region)[::50]
    series = np.moveaxis(resampled.get_fdata(), -1, 0)[:, grid.mask][:, few]
    expected = clean(series, t_r=1.0, high_pass=0.008, low_pass=0.1, standardize="zscore_sample")
    correlation = (run.data[:, few] * expected).sum(axis=0) / 49
    assert correlation.min() > 0.9999


def test_images_and_tables_in_memory_give_what_their_files_give(make_run, grid):
    files = make_run()
    expected = prepare(files, grid)
    bold, mask = nib.load(files.bold), nib.load(files.mask)
    stored = nib.Nifti1Image(np.asanyarray(bold.dataobj), bold.affine, bold.header)
    for image in (bold, stored):
        table = pd.read_csv(files.confounds, sep="\t", na_values="n/a")
        run = prepare_run(image, grid=grid, mask=mask, confounds=table)
        np.testing.assert_allclose(run.data, expected.data, atol=1e-5)
        np.testing.assert_array_equal(run.region, expected.region)
        assert run.metadata["NuisanceRegressors"] == expected.metadata["NuisanceRegressors"]
    assert grid.read_vectors(run.to_image()).shape == run.data.shape

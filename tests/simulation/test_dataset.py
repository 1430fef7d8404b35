"""The dataset: names, validity, truth, determinism, and what happens to folders that are not empty."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nilearn.interfaces.fmriprep import load_confounds

from scaae_nipype.errors import InputError, UsageError
from scaae_nipype.files import read_json, read_table
from scaae_nipype.simulation import RunSettings, source_grid, write_dataset
from scaae_nipype.simulation.dataset import FAVOURED_NETWORK

pytestmark = pytest.mark.xdist_group("dataset")  # most look at the same two datasets

SETTINGS = RunSettings(n_volumes=50, motion_spikes=2, snr=2.0)


def _tree(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in sorted(Path(folder).rglob("*")) if path.is_file()
    }


@pytest.fixture(scope="module")
def rest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rest") / "data"
    write_dataset(folder, settings=SETTINGS, voxel_size=8, seed=1)
    return folder


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    folder = tmp_path_factory.mktemp("task") / "data"
    told = []
    write_dataset(
        folder,
        n_participants=2,
        n_sessions=2,
        n_runs=2,
        settings=SETTINGS,
        voxel_size=8,
        task=True,
        network_jitter=2,
        seed=1,
        report=told.append,
    )
    assert len(told) == 8
    assert told[0] == "sub-01_ses-01_task-blocks_run-1"
    return folder


def test_files_are_named_as_fmriprep_names_them(rest):
    func = rest / "sub-01" / "func"
    assert sorted(path.name for path in func.iterdir()) == [
        "sub-01_task-rest_desc-confounds_timeseries.json",
        "sub-01_task-rest_desc-confounds_timeseries.tsv",
        "sub-01_task-rest_space-MNI152NLin2009cAsym_res-8_desc-brain_mask.json",
        "sub-01_task-rest_space-MNI152NLin2009cAsym_res-8_desc-brain_mask.nii.gz",
        "sub-01_task-rest_space-MNI152NLin2009cAsym_res-8_desc-preproc_bold.json",
        "sub-01_task-rest_space-MNI152NLin2009cAsym_res-8_desc-preproc_bold.nii.gz",
    ]


def test_the_image_is_bold_like(rest):
    func = rest / "sub-01" / "func"
    stem = "sub-01_task-rest_space-MNI152NLin2009cAsym_res-8"
    image = nib.load(func / f"{stem}_desc-preproc_bold.nii.gz")
    grid = source_grid(8)
    assert image.shape == (*grid.shape, 50)
    assert image.header.get_zooms()[3] == 2.0
    assert image.header.get_xyzt_units() == ("mm", "sec")
    assert image.get_data_dtype() == np.int16
    assert grid.matches(image)
    volumes = np.asanyarray(image.dataobj)
    mask = np.asanyarray(nib.load(func / f"{stem}_desc-brain_mask.nii.gz").dataobj) > 0
    np.testing.assert_array_equal(mask, grid.mask)
    assert (volumes[~mask] == 0).all()
    assert 8500 < volumes[mask].mean() < 11_000
    assert volumes[mask].min() > 3000
    sidecar = read_json(func / f"{stem}_desc-preproc_bold.json")
    assert sidecar["RepetitionTime"] == 2.0
    assert sidecar["TaskName"] == "rest"
    assert sidecar["SkullStripped"] is True


def test_the_truth_explains_the_images(rest):
    """Regressing the image on the planted time courses gives the planted maps back."""
    truth = rest / "sourcedata" / "truth"
    maps = np.asanyarray(nib.load(truth / "networks.nii.gz").dataobj)
    names = read_table(truth / "networks.tsv").name
    grid = source_grid(8)
    time_courses = read_table(truth / "sub-01_task-rest_timecourses.tsv")
    assert list(time_courses.columns) == ["volume", *names]
    image = nib.load(rest / "sub-01/func/sub-01_task-rest_space-MNI152NLin2009cAsym_res-8_desc-preproc_bold.nii.gz")
    bold = grid.vectors(np.moveaxis(np.asanyarray(image.dataobj), -1, 0)).astype(float)
    bold -= bold.mean(axis=1, keepdims=True)
    used = time_courses[names].loc[:, time_courses[names].max() > 0.9]
    assert used.shape[1] >= 3
    design = np.column_stack([np.ones(50), np.linspace(-1, 1, 50), used])
    betas = np.linalg.lstsq(design, bold, rcond=None)[0][2:]
    for name, beta in zip(used.columns, betas, strict=True):
        planted = grid.vectors(maps[..., list(names).index(name)])
        correlations = [np.corrcoef(beta, grid.vectors(maps[..., k]))[0, 1] for k in range(len(names))]
        assert np.corrcoef(beta, planted)[0, 1] == max(correlations)


def test_states_are_named_beside_their_volumes(rest):
    states = read_table(rest / "sourcedata/truth/sub-01_task-rest_states.tsv")
    time_courses = read_table(rest / "sourcedata/truth/sub-01_task-rest_timecourses.tsv")
    assert list(states.columns) == ["volume", "neural_state", "state", "motion_spike"]
    assert (time_courses.drop(columns="volume").idxmax(axis=1) == states.state).all()
    assert states.motion_spike.sum() == 2


def test_a_stationary_run_has_no_states(tmp_path):
    settings = RunSettings(n_volumes=8, regime="stationary")
    write_dataset(tmp_path, n_participants=1, settings=settings, voxel_size=10)
    states = read_table(tmp_path / "sourcedata/truth/sub-01_task-rest_states.tsv")
    assert states.state.isna().all()
    assert states.neural_state.isna().all()


@pytest.mark.parametrize("which", ["rest", "task"])
def test_the_validator_finds_no_error(which, request, validator_errors):
    assert validator_errors(request.getfixturevalue(which)) == []


def test_pybids_finds_the_runs_and_not_the_truth(task):
    from bids import BIDSLayout

    layout = BIDSLayout(task, validate=False, is_derivative=True)
    assert layout.get_subjects() == ["01", "02"]
    assert layout.get_sessions() == ["01", "02"]
    found = layout.get(desc="preproc", suffix="bold", extension=".nii.gz", task="blocks", run=2)
    assert len(found) == 4
    assert len(layout.get(desc="confounds", suffix="timeseries", extension=".tsv")) == 8
    assert not [path for path in layout.files if "truth" in str(path)]


@pytest.mark.parametrize(
    ("strategy", "options", "n_columns"),
    [
        (("motion", "wm_csf", "high_pass"), {"motion": "full", "wm_csf": "basic"}, 24 + 2 + 1),
        (("motion", "wm_csf", "global_signal"), {"motion": "full", "wm_csf": "full", "global_signal": "full"}, 36),
        (("motion", "high_pass", "compcor"), {"motion": "basic", "compcor": "anat_combined", "n_compcor": 5}, 12),
        (("motion", "high_pass", "compcor"), {"motion": "basic", "compcor": "anat_separated", "n_compcor": 3}, 13),
    ],
)
def test_nilearn_loads_the_confounds(rest, strategy, options, n_columns):
    image = rest / "sub-01/func/sub-01_task-rest_space-MNI152NLin2009cAsym_res-8_desc-preproc_bold.nii.gz"
    loaded, _ = load_confounds(str(image), strategy=strategy, **options)
    assert loaded.shape == (50, n_columns)
    assert not loaded.isna().to_numpy().any()


def test_events_drive_the_states(task):
    events = read_table(next((task / "sub-01/ses-01/func").glob("*run-1_events.tsv")))
    states = read_table(task / "sourcedata/truth/sub-01_ses-01_task-blocks_run-1_states.tsv")
    time = 2.0 * states.volume
    assert len(events) == 3
    assert events.trial_type.nunique() == 3
    for event in events.itertuples():
        within = (time >= event.onset) & (time < event.onset + event.duration)
        assert (states.neural_state[within] == event.trial_type).all()


def test_each_participant_has_jittered_networks(task):
    truth = task / "sourcedata" / "truth"
    one, two, common = (
        np.asanyarray(nib.load(truth / f"{name}networks.nii.gz").dataobj) for name in ("sub-01_", "sub-02_", "")
    )
    assert not np.allclose(one, two)
    assert np.corrcoef(one.ravel(), common.ravel())[0, 1] > 0.7


def test_runs_and_sessions_differ(task):
    images = list((task / "sub-01").rglob("*bold.nii.gz"))
    assert len(images) == 4
    assert len({path.read_bytes() for path in images}) == 4


def test_participants_have_the_columns_of_a_study(task):
    table = read_table(task / "participants.tsv")
    assert list(table.columns) == ["participant_id", "site", "diagnosis", "age"]
    assert table.diagnosis.tolist() == ["control", "patient"]


def test_the_group_difference_shows_in_the_attraction_of_one_state(tmp_path):
    same, other = tmp_path / "same", tmp_path / "other"
    short = RunSettings(n_volumes=6)
    write_dataset(same, settings=short, voxel_size=10)
    write_dataset(other, settings=short, voxel_size=10, group_difference=1.0)
    a, b = (read_table(folder / "sourcedata/truth/attraction.tsv").iloc[:, 1:] for folder in (same, other))
    names = read_table(same / "sourcedata/truth/networks.tsv").name.tolist()
    ratio = b / a
    assert (ratio.iloc[0] == 1).all()
    favoured = names.index(FAVOURED_NETWORK)
    assert ratio.iloc[1, favoured] == pytest.approx(2, rel=1e-4)
    assert (ratio.iloc[1].drop(index=f"attraction{favoured}") == 1).all()


def test_same_arguments_same_bytes_and_first_participants_stay(rest, tmp_path):
    again, more = tmp_path / "again", tmp_path / "more"
    write_dataset(again, settings=SETTINGS, voxel_size=8, seed=1)
    assert _tree(again) == _tree(rest)
    write_dataset(more, n_participants=3, settings=SETTINGS, voxel_size=8, seed=1)
    first = {name: content for name, content in _tree(rest).items() if name.startswith("sub-")}
    assert first.items() <= _tree(more).items()


def test_the_same_dataset_is_not_written_again(tmp_path):
    short = RunSettings(n_volumes=6, occupancy=None)
    first = write_dataset(tmp_path, settings=short, voxel_size=10)
    stamps = {name: (tmp_path / name).stat().st_mtime_ns for name in first.files}
    second = write_dataset(tmp_path, settings=short, voxel_size=10)
    assert first.fresh
    assert not second.fresh
    assert second.files == first.files
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in second.files} == stamps
    (tmp_path / "sub-02/func/sub-02_task-rest_desc-confounds_timeseries.tsv").unlink()
    assert write_dataset(tmp_path, settings=short, voxel_size=10).fresh


def test_an_earlier_output_is_replaced(tmp_path):
    short = RunSettings(n_volumes=6)
    write_dataset(tmp_path, n_participants=3, settings=short, voxel_size=10)
    write_dataset(tmp_path, n_participants=1, settings=short, voxel_size=10)
    assert [path.name for path in tmp_path.glob("sub-*")] == ["sub-01"]
    assert not list((tmp_path / "sourcedata/truth").glob("sub-03*"))


@pytest.mark.parametrize("content", ["notes.txt", "dataset_description.json"])
def test_a_strangers_folder_is_refused_and_left_alone(tmp_path, content):
    (tmp_path / content).write_text('{"Name": "precious", "GeneratedBy": [{"Name": "fMRIPrep"}]}')
    before = _tree(tmp_path)
    with pytest.raises(InputError, match=r"not empty and was not written by scaae-simulate; choose a new folder"):
        write_dataset(tmp_path, settings=RunSettings(n_volumes=6), voxel_size=10)
    assert _tree(tmp_path) == before


def test_a_file_in_the_way_is_said(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match=r"cannot be written .*choose another folder"):
        write_dataset(tmp_path / "file" / "data", settings=RunSettings(n_volumes=6), voxel_size=10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_participants": 0}, "number of participants is 0"),
        ({"n_sessions": -1}, "number of sessions is -1"),
        ({"group_difference": -1}, "has to be above -1"),
        ({"seed": -3}, "seed is -3"),
        ({"voxel_size": 30}, "from 1 to 10 mm"),
        ({"network_jitter": -1}, "network jitter is -1"),
        ({"task": True, "settings": RunSettings(n_volumes=6)}, "too short for a task"),
        ({"task": True, "settings": RunSettings(regime="stationary")}, "no states that a task could drive"),
    ],
)
def test_impossible_datasets_are_refused_before_anything_is_written(tmp_path, arguments, message):
    with pytest.raises(UsageError, match=message):
        write_dataset(tmp_path / "data", **{"voxel_size": 10, **arguments})
    assert not (tmp_path / "data").exists()

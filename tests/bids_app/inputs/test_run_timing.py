"""When volumes were taken, as sidecars say it in the ways that BIDS knows."""

import json

import nibabel as nib
import numpy as np
import pytest

from scaae_nipype.bids_app.inputs.find import find_inputs
from scaae_nipype.bids_app.inputs.plan import plan_text
from scaae_nipype.bids_app.inputs.run_timing import read_timing
from scaae_nipype.errors import InputError


@pytest.fixture
def sidecar(tmp_path):
    """Give a writer of one sidecar; its path, in a tuple as inheritance gives it."""

    def write(name="bold.json", **content):
        path = tmp_path / name
        path.write_text(json.dumps(content))
        return (path,)

    return write


def test_even_volume_timing_is_a_repetition_time(sidecar):
    timing = read_timing(sidecar(VolumeTiming=[0, 1.333, 2.667, 4.0, 5.333], FrameAcquisitionDuration=1.2))
    assert timing.repetition_time == pytest.approx(1.33325)
    assert timing.start_time == 0
    assert timing.source == "VolumeTiming of bold.json"
    assert "even distance in VolumeTiming" in timing.notes[0]


def test_onsets_count_from_the_first_volume_wherever_the_list_begins(sidecar):
    timing = read_timing(sidecar(VolumeTiming=[6.0, 9.0, 12.0], AcquisitionDuration=1.0, StartTime=0.5))
    assert (timing.repetition_time, timing.start_time) == (3.0, 0.5)
    assert any("begins at 6 s; onsets of events count from the first volume" in note for note in timing.notes)


def test_a_sparse_sequence_is_regular_and_said(sidecar):
    timing = read_timing(sidecar(RepetitionTime=8.0, DelayTime=6.0))
    assert timing.repetition_time == 8.0
    assert timing.notes == ("Volumes are taken in the first 2 s of every 8 s (sparse acquisition, DelayTime 6 s).",)


def test_what_fmriprep_writes_is_read(sidecar):
    content = {"RepetitionTime": 2.0, "StartTime": 0.95, "SliceTimingCorrected": True, "SkullStripped": False}
    timing = read_timing(sidecar(**content))
    assert (timing.repetition_time, timing.start_time, timing.notes) == (2.0, 0.95, ())
    assert timing.source == "RepetitionTime of bold.json"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"VolumeTiming": [0, 2, 4, 7]}, r"VolumeTiming is not even \(steps of 2 to 3 s\)"),
        ({"VolumeTiming": [0, 2, 4, 4]}, "VolumeTiming is not even"),
        ({"VolumeTiming": [4, 2, 0]}, "VolumeTiming is not even"),
        ({"VolumeTiming": [0, "2", 4]}, "not a list of the volumes' times in s"),
        ({"VolumeTiming": 2.0}, "VolumeTiming is 2.0, not a list"),
        ({"VolumeTiming": [0]}, "not a list of the volumes' times"),
        ({"VolumeTiming": [0, 2000, 4000]}, "a volume every 2000 s, which is impossible"),
        (
            {"VolumeTiming": [0, 2, 4], "RepetitionTime": 1.0},
            "RepetitionTime is 1 s and VolumeTiming has a",
        ),
        ({"RepetitionTime": "2.0"}, "RepetitionTime is '2.0', not a positive number of seconds"),
        ({"RepetitionTime": [2.0]}, r"RepetitionTime is \[2.0\], not a positive number"),
        ({"RepetitionTime": -2}, "RepetitionTime is -2, not a positive number"),
        ({"RepetitionTime": 2000}, r"RepetitionTime is 2000 \(milliseconds\?\), impossible in seconds"),
        ({"RepetitionTime": 0.002}, "RepetitionTime is 0.002, impossible in seconds"),
        ({"RepetitionTime": 2.0, "DelayTime": 6.0}, "DelayTime is 6 s, no part of the repetition time of 2 s"),
        ({"RepetitionTime": 2.0, "DelayTime": "1"}, "DelayTime is '1', not a number of seconds"),
        ({"RepetitionTime": 2.0, "StartTime": 950}, "StartTime is 950 s, more than the repetition time of 2 s"),
        ({"RepetitionTime": 2.0, "StartTime": "half"}, "StartTime is 'half', not a number of seconds"),
    ],
)
def test_what_cannot_be_a_time_is_refused_in_one_line(sidecar, content, words):
    paths = sidecar(**content)
    with pytest.raises(InputError, match=words) as caught:
        read_timing(paths)
    assert str(paths[0]) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_nearest_sidecar_with_either_decides(sidecar):
    near, far = sidecar("near.json", VolumeTiming=[0, 1.5, 3]), sidecar("far.json", RepetitionTime=2.0, StartTime=0.2)
    assert read_timing((*near, *far)).repetition_time == 1.5
    assert read_timing((*near, *far)).start_time == 0.2
    assert read_timing((*far, *near)).repetition_time == 2.0
    silent = sidecar("silent.json", RepetitionTime=None)
    assert read_timing((*silent, *far)).repetition_time == 2.0
    assert read_timing(silent).repetition_time is None


def test_volume_timing_must_have_a_time_for_every_volume(sidecar, tmp_path):
    image = tmp_path / "bold.nii"
    nib.save(nib.Nifti1Image(np.zeros((2, 2, 2, 5), "f4"), np.eye(4)), image)
    with pytest.raises(InputError, match="lists 4 volumes and the image has 5"):
        read_timing(sidecar(VolumeTiming=[0, 2, 4, 6]), image=image)
    assert read_timing(sidecar(VolumeTiming=[0, 2, 4, 6, 8]), image=image).repetition_time == 2
    assert read_timing(sidecar(VolumeTiming=[0, 2, 4, 6]), image=tmp_path / "none.nii").repetition_time == 2


def test_a_repetition_time_that_is_given_wins_and_says_so(sidecar):
    told = read_timing(sidecar(RepetitionTime=2.0, StartTime=0.9), given=1.5)
    assert (told.repetition_time, told.start_time, told.source) == (1.5, 0.9, "--repetition-time")
    assert told.notes == ("--repetition-time 1.5 was used, against the 2 s in RepetitionTime of bold.json.",)
    assert read_timing(sidecar(RepetitionTime=1.5), given=1.5).notes == ()
    (note,) = read_timing(sidecar(RepetitionTime=2000), given=2.0).notes
    assert "although a sidecar is wrong" in note
    assert read_timing((), given=2.0).repetition_time == 2.0


def test_runs_are_planned_with_it(tree):
    """A run with uneven times is named and left out, the healthy ones stay."""
    for label in ("01", "02", "03"):
        tree.run(f"sub-{label}_task-rest", repetition_time=None)
    tree.path("sub-01_task-rest_bold.json").write_text(json.dumps({"VolumeTiming": [0, 2, 4]}))
    tree.path("sub-02_task-rest_bold.json").write_text(json.dumps({"VolumeTiming": [0, 2, 5]}))
    inputs = find_inputs(tree.root)
    assert {run.entities["sub"]: run.repetition_time for run in inputs.runs} == {"01": 2.0, "03": None}
    assert "TR 2 s" in plan_text(inputs)
    (skip,) = inputs.skipped
    assert skip.is_fault
    assert "sub-02_task-rest_bold.json: VolumeTiming is not even" in skip.reason
    given = find_inputs(tree.root, repetition_time=2.5)
    assert [run.repetition_time for run in given.runs] == [2.5, 2.5, 2.5]

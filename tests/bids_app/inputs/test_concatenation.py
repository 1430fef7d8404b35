"""A concatenation beside its parts: no data count twice, and nothing is taken for one by its name alone."""

import json

import pytest

from scaae_nipype.bids_app.inputs.find import find_inputs
from scaae_nipype.bids_app.inputs.plan import plan_text
from scaae_nipype.bids_app.inputs.query import Query

SPACE = "space-MNI152NLin2009cAsym_res-2_desc-denoised_bold"


@pytest.fixture
def xcpd(make_tree):
    return make_tree("xcp_d", "XCP-D")


def stems(inputs) -> list[str]:
    return [run.bold.name.partition("_space-")[0] for run in inputs.runs]


def add(tree, stem: str, n_volumes: int, *, sources=None, space=SPACE):
    path = tree.image(f"{stem}_{space}.nii.gz", 2, n_volumes=n_volumes)
    if sources is not None:
        path.with_name(f"{stem}_{space}.json").write_text(json.dumps({"Sources": sources}))
    return path


class TestParts:
    def test_parts_are_taken_and_the_sum_of_volumes_tells(self, xcpd):
        add(xcpd, "sub-01_task-rest_run-01", 3)
        add(xcpd, "sub-01_task-rest_run-02", 4)
        whole = add(xcpd, "sub-01_task-rest", 7)
        inputs = find_inputs(xcpd.root)
        assert stems(inputs) == ["sub-01_task-rest_run-01", "sub-01_task-rest_run-02"]
        (skip,) = inputs.skipped
        assert (skip.path, skip.is_fault) == (whole, False)
        assert skip.reason.startswith("the concatenation of run-01, run-02 (its 7 volumes are the sum of theirs)")
        assert f"Skipped: {whole.name}: the concatenation of run-01, run-02" in plan_text(inputs)

    def test_whole_on_demand(self, xcpd):
        add(xcpd, "sub-01_task-rest_run-01", 3)
        add(xcpd, "sub-01_task-rest_run-02", 4)
        add(xcpd, "sub-01_task-rest", 7)
        add(xcpd, "sub-02_task-rest_run-01", 3)
        inputs = find_inputs(xcpd.root, concatenated="whole")
        assert stems(inputs) == ["sub-01_task-rest", "sub-02_task-rest_run-01"]
        assert len(inputs.skipped) == 2
        assert all(skip.reason.startswith("a part of sub-01_task-rest_space") for skip in inputs.skipped)

    @pytest.mark.parametrize("parts", [("dir-AP", "dir-PA"), ("dir-AP_run-1", "dir-AP_run-2", "dir-PA_run-1")])
    def test_directions(self, xcpd, parts):
        for part in parts:
            add(xcpd, f"sub-01_task-rest_{part}", 3)
        add(xcpd, "sub-01_task-rest", 3 * len(parts))
        inputs = find_inputs(xcpd.root)
        assert stems(inputs) == [f"sub-01_task-rest_{part}" for part in parts]

    def test_concatenations_of_concatenations(self, xcpd):
        for direction in ("AP", "PA"):
            for run in "12":
                add(xcpd, f"sub-01_task-rest_dir-{direction}_run-{run}", 3)
            add(xcpd, f"sub-01_task-rest_dir-{direction}", 6)
        add(xcpd, "sub-01_task-rest", 12)
        assert len(find_inputs(xcpd.root).runs) == 4
        assert len(find_inputs(xcpd.root).skipped) == 3
        assert stems(find_inputs(xcpd.root, concatenated="whole")) == ["sub-01_task-rest"]

    def test_every_space_version_and_session_has_its_own(self, xcpd):
        for session in "ab":
            for stem, n in (("task-rest_run-1", 3), ("task-rest_run-2", 4), ("task-rest", 7)):
                add(xcpd, f"sub-01_ses-{session}_{stem}", n)
                add(xcpd, f"sub-01_ses-{session}_{stem}", n, space=SPACE.replace("denoised", "denoisedSmoothed"))
        inputs = find_inputs(xcpd.root)
        assert len(inputs.runs) == 4
        assert all("run" in run.entities for run in inputs.runs)

    def test_parts_that_lie_in_another_dataset(self, make_tree, xcpd):
        fmriprep = make_tree("fmriprep")
        for run in "12":
            fmriprep.run(f"sub-01_task-rest_run-{run}")  # 3 volumes each; XCP-D left one out of the second
        add(xcpd, "sub-01_task-rest", 5)
        inputs = find_inputs(fmriprep.root, derivatives={"xcp_d": xcpd.root})
        assert stems(inputs) == ["sub-01_task-rest_run-1", "sub-01_task-rest_run-2"]
        assert "assumed: 5 volumes to their 6, and fmriprep has no such run" in plan_text(inputs)


class TestEvidence:
    def test_sources_in_the_sidecar_decide(self, xcpd):
        names = [add(xcpd, f"sub-01_task-rest_run-{run}", 3).name for run in "12"]
        add(xcpd, "sub-01_task-rest", 5, sources=[f"bids::sub-01/func/{name}" for name in names])
        inputs = find_inputs(xcpd.root)
        assert len(inputs.runs) == 2
        assert "its sidecar names them as its Sources" in plan_text(inputs)

    def test_a_run_of_its_own_by_its_sources(self, xcpd):
        for run in "12":
            add(xcpd, f"sub-01_task-rest_run-{run}", 3)
        add(xcpd, "sub-01_task-rest", 6, sources=["bids:raw:sub-01/func/sub-01_task-rest_bold.nii.gz"])
        assert len(find_inputs(xcpd.root).runs) == 3

    def test_a_run_of_its_own_by_its_volumes(self, xcpd):
        for run in "12":
            add(xcpd, f"sub-01_task-rest_run-{run}", 3)
        add(xcpd, "sub-01_task-rest", 5)
        inputs = find_inputs(xcpd.root)
        assert len(inputs.runs) == 3
        assert "its 5 volumes are not those of run-1, run-2 together (6)" in plan_text(inputs)

    def test_one_other_run_is_no_part(self, xcpd):
        add(xcpd, "sub-01_task-rest", 3)
        add(xcpd, "sub-01_task-rest_run-2", 3)
        assert len(find_inputs(xcpd.root).runs) == 2

    def test_header_that_cannot_be_read(self, xcpd):
        for run in "12":
            add(xcpd, f"sub-01_task-rest_run-{run}", 3)
        add(xcpd, "sub-01_task-rest", 6).write_bytes(b"no image")
        inputs = find_inputs(xcpd.root)
        assert len(inputs.runs) == 2
        assert "assumed from its name, the headers cannot be read" in plan_text(inputs)

    def test_pipe_in_place_of_a_part(self, xcpd):
        import os

        add(xcpd, "sub-01_task-rest_run-1", 3)
        os.mkfifo(xcpd.path(f"sub-01_task-rest_run-2_{SPACE}.nii.gz"))
        add(xcpd, "sub-01_task-rest", 6)
        inputs = find_inputs(xcpd.root)
        assert stems(inputs) == ["sub-01_task-rest_run-1"]
        assert [skip.is_fault for skip in inputs.skipped] == [True, False]

    def test_concatenation_that_was_asked_for_alone(self, xcpd):
        for run in "12":
            add(xcpd, f"sub-01_task-rest_run-{run}", 3)
        add(xcpd, "sub-01_task-rest", 6)
        assert stems(find_inputs(xcpd.root, Query.of(filters={"bold": {"run": None}}))) == ["sub-01_task-rest"]
        assert stems(find_inputs(xcpd.root, Query.of(filters={"bold": {"run": [None, "1"]}}))) == [
            "sub-01_task-rest_run-1"
        ]


class TestWhole:
    def test_files_of_one_part_do_not_belong_to_it(self, make_tree, xcpd):
        fmriprep = make_tree("fmriprep")
        raw = make_tree("data", DatasetType="raw")
        for run in "12":
            fmriprep.run(f"sub-01_task-rest_run-{run}")
            add(xcpd, f"sub-01_task-rest_run-{run}", 3)
            raw.add(f"sub-01_task-rest_run-{run}_events.tsv")
        add(xcpd, "sub-01_task-rest", 6)
        (run,) = find_inputs(
            xcpd.root,
            Query.of(filters={"bold": {"desc": "denoised"}}),
            derivatives={"fmriprep": fmriprep.root, "raw": raw.root},
            concatenated="whole",
        ).runs
        assert (run.mask, run.events, run.confounds) == (None, None, None)


@pytest.mark.parametrize(("option", "expected"), [((), "2 runs"), (("--concatenated", "whole"), "1 run")])
def test_command_line(scaae_bids_here, xcpd, tmp_path, monkeypatch, option, expected):
    monkeypatch.chdir(tmp_path)
    add(xcpd, "sub-01_task-rest_run-01", 3)
    add(xcpd, "sub-01_task-rest_run-02", 4)
    add(xcpd, "sub-01_task-rest", 7)
    done = scaae_bids_here(xcpd.root, tmp_path / "out", "participant", "--dry-run", *option)
    assert done.returncode == 0, done.stderr
    assert f"Will run: {expected} of 1 participant" in done.stdout

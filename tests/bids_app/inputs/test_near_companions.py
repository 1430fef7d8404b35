"""Companions whose names differ in what BIDS treats as equal or optional are found, or told as not found."""

import json
import os

import pytest

from scaae_nipype.bids_app.inputs.find import find_inputs
from scaae_nipype.bids_app.inputs.plan import plan_text
from scaae_nipype.bids_app.inputs.query import Query

CASYM, SIXTH = "space-MNI152NLin2009cAsym", "space-MNI152NLin6Asym"
STEM = "sub-01_task-rest_run-01"
BOLD = f"{STEM}_{CASYM}_res-2_desc-preproc_bold"


def only(inputs):
    (run,) = inputs.runs
    return run


@pytest.fixture
def bare(tree):
    """Give a dataset with one BOLD image and nothing beside it."""
    tree.image(f"{BOLD}.nii.gz", 2)
    return tree


class TestIndices:
    """``run-1`` and ``run-01`` are the same run; ``ses-1`` and ``ses-01`` are two sessions."""

    def test_all_companions(self, bare):
        other = STEM.replace("run-01", "run-1")
        mask = bare.add(f"{other}_{CASYM}_res-2_desc-brain_mask.nii.gz")
        confounds = bare.add(f"{other}_desc-confounds_timeseries.tsv")
        metadata = bare.add(f"{STEM.replace('run-01', 'run-001')}_desc-confounds_timeseries.json")
        sidecar = bare.add(f"{other}_bold.json", content=json.dumps({"RepetitionTime": 1.5}))
        events = bare.add(f"{other}_events.tsv")
        run = only(find_inputs(bare.root))
        assert (run.mask, run.confounds, run.confounds_metadata) == (mask, confounds, metadata)
        assert (run.sidecars, run.repetition_time, run.events) == ((sidecar,), 1.5, events)

    def test_to_the_letter_goes_first(self, bare):
        bare.add(f"{STEM.replace('run-01', 'run-1')}_desc-confounds_timeseries.tsv")
        exact = bare.add(f"{STEM}_desc-confounds_timeseries.tsv")
        assert only(find_inputs(bare.root)).confounds == exact

    def test_one_run_in_two_datasets(self, make_tree):
        make_tree("fmriprep").run("sub-01_task-rest_run-1")
        xcpd = make_tree("xcp_d", "XCP-D")
        xcpd.add(f"sub-01_task-rest_run-01_{CASYM}_res-2_desc-denoised_bold.nii.gz")
        inputs = find_inputs(xcpd.root, derivatives={"fmriprep": make_tree("fmriprep").root})
        assert only(inputs).entities["run"] == "1"
        assert "desc-preproc of fmriprep is taken" in plan_text(inputs)

    def test_other_sessions_are_others(self, tree):
        tree.add(f"sub-01_ses-1_task-rest_{CASYM}_res-2_desc-preproc_bold.nii.gz")
        tree.add("sub-01_ses-01_task-rest_desc-confounds_timeseries.tsv")
        assert only(find_inputs(tree.root)).confounds is None


class TestMasks:
    def test_pipe_under_another_name(self, bare):
        os.mkfifo(bare.path(f"{STEM}_{CASYM}_desc-brain_mask.nii.gz"))
        assert only(find_inputs(bare.root)).mask is None

    @pytest.mark.parametrize(
        ("name", "difference"),
        [
            (f"{STEM}_{CASYM}_desc-brain_mask.nii.gz", "no res, not res-2"),
            (f"{STEM}_{CASYM}_res-02_desc-brain_mask.nii.gz", "res-02, not res-2"),
            (f"{STEM}_desc-brain_mask.nii.gz", "no space, not space-MNI152NLin2009cAsym; no res, not res-2"),
        ],
    )
    def test_resolution_by_the_header(self, bare, name, difference):
        mask = bare.image(name, 2, n_volumes=None)
        inputs = find_inputs(bare.root)
        assert only(inputs).mask == mask
        assert f"Brain mask taken by its grid, its name has {difference}: {name}, for {BOLD}.nii.gz." in inputs.notes

    def test_bold_without_resolution(self, tree):
        tree.image(f"{STEM}_{CASYM}_desc-preproc_bold.nii.gz", 2)
        mask = tree.image(f"{STEM}_{CASYM}_res-2_desc-brain_mask.nii.gz", 2, n_volumes=None)
        assert only(find_inputs(tree.root)).mask == mask

    @pytest.mark.parametrize(
        ("name", "size", "words"),
        [
            (f"{STEM}_{CASYM}_desc-brain_mask.nii.gz", 3, "(no res, not res-2)"),
            (f"{STEM}_{SIXTH}_res-2_desc-brain_mask.nii.gz", 2, "(space-MNI152NLin6Asym, not space-MNI152NLin2009c"),
            (f"{STEM}_{CASYM}_res-2_desc-Brain_mask.nii.gz", 2, "(desc-Brain, not desc-brain)"),
            (f"sub-01_task-Rest_run-01_{CASYM}_res-2_desc-brain_mask.nii.gz", 2, "(task-Rest, not task-rest)"),
            (f"sub-01_task-rest_run-02_{CASYM}_res-2_desc-brain_mask.nii.gz", 2, "(run-02, not run-01)"),
        ],
    )
    def test_one_that_does_not_fit_is_told(self, bare, name, size, words):
        bare.image(name, size, n_volumes=None)
        inputs = find_inputs(bare.root)
        assert only(inputs).mask is None
        (note,) = (note for note in inputs.notes if note.startswith("No brain mask fits; the nearest"))
        assert words in note and name in note
        assert note in plan_text(inputs)

    @pytest.mark.parametrize("label", ["label-brain", "label-brain_desc-fmriprep"])
    def test_newer_name_of_masks(self, bare, label):
        mask = bare.add(f"{STEM}_{CASYM}_res-2_{label}_mask.nii.gz")
        bare.add(f"{STEM}_{CASYM}_res-2_label-GM_mask.nii.gz")
        assert only(find_inputs(bare.root)).mask == mask

    def test_usual_name_before_the_newer_one(self, bare):
        bare.add(f"{STEM}_{CASYM}_res-2_label-brain_mask.nii.gz")
        usual = bare.add(f"{STEM}_{CASYM}_res-2_desc-brain_mask.nii.gz")
        assert only(find_inputs(bare.root)).mask == usual

    def test_many_runs_are_told_in_one_line(self, tree):
        for sub in ("01", "02", "03"):
            tree.image(f"sub-{sub}_task-rest_{CASYM}_res-2_desc-preproc_bold.nii.gz", 2)
            tree.image(f"sub-{sub}_task-rest_{CASYM}_desc-brain_mask.nii.gz", 3, n_volumes=None)
        (note,) = (note for note in find_inputs(tree.root).notes if "brain mask" in note)
        assert note.endswith("(and 2 more runs).")


class TestConfounds:
    @pytest.mark.parametrize(
        ("bold", "table"),
        [
            ("sub-01_task-rest_run-1", f"sub-01_task-rest_run-01_{CASYM}_desc-confounds_timeseries.tsv"),
            ("sub-01_task-rest_run-1", "sub-01_task-rest_run-1_space-T1w_desc-confounds_timeseries.tsv"),
            ("sub-01_task-rest_run-1", "sub-01_task-rest_run-1_desc-confounds_regressors.tsv"),
            ("sub-01_task-rest_acq-mb_rec-x", "sub-01_task-rest_rec-x_desc-confounds_timeseries.tsv"),
            ("sub-01_task-rest", "sub-01_task-rest_ce-gd_desc-confounds_timeseries.tsv"),
            ("sub-01_task-rest_part-mag", "sub-01_task-rest_desc-confounds_timeseries.tsv"),
            ("sub-01_task-rest", "sub-01_task-rest_part-mag_desc-confounds_timeseries.tsv"),
        ],
    )
    def test_found(self, tree, bold, table):
        tree.add(f"{bold}_{CASYM}_desc-preproc_bold.nii.gz")
        path = tree.add(table)
        inputs = find_inputs(tree.root)
        assert only(inputs).confounds == path
        assert any("Confounds table taken, its name has space-T1w" in note for note in inputs.notes) == ("T1w" in table)

    @pytest.mark.parametrize(
        ("table", "words"),
        [
            ("sub-01_task-REST_run-01_desc-confounds_timeseries.tsv", "(task-REST, not task-rest)"),
            ("sub-01_task-rest_run-02_desc-confounds_timeseries.tsv", "(run-02, not run-01)"),
            ("sub-01_task-rest_run-01_desc-Confounds_timeseries.tsv", "(desc-Confounds, not desc-confounds)"),
        ],
    )
    def test_one_that_does_not_fit_is_told(self, bare, table, words):
        bare.add(table)
        inputs = find_inputs(bare.root)
        assert only(inputs).confounds is None
        (note,) = (note for note in inputs.notes if note.startswith("No confounds table fits"))
        assert words in note and table in note

    def test_names_without_session_in_two_sessions(self, tree):
        for session in "ab":
            tree.add(f"sub-01_ses-{session}_task-rest_{CASYM}_desc-preproc_bold.nii.gz")
            func = tree.root / "sub-01" / f"ses-{session}" / "func"
            (func / "sub-01_task-rest_desc-confounds_timeseries.tsv").write_text("a\n0\n")
        runs = find_inputs(tree.root).runs
        assert [run.confounds.parent for run in runs] == [run.bold.parent for run in runs]


class TestSidecarsAndEvents:
    def test_sidecar_that_says_too_much(self, bare):
        bare.add(f"{STEM}_acq-x_bold.json")
        inputs = find_inputs(bare.root)
        assert only(inputs).sidecars == ()
        (note,) = (note for note in inputs.notes if note.startswith("No sidecar fits"))
        assert "acq-x" in note

    def test_events_of_another_name(self, make_tree):
        raw = make_tree("data", DatasetType="raw")
        make_tree("data/derivatives/fmriprep").run("sub-01_task-rest")
        raw.add("sub-01_ses-1_task-Rest_events.tsv")
        inputs = find_inputs(raw.root)
        assert only(inputs).events is None
        (note,) = (note for note in inputs.notes if note.startswith("No table of events fits"))
        assert "(ses-1, not no ses; task-Rest, not task-rest)" in note

    def test_events_of_another_task_are_no_news(self, make_tree):
        raw = make_tree("data", DatasetType="raw")
        make_tree("data/derivatives/fmriprep").run("sub-01_task-rest")
        raw.add("sub-01_task-nback_events.tsv")
        assert not any("events" in note for note in find_inputs(raw.root).notes)

    @pytest.mark.parametrize(("kind", "words"), [("dangling", "its content is not here"), ("pipe", "no regular file")])
    def test_events_that_cannot_be_read(self, make_tree, kind, words):
        raw = make_tree("data", DatasetType="raw")
        make_tree("data/derivatives/fmriprep").run("sub-01_task-rest")
        path = raw.path("sub-01_task-rest_events.tsv")
        path.symlink_to("nowhere") if kind == "dangling" else os.mkfifo(path)
        inputs = find_inputs(raw.root)
        assert only(inputs).events is None
        assert any(words in note and str(path) in note for note in inputs.notes)


class TestProcessings:
    """Versions of one run that differ in ``proc-`` are one run."""

    def test_one_is_taken(self, tree):
        for label in ("b", "a"):
            tree.run(f"sub-01_task-rest_proc-{label}")
        inputs = find_inputs(tree.root)
        assert only(inputs).entities["proc"] == "a"
        assert 'proc-a is taken (the filter file chooses another: {"bold": {"proc": …}})' in plan_text(inputs)
        assert only(find_inputs(tree.root, Query.of(filters={"bold": {"proc": "b"}}))).entities["proc"] == "b"
        assert len(find_inputs(tree.root, Query.of(filters={"bold": {"proc": "*"}})).runs) == 1

    def test_none_before_one(self, tree):
        tree.run("sub-01_task-rest_proc-a")
        tree.run("sub-01_task-rest")
        assert "proc" not in only(find_inputs(tree.root)).entities


def test_reconstructions_are_all_taken_and_told(tree):
    for label in "ab":
        tree.run(f"sub-01_task-rest_rec-{label}")
    inputs = find_inputs(tree.root)
    assert len(inputs.runs) == 2
    assert any(note.startswith("2 runs differ from one another in rec- alone") for note in inputs.notes)

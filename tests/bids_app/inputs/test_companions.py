"""What belongs to a run: mask, confounds, sidecars; and content that is not here."""

import json

import pytest

from scaae_nipype.bids_app.inputs.find import find_inputs
from scaae_nipype.bids_app.inputs.query import Query
from scaae_nipype.errors import InputError

CASYM, SIXTH = "space-MNI152NLin2009cAsym", "space-MNI152NLin6Asym"


class TestCompanions:
    def test_mask_of_the_same_resolution(self, tree):
        tree.run("sub-01_task-rest", f"{CASYM}_res-1")
        tree.run("sub-01_task-rest", f"{CASYM}_res-2")
        tree.add(
            f"sub-01_task-rest_{CASYM}_res-2_desc-aparcaseg_dseg.nii.gz",
            f"sub-01_task-rest_{CASYM}_desc-brain_mask.nii.gz",
        )
        assert find_inputs(tree.root).runs[0].mask.name == f"sub-01_task-rest_{CASYM}_res-2_desc-brain_mask.nii.gz"

    def test_mask_of_another_resolution_is_none(self, tree):
        tree.add(
            f"sub-01_task-rest_{CASYM}_res-2_desc-preproc_bold.nii.gz",
            f"sub-01_task-rest_{CASYM}_res-1_desc-brain_mask.nii.gz",
        )
        assert find_inputs(tree.root).runs[0].mask is None

    def test_denoised_run_takes_the_mask_of_fmriprep_but_not_its_confounds(self, make_tree):
        fmriprep, xcpd = make_tree("fmriprep"), make_tree("xcp_d", "XCP-D")
        mask = fmriprep.run("sub-01_task-rest").with_name(f"sub-01_task-rest_{CASYM}_res-2_desc-brain_mask.nii.gz")
        xcpd.add(f"sub-01_task-rest_{CASYM}_res-2_desc-denoised_bold.nii.gz")
        (run,) = find_inputs(
            xcpd.root, Query.of(filters={"bold": {"desc": "denoised"}}), derivatives={"fmriprep": fmriprep.root}
        ).runs
        assert (run.mask, run.confounds) == (mask, None)

    def test_what_was_planted_is_found_in_a_simulated_dataset(self, tree):
        tree.run("sub-01_task-rest_run-1")
        tree.run("sub-02_task-rest_run-1")
        truth = tree.root / "sourcedata" / "truth"
        truth.mkdir(parents=True)
        courses = [truth / f"sub-{label}_task-rest_run-1_timecourses.tsv" for label in ("01", "02")]
        networks = [truth / "networks.nii.gz", truth / "sub-02_networks.nii.gz"]
        assert [run.planted for run in find_inputs(tree.root).runs] == [None, None]
        for path in (*courses, *networks):
            path.touch()
        runs = find_inputs(tree.root).runs
        assert [run.planted for run in runs] == [*zip(networks, courses, strict=True)], "the participant's own first"
        assert not {*courses, *networks} & {*runs[0].files}, "it does not change the run"

    @pytest.mark.parametrize(
        ("bold", "tables", "expected"),
        [
            ("sub-01_task-rest_run-1", ["sub-01_task-rest_run-1", "sub-01_task-rest_run-2"], 0),
            ("sub-01_ses-1_task-rest", ["sub-01_ses-1_task-rest"], 0),
            ("sub-01_task-rest_echo-2", ["sub-01_task-rest"], 0),
            (
                "sub-01_task-rest_acq-x_rec-y_dir-PA_run-01",
                ["sub-01_task-rest_acq-x_rec-y_dir-PA_run-01", "sub-01_task-rest"],
                0,
            ),
            ("sub-01_task-rest_part-mag", ["sub-01_task-rest"], 0),
            ("sub-01_task-rest", ["sub-01_task-rest_run-1"], 0),
            ("sub-01_task-rest_run-01", ["sub-01_task-rest_run-1"], 0),
            ("sub-01_task-rest", ["sub-01_task-nback"], None),
        ],
    )
    def test_confounds(self, tree, bold, tables, expected):
        tree.add(f"{bold}_{CASYM}_desc-preproc_bold.nii.gz")
        paths = [tree.add(f"{table}_desc-confounds_timeseries.tsv") for table in tables]
        (run,) = find_inputs(tree.root).runs
        assert run.confounds == (None if expected is None else paths[expected])

    def test_confounds_under_their_older_name(self, tree):
        tree.add(
            f"sub-01_task-rest_{CASYM}_desc-preproc_bold.nii.gz",
            "sub-01_task-rest_desc-confounds_regressors.json",
            content="{}",
        )
        table = tree.add("sub-01_task-rest_desc-confounds_regressors.tsv")
        (run,) = find_inputs(tree.root).runs
        assert (run.confounds, run.confounds_metadata) == (table, table.with_suffix(".json"))
        newer = tree.add("sub-01_task-rest_desc-confounds_timeseries.tsv")
        assert find_inputs(tree.root).runs[0].confounds == newer

    def test_other_timeseries_are_no_confounds(self, tree):
        tree.add(f"sub-01_task-rest_{CASYM}_desc-preproc_bold.nii.gz", "sub-01_task-rest_desc-MELODIC_timeseries.tsv")
        assert find_inputs(tree.root).runs[0].confounds is None

    def test_confounds_of_a_neighbour_are_not_borrowed(self, tree):
        tree.add(f"sub-01_task-rest_{CASYM}_desc-preproc_bold.nii.gz")
        tree.run("sub-01_task-rest_acq-mb")
        runs = {run.entities.get("acq"): run for run in find_inputs(tree.root).runs}
        assert runs[None].confounds is None
        assert runs["mb"].confounds.name == "sub-01_task-rest_acq-mb_desc-confounds_timeseries.tsv"

    def test_ambiguous_confounds(self, tree):
        tree.run("sub-02_task-rest")
        tree.add(f"sub-01_task-rest_{CASYM}_desc-preproc_bold.nii.gz")
        tables = [f"sub-01_task-rest_run-{run}_desc-confounds_timeseries.tsv" for run in "12"]
        tree.add(*tables)
        inputs = find_inputs(tree.root)
        (skip,) = inputs.skipped
        assert [run.entities["sub"] for run in inputs.runs] == ["02"]
        assert skip.is_fault
        assert f"several confounds tables fit it equally well: {', '.join(tables)}" in skip.reason

    def test_inheritance_of_sidecars(self, tree):
        tree.run("sub-01_task-rest", repetition_time=None)
        tree.run("sub-02_task-rest", repetition_time=None)
        tree.run("sub-03_task-rest", repetition_time=0.8)
        top = {"task-rest_bold.json": 2.5, "bold.json": 9, "task-nback_bold.json": 8, "task-rest_acq-x_bold.json": 7}
        for name, value in top.items():
            (tree.root / name).write_text(json.dumps({"RepetitionTime": value}))
        (tree.root / "sub-02" / "sub-02_task-rest_bold.json").write_text(json.dumps({"RepetitionTime": 3.1}))
        runs = find_inputs(tree.root).runs
        assert [run.repetition_time for run in runs] == [2.5, 3.1, 0.8]
        assert [path.name for path in runs[1].sidecars] == [
            f"sub-02_task-rest_{CASYM}_res-2_desc-preproc_bold.json",
            "sub-02_task-rest_bold.json",
            "task-rest_bold.json",
            "bold.json",
        ]

    def test_sidecars_above_the_root_do_not_count(self, make_tree):
        tree = make_tree("data/derivatives/fmriprep")
        tree.run("sub-01_task-rest", repetition_time=None)
        (tree.root.parent / "task-rest_bold.json").write_text(json.dumps({"RepetitionTime": 5}))
        assert find_inputs(tree.root).runs[0].repetition_time is None

    @pytest.mark.parametrize("value", [0, -1, "2", True, [2], float("inf"), float("nan")])
    def test_impossible_repetition_time(self, tree, value):
        tree.run("sub-01_task-rest", repetition_time=value)
        tree.run("sub-02_task-rest")
        inputs = find_inputs(tree.root)
        assert [run.entities["sub"] for run in inputs.runs] == ["02"]
        (skip,) = inputs.skipped
        assert skip.is_fault
        assert "not a positive number of seconds" in skip.reason

    def test_damaged_sidecar(self, tree):
        sidecar = tree.run("sub-01_task-rest").with_name(f"sub-01_task-rest_{CASYM}_res-2_desc-preproc_bold.json")
        sidecar.write_text("{")
        with pytest.raises(InputError, match=rf"{sidecar.name}: is not valid JSON"):
            find_inputs(tree.root)


class TestContentThatIsNotHere:
    @pytest.fixture
    def annexed(self, tree):
        tree.run("sub-01_task-rest")
        tree.run("sub-02_task-rest")
        return tree

    @pytest.mark.parametrize("kind", ["desc-preproc_bold.nii.gz", "desc-brain_mask.nii.gz", "desc-preproc_bold.json"])
    def test_dangling_link(self, annexed, kind):
        path = annexed.path(f"sub-01_task-rest_{CASYM}_res-2_{kind}")
        path.unlink()
        path.symlink_to("../../.git/annex/objects/xx/yy/MD5E-s1--abc")
        inputs = find_inputs(annexed.root)
        assert [run.entities["sub"] for run in inputs.runs] == ["02"]
        (skip,) = inputs.skipped
        assert skip.is_fault
        assert f"`datalad get {path}`" in skip.reason

    def test_pointer_file(self, annexed):
        path = annexed.path("sub-01_task-rest_desc-confounds_timeseries.tsv")
        path.write_text("/annex/objects/MD5E-s1--abc\n")
        (skip,) = find_inputs(annexed.root).skipped
        assert f"`datalad get {path}`" in skip.reason

    def test_link_that_leads_somewhere(self, annexed, tmp_path):
        path = annexed.path(f"sub-01_task-rest_{CASYM}_res-2_desc-preproc_bold.nii.gz")
        path.rename(tmp_path / "object")
        path.symlink_to(tmp_path / "object")
        assert find_inputs(annexed.root).runs[0].bold == path

    def test_everything_dangles(self, annexed):
        for path in annexed.root.rglob("*_bold.nii.gz"):
            path.unlink()
            path.symlink_to("nowhere")
        with pytest.raises(InputError, match="datalad get"):
            find_inputs(annexed.root)

    def test_version_whose_content_is_here(self, annexed):
        annexed.run("sub-01_task-rest", SIXTH)
        path = annexed.path(f"sub-01_task-rest_{CASYM}_res-2_desc-preproc_bold.nii.gz")
        path.unlink()
        path.symlink_to("nowhere")
        inputs = find_inputs(annexed.root, Query.of(participants=["01"]))
        assert [run.entities["space"] for run in inputs.runs] == ["MNI152NLin6Asym"]
        assert [skip.is_fault for skip in inputs.skipped] == [False]

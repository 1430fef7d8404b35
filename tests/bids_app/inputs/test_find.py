"""Which runs are found: roots, labels, participants, and the plan that is shown."""

import hashlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scaae_nipype.bids_app.inputs.find import find_inputs
from scaae_nipype.bids_app.inputs.plan import plan_text
from scaae_nipype.bids_app.inputs.query import Query
from scaae_nipype.errors import InputError, UsageError

CASYM, SIXTH = "space-MNI152NLin2009cAsym", "space-MNI152NLin6Asym"
RUN = st.from_regex(r"0{0,2}[1-9]", fullmatch=True)
LABEL = st.text("abcXYZ0123456789", min_size=1, max_size=6)
OPTIONAL = dict.fromkeys(("ses", "acq", "rec", "dir"), LABEL)


class TestOneRun:
    def test_everything_that_belongs_to_it(self, tree):
        bold = tree.run("sub-01_ses-a_task-rest_acq-mb_dir-AP_run-01")
        (run,) = find_inputs(tree.root).runs
        stem = "sub-01_ses-a_task-rest_acq-mb_dir-AP_run-01"
        assert run.bold == bold
        assert run.mask == bold.with_name(f"{stem}_{CASYM}_res-2_desc-brain_mask.nii.gz")
        assert run.confounds == bold.with_name(f"{stem}_desc-confounds_timeseries.tsv")
        assert run.confounds_metadata == bold.with_name(f"{stem}_desc-confounds_timeseries.json")
        assert run.sidecars == (bold.with_name(f"{stem}_{CASYM}_res-2_desc-preproc_bold.json"),)
        assert (run.repetition_time, run.denoised, run.events) == (2.0, False, None)
        assert (run.root, run.source_name) == (tree.root, "fmriprep")
        assert run.stem == f"{stem}_{CASYM}"

    def test_without_companions(self, tree):
        tree.add(f"sub-01_task-rest_{CASYM}_desc-preproc_bold.nii")
        (run,) = find_inputs(tree.root).runs
        assert (run.mask, run.confounds, run.confounds_metadata, run.sidecars) == (None, None, None, ())
        assert run.repetition_time is None

    @pytest.mark.parametrize("extension", [".nii", ".nii.gz"])
    def test_compressed_or_not(self, tree, extension):
        bold = tree.run("sub-01_task-rest", extension=extension)
        (run,) = find_inputs(tree.root).runs
        assert run.bold == bold
        assert run.mask.name.endswith(f"_mask{extension}")

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(labels=st.fixed_dictionaries({"sub": LABEL, "task": LABEL, "run": RUN}, optional=OPTIONAL))
    def test_labels_stay_verbatim(self, make_tree, labels):
        order = [key for key in ("sub", "ses", "task", "acq", "rec", "dir", "run") if key in labels]
        stem = "_".join(f"{key}-{labels[key]}" for key in order)
        folder = hashlib.sha256(stem.encode()).hexdigest()
        tree = make_tree(folder)
        tree.run(stem)
        (run,) = find_inputs(tree.root, Query.of(participants=[labels["sub"]])).runs
        assert {key: run.entities[key] for key in labels} == labels
        assert run.stem == f"{stem}_{CASYM}"


class TestRoots:
    def test_raw_root_with_every_pipeline_inside(self, make_tree):
        raw = make_tree("data", DatasetType="raw")
        make_tree("data/derivatives/fmriprep").run("sub-01_task-rest")
        make_tree("data/derivatives/other").run("sub-02_task-rest")
        make_tree("data/derivatives/mriqc").add("sub-01_task-rest_bold.json")
        inputs = find_inputs(raw.root)
        assert [(run.entities["sub"], run.source_name) for run in inputs.runs] == [("01", "fmriprep"), ("02", "other")]
        assert set(inputs.roots) == {"fmriprep", "other", "raw"}

    def test_derivative_without_description(self, tree):
        tree.run("sub-01_task-rest")
        (tree.root / "dataset_description.json").unlink()
        assert len(find_inputs(tree.root).runs) == 1

    def test_further_root_under_its_name(self, make_tree):
        make_tree("a").run("sub-01_task-rest")
        make_tree("b").run("sub-02_task-rest")
        root = make_tree("a").root
        inputs = find_inputs(root, derivatives={"second": root.parent / "b"})
        assert [run.source_name for run in inputs.runs] == ["fmriprep", "second"]

    def test_same_run_in_two_roots_is_taken_from_the_first(self, make_tree):
        first, second = make_tree("a"), make_tree("b")
        first.run("sub-01_task-rest")
        second.run("sub-01_task-rest", f"{CASYM}_res-1")
        inputs = find_inputs(first.root, derivatives={"again": second.root})
        assert [run.root for run in inputs.runs] == [first.root]
        assert "that of fmriprep is taken" in inputs.skipped[0].reason

    def test_two_roots_of_the_same_program_get_two_names(self, make_tree):
        make_tree("a").run("sub-01_task-rest")
        other = make_tree("b")
        other.run("sub-02_task-rest")
        inputs = find_inputs(make_tree("a").root, derivatives={"fmriprep": other.root})
        assert set(inputs.roots) == {"fmriprep", "fmriprep-2"}

    @pytest.mark.parametrize("place", ["beside", "named", "derivative"])
    def test_events(self, make_tree, place):
        raw = make_tree("data", DatasetType="raw")
        tree = make_tree("data/derivatives/fmriprep" if place == "beside" else "fmriprep")
        tree.run("sub-01_ses-1_task-rest_run-01")
        holder = tree if place == "derivative" else raw
        holder.add("sub-01_ses-1_task-rest_run-02_events.tsv")
        events = holder.add("sub-01_ses-1_task-rest_run-01_events.tsv")
        derivatives = {"raw": raw.root} if place == "named" else None
        assert find_inputs(tree.root, derivatives=derivatives).runs[0].events == events

    def test_events_inherited_from_the_top_of_the_raw_dataset(self, make_tree):
        raw = make_tree("data", DatasetType="raw")
        make_tree("data/derivatives/fmriprep").run("sub-01_task-nback")
        (raw.root / "task-nback_events.tsv").write_text("onset\tduration\n")
        assert find_inputs(raw.root).runs[0].events == raw.root / "task-nback_events.tsv"

    def test_folder_that_does_not_exist(self, tmp_path, tree):
        tree.run("sub-01_task-rest")
        with pytest.raises(UsageError, match="nowhere does not exist"):
            find_inputs(tmp_path / "nowhere")
        with pytest.raises(UsageError, match=r"-d xcpd .*nowhere does not exist"):
            find_inputs(tree.root, derivatives={"xcpd": tmp_path / "nowhere"})

    def test_no_preprocessed_bold_anywhere(self, make_tree):
        raw = make_tree("data", DatasetType="raw")
        raw.add("sub-01_task-rest_bold.nii.gz")
        (raw.root / "derivatives" / "fmriprep").mkdir(parents=True)
        with pytest.raises(
            UsageError, match=r"No preprocessed BOLD.*/data, .*derivatives/fmriprep;.*-d NAME=PATH"
        ) as error:
            find_inputs(raw.root)
        assert "datalad get -n" in str(error.value)

    def test_further_root_without_bold_is_mentioned(self, make_tree):
        make_tree("a").run("sub-01_task-rest")
        empty = make_tree("b").root
        assert (
            f"-d anat: no preprocessed BOLD in {empty}."
            in find_inputs(make_tree("a").root, derivatives={"anat": empty}).notes
        )

    def test_damaged_description(self, tree):
        tree.run("sub-01_task-rest")
        (tree.root / "dataset_description.json").write_text("{")
        with pytest.raises(InputError, match=r"dataset_description.json: is not valid JSON"):
            find_inputs(tree.root)

    @pytest.mark.parametrize("folder", ["with space", "hash#1", "percent%20", "ünï", "sub-x/.hidden/data"])
    def test_unusual_folder_names(self, make_tree, folder):
        tree = make_tree(folder)
        tree.run("sub-01_task-rest")
        assert len(find_inputs(tree.root).runs) == 1


class TestSelection:
    @pytest.fixture
    def study(self, tree):
        for stem in ("sub-01_ses-1_task-rest_run-01", "sub-01_ses-2_task-rest_run-01", "sub-01_ses-2_task-rest_run-02"):
            tree.run(stem)
        tree.run("sub-02_task-nback")
        return tree

    @pytest.mark.parametrize(
        ("asked", "expected"),
        [
            ({}, 4),
            ({"participants": ["01"]}, 3),
            ({"participants": ["sub-02", "02"]}, 1),
            ({"sessions": ["ses-2"]}, 2),
            ({"sessions": ["1", "2"], "runs": ["01"]}, 2),
            ({"tasks": ["task-rest", "nback"]}, 4),
            ({"runs": ["2"]}, 1),
            ({"spaces": ["MNI152NLin2009cAsym"]}, 4),
        ],
    )
    def test_labels(self, study, asked, expected):
        assert len(find_inputs(study.root, Query.of(**asked)).runs) == expected

    def test_only_run_numbers_ignore_zeros(self, study):
        with pytest.raises(UsageError, match=r"--participant-label 1: no such participant in .*\(nearest: 01\)"):
            find_inputs(study.root, Query.of(participants=["1"]))

    def test_unknown_participants_are_all_named(self, study):
        with pytest.raises(UsageError, match=r"--participant-label 03 xy: .*\(nearest: 02, 01\)"):
            find_inputs(study.root, Query.of(participants=["01", "03", "xy"]))
        with pytest.raises(UsageError, match=r"--participant-label xy: .*\(there are 01, 02\)"):
            find_inputs(study.root, Query.of(participants=["xy"]))

    def test_nothing_matches(self, study):
        with pytest.raises(UsageError) as error:
            find_inputs(study.root, Query.of(participants=["01"], tasks=["rst"]))
        message = str(error.value)
        assert "looked for sub-01 (--participant-label), task-rst (--task-id)" in message
        assert "Nearest: 3 files with task-rest, e.g. sub-01_ses-1_task-rest_run-01" in message
        assert "\n" not in message

    def test_label_that_no_file_has_beside_one_that_files_have(self, study):
        inputs = find_inputs(study.root, Query.of(tasks=["nback", "rst"]))
        assert len(inputs.runs) == 1
        assert "task-rst (--task-id): no BOLD file has it; task-rest?" in inputs.notes

    def test_participant_without_matching_run(self, study):
        asked = find_inputs(study.root, Query.of(participants=["01", "02"], tasks=["rest"]))
        (skip,) = asked.skipped
        assert skip.path.name == "sub-02"
        assert skip.is_fault
        assert "Nearest: 1 file with task-nback" in skip.reason
        anyone = find_inputs(study.root, Query.of(tasks=["rest"]))
        assert anyone.skipped == ()
        assert "No BOLD run to use: sub-02." in anyone.notes

    def test_empty_folder_of_a_participant(self, study):
        (study.root / "sub-03").mkdir()
        (skip,) = find_inputs(study.root, Query.of(participants=["01", "03"])).skipped
        assert f"`datalad get -n {study.root / 'sub-03'}`" in skip.reason


class TestPlan:
    def test_what_runs_and_what_does_not(self, tree):
        for sub in ("01", "02"):
            tree.run(f"sub-{sub}_task-rest")
            tree.run(f"sub-{sub}_task-rest", SIXTH)
        tree.run("sub-02_task-nback", "space-T1w")
        inputs = find_inputs(tree.root)
        lines = plan_text(inputs, finished=[f"sub-01_task-rest_{CASYM}"]).splitlines()
        assert f"Input: fmriprep in {tree.root}" in lines
        assert "Will run: 1 run of 1 participant" in lines
        assert f"  sub-02_task-rest_{CASYM} (desc-preproc, TR 2 s, confounds, mask)" in lines
        assert "Finished before: 1 run" in lines
        assert "Cannot run: sub-02_task-nback_space-T1w_desc-preproc_bold.nii.gz: not in MNI space (space-T1w)" in lines
        (skipped,) = (line for line in lines if line.startswith("Skipped"))
        assert "2 files such as sub-01" in skipped
        assert "space MNI152NLin2009cAsym is taken" in skipped

"""Where the dataset is looked for, and what is said of folders without anything usable."""

import json
import re
import shutil

import pytest

from scaae_nipype.bids_app.cli import main
from scaae_nipype.bids_app.inputs.find import find_inputs
from scaae_nipype.bids_app.inputs.plan import plan_text
from scaae_nipype.bids_app.inputs.query import Query
from scaae_nipype.errors import InputError, UsageError

CASYM, SIXTH = "space-MNI152NLin2009cAsym", "space-MNI152NLin6Asym"
USABLE = "--output-spaces MNI152NLin2009cAsym:res-2"


def refusal(*arguments, **options) -> str:
    with pytest.raises((UsageError, InputError)) as error:
        find_inputs(*arguments, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


class TestNothingUsable:
    def test_surface_data_only(self, tree):
        for sub in ("01", "02"):
            tree.add(f"sub-{sub}_task-rest_space-fsLR_den-91k_bold.dtseries.nii", content="x")
            tree.add(f"sub-{sub}_hemi-L_task-rest_space-fsaverage5_bold.func.gii", content="x")
        message = refusal(tree.root)
        assert "has 2 CIFTI files, such as sub-01_task-rest_space-fsLR_den-91k_bold.dtseries.nii" in message
        assert "2 GIFTI files" in message
        assert "surface data are not read" in message
        assert USABLE in message

    def test_minimal_level_of_fmriprep(self, tree):
        tree.add(
            "sub-01_task-rest_desc-hmc_boldref.nii.gz",
            "sub-01_task-rest_from-boldref_to-T1w_mode-image_desc-coreg_xfm.txt",
            "sub-01_task-rest_desc-brain_mask.nii.gz",
        )
        message = refusal(tree.root)
        assert "`--level minimal`" in message
        assert "run it with `--level full`" in message

    def test_raw_data_only(self, make_tree):
        raw = make_tree("data", DatasetType="raw")
        raw.add("sub-01_task-rest_bold.nii.gz", "sub-02_task-rest_bold.nii.gz")
        message = refusal(raw.root)
        assert "has 2 raw BOLD images, such as sub-01_task-rest_bold.nii.gz: raw data are not read" in message
        assert USABLE in message

    def test_names_of_old_fmriprep(self, tree):
        tree.path("sub-01_task-rest_x").with_name(
            "sub-01_task-rest_bold_space-MNI152NLin2009cAsym_preproc.nii.gz"
        ).write_text("x")
        assert "named as by fMRIPrep before version 1.2" in refusal(tree.root)

    def test_anatomy_only_and_no_participants(self, tree, make_tree):
        assert "has no folders sub-*" in refusal(make_tree("nobody").root)
        (tree.root / "sub-01" / "anat").mkdir(parents=True)
        assert "no functional data" in refusal(tree.root)

    def test_other_spaces_only(self, tree):
        for sub in ("01", "02"):
            tree.run(f"sub-{sub}_task-rest", "space-T1w")
        tree.add("sub-01_task-rest_desc-preproc_bold.nii.gz")
        message = refusal(tree.root)
        assert "2 not in MNI space (space-T1w); 1 not in MNI space (no space in its name: native)" in message
        assert USABLE in message

    def test_space_that_has_to_be_asked_for(self, tree):
        tree.run("sub-01_task-rest", "space-MNIPediatricAsym_cohort-2")
        assert "--space MNIPediatricAsym:cohort-2 takes what there is" in refusal(tree.root)
        assert len(find_inputs(tree.root, Query.of(spaces=["MNIPediatricAsym:cohort-2"])).runs) == 1

    def test_space_asked_for_that_is_not_there(self, tree):
        tree.run("sub-01_task-rest", SIXTH)
        message = refusal(tree.root, Query.of(spaces=["MNI152NLin2009cAsym"]))
        assert "Nearest: 1 file with space-MNI152NLin6Asym" in message

    def test_participant_with_surface_data_beside_others(self, tree):
        tree.run("sub-01_task-rest")
        tree.add("sub-02_task-rest_space-fsLR_den-91k_bold.dtseries.nii", content="x")
        inputs = find_inputs(tree.root)
        assert [(skip.is_fault, "surface data" in skip.reason) for skip in inputs.skipped] == [(True, True)]


class TestSpaces:
    @pytest.mark.parametrize("asked", ["MNIPediatricAsym:cohort-2", "MNIPediatricAsym+2", "MNIPediatricAsym_cohort-2"])
    @pytest.mark.parametrize("written", ["MNIPediatricAsym_cohort-{}", "MNIPediatricAsym+{}"])
    def test_cohort_however_it_is_written(self, tree, asked, written):
        for cohort in "123":
            tree.run("sub-01_task-rest", f"space-{written.format(cohort)}")
        (run,) = find_inputs(tree.root, Query.of(spaces=[asked])).runs
        assert re.search(r"(cohort-|\+)2_", run.bold.name)
        assert run.mask is not None

    def test_every_cohort_of_a_space(self, tree):
        for cohort in "12":
            tree.run("sub-01_task-rest", f"space-MNIInfant+{cohort}")
        runs = find_inputs(tree.root, Query.of(spaces=["MNIInfant"])).runs
        assert [run.entities["space"] for run in runs] == ["MNIInfant+1", "MNIInfant+2"]
        assert len({run.stem for run in runs}) == 2

    def test_plus_in_a_space(self, tree):
        tree.run("sub-01_task-rest", f"{CASYM}+slab")
        assert len(find_inputs(tree.root).runs) == 1
        assert len(find_inputs(tree.root, Query.of(spaces=["MNI152NLin2009cAsym"])).runs) == 1
        assert len(find_inputs(tree.root, Query.of(spaces=["MNI152NLin2009cAsym+slab"])).runs) == 1


class TestPlaces:
    @pytest.fixture
    def data(self, make_tree):
        """Give a raw dataset with a derivative inside."""
        raw = make_tree("study/data", DatasetType="raw")
        raw.add("sub-01_task-rest_bold.nii.gz")
        self.fmriprep = make_tree("study/data/derivatives/fmriprep")
        self.fmriprep.run("sub-01_task-rest")
        return raw.root

    def test_folder_of_derivatives(self, data):
        inputs = find_inputs(data / "derivatives")
        assert [run.root for run in inputs.runs] == [self.fmriprep.root]
        assert f"{data / 'derivatives'} is no dataset itself; those inside it are read." in inputs.notes
        assert inputs.roots["raw"] == data

    def test_several_pipelines_in_a_folder(self, data, make_tree):
        make_tree("study/data/derivatives/xcp_d", "XCP-D").add(
            f"sub-01_task-rest_{CASYM}_res-2_desc-denoised_bold.nii.gz"
        )
        inputs = find_inputs(data / "derivatives")
        assert [run.entities["desc"] for run in inputs.runs] == ["preproc"]
        assert "1 run with both desc-preproc (fmriprep) and desc-denoised (xcp-d)" in plan_text(inputs)

    def test_output_beside_the_pipelines_of_that_folder(self, data, tmp_path, capsys):
        code = main([str(data / "derivatives"), str(data / "derivatives" / "scaae"), "participant", "--dry-run"])
        assert code == 0, capsys.readouterr().err

    @pytest.mark.parametrize("inner", ["sub-01", "sub-01/func"])
    def test_folder_of_a_participant(self, data, inner):
        message = refusal(self.fmriprep.root / inner)
        assert f"give the dataset, {self.fmriprep.root}, with --participant-label 01" in message

    def test_folder_farther_out(self, data):
        message = refusal(data.parent)
        assert f"There is some in {self.fmriprep.root}: give that." in message

    def test_folder_beside_the_derivatives(self, data):
        (data / "code").mkdir()
        message = refusal(data / "code")
        assert "give the folder of fMRIPrep's output" in message

    def test_derivative_inside_a_derivative_is_told(self, tree, make_tree):
        tree.run("sub-01_task-rest")
        nested = make_tree("fmriprep/derivatives/xcp_d", "XCP-D")
        nested.add(f"sub-01_task-rest_{CASYM}_res-2_desc-denoised_bold.nii.gz")
        (note,) = (note for note in find_inputs(tree.root).notes if note.startswith("Not read"))
        assert f"-d xcp_d={nested.root}" in note

    def test_dataset_behind_links(self, data, tmp_path):
        (tmp_path / "link").symlink_to(self.fmriprep.root)
        inputs = find_inputs(tmp_path / "link", derivatives={"again": self.fmriprep.root})
        assert len(inputs.runs) == 1
        assert "again" not in inputs.roots


class TestIgnoredParticipants:
    @pytest.fixture
    def study(self, tree):
        for sub in ("01", "02", "03"):
            tree.run(f"sub-{sub}_task-rest")
        return tree

    @pytest.mark.parametrize("line", ["sub-02", "sub-02/", "/sub-02", "sub-02/**", "sub-02/*", "sub-*2"])
    def test_they_are_left_out_and_told(self, study, line):
        (study.root / ".bidsignore").write_text(f"# bad scans\n{line}\n*.html\n*_timeseries.tsv\nsub-*/figures\n")
        inputs = find_inputs(study.root)
        if line == "sub-*2":
            assert len(inputs.runs) == 3, "a pattern of many participants is about files"
            return
        assert [run.entities["sub"] for run in inputs.runs] == ["01", "03"]
        (skip,) = inputs.skipped
        assert not skip.is_fault
        assert ".bidsignore lists sub-02; --participant-label 02 takes it all the same" in plan_text(inputs)
        assert len(find_inputs(study.root, Query.of(participants=["02"])).runs) == 1

    def test_list_of_the_raw_dataset(self, make_tree):
        raw = make_tree("data", DatasetType="raw")
        for sub in ("01", "02"):
            (raw.root / f"sub-{sub}").mkdir()
            make_tree("data/derivatives/fmriprep").run(f"sub-{sub}_task-rest")
        (raw.root / ".bidsignore").write_text("sub-02/\n")
        assert [run.entities["sub"] for run in find_inputs(raw.root).runs] == ["01"]


class TestOddFiles:
    """One participant's trouble is told, and the others' runs are planned."""

    BOLD = f"sub-02_task-rest_{CASYM}_res-2_desc-preproc_bold.nii.gz"

    @pytest.fixture
    def study(self, tree):
        for sub in ("01", "02"):
            tree.run(f"sub-{sub}_task-rest")
        return tree

    def only_first(self, tree) -> str:
        inputs = find_inputs(tree.root)
        assert [run.entities["sub"] for run in inputs.runs] == ["01"]
        (skip,) = [skip for skip in inputs.skipped if skip.is_fault]
        assert f"Cannot run: {skip.path.name}: {skip.reason}" in plan_text(inputs)
        return skip.reason

    def test_empty_image(self, study):
        study.path(self.BOLD).write_text("")
        assert "is empty (0 bytes)" in self.only_first(study)

    @pytest.mark.parametrize(
        "companion", [BOLD.replace(".nii.gz", ".json"), "sub-02_task-rest_desc-confounds_timeseries.tsv"]
    )
    def test_empty_companion(self, study, companion):
        study.path(companion).write_text("")
        assert f"{companion}, which belongs to it, is empty (0 bytes)" in self.only_first(study)

    @pytest.mark.parametrize("which", ["bold", "sidecar", "confounds", "mask"])
    def test_pipes_do_not_block(self, study, which):
        import os

        name = {
            "bold": self.BOLD,
            "sidecar": self.BOLD.replace(".nii.gz", ".json"),
            "confounds": "sub-02_task-rest_desc-confounds_timeseries.tsv",
            "mask": self.BOLD.replace("desc-preproc_bold", "desc-brain_mask"),
        }[which]
        study.path(name).unlink()
        os.mkfifo(study.path(name))
        assert "is no regular file" in self.only_first(study)

    def test_link_to_itself(self, study):
        study.path(self.BOLD).unlink()
        study.path(self.BOLD).symlink_to(self.BOLD)
        assert "cannot be read (Too many levels of symbolic links)" in self.only_first(study)

    def test_functional_folder_that_links_to_itself(self, study):
        func = study.path(self.BOLD).parent
        shutil.rmtree(func)
        func.symlink_to("func")
        assert "cannot be listed (Too many levels of symbolic links)" in self.only_first(study)

    def test_folders_in_a_loop(self, study):
        (study.root / "sub-01" / "func" / "up").symlink_to("..")
        (study.root / "sub-03").symlink_to(".")
        assert [run.entities["sub"] for run in find_inputs(study.root).runs] == ["01", "02"]

    def test_nested_brackets_without_end(self, study):
        study.path(self.BOLD.replace(".nii.gz", ".json")).write_text("[" * 100_000)
        assert "is not valid JSON" in self.only_first(study)

    def test_participant_that_links_to_another(self, study):
        shutil.rmtree(study.root / "sub-02")
        (study.root / "sub-02").symlink_to("sub-01")
        assert "its name says sub-01, its folder sub-02" in self.only_first(study)

    def test_session_in_the_folder_but_not_in_the_name(self, study):
        func = study.path(self.BOLD).parent
        for session in "ab":
            shutil.copytree(func, study.root / "sub-02" / f"ses-{session}" / "func")
        shutil.rmtree(func)
        inputs = find_inputs(study.root)
        assert [run.entities["sub"] for run in inputs.runs] == ["01"]
        assert [skip.reason for skip in inputs.skipped] == [
            f"its name says no ses-, its folder ses-{session}; correct one of them" for session in "ab"
        ]

    @pytest.mark.parametrize("keeps_index", [True, False])
    def test_name_that_is_no_text(self, study, tmp_path, keeps_index):
        import os

        path = os.fsencode(study.path(self.BOLD).parent) + b"/sub-02_task-\xe4_desc-preproc_bold.nii.gz"
        with open(path, "w"):  # noqa: PTH123 - a name of bytes
            pass
        inputs = find_inputs(study.root, database_dir=tmp_path / "index" if keeps_index else None)
        assert len(inputs.runs) == 2
        assert any("pybids cannot index" in note for note in inputs.notes) == keeps_index

    def test_description_with_a_byte_order_mark(self, study, tmp_path):
        path = study.root / "dataset_description.json"
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
        assert find_inputs(study.root).runs[0].source_name == "fmriprep"
        assert len(find_inputs(study.root, database_dir=tmp_path / "index").runs) == 2

    def test_damaged_description_of_the_dataset_around(self, make_tree):
        raw = make_tree("data", DatasetType="raw")
        fmriprep = make_tree("data/derivatives/fmriprep")
        fmriprep.run("sub-01_task-rest")
        (raw.root / "dataset_description.json").write_text("{")
        assert len(find_inputs(fmriprep.root).runs) == 1

    def test_description_in_another_encoding(self, study):
        path = study.root / "dataset_description.json"
        path.write_bytes(
            json.dumps(json.loads(path.read_text()) | {"Authors": ["M\xfcller"]}, ensure_ascii=False).encode("latin-1")
        )
        assert len(find_inputs(study.root).runs) == 2
        path.write_text(path.read_bytes().decode("latin-1"), encoding="utf-16")
        assert "dataset_description.json: is no text in UTF-8, but in UTF-16" in refusal(study.root)

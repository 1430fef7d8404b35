"""Which file stands for a run where several do."""

import pytest

from scaae_nipype.bids_app.inputs.find import find_inputs
from scaae_nipype.bids_app.inputs.query import Query
from scaae_nipype.errors import InputError

CASYM, SIXTH = "space-MNI152NLin2009cAsym", "space-MNI152NLin6Asym"


def reasons(inputs) -> dict[str, str]:
    return {skip.path.name: skip.reason for skip in inputs.skipped}


class TestChoice:
    def test_preferred_space(self, tree):
        for space in ("MNI152Lin", "MNI152NLin6Asym", "MNI152NLin2009cAsym", "MNIColin27"):
            tree.run("sub-01_task-rest", f"space-{space}")
        inputs = find_inputs(tree.root)
        assert [run.entities["space"] for run in inputs.runs] == ["MNI152NLin2009cAsym"]
        assert not any(skip.is_fault for skip in inputs.skipped)
        told = reasons(inputs)
        assert "space MNI152NLin2009cAsym is taken" in told[f"sub-01_task-rest_{SIXTH}_desc-preproc_bold.nii.gz"]
        assert "if asked for" in told["sub-01_task-rest_space-MNIColin27_desc-preproc_bold.nii.gz"]
        assert "Taken: MNI152NLin2009cAsym (1 run)." in inputs.notes

    def test_second_and_third_choice(self, tree):
        tree.run("sub-01_task-rest", SIXTH)
        tree.run("sub-01_task-rest", "space-MNI152Lin")
        tree.run("sub-02_task-rest", "space-MNI152Lin")
        inputs = find_inputs(tree.root)
        assert [run.entities["space"] for run in inputs.runs] == ["MNI152NLin6Asym", "MNI152Lin"]
        assert any("not all in one space" in note for note in inputs.notes)

    def test_every_space_that_is_asked_for(self, tree):
        tree.run("sub-01_task-rest", f"{CASYM}_res-1")
        tree.run("sub-01_task-rest", f"{CASYM}_res-2")
        tree.run("sub-01_task-rest", "space-MNIColin27")
        tree.run("sub-01_task-rest", SIXTH)
        inputs = find_inputs(tree.root, Query.of(spaces=["MNI152NLin2009cAsym", "space-MNIColin27"]))
        assert [run.entities["space"] for run in inputs.runs] == ["MNI152NLin2009cAsym", "MNIColin27"]
        assert inputs.runs[0].entities["res"] == "2"
        assert len({run.stem for run in inputs.runs}) == 2

    def test_space_with_resolution(self, tree):
        tree.run("sub-01_task-rest", f"{CASYM}_res-1")
        tree.run("sub-01_task-rest", f"{CASYM}_res-2")
        inputs = find_inputs(tree.root, Query.of(spaces=["MNI152NLin2009cAsym:res-1"]))
        assert [run.entities["res"] for run in inputs.runs] == ["1"]

    def test_space_with_cohort(self, tree):
        for cohort in "12":
            tree.run("sub-01_task-rest", f"space-MNIPediatricAsym_cohort-{cohort}")
        inputs = find_inputs(tree.root, Query.of(spaces=["MNIPediatricAsym:cohort-2"]))
        assert [run.entities["cohort"] for run in inputs.runs] == ["2"]

    @pytest.mark.parametrize(
        ("sizes", "taken"),
        [([1, 2], 2), ([2, 4], 4), ([3, 4.0, 5], 4), ([3.5, 5], 3.5), ([5, 6], 5), ([2, 4.3], 2)],
    )
    def test_coarsest_resolution_up_to_4_mm_from_headers(self, tree, sizes, taken):
        for number, size in enumerate(sizes):
            tree.image(f"sub-01_task-rest_{CASYM}_res-x{number}_desc-preproc_bold.nii.gz", size)
        inputs = find_inputs(tree.root)
        assert [run.entities["res"] for run in inputs.runs] == [f"x{sizes.index(taken)}"]
        assert all(f"res-x{sizes.index(taken)} is taken" in skip.reason for skip in inputs.skipped)
        assert len(inputs.skipped) == len(sizes) - 1

    def test_resolution_from_the_label_where_the_header_is_unreadable(self, tree):
        for number in ("1", "3", "6"):
            tree.add(f"sub-01_task-rest_{CASYM}_res-{number}_desc-preproc_bold.nii.gz", content="no image")
        assert [run.entities["res"] for run in find_inputs(tree.root).runs] == ["3"]

    def test_compressed_twin_is_not_a_second_run(self, tree):
        tree.add(
            f"sub-01_task-rest_{CASYM}_desc-preproc_bold.nii", f"sub-01_task-rest_{CASYM}_desc-preproc_bold.nii.gz"
        )
        inputs = find_inputs(tree.root)
        assert (len(inputs.runs), len(inputs.skipped)) == (1, 1)

    def test_preprocessed_before_denoised(self, make_tree):
        fmriprep, xcpd = make_tree("fmriprep"), make_tree("xcp_d", "XCP-D")
        for sub in ("01", "02"):
            fmriprep.run(f"sub-{sub}_task-rest")
        xcpd.add(f"sub-01_task-rest_{CASYM}_res-2_desc-denoised_bold.nii.gz")
        inputs = find_inputs(fmriprep.root, derivatives={"xcp_d": xcpd.root})
        assert [run.denoised for run in inputs.runs] == [False, False]
        assert "desc-preproc of fmriprep is taken" in inputs.skipped[0].reason
        taken = "1 run with both desc-preproc (fmriprep) and desc-denoised (xcp_d): desc-preproc (fmriprep) is taken"
        assert any(note.startswith(taken) for note in inputs.notes)
        other = find_inputs(
            fmriprep.root, Query.of(filters={"bold": {"desc": "denoised"}}), derivatives={"xcp_d": xcpd.root}
        )
        assert [(run.denoised, run.root) for run in other.runs] == [(True, xcpd.root)]

    def test_denoised_before_denoised_and_smoothed(self, make_tree):
        xcpd = make_tree("xcp_d", "XCP-D")
        for desc in ("denoised", "denoisedSmoothed"):
            xcpd.add(f"sub-01_task-rest_{CASYM}_res-2_desc-{desc}_bold.nii.gz")
        inputs = find_inputs(xcpd.root)
        assert [(run.entities["desc"], run.denoised) for run in inputs.runs] == [("denoised", True)]
        assert inputs.runs[0].source_name == "xcp-d"

    def test_combined_series_before_its_echoes(self, tree):
        tree.run("sub-01_task-rest")
        for echo in "12":
            tree.add(f"sub-01_task-rest_echo-{echo}_{CASYM}_res-2_desc-preproc_bold.nii.gz")
            tree.add(f"sub-01_task-rest_echo-{echo}_desc-preproc_bold.nii.gz")
        inputs = find_inputs(tree.root)
        assert ["echo" in run.entities for run in inputs.runs] == [False]
        assert [skip.reason for skip in inputs.skipped if CASYM in skip.path.name] == 2 * [
            "single echo; the combined series of the same run is taken"
        ]
        assert not any(skip.is_fault for skip in inputs.skipped)
        asked = find_inputs(tree.root, Query.of(filters={"bold": {"echo": 2}}))
        assert [run.entities["echo"] for run in asked.runs] == ["2"]
        assert asked.runs[0].confounds.name == "sub-01_task-rest_desc-confounds_timeseries.tsv"

    def test_echoes_alone_are_runs(self, tree):
        for echo in "12":
            tree.add(f"sub-01_task-rest_echo-{echo}_{CASYM}_res-2_desc-preproc_bold.nii.gz")
        assert [run.entities["echo"] for run in find_inputs(tree.root).runs] == ["1", "2"]

    def test_phase_images(self, tree):
        for part in ("mag", "phase"):
            tree.run(f"sub-01_task-rest_part-{part}")
        inputs = find_inputs(tree.root)
        assert [run.entities["part"] for run in inputs.runs] == ["mag"]
        assert [(skip.reason, skip.is_fault) for skip in inputs.skipped] == [("part-phase, not magnitude", False)]

    def test_other_spaces_are_harmless_beside_mni(self, tree):
        tree.run("sub-01_task-rest")
        tree.run("sub-01_task-rest", "space-T1w")
        tree.add(
            "sub-01_task-rest_desc-preproc_bold.nii.gz",
            "sub-01_task-rest_space-fsLR_den-91k_bold.dtseries.nii",
            "sub-01_task-rest_hemi-L_space-fsaverage5_bold.func.gii",
        )
        inputs = find_inputs(tree.root)
        assert len(inputs.runs) == 1
        assert len(inputs.skipped) == 4
        assert all("not in MNI space" in skip.reason and not skip.is_fault for skip in inputs.skipped)

    def test_run_that_is_only_in_another_space_is_lost(self, tree):
        tree.run("sub-01_task-rest")
        tree.run("sub-01_task-nback", "space-T1w")
        (skip,) = find_inputs(tree.root).skipped
        assert (skip.reason, skip.is_fault) == ("not in MNI space (space-T1w)", True)

    def test_nothing_in_mni_space(self, tree):
        tree.run("sub-01_task-rest", "space-T1w")
        tree.add("sub-01_task-rest_desc-preproc_bold.nii.gz")
        with pytest.raises(InputError, match=r"No BOLD run can be used: .*not in MNI space.* \(1 more file skipped\)"):
            find_inputs(tree.root)

    def test_other_descriptions(self, tree):
        tree.run("sub-01_task-rest")
        tree.add(f"sub-01_task-rest_{CASYM}_res-2_desc-optcom_bold.nii.gz")
        (skip,) = find_inputs(tree.root).skipped
        assert (skip.reason, skip.is_fault) == ("neither desc-preproc nor desc-denoised", False)
        asked = find_inputs(tree.root, Query.of(filters={"bold": {"desc": "optcom"}}))
        assert [run.entities["desc"] for run in asked.runs] == ["optcom"]

"""Names that say too little or too much: no run is lost in silence, and no data count twice in silence."""

import pytest

from scaae_nipype.bids_app.inputs.find import find_inputs
from scaae_nipype.errors import InputError

ALL_OF_BOTH = ["sub-01_ses-a_task-rest", "sub-02_ses-a_task-rest", "sub-02_ses-b_task-rest"]

SPACE = "space-MNI152NLin2009cAsym_res-2"
BOLD = f"{SPACE}_desc-preproc_bold.nii.gz"


def stems(inputs) -> list[str]:
    return [run.bold.name.partition("_space-")[0] for run in inputs.runs]


class TestNames:
    """A preprocessed image whose name cannot be taken apart is told with what is wrong about it."""

    @pytest.mark.parametrize("keeps_index", [True, False])
    @pytest.mark.parametrize(
        ("stem", "words"),
        [
            ("sub-01_task-nback_run_1", "'run' is no key-label"),
            ("sub-01_task-", "'task-' is no key-label"),
            ("sub-01_task-nback_", "two '_' in a row"),
            ("sub-01_task-rest_task-nback", "'task-' is there twice"),
        ],
    )
    def test_one_beside_a_healthy_run(self, tree, tmp_path, stem, words, keeps_index):
        path = tree.run("sub-01_task-rest").with_name(f"{stem}_{BOLD}")
        path.write_bytes(b"x")
        inputs = find_inputs(tree.root, database_dir=tmp_path / "index" if keeps_index else None)
        assert stems(inputs) == ["sub-01_task-rest"]
        (skip,) = inputs.skipped
        assert (skip.path, skip.reason, skip.is_fault) == (path, f"its name is not one of BIDS: {words}", True)

    def test_what_a_mac_leaves_behind_is_no_run(self, tree):
        path = tree.run("sub-01_task-rest")
        path.with_name(f"._{path.name}").write_bytes(b"Mac OS X")
        assert find_inputs(tree.root).skipped == ()

    def test_other_descriptions_only(self, tree):
        for sub in ("01", "02"):
            tree.add(f"sub-{sub}_task-rest_{SPACE}_desc-residual_bold.nii.gz")
        with pytest.raises(InputError, match=r"nor desc-denoised .* A --bids-filter-file takes them"):
            find_inputs(tree.root)


class TestOneFileUnderTwoNames:
    def test_a_link_beside_its_target(self, tree):
        target = tree.run("sub-01_task-rest")
        target.with_name(target.name.replace("task-rest", "task-rest_run-1")).symlink_to(target.name)
        inputs = find_inputs(tree.root)
        assert stems(inputs) == ["sub-01_task-rest"]
        (skip,) = inputs.skipped
        assert skip.reason.startswith(f"the same file as {target.name}")
        assert not skip.is_fault

    def test_one_content_for_two_participants_is_a_fault(self, tree):
        """As git-annex stores a file that somebody copied under a wrong name."""
        for sub in ("01", "02"):
            path = tree.run(f"sub-{sub}_task-rest")
            content = tree.root / ".git" / "annex" / "objects" / "key.nii.gz"
            content.parent.mkdir(parents=True, exist_ok=True)
            path.replace(content)
            path.symlink_to(content)
        inputs = find_inputs(tree.root)
        assert stems(inputs) == ["sub-01_task-rest"]
        assert [(skip.path, skip.is_fault) for skip in inputs.skipped] == [(path, True)]

    def test_links_into_another_dataset_are_its_version(self, make_tree):
        one, other = make_tree("fmriprep"), make_tree("copy")
        path = one.run("sub-01_task-rest")
        other.path(path.name).symlink_to(path)
        (run,) = find_inputs(other.root, derivatives={"fmriprep": one.root}).runs
        assert run.root == other.root


class TestAlike:
    """Runs that may be one acquisition are all taken, and that is told."""

    @pytest.mark.parametrize(
        ("key", "advice"),
        [("echo", 'a filter file: {"bold": {"echo": …}}'), ("reg", "keep one in the folder")],
    )
    def test_told(self, tree, key, advice):
        for label in "12":
            tree.run(f"sub-01_task-rest_{key}-{label}")
        inputs = find_inputs(tree.root)
        assert len(inputs.runs) == 2
        (note,) = (note for note in inputs.notes if note.startswith(f"2 runs differ from one another in {key}- alone"))
        assert advice in note

    def test_runs_and_acquisitions_are_no_news(self, tree):
        for label in ("run-1", "run-2", "acq-a", "ce-b", "dir-AP"):
            tree.run(f"sub-01_task-rest_{label}")
        assert not any("differ from one another" in note for note in find_inputs(tree.root).notes)


class TestIgnored:
    """Lines of a ``.bidsignore`` about a session or a file of one participant count, as those about the whole do."""

    @pytest.mark.parametrize(
        ("line", "left"),
        [
            ("sub-02/ses-a", ["sub-01_ses-a_task-rest", "sub-02_ses-b_task-rest"]),
            ("**/sub-02/ses-a/**", ["sub-01_ses-a_task-rest", "sub-02_ses-b_task-rest"]),
            ("sub-02/ses-a/func/*_bold.*", ["sub-01_ses-a_task-rest", "sub-02_ses-b_task-rest"]),
            ("sub-02_ses-a_task-rest*", ["sub-01_ses-a_task-rest", "sub-02_ses-b_task-rest"]),
            ("sub-02/ses-a\n!sub-02/ses-a", ALL_OF_BOTH),
            ("*_task-rest*", ALL_OF_BOTH),
        ],
    )
    def test_lines(self, tree, line, left):
        for stem in ("sub-01_ses-a", "sub-02_ses-a", "sub-02_ses-b"):
            tree.run(f"{stem}_task-rest")
        (tree.root / ".bidsignore").write_text(f"{line}\n*.html\n")
        inputs = find_inputs(tree.root)
        assert stems(inputs) == left
        assert all(f"{tree.root / '.bidsignore'} lists it: sub-02" in skip.reason for skip in inputs.skipped)
        assert len(inputs.skipped) == 3 - len(left)
        assert not any(skip.is_fault for skip in inputs.skipped)

    def test_a_run_in_the_list_of_the_raw_dataset(self, make_tree):
        raw, fmriprep = make_tree("data", DatasetType="raw"), make_tree("data/derivatives/fmriprep")
        for run in "12":
            fmriprep.run(f"sub-01_task-rest_run-{run}")
        (raw.root / ".bidsignore").write_text("sub-01/func/sub-01_task-rest_run-2_bold.nii.gz\n")
        assert stems(find_inputs(raw.root)) == ["sub-01_task-rest_run-1"]

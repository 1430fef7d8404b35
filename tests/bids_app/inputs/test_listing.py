"""The index of pybids: never in the input, fresh, quick."""

import hashlib
import os
import time
from pathlib import Path

import pytest

from scaae_nipype.bids_app.inputs.find import find_inputs
from scaae_nipype.bids_app.inputs.query import Query
from scaae_nipype.errors import UsageError


def listing(root: Path) -> str:
    lines = [f"{path} {path.lstat().st_mtime_ns} {path.lstat().st_mode}" for path in sorted(root.rglob("*"))]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


class TestIndex:
    def test_input_is_not_written_to(self, tree, tmp_path):
        tree.run("sub-01_ses-1_task-rest")
        before = listing(tree.root)
        find_inputs(tree.root)
        find_inputs(tree.root, database_dir=tmp_path / "index")
        assert listing(tree.root) == before

    def test_input_that_cannot_be_written_to(self, tree):
        tree.run("sub-01_task-rest")
        folders = [tree.root, *(path for path in tree.root.rglob("*") if path.is_dir())]
        for folder in folders:
            folder.chmod(0o555)
        try:
            assert len(find_inputs(tree.root).runs) == 1
        finally:
            for folder in folders:
                folder.chmod(0o755)

    def test_index_inside_the_input_is_refused(self, tree):
        tree.run("sub-01_task-rest")
        with pytest.raises(UsageError, match="lies in the input"):
            find_inputs(tree.root, database_dir=tree.root / "index")

    def test_index_is_used_again(self, tree, tmp_path):
        bold = tree.run("sub-01_task-rest")
        assert len(find_inputs(tree.root, database_dir=tmp_path / "index").runs) == 1
        times = bold.parent.stat()
        tree.run("sub-01_task-nback")
        os.utime(bold.parent, ns=(times.st_atime_ns, times.st_mtime_ns))  # hides the change
        assert len(find_inputs(tree.root, database_dir=tmp_path / "index").runs) == 1
        assert len(find_inputs(tree.root).runs) == 2

    def test_index_is_made_anew_if_asked(self, tree, tmp_path):
        bold = tree.run("sub-01_task-rest")
        find_inputs(tree.root, database_dir=tmp_path / "index")
        times = bold.parent.stat()
        tree.run("sub-01_task-nback")
        os.utime(bold.parent, ns=(times.st_atime_ns, times.st_mtime_ns))  # hides the change
        inputs = find_inputs(tree.root, database_dir=tmp_path / "index", reindex=True)
        assert len(inputs.runs) == 2
        assert any("is not used (--reindex-bids) and was made anew" in note for note in inputs.notes)
        assert len(find_inputs(tree.root, database_dir=tmp_path / "index").runs) == 2

    def test_stale_index_is_made_anew(self, tree, tmp_path):
        tree.run("sub-01_task-rest")
        find_inputs(tree.root, database_dir=tmp_path / "index")
        tree.run("sub-01_task-nback")
        inputs = find_inputs(tree.root, database_dir=tmp_path / "index")
        assert len(inputs.runs) == 2
        assert any("was out of date" in note for note in inputs.notes)

    def test_damaged_index_is_made_anew(self, tree, tmp_path):
        tree.run("sub-01_task-rest")
        find_inputs(tree.root, database_dir=tmp_path / "index")
        (database,) = (tmp_path / "index").glob("*/layout_index.sqlite")
        database.write_bytes(b"not a database")
        inputs = find_inputs(tree.root, database_dir=tmp_path / "index")
        assert len(inputs.runs) == 1
        assert any("could not be read" in note for note in inputs.notes)

    def test_index_per_choice_of_participants(self, tree, tmp_path):
        for sub in ("01", "02"):
            tree.run(f"sub-{sub}_task-rest")
        for asked, expected in (["01"], 1), ([], 2), (["02"], 1):
            assert (
                len(find_inputs(tree.root, Query.of(participants=asked), database_dir=tmp_path / "index").runs)
                == expected
            )

    def test_index_folder_that_cannot_be_made(self, tree, tmp_path):
        tree.run("sub-01_task-rest")
        (tmp_path / "file").write_text("")
        with pytest.raises(UsageError, match=r"--bids-database-dir .*cannot be written"):
            find_inputs(tree.root, database_dir=tmp_path / "file" / "index")

    def test_one_of_a_thousand_participants(self, tree):
        for number in range(1000):
            (tree.root / f"sub-{number:04d}" / "func").mkdir(parents=True)
        for number in (0, 500):
            tree.run(f"sub-{number:04d}_task-rest")
        find_inputs(tree.root, Query.of(participants=["0000"]))  # imports pybids
        start = time.process_time()  # other work on the machine does not count
        inputs = find_inputs(tree.root, Query.of(participants=["0500"]))
        assert time.process_time() - start < 3
        assert [run.entities["sub"] for run in inputs.runs] == ["0500"]

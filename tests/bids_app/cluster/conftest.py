"""The level submit on a small tree of files, without a scheduler on the machine."""

import re
import shlex
from pathlib import Path

import pytest

from scaae_nipype.bids_app.cli import main


class Study:
    """A dataset of three participants, one of them with two runs, and what submit writes for it."""

    def __init__(self, tree, capsys):
        self.tree, self.capsys = tree, capsys
        self.data, self.out = tree.root, tree.root.parent / "out"
        for stem in ("sub-01_task-rest_run-1", "sub-01_task-rest_run-2", "sub-02_task-rest", "sub-03_task-rest"):
            tree.run(stem)

    def submit(self, *options: str) -> tuple[int, str]:
        """Make the call; its exit code and what was said."""
        self.capsys.readouterr()
        code = main([str(self.data), str(self.out), "submit", "--work-dir", str(self.out.parent / "w"), *options])
        said = self.capsys.readouterr()
        return code, said.out + said.err

    @property
    def newest(self) -> Path:
        """Folder of the last submission."""
        return max((self.out / "logs" / "jobs").iterdir())

    def script(self, name: str) -> str:
        return (self.newest / name).read_text()

    def words(self, name: str) -> list[str]:
        """Give the command of a job as a shell would take it apart."""
        lines = self.script(name).replace("\\\n", " ").splitlines()
        (line,) = [line for line in lines if re.search(rf"{self.out} (train|participant|group)\b", line)]
        return shlex.split(line.removesuffix("&"))


@pytest.fixture
def study(tree, capsys, monkeypatch, tmp_path):
    """Give the dataset; the calls leave the environment alone, and find no scheduler."""
    (tmp_path / "programs").mkdir()
    monkeypatch.setattr("os.environ", {"PATH": f"{tmp_path / 'programs'}:/bin/nowhere"})
    monkeypatch.chdir(tmp_path)
    return Study(tree, capsys)

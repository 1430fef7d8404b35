"""What a job leaves in its work folder, and what it prepares at all."""

import json
import os
import re
import signal
from types import SimpleNamespace

import pytest

from scaae_nipype.bids_app.cli import main
from scaae_nipype.bids_app.job import disk

pytestmark = pytest.mark.xdist_group("main_job")

OPTIONS = ("--preset", "tiny", "--train-volumes", "8", "--nprocs", "1", "--mem", "4G", "--baselines", "none")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("work_folder")


@pytest.fixture
def call(folder, main_dataset, capfd):
    """Give a caller of the program in this process: its exit code and what it said."""
    environment, handler = dict(os.environ), signal.getsignal(signal.SIGTERM)

    def call(level: str, *options: str, work: str = "work", people=("good2",)) -> tuple[int, str]:
        places = (main_dataset.root, folder / "out", level, *OPTIONS, "-w", folder / work)
        code = main([str(part) for part in (*places, "--participant-label", *people, *options)])
        said = capfd.readouterr()
        call.complained = said.err
        return code, said.out

    yield call
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGTERM, handler)


def images(folder) -> list[str]:
    return sorted(path.name for path in folder.rglob("*.nii.gz"))


def test_runs_are_drawn_before_they_are_prepared_and_none_of_them_is_left_after_training(call, folder):
    code, said = call("train", "--train-runs", "1", people=("good1", "good2"))
    assert code == 0, said
    assert "A model will be fitted to 1 run of 1 participant, drawn from 2 (seed 0, spread over participants)." in said
    assert "Fitting a model to 1 run of 1 participant, drawn from 2" in said
    assert sum(line.endswith(": prepared") for line in said.splitlines()) == 1
    (card,) = (folder / "out" / "models").glob("*/card.json")
    training = json.loads(card.read_text())["Training"]
    assert training["DrawnFrom"] == {"Runs": 2, "Sites": 0, "Seed": 0}
    assert len(training["Runs"]) == 1
    assert not images(folder / "work") and not list((folder / "work").rglob("*.safetensors"))


def test_what_is_done_leaves_the_work_folder_unless_it_is_to_be_kept(call, folder):
    code, said = call("participant", "--keep-workdir", work="kept")
    assert code == 0, said
    assert "prepared_bold.nii.gz" in images(folder / "kept")
    code, said = call("participant", "--signed-maps")
    assert code == 0, said
    assert "All done: 1 run finished now" in said and not images(folder / "work")
    assert f"Work folder: {folder / 'work' / 'scaae_nipype'} (about " in said
    assert "runs are removed from it when they are done" in said


def test_a_full_disk_is_noticed_before(call, folder, monkeypatch):
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda place: SimpleNamespace(free=3_000_000))
    assert call("participant", "--surrogate-templates", "19", "--dry-run")[0] == 64
    assert re.search(r"has 0\.0 GB left, and about 0\.\d GB are needed for output_dir and --work-dir", call.complained)


def test_memory_that_looks_like_a_disk_is_told(tmp_path):
    (tmp_path / "mounts").write_text(f"disk / ext4 rw 0 0\nnone {tmp_path} tmpfs rw 0 0\n")
    assert disk._is_memory(tmp_path / "work", tmp_path / "mounts")
    assert not disk._is_memory(tmp_path.parent, tmp_path / "mounts")
    assert not disk._is_memory(tmp_path, tmp_path / "nowhere")

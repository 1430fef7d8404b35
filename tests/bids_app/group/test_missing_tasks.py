"""A group after jobs of a cluster: what became of the tasks of those who are missing; the others' tables are made."""

import json
import sys
import threading
from pathlib import Path

import pytest

from scaae_nipype.bids_app.engine import late_files
from scaae_nipype.bids_app.output.records import RunRecord

sys.path.append(str(Path(__file__).parent))
from runs_by_hand import write_run

TIME = "slurmstepd: error: *** JOB 14 ON node7 CANCELLED AT 2026-11-26T18:28:53 DUE TO TIME LIMIT ***\n"


@pytest.fixture
def expected(folders):
    """Two participants of four are there; one failed, one's task ran out of time."""
    out = folders[1]
    for label in ("01", "02"):
        write_run(out, label)
    record = RunRecord(
        run="sub-03_task-rest", participant="03", status="failed", message="it is empty", configuration="", model="",
        inputs={},
    )  # fmt: skip
    record.write(out)
    jobs = out / "logs" / "jobs" / "20261126T182707"
    jobs.mkdir(parents=True)
    (jobs / "participants.txt").write_text("01\n02\n03\n04\n")
    (jobs / "expected.txt").write_text("01\n02\n03\n04\n")
    (jobs / "queued.txt").write_text("train 13\nparticipants 14 0\ngroup 15\n")
    (jobs / "participants_14_4.log").write_text(TIME)
    return jobs / "expected.txt"


def test_who_is_missing_is_named_with_the_reason_and_the_rest_is_done(folders, group, expected):
    code, said = group("--expected", str(expected))
    assert code == 1
    assert "Missing: 2 runs, nothing of 2 participants of 4 (sub-03, sub-04)" in said
    assert "sub-03_task-rest: it failed at the participant level: it is empty" in said
    assert "sub-04: no results: its task ran out of time: give --time-limit more (task 14_4, log: " in said
    assert "Something failed: " in said
    status = json.loads((folders[1] / "logs" / "status.json").read_text())
    assert set(status["CouldNotRun"]) == {"sub-03_task-rest", "sub-04"}
    assert "task 14_4" in status["CouldNotRun"]["sub-04"]
    page = (folders[1] / "group.html").read_text()
    assert "missing" in page and "sub-04" in page
    assert (folders[1] / "group").is_dir()


def test_a_participant_without_any_trace_is_named_too(folders, group, expected):
    expected.chmod(0o644)
    expected.write_text("01\nsub-99\n")
    code, said = group("--expected", str(expected))
    assert code == 1
    assert "sub-99: it has no results; run the participant level" in said
    assert "sub-03" not in said and "sub-04" not in said  # of whom nothing was expected


def test_without_a_list_the_input_tells_whose_task_was_lost(folders, group, expected, make_tree):
    tree = make_tree("in")
    for label in ("01", "02", "04", "05"):
        tree.run(f"sub-{label}_task-rest", space="space-MNI152NLin6Asym_res-2")
    code, said = group("--dry-run")
    assert code == 0
    assert "sub-04_task-rest_space-MNI152NLin6Asym: no results: its task ran out of time" in said
    assert "sub-05_task-rest_space-MNI152NLin6Asym: it has no results; run the participant level" in said


def test_tasks_that_were_lost_in_the_same_way_are_told_in_one_line(folders, group, expected):
    jobs = expected.parent
    labels = ["01", "02", *(f"{number:02d}" for number in range(4, 30))]
    for name in ("participants.txt", "expected.txt"):
        (jobs / name).write_text("".join(f"{label}\n" for label in labels))
    for task in range(3, 29):
        (jobs / f"participants_14_{task}.log").write_text(TIME)
    code, said = group("--expected", str(expected), "--dry-run")
    assert code == 0
    assert "sub-04, sub-05, sub-06 and 23 more: no results: its task ran out of time: give --time-limit" in said
    assert said.count("ran out of time") == 1


def test_a_log_without_last_words_explains_no_single_run(folders, group, expected, make_tree):
    """A session that came later was in no task: that the participant's task ended well says nothing about it."""
    tree = make_tree("in")
    for run in ("1", "2"):
        tree.run(f"sub-01_task-rest_run-{run}", space="space-MNI152NLin6Asym_res-2")
    (expected.parent / "participants_14_1.log").write_text("All done: 1 run.\n")
    said = group("--dry-run")[1]
    assert "sub-01_task-rest_run-2_space-MNI152NLin6Asym" in said
    assert "its task" not in said.partition("sub-01_task-rest_run-2")[2].partition("\n")[0]


def test_all_there_is_all_done(folders, group, expected):
    expected.write_text("01\n02\n")
    code, said = group("--expected", str(expected))
    assert (code, "Missing" in said) == (0, False)


@pytest.mark.parametrize(
    ("content", "words"), [("\n# nobody\n", "names nobody"), (None, "--expected list: there is no such file")]
)
def test_a_list_that_cannot_be_used_is_one_line_and_64(folders, group, tmp_path, monkeypatch, content, words):
    monkeypatch.chdir(tmp_path)
    write_run(folders[1], "01")
    if content is not None:
        (tmp_path / "list").write_text(content)
    code, said = group("--expected", "list")
    assert code == 64
    assert words in said
    assert len(said.splitlines()) == 1


@pytest.fixture
def unseen(folders, expected, monkeypatch):
    """Of the last participant there is a task that ended well, and nothing else on this machine."""
    (expected.parent / "participants_14_4.log").write_text("sub-04: report written\nAll done: 1 run finished now.\n")
    monkeypatch.setenv("SLURM_JOB_ID", "15")
    return expected


def test_results_that_this_machine_sees_late_are_waited_for(folders, group, unseen):
    writer = threading.Timer(1.0, write_run, [folders[1], "04"])
    writer.start()
    said = group("--expected", str(unseen))[1]
    writer.join()
    assert "Results of sub-04 are not seen here yet; looked for again for 65 s" in said
    assert "Group of 3 participants" in said
    assert "sub-04: " not in said


def test_results_that_never_appear_are_waited_for_once_and_named(folders, group, unseen, monkeypatch):
    monkeypatch.setattr(late_files, "LONGEST", 0.2)
    said = group("--expected", str(unseen))[1]
    assert said.count("not seen here yet;") == 1
    assert "sub-04: no results: its task ended well, but what it wrote is not here: removed, or not seen yet" in said
    monkeypatch.delenv("SLURM_JOB_ID")
    assert "not seen here yet;" not in group("--expected", str(unseen))[1]

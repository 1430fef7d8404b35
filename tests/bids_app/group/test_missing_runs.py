"""A group that is not whole: who is missing or has failed is said, and the exit code is the one that was asked for."""

import json

import pytest
from runs_by_hand import write_run

from scaae_nipype.bids_app.output.records import RunRecord
from scaae_nipype.derivatives.names import run_stem
from scaae_nipype.files import read_json

SPACE = "space-MNI152NLin6Asym_res-2"


@pytest.fixture
def eight(make_tree, folders):
    """Give an input of eight participants, of whom two have results and one has failed; the output."""
    tree = make_tree("in")
    for number in range(1, 9):
        tree.run(f"sub-0{number}_task-rest", space=SPACE)
    for label in ("01", "02"):
        write_run(folders[1], label)
    entities = {"sub": "03", "task": "rest", "space": "MNI152NLin6Asym"}
    RunRecord(run_stem(entities), "03", "failed", "the brain mask is empty.", "c", "", {}).write(folders[1])
    return folders[1]


def test_who_is_missing_and_who_has_failed_is_said(eight, group):
    code, said = group()
    assert code == 1
    assert "Missing: 6 runs, nothing of 6 participants of 8 (sub-03, sub-04, sub-05, sub-06, sub-07 and 1 more)" in said
    assert "sub-03_task-rest_space-MNI152NLin6Asym: it failed at the participant level: the brain mask is empty" in said
    assert "sub-06_task-rest_space-MNI152NLin6Asym and 2 more: it has no results; run the participant level" in said
    assert "Something failed: " in said.splitlines()[-1] and "6 failed" in said.splitlines()[-1]
    status = json.loads((eight / "logs" / "status.json").read_text())
    assert sorted(status["CouldNotRun"])[0].startswith("sub-03_") and len(status["CouldNotRun"]) == 6
    account = read_json(next((eight / "group").glob("*desc-participants*.json")))["Group"]
    assert len(account["Missing"]) == 6
    assert "6 runs missing" in (eight / "group.html").read_text()


def test_an_incomplete_group_can_be_accepted(eight, group):
    code, said = group("--incomplete", "accept")
    assert code == 0
    assert "Missing: 6 runs" in said and "Note: Without 6 runs (" in said
    assert "All done: " in said.splitlines()[-1]


def test_named_participants_without_results_do_not_stop_the_others(eight, group):
    code, said = group("--participant-label", "01", "02", "03")
    assert code == 1
    assert "Missing: 1 run, nothing of 1 participant of 3 (sub-03)" in said
    assert group("--participant-label", "01", "02")[0] == 0
    code, said = group("--participant-label", "01", "99")
    assert (code, "holds no results of sub-99" in said) == (64, True)


def test_runs_that_were_not_asked_for_are_not_missing(eight, group, make_tree):
    make_tree("in").run("sub-01_task-nback", space=SPACE)
    assert "sub-01_task-nback" in group("--dry-run")[1]
    assert "nback" not in group("--task-id", "rest", "--dry-run")[1]


def test_it_is_said_where_the_input_does_not_tell(folders, group):
    write_run(folders[1], "01")
    write_run(folders[1], "02")
    (folders[0] / "notes.txt").touch()
    code, said = group()
    assert code == 0
    assert "Who is missing is not known, because the input tells no runs: " in said

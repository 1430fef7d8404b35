"""How calls end, as their files tell: one of each call, a summary of all, nothing earlier after a killed one."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from scaae_nipype.bids_app.cli import main
from scaae_nipype.bids_app.output.status_files import StatusFiles, read_calls
from scaae_nipype.bids_app.output.verdict import Call, Summary
from scaae_nipype.bids_app.settings.console import Console

STEM = "sub-01_task-rest"


def summary_of(out: Path) -> dict:
    return json.loads((out / "logs" / "status.json").read_text())


def carry_out(out: Path, summary: Summary, work=lambda: None, started: float = 1e9) -> int:
    call = Call(out, ["scaae-bids", "x"], Console(), started=started)
    return call.carry_out(work, summary, subject="all", what="run", configuration="c", facts={"Model": "m"})


def test_every_participant_run_stage_time_memory_and_message_are_named(tmp_path):
    steps = [
        {"run": STEM, "step": "prepare", "seconds": 1.5, "peak_memory_gb": 0.2},
        {"run": STEM, "step": "extract", "seconds": 2.0, "peak_memory_gb": 0.7, "message": "no maps"},
        {"run": "model", "step": "train", "seconds": 9.0, "peak_memory_gb": 1.0},
    ]
    summary = Summary(
        failed={STEM: "no maps"},
        before={"sub-02_task-rest"},
        missed={"sub-03_task-rest": "not in MNI space"},
        participants={STEM: "01", "sub-02_task-rest": "02"},
        steps=steps,
        stages={STEM: "extract failed"},
    )
    assert carry_out(tmp_path, summary) == 1
    told = summary_of(tmp_path)
    run = told["Participants"]["01"][STEM]
    assert (run["Status"], run["Stage"], run["Message"]) == ("failed", "extract failed", "no maps")
    assert (run["Seconds"], run["PeakMemoryGB"]) == (3.5, 0.7)
    assert [stage["step"] for stage in run["Stages"]] == ["prepare", "extract"]
    assert told["Participants"]["02"]["sub-02_task-rest"]["Status"] == "finished before"
    assert told["Participants"]["03"]["sub-03_task-rest"]["Message"] == "not in MNI space"
    assert [step["run"] for step in told["Shared"]] == ["model"]


def test_a_call_that_is_killed_does_not_leave_the_verdict_of_the_one_before(tmp_path):
    assert carry_out(tmp_path, Summary(finished={STEM})) == 0
    program = (
        "import os, signal, sys; from pathlib import Path\n"
        "from scaae_nipype.bids_app.output.verdict import Call, Summary\n"
        "from scaae_nipype.bids_app.settings.console import Console\n"
        "Call(Path(sys.argv[1]), ['x'], Console()).carry_out(lambda: os.kill(os.getpid(), signal.SIGKILL), Summary(),\n"
        "    subject='all', what='run', configuration='c', facts={})\n"
    )
    assert subprocess.run([sys.executable, "-c", program, tmp_path]).returncode == -signal.SIGKILL
    told = summary_of(tmp_path)
    assert told["Verdict"].startswith("Not ended: ") and told["ExitCode"] is None and told["Ended"] is None
    assert len(told["Calls"]) == 2
    assert carry_out(tmp_path, Summary(finished={STEM}), started=4e9) == 0
    assert summary_of(tmp_path)["Verdict"] == "All done: 1 run finished now."


def test_calls_that_run_side_by_side_have_files_of_their_own_and_one_summary(tmp_path):
    def inner() -> None:
        assert carry_out(tmp_path, Summary(finished={"sub-02_b"}, participants={"sub-02_b": "02"}), started=2e9) == 0

    assert carry_out(tmp_path, Summary(finished={STEM}, participants={STEM: "01"}), inner, started=1e9) == 0
    told = summary_of(tmp_path)
    assert {label: runs for label, (*runs,) in told["Participants"].items()} == {"01": [STEM], "02": ["sub-02_b"]}
    assert [call["ExitCode"] for call in told["Calls"].values()] == [0, 0]
    assert len(read_calls(tmp_path / "logs")) == 2


def test_what_a_finished_run_needed_is_not_forgotten_by_calls_that_do_nothing(tmp_path):
    step = {"run": STEM, "step": "prepare", "seconds": 1.5, "peak_memory_gb": 0.2}
    carry_out(tmp_path, Summary(finished={STEM}, participants={STEM: "01"}, steps=[step]), started=1e9)
    carry_out(tmp_path, Summary(before={STEM}, participants={STEM: "01"}), started=2e9)
    told = summary_of(tmp_path)
    assert told["Verdict"].startswith("Nothing to do: ")
    assert told["Participants"]["01"][STEM]["Seconds"] == 1.5


def test_a_report_that_was_made_anew_is_not_nothing(tmp_path, capsys):
    assert carry_out(tmp_path, Summary(before={STEM}, reports={"01"})) == 0
    assert "All done: 1 report written now, 1 run was finished before." in capsys.readouterr().out


def test_a_damaged_status_file_of_another_call_does_no_harm(tmp_path):
    (tmp_path / "logs").mkdir()
    contents = ("{", "[]", "{}", '{"Started": 5}', '{"Started": "1", "Participants": [1]}')
    more = '{"Started": "1", "Participants": {"01": 5, "02": {"sub-02": null}}}'
    for name, content in enumerate((*contents, more)):
        (tmp_path / "logs" / f"scaae-bids_{name}.json").write_text(content)
    assert carry_out(tmp_path, Summary(finished={STEM})) == 0
    assert summary_of(tmp_path)["ExitCode"] == 0


@pytest.fixture
def refused(main_dataset, tmp_path, monkeypatch, capsys):
    """Refuse a call on an output dataset that holds something: exit code, last line, summary."""
    shutil.copytree(main_dataset.root, tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    carry_out(tmp_path / "out", Summary(finished={STEM}), started=1e9)
    (tmp_path / "out" / "logs" / "configuration.json").write_text("{}")

    def call(*options):
        before = os.environ.copy()
        code = main(["data", "out", *options])
        os.environ.clear()
        os.environ.update(before)
        return code, capsys.readouterr().err.splitlines()[-1], summary_of(Path("out"))

    return call


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["participant", "--participant-label", "nobody"], 64, "no such participant"),
        (["participant", "--model", "missing"], 70, "is not a model folder"),
        (["participant", "--smoothing", "wide"], 64, "smoothing"),
        (["group", "--group-by", "x"], 64, "holds no results"),
    ],
)
def test_a_refused_call_has_a_file_of_its_own_with_the_line_that_was_said(refused, options, code, words):
    found, line, told = refused(*options)
    assert (found, bool(re.search(words, line))) == (code, True), line
    assert told["ExitCode"] == code and told["Verdict"] == f"Refused: {line.removeprefix('scaae-bids: ')}"
    assert [call["ExitCode"] for call in told["Calls"].values()] == [0, code]
    assert told["Finished"] == []


def test_a_refused_dry_run_writes_nothing(refused):
    _, _, told = refused("participant", "--dry-run", "--participant-label", "nobody")
    assert told["ExitCode"] == 0 and len(told["Calls"]) == 1


def test_the_summary_is_of_all_calls_whoever_writes_it(tmp_path):
    for number in range(3):
        StatusFiles(tmp_path, f"scaae-bids_{number}").write(
            {"Verdict": str(number), "ExitCode": 0, "Started": f"2026-01-0{3 - number}", "Ended": None}
        )
    told = json.loads((tmp_path / "status.json").read_text())
    assert (told["Verdict"], list(told["Calls"])) == ("0", [f"scaae-bids_{number}.json" for number in (2, 1, 0)])


def test_a_status_that_cannot_be_written_is_said_and_counts_as_a_failure(tmp_path, capsys):
    def fill() -> None:
        for path in (tmp_path / "logs").glob("*.json"):
            path.unlink()
            path.mkdir()
            (path / "in the way").touch()

    assert carry_out(tmp_path, Summary(finished={STEM}), fill) == 1
    assert "All done: 1 run finished now. Status: could not be written (" in capsys.readouterr().out


def test_a_disk_that_fills_up_is_one_line_that_says_what_to_do(tmp_path, capsys):
    def fill():
        Path("/dev/full").write_text("x")

    assert carry_out(tmp_path, Summary(finished={STEM}), fill) == 1
    assert "all: FAILED: the disk is full (No space left on device); make room for output" in capsys.readouterr().out
    assert not list((tmp_path / "logs").glob("crash-*"))

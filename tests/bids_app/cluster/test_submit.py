"""What submit writes and says where there is no scheduler: three jobs, whom for, and with which words."""

import json
import re
import stat
import subprocess

import pytest

from scaae_nipype.bids_app.settings.without_effect import check_effects
from scaae_nipype.errors import UsageError


def test_model_participants_and_group_wait_for_each_other_however_they_end(study):
    code, said = study.submit("--at-once", "2", "--partition", "long")
    assert code == 0
    assert "3 participants with 4 runs: 3 due, 0 in the queue, 0 finished before." in said
    assert f"Nothing was queued. Look at the scripts; this queues them: bash {study.newest}/submit.sh" in said
    lines = study.script("submit.sh").splitlines()
    assert "train=$(sbatch --parsable train.sh)" in lines
    assert "participants=$(sbatch --parsable --dependency=afterany:$train --array=1-3%2 participants.sh 0)" in lines
    assert "group=$(sbatch --parsable --dependency=afterany:$participants group.sh)" in lines
    assert study.script("participants.txt") == study.script("expected.txt") == "01\n02\n03\n"
    for name in ("train", "participants", "group"):
        text = study.script(f"{name}.sh")
        assert re.search(r"^#SBATCH --ntasks=1 --cpus-per-task=\d --mem=\d+M --time=\d+:\d\d:00$", text, re.MULTILINE)
        assert "#SBATCH --requeue --open-mode=append" in text
        assert "#SBATCH --partition=long" in text
        assert len(text.splitlines()) <= 16
        assert subprocess.run(["/bin/bash", "-n", study.newest / f"{name}.sh"]).returncode == 0
    assert "trap 'kill -USR1 $job; wait $job; scontrol requeue $SLURM_JOB_ID' USR1" in study.script("train.sh")
    assert study.words("group.sh")[-2:] == ["--expected", f"{study.newest}/expected.txt"]


def test_lists_are_read_only_and_a_later_call_writes_its_own(study):
    study.submit()
    first = study.newest
    modes = [stat.S_IMODE((first / name).stat().st_mode) for name in ("participants.txt", "expected.txt")]
    assert modes == [0o444, 0o444]
    before = {path.name: path.read_bytes() for path in first.iterdir()}
    study.submit("--participant-label", "02")
    assert study.newest != first
    assert study.script("participants.txt") == "02\n"
    assert {path.name: path.read_bytes() for path in first.iterdir()} == before


def test_a_dry_run_shows_the_scripts_and_writes_nothing(study):
    code, said = study.submit("--dry-run", "--yes")
    assert code == 0
    for words in (
        "/train.sh",
        "/participants.sh",
        "/group.sh",
        "/submit.sh",
        "nothing was written, nothing was queued",
    ):
        assert words in said
    assert not study.out.exists()


def test_without_sbatch_the_jobs_are_written_and_one_line_says_where_to_go(study):
    code, said = study.submit("--yes")
    assert code == 70
    (line,) = [line for line in said.splitlines() if line.startswith("scaae-bids: ")]
    assert "sbatch is not on this machine (PATH): nothing was queued" in line
    assert f"bash {study.newest}/submit.sh" in line
    assert not (study.newest / "queued.txt").exists()


@pytest.mark.parametrize("scheduler", ["slurm", "sge"])
def test_every_task_reads_its_own_line_in_several_arrays(study, scheduler):
    """The script itself is run, with a program in place of ours that says whom it was called for."""
    study.submit("--array-size", "2", "--at-once", "5", "--scheduler", scheduler)
    text = study.script("submit.sh")
    assert re.search(r"^participants=.* participants\.sh 0\)$", text, re.MULTILINE)
    assert re.search(r"^participants1=.* participants\.sh 2\)$", text, re.MULTILINE)
    assert re.search(r"^group=.*\$participants[:,]\$participants1 group\.sh\)$", text, re.MULTILINE)
    assert text.count("%2" if scheduler == "slurm" else "-tc 2") == 2  # five at once, divided among two arrays
    program = study.words("participants.sh")[0]
    script = study.script("participants.sh").replace(program, "echo")
    number = "SLURM_ARRAY_TASK_ID" if scheduler == "slurm" else "SGE_TASK_ID"
    seen = []
    for task, offset in ((1, 0), (2, 0), (1, 2)):
        environment = {"PATH": "/usr/bin:/bin", number: str(task)}
        done = subprocess.run(
            ["/bin/bash", "-s", str(offset)], input=script, capture_output=True, text=True, env=environment
        )
        seen.append(done.stdout.split()[-1])
    assert seen == ["01", "02", "03"]


def test_what_a_configuration_file_says_is_written_out(study, tmp_path):
    """A job does not change with the file, and hears no word of other levels."""
    (tmp_path / "c.yml").write_text("preset: tiny\nsmoothing: 4\npermutations: 99\npartition: long\nnprocs: 3\n")
    study.submit("--config-file", "c.yml", "--group-by", "diagnosis")
    words = study.words("participants.sh")
    assert "--config-file" not in words
    assert {"--preset", "--smoothing"} <= set(words)
    assert words[words.index("--nprocs") + 1] == "3"
    assert "--permutations" not in words and "--group-by" not in words
    group = study.words("group.sh")
    assert group[group.index("--permutations") + 1] == "99"
    assert group[group.index("--group-by") + 1] == "diagnosis"
    assert "#SBATCH --partition=long" in study.script("group.sh")


def test_queries_of_a_filter_file_are_kept_with_the_jobs(study, tmp_path):
    (tmp_path / "f.json").write_text('{"bold": {"run": "1"}}')
    code, said = study.submit("--bids-filter-file", "f.json")
    assert (code, "1 participant with 1 run" in said) == (0, True)
    words = study.words("participants.sh")
    assert words[words.index("--bids-filter-file") + 1] == str(study.newest / "filter.json")
    assert json.loads(study.script("filter.json")) == json.loads((tmp_path / "f.json").read_text())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--time-limit", "soon"], "--time-limit soon: give minutes"),
        (["--train-time-limit", "0"], "--train-time-limit 0: give minutes"),
        (["--at-once", "0"], "--at-once 0: must be 1 or larger"),
        (["--scheduler", "slrum"], "did you mean slurm?"),
        (["--clean-workdir"], "--clean-workdir has no effect in jobs: one would empty the work folder"),
        (["--reports-only"], "--reports-only has no effect in jobs"),
        (["--participant-label", "99"], "--participant-label 99: no such participant"),
        (["--image", "scaae.sif"], "--image scaae.sif: there is no such file; give a .sif file that all nodes see"),
    ],
)
def test_what_cannot_be_meant_is_one_line_and_64(study, options, words):
    code, said = study.submit(*options)
    assert code == 64
    assert words in said
    assert len(said.splitlines()) == 1
    assert not study.out.exists()


def test_other_levels_refuse_what_is_about_jobs():
    for level in ("participant", "train", "group"):
        with pytest.raises(UsageError, match=f"--yes has no effect at the {level} level: give it at the level submit"):
            check_effects(level=level, asked=["yes"], configured=[])
        (said,) = check_effects(level=level, asked=[], configured=["partition"])
        assert said == f"Note: --partition has no effect at the {level} level."

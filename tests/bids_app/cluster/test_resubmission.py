"""Later calls: who is sent again, what is said of lost tasks, and what they get then."""

import re

import pytest

from scaae_nipype.bids_app.cluster.task_costs import needs_of_group, needs_of_participants, needs_of_training
from scaae_nipype.bids_app.inputs.find import find_inputs
from scaae_nipype.bids_app.output.submissions import Submission, last_task_of, read_labels
from scaae_nipype.bids_app.settings.asked import settings_of
from scaae_nipype.bids_app.settings.command_line import parse

SPACE = "space-MNI152NLin2009cAsym_res-2"

# As Slurm 22.05 writes them into a task's log.
TIME = "slurmstepd: error: *** JOB 14 ON node7 CANCELLED AT 2026-11-26T18:28:53 DUE TO TIME LIMIT ***\n"
MEMORY = """\
slurmstepd: error: StepId=2.batch exceeded memory limit (307875840 > 104857600), being killed
slurmstepd: error: *** JOB 2 ON node7 CANCELLED AT 2026-11-26T18:28:53 ***
"""
OOM = "slurmstepd: error: Detected 1 oom_kill event in StepId=9.batch. Some of the step tasks have been OOM Killed.\n"
CANCELLED = "slurmstepd: error: *** JOB 5 ON node7 CANCELLED AT 2026-11-26T18:28:53 ***\n"
LOST = "slurmstepd: error: *** JOB 5 ON node7 CANCELLED AT 2026-11-26T18:28:53 DUE TO NODE FAILURE, SEE log ***\n"


def queued(study, **logs):
    """Note the last submission as queued (arrays 14 and, from the third task on, 15), and write logs of its tasks."""
    (study.newest / "queued.txt").write_text("train 13\nparticipants 14 0\nparticipants 15 2\ngroup 16\n")
    for name, text in logs.items():
        (study.newest / f"participants_{name.removeprefix('t')}.log").write_text("sub-01: prepared\n" + text)


def test_every_participant_has_the_task_that_the_arrays_say(study):
    study.submit()
    queued(study)
    assert list(Submission(study.newest).tasks()) == [("01", "14", 1), ("02", "14", 2), ("03", "15", 1)]


@pytest.mark.parametrize(
    ("log", "kind", "words"),
    [
        (TIME, "time", "ran out of time: give --time-limit more"),
        (MEMORY, "memory", "was killed for want of memory: give --mem more"),
        (OOM, "memory", "was killed for want of memory"),
        (CANCELLED, "cancelled", "was cancelled"),
        (LOST, "node", "was lost with its node"),
        ("All done: 1 run finished now. Status: x\n", "done", "ended well, but what it wrote is not here"),
        ("Something failed: 0 runs finished, 1 failed.\n", "unknown", "ended without results"),
    ],
)
def test_the_end_of_a_log_says_what_became_of_a_task(study, log, kind, words):
    study.submit()
    queued(study, t14_2=log)
    found = last_task_of(study.out, ["02", "03"])
    assert found["02"].kind == kind
    assert str(found["02"]).startswith(f"its task {words}")
    assert f"(task 14_2, log: {study.newest}/participants_14_2.log)" in str(found["02"])
    assert str(found["03"]) == "its task never started, or left no log (task 15_1)"


def test_whose_task_ended_well_is_due_for_another_reason(study):
    """A session that came later, an input that changed: nothing was lost."""
    study.submit()
    queued(study, t14_1="All done: 2 runs finished now. Status: x\n", t14_2=TIME)
    said = study.submit()[1]
    assert "sub-01:" not in said
    assert "sub-02: its task ran out of time" in said


def test_the_newest_task_counts(study):
    study.submit()
    queued(study, t14_1=TIME)
    study.submit("--participant-label", "01")
    (study.newest / "queued.txt").write_text("participants 17 0\n")
    (study.newest / "participants_17_1.log").write_text(MEMORY)
    assert last_task_of(study.out, ["01"])["01"].task == "17_1"
    assert last_task_of(study.out, ["01"])["01"].kind == "memory"


def test_without_an_answer_from_the_scheduler_nobody_is_sent_twice(study, tmp_path):
    """There was a queue, and now there is none: whether tasks still run is not known."""
    study.submit()
    queued(study)
    program = tmp_path / "programs" / "squeue"
    program.write_text("#!/bin/sh\necho 'slurm_load_jobs error: Unable to contact slurm controller' >&2\nexit 1\n")
    program.chmod(0o755)
    code, said = study.submit("--yes")
    assert code == 70
    assert "squeue failed: slurm_load_jobs error: Unable to contact slurm controller" in said


def test_participants_in_the_queue_are_left_out_and_waited_for(study, tmp_path):
    """The scheduler's program here answers in the words that Slurm's has."""
    study.submit()
    queued(study, t14_1=MEMORY)
    program = tmp_path / "programs" / "squeue"
    program.write_text("#!/bin/sh\necho '13 N/A'\necho '14 2'\necho '16 N/A'\n")
    program.chmod(0o755)
    code, said = study.submit()
    assert code == 0
    assert "3 participants with 4 runs: 2 due, 1 in the queue, 0 finished before." in said
    assert "sub-01: its task was killed for want of memory" in said
    assert study.script("participants.txt") == "01\n03\n"
    assert study.script("expected.txt") == "01\n02\n03\n"
    text = study.script("submit.sh")
    assert "train.sh" not in text  # it is in the queue
    assert "--dependency=afterany:13 --array=1-2 participants.sh 0" in text
    assert "--dependency=afterany:$participants:14 group.sh" in text


@pytest.fixture
def settings(study):
    """Give a maker of settings of the study."""

    def make(*options):
        return settings_of(parse([str(study.data), str(study.out), "submit", *options]))

    return make


def test_what_was_too_little_is_doubled_unless_the_user_says_how_much(study, settings):
    runs = find_inputs(study.data).runs
    usual = needs_of_participants(settings(), runs)
    more = needs_of_participants(settings(), runs, ended_by={"memory", "time"})
    assert (more.memory_mb, more.minutes) == (2 * usual.memory_mb, 2 * usual.minutes)
    given = settings("--mem", "8G", "--time-limit", "90", "--nprocs", "3")
    asked = needs_of_participants(given, runs, ended_by={"memory", "time"})
    assert (asked.memory_mb, asked.minutes, asked.processors) == (8000, 90, 3)


def test_longer_runs_and_null_models_get_more(study, settings):
    runs = find_inputs(study.data).runs
    tree = study.tree
    tree.image("sub-03_task-rest_space-MNI152NLin2009cAsym_res-2_desc-preproc_bold.nii.gz", 2, n_volumes=5000)
    longer = find_inputs(study.data).runs
    usual, more = needs_of_participants(settings(), runs[:1]), needs_of_participants(settings(), longer)
    assert more.memory_mb > usual.memory_mb
    assert more.minutes > usual.minutes
    nulls = needs_of_participants(settings("--surrogates", "99"), longer)
    assert nulls.minutes > more.minutes
    assert needs_of_group(settings(), 100_000).minutes > needs_of_group(settings(), 10).minutes


def test_a_model_takes_the_time_of_the_runs_that_are_drawn_for_it(study):
    """Of a thousand participants a hundred runs are prepared: the time is theirs."""
    for stem in ("sub-01_task-rest_run-1", "sub-01_task-rest_run-2", "sub-02_task-rest", "sub-03_task-rest"):
        study.tree.image(f"{stem}_{SPACE}_desc-preproc_bold.nii.gz", 2, n_volumes=20_000)
    minutes = []
    for drawn in ("1", "4"):
        study.submit("--train-runs", drawn)
        hours, minute = re.search(r"--time=(\d+):(\d\d):00", study.script("train.sh")).groups()
        minutes.append(60 * int(hours) + int(minute))
    assert minutes[0] < minutes[1]


def test_gpus_are_asked_for_where_they_are_used(study, settings):
    runs = find_inputs(study.data).runs
    several = settings("--preset", "autoencoder", "--device", "cuda", "--train-processes", "4")
    assert needs_of_training(several, runs).gpus == 4
    assert needs_of_training(several, runs).processors == 4
    assert needs_of_participants(several, runs).gpus == 1
    assert needs_of_training(settings(), runs).gpus == needs_of_participants(settings(), runs).gpus == 0
    study.submit("--device", "cuda")
    assert "#SBATCH --gres=gpu:1" in study.script("participants.sh")
    assert "gpu:" not in study.script("group.sh")


def test_labels_with_or_without_sub(tmp_path):
    (tmp_path / "list").write_bytes(b"\xef\xbb\xbfsub-01\r\n02\n\n# left\n02\n")
    assert read_labels(tmp_path / "list") == ["01", "02"]

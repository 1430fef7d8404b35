"""The whole chain on a real Slurm: queued by submit, with losses, sent again, complete (`make cluster-test`)."""

import json
import re
import subprocess

import pytest

from scaae_nipype.bids_app.simulate_cli import main as simulate

pytestmark = pytest.mark.slow

N_PARTICIPANTS = 12
OPTIONS = (
    *("--preset", "tiny", "--train-volumes", "24", "--precision", "fp32", "-p", "none", "--baselines", "none"),
    *("--nprocs", "1", "--mem", "2G"),
)
SIZE = ("--participants", str(N_PARTICIPANTS), "--runs", "1", "--volumes", "24", "--voxel-size", "8")
"""A task is half a minute of processor time then: most of it starts the program, scores, and draws the report."""


class Chain:
    """A study on a cluster: the calls of submit, and what the queue makes of them."""

    def __init__(self, cluster, program, folder):
        self.cluster, self.program, self.folder = cluster, program, folder
        self.out = folder / "out"

    def call(self, level: str, *options: str) -> subprocess.CompletedProcess:
        command = [self.program, self.folder / "data", self.out, level, *OPTIONS, "--work-dir", self.folder / "work"]
        return subprocess.run([*command, *options], capture_output=True, text=True)

    def submit(self, *options: str) -> subprocess.CompletedProcess:
        done = self.call("submit", *options)
        self.cluster.submitted += re.findall(r"as job (\d+)", done.stdout)
        return done

    def train(self, *options: str) -> None:
        done = self.call("train", *options)
        assert done.returncode == 0, done.stdout + done.stderr

    def jobs(self) -> dict[str, str]:
        """Give the numbers of the newest submission's jobs."""
        words = (self.newest / "queued.txt").read_text().splitlines()
        return dict(line.split()[:2] for line in words)

    @property
    def newest(self):
        return max((self.out / "logs" / "jobs").iterdir())

    def states(self, job: str) -> set[str]:
        return set(self.cluster.state(job).split())

    def wait(self, job: str) -> set[str]:
        ended = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "OUT_OF_MEMORY", "NODE_FAIL"}
        self.cluster.wait_for(f"job {job} to end", lambda: self.states(job) and self.states(job) <= ended)
        return self.states(job)


@pytest.fixture
def chain(cluster, scaae_bids, tmp_path):
    folder = tmp_path / "a study"
    folder.mkdir()
    assert simulate([str(folder / "data"), *SIZE]) == 0
    cluster.LONGEST = 1500
    return Chain(cluster, scaae_bids, folder)


def test_losses_are_named_and_sent_again_until_the_group_is_complete(chain, cluster):
    first = chain.submit("--at-once", "2", "--yes")
    assert first.returncode == 0, first.stderr
    jobs = chain.jobs()
    array = jobs["participants"]
    # While the model is fitted: one task is taken away, one gets too little memory for anything.
    cluster.ask("scancel", f"{array}_3")
    cluster.ask("scontrol", "update", f"JobId={array}_7", "MinMemoryNode=100")
    # Called again at once, nobody is sent twice.
    assert "1 due, 11 in the queue" in chain.submit("--dry-run").stdout
    assert chain.wait(jobs["train"]) == {"COMPLETED"}, (chain.newest / f"train_{jobs['train']}.log").read_text()
    log = chain.newest / f"participants_{array}_5.log"
    cluster.wait_for("task 5 to be at work", lambda: log.exists() and "Input: " in log.read_text())
    cluster.ask("scancel", f"{array}_5")
    chain.wait(array)
    assert chain.wait(jobs["group"]) == {"FAILED"}
    said = (chain.newest / f"group_{jobs['group']}.log").read_text()
    assert re.search(r"sub-03\S*: no results: its task never started", said)
    assert re.search(r"sub-05\S*: no results: its task was cancelled", said)
    assert re.search(r"sub-07\S*: no results: its task was killed for want of memory: give --mem more", said)
    assert (chain.out / "group.html").exists()
    missed = json.loads((chain.out / "logs" / "status.json").read_text())["CouldNotRun"]
    assert {name.partition("_")[0] for name in missed} == {"sub-03", "sub-05", "sub-07"}
    models = {path: path.stat().st_mtime_ns for path in chain.out.glob("models/*/weights.safetensors")}
    assert len(models) == 1

    again = chain.submit("--yes")
    assert "12 participants with 12 runs: 3 due, 0 in the queue, 9 finished before." in again.stdout
    assert "sub-07: its task was killed for want of memory" in again.stdout
    second = chain.jobs()
    assert set(second) == {"participants", "group"}
    assert (chain.newest / "participants.txt").read_text() == "03\n05\n07\n"
    assert chain.wait(second["participants"]) == {"COMPLETED"}
    assert chain.wait(second["group"]) == {"COMPLETED"}
    said = (chain.newest / f"group_{second['group']}.log").read_text()
    assert "Group of 12 participants with 12 runs" in said
    assert "Missing" not in said
    assert {path: path.stat().st_mtime_ns for path in chain.out.glob("models/*/weights.safetensors")} == models
    assert "Nothing to queue: all is done." in chain.submit("--yes").stdout


def test_an_unknown_partition_queues_nothing(chain, cluster):
    done = chain.submit("--partition", "nowhere", "--yes")
    assert done.returncode == 70
    (line,) = done.stderr.splitlines()
    assert re.search(r"The scheduler refused the jobs in .*: sbatch: error: .*[Ii]nvalid partition", line)
    assert line.endswith("Nothing is in the queue.")
    assert cluster.ask("squeue", "--noheader", "--me") == ""


def test_if_the_last_job_is_refused_those_before_it_are_taken_back(chain, cluster):
    chain.submit()
    script = chain.newest / "group.sh"
    script.write_text(script.read_text().replace("#SBATCH --requeue", "#SBATCH --partition=nowhere --requeue"))
    done = subprocess.run(["bash", chain.newest / "submit.sh"], capture_output=True, text=True)
    assert done.returncode != 0
    cluster.wait_for("the queue to be empty", lambda: cluster.ask("squeue", "--noheader", "--me") == "")
    assert not (chain.newest / "queued.txt").exists()


def test_a_task_that_runs_out_of_time_says_so(chain, cluster):
    """Slurm counts in minutes: the task waits for its participant, whom another process holds, until they are over."""
    only = ("--participant-label", "01")
    chain.train(*only)  # before: a training waits for held participants too
    held = chain.folder / "held.py"
    held.write_text(
        "import sys, time\nfrom pathlib import Path\nfrom scaae_nipype.bids_app.engine.locks import Lock\n"
        "with Lock(Path(sys.argv[1]), 'x'):\n    print('held', flush=True)\n    time.sleep(1000)\n"
    )
    python = chain.program.with_name("python")
    lock = chain.out / "logs" / ".claims" / "sub-01.lock"
    with subprocess.Popen([python, held, lock], stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout.readline() == "held\n"
            queued = chain.submit(*only, "--time-limit", "1", "--yes")
            assert queued.returncode == 0, queued.stderr
            jobs = chain.jobs()
            assert set(jobs) == {"participants", "group"}
            assert chain.wait(jobs["participants"]) <= {"TIMEOUT", "FAILED", "CANCELLED"}
        finally:
            holder.kill()
    again = chain.submit(*only)
    assert "sub-01: its task ran out of time: give --time-limit more" in again.stdout

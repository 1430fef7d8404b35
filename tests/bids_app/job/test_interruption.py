"""``scaae-bids`` is warned while it trains: it saves and stops, and the same command goes on to the same model."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from scaae_nipype.bids_app.simulate_cli import main as simulate

N_VOLUMES = 80  # 10 steps
LONGEST = 600
"""Seconds to wait for anything."""


class Study:
    """A participant whose runs are trained on; calls differ in their output folder alone."""

    def __init__(self, folder: Path, program: Path, call_here: Callable[..., subprocess.CompletedProcess]):
        self.folder, self.program, self.call_here = folder, program, call_here
        small = ("--preset", "demo", "--participants", "1", "--runs", "1", "--volumes", "60")
        assert simulate([str(folder / "data"), *small]) == 0

    def arguments(self, name: str, nprocs: int, processes: int = 1) -> list[str]:
        options = ["--preset", "tiny", "--train-volumes", str(N_VOLUMES), "--precision", "fp32", "--mem", "4G"]
        options += ["--nprocs", str(nprocs), "--omp-nthreads", "1", "--train-processes", str(processes)]
        options += ["--device", "cpu", "--work-dir", str(self.folder / f"work-{name}")]
        return [str(self.folder / "data"), str(self.folder / name), "train", *options]

    def start(self, name: str, *how: int) -> subprocess.Popen:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # tests in the background ignore it, as children would
        return subprocess.Popen(
            [self.program, *self.arguments(name, *how)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def finish(self, name: str, *how: int) -> str:
        """Run a call to its end; what it wrote on the error stream."""
        said = self.call_here(*self.arguments(name, *how))
        assert said.returncode == 0, said.stdout + said.stderr
        assert "All done: 1 model finished now." in said.stdout
        return said.stderr

    def checkpoints(self, name: str) -> list[Path]:
        return list((self.folder / f"work-{name}").glob("**/checkpoints/step=*.ckpt"))

    def straight(self, processes: int):
        """Give the weights of an undisturbed training."""
        name = f"straight-{processes}"
        if not (self.folder / name).exists():
            self.finish(name, 1, processes)
        return self.weights(name)

    def weights(self, name: str):
        (path,) = (self.folder / name / "models").glob("*/weights.safetensors")
        return load_file(path)


@pytest.fixture(scope="module")
def study(tmp_path_factory, scaae_bids, scaae_bids_here):
    return Study(tmp_path_factory.mktemp("study"), scaae_bids, scaae_bids_here)


def members(group: int) -> list[int]:
    """List the processes of a group."""
    found = subprocess.run(["ps", "-eo", "pid=,pgid="], capture_output=True, text=True, check=True).stdout
    return [int(line.split()[0]) for line in found.splitlines() if int(line.split()[1]) == group]


@pytest.mark.parametrize(
    ("nprocs", "processes", "number", "to_all"),
    [
        pytest.param(2, 1, signal.SIGUSR1, False, id="workers-warned"),
        pytest.param(2, 1, signal.SIGUSR1, True, id="workers-all-warned", marks=pytest.mark.slow),
        pytest.param(2, 1, signal.SIGTERM, True, id="workers-all-ended", marks=pytest.mark.slow),
        pytest.param(1, 1, signal.SIGUSR1, False, id="alone-warned", marks=pytest.mark.slow),
        pytest.param(1, 1, signal.SIGTERM, False, id="alone-ended", marks=pytest.mark.slow),
        pytest.param(1, 2, signal.SIGUSR1, False, id="distributed-warned", marks=pytest.mark.slow),
        pytest.param(2, 2, signal.SIGTERM, False, id="distributed-in-a-worker-ended", marks=pytest.mark.slow),
        pytest.param(1, 1, signal.SIGINT, False, id="alone-control-c", marks=pytest.mark.slow),
    ],
)
def test_a_warned_job_saves_stops_and_goes_on_to_the_same_model(study, request, nprocs, processes, number, to_all):
    name = request.node.callspec.id
    job = study.start(name, nprocs, processes)
    shown = ""
    while "loss=" not in shown and (letter := job.stderr.read(1)):  # the bar appears with the first step
        shown += letter
    assert "loss=" in shown, shown
    (os.killpg if to_all else os.kill)(job.pid, number)
    job.wait(timeout=LONGEST)
    checkpoints = study.checkpoints(name)
    deadline = time.monotonic() + 30  # the servers of the workers end when they notice that nobody needs them
    while members(job.pid):
        assert time.monotonic() < deadline, "a process was left behind"
        time.sleep(0.1)
    said = job.stdout.read()
    assert job.returncode == 1, said
    shown = job.stderr.read()
    assert "Traceback" not in said + shown
    assert "closing signal" not in shown, "torchrun's own notes"
    status = json.loads((study.folder / name / "logs" / "status.json").read_text())
    by = "" if number == signal.SIGINT else f" by {number.name}"
    assert "Stopped: 0 models finished; " in said.splitlines()[-1]
    assert f"nterrupted{by}" in status["Interrupted"]
    assert status["Verdict"] in said and status["ExitCode"] == 1 and not status["Failed"]
    if number != signal.SIGINT:  # which is not worth waiting for a batch of a large network
        (checkpoint,) = checkpoints
        assert 0 < int(checkpoint.stem.split("=")[1]) < N_VOLUMES // 8, "the training was over before"
    bar = study.finish(name, nprocs, processes)
    if number != signal.SIGINT:
        assert "Training:   0%" not in bar, "the training began anew"
    straight, resumed = study.straight(processes), study.weights(name)
    assert all((straight[key] == resumed[key]).all() for key in straight)

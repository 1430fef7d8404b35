"""A training that Slurm warns, stops and starts again, on a real Slurm."""

import subprocess
import sys

import pytest
import torch

from scaae_nipype.model import load_model

pytestmark = pytest.mark.slow

# Slurm warns the batch shell alone (B:), which passes it on, waits for the checkpoint and asks for its place back.
SCRIPT = """#!/bin/bash
#SBATCH --requeue --open-mode=append --ntasks=1 --mem=1500M --time=10 --signal=B:USR1@60
trap 'kill -USR1 $training; wait $training; scontrol requeue $SLURM_JOB_ID' USR1
echo "attempt ${SLURM_RESTART_COUNT:-0}"
"$@" &
training=$!
wait $training
"""


@pytest.mark.parametrize("how", ["warned", "stopped"])
def test_a_requeued_job_goes_on_to_the_same_weights(cluster, how, training_script, cache_files, mask_file, tmp_path):
    """Warned: SIGUSR1 to the batch shell, as --signal=B:USR1@… does. Stopped: requeued without a word (preemption)."""
    n_volumes = "200"
    command = [sys.executable, "-c", training_script, n_volumes]
    (tmp_path / "job.sh").write_text(SCRIPT)
    log, folder = tmp_path / "job.log", tmp_path / "requeued"
    every = "8" if how == "stopped" else "1000000"  # the warned one has no checkpoint but that of the signal
    arguments = [every, folder, mask_file, *cache_files]
    job = cluster.submit(tmp_path / "job.sh", log, *command, *arguments)
    cluster.wait_for("the first steps", lambda: log.exists() and "loss=" in log.read_text())
    checkpoints = folder / "checkpoints"
    if how == "warned":
        cluster.warn(job)
    else:
        cluster.wait_for("a checkpoint", lambda: list(checkpoints.glob("step=*.ckpt")))
        cluster.ask("scontrol", "requeue", job)
    cluster.wait_for("the job to be back in the queue", lambda: cluster.state(job) == "PENDING")
    (checkpoint,) = checkpoints.glob("step=*.ckpt")
    assert 0 < int(checkpoint.stem.split("=")[1]) < 25, "the training was over before it was stopped"
    cluster.start_again(job)
    cluster.see_through(job, log)
    shown = log.read_text()
    assert "attempt 0" in shown
    assert "attempt 1" in shown
    assert ("interrupted by SIGUSR1 after" in shown) == (how == "warned")
    subprocess.run([*command, "1000000", tmp_path / "straight", mask_file, *cache_files], check=True)
    requeued, straight = (load_model(path / "model") for path in (folder, tmp_path / "straight"))
    assert requeued.card["Training"]["VolumesSeen"] == int(n_volumes)
    for name, tensor in straight.network.state_dict().items():
        assert torch.equal(tensor, requeued.network.state_dict()[name]), name

"""The batch script of docs/clusters.md on a real Slurm: warned while it trains, queued again, and completed."""

import re
import subprocess
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from scaae_nipype.bids_app.simulate_cli import main as simulate

pytestmark = pytest.mark.slow

DOCS = Path(__file__).resolve().parents[3] / "docs" / "clusters.md"


def documented_script(program: Path, folder: Path, name: str) -> str:
    """Take the script from the documentation, with the paths and the time of this test in place of the user's."""
    by_hand = DOCS.read_text().partition("## By hand")[2]
    script = re.search(r"```bash\n(#!/bin/bash\n#SBATCH.*?)```", by_hand, re.DOTALL)[1]
    ours = {
        "scaae-bids /data /out": f"{program} {folder}/data {folder}/{name}",
        "--preset autoencoder": "--preset tiny --train-volumes 200 --precision fp32 --omp-nthreads 1",
        "/scratch/work": f"{folder}/work-{name}",
        "--time=4:00:00": "--time=30",
        "--mem=4G": "--mem=2500M",
    }
    for theirs, here in ours.items():
        assert theirs in script, theirs
        script = script.replace(theirs, here)
    return script


def weights(folder: Path):
    (path,) = folder.glob("models/*/weights.safetensors")
    return load_file(path)


def test_the_documented_job_is_warned_queued_again_and_completes(cluster, scaae_bids, tmp_path):
    assert simulate([str(tmp_path / "data"), "--preset", "demo", "--participants", "1", "--runs", "1"]) == 0
    (tmp_path / "job.sh").write_text(documented_script(scaae_bids, tmp_path, "requeued"))
    log = tmp_path / "job.log"
    job = cluster.submit(tmp_path / "job.sh", log)
    cluster.wait_for("the first steps", lambda: log.exists() and "loss=" in log.read_text())
    cluster.warn(job)
    cluster.wait_for("the job to be back in the queue", lambda: cluster.state(job) == "PENDING")
    (checkpoint,) = tmp_path.glob("work-requeued/**/checkpoints/step=*.ckpt")
    assert 0 < int(checkpoint.stem.split("=")[1]) < 25, "the training was over before it was warned"
    cluster.start_again(job)
    cluster.see_through(job, log)
    said = log.read_text()
    assert "Stopped: 0 models finished; interrupted by SIGUSR1; the same command goes on where it stopped." in said
    assert "All done: 1 model finished now." in said
    assert "Traceback" not in said
    script = documented_script(scaae_bids, tmp_path, "straight")
    subprocess.run(["bash"], input=script, text=True, check=True, capture_output=True, timeout=cluster.LONGEST)
    straight, requeued = weights(tmp_path / "straight"), weights(tmp_path / "requeued")
    assert all((straight[key] == requeued[key]).all() for key in straight)

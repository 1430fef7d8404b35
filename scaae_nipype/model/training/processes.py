"""A training as a job description, so that several processes can take part.

``torchrun -m scaae_nipype.model.training.processes`` runs one.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from ...errors import Interrupted, ModelError, ScaaeError
from ...files import read_json, write_json
from ...grid import load_grid
from ...options import Training
from ...orphans import end_with_parent
from ...progress import Progress, bar, silent
from ...signals import listen

__all__ = ["run_job", "start_job"]

LONGEST_STEP = 300
"""Seconds that ``torchrun`` gives its processes to end a step and save, before it kills them."""


def start_job(job: dict[str, Any], folder: Path, *, progress: Progress = silent) -> Path:
    """Train in this process, or in several under ``torchrun`` where the job asks for them.

    Parameters
    ----------
    job : dict
        ``cache_files`` (paths), ``grid_mask`` (path or None), ``training`` (fields of `Training`), ``card`` (dict),
        ``work_dir`` and ``model_dir`` (paths).
    folder : Path
        Where the job description is kept.
    progress : Progress
        Counts volumes, where one process trains; the first of several draws a bar.

    Returns
    -------
    Path
        The model folder.

    Raises
    ------
    ModelError
        If the training fails.
    Interrupted
        If a signal asked for the end; there is a checkpoint then.
    """
    processes = job["training"].get("processes", 1)
    if processes == 1:
        return run_job(job, progress=progress)
    description = write_json(job, folder / "job.json")
    command = [sys.executable, "-m", "scaae_nipype.model.training.torchrun", "--standalone"]
    command += [f"--nproc-per-node={processes}", "--signals-to-handle=SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1"]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(max(1, torch.get_num_threads() // processes)),
        "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": str(LONGEST_STEP),
    }
    code = _run([*command, "-m", "scaae_nipype.model.training.processes", str(description)], environment)
    if code:
        raise ModelError(f"Training in {processes} processes failed (exit code {code}); see its output above.")
    return Path(job["model_dir"])


def _run(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a program that hears what this process is told; give its exit code."""
    received: list[signal.Signals] = []
    process = subprocess.Popen(command, env=environment)

    def pass_on(number: signal.Signals) -> None:
        received.append(number)
        if len(received) == 1:  # once is enough
            process.send_signal(number)

    try:
        with ExitStack() as listening:
            listening.callback(listen(pass_on))
            code = process.wait()
    except BaseException:
        process.terminate()
        process.wait()
        raise
    if received and code:
        raise Interrupted(
            f"Training was interrupted by {received[0].name}; the same command goes on from its last checkpoint."
        )
    return code


def run_job(job: dict[str, Any], *, progress: Progress = silent) -> Path:
    """Train and write the model folder (from the first process only)."""
    from ..weights import save_model
    from .train import train_on_caches

    grid = load_grid(job.get("grid_mask"))
    training = Training(**job["training"])
    model, first = train_on_caches(
        job["cache_files"], grid, training=training, work_dir=job["work_dir"], card=job["card"], progress=progress
    )
    return save_model(model, job["model_dir"]) if first else Path(job["model_dir"])


if __name__ == "__main__":
    end_with_parent()
    try:
        run_job(read_json(sys.argv[1]), progress=bar)
    except (ScaaeError, Interrupted) as error:
        sys.exit(str(error))

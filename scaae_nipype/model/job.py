"""A training as a job description, so that several processes can take part (``torchrun -m scaae_nipype.model.job``)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from ..errors import ModelError
from ..files import read_json, write_json
from ..grid import load_grid

__all__ = ["run_job", "start_job"]


def start_job(job: dict[str, Any], folder: Path) -> Path:
    """Train in this process, or in several under ``torchrun`` where the job asks for them.

    Parameters
    ----------
    job : dict
        ``cache_files`` (paths), ``grid_mask`` (path or None), ``training`` (fields of `Training`), ``card`` (dict),
        ``work_dir`` and ``model_dir`` (paths).
    folder : Path
        Where the job description is kept.

    Returns
    -------
    Path
        The model folder.
    """
    processes = job["training"].get("processes", 1)
    if processes == 1:
        return run_job(job)
    description = write_json(job, folder / "job.json")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    result = subprocess.run([*command, "-m", "scaae_nipype.model.job", str(description)], check=False)
    if result.returncode:
        raise ModelError(
            f"Training in {processes} processes failed (exit code {result.returncode}); see its output above."
        )
    return Path(job["model_dir"])


def run_job(job: dict[str, Any]) -> Path:
    """Train and write the model folder (from the first process only)."""
    from .training import Training, train_model
    from .weights import save_model

    grid = load_grid(job.get("grid_mask"))
    training = Training(**job["training"])
    model, first = train_model(job["cache_files"], grid, training=training, work_dir=job["work_dir"], card=job["card"])
    return save_model(model, job["model_dir"]) if first else Path(job["model_dir"])


if __name__ == "__main__":
    run_job(read_json(sys.argv[1]))

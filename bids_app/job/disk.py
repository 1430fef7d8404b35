"""What a job needs of its disks, estimated from what runs took, and whether there is room."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import UsageError
from ...images import count_volumes
from ..inputs.plan import RunInput
from ..settings.settings import Settings

__all__ = ["MODEL_GB", "OUTPUT_GB", "WORK_GB", "DiskNeeds", "check_disk", "disk_needs", "place_in_words"]

PREPARED_GB, WORK_GB, OUTPUT_GB = 0.00007, 0.00035, 0.00018
"""What a volume takes: of a run that is prepared, of one that is extracted too, in the output dataset.

Measured on simulated runs of 60 volumes on the whole mask (docs/scale.md), rounded up: 0.062, 0.30 and 0.12 MB.
"""

REPORT_GB, MODEL_GB, CACHE_GB = 0.004, 0.02, 0.00012
"""A participant's report; a model; a training volume in half precision on the disk."""

_HEADERS_READ = 20
"""Runs whose volumes are counted for the mean."""

_IN_MEMORY = ("tmpfs", "ramfs")


@dataclass(frozen=True)
class DiskNeeds:
    """GB that a job needs at most at the same time."""

    work: float
    output: float


def disk_needs(settings: Settings, due: Sequence[RunInput], *, n_training: int, at_once: int) -> DiskNeeds:
    """Estimate what runs take: all of them in the output dataset, and those that are done together in the work folder.

    Parameters
    ----------
    settings : Settings
    due : sequence of RunInput
    n_training : int
        Runs that a model is fitted to; 0 where there is one.
    at_once : int
        Runs that are prepared before they are extracted.
    """
    step = max(1, len(due) // _HEADERS_READ)
    counts = [count for run in due[::step] if (count := count_volumes(run.bold))]
    if not counts:
        return DiskNeeds(0.0, 0.0)
    n_volumes = sum(counts) / len(counts)  # of a run
    training = n_training * n_volumes * (PREPARED_GB + CACHE_GB)
    if settings.level == "train":
        return DiskNeeds(training + MODEL_GB, MODEL_GB)
    waiting = len(due) if settings.keep_work else min(at_once, len(due))
    extracted = len(due) if settings.keep_work else min(settings.nprocs, len(due))
    work = n_volumes * (waiting * PREPARED_GB + extracted * (WORK_GB - PREPARED_GB))
    signed = 0.5 if settings.save_signed else 0.0
    participants = len({run.entities["sub"] for run in due})
    output = len(due) * n_volumes * OUTPUT_GB * (1 + signed) + participants * REPORT_GB + MODEL_GB
    return DiskNeeds(max(training, work) + MODEL_GB, output)


def check_disk(settings: Settings, needs: DiskNeeds) -> None:
    """See that work folder and output dataset have room, together where they lie on one disk.

    Raises
    ------
    UsageError
        If they have not.
    """
    work, output = _nearest(settings.work_dir), _nearest(settings.output_dir)
    try:
        together = work.stat().st_dev == output.stat().st_dev
        free_work, free_output = (shutil.disk_usage(place).free / 1e9 for place in (work, output))
    except OSError:
        return
    wanted: tuple[tuple[str, Path, float, float], ...]
    if together:
        wanted = (("output_dir and --work-dir", output, needs.work + needs.output, free_output),)
    else:
        wanted = (("--work-dir", work, needs.work, free_work), ("output_dir", output, needs.output, free_output))
    for what, place, need, free in wanted:
        if need > free:
            kept = " Leave --keep-workdir out, or make" if settings.keep_work else " Make"
            raise UsageError(
                f"{place}: has {free:.1f} GB left, and about {need:.1f} GB are needed for {what}.{kept} room, give "
                "another folder, or name fewer participants at a time."
            )


def place_in_words(settings: Settings, needs: DiskNeeds) -> str:
    """Say where the work folder is, what it will hold, and what becomes of it."""
    place = _nearest(settings.work_dir)
    free = shutil.disk_usage(place).free / 1e9
    kept = "everything is kept" if settings.keep_work else "runs are removed from it when they are done"
    memory = ", which is memory and not a disk: --work-dir chooses another" if _is_memory(place) else ""
    return f"Work folder: {settings.work_dir} (about {needs.work:.1f} GB of {free:.0f} GB free; {kept}){memory}."


def _nearest(folder: Path) -> Path:
    """Give a folder, or the nearest one above it that exists."""
    return next((place for place in (folder, *folder.parents) if place.is_dir()), folder)


def _is_memory(folder: Path, mounts: Path = Path("/proc/self/mounts")) -> bool:
    """Tell whether a folder lies in memory (Linux; elsewhere that is not known)."""
    try:
        lines = [line.split() for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines()]
    except OSError:
        return False
    real = Path(os.path.realpath(folder))
    found = [(len(line[1]), line[2]) for line in lines if len(line) > 2 and real.is_relative_to(line[1])]
    return max(found, default=(0, ""))[1] in _IN_MEMORY

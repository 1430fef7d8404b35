"""How schedulers are spoken to: what stands at the top of a job, how one waits for another, what is in the queue."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ...errors import ScaaeError
from ...words import one_line
from ..settings.settings import ClusterOptions
from ..settings.time_limit import time_text

__all__ = ["SCHEDULERS", "Needs", "Scheduler"]

_SECONDS = 60
"""How long a scheduler may take to answer a question."""


@dataclass(frozen=True)
class Needs:
    """What a job may take."""

    processors: int
    memory_mb: int
    minutes: int
    gpus: int = 0


class Scheduler(Protocol):
    """What the jobs' scripts have to say differently for every scheduler."""

    submit: str  # program that queues
    cancel: str  # program that takes jobs back
    job: str  # variable with the number of a job
    task: str  # variable with the number of a task
    requeue: str  # what a job does to be queued again

    def header(self, name: str, needs: Needs, folder: Path, options: ClusterOptions, *, warned: bool) -> list[str]:
        """Give the lines that the scheduler reads; `warned` jobs get SIGUSR1 before their time is over."""
        ...

    def after(self, numbers: Sequence[str]) -> str:
        """Say that a job waits for others to end, however they do."""
        ...

    def array(self, size: int, at_once: int | None) -> str:
        """Say that a job is an array."""
        ...

    def array_limit(self) -> int:
        """Give the size of the largest array."""
        ...

    def in_queue(self) -> set[tuple[str, int]]:
        """Give number and task of the user's jobs that wait or run; the task of those that are no arrays is 0.

        Raises
        ------
        ScaaeError
            If the scheduler does not answer.
        """
        ...


class Slurm:
    """Slurm."""

    submit, cancel, job, task = "sbatch --parsable", "scancel", "SLURM_JOB_ID", "SLURM_ARRAY_TASK_ID"
    requeue = "scontrol requeue $SLURM_JOB_ID"

    def header(self, name: str, needs: Needs, folder: Path, options: ClusterOptions, *, warned: bool) -> list[str]:
        """Give the lines that the scheduler reads."""
        log = f"{folder}/{name}_{'%A_%a' if name == 'participants' else '%j'}.log"
        time = time_text(needs.minutes)
        lines = [
            f"--job-name=scaae-{name}",
            f"--ntasks=1 --cpus-per-task={needs.processors} --mem={needs.memory_mb}M --time={time}",
            f"--requeue --open-mode=append --output={_quoted(log)}",
        ]
        lines += ["--signal=B:USR1@120"] if warned else []
        lines += [f"--gres=gpu:{needs.gpus}"] if needs.gpus else []
        lines += [f"--partition={options.partition}"] if options.partition else []
        lines += [f"--account={options.account}"] if options.account else []
        lines += [options.scheduler_arguments] if options.scheduler_arguments else []
        return [f"#SBATCH {line}" for line in lines]

    def after(self, numbers: Sequence[str]) -> str:
        """Say that a job waits for others to end."""
        return f"--dependency=afterany:{':'.join(numbers)}"

    def array(self, size: int, at_once: int | None) -> str:
        """Say that a job is an array."""
        return f"--array=1-{size}" + (f"%{at_once}" if at_once else "")

    def array_limit(self) -> int:
        """Give the size of the largest array: one less than what Slurm calls so, because tasks count from 1 here."""
        found = re.search(r"^MaxArraySize\s*=\s*(\d+)", _told("scontrol", "show", "config"), re.MULTILINE)
        return max(1, int(found[1]) - 1) if found else 1000

    def in_queue(self) -> set[tuple[str, int]]:
        """Give number and task of the user's jobs."""
        words = _ask("squeue", "--me", "--noheader", "--array", "--format=%F %K").splitlines()
        pairs = [line.split() for line in words if line.strip()]
        return {(number, int(task) if task.isdigit() else 0) for number, task in pairs}


class Sge:
    """Grid Engine (SGE, Univa, Son of Grid Engine)."""

    submit, cancel, job, task = "qsub -terse", "qdel", "SGE_TASK_ID", "SGE_TASK_ID"
    requeue = "exit 99"

    def header(self, name: str, needs: Needs, folder: Path, options: ClusterOptions, *, warned: bool) -> list[str]:
        """Give the lines that the scheduler reads."""
        log = f"{folder}/{name}.$JOB_ID{'.$TASK_ID' if name == 'participants' else ''}.log"
        limits = f"h_rt={time_text(needs.minutes)},h_vmem={-(-needs.memory_mb // needs.processors)}M"
        limits += f",s_rt={time_text(max(1, needs.minutes - 2))}" if warned else ""
        lines = [
            f"-N scaae-{name} -S /bin/bash -V -r yes",
            f"-pe smp {needs.processors} -l {limits}",
            f"-j yes -o {_quoted(log)}",
        ]
        lines += [f"-l gpu={needs.gpus}"] if needs.gpus else []
        lines += [f"-q {options.partition}"] if options.partition else []
        lines += [f"-P {options.account}"] if options.account else []
        lines += [options.scheduler_arguments] if options.scheduler_arguments else []
        return [f"#$ {line}" for line in lines]

    def after(self, numbers: Sequence[str]) -> str:
        """Say that a job waits for others to end."""
        return f"-hold_jid {','.join(numbers)}"

    def array(self, size: int, at_once: int | None) -> str:
        """Say that a job is an array."""
        return f"-t 1-{size}" + (f" -tc {at_once}" if at_once else "")

    def array_limit(self) -> int:
        """Give the size of the largest array."""
        found = re.search(r"^max_aj_tasks\s+(\d+)", _told("qconf", "-sconf"), re.MULTILINE)
        return int(found[1]) if found and int(found[1]) else 1000

    def in_queue(self) -> set[tuple[str, int]]:
        """Give number and task of the user's jobs."""
        rows = [line.split() for line in _ask("qstat", "-g", "d").splitlines()[2:]]
        return {(row[0], int(row[-1]) if len(row) > 9 and row[-1].isdigit() else 0) for row in rows if row}


SCHEDULERS: dict[str, Scheduler] = {"slurm": Slurm(), "sge": Sge()}
"""By what ``--scheduler`` calls them."""


def _quoted(path: str) -> str:
    return f'"{path}"' if re.search(r"\s", path) else path


def _told(*command: str) -> str:
    """Ask for what there is a usual value of: empty where nobody answers."""
    try:
        return _ask(*command)
    except ScaaeError:
        return ""


def _ask(*command: str) -> str:
    """Ask a scheduler; empty where its programs are not on this machine.

    Raises
    ------
    ScaaeError
        If it does not answer.
    """
    if shutil.which(command[0]) is None:
        return ""
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise ScaaeError(f"{command[0]} did not answer within {_SECONDS} s: is the scheduler up?") from None
    if asked.returncode:
        raise ScaaeError(f"{command[0]} failed: {one_line(asked.stderr) or 'without a word'}")
    return asked.stdout

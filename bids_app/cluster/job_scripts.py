"""The scripts that a scheduler gets: one for the model, one for an array of participants, one for the group."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..output.submissions import EXPECTED, PARTICIPANTS, QUEUED
from ..settings.settings import ClusterOptions
from .schedulers import SCHEDULERS, Needs

__all__ = ["Job", "array_parts", "script_of", "submit_script"]

_WIDTH = 110


@dataclass(frozen=True)
class Job:
    """A job: its name (train, participants, group), what it calls, and what it may take."""

    name: str
    words: Sequence[str]
    needs: Needs


def script_of(job: Job, folder: Path, options: ClusterOptions, make: Sequence[Path] | None = None) -> str:
    """Write a job's script.

    Parameters
    ----------
    job : Job
    folder : Path
        Where the script, the lists and the logs lie.
    options : ClusterOptions
    make : sequence of Path, optional
        In a container: folders that must be there before.
    """
    scheduler, is_training = SCHEDULERS[options.scheduler], job.name == "train"
    lines = ["#!/bin/bash", *scheduler.header(job.name, job.needs, folder, options, warned=is_training)]
    body, ending = _wrapped(job.words), []
    if is_training:
        lines.append("# Warned before its time is over, the training saves what it has and is queued again.")
        lines.append(f"trap 'kill -USR1 $job; wait $job; {scheduler.requeue}' USR1")
        body, ending = f"{body} &", ["job=$!", "wait $job"]
    elif job.name == "participants":
        lines.append("# The task's number, and how many lines the arrays before this one have: a line of the list.")
        listed = shlex.quote(str(folder / PARTICIPANTS))
        lines.append(f'label=$(sed -n "$(({scheduler.task} + ${{1:-0}}))p" {listed})')
        body = f'{body} --participant-label "$label"'
    elif job.name == "group":
        lines.append("# Names those of the list who have no results, and why.")
        body = f"{body} --expected {shlex.quote(str(folder / EXPECTED))}"
    if make is not None:
        lines.append(f"mkdir -p {' '.join(shlex.quote(str(path)) for path in make)}")
        lines.append(f"export APPTAINERENV_{scheduler.job}=${scheduler.job}  # so that it knows that it is a job")
    return "\n".join([*lines, body, *ending, ""])


def _wrapped(words: Sequence[str]) -> str:
    """Write a command in lines that can be read."""
    lines, line = [], ""
    for word in map(shlex.quote, words):
        starts_option = word.startswith("--") and len(line) > _WIDTH // 2
        if line and (len(line) + len(word) > _WIDTH or starts_option):
            lines.append(line)
            line = f"    {word}"
        else:
            line = f"{line} {word}" if line else word
    return " \\\n".join([*lines, line])


def array_parts(n_tasks: int, limit: int) -> list[tuple[int, int]]:
    """Divide tasks among arrays: how many lines stand before each one's first task, and how many tasks it has.

    >>> array_parts(904, 1000), array_parts(2500, 1000)
    ([(0, 904)], [(0, 1000), (1000, 1000), (2000, 500)])
    """
    return [(start, min(limit, n_tasks - start)) for start in range(0, n_tasks, limit)]


def submit_script(
    jobs: Sequence[Job],
    folder: Path,
    options: ClusterOptions,
    *,
    parts: Sequence[tuple[int, int]],
    earlier: Mapping[str, Sequence[str]],
) -> str:
    """Write the script that queues the jobs.

    Parameters
    ----------
    jobs : sequence of Job
        In the order in which they wait for each other.
    folder : Path
    options : ClusterOptions
    parts : sequence of (int, int)
        Of the array, as `array_parts` gives them.
    earlier : mapping
        Numbers of jobs that are in the queue already, by name: they are waited for too.
    """
    scheduler = SCHEDULERS[options.scheduler]
    lines = [
        "#!/bin/bash",
        "# Queues the jobs of this folder, each after the one before, however that ends.",
        "# If the scheduler refuses one, those before it are taken back.",
        "set -eu",
        f"cd {shlex.quote(str(folder))}",
        f'if [ -e {QUEUED} ]; then echo "queued before, see $PWD/{QUEUED}" >&2; exit 1; fi',
        'queued=""',
        f"trap '[ -z \"$queued\" ] || {scheduler.cancel} $queued' EXIT",
    ]
    noted: list[str] = []
    before: list[str] = []
    for job in jobs:
        waited = [*before, *(earlier.get("train", ()) if job.name == "participants" else ())]
        waited += earlier.get("participants", ()) if job.name == "group" else ()
        after = scheduler.after(waited) if waited else ""
        before = []
        for part, (offset, size) in enumerate(parts if job.name == "participants" else [(0, 0)]):
            variable = f"{job.name}{part or ''}"
            array = scheduler.array(size, _share(options.at_once, len(parts))) if size else ""
            words = [scheduler.submit, after, array, f"{job.name}.sh", str(offset) if size else ""]
            lines.append(f"{variable}=$({' '.join(filter(None, words))})")
            lines.append(f'{variable}=${{{variable}%%[;.]*}}; queued="$queued ${variable}"')
            noted.append(f"{job.name} ${variable}" + (f" {offset}" if size else ""))
            before.append(f"${variable}")
    return "\n".join([*lines, "trap - EXIT", f"cat > {QUEUED} <<END", *noted, "END", f"cat {QUEUED}", ""])


def _share(at_once: int | None, n_arrays: int) -> int | None:
    """Divide what may run at the same time among arrays."""
    return None if at_once is None else max(1, at_once // n_arrays)

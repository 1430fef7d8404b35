"""The level submit: jobs for a scheduler, written from the same plan as the participant level has, and queued."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import ScaaeError, UsageError
from ...files import write_json, write_text
from ...words import counted, one_line
from ..exits import EXIT_OK
from ..job.job import Job as Plan
from ..job.participant_call import plan_job
from ..output.dataset_files import check_writable
from ..output.submissions import EXPECTED, FOLDER, PARTICIPANTS, last_task_of
from ..output.verdict import Call
from ..settings.container import own_image
from ..settings.settings import Settings
from .in_queue import InQueue, in_queue
from .job_scripts import Job, array_parts, script_of, submit_script
from .job_words import container_words, job_words
from .schedulers import SCHEDULERS, Needs
from .task_costs import needs_of_group, needs_of_participants, needs_of_training

__all__ = ["Planned", "plan_jobs", "run", "scripts_of"]

_NAMED = 10
"""How many lost tasks are named one by one."""

_Say = Callable[[str], None]


@dataclass(frozen=True)
class Planned:
    """What is to be queued."""

    jobs: list[Job]
    due: list[str]  # labels of the array's tasks
    expected: list[str]  # labels of all


def run(settings: Settings, call: Call) -> int:
    """Write the jobs, and queue them if that was asked for; give the exit code.

    Raises
    ------
    ScaaeError
        If nothing could be planned, or the scheduler refuses.
    """
    say, options = call.console.say, settings.cluster
    _check_image(options.image)
    plan, kept = plan_job(settings.replaced(level="participant"), call.console)
    plan.models.check_cross_fit()
    for text in kept:
        say(text)
    scheduler = SCHEDULERS[options.scheduler]
    waiting = in_queue(settings.output_dir, scheduler)
    folder = _new_folder(settings.output_dir)
    filters = settings.read_filters()
    planned = plan_jobs(settings, plan, waiting, folder / "filter.json" if filters else None, say=say)
    if not planned.jobs:
        return EXIT_OK
    scripts = scripts_of(settings, planned, folder, waiting)
    if settings.dry_run:
        for name, text in scripts.items():
            say(f"---- {folder / name}\n{text.rstrip()}")
        say("This was a dry run: nothing was written, nothing was queued.")
        return EXIT_OK
    check_writable(settings.output_dir)
    _write(folder, scripts, planned, filters)
    say(f"Jobs: {folder}")
    if not options.yes:
        say(f"Nothing was queued. Look at the scripts; this queues them: bash {folder / 'submit.sh'}")
        return EXIT_OK
    _queue(folder, scheduler.submit.split()[0], say=say)
    return EXIT_OK


def _check_image(image: str | None) -> None:
    """See that the image is there; inside of an image, what is outside cannot be seen.

    Raises
    ------
    UsageError
        If it is not.
    """
    if image is None or own_image() is not None or "://" in image or Path(image).exists():
        return
    raise UsageError(f"`image` {image}: there is no such file; give a .sif file that all nodes see, or docker://NAME.")


def scripts_of(settings: Settings, planned: Planned, folder: Path, waiting: InQueue) -> dict[str, str]:
    """Write the scripts of the jobs, and the one that queues them, by their names.

    Parameters
    ----------
    settings : Settings
    planned : Planned
    folder : Path
        Where they will lie.
    waiting : InQueue
        What earlier calls have queued.
    """
    options = settings.cluster
    in_container = bool(options.image or own_image())
    scripts = {
        f"{job.name}.sh": script_of(job, folder, options, _to_make(settings) if in_container else None)
        for job in planned.jobs
    }
    parts = array_parts(len(planned.due), options.array_size or SCHEDULERS[options.scheduler].array_limit())
    scripts["submit.sh"] = submit_script(planned.jobs, folder, options, parts=parts, earlier=waiting.numbers)
    return scripts


def plan_jobs(settings: Settings, plan: Plan, waiting: InQueue, filter_file: Path | None, *, say: _Say) -> Planned:
    """Say what is due, and make the jobs of it."""
    runs = plan.inputs.runs
    expected = list(dict.fromkeys(run.entities["sub"] for run in runs))
    unfinished = {run.entities["sub"] for run in runs if run.stem in plan.due}
    due = [label for label in expected if label in unfinished and label not in waiting.labels]
    say(
        f"{counted(len(expected), 'participant')} with {counted(len(runs), 'run')}: {len(due)} due, "
        f"{len(waiting.labels & set(expected))} in the queue, {len(expected) - len(unfinished)} finished before."
    )
    if faults := sum(skip.is_fault for skip in plan.inputs.skipped):
        say(f"{counted(faults, 'file')} cannot be used: the participant level with --dry-run says why.")
    tasks = last_task_of(settings.output_dir, due)
    endings = {
        label: ending for label, ending in tasks.items() if ending.kind != "done"
    }  # those are due for other reasons
    for label, ending in list(endings.items())[:_NAMED]:
        say(f"sub-{label}: {ending}")
    if len(endings) > _NAMED:
        say(f"… and {counted(len(endings) - _NAMED, 'other')} whose last task left no results.")
    before = container_words(settings, filter_file, gpus=settings.training.device.startswith("cuda"))

    def job(name: str, level: str, needs: Needs) -> Job:
        return Job(name, [*before, *job_words(settings, level, needs, filter_file)], needs)

    jobs: list[Job] = []
    if due and settings.model is None and not plan.models.are_complete and "train" not in waiting.numbers:
        jobs.append(job("train", "train", needs_of_training(settings, plan.models.drawn.runs)))
    if due:
        of_due = [run for run in runs if run.stem in plan.due and run.entities["sub"] in due]
        kinds = {ending.kind for ending in endings.values()}
        jobs.append(job("participants", "participant", needs_of_participants(settings, of_due, ended_by=kinds)))
    if due or not (waiting.numbers or _group_is_new(settings.output_dir)):
        jobs.append(job("group", "group", needs_of_group(settings, len(runs))))
    else:
        say(f"Nothing to queue: {'the rest is in the queue' if waiting.numbers else 'all is done'}.")
    return Planned(jobs, due, expected)


def _group_is_new(output_dir: Path) -> bool:
    """Tell whether the report of the group is newer than all records of runs."""
    report = output_dir / "group.html"
    times = [path.stat().st_mtime for path in output_dir.glob("sub-*/log/sub-*.json")]
    return report.is_file() and report.stat().st_mtime >= max(times, default=0.0)


def _new_folder(output_dir: Path) -> Path:
    """Name a folder that is not there: lists of earlier submissions never change, because their tasks read them."""
    stamp = time.strftime("%Y%m%dT%H%M%S")
    names = [stamp, *(f"{stamp}-{number}" for number in range(2, 100))]
    return next(path for name in names if not (path := output_dir / FOLDER / name).exists())


def _to_make(settings: Settings) -> list[Path]:
    """List the folders that a container needs to be there."""
    return [settings.work_dir.parent, *([settings.database_dir] if settings.database_dir else [])]


def _write(folder: Path, scripts: Mapping[str, str], planned: Planned, filters: Mapping[str, Any] | None) -> None:
    """Write scripts and lists; the lists are read-only from then on."""
    try:
        folder.mkdir(parents=True)
        for name, text in scripts.items():
            write_text(text, folder / name)
        for name, labels in ((PARTICIPANTS, planned.due), (EXPECTED, planned.expected)):
            write_text("".join(f"{label}\n" for label in labels), folder / name).chmod(0o444)
        if filters:
            write_json(dict(filters), folder / "filter.json")
    except OSError as error:
        raise ScaaeError(f"{folder}: the jobs cannot be written ({error.strerror}).") from error


def _queue(folder: Path, program: str, *, say: _Say) -> None:
    """Queue the jobs of a folder by its script.

    Raises
    ------
    ScaaeError
        If there is no scheduler here, or it refuses; nothing is in the queue then.
    """
    script = folder / "submit.sh"
    if shutil.which(program) is None:
        raise ScaaeError(
            f"{program} is not on this machine (PATH): nothing was queued. The jobs are written; where the scheduler "
            f"is, this queues them: bash {script}"
        )
    done = subprocess.run(["bash", str(script)], capture_output=True, text=True, check=False)
    if done.returncode:
        reason = one_line(done.stderr) or "it did not say why"
        raise ScaaeError(f"The scheduler refused the jobs in {folder}: {reason}. Nothing is in the queue.")
    for line in done.stdout.splitlines():
        name, number, *_ = line.split()
        say(f"Queued: {name} as job {number}")

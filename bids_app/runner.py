"""One call of ``scaae-bids``: plan, checks before the start, the work, the verdict."""

from __future__ import annotations

import os
import shutil
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from ..errors import ScaaeError, UsageError
from ..files import write_text
from .additions import files_of, settled
from .cli import EXIT_OK
from .configuration import check_output, claim_output, configuration
from .console import Console
from .inputs import Inputs, find_inputs, plan_text, read_filter_file
from .job import Job
from .models import check_model
from .outputs import check_writable, participants_with_results
from .resources import cache_environment
from .settings import MODE_DEFAULTS, Settings
from .signals import stop_text
from .verdict import Verdict, judge, write_status

__all__ = ["run"]


def run(settings: Settings, *, command: Sequence[str]) -> int:
    """Do what was asked for; give the exit code.

    Raises
    ------
    ScaaeError
        If nothing could be started: `UsageError` for what the user can say otherwise, others for unusable input.
    """
    started = time.time()
    if settings.level == "train" and settings.model is not None:
        raise UsageError("--model is a finished model: there is nothing to train; use the participant level.")
    os.environ.update(cache_environment(settings.work_dir, os.environ))
    console = Console(settings.verbosity)
    check_output(settings.output_dir, configuration(settings))
    settings, kept = settled(settings)
    content = configuration(settings)
    job = Job(settings, _find(settings), content, console)
    if not settings.reports_only:
        reasons = {} if settings.level == "train" else job.due
        console.say("\n".join([plan_text(job.inputs, job.tally.before, reasons=reasons), *kept]))
        job.check_cross_fit()
    if settings.dry_run:
        if job.due:
            _check_before_start(settings, job)
        console.say("This was a dry run: nothing was written.")
        return EXIT_OK
    _make_work_dir(settings)  # first, because libraries put their caches there
    if job.due:
        _check_before_start(settings, job)
    check_writable(settings.output_dir)
    claim_output(settings.output_dir, content, files_of(settings))
    console.log_to(settings.output_dir / "logs", command)
    verdict = _judged(job)
    status = write_status(
        settings.output_dir,
        verdict,
        job.tally,
        command=command,
        configuration=job.digest,
        started=started,
        facts={} if settings.reports_only else {"Model": str(job.shelf.folder.relative_to(settings.output_dir))},
    )
    for note in dict.fromkeys(job.tally.notes):
        console.say(note)
    console.say(f"{verdict.text} Status: {status}")
    return verdict.exit_code


def _judged(job: Job) -> Verdict:
    """Do the work, whatever comes, and compute the verdict on it."""
    settings, what = job.settings, "model" if job.settings.level == "train" else "run"
    try:
        if settings.reports_only:
            what = "report"
            labels = participants_with_results(settings.output_dir, settings.participants)
            job.report(labels)
            job.tally.finished = {
                f"sub-{label}" for label in labels if f"report of sub-{label}" not in job.tally.failed
            }
        else:
            job.run()
    except UsageError:
        raise
    except ScaaeError as error:
        job.logbook.fail("this call", str(error))
    except KeyboardInterrupt as stop:
        print(file=sys.stderr)  # a progress bar may stand in this line
        job.tally.interrupted = stop_text(stop)
    except Exception as error:
        path = write_text(traceback.format_exc(), settings.output_dir / "logs" / f"crash-{os.getpid()}.txt")
        job.logbook.fail(
            "this call", f"unexpected {type(error).__name__}: {' '.join(str(error).split())[:300]} (details: {path})"
        )
    job.close()
    return judge(job.tally, what=what)


def _check_before_start(settings: Settings, job: Job) -> None:
    """Find out early what would stop every run: templates, preset, the model that was given."""
    if settings.fetch_templates and not settings.dry_run:
        from ..evaluation.templates import fetch_smith2009

        fetch_smith2009()
    images = {"--templates": (settings.templates, settings.template_labels)}
    images["--atlas"] = settings.atlas or "default", settings.atlas_labels
    for option, (image, labels) in images.items():
        if image != "default" or labels is not None:
            _check_templates(option, image, labels)
    if settings.model is not None:
        check_model(settings.model)
    elif settings.preset not in {defaults["preset"] for defaults in MODE_DEFAULTS.values()}:
        from ..model.presets import preset_named

        preset_named(settings.preset or "contextual")


def _check_templates(option: str, image: str, labels: Path | None) -> None:
    from ..evaluation import load_templates
    from ..grid import load_grid

    try:
        load_templates(image, grid=load_grid(), labels=labels)
    except ScaaeError as error:
        raise type(error)(f"{option}: {error}") from error


def _make_work_dir(settings: Settings) -> None:
    """Make the work folder, private to its owner: it holds files that are unpickled.

    Raises
    ------
    UsageError
        If it cannot be made or belongs to somebody else.
    """
    folder = settings.work_dir
    try:
        if settings.clean_work_dir and folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.geteuid() not in (0, folder.stat().st_uid):
            raise UsageError(f"{folder}: belongs to another user; choose another --work-dir.")
        folder.chmod(0o700)
        (folder / "caches").mkdir(exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{folder}: cannot be used as work folder ({error.strerror}); choose another --work-dir."
        ) from error


def _find(settings: Settings) -> Inputs:
    """Find the runs, or give an empty list where only reports are written."""
    if settings.reports_only:
        return Inputs(runs=(), skipped=(), roots={}, notes=())
    return find_inputs(
        settings.bids_dir,
        derivatives=settings.datasets,
        participants=settings.participants,
        sessions=settings.sessions,
        tasks=settings.tasks,
        run_labels=settings.runs,
        spaces=settings.spaces,
        filters=read_filter_file(settings.filter_file) if settings.filter_file else None,
        database_dir=settings.database_dir,
        repetition_time=settings.repetition_time,
    )

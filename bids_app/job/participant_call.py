"""One call of ``scaae-bids``: plan, checks before the start, the work, the verdict."""

from __future__ import annotations

import os
import shutil
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from ...errors import ScaaeError, UsageError
from ...files import write_text
from ...signals import stop_text
from ...words import one_line
from ..cli import EXIT_OK
from ..engine.machine import cache_environment
from ..engine.plugins import check_plugin_file
from ..inputs.find import Inputs, find_inputs, plan_text
from ..output.dataset_files import check_writable, participants_with_results
from ..output.verdict import Verdict, judge, write_status
from ..settings.checks import check_cuda, check_denoised, denoised_warnings
from ..settings.configuration import check_output, claim_output, configuration
from ..settings.console import Console
from ..settings.parsing import did_you_mean
from ..settings.settings import MODE_DEFAULTS, Settings
from .additions import files_of, settled
from .job import Job
from .shelf import check_model

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
    _check_machine(settings)
    check_output(settings.output_dir, configuration(settings))
    settings, kept = settled(settings)
    content = configuration(settings)
    for note in settings.notes:
        console.say(note)
    inputs = _find(settings)
    check_denoised(settings, inputs)
    job = Job(settings, inputs, content, console)
    if not settings.reports_only:
        if not settings.boilerplate_only:
            reasons = {} if settings.level == "train" else job.due
            console.say("\n".join([plan_text(job.inputs, job.tally.before, reasons=reasons), *kept]))
        for text in _not_followed(settings, inputs):
            console.say(text)
        job.check_cross_fit()
    if settings.dry_run:
        if job.due:
            _check_before_start(settings, job, console)
        console.say("This was a dry run: nothing was written.")
        return EXIT_OK
    _make_work_dir(settings)  # first, because libraries put their caches there
    if settings.boilerplate_only:
        return _boilerplate(settings, job, console)
    if job.due:
        _check_before_start(settings, job, console)
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


def _boilerplate(settings: Settings, job: Job, console: Console) -> int:
    """Write the Methods text alone."""
    _check_before_start(settings, job, console)
    from ..output.boilerplate import write_boilerplate

    check_writable(settings.output_dir)
    there = settings.model or (job.model.folder if job.model else None)
    path = write_boilerplate(settings, job.inputs.runs, there)
    console.say(f"Methods text: {path}. Nothing was computed.")
    return EXIT_OK


def _check_machine(settings: Settings) -> None:
    """Refuse a plugin file or a device that cannot be used, before the plan."""
    if settings.plugin_file is not None:
        check_plugin_file(settings.plugin_file)
    if not settings.reports_only:
        check_cuda(settings)


def _not_followed(settings: Settings, inputs: Inputs) -> list[str]:
    """Say which runs do not follow options that the user gave."""
    warned = {run.stem: text for run in inputs.runs for text in denoised_warnings(settings, run)}
    return [f"{stem}: {text}" for stem, text in warned.items()]


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
        job.logbook.fail("this call", f"unexpected {type(error).__name__}: {one_line(error)[:300]} (details: {path})")
    job.close()
    return judge(job.tally, what=what)


def _check_before_start(settings: Settings, job: Job, console: Console) -> None:
    """Find out early what would stop every run: templates, preset, the model that was given."""
    if settings.plugin_file is not None:
        check_plugin_file(settings.plugin_file)
    if settings.fetch_templates and not settings.dry_run:
        from ...evaluation.templates.smith2009 import fetch_smith2009

        fetch_smith2009()
    if settings.dry_run or settings.templates != "default" or settings.template_labels is not None:
        _check_templates(settings, "template", console)
    if settings.atlas is not None:
        _check_templates(settings, "atlas", console)
    if settings.model is not None:
        check_model(settings.model)
    elif settings.preset not in {defaults["preset"] for defaults in MODE_DEFAULTS.values()}:
        from ...model.presets import preset_named

        preset_named(settings.preset or "contextual")


def _check_templates(settings: Settings, what: Literal["template", "atlas"], console: Console) -> None:
    """Say what is taken as templates, or as atlas, and of which kind; refuse what is neither."""
    from ...evaluation import load_templates
    from ...evaluation.templates.template_account import template_lines
    from ...grid import load_grid

    image, labels, kind = settings.templates, settings.template_labels, settings.template_kind
    if what == "atlas":
        image, labels, kind = settings.atlas or "default", settings.atlas_labels, settings.atlas_kind
    mask = None if settings.model is None else settings.model / "mask.nii.gz"
    try:
        grid = load_grid(mask if mask is not None and mask.is_file() else None)
        found = load_templates(image, grid=grid, labels=labels, kind=kind, what=what)
    except ScaaeError as error:
        names = ("default", "smith2009")
        # Of what is not there, `load_templates` has named the nearest already.
        near = did_you_mean(image, names) if image not in names and Path(image).exists() else ""
        option = "--templates" if what == "template" else "--atlas"
        raise type(error)(f"{option}: {str(error).rstrip('.') + near if near else error}") from error
    console.say("\n".join(template_lines(found, what=what)))


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
        filters=settings.read_filters(),
        database_dir=settings.database_dir,
        repetition_time=settings.repetition_time,
        concatenated=settings.concatenated,
        reindex=settings.reindex,
    )

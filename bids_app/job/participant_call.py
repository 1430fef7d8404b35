"""A call of ``scaae-bids`` at the levels ``participant`` and ``train``: plan, checks before the start, the work."""

from __future__ import annotations

import os
import sys

from ...errors import ScaaeError, UsageError
from ...images import limit_memory
from ..engine.machine import cache_environment
from ..exits import EXIT_OK
from ..inputs.find import find_inputs
from ..inputs.plan import Inputs, plan_text
from ..output.dataset_files import check_writable, participants_with_results
from ..output.score_changes import files_of, with_what_is_there
from ..output.verdict import Call
from ..settings.configuration import check_output, configuration, note_configuration
from ..settings.console import Console
from ..settings.settings import Settings
from .before_start import check_before_start, check_machine, check_models_there, make_work_dir, remove_if_empty
from .denoised import check_denoised, denoised_warnings
from .disk import check_disk, place_in_words
from .job import Job

__all__ = ["plan_job", "run"]


def run(settings: Settings, call: Call) -> int:
    """Do what was asked for; give the exit code.

    Raises
    ------
    ScaaeError
        If nothing could be started: `UsageError` for what the user can say otherwise, others for unusable input.
    """
    if settings.level == "train" and settings.model is not None:
        raise UsageError("--model is a finished model: there is nothing to train; use the participant level.")
    os.environ.update(cache_environment(settings.work_dir, os.environ))
    limit_memory(settings.memory_gb)
    check_machine(settings)
    console = call.console
    job, kept = plan_job(settings, console)
    settings = job.settings
    if not settings.reports_only:
        _show_plan(job, kept)
        job.models.check_cross_fit()
        if settings.verify:
            check_models_there(settings.output_dir / "models" / name for name in sorted(job.models.names))
        if job.due:
            job.models.check_selection()
            needs = job.disk_needs()
            console.say(place_in_words(settings, needs))
            check_disk(settings, needs)
    if settings.dry_run:
        if job.due:
            check_before_start(settings, console)
        console.say("This was a dry run: nothing was written.")
        return EXIT_OK
    made = make_work_dir(settings)  # first, because libraries put their caches there
    try:
        if settings.boilerplate_only:
            return _boilerplate(job)
        if job.due:
            check_before_start(settings, console)
        check_writable(settings.output_dir)
        note_configuration(settings.output_dir, configuration(settings), files_of(settings))
    except ScaaeError:
        remove_if_empty(made)
        raise
    return call.carry_out(
        lambda: _work(job),
        job.summary,
        subject="this call",
        what="report" if settings.reports_only else "model" if settings.level == "train" else "run",
        configuration=job.digest,
        facts={} if settings.reports_only else {"Model": str(job.store.folder.relative_to(settings.output_dir))},
    )


def plan_job(settings: Settings, console: Console) -> tuple[Job, list[str]]:
    """Find the runs, and what of them is due.

    Returns
    -------
    Job
        With settings completed by what the output dataset holds.
    list of str
        What of that is kept, for the plan.

    Raises
    ------
    ScaaeError
        If there is nothing to work on, or the output is of another configuration.
    """
    check_output(settings.output_dir, configuration(settings))
    settings, kept = with_what_is_there(settings)
    for note in settings.notes:
        console.say(note)
    inputs = _find(settings)
    check_denoised(settings, inputs)
    return Job(settings, inputs, configuration(settings), console), kept


def _find(settings: Settings) -> Inputs:
    """Find the runs, or give an empty list where only reports are written."""
    if settings.reports_only:
        return Inputs(runs=(), skipped=(), roots={}, notes=())
    return find_inputs(
        settings.bids_dir,
        settings.query(),
        derivatives=settings.datasets,
        database_dir=settings.database_dir,
        repetition_time=settings.repetition_time,
        concatenated=settings.concatenated,
        reindex=settings.reindex,
    )


def _show_plan(job: Job, kept: list[str]) -> None:
    """Say what will be done, what is kept, and which runs do not follow options that the user gave."""
    settings, say = job.settings, job.console.say
    if not settings.boilerplate_only:
        reasons = {} if settings.level == "train" else job.due
        drawn = [job.models.plan] if job.due and job.models.plan else []
        say("\n".join([plan_text(job.inputs, job.summary.before, reasons=reasons), *drawn, *kept]))
    for run in job.inputs.runs:
        for text in denoised_warnings(settings, run):
            say(f"{run.stem}: {text}")


def _boilerplate(job: Job) -> int:
    """Write the Methods text alone."""
    from ..output.boilerplate import write_boilerplate

    check_before_start(job.settings, job.console)
    check_writable(job.settings.output_dir)
    there = job.settings.model or (job.models.main.folder if job.models.main else None)
    path = write_boilerplate(job.settings, job.inputs.runs, there)
    job.console.say(f"Methods text: {path}. Nothing was computed.")
    return EXIT_OK


def _work(job: Job) -> None:
    try:
        if job.settings.reports_only:
            job.write_reports(participants_with_results(job.settings.output_dir, job.settings.participants))
        else:
            job.run()
    except KeyboardInterrupt:
        if sys.stderr.isatty():
            print(file=sys.stderr)  # a progress bar may stand in this line
        raise
    finally:
        job.close()

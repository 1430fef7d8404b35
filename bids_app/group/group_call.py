"""The group level: tables over participants, from what the participant level wrote and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...derivatives.names import group_path
from ...errors import InputError
from ...evaluation.group.group_tables import Question, group_tables
from ...evaluation.group.state_maps import GroupStateMaps, mean_state_maps
from ...images import limit_memory
from ...maps import BRANCHES
from ...progress import bar, silent
from ...report.group_page import group_report
from ...words import counted, few_and_more
from ..engine.late_files import appears
from ..engine.leftovers import clear_locks, remove_half_written
from ..engine.locks import Lock
from ..engine.machine import was_sent_by_scheduler
from ..exits import EXIT_OK
from ..output.dataset_files import check_writable
from ..output.submissions import not_seen_yet
from ..output.verdict import Call, Summary
from ..settings.settings import Settings
from .group_files import write_group
from .group_inputs import MANY_RUNS, GroupInputs, read_group

__all__ = ["run"]


def run(settings: Settings, call: Call) -> int:
    """Make tables and report of the group; give the exit code.

    Raises
    ------
    ScaaeError
        If nothing could be made: `UsageError` for what the user can say otherwise, others for unusable outputs.
    """
    limit_memory(settings.memory_gb)
    _wait_for_others(settings, call)
    inputs = read_group(settings)
    question = _question(settings, inputs)
    absent, is_accepted = inputs.refused | dict(inputs.missing.reasons), settings.group.incomplete == "accept"
    summary = Summary(missed={} if is_accepted else absent)
    if is_accepted and absent:
        summary.notes.append(f"Without {counted(len(absent), 'run')} ({few_and_more(absent, 3)}), as accepted.")
    for text in (*settings.notes, _plan(inputs, settings.output_dir)):
        call.console.say(text)
    if settings.dry_run:
        call.console.say("This was a dry run: nothing was written.")
        return EXIT_OK
    check_writable(settings.output_dir)
    claims = settings.output_dir / "logs" / ".claims"
    with Lock(claims / "group.lock", "the group"):
        code = call.carry_out(
            lambda: _work(settings, inputs, question, summary, call),
            summary,
            subject="the group",
            what="file",
            configuration=inputs.configuration,
            facts={"Level": "group", "ModelChecksum": inputs.model},
            note="Note: ",
        )
    remove_half_written(settings.output_dir / name for name in ("", "logs", "group"))
    clear_locks(claims)
    return code


def _wait_for_others(settings: Settings, call: Call) -> None:
    """In a job of a cluster, see that what other machines have just written is seen here too."""
    if settings.dry_run or not was_sent_by_scheduler():
        return
    if unseen := not_seen_yet(settings.output_dir):
        lacking = f"Results of {few_and_more([f'sub-{label}' for label in unseen], 3)} are not seen here yet"
        appears(lambda: not not_seen_yet(settings.output_dir), lacking=lacking, say=call.console.say)


def _question(settings: Settings, inputs: GroupInputs) -> Question:
    asked, runs = settings.group, inputs.data.runs
    site = asked.site or ("site" if "site" in runs and runs["site"].notna().any() else None)
    return Question(
        group_by=asked.group_by,
        site=site,
        covariates=asked.covariates,
        predict=asked.predict,
        n_permutations=asked.n_permutations,
        seed=settings.evaluation.seed,
    )


def _plan(inputs: GroupInputs, output_dir: Path) -> str:
    runs = inputs.data.runs
    times = ", ".join(f"{time:g} s" for time in sorted(runs["repetition_time"].unique()))
    people = runs["participant_id"].nunique()
    lines = [f"Group of {counted(people, 'participant')} with {counted(len(runs), 'run')} (TR {times}) in {output_dir}"]
    lines += [f"{name}: left out: {reason}" for name, reason in inputs.refused.items()]
    lines += inputs.missing.lines
    lines += [f"Note: {note}" for note in inputs.notes]
    return "\n".join(lines)


def _work(settings: Settings, inputs: GroupInputs, question: Question, summary: Summary, call: Call) -> None:
    """Make, write and report; say at the end what could not be used."""
    try:
        if not settings.reports_only:
            if len(inputs.data.runs) >= MANY_RUNS:
                call.console.say("Making tables, comparisons and predictions.")
            tables, found = group_tables(inputs.data, question)
            notes = [*inputs.notes, *found]
            summary.notes += found
            maps, about_maps = _state_maps(inputs, notes, summary)
            summary.notes += [note for note in notes if note not in (*summary.notes, *inputs.notes)]
            write_group(settings.output_dir, tables, maps, about_maps, inputs, question, notes)
            summary.finished |= {str(group_path(meaning)) for meaning in (*tables, *maps)}
        report = group_report(settings.output_dir)
        summary.finished.add(report.name)
        call.console.say(f"Report: {report}")
    finally:
        for name, message in summary.failed.items():
            call.console.say(f"{name}: FAILED: {message}")


def _state_maps(
    inputs: GroupInputs, notes: list[str], summary: Summary
) -> tuple[dict[str, GroupStateMaps], dict[str, Any]]:
    """Average the state maps of the repetition time that most participants have; give them and their description.

    Images that cannot be used are left out, and count as failed.
    """
    runs = inputs.data.runs[inputs.data.runs["run"].isin(list(inputs.state_maps))]
    if runs.empty:
        return {}, {}
    people = {
        time: runs.loc[runs["repetition_time"] == time, "participant_id"].nunique()
        for time in sorted(set(runs["repetition_time"].astype(float).tolist()))
    }
    chosen = max(people, key=people.__getitem__)
    if len(people) > 1:
        notes.append(f"State maps are averaged over the {people[chosen]} participants with TR {chosen:g} s only.")
    own = runs[runs["repetition_time"] == chosen]
    maps: dict[str, GroupStateMaps] = {}
    for branch in BRANCHES:
        files = {
            str(label): [inputs.state_maps[run][branch] for run in part["run"] if branch in inputs.state_maps[run]]
            for label, part in own.groupby("participant_id", sort=False)
        }
        try:
            with (bar if len(own) >= MANY_RUNS else silent)(f"State maps of {branch}", len(own), "run") as advance:
                maps[f"{branch}_states"] = mean_state_maps(files, advance=advance)
        except InputError as error:
            summary.failed[f"state maps of {branch}"] = str(error)
            continue
        for path, reason in maps[f"{branch}_states"].refused.items():
            summary.failed[Path(path).name] = f"left out of the mean state maps: {reason}"
    return maps, {"TemplateLabels": list(inputs.state_names), "RepetitionTimeOfRuns": chosen}

"""The group level: tables over participants, from what the participant level wrote and nothing else."""

from __future__ import annotations

import json
import os
import time
import traceback
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import pandas as pd

from ...derivatives.names import group_outputs, group_path
from ...errors import InputError, ScaaeError
from ...evaluation.group.group_tables import Question, group_tables
from ...evaluation.group.state_maps import GroupStateMaps, mean_state_maps
from ...files import write_json, write_table, write_text
from ...images import image_4d, write_image
from ...maps import BRANCHES
from ...report.group_page import group_report
from ...signals import stop_text
from ...words import counted, one_line
from ..cli import EXIT_OK
from ..engine.locks import Claim
from ..output.dataset_files import check_writable, ignore
from ..output.verdict import Tally, judge, write_status
from ..settings.console import Console
from ..settings.settings import Settings
from .group_inputs import GroupInputs, read_group

__all__ = ["run"]


def run(settings: Settings, *, command: Sequence[str]) -> int:
    """Make tables and report of the group; give the exit code.

    Raises
    ------
    ScaaeError
        If nothing could be made: `UsageError` for what the user can say otherwise, others for unusable outputs.
    """
    started, console = time.time(), Console(settings.verbosity)
    inputs = read_group(settings)
    question = _question(settings, inputs)
    tally = Tally(missed=dict(inputs.refused))
    for note in settings.notes:
        console.say(note)
    console.say(_plan(inputs, settings.output_dir))
    if settings.dry_run:
        console.say("This was a dry run: nothing was written.")
        return EXIT_OK
    check_writable(settings.output_dir)
    with Claim(settings.output_dir / "logs" / ".claims" / "group.lock", "the group"):
        console.log_to(settings.output_dir / "logs", command)
        _work(settings, inputs, question, tally, console)
        verdict = judge(tally, what="file")
        status = write_status(
            settings.output_dir,
            verdict,
            tally,
            command=command,
            configuration=inputs.configuration,
            started=started,
            facts={"Level": "group", "ModelChecksum": inputs.model},
        )
    for note in dict.fromkeys(tally.notes):
        console.say(f"Note: {note}")
    console.say(f"{verdict.text} Status: {status}")
    return verdict.exit_code


def _question(settings: Settings, inputs: GroupInputs) -> Question:
    asked, runs = settings.group, inputs.data.runs
    site = asked.site or ("site" if "site" in runs and runs["site"].notna().any() else None)
    return Question(
        group_by=asked.group_by,
        site=site,
        covariates=asked.covariates,
        predict=asked.predict,
        n_permutations=asked.n_permutations,
        seed=settings.seed,
    )


def _plan(inputs: GroupInputs, output_dir: Path) -> str:
    runs = inputs.data.runs
    times = ", ".join(f"{time:g} s" for time in sorted(runs["repetition_time"].unique()))
    people = runs["participant_id"].nunique()
    lines = [f"Group of {counted(people, 'participant')} with {counted(len(runs), 'run')} (TR {times}) in {output_dir}"]
    lines += [f"{name}: left out: {reason}" for name, reason in inputs.refused.items()]
    lines += [f"Note: {note}" for note in inputs.notes]
    return "\n".join(lines)


def _work(settings: Settings, inputs: GroupInputs, question: Question, tally: Tally, console: Console) -> None:
    """Make, write and report, whatever comes."""
    try:
        if not settings.reports_only:
            tables, found = group_tables(inputs.data, question)
            notes = [*inputs.notes, *found]
            tally.notes += found
            maps, about_maps = _state_maps(inputs, notes, tally)
            tally.notes += [note for note in notes if note not in (*tally.notes, *inputs.notes)]
            _write(settings.output_dir, tables, maps, about_maps, inputs, question, notes)
            tally.finished |= {str(group_path(meaning)) for meaning in (*tables, *maps)}
        report = group_report(settings.output_dir)
        tally.finished.add(report.name)
        console.say(f"Report: {report}")
    except ScaaeError as error:
        tally.failed["the group"] = str(error)
    except KeyboardInterrupt as stop:
        tally.interrupted = stop_text(stop)
    except Exception as error:
        path = write_text(traceback.format_exc(), settings.output_dir / "logs" / f"crash-{os.getpid()}.txt")
        text = one_line(error)[:300]
        tally.failed["the group"] = f"unexpected {type(error).__name__}: {text} (details: {path})"
    for name, message in tally.failed.items():
        console.say(f"{name}: FAILED: {message}")


def _state_maps(
    inputs: GroupInputs, notes: list[str], tally: Tally
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
            maps[f"{branch}_states"] = mean_state_maps(files)
        except InputError as error:
            tally.failed[f"state maps of {branch}"] = str(error)
            continue
        for path, reason in maps[f"{branch}_states"].refused.items():
            tally.failed[Path(path).name] = f"left out of the mean state maps: {reason}"
    return maps, {"TemplateLabels": list(inputs.state_names), "RepetitionTimeOfRuns": chosen}


def _write(
    root: Path,
    tables: Mapping[str, pd.DataFrame],
    maps: Mapping[str, GroupStateMaps],
    about_maps: Mapping[str, Any],
    inputs: GroupInputs,
    question: Question,
    notes: Sequence[str],
) -> None:
    """Write tables and maps, each with its sidecar, and remove those of an earlier call that are none of this one's."""
    account = {
        "GroupBy": question.group_by,
        "SiteColumn": question.site,
        "Covariates": [*(["mean_fd"] if inputs.data.runs["mean_fd"].notna().any() else []), *question.covariates],
        "Permutations": question.n_permutations,
        "Seed": question.seed,
        "ConfigurationHash": inputs.configuration,
        "ModelChecksum": inputs.model,
        "LeftOut": inputs.refused,
        "Warnings": list(dict.fromkeys(notes)),
    }
    ignore(root)  # earlier versions knew no group level
    for meaning in group_outputs():
        target, beside = root / group_path(meaning), root / group_path(meaning, ".json")
        if meaning in tables:
            table = tables[meaning]
            description = group_outputs()[meaning]["description"]
            write_json({"Description": description, "Group": account} | describe_columns(table), beside)
            write_table(table, target)
        elif meaning in maps:
            content = {"Description": group_outputs()[meaning]["description"], "Group": account, **about_maps}
            content |= {"Resolution": "4 mm isotropic, the grid of the model", "SkullStripped": True}
            content |= {"Participants": maps[meaning].n_participants.tolist(), "SpatialReference": "n/a"}
            content |= {"MapsLeftOut": sorted(Path(path).name for path in maps[meaning].refused)}
            write_json(content, beside)
            write_image(image_4d(maps[meaning].values, maps[meaning].affine, 1.0), target)
        else:
            target.unlink(missing_ok=True)
            beside.unlink(missing_ok=True)


@cache
def _columns() -> dict[str, Any]:
    return json.loads((resources.files("scaae_nipype.data") / "group_columns.json").read_text(encoding="utf-8"))


def describe_columns(table: pd.DataFrame) -> dict[str, Any]:
    """Describe the columns of a group table as far as they are known; features of the code by their pattern only.

    >>> describe_columns(pd.DataFrame(columns=["level", "unheard-of"]))
    {'level': {'Description': 'Value in that column'}}
    """
    known: dict[str, Any] = {}
    for name in map(str, table):
        pattern = next((pattern for pattern in _columns() if fnmatch(name, pattern)), None)
        if pattern is not None:
            known[pattern if name.startswith(("mean_code", "cov_")) else name] = _columns()[pattern]
    return known

"""What the group level reads: the runs' outputs in the output dataset, and a table of participants."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...derivatives.names import outputs
from ...derivatives.reading import Run, find_runs
from ...errors import InputError, UsageError
from ...evaluation.group.group_tables import GroupData
from ...progress import bar, silent
from ...words import first_few
from ..inputs.bids_names import BidsFile
from ..inputs.datasets import participants_of
from ..output.dataset_files import participants_with_results
from ..output.known_files import KnownFiles
from ..output.records import RunRecord, faulty_outputs, in_current_form, read_records
from ..output.score_changes import what_differs
from ..settings.configuration import (
    configuration_hash,
    has_results,
    known_configurations,
    maps_of,
    read_configuration,
    scores_of,
)
from ..settings.settings import Settings
from .missing_runs import Missing, find_missing
from .people import participants_table
from .run_tables import RunTables

__all__ = ["MANY_RUNS", "GroupInputs", "read_group"]

MANY_RUNS = 100
"""From so many on it is said how far the reading is."""


@dataclass(frozen=True, eq=False)
class GroupInputs:
    """What the group level has to work with."""

    data: GroupData
    refused: dict[str, str]  # runs that cannot be used, with the reason in one line
    missing: Missing  # runs that are not there at all
    configuration: str  # hash of the settings that the runs were made with
    model: str  # checksum of the model that made their networks
    notes: tuple[str, ...]  # what was asked for and not found, how the table of people was read, what not all runs have
    state_maps: Mapping[str, Mapping[str, Path]]  # run to its images of state maps, by branch
    state_names: tuple[str, ...]  # what their volumes are called


def read_group(settings: Settings) -> GroupInputs:
    """Read all runs of the output dataset that belong together.

    Runs that another configuration or model made, without a record of how they were made, or with damaged tables are
    named in `GroupInputs.refused`.

    Raises
    ------
    UsageError
        If there is nothing of the participants that were asked for, or runs exist in several spaces.
    InputError
        If no run is usable.
    """
    root = settings.output_dir
    labels, unknown = _labels(settings)
    query = settings.query()
    sources = [(run, source_of(run)) for label in labels for run in find_runs(root, label)]
    found = [run for run, source in sources if query.takes(source)]
    if not found:
        raise UsageError(
            f"{root}: holds no run of the sessions, tasks, runs and spaces that were asked for; looked for {query}. "
            f"{query.nearest_misses([source for _, source in sources])}"
        )
    _check_spaces(found)
    known = known_configurations(root)
    records = {record.run: in_current_form(record, known) for record in read_records(root)}
    made = _majority(root, [record for run in found if (record := records.get(run.stem)) is not None])
    refused: dict[str, str] = {}
    files = KnownFiles(verify=settings.verify)
    tables = RunTables()
    with (bar if len(found) >= MANY_RUNS else silent)("Reading tables", len(found), "run") as advance:
        for run in found:
            try:
                _check_record(records.get(run.stem), made, root, files)
                tables.add(replace(run))  # what it read is forgotten with it
            except InputError as error:
                refused[run.stem] = str(error)
            advance(1)
    if not tables.runs:
        raise InputError(
            f"{root}: no run can be used; the first: {next(iter(refused))}: {next(iter(refused.values()))}"
        )
    used = {row["run"]: records[row["run"]] for row in tables.runs}
    people = participants_table(settings, {row["participant_id"]: None for row in tables.runs})
    if people.fault:
        refused["participants.tsv"] = people.fault
    return GroupInputs(
        data=tables.joined(people.columns),
        refused=refused,
        missing=find_missing(settings, {run.stem for run in found}, records, unknown),
        configuration=made.configuration,
        model=made.model,
        notes=(
            *query.unmet([source for _, source in sources]),
            *people.notes,
            *_without_baselines(used, made),
        ),
        state_maps=tables.state_maps,
        state_names=tables.state_names,
    )


def _labels(settings: Settings) -> tuple[list[str], list[str]]:
    """Give the participants with results, of those that were named if some were, and the named ones without."""
    root, named = settings.output_dir, settings.participants
    if not named:
        return participants_with_results(root), []
    there = {label: None for label in named if has_results(root, label)}
    without = [label for label in named if label not in there]
    known = {*participants_of(settings.bids_dir, *settings.bids_dir.glob("derivatives/*"))}
    if not there or not {*without} <= known:
        participants_with_results(root, without)  # raises: a slip of the pen, or nobody at all
    return list(there), without


def source_of(run: Run) -> BidsFile:
    """Give the BOLD file that a run was made from, as its sidecars name it: with the labels that outputs do not have.

    Where they name none, the labels of the outputs stand for it.
    """
    for meaning in outputs():
        sources = run.sidecar(meaning).get("Sources")
        for source in sources if isinstance(sources, list) else ():
            file = BidsFile.parse(str(source).rpartition(":")[2])
            if file is not None and file.suffix == "bold":
                return file
    place = run.path("samples")
    return BidsFile(place.with_name(f"{run.stem}_bold.nii.gz"), run.entities, "bold", ".nii.gz")


def _check_spaces(runs: Iterable[Run]) -> None:
    """Refuse one run in two spaces, which would count as two."""
    spaces: dict[tuple[tuple[str, str], ...], set[str]] = {}
    for run in runs:
        rest = tuple(sorted((key, label) for key, label in run.entities.items() if key != "space"))
        spaces.setdefault(rest, set()).add(run.entities.get("space", "none"))
    several = next((names for names in spaces.values() if len(names) > 1), None)
    if several:
        raise UsageError(f"Runs exist in several spaces ({', '.join(sorted(several))}): choose one with --space.")


@dataclass(frozen=True)
class _Made:
    """How the runs that belong together were made: hash of all settings, of those of the maps, scores, model."""

    configuration: str
    maps: str
    scores: Mapping[str, Any] | None
    model: str


def _majority(root: Path, records: Sequence[RunRecord]) -> _Made:
    """Give the configuration that the dataset says it holds, else the most frequent, and its most frequent model."""
    finished = [record for record in records if record.status == "finished"]
    held = read_configuration(root)
    if held is None:
        whole = maps = _most_frequent(record.configuration for record in finished)
        scores = next((record.scores for record in finished if record.configuration == maps), None)
    else:
        whole, maps = configuration_hash(held[0]), configuration_hash(maps_of(held[0]))
        scores = scores_of(held[0])
    model = _most_frequent(record.model for record in finished if record.configuration == maps)
    return _Made(whole, maps, scores, model)


def _most_frequent(values: Iterable[str]) -> str:
    counted = Counter(values).most_common(1)
    return counted[0][0] if counted else ""


def _check_record(record: RunRecord | None, made: _Made, root: Path, files: KnownFiles) -> None:
    if record is None:
        raise InputError("there is no record of how it was made (sub-XX/log); do the run again.")
    if record.status != "finished":
        raise InputError(f"it failed at the participant level: {record.message}")
    if record.configuration != made.maps:
        raise InputError(
            f"made with another configuration ({record.configuration}, the others with {made.maps}); do it again "
            "with the same settings."
        )
    if record.model != made.model:
        raise InputError(
            f"made by another model (checksum {record.model[:10]}, the others {made.model[:10]}); do it again with the "
            "same."
        )
    if record.pending:
        raise InputError(
            f"a call ended while its scores were computed ({', '.join(record.pending)}); run the participant level "
            "again."
        )
    if record.scores is not None and made.scores is not None and (words := what_differs(record.scores, made.scores)):
        raise InputError(f"its scores were computed with other settings ({words}); run the participant level again.")
    faults = faulty_outputs(record, root, files)
    if faults:
        raise InputError(f"{min(faults)} {faults[min(faults)]}; run the participant level again.")


def _without_baselines(records: Mapping[str, RunRecord | None], made: _Made) -> tuple[str, ...]:
    """Name the runs that have fewer baselines than the dataset holds: averages over participants are of fewer then."""
    if made.scores is None:
        return ()
    lacking: dict[str, list[str]] = {}
    for run, record in records.items():
        there = made.scores["Baselines"] if record is None or record.scores is None else record.scores["Baselines"]
        missing = [name for name in made.scores["Baselines"] if name not in there]
        if missing:
            lacking.setdefault(" ".join(missing), []).append(run)
    return tuple(
        f"Scores of baselines {names} are missing in {len(runs)} of {len(records)} runs ({first_few(runs, 3)}): "
        "averages of them are over the others; run the participant level again."
        for names, runs in lacking.items()
    )

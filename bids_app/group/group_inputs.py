"""What the group level reads: the runs' outputs in the output dataset, and a table of participants."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ...derivatives.names import outputs
from ...derivatives.reading import Run, find_runs, is_inverted
from ...errors import InputError, UsageError
from ...evaluation.group.group_tables import GroupData
from ...evaluation.group.prediction import CodeSummary, summarise_code
from ...maps import BRANCHES
from ...words import few_and_more, first_few
from ..inputs.bids_names import BidsFile
from ..inputs.datasets import participant_labels
from ..inputs.participants import ParticipantsTable, read_participants, similar_files
from ..inputs.query import Query
from ..job.additions import what_differs
from ..output.dataset_files import participants_with_results
from ..output.records import RunRecord, read_records, understood
from ..settings.configuration import configuration_hash, known_configurations, maps_of, read_configuration, scores_of

if TYPE_CHECKING:
    from ..settings.settings import Settings

__all__ = ["GroupInputs", "participants_table", "read_group"]

_OWN_COLUMNS = ("run", "participant_id", "task", "repeat", "repetition_time", "n_volumes", "n_volumes_kept", "mean_fd")


@dataclass(frozen=True, eq=False)
class GroupInputs:
    """What the group level has to work with.

    Parameters
    ----------
    data : GroupData
    refused : dict
        Runs that cannot be used, with the reason in one line.
    configuration : str
        Hash of the settings that the runs were made with.
    model : str
        Checksum of the model that made their networks.
    notes : tuple of str
        What was asked for and not found, how the table of participants was read, what not all runs have.
    state_maps : mapping
        Run to its images of state maps, by branch.
    state_names : tuple of str
        What their volumes are called.
    """

    data: GroupData
    refused: dict[str, str]
    configuration: str
    model: str
    notes: tuple[str, ...] = ()
    state_maps: Mapping[str, Mapping[str, Path]] = field(default_factory=dict)
    state_names: tuple[str, ...] = ()


@dataclass
class _Collected:
    runs: list[dict] = field(default_factory=list)
    overlap: list[pd.DataFrame] = field(default_factory=list)
    gradualchange: list[pd.DataFrame] = field(default_factory=list)
    states: list[pd.DataFrame] = field(default_factory=list)
    transitions: list[pd.DataFrame] = field(default_factory=list)
    codes: dict[str, CodeSummary] = field(default_factory=dict)
    code_names: Sequence[str] = ()
    state_maps: dict[str, dict[str, Path]] = field(default_factory=dict)
    state_names: tuple[str, ...] = ()


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
    labels = participants_with_results(root, settings.participants)
    query = Query.of_settings(settings)
    sources = [(run, source_of(run)) for label in labels for run in find_runs(root, label)]
    found = [run for run, source in sources if query.takes(source)]
    if not found:
        raise UsageError(
            f"{root}: holds no run of the sessions, tasks, runs and spaces that were asked for; looked for {query}. "
            f"{query.nearest_misses([source for _, source in sources])}"
        )
    _check_spaces(found)
    known = known_configurations(root)
    records = {record.run: understood(record, known) for record in read_records(root)}
    made = _majority(root, [record for run in found if (record := records.get(run.stem)) is not None])
    refused: dict[str, str] = {}
    collected = _Collected()
    for run in found:
        try:
            _check_record(records.get(run.stem), made)
            _collect(replace(run), collected)  # what it read is forgotten with it
        except InputError as error:
            refused[run.stem] = str(error)
    if not collected.runs:
        raise InputError(
            f"{root}: no run can be used; the first: {next(iter(refused))}: {next(iter(refused.values()))}"
        )
    runs = pd.DataFrame(collected.runs)
    people = participants_table(settings, runs["participant_id"].unique())
    if people.fault:
        refused["participants.tsv"] = people.fault
    used = {run: records[run] for run in runs["run"]}
    return GroupInputs(
        data=_joined(runs, collected, people.columns),
        refused=refused,
        configuration=made.configuration,
        model=made.model,
        notes=(
            *query.unmet([source for _, source in sources]),
            *people.notes,
            *_without_baselines(used, made),
        ),
        state_maps=collected.state_maps,
        state_names=collected.state_names,
    )


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
    spaces: dict[tuple, set[str]] = {}
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


def _check_record(record: RunRecord | None, made: _Made) -> None:
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


def _collect(run: Run, collected: _Collected) -> None:
    """Read one run; nothing of it is kept if one of its tables is damaged."""
    participant, others = f"sub-{run.entities['sub']}", {"sub", "task", "space", "res", "desc"}
    samples = run.table("samples", ["kept"])
    overlap = [run.table(meaning, ["method", "template"]) for meaning in ("overlap", "baselines") if run.has(meaning)]
    overlap = overlap or [run.table("overlap")]  # says what is missing
    gradual = run.table("gradual_change", ["method", "lag", "lag_seconds", "mean_iou"]).assign(run=run.stem)
    code = _code(run.table("code"), run) if run.has("code") else None
    states = _optional(run, "state_metrics", ["method", "state", "occupancy", "mean_dwell_seconds"])
    transitions = _optional(run, "transitions", ["method", "from", "to", "count"])
    if run.repetition_time is None:
        raise InputError("no sidecar knows its repetition time; do the run again.")
    displacement = pd.to_numeric(samples.get("framewise_displacement", pd.Series(dtype=float)), errors="coerce")
    collected.runs.append(
        {
            "run": run.stem,
            "participant_id": participant,
            "task": run.entities.get("task", "n/a"),
            "repeat": "_".join(f"{key}-{label}" for key, label in run.entities.items() if key not in others) or "once",
            "repetition_time": round(run.repetition_time, 3),
            "n_volumes": len(samples),
            "n_volumes_kept": int((samples["kept"] == 1).sum()),
            "mean_fd": float(displacement.mean()) if len(displacement) else np.nan,
            **_flags(run),
        }
    )
    collected.overlap += [table.assign(run=run.stem) for table in overlap]
    collected.gradualchange.append(gradual)
    collected.states += [] if states is None else [states]
    collected.transitions += [] if transitions is None else [transitions]
    if code is not None:
        collected.code_names, collected.codes[run.stem] = code
    maps = {branch: run.path(f"{branch}_states") for branch in BRANCHES if run.has(f"{branch}_states")}
    names = run.sidecar("state_metrics").get("TemplateLabels")
    if maps and isinstance(names, list):
        collected.state_maps[run.stem], collected.state_names = maps, tuple(map(str, names))


def _flags(run: Run) -> dict[str, float]:
    """Note what makes a run's networks doubtful, as its sidecars tell it."""
    flags = {"undertrained": float(bool(run.model.get("Undertrained")))} if run.model else {}
    for number, branch in enumerate(run.branches, start=1):
        for name, key in (("density", "MeanDensity"), ("sign_agreement", "SignAgreement")):
            value = branch.get(key)
            flags[f"{name}_fbn{number}"] = float(value) if isinstance(value, int | float) else np.nan
        flags[f"inverted_fbn{number}"] = float(is_inverted(branch))
    if run.channel_limits is not None:
        low, high = run.channel_limits
        flags["channel_weight_range"] = high - low
    return flags


def _code(table: pd.DataFrame, run: Run) -> tuple[list[str], CodeSummary]:
    names = [name for name in map(str, table) if name.startswith("code")]
    try:
        return names, summarise_code(table[names].to_numpy(dtype=float))
    except ValueError as error:
        raise InputError(f"{run.path('code').name}: holds something else than numbers ({error}).") from error


def _optional(run: Run, meaning: str, columns: Sequence[str]) -> pd.DataFrame | None:
    """Read a table that a run may lack."""
    return run.table(meaning, columns).assign(run=run.stem) if run.has(meaning) else None


def _joined(runs: pd.DataFrame, collected: _Collected, people: pd.DataFrame) -> GroupData:
    columns = [column for column in people if column not in _OWN_COLUMNS]
    runs = runs.join(people[columns], on="participant_id")
    return GroupData(
        runs=runs,
        overlap=pd.concat(collected.overlap, ignore_index=True),
        gradualchange=pd.concat(collected.gradualchange, ignore_index=True),
        states=pd.concat(collected.states, ignore_index=True) if collected.states else None,
        transitions=pd.concat(collected.transitions, ignore_index=True) if collected.transitions else None,
        codes=collected.codes,
        code_names=collected.code_names,
    )


@dataclass(frozen=True, eq=False)
class People:
    """What is known about the participants.

    Parameters
    ----------
    columns : DataFrame
        The columns that are used, indexed by participant.
    notes : tuple of str
        How the table was read, and who has no row.
    fault : str
        Why nothing that was asked about them can be answered; empty if it can.
    """

    columns: pd.DataFrame
    notes: tuple[str, ...] = ()
    fault: str = ""


def participants_table(settings: Settings, participants: Collection[str]) -> People:
    """Give the columns of the participants' table that are used.

    The table of the output dataset is taken if it has all columns that are asked for, else that of the input.

    Raises
    ------
    UsageError
        If a column is asked for that no table has, or a participant has two rows that differ.
    """
    asked = settings.group.columns
    tables, problems = _tables_of_participants(settings)
    if not tables:
        if asked:
            raise UsageError(_no_table(settings, problems))
        return People(pd.DataFrame(index=pd.Index([], dtype=str)), tuple(problems))
    chosen = next((table for table in tables if set(asked) <= set(table.rows)), tables[0])
    for column in asked:
        if column not in chosen.rows or column == "participant_id":
            names = [name for name in map(str, chosen.rows) if name != "participant_id"]
            near = difflib.get_close_matches(column.lower(), [name.lower() for name in names], n=1, cutoff=0.7)
            meant = "".join(f"; did you mean '{name}'?" for name in names if name.lower() in near)
            raise UsageError(
                f"--{settings.group.option_of(column)} {column}: {chosen.path} has no such column (there are: "
                f"{', '.join(names) or 'none'}){meant or '.'}"
            )
    wanted = [*asked, *(["site"] if "site" in chosen.rows and settings.group.site is None else [])]
    rows = chosen.rows[["participant_id", *dict.fromkeys(wanted)]].drop_duplicates()
    rows = rows[rows["participant_id"].isin(list(participants))]
    if rows["participant_id"].duplicated().any():
        twice = rows.loc[rows["participant_id"].duplicated(), "participant_id"].iloc[0]
        raise UsageError(f"{chosen.path}: has several different rows for {twice}; leave one.")
    known = rows.set_index("participant_id").map(str.strip)
    columns = known.where(~known.isin(["", "n/a", "N/A", "NaN", "nan"]))
    missing = chosen.missing(list(participants)) if wanted else ""
    is_fault = bool(asked) and rows.empty
    notes = (*problems, *chosen.notes, *([missing] if missing and not is_fault else []))
    return People(columns, notes, missing if is_fault else "")


def _tables_of_participants(settings: Settings) -> tuple[list[ParticipantsTable], list[str]]:
    """Read what there is in the output and in the input; what cannot be read is said."""
    roots = (settings.output_dir, settings.bids_dir)
    known = sorted({label for root in roots for label in participant_labels(root)})
    tables, problems = [], []
    for root in roots:
        try:
            table = read_participants(root / "participants.tsv", known)
        except InputError as error:
            problems.append(str(error))
            continue
        tables += [table] if table is not None else []
    return tables, problems


def _no_table(settings: Settings, problems: Sequence[str]) -> str:
    column = settings.group.columns[0]
    option = f"--{settings.group.option_of(column)} {column}"
    if problems:
        return f"{option}: {' '.join(problems)}"
    roots = (settings.output_dir, settings.bids_dir)
    near = similar_files(roots)
    hint = f" (there is {few_and_more(near)})" if near else ""
    return f"{option}: there is no participants.tsv with a column participant_id in {roots[0]} or {roots[1]}{hint}."

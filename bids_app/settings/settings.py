"""What the user wants: one frozen object that is checked before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal

from ...errors import UsageError
from ...options import LONGEST_TR, SHORTEST_TR, Evaluation, Group, Nulls, Preparation, Training, check_values, setting
from ..inputs.query import Query, read_filter_file
from .checks import check_device_name, check_effect, check_filter, check_folders
from .container import check_bound
from .time_limit import minutes_of

__all__ = ["ClusterOptions", "GroupOptions", "Settings"]


@dataclass(frozen=True)
class GroupOptions(Group):
    """Columns of ``participants.tsv``, and how often they are permuted."""

    group_by: str | None = setting(None, "compare participants by this column, for example diagnosis")
    site: str | None = setting(None, "permute and cross-validate by site", default="site, where there is such a column")
    covariates: tuple[str, ...] = setting((), "of comparisons, besides motion, which always is one", default="none")
    predict: str | None = setting(None, "predict this column from the networks' codes")
    n_permutations: int = setting(2000, "of tests", low=1)
    incomplete: Literal["fail", "accept"] = setting(
        "fail",
        "what runs that are missing, have failed or are left out mean for the exit code: 1, or nothing",
        words=("fail", "accept"),
    )
    expected: str | None = setting(
        None,
        "list, a label a line: of the participants without results, only these count as missing",
        kind="file",
        default="all of bids_dir",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.group_by in self.covariates:
            raise UsageError(f"`group_by` {self.group_by}: is one of `covariates` too; leave one out.")

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that were asked for."""
        asked = (self.group_by, self.site, *self.covariates, self.predict)
        return tuple(dict.fromkeys(column for column in asked if column))

    def asks_for(self, column: str) -> str:
        """Name the setting that asked for a column."""
        single = [name for name in ("group_by", "site", "predict") if getattr(self, name) == column]
        return single[0] if single else "covariates"


@dataclass(frozen=True)
class ClusterOptions(Group):
    """How jobs are written for a scheduler, and what they may take."""

    scheduler: Literal["slurm", "sge"] = setting("slurm", "for which jobs are written", words=("slurm", "sge"))
    yes: bool = setting(False, "queue the jobs too")
    image: str | None = setting(
        None, "container that jobs run in, by apptainer: a .sif file or docker://NAME", default="the one this runs in"
    )
    partition: str | None = setting(None, "partition or queue of all jobs", default="the scheduler's")
    account: str | None = setting(None, "account or project of all jobs", default="the scheduler's")
    scheduler_arguments: str = setting("", 'more for sbatch or qsub: --scheduler-args="--qos=long"', default="none")
    time_limit: str | None = setting(
        None, "longest time of a participant: 90 (minutes), H:MM:SS or D-HH:MM:SS", default="from measured times"
    )
    train_time_limit: str | None = setting(
        None, "the same for the model, which goes on after it", default="from measured times"
    )
    at_once: int | None = setting(None, "participants at the same time", low=1, default="as many as there is room for")
    array_size: int | None = setting(None, "largest job array", low=1, default="what the scheduler says, else 1000")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("time_limit", "train_time_limit"):
            if (text := getattr(self, name)) is not None:
                minutes_of(text, setting=name)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything one call of ``scaae-bids`` was asked for.

    The table of options (`bids_app.settings.option_table`) says how each is spelt, and what it changes.
    """

    bids_dir: Path = setting(..., "derivative dataset to read, or a raw dataset with derivatives/ inside")
    output_dir: Path = setting(..., "dataset to write")
    level: Literal["participant", "group", "train", "submit"] = setting(
        "participant",
        "what to do\nparticipant: everything, run by run\ntrain: stop when there is a model\n"
        "group: tables over participants, from what the participant level wrote\n"
        "submit: write the jobs of all three for a cluster; with --yes queue them",
        words=("participant", "group", "train", "submit"),
    )

    participants: tuple[str, ...] = setting((), "participants, with or without sub-", default="all")
    sessions: tuple[str, ...] = setting((), "sessions", default="all")
    tasks: tuple[str, ...] = setting((), "tasks", default="all")
    runs: tuple[str, ...] = setting((), "runs, labels as in the file names", default="all")
    spaces: tuple[str, ...] = setting(
        (),
        "which spaces to read",
        default="MNI152NLin2009cAsym, else MNI152NLin6Asym, else another MNI space",
    )
    concatenated: Literal["parts", "whole"] = setting(
        "parts",
        "what is read where there are several runs and their concatenation: runs, or the latter",
        words=("parts", "whole"),
    )
    filter_file: Path | None = setting(None, "JSON with pybids queries, as for fMRIPrep", kind="file")
    database_dir: Path | None = setting(None, "where the index of the input is kept between calls", kind="folder")
    reindex: bool = setting(False, "make that index anew")
    datasets: Mapping[str, Path] | None = setting(None, "further derivative datasets to read", kind="datasets")
    inputs_by: Literal["content", "time"] = setting(
        "content",
        "when an input whose time of change is another one is still the same\n"
        "content: if size and checksum are (after a copy to another disk)\ntime: never, and nothing is read to compare",
        words=("content", "time"),
    )
    verify: bool = setting(
        False, "compare inputs and outputs of finished runs with their checksums, not by size and time alone"
    )
    repetition_time: float | None = setting(
        None,
        "time from volume to volume in s, of all runs, where sidecars and headers are silent or wrong",
        default="what they say",
    )

    preparation: Preparation = field(default_factory=Preparation)
    training: Training = field(default_factory=Training)
    model: Path | None = setting(None, "apply this model instead of fitting one", kind="folder")
    retrain: bool = setting(False, "replace the model in output_dir")
    fit_selection: bool = setting(
        False, "where there is no model, fit one to the named participants alone, although the dataset has more"
    )
    train_runs: Literal["auto"] | int = setting(
        "auto",
        "runs to draw for training, spread over sites and participants",
        low=1,
        words=("auto",),
        default="100, or more until they have enough volumes; in paper mode: all",
    )
    evaluation: Evaluation = field(default_factory=Evaluation)
    fetch_templates: bool = setting(False, "get the maps of smith2009 from the network where they are missing")
    nulls: Nulls = field(default_factory=Nulls)
    save_signed: bool = setting(False, "write the maps before equation 9 too")
    group: GroupOptions = field(default_factory=GroupOptions)
    cluster: ClusterOptions = field(default_factory=ClusterOptions)

    dry_run: bool = setting(False, "say what would run and stop")
    reports_only: bool = setting(False, "write the reports of finished participants again")
    boilerplate_only: bool = setting(False, "write the Methods text (logs/CITATION.md, .bib) and stop")
    stop_on_first_crash: bool = setting(False, "do not go on with other runs")
    verbosity: int = setting(0, "say more; -vv: Nipype's words too")

    nprocs: int = setting(1, "processors to use in all", low=1, default="those of the job or machine")
    omp_nthreads: int = setting(1, "processors to use for one step", low=1, default="as --nprocs")
    memory_gb: float = setting(
        4.0, "memory to use, in MB or with its unit: 8000, 8G", low=0, default="90%% of the job's or machine's"
    )
    plugin_file: Path | None = setting(None, "Nipype plugin and its arguments, YAML or JSON", kind="file")
    work_dir: Path = setting(
        Path("work"), "intermediate results, private to you, in a folder scaae_nipype inside", kind="folder"
    )
    clean_work_dir: bool = setting(False, "empty the work folder first")
    keep_work: bool = setting(False, "keep intermediate results of runs that are done")
    resource_monitor: bool = setting(False, "write time and memory of every step to logs/")
    write_graph: bool = setting(False, "draw the workflows into logs/")

    asked: frozenset[str] = frozenset()
    """Settings that the user gave; the others are defaults."""
    left_open: tuple[str, ...] = ()
    """Settings of scores that the user did not give: an output dataset that holds scores decides on them."""
    given_filters: Mapping[str, Any] | None = None
    """Queries as in `filter_file`, from a configuration file that has them inside."""
    notes: tuple[str, ...] = ()
    """What to say about the options before anything else."""

    def __post_init__(self) -> None:
        check_values(self)
        time = self.repetition_time
        if time is not None and not SHORTEST_TR <= time <= LONGEST_TR:
            raise UsageError(f"`repetition_time` {time:g}: must be {SHORTEST_TR:g} to {LONGEST_TR:g}, in s.")
        check_bound(self.bids_dir, self.output_dir)
        check_folders(self.bids_dir, self.output_dir, self.work_dir, self.datasets or {})
        check_filter(self.preparation)
        check_effect(
            self.training,
            self.evaluation,
            self.nulls,
            fetches=self.fetch_templates,
            has_model=self.model is not None,
        )
        check_device_name(self.training.device)

    @property
    def preset(self) -> str | None:
        """Network to fit; None where a finished model is applied."""
        return self.training.preset if self.model is None else None

    @property
    def output_options(self) -> tuple[str, ...]:
        """Which outputs were asked for besides those that are always written."""
        names = ("save_signed", "baselines", "atlas", "n_surrogates", "n_surrogate_templates")
        return tuple(name for name in names if self.value_of(name))

    def value_of(self, name: str) -> Any:
        """Give a setting by its name, whichever group it is in."""
        holder = next((group for group in self._groups().values() if hasattr(group, name)), self)
        return getattr(holder, name)

    def replaced(self, **changes: Any) -> Settings:
        """Give the same settings but for some, whichever groups they are in; of a common name, in all of them."""
        own: dict[str, Any] = {}
        for attribute, group in self._groups().items():
            parts = {name: value for name, value in changes.items() if hasattr(group, name)}
            if parts:
                own[attribute] = replace(group, **parts)
        rest = {one.name: changes[one.name] for one in fields(self) if one.name in changes}
        return replace(self, **own, **rest)

    def _groups(self) -> dict[str, Any]:
        return {one.name: value for one in fields(self) if is_dataclass(value := getattr(self, one.name))}

    def query(self) -> Query:
        """Give the query for the runs that are asked for.

        Raises
        ------
        UsageError
            If the filter file cannot be used.
        """
        return Query.of(
            participants=self.participants,
            sessions=self.sessions,
            tasks=self.tasks,
            runs=self.runs,
            spaces=self.spaces,
            filters=self.read_filters(),
        )

    def read_filters(self) -> Mapping[str, Any] | None:
        """Give the queries of the filter file, or those inside the configuration file."""
        return self.given_filters if self.filter_file is None else read_filter_file(self.filter_file)

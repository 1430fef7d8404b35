"""The one table of options: how each setting is spelt, when it has an effect, and whether it changes results.

What a setting is (default, unit, range, words, a line on it) stands with its field, in `scaae_nipype.options` or in
`Settings`. The parser, the range checks, ``configuration.json``, the spelling of messages and the reference in the
documentation are made from both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, dataclass, fields
from types import MappingProxyType
from typing import Any, Literal

from ...options import About, Evaluation, Nulls, Preparation, Training, about
from .settings import ClusterOptions, GroupOptions, Settings

__all__ = ["OPTIONS", "PAPER", "PARTS", "SHARED", "Option", "keys_of"]

PARTS = ("evaluation", "states", "baselines", "regions", "events", "planted", "matches", "dynamics_null")
"""What is computed from maps, each by a step of its own: the values of ``account`` in the registry of outputs."""

PAPER: Mapping[str, Any] = MappingProxyType(
    # What the published code does to data: its own detrending, no filter, nothing censored, nothing cut off.
    {"preset": "published", "strategy": "published-code", "dummy_scans": 0}
)
"""What ``--mode paper`` means where the command line says nothing else."""


@dataclass(frozen=True)
class Option:
    """An option of the command line.

    It has an effect (`at`) on results of runs (refused at the group level), on how steps run (said there), at the level
    group or submit alone, or everywhere. Another value `changes` an output dataset that holds results: it is refused
    (maps), has its scores computed again or added (scores), or does not matter to what is there (neither).
    """

    name: str  # the setting: a field of Settings or of one of its groups
    flags: tuple[str, ...]  # the first long one is what messages and the documentation say
    metavar: str = ""
    at: Literal["runs", "steps", "group", "submit", "all"] = "all"
    of_training: bool = False  # a finished model has settled it
    chooses: bool = False  # among the runs that there are
    prefix: str = ""  # what labels may begin with
    changes: Literal["maps", "scores", "neither"] = "neither"
    key: str = ""  # what logs/configuration.json calls it; empty where it is not noted there
    parts: tuple[str, ...] = ()  # of PARTS: what of the scores depends on it
    absent: Any = None  # what it means that logs/configuration.json does not have the key
    is_rare: bool = False  # noted only where it differs from `absent`

    @property
    def field(self) -> Field[Any]:
        """The field that it sets."""
        return _FIELDS[self.name]

    @property
    def about(self) -> About:
        """What is known about it."""
        return about(self.field)

    @property
    def spelling(self) -> str:
        """How the documentation spells it."""
        return next((flag for flag in self.flags if flag.startswith("--")), self.name)

    @property
    def kind(self) -> str:
        """What its values are: ``switch``, ``count``, ``several``, ``int``, ``float`` or ``str``."""
        annotation = str(self.field.type)
        kinds = {"bool": "switch", "tuple": "several", "Mapping": "several", "float": "float", "int": "int"}
        found = next((kind for start, kind in kinds.items() if annotation.startswith(start)), "")
        if self.name == "verbosity":
            return "count"
        return found or ("int" if annotation.endswith("int") else "str")


_FIELDS: Mapping[str, Field[Any]] = {
    one.name: one
    for holder in (Settings, GroupOptions, ClusterOptions, Nulls, Evaluation, Training, Preparation)
    for one in fields(holder)
    if "about" in one.metadata
}

SHARED = ("mode", "seed")
"""Settings that several groups have: the same in all of them."""

_OF_TEMPLATES = ("evaluation", "states", "baselines", "events", "matches", "dynamics_null")


def _maps(key: str, *, absent: Any = None, is_rare: bool = False) -> dict[str, Any]:
    return {"at": "runs", "changes": "maps", "key": key, "absent": absent, "is_rare": is_rare}


def _scores(key: str, *parts: str, absent: Any = None, is_rare: bool = False) -> dict[str, Any]:
    return {"at": "runs", "changes": "scores", "key": key, "parts": parts, "absent": absent, "is_rare": is_rare}


_LABELS: dict[str, Any] = {"metavar": "LABEL"}
_CHOICE: dict[str, Any] = {"metavar": "LABEL", "chooses": True}

_WHAT_TO_READ = (
    Option("participants", ("--participant-label",), prefix="sub-", **_LABELS),
    Option("sessions", ("--session-label", "--session-id"), prefix="ses-", **_CHOICE),
    Option("tasks", ("-t", "--task-id"), prefix="task-", **_CHOICE),
    Option("runs", ("--run-id",), prefix="run-", **_CHOICE),
    Option("spaces", ("--space",), prefix="space-", **_CHOICE),
    Option("concatenated", ("--concatenated",), **_maps("Concatenated", absent="parts", is_rare=True)),
    Option("filter_file", ("--bids-filter-file",), "FILE", chooses=True),
    Option("database_dir", ("--bids-database-dir",), "DIR", at="steps"),
    Option("reindex", ("--reindex-bids",), at="steps"),
    Option("inputs_by", ("--inputs-by",), at="steps"),
    Option("verify", ("--verify",)),
    Option("datasets", ("-d", "--derivatives", "--datasets"), "NAME=PATH", at="runs"),
)

_HOW_RUNS_ARE_PREPARED = (
    Option("strategy", ("-p", "--nuisance-regressors"), "NAME|FILE", **_maps("NuisanceRegressors")),
    Option("dummy_scans", ("--dummy-scans",), "auto|N", **_maps("DummyScans")),
    Option("fd_threshold", ("-f", "--fd-thresh", "--fd-threshold"), "MM", **_maps("FramewiseDisplacementThreshold")),
    Option("high_pass", ("--high-pass",), "HZ", **_maps("HighPass")),
    Option("low_pass", ("--low-pass",), "HZ", **_maps("LowPass")),
    Option("smoothing_fwhm", ("--smoothing", "--smoothing-fwhm"), "MM", **_maps("SmoothingFWHM")),
    Option("repetition_time", ("--repetition-time",), "S", **_maps("RepetitionTime", is_rare=True)),
)

_NETWORKS_AND_SCORES = (
    Option("mode", ("--mode",), **_maps("Mode")),
    Option("model", ("--model",), "DIR", **_maps("Model")),
    Option("preset", ("--preset",), "NAME", of_training=True, **_maps("Preset")),
    # Which model is applied decides, not how it came to be: records know models by their weights.
    Option("retrain", ("--retrain",), at="runs", of_training=True),
    Option("fit_selection", ("--fit-selection",), at="runs", of_training=True),
    Option("train_runs", ("--train-runs",), "auto|N", at="runs", of_training=True),
    Option("train_volumes", ("--train-volumes",), "auto|N", of_training=True, **_maps("TrainVolumes")),
    Option("time_width", ("--time-width",), "N", of_training=True, **_maps("TimeWidth", absent=0.0, is_rare=True)),
    Option("precision", ("--precision",), of_training=True, **_maps("Precision")),
    Option("seed", ("--random-seed",), "N", **{**_maps("Seed"), "at": "all"}),
    # Another processor may round otherwise; results made on several may be put together all the same.
    Option("device", ("--device",), "NAME", at="steps"),
    Option("templates", ("--templates",), "NAME|FILE", **_scores("Templates", *_OF_TEMPLATES, absent="default")),
    Option("template_labels", ("--template-labels",), "FILE", **_scores("TemplateLabels", *_OF_TEMPLATES)),
    Option(
        "template_kind",
        ("--template-kind",),
        **_scores("TemplateKind", *_OF_TEMPLATES, absent="auto", is_rare=True),
    ),
    Option("fetch_templates", ("--fetch-templates",), at="runs"),
    Option("baselines", ("--baselines",), "NAME", **_scores("Baselines", "baselines", absent=())),
    Option(
        "n_chance_templates",
        ("--chance-templates",),
        "N",
        **_scores("ChanceTemplates", "evaluation", "baselines", absent=0),
    ),
    Option("n_surrogates", ("--surrogates",), "N", **_scores("Surrogates", "dynamics_null", absent=0)),
    Option(
        "n_surrogate_templates",
        ("--surrogate-templates",),
        "N",
        **_scores("SurrogateTemplates", "matches", "states", "events", absent=0, is_rare=True),
    ),
    Option("n_folds", ("--cross-fit",), "K", **_scores("CrossFit", "dynamics_null", absent=0, is_rare=True)),
    Option("atlas", ("--atlas",), "NAME|FILE", **_scores("Atlas", "regions")),
    Option("atlas_labels", ("--atlas-labels",), "FILE", **_scores("AtlasLabels", "regions")),
    Option("atlas_kind", ("--atlas-kind",), **_scores("AtlasKind", "regions", absent="auto", is_rare=True)),
    # A further file of the same maps: due where it is missing, never a reason to compute anything else again.
    Option("save_signed", ("--signed-maps",), at="runs"),
)

_GROUP_LEVEL = (
    Option("group_by", ("--group-by",), "COLUMN", at="group"),
    Option("site", ("--site-column",), "COLUMN", at="group"),
    Option("covariates", ("--covariates",), "COLUMN", at="group"),
    Option("predict", ("--predict",), "COLUMN", at="group"),
    Option("n_permutations", ("--permutations",), "N", at="group"),
    Option("incomplete", ("--incomplete",), at="group"),
    Option("expected", ("--expected",), "FILE", at="group"),
)

_CLUSTER = (
    Option("scheduler", ("--scheduler",), at="submit"),
    Option("yes", ("-y", "--yes"), at="submit"),
    Option("image", ("--image",), "IMAGE", at="submit"),
    Option("partition", ("--partition", "--queue"), "NAME", at="submit"),
    Option("account", ("--account",), "NAME", at="submit"),
    Option("scheduler_arguments", ("--scheduler-args",), "WORDS", at="submit"),
    Option("time_limit", ("--time-limit",), "TIME", at="submit"),
    Option("train_time_limit", ("--train-time-limit",), "TIME", at="submit"),
    Option("at_once", ("--at-once",), "N", at="submit"),
    Option("array_size", ("--array-size",), "N", at="submit"),
)

_CONDUCT = (
    Option("dry_run", ("--dry-run",)),
    Option("reports_only", ("--reports-only",)),
    Option("boilerplate_only", ("--boilerplate-only",), at="runs"),
    Option("stop_on_first_crash", ("--stop-on-first-crash",), at="steps"),
    Option("verbosity", ("-v", "--verbose")),
)

_MACHINE = (
    Option("nprocs", ("--nprocs", "--nthreads", "--n-cpus"), "N"),
    Option("omp_nthreads", ("--omp-nthreads",), "N"),
    Option("processes", ("--train-processes",), "N", at="steps", of_training=True),
    Option("memory_gb", ("--mem", "--mem-mb", "--mem-gb"), "N"),
    Option("plugin_file", ("--use-plugin", "--nipype-plugin-file"), "FILE", at="steps"),
    Option("work_dir", ("-w", "--work-dir"), "DIR"),
    Option("clean_work_dir", ("--clean-workdir",), at="steps"),
    Option("keep_work", ("--keep-workdir",), at="steps"),
    Option("resource_monitor", ("--resource-monitor",), at="steps"),
    Option("write_graph", ("--write-graph",), at="steps"),
)

HEADINGS: Mapping[str, tuple[Option, ...]] = MappingProxyType(
    {
        "what to read": _WHAT_TO_READ,
        "how runs are prepared": _HOW_RUNS_ARE_PREPARED,
        "networks and scores": _NETWORKS_AND_SCORES,
        "group level (columns of participants.tsv)": _GROUP_LEVEL,
        "cluster (level submit)": _CLUSTER,
        "conduct": _CONDUCT,
        "machine": _MACHINE,
    }
)
"""Options as ``--help`` shows them."""

OPTIONS: Mapping[str, Option] = MappingProxyType(
    {option.name: option for listed in HEADINGS.values() for option in listed}
)
"""All options, by the settings that they set."""


def keys_of(changes: str) -> dict[str, Option]:
    """Give the options of one kind by their keys in ``logs/configuration.json``.

    >>> "SmoothingFWHM" in keys_of("maps"), "Templates" in keys_of("scores")
    (True, True)
    """
    return {option.key: option for option in OPTIONS.values() if option.changes == changes and option.key}

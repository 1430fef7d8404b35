"""What the user wants: one frozen object, made at the edge from the command line and checked before anything runs."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, cast

from ...errors import ScaaeError, UsageError
from ...options import Evaluation, Nulls, Preparation, Training
from ..engine.machine import available_memory_gb, available_processors
from ..inputs.query import Query, read_filter_file
from ..user_text import did_you_mean
from .checks import FITTED_PRESET, check_settings
from .group_options import GroupOptions
from .vocabulary import PRESETS

if TYPE_CHECKING:
    from ...preparation.strategies import Strategy

__all__ = ["BASELINES", "DEFAULT_BASELINES", "MODE_DEFAULTS", "SURROGATE_TEMPLATES", "Settings"]

BASELINES = ("smoothed", "context", "pca", "cap", "ica", "dictionary", "windows", "encoder_lasso", "untrained")
"""As in `scaae_nipype.evaluation.BASELINES`, repeated so that ``--help`` needs no import; the volume itself is always
scored."""

DEFAULT_BASELINES = ("smoothed", "context", "pca")
"""What takes seconds per run."""

SURROGATE_TEMPLATES = 99
"""Sets of surrogate templates beside a temporal null: p down to 0.01, at half the time that 199 take."""

MODE_DEFAULTS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "calibrated": MappingProxyType({"preset": FITTED_PRESET, "nuisance": "auto", "dummy_scans": "auto"}),
        # What the published code does to data: its own detrending, no filter, nothing censored, nothing cut off.
        "paper": MappingProxyType({"preset": "published", "nuisance": "published-code", "dummy_scans": 0}),
    }
)
"""What a mode means where the command line says nothing else."""


_MAY_BE_LEFT_OPEN = ("templates", "template_labels", "baselines", "surrogate_templates")
"""Scores that have a default: what is not said about them may mean the default, or what is there."""


@dataclass(frozen=True)
class Settings:
    """Everything one call of ``scaae-bids`` was asked for.

    Parameters
    ----------
    bids_dir, output_dir, work_dir : Path
        Absolute. `work_dir` is the private folder inside the one the user named.
    level : {"participant", "group", "train"}
    participants, sessions, tasks, runs, spaces : tuple of str
        Labels without their keys; empty means all.
    filter_file : Path or None
        Queries as for ``--bids-filter-file``.
    datasets : mapping
        Name to path of further derivative datasets.
    database_dir : Path or None
        Where pybids keeps its index.
    concatenated : {"parts", "whole"}
        What is taken where the input holds several runs and their concatenation.
    nuisance : str
        Name of a strategy, or path of a file that describes one.
    dummy_scans : "auto" or int
    fd_threshold : float
        Framewise displacement above which a volume is censored, in mm; 0 censors none.
    high_pass, low_pass : float
        In Hz; 0 for no such filter.
    smoothing_fwhm : float
        In mm.
    repetition_time : float or None
        Of all runs in s, whatever their sidecars and headers say; None: as those say.
    mode : {"calibrated", "paper"}
    preset : str or None
        Network to fit; None with `model`.
    model : Path or None
        Model folder to apply.
    retrain : bool
    train_volumes : "auto" or int
        Volumes shown to the network in training.
    templates : str
        ``default``, ``smith2009`` or a path.
    template_labels : Path or None
    template_kind, atlas_kind : {"auto", "continuous", "labels", "thresholded"}
        What the images hold.
    fetch_templates : bool
        Whether the maps of Smith et al. (2009) are fetched where they are asked for and missing.
    baselines : tuple of str
        What is scored besides the networks and the volume itself.
    atlas : str or None
        Name or path of the image whose regions FBNs are averaged over.
    atlas_labels : Path or None
    surrogates : int
        Surrogates of every run for the temporal null; 0: no temporal null.
    surrogate_templates : int
        Sets of surrogate templates for the spatial null; 0: no spatial null.
    cross_fit : int
        Folds of participants whose temporal nulls go through models of the others; 0: the main model does.
    signed_maps : bool
        Whether maps before equation 9 are written too.
    precision : {"auto", "fp32", "bf16"}
    device : str
    seed : int
    group : GroupOptions
        What is asked at the group level.
    nprocs, omp_nthreads : int
        Processors in all, and for one node.
    train_processes : int
        Devices (CUDA) or processes (CPU) that share the training of an autoencoder.
    memory_gb : float
    plugin_file : Path or None
        Nipype plugin and its arguments, as YAML or JSON.
    clean_work_dir, dry_run, reports_only, boilerplate_only : bool
    stop_on_first_crash, resource_monitor, write_graph : bool
    reindex : bool
        Whether pybids' index is made anew.
    verbosity : int
    asked : frozenset of str
        Which options the user set, by the names they have when parsed; the others are defaults.
    given_filters : mapping or None
        Queries as in `filter_file`, from a configuration file that has them inside.
    notes : tuple of str
        What to say about the options before anything else.
    left_open : tuple of str
        Settings of which the command line says nothing: an output dataset that holds scores decides on them.
    """

    bids_dir: Path
    output_dir: Path
    work_dir: Path
    level: Literal["participant", "group", "train"] = "participant"
    participants: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    spaces: tuple[str, ...] = ()
    filter_file: Path | None = None
    datasets: Mapping[str, Path] = field(default_factory=dict)
    database_dir: Path | None = None
    concatenated: Literal["parts", "whole"] = "parts"
    nuisance: str = "auto"
    dummy_scans: Literal["auto"] | int = "auto"
    fd_threshold: float = 0.5
    high_pass: float = 0.008
    low_pass: float = 0.0
    smoothing_fwhm: float = 6.0
    repetition_time: float | None = None
    mode: Literal["calibrated", "paper"] = "calibrated"
    preset: str | None = "contextual"
    model: Path | None = None
    retrain: bool = False
    train_volumes: Literal["auto"] | int = "auto"
    templates: str = "default"
    template_labels: Path | None = None
    template_kind: Literal["auto", "continuous", "labels", "thresholded"] = "auto"
    fetch_templates: bool = False
    baselines: tuple[str, ...] = DEFAULT_BASELINES
    atlas: str | None = None
    atlas_labels: Path | None = None
    atlas_kind: Literal["auto", "continuous", "labels", "thresholded"] = "auto"
    surrogates: int = 0
    surrogate_templates: int = 0
    cross_fit: int = 0
    signed_maps: bool = False
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    device: str = "auto"
    seed: int = 0
    group: GroupOptions = field(default_factory=GroupOptions)
    nprocs: int = 1
    omp_nthreads: int = 1
    train_processes: int = 1
    memory_gb: float = 4.0
    plugin_file: Path | None = None
    clean_work_dir: bool = False
    dry_run: bool = False
    reports_only: bool = False
    boilerplate_only: bool = False
    stop_on_first_crash: bool = False
    resource_monitor: bool = False
    write_graph: bool = False
    reindex: bool = False
    verbosity: int = 0
    asked: frozenset[str] = frozenset()
    given_filters: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()
    left_open: tuple[str, ...] = ()

    def __post_init__(self):
        check_settings(self)

    @property
    def preparation(self) -> Preparation:
        """How runs are prepared."""
        return Preparation(
            strategy=self.nuisance,
            smoothing_fwhm=self.smoothing_fwhm,
            high_pass=self.filter_of("high_pass", denoised=False),
            low_pass=self.filter_of("low_pass", denoised=False),
            fd_threshold=self.fd_threshold,
            dummy_scans=self.dummy_scans,
        )

    @property
    def training(self) -> Training:
        """What network is fitted, and how."""
        return Training(
            preset=self.preset or FITTED_PRESET,
            mode=self.mode,
            train_volumes=self.train_volumes,
            seed=self.seed,
            precision=self.precision,
            device=self.device,
            processes=self.train_processes,
        )

    @property
    def evaluation(self) -> Evaluation:
        """What networks are held against."""
        return Evaluation(
            templates=self.templates,
            template_labels=None if self.template_labels is None else str(self.template_labels),
            template_kind=self.template_kind,
            baselines=self.baselines,
            atlas=self.atlas,
            atlas_labels=None if self.atlas_labels is None else str(self.atlas_labels),
            atlas_kind=self.atlas_kind,
            mode=self.mode,
            seed=self.seed,
        )

    @property
    def nulls(self) -> Nulls:
        """What chance is asked for."""
        return Nulls(
            n_surrogate_templates=self.surrogate_templates, n_surrogates=self.surrogates, n_folds=self.cross_fit
        )

    @property
    def output_options(self) -> tuple[str, ...]:
        """Which outputs were asked for besides those that are always written."""
        asked = {"signed_maps": self.signed_maps, "baselines": self.baselines, "atlas": self.atlas}
        asked |= {"surrogates": self.surrogates, "surrogate_templates": self.surrogate_templates}
        return tuple(name for name, value in asked.items() if value)

    def nuisance_of(self, *, denoised: bool) -> str:
        """Give the nuisance strategy of a run."""
        return "none" if denoised else self.nuisance

    def filter_of(self, name: Literal["high_pass", "low_pass"], *, denoised: bool) -> float | None:
        """Give a cut-off of a run in Hz, 0 for no filter, None for what the strategy makes of the run's confounds."""
        by_cosines = name == "high_pass" and "high_pass" in _strategy(self.nuisance).components
        if denoised or (by_cosines and name not in self.asked and not self.high_pass):
            return None
        return getattr(self, name)

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
        """Give the queries of ``--bids-filter-file``, or those inside the configuration file."""
        return self.given_filters if self.filter_file is None else read_filter_file(self.filter_file)

    @classmethod
    def from_options(cls, options: argparse.Namespace) -> Settings:
        """Fill what the command line leaves open: defaults of the mode, of the machine and of the current folder.

        Raises
        ------
        UsageError
            If options are impossible or contradict each other.
        """
        given = vars(options)
        mode = given["mode"] or "calibrated"
        chosen = {name: _first(given[name], default) for name, default in MODE_DEFAULTS[mode].items()}
        if given["model"] is not None:
            chosen["preset"] = None
        elif chosen["preset"] not in PRESETS:
            near = did_you_mean(chosen["preset"], PRESETS)
            raise UsageError(
                f"--preset: there is no preset {chosen['preset']!r}; choose one of {', '.join(PRESETS)}{near or '.'}"
            )
        nuisance = _name_or_file(chosen["nuisance"])
        strategy = _strategy(nuisance)
        nprocs = _first(given["nprocs"], available_processors())
        notes = list(given["notes"])
        if (given["omp_nthreads"] or 0) > nprocs:
            notes.append(f"Note: --omp-nthreads {given['omp_nthreads']} is more than --nprocs: {nprocs} are used.")
        return cls(
            bids_dir=_absolute(given["bids_dir"]),
            output_dir=_absolute(given["output_dir"]),
            work_dir=_absolute(given["work_dir"]) / "scaae_nipype",
            level=given["analysis_level"],
            participants=_labels(given["participant_label"], "sub-"),
            sessions=_labels(given["session_label"], "ses-"),
            tasks=_labels(given["task_id"], "task-"),
            runs=_labels(given["run_id"], "run-"),
            spaces=_labels(given["space"], "space-"),
            filter_file=_file(given["bids_filter_file"], "--bids-filter-file"),
            datasets=_datasets(given["derivatives"] or ()),
            database_dir=_absolute(given["bids_database_dir"]) if given["bids_database_dir"] else None,
            concatenated=given["concatenated"],
            nuisance=nuisance,
            dummy_scans=chosen["dummy_scans"],
            fd_threshold=_first(given["fd_threshold"], strategy.fd_threshold, 0.0),
            high_pass=_first(given["high_pass"], strategy.high_pass, 0.0),
            low_pass=_first(given["low_pass"], strategy.low_pass, 0.0),
            smoothing_fwhm=given["smoothing_fwhm"],
            repetition_time=given["repetition_time"],
            mode=cast("Literal['calibrated', 'paper']", mode),
            preset=chosen["preset"],
            model=_absolute(given["model"]) if given["model"] else None,
            retrain=given["retrain"],
            train_volumes=_first(given["train_volumes"], "auto"),
            templates=_name_or_file(_first(given["templates"], "default")),
            template_labels=_file(given["template_labels"], "--template-labels"),
            template_kind=given["template_kind"],
            fetch_templates=given["fetch_templates"],
            baselines=_baselines(given["baselines"], chosen["preset"]),
            atlas=_name_or_file(given["atlas"]) if given["atlas"] else None,
            atlas_labels=_file(given["atlas_labels"], "--atlas-labels"),
            atlas_kind=given["atlas_kind"],
            surrogates=given["surrogates"],
            surrogate_templates=_first(given["surrogate_templates"], SURROGATE_TEMPLATES if given["surrogates"] else 0),
            cross_fit=given["cross_fit"],
            signed_maps=given["signed_maps"],
            precision=given["precision"],
            device=given["device"],
            seed=given["random_seed"],
            group=GroupOptions.from_options(given),
            nprocs=nprocs,
            omp_nthreads=min(_first(given["omp_nthreads"], nprocs), nprocs),
            train_processes=given["train_processes"],
            memory_gb=_first(given["memory_gb"], 0.9 * available_memory_gb()),
            plugin_file=_file(given["use_plugin"], "--use-plugin"),
            clean_work_dir=given["clean_workdir"],
            dry_run=given["dry_run"],
            reports_only=given["reports_only"],
            boilerplate_only=given["boilerplate_only"],
            stop_on_first_crash=given["stop_on_first_crash"],
            resource_monitor=given["resource_monitor"],
            write_graph=given["write_graph"],
            reindex=given["reindex_bids"],
            verbosity=given["verbose"],
            asked=given["asked"] | given["configured"],
            given_filters=given["filters"],
            notes=tuple(notes),
            left_open=tuple(name for name in _MAY_BE_LEFT_OPEN if given[name] is None),
        )


def _baselines(names: list[str] | None, preset: str | None) -> tuple[str, ...]:
    """Take names, ``all`` or ``none``; in a fixed order, so that it does not matter how they were typed.

    A preset without a context is not compared with one; which preset a finished model has is not known here.
    """
    possible = tuple(name for name in BASELINES if name != "context" or preset in (None, FITTED_PRESET))
    if names is None:
        return tuple(name for name in possible if name in DEFAULT_BASELINES)
    special = {"all": possible, "none": ()}
    if len(names) > 1 and (both := special.keys() & set(names)):
        raise UsageError(f"--baselines {' '.join(names)}: {min(both)} goes alone.")
    if names[0] in special:
        return special[names[0]]
    unknown = [name for name in names if name not in (*BASELINES, "volume")]
    if unknown:
        near = did_you_mean(unknown[0], (*BASELINES, "all", "none"))
        raise UsageError(
            f"--baselines {unknown[0]}: unknown; choose from {', '.join(BASELINES)}, all, none{near or '.'}"
        )
    if "context" in names and "context" not in possible:
        raise UsageError(f"--baselines context has no effect with --preset {preset}, which has none: leave it out.")
    return tuple(name for name in BASELINES if name in names)


def _strategy(name: str) -> Strategy:
    try:
        from ...preparation.strategies import read_strategy

        return read_strategy(name)
    except ScaaeError as error:
        raise UsageError(f"--nuisance-regressors {error}") from error


def _first(*values: Any) -> Any:
    return next(value for value in values if value is not None)


def _absolute(path: str | Path) -> Path:
    return Path(os.path.abspath(Path(path).expanduser()))  # noqa: PTH100 - Path.absolute keeps "..", resolve follows links


def _labels(labels: list[str] | None, key: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(label.removeprefix(key) for label in labels or ()))


def _file(path: str | None, option: str) -> Path | None:
    if path is None:
        return None
    if not _absolute(path).is_file():
        raise UsageError(f"{option} {path}: there is no such file.")
    return _absolute(path)


def _name_or_file(text: str) -> str:
    """Keep a name, make a path absolute: nodes run in folders of their own."""
    return str(_absolute(text)) if Path(text).expanduser().is_file() else text


def _datasets(items: list[str] | tuple[()]) -> Mapping[str, Path]:
    datasets: dict[str, Path] = {}
    for item in items:
        name, equals, path = item.partition("=")
        if not equals:
            name, path = Path(item).name, item
        if not name or not path or name in datasets:
            raise UsageError(f"--derivatives {item}: give NAME=PATH, each name once.")
        datasets[name] = _absolute(path)
    return MappingProxyType(datasets)

"""From what was typed to settings: labels without their keys, paths made absolute, what was left open filled in."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ...errors import InputError, ScaaeError, UsageError
from ...model.presets import PRESETS, preset_named
from ...opening import refuse_odd_file
from ...options import BASELINES, USUAL_SURROGATES, Evaluation, Nulls, Preparation, Training
from ...preparation.strategies import read_strategy
from ...words import did_you_mean, shown
from ..engine.machine import available_memory_gb, available_processors
from .option_table import OPTIONS, PAPER, Option
from .settings import ClusterOptions, GroupOptions, Settings
from .spelling import with_options

__all__ = ["settings_of"]

_MAY_BE_LEFT_OPEN = ("templates", "template_labels", "baselines", "n_surrogate_templates", "n_chance_templates")
"""Scores that have a default: what is not said about them may mean the default, or what is there."""

_LONGEST_NAME, _LONGEST_PATH = 255, 4000
"""Bytes that file systems take."""

_GROUPS = {
    "preparation": Preparation,
    "training": Training,
    "evaluation": Evaluation,
    "nulls": Nulls,
    "group": GroupOptions,
    "cluster": ClusterOptions,
}


def settings_of(options: argparse.Namespace) -> Settings:
    """Fill what the command line leaves open: defaults of the mode, of the machine and of the current folder.

    Raises
    ------
    UsageError
        If options are impossible or contradict each other.
    """
    try:
        return _settings_of(options)
    except UsageError as error:
        raise UsageError(with_options(str(error))) from error


def _settings_of(options: argparse.Namespace) -> Settings:
    typed = {name: value for name, value in vars(options).items() if name in OPTIONS and value is not None}
    given = {name: _read(OPTIONS[name], value) for name, value in typed.items()}
    if given.get("mode") == "paper":
        given = {**PAPER, **given}
    preset = None if "model" in given else preset_named(given.get("preset", Training.preset)).name
    given["baselines"] = _baselines(given.get("baselines"), preset)
    given["strategy"] = _strategy(given.get("strategy", Preparation.strategy))
    if given.get("n_surrogates"):
        given.setdefault("n_surrogate_templates", USUAL_SURROGATES)
    notes = list(options.notes)
    given.setdefault("nprocs", available_processors())
    if given.get("omp_nthreads", 0) > given["nprocs"]:
        notes.append(f"Note: --omp-nthreads {given['omp_nthreads']} is more than --nprocs: {given['nprocs']} are used.")
    given["omp_nthreads"] = min(given.get("omp_nthreads", given["nprocs"]), given["nprocs"])
    given.setdefault("memory_gb", 0.9 * available_memory_gb())
    given["work_dir"] = given.get("work_dir", _absolute(Settings.work_dir)) / "scaae_nipype"
    groups = {
        name: kind(**{one.name: given[one.name] for one in fields(kind) if one.name in given})
        for name, kind in _GROUPS.items()
    }
    own = {one.name: given[one.name] for one in fields(Settings) if one.name in given}
    settings = Settings(
        bids_dir=_absolute(options.bids_dir),
        output_dir=_absolute(options.output_dir),
        level=options.level,
        **own,
        **groups,
        asked=options.asked | options.configured,
        left_open=tuple(name for name in _MAY_BE_LEFT_OPEN if getattr(options, name) is None),
        given_filters=options.filters,
        notes=tuple(notes),
    )
    for folder in (settings.output_dir, settings.work_dir, settings.model):
        _refuse_bytes(folder)
    return settings


def _read(option: Option, value: Any) -> Any:
    """Turn what was typed into a value: labels, files, folders, names."""
    kind = option.about.kind
    if option.kind == "several" and kind != "datasets":
        return tuple(dict.fromkeys(word.removeprefix(option.prefix) for word in value))
    readers: Mapping[str, Callable[[Any], Any]] = {
        "folder": _absolute,
        "file": lambda path: _file(path, option.spelling),
        "datasets": _datasets,
        "templates": _name_or_file,
        "strategy": _name_or_file,
    }
    return readers[kind](value) if kind in readers else value


def _baselines(names: tuple[str, ...] | None, preset: str | None) -> tuple[str, ...]:
    """Take names, ``all`` or ``none``; in a fixed order, so that it does not matter how they were typed.

    A preset without a context is not compared with one; which preset a finished model has is not known here.
    """
    possible = tuple(name for name in BASELINES if name != "context" or preset is None or PRESETS[preset].context)
    if names is None:
        return tuple(name for name in possible if name in Evaluation.baselines)
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


def _strategy(name: str) -> str:
    try:
        read_strategy(name)
    except ScaaeError as error:
        raise UsageError(f"--nuisance-regressors {error}") from error
    return name


def _absolute(path: str | Path) -> Path:
    """Make a path absolute; refuse what no file system takes, and the home of nobody."""
    text = str(path)
    longest = max(len(os.fsencode(part)) for part in text.split("/"))
    if longest > _LONGEST_NAME or len(os.fsencode(text)) > _LONGEST_PATH or "\0" in text:
        why = "has a NUL byte" if "\0" in text else f"is too long: its longest name has {longest} bytes"
        raise UsageError(f"{shown(text)}: can be no path, it {why}.")
    try:
        whole = Path(path).expanduser()
    except RuntimeError as error:  # a user without a name, as in many containers, and no HOME
        why = "no home folder is known (no such user, or HOME is not set)"
        raise UsageError(f"{text}: {why}; give the whole path.") from error
    return Path(os.path.abspath(whole))  # noqa: PTH100 - Path.absolute keeps "..", resolve follows links


def _refuse_bytes(folder: Path | None) -> None:
    """Refuse a folder whose name is no text: not every library opens what lies in it (safetensors, Nipype's logs)."""
    try:
        os.fsencode(str(folder)).decode("utf-8")
    except UnicodeDecodeError as error:
        named = os.fsencode(str(folder)).decode(errors="backslashreplace")
        raise UsageError(
            f"{named}: its name is not in UTF-8, which results and models need; choose another."
        ) from error


def _file(path: str, option: str) -> Path:
    found = _absolute(path)
    if not os.path.lexists(found):
        raise UsageError(f"{option} {path}: there is no such file.")
    try:
        refuse_odd_file(found)
    except InputError as error:
        raise UsageError(f"{option} {error}") from error
    return found


def _name_or_file(text: str) -> str:
    """Keep a name, make a path absolute: nodes run in folders of their own."""
    return str(path) if (path := _absolute(text)).is_file() else text


def _datasets(items: list[str]) -> Mapping[str, Path]:
    datasets: dict[str, Path] = {}
    for item in items:
        name, equals, path = item.partition("=")
        if not equals:
            name, path = Path(item).name, item
        if not name or not path or name in datasets:
            raise UsageError(f"--derivatives {item}: give NAME=PATH, each name once.")
        datasets[name] = _absolute(path)
    return MappingProxyType(datasets)

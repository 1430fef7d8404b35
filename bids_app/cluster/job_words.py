"""The command lines of jobs: what was asked for at the level submit, as each level has to hear it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..settings.container import own_image
from ..settings.option_table import OPTIONS, Option
from ..settings.settings import Settings
from .schedulers import Needs

__all__ = ["container_words", "job_words"]

_BY_JOB = (
    *("participants", "expected", "filter_file", "nprocs", "memory_gb", "work_dir"),
    *("dry_run", "reindex", "verbosity"),
)
"""What jobs get in another way than it was typed."""

_AT = {"train": ("runs", "steps", "all"), "participant": ("runs", "steps", "all"), "group": ("group", "all")}

_MEMORY_SHARE = 0.9
"""Of a job's memory, what its steps may declare: the rest is for the process that starts them."""


def job_words(settings: Settings, level: str, needs: Needs, filter_file: Path | None) -> list[str]:
    """Give the arguments of ``scaae-bids`` for a job, all paths absolute; of a task without its participant.

    What a configuration file says stands in them too: a job does not change with the file.
    """
    words = [str(settings.bids_dir), str(settings.output_dir), level]
    for option in OPTIONS.values():
        is_ours = option.name in _BY_JOB or option.at not in _AT[level]
        if option.name not in settings.asked or is_ours or (option.name == "retrain" and level != "train"):
            continue
        words += _typed(option, settings.value_of(option.name))
    if filter_file is not None:
        words += [OPTIONS["filter_file"].spelling, str(filter_file)]
    words += ["--work-dir", str(settings.work_dir.parent), "--nprocs", str(needs.processors)]
    words += ["--mem", f"{int(_MEMORY_SHARE * needs.memory_mb)}M"]
    return words + ["-v"] * settings.verbosity


def _typed(option: Option, value: Any) -> list[str]:
    """Write an option as it would be typed."""
    if option.kind == "switch":
        return [option.spelling] if value else []
    if value is None:
        return []
    if isinstance(value, Mapping):
        return [option.spelling, *(f"{name}={path}" for name, path in value.items())]
    if isinstance(value, tuple):
        return [option.spelling, *(map(str, value) if value else ["none"])]
    return [option.spelling, str(value)]


# ---- in a container --------------------------------------------------------------------------------------------------


def container_words(settings: Settings, filter_file: Path | None, *, gpus: bool) -> list[str]:
    """Say what stands before the arguments of a job: the program, or the call of the container that has it.

    Folders are seen under the same paths inside, so that records of runs in and outside of a container agree.
    """
    image = settings.cluster.image or own_image()
    if image is None:
        return [_program()]
    image = str(Path(image).resolve()) if Path(image).exists() else image
    words = ["apptainer", "run", "--cleanenv", "--containall", *(["--nv"] if gpus else [])]
    writable = [settings.output_dir, settings.work_dir.parent]
    writable += [settings.database_dir] if settings.database_dir else []
    for folder in _outermost(writable):
        words += ["--bind", f"{folder}:{folder}"]
    for path in _outermost([settings.bids_dir, *_files(settings), *([filter_file] if filter_file else [])]):
        if not any(path.is_relative_to(folder) for folder in writable):
            words += ["--bind", f"{path}:{path}:ro"]
    return [*words, image]


def _program() -> str:
    """Give the path of this program: jobs find it without PATH."""
    beside = Path(sys.executable).with_name("scaae-bids")
    return str(beside) if beside.is_file() else "scaae-bids"


def _files(settings: Settings) -> list[Path]:
    """List files and folders that were named in options."""
    found: list[Path] = []
    for name in settings.asked & OPTIONS.keys():
        value = settings.value_of(name) if name not in (*_BY_JOB, "image") else None
        values: Iterable[Any] = value.values() if isinstance(value, Mapping) else (value,)
        found += [Path(one) for one in values if isinstance(one, str | Path) and Path(one).is_absolute()]
    return sorted(found)


def _outermost(paths: Iterable[Path]) -> list[Path]:
    """Leave out what lies below another of the paths."""
    paths = list(dict.fromkeys(paths))
    return [path for path in paths if not any(path != other and path.is_relative_to(other) for other in paths)]

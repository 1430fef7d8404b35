"""What jobs need: processors, memory and time, from measured values (``python -m benchmarks.task_costs``)."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from ...images import count_volumes
from ...model.presets import preset_named
from ..inputs.plan import RunInput
from ..job.memory import FITTED_VOLUMES, training_gb
from ..settings.settings import Settings
from ..settings.time_limit import minutes_of
from .schedulers import Needs

__all__ = ["PROCESSORS", "needs_of_group", "needs_of_participants", "needs_of_training", "task_costs"]

PROCESSORS = 2
"""What a job gets where ``--nprocs`` says nothing: steps of a participant hardly use more."""

SLOWER = 4.0
"""How much slower a node may be than the idle machine that was measured, with data on a busy network disk."""

LEAST_MINUTES = 20
"""A limit that is shorter saves nobody anything."""

LONG_TRAINING_MINUTES = 240
"""Time of one turn of a training that may take days: it is warned before the end, saved, and queued again."""

LESS_THAN_A_VOLUME = 300
"""Volumes that a run is taken to have whose header cannot be read: the job itself will say why."""


@cache
def task_costs() -> Mapping[str, Any]:
    """Give the measured values."""
    text = (files("scaae_nipype.data") / "task_costs.json").read_text(encoding="utf-8")
    costs: dict[str, Any] = json.loads(text)
    return costs


def needs_of_participants(settings: Settings, runs: Collection[RunInput], *, ended_by: Collection[str] = ()) -> Needs:
    """Say what the largest of the participants needs, so that one array does for all.

    Parameters
    ----------
    settings : Settings
    runs : collection of RunInput
        Those that are due.
    ended_by : collection of str
        How tasks ended before (`submissions.Ending.kind`): out of memory or time, they get twice as much.
    """
    cost, times = task_costs()["Participant"], settings.nulls.n_surrogates
    seconds: dict[str, float] = {}
    longest = 0
    for run in runs:
        volumes = count_volumes(run.bold) or LESS_THAN_A_VOLUME
        longest = max(longest, volumes)
        per_volume = cost["SecondsPerVolume"] + times * cost["SecondsPerVolumeAndSurrogate"]
        own = cost["SecondsPerRun"] + volumes * per_volume
        seconds[run.entities["sub"]] = seconds.get(run.entities["sub"], cost["Seconds"]) + own
    gigabytes = cost["MemoryGB"] + longest * cost["MemoryGBPerVolume"]
    most = max(seconds.values(), default=0.0)
    needs = _needs(settings, most, gigabytes, settings.cluster.time_limit)
    if "memory" in ended_by and "memory_gb" not in settings.asked:
        needs = _replaced(needs, memory_mb=2 * needs.memory_mb)
    if "time" in ended_by and settings.cluster.time_limit is None:
        needs = _replaced(needs, minutes=2 * needs.minutes)
    return _replaced(needs, gpus=int(settings.training.device.startswith("cuda")))


def needs_of_training(settings: Settings, runs: Collection[RunInput]) -> Needs:
    """Say what fitting the model, and those of the folds, needs.

    Parameters
    ----------
    settings : Settings
    runs : collection of RunInput
        Those that are drawn for it: the others are not prepared.
    """
    cost, training = task_costs()["Training"], settings.training
    volumes = sum(count_volumes(run.bold) or LESS_THAN_A_VOLUME for run in runs)
    again = settings.nulls.n_folds * (cost["Seconds"] + cost["SecondsPerVolume"] * min(volumes, FITTED_VOLUMES))
    seconds = cost["Seconds"] + cost["SecondsPerVolume"] * volumes + again
    gigabytes = training.processes * training_gb(training.preset, [str(run.bold) for run in runs]) + cost["MemoryGB"]
    needs = _needs(settings, seconds, gigabytes, settings.cluster.train_time_limit)
    if not preset_named(training.preset).context and settings.cluster.train_time_limit is None:
        needs = _replaced(needs, minutes=max(needs.minutes, LONG_TRAINING_MINUTES))
    is_on_gpu = training.device.startswith("cuda")
    processors = max(needs.processors, training.processes)
    return _replaced(needs, processors=processors, gpus=training.processes if is_on_gpu else 0)


def needs_of_group(settings: Settings, n_runs: int) -> Needs:
    """Say what tables and report over all runs need."""
    cost = task_costs()["Group"]
    seconds = cost["Seconds"] + n_runs * cost["SecondsPerRun"]
    return _replaced(_needs(settings, seconds, cost["MemoryGB"] + n_runs * cost["MemoryGBPerRun"], None), processors=1)


def _needs(settings: Settings, seconds: float, gigabytes: float, limit: str | None) -> Needs:
    """Round up, with room for slower machines; what the user gave counts."""
    minutes = max(LEAST_MINUTES, 10 * math.ceil(SLOWER * seconds / 600)) if limit is None else minutes_of(limit)
    given = "memory_gb" in settings.asked
    memory = settings.memory_gb if given else max(2.0, 0.5 * math.ceil(2 * 1.25 * gigabytes))
    processors = settings.nprocs if "nprocs" in settings.asked else PROCESSORS
    return Needs(processors=processors, memory_mb=math.ceil(1000 * memory), minutes=minutes)


def _replaced(needs: Needs, **changes: int) -> Needs:
    return Needs(**{**vars(needs), **changes})

"""When the volumes of a run were taken, as its BIDS sidecars tell it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InputError
from ...files import read_json
from ...images import count_volumes
from ...options import LONGEST_TR, SHORTEST_TR
from ...words import shown

__all__ = ["OPTION", "RunTiming", "read_timing"]

OPTION = "--repetition-time"
"""How a user gives a repetition time."""

JITTER = 0.005
"""Volumes that are this many s, or this part of the repetition time, off their place are evenly spaced: rounded."""

_KEYS = ("RepetitionTime", "VolumeTiming")


@dataclass(frozen=True)
class RunTiming:
    """The times of a run's volumes.

    At `start_time` in its repetition time a volume counts as taken: the reference of slice timing (``StartTime``), else
    0. Onsets of events count from the start of the first volume.
    """

    repetition_time: float | None = None  # in s, from the start of a volume to that of the next; None: no sidecar tells
    start_time: float = 0.0  # in s
    source: str = ""  # where the repetition time is from
    notes: tuple[str, ...] = ()  # what was decided, in sentences


def read_timing(sidecars: Iterable[Path], *, image: Path | None = None, given: float | None = None) -> RunTiming:
    """Read when volumes were taken: as the user says, else from ``RepetitionTime`` or evenly spaced ``VolumeTiming``.

    The nearest sidecar that has one of the two decides (BIDS knows one or the other).

    Parameters
    ----------
    sidecars : iterable of Path
        By inheritance, the strongest first.
    image : Path, optional
        The run's, whose number of volumes that of ``VolumeTiming`` is compared with.
    given : float, optional
        The repetition time (s) that the user asks for, whatever the sidecars say.

    Raises
    ------
    InputError
        If a sidecar is unreadable, a value is none in s, or volumes were not taken at even distances, unless a
        repetition time is given.
    """
    if given is None:
        told, sparse = _from_sidecars(sidecars, image)
        return replace(told, notes=(*told.notes, *sparse))
    try:
        told, sparse = _from_sidecars(sidecars, image)
    except InputError as error:
        return RunTiming(given, 0.0, OPTION, (f"{OPTION} {given:g} was used, although a sidecar is wrong: {error}",))
    notes = [*sparse]
    if told.repetition_time is not None and not _same(told.repetition_time, given):
        notes.append(f"{OPTION} {given:g} was used, against the {told.repetition_time:g} s in {told.source}.")
    return RunTiming(given, told.start_time, OPTION, tuple(notes))


def _from_sidecars(sidecars: Iterable[Path], image: Path | None) -> tuple[RunTiming, list[str]]:
    """Read the timing, and apart from it notes on pauses between volumes, which hold whatever the user says."""
    contents = [(path, read_json(path)) for path in sidecars]
    notes: list[str] = []
    sparse: list[str] = []
    repetition_time, source = None, ""
    for path, content in contents:
        own = {key: content[key] for key in _KEYS if content.get(key) is not None}
        if not own:
            continue
        source = f"{' and '.join(own)} of {path.name}"
        if "RepetitionTime" in own:
            repetition_time = _repetition_time(own["RepetitionTime"], path)
        if "VolumeTiming" in own:
            n_volumes = None if image is None else count_volumes(image)
            spacing = _spacing(own["VolumeTiming"], path, n_volumes, notes)
            if repetition_time is not None and not _same(repetition_time, spacing):
                raise InputError(
                    f"{path}: RepetitionTime is {repetition_time:g} s and VolumeTiming has a volume every {spacing:g} "
                    "s; BIDS knows one or the other: remove the wrong one."
                )
            repetition_time = spacing if repetition_time is None else repetition_time
        break
    delay = _inherited(contents, "DelayTime")
    if delay and repetition_time is not None:
        if delay[0] >= repetition_time:
            raise InputError(
                f"{delay[1]}: DelayTime is {delay[0]:g} s, no part of the repetition time of {repetition_time:g} s; "
                "RepetitionTime goes from the start of a volume to the start of the next, with the delay."
            )
        if delay[0] > 0:
            sparse.append(
                f"Volumes are taken in the first {repetition_time - delay[0]:g} s of every {repetition_time:g} s "
                f"(sparse acquisition, DelayTime {delay[0]:g} s)."
            )
    start = _inherited(contents, "StartTime")
    if start and repetition_time is not None and start[0] > repetition_time:
        raise InputError(
            f"{start[1]}: StartTime is {start[0]:g} s, more than the repetition time of {repetition_time:g} s; correct "
            "it (s from the start of a volume)."
        )
    return RunTiming(repetition_time, start[0] if start else 0.0, source, tuple(notes)), sparse


def _repetition_time(value: Any, path: Path) -> float:
    number = _number(value)
    if number is None or not number > 0:
        raise InputError(f"{path}: RepetitionTime is {shown(value)}, not a positive number of seconds; correct it.")
    if not SHORTEST_TR <= number <= LONGEST_TR:
        hint = " (milliseconds?)" if SHORTEST_TR <= number / 1000 <= LONGEST_TR else ""
        raise InputError(
            f"{path}: RepetitionTime is {number:g}{hint}, impossible in seconds (expected {SHORTEST_TR:g} to "
            f"{LONGEST_TR:g}); correct it."
        )
    return number


def _spacing(value: Any, path: Path, n_volumes: int | None, notes: list[str]) -> float:
    """Give the distance between volumes that are listed with their times, in s."""
    times = [_number(item) for item in value] if isinstance(value, list) else []
    if len(times) < 2 or any(time is None or time < 0 for time in times):
        raise InputError(f"{path}: VolumeTiming is {shown(value)}, not a list of the volumes' times in s; correct it.")
    if n_volumes is not None and len(times) != n_volumes:
        raise InputError(
            f"{path}: VolumeTiming lists {len(times)} volumes and the image has {n_volumes}; which were taken when is "
            "not known: correct it."
        )
    onsets = np.array(times, dtype=float)
    steps = np.diff(onsets)
    spacing = round(float(onsets[-1] - onsets[0]) / len(steps), 6)
    if steps.min() <= 0 or np.abs(steps - spacing).max() > max(JITTER, JITTER * spacing):
        raise InputError(
            f"{path}: VolumeTiming is not even (steps of {steps.min():g} to {steps.max():g} s); filters and lags need "
            "one repetition time: interpolate the run to even times first, or leave it out."
        )
    if not SHORTEST_TR <= spacing <= LONGEST_TR:
        raise InputError(
            f"{path}: VolumeTiming has a volume every {spacing:g} s, which is impossible (expected {SHORTEST_TR:g} to "
            f"{LONGEST_TR:g} s); correct it."
        )
    notes.append(f"The repetition time of {spacing:g} s is the even distance in VolumeTiming ({path.name}).")
    if onsets[0] > 0:
        notes.append(
            f"VolumeTiming begins at {onsets[0]:g} s; onsets of events count from the first volume, as BIDS says."
        )
    return spacing


def _inherited(contents: Iterable[tuple[Path, dict[str, Any]]], key: str) -> tuple[float, Path] | None:
    """Read a duration (s, 0 or more) from the first sidecar that has it."""
    for path, content in contents:
        value = content.get(key)
        if value is None:
            continue
        number = _number(value)
        if number is None or number < 0:
            raise InputError(f"{path}: {key} is {shown(value)}, not a number of seconds; correct it.")
        return number, path
    return None


def _number(value: Any) -> float | None:
    """Take a JSON number; None for text, truth values, lists, NaN and infinity."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _same(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=JITTER, abs_tol=JITTER)

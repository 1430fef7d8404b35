"""When the volumes of a run were taken: what was given, what the header says, and whether they agree."""

from __future__ import annotations

import math

from ..errors import InputError
from ..options import LONGEST_TR, SHORTEST_TR
from .stream import BoldFile

__all__ = ["choose_timing"]

ROUNDING, SHARE = 0.005, 0.005
"""Repetition times that differ by less than this, in s or as a share, were rounded."""


def choose_timing(
    bold: BoldFile, given: float | None = None, source: str | None = None
) -> tuple[float, str, list[str]]:
    """Take the repetition time that is given, else the header's.

    Parameters
    ----------
    bold : BoldFile
    given : float, optional
        In s.
    source : str, optional
        Where that one is from, for messages and metadata; by default it counts as an argument.

    Returns
    -------
    repetition_time : float
        In s.
    source : str
    notes : list of str
        What the user has to know, in sentences.

    Raises
    ------
    InputError
        If it is missing, or outside 0.1 to 20 s.
    """
    source = "header" if given is None else source or "argument"
    value = bold.time.seconds if given is None else float(given)
    if value is None:
        raise InputError(
            f"{bold.path}: the repetition time is not known: its header {bold.time.said}, and no other was given; put "
            "RepetitionTime (s) into the image's JSON sidecar, or give `repetition_time`."
        )
    if not (math.isfinite(value) and SHORTEST_TR <= value <= LONGEST_TR):
        raise InputError(
            f"{bold.path}: the repetition time of {value:g} s ({source}) is impossible (expected {SHORTEST_TR:g} to "
            f"{LONGEST_TR:g} s); put RepetitionTime (s) into the image's JSON sidecar, or give `repetition_time`."
        )
    if given is None:
        doubt = f"The repetition time was taken as {value:g} s: the header of {bold.path.name} {bold.time.said}."
        return value, source, [] if bold.time.is_plain else [doubt]
    own = bold.time.seconds
    if own is None or math.isclose(own, value, rel_tol=SHARE, abs_tol=ROUNDING):
        return value, source, []
    note = (
        f"The repetition times disagree: {value:g} s ({source}), which was used, and the header of {bold.path.name} "
        f"{bold.time.said}."
    )
    return value, source, [note]

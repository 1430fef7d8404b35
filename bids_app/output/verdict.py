"""How a call ended: one verdict, computed once, for the last line, the status file and the exit code."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..._version import __version__
from ...files import write_json
from ...words import counted, few_and_more
from ..cli import EXIT_FAILED, EXIT_OK

__all__ = ["Tally", "Verdict", "judge", "write_status"]


@dataclass
class Tally:
    """What became of the runs of this call, by their stems.

    Parameters
    ----------
    before : set
        Finished by an earlier call; nothing was done.
    finished : set
        Finished now (at the level that was asked for).
    failed : dict
        Run or other thing that failed, with the reason in one line.
    left : set
        Not started, because the call ended before.
    missed : dict
        Files that were asked for and could not be used, with the reason.
    notes : list
        What else the user has to know at the end.
    interrupted : str
        What stopped the call from outside, if something did.
    """

    before: set[str] = field(default_factory=set)
    finished: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    left: set[str] = field(default_factory=set)
    missed: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    interrupted: str = ""


@dataclass(frozen=True)
class Verdict:
    """Exit code and sentence."""

    exit_code: int
    text: str


def judge(tally: Tally, *, what: str = "run") -> Verdict:
    """Compute the verdict.

    >>> judge(Tally(before={"a"}, finished={"b"}))
    Verdict(exit_code=0, text='All done: 1 run finished now, 1 before.')
    >>> judge(Tally(before={"a"}))
    Verdict(exit_code=0, text='Nothing to do: 1 run was finished before.')
    >>> judge(Tally(finished={"a"}, failed={"b": "it is empty"})).text
    'Something failed: 1 run finished, 1 failed (b).'
    >>> judge(Tally(finished={"a"}, left={"b"}, interrupted="interrupted by SIGUSR1; run it again.")).text
    'Stopped: 1 run finished, 1 not finished; interrupted by SIGUSR1; run it again.'
    """
    done, before = len(tally.finished), len(tally.before)
    bad = [*tally.failed, *tally.missed]
    if bad or tally.left or tally.interrupted:
        clauses = [f"{counted(done, what)} finished"]
        clauses += [f"{before} finished before"] if before else []
        clauses += [f"{len(bad)} failed ({few_and_more(bad, 3)})"] if bad else []
        if tally.interrupted:
            clauses += [f"{len(tally.left)} not finished"] if tally.left else []
            return Verdict(EXIT_FAILED, f"Stopped: {', '.join(clauses)}; {tally.interrupted}")
        clauses += [f"{len(tally.left)} not started"] if tally.left else []
        return Verdict(EXIT_FAILED, f"Something failed: {', '.join(clauses)}.")
    if not done:
        verb = "was" if before == 1 else "were"
        return Verdict(EXIT_OK, f"Nothing to do: {counted(before, what)} {verb} finished before.")
    return Verdict(EXIT_OK, f"All done: {counted(done, what)} finished now{f', {before} before' if before else ''}.")


def write_status(
    output_dir: Path,
    verdict: Verdict,
    tally: Tally,
    *,
    command: Sequence[str],
    configuration: str,
    started: float,
    facts: Mapping[str, Any],
) -> Path:
    """Write ``logs/status.json``.

    Parameters
    ----------
    output_dir : Path
    verdict : Verdict
    tally : Tally
    command : sequence of str
    configuration : str
        Hash.
    started : float
        Time of the start, in s since the epoch.
    facts : mapping
        What else belongs there (the model).
    """
    return write_json(
        {
            "Verdict": verdict.text,
            "ExitCode": verdict.exit_code,
            "Finished": sorted(tally.finished),
            "FinishedBefore": sorted(tally.before),
            "Failed": dict(sorted(tally.failed.items())),
            "CouldNotRun": dict(sorted(tally.missed.items())),
            "NotStarted": sorted(tally.left),
            "Interrupted": tally.interrupted or None,
            "Notes": _distinct(tally.notes),
            **facts,
            "ConfigurationHash": configuration,
            "Version": __version__,
            "Command": list(command),
            "Started": _stamp(started),
            "Ended": _stamp(time.time()),
            "Seconds": round(time.time() - started, 1),
        },
        output_dir / "logs" / "status.json",
    )


def _distinct(items: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(items))


def _stamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(seconds))

"""How a call is carried out and ends: one verdict, for the last line, the status file and the exit code."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..._version import __version__
from ...errors import ScaaeError, UsageError
from ...files import write_json, write_text
from ...signals import stop_text
from ...words import counted, few_and_more, one_line
from ..exits import EXIT_FAILED, EXIT_OK
from ..settings.console import Console

__all__ = ["Call", "Summary", "Verdict", "judge", "write_status"]


@dataclass
class Summary:
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
class Call:
    """One call of ``scaae-bids``.

    Parameters
    ----------
    output_dir : Path
    command : sequence of str
        As it was typed.
    console : Console
    started : float
        In s since the epoch.
    """

    output_dir: Path
    command: Sequence[str]
    console: Console
    started: float = field(default_factory=time.time)

    def carry_out(
        self,
        work: Callable[[], None],
        summary: Summary,
        *,
        subject: str,
        what: str,
        configuration: str,
        facts: Mapping[str, Any],
        note: str = "",
    ) -> int:
        """Do the work, whatever comes; say and write how it ended; give the exit code.

        Parameters
        ----------
        work : callable
            Notes in `summary` what becomes of it.
        summary : Summary
        subject : str
            What has failed if the work as a whole does.
        what : str
            What is counted (``run``).
        configuration : str
            Hash.
        facts : mapping
            What else belongs into ``logs/status.json``.
        note : str
            What the notes at the end begin with on the console.

        Raises
        ------
        UsageError
            From the work: the user can say something else.
        """
        say, logs = self.console.say, self.output_dir / "logs"
        self.console.log_to(logs, self.command)
        failure = ""
        try:
            work()
        except UsageError:
            raise
        except ScaaeError as error:
            failure = str(error)
        except KeyboardInterrupt as stop:
            summary.interrupted = stop_text(stop)
        except Exception as error:
            path = write_text(traceback.format_exc(), logs / f"crash-{os.getpid()}.txt")
            failure = f"unexpected {type(error).__name__}: {one_line(error)[:300]} (details: {path})"
        if failure:
            summary.failed[subject] = failure
            say(f"{subject}: FAILED: {failure}")
        verdict = judge(summary, what=what)
        status = write_status(
            self.output_dir,
            verdict,
            summary,
            command=self.command,
            configuration=configuration,
            started=self.started,
            facts=facts,
        )
        for text in dict.fromkeys(summary.notes):
            say(f"{note}{text}")
        say(f"{verdict.text} Status: {status}")
        return verdict.exit_code


@dataclass(frozen=True)
class Verdict:
    """Exit code and sentence."""

    exit_code: int
    text: str


def judge(summary: Summary, *, what: str = "run") -> Verdict:
    """Compute the verdict.

    >>> judge(Summary(before={"a"}, finished={"b"}))
    Verdict(exit_code=0, text='All done: 1 run finished now, 1 before.')
    >>> judge(Summary(before={"a"}))
    Verdict(exit_code=0, text='Nothing to do: 1 run was finished before.')
    >>> judge(Summary(finished={"a"}, failed={"b": "it is empty"})).text
    'Something failed: 1 run finished, 1 failed (b).'
    >>> judge(Summary(finished={"a"}, left={"b"}, interrupted="interrupted by SIGUSR1; run it again.")).text
    'Stopped: 1 run finished, 1 not finished; interrupted by SIGUSR1; run it again.'
    """
    done, before = len(summary.finished), len(summary.before)
    bad = [*summary.failed, *summary.missed]
    if bad or summary.left or summary.interrupted:
        clauses = [f"{counted(done, what)} finished"]
        clauses += [f"{before} finished before"] if before else []
        clauses += [f"{len(bad)} failed ({few_and_more(bad, 3)})"] if bad else []
        if summary.interrupted:
            clauses += [f"{len(summary.left)} not finished"] if summary.left else []
            return Verdict(EXIT_FAILED, f"Stopped: {', '.join(clauses)}; {summary.interrupted}")
        clauses += [f"{len(summary.left)} not started"] if summary.left else []
        return Verdict(EXIT_FAILED, f"Something failed: {', '.join(clauses)}.")
    if not done:
        verb = "was" if before == 1 else "were"
        return Verdict(EXIT_OK, f"Nothing to do: {counted(before, what)} {verb} finished before.")
    return Verdict(EXIT_OK, f"All done: {counted(done, what)} finished now{f', {before} before' if before else ''}.")


def write_status(
    output_dir: Path,
    verdict: Verdict,
    summary: Summary,
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
    summary : Summary
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
            "Finished": sorted(summary.finished),
            "FinishedBefore": sorted(summary.before),
            "Failed": dict(sorted(summary.failed.items())),
            "CouldNotRun": dict(sorted(summary.missed.items())),
            "NotStarted": sorted(summary.left),
            "Interrupted": summary.interrupted or None,
            "Notes": list(dict.fromkeys(summary.notes)),
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


def _stamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(seconds))

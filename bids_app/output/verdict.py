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

__all__ = ["Call", "Summary", "judge"]


@dataclass
class Summary:
    """What became of the runs of this call, by their stems."""

    before: set[str] = field(default_factory=set)  # finished by an earlier call; nothing was done
    finished: set[str] = field(default_factory=set)  # now, at the level that was asked for
    failed: dict[str, str] = field(default_factory=dict)  # runs or other things, with the reason in one line
    left: set[str] = field(default_factory=set)  # not started, because the call ended before
    missed: dict[str, str] = field(default_factory=dict)  # files that could not be used, with the reason
    notes: list[str] = field(default_factory=list)  # what else the user has to know at the end
    interrupted: str = ""  # what stopped the call from outside, if something did


@dataclass(frozen=True)
class Call:
    """One call of ``scaae-bids``."""

    output_dir: Path
    command: Sequence[str]  # as it was typed
    console: Console
    started: float = field(default_factory=time.time)  # in s since the epoch

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
        exit_code, verdict = judge(summary, what=what)
        ended, notes = time.time(), list(dict.fromkeys(summary.notes))
        status = {
            "Verdict": verdict,
            "ExitCode": exit_code,
            "Finished": sorted(summary.finished),
            "FinishedBefore": sorted(summary.before),
            "Failed": dict(sorted(summary.failed.items())),
            "CouldNotRun": dict(sorted(summary.missed.items())),
            "NotStarted": sorted(summary.left),
            "Interrupted": summary.interrupted or None,
            "Notes": notes,
            **facts,
            "ConfigurationHash": configuration,
            "Version": __version__,
            "Command": list(self.command),
            "Started": _stamp(self.started),
            "Ended": _stamp(ended),
            "Seconds": round(ended - self.started, 1),
        }
        path = write_json(status, logs / "status.json")
        for text in notes:
            say(f"{note}{text}")
        say(f"{verdict} Status: {path}")
        return exit_code


def judge(summary: Summary, *, what: str = "run") -> tuple[int, str]:
    """Give the exit code, and the verdict in a sentence.

    >>> judge(Summary(before={"a"}, finished={"b"}))
    (0, 'All done: 1 run finished now, 1 before.')
    >>> judge(Summary(before={"a"}))
    (0, 'Nothing to do: 1 run was finished before.')
    >>> judge(Summary(finished={"a"}, failed={"b": "it is empty"}))
    (1, 'Something failed: 1 run finished, 1 failed (b).')
    >>> judge(Summary(finished={"a"}, left={"b"}, interrupted="interrupted by SIGUSR1; run it again."))
    (1, 'Stopped: 1 run finished, 1 not finished; interrupted by SIGUSR1; run it again.')
    """
    done, before = len(summary.finished), len(summary.before)
    bad = [*summary.failed, *summary.missed]
    if bad or summary.left or summary.interrupted:
        clauses = [f"{counted(done, what)} finished"]
        clauses += [f"{before} finished before"] if before else []
        clauses += [f"{len(bad)} failed ({few_and_more(bad, 3)})"] if bad else []
        if summary.interrupted:
            clauses += [f"{len(summary.left)} not finished"] if summary.left else []
            return EXIT_FAILED, f"Stopped: {', '.join(clauses)}; {summary.interrupted}"
        clauses += [f"{len(summary.left)} not started"] if summary.left else []
        return EXIT_FAILED, f"Something failed: {', '.join(clauses)}."
    if not done:
        verb = "was" if before == 1 else "were"
        return EXIT_OK, f"Nothing to do: {counted(before, what)} {verb} finished before."
    return EXIT_OK, f"All done: {counted(done, what)} finished now{f', {before} before' if before else ''}."


def _stamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(seconds))

"""How a call is carried out and ends: one verdict, for the last line, the status files and the exit code."""

from __future__ import annotations

import errno
import os
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ..._version import __version__
from ...errors import ScaaeError, UsageError
from ...files import write_text
from ...signals import stop_text
from ...words import counted, few_and_more, one_line
from ..exits import EXIT_FAILED, EXIT_OK
from ..settings.console import Console
from .status_files import StatusFiles, call_name

__all__ = ["Call", "Summary", "judge"]

REFRESHED_EVERY = 10.0
"""Seconds after which the status file of a running call is written anew, if something happened."""


@dataclass
class Summary:
    """What became of the runs of this call, by their stems."""

    before: set[str] = field(default_factory=set)  # finished by an earlier call; nothing was done
    finished: set[str] = field(default_factory=set)  # now, at the level that was asked for
    failed: dict[str, str] = field(default_factory=dict)  # runs or other things, with the reason in one line
    left: set[str] = field(default_factory=set)  # not started, because the call ended before
    missed: dict[str, str] = field(default_factory=dict)  # files that could not be used, with the reason
    reports: set[str] = field(default_factory=set)  # participants whose report was written now
    notes: list[str] = field(default_factory=list)  # what else the user has to know at the end
    interrupted: str = ""  # what stopped the call from outside, if something did
    participants: dict[str, str] = field(default_factory=dict)  # stem of every run to the participant's label
    steps: list[dict[str, Any]] = field(default_factory=list)  # "run", "step", seconds, memory; "message" if it failed
    stages: dict[str, str] = field(default_factory=dict)  # run to what it is at
    tell: Callable[[], None] = field(default=lambda: None)  # something has changed

    def by_participant(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Say of every run of every participant what became of it, and what its steps needed."""
        steps: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        for step in self.steps:
            steps[step["run"]].append({key: value for key, value in step.items() if key != "run"})
        told: defaultdict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
        for run, label in sorted({**self.participants, **self._missed_runs()}.items()):
            own = steps[run]
            told[label][run] = {
                "Status": self._status_of(run),
                "Stage": self.stages.get(run),
                "Message": self.failed.get(run) or self.missed.get(run) or "",
                "Seconds": round(sum(step.get("seconds", 0.0) for step in own), 1),
                "PeakMemoryGB": max((step["peak_memory_gb"] for step in own if "peak_memory_gb" in step), default=None),
                "Stages": own,
            }
        return dict(told)

    def _missed_runs(self) -> dict[str, str]:
        return {run: run.split("_")[0].removeprefix("sub-") for run in self.missed if run.startswith("sub-")}

    def _status_of(self, run: str) -> str:
        if run in self.failed or run in self.missed:
            return "failed"
        if run in self.finished:
            return "finished"
        return "finished before" if run in self.before else "not finished"


@dataclass(frozen=True)
class Call:
    """One call of ``scaae-bids``."""

    output_dir: Path
    command: Sequence[str]  # as it was typed
    console: Console
    started: float = field(default_factory=time.time)  # in s since the epoch

    @cached_property
    def status(self) -> StatusFiles:
        """Where it is written how the call stands."""
        return StatusFiles(self.output_dir / "logs", call_name(self.started))

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

        The status files say from the beginning that the call runs: should it be killed, they say nothing else.

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
            What else belongs into the status.
        note : str
            What the notes at the end begin with on the console.

        Raises
        ------
        UsageError
            From the work: the user can say something else.
        """
        say, facts = self.console.say, {**facts, "ConfigurationHash": configuration}
        self.console.log_to(self.status.logs, self.command, self.status.name)
        self._write(self._told(_RUNNING, None, summary, facts))
        summary.tell = self._refreshing(summary, facts)
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
            failure = self._surprise(error)
        if failure:
            summary.failed[subject] = failure
            say(f"{subject}: FAILED: {failure}")
        exit_code, verdict = judge(summary, what=what)
        trouble = self._write(self._told(verdict, exit_code, summary, facts, ended=time.time()))
        for text in dict.fromkeys(summary.notes):
            say(f"{note}{text}")
        say(f"{verdict} Status: {trouble or self.status.summary}")
        return exit_code if not trouble else EXIT_FAILED

    def _surprise(self, error: Exception) -> str:
        """Say what nobody foresaw, and keep the details; of a full disk, the line says it all."""
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            where = f"{error.filename}: " if error.filename else ""
            return (
                f"{where}the disk is full ({error.strerror}); make room for output and --work-dir; the same command "
                "goes on: what is finished is kept."
            )
        failure = f"unexpected {type(error).__name__}: {one_line(error)[:300]}"
        with suppress(OSError):
            path = write_text(traceback.format_exc(), self.status.logs / f"crash-{os.getpid()}.txt")
            failure += f" (details: {path})"
        return failure

    def refuse(self, message: str, exit_code: int) -> None:
        """Write that the call ended before its work began: with this message, and without anything done."""
        self.status.logs.mkdir(parents=True, exist_ok=True)
        verdict = message if exit_code == EXIT_FAILED else f"Refused: {message}"
        self.status.write(self._told(verdict, exit_code, Summary(), {}, ended=time.time()))

    def _refreshing(self, summary: Summary, facts: Mapping[str, Any]) -> Callable[[], None]:
        """Give what writes the status file of this running call anew, not too often."""
        last = time.monotonic()

        def refresh() -> None:
            nonlocal last
            if time.monotonic() - last >= REFRESHED_EVERY:
                last = time.monotonic()
                self._write(self._told(_RUNNING, None, summary, facts), with_summary=False)

        return refresh

    def _write(self, content: Mapping[str, Any], *, with_summary: bool = True) -> str:
        """Write the status file; say why not where that fails, which is no reason to end differently."""
        try:
            self.status.write(content, with_summary=with_summary)
        except OSError as error:
            return f"could not be written ({error.strerror})."
        return ""

    def _told(
        self,
        verdict: str,
        exit_code: int | None,
        summary: Summary,
        facts: Mapping[str, Any],
        *,
        ended: float | None = None,
    ) -> dict[str, Any]:
        """Give the content of the status file."""
        return {
            "Verdict": verdict,
            "ExitCode": exit_code,
            "Finished": sorted(summary.finished),
            "FinishedBefore": sorted(summary.before),
            "Failed": dict(sorted(summary.failed.items())),
            "CouldNotRun": dict(sorted(summary.missed.items())),
            "NotStarted": sorted(summary.left),
            "ReportsWritten": sorted(summary.reports),
            "Interrupted": summary.interrupted or None,
            "Notes": list(dict.fromkeys(summary.notes)),
            **facts,
            "Version": __version__,
            "Command": list(self.command),
            "Started": _stamp(self.started),
            "Ended": None if ended is None else _stamp(ended),
            "Seconds": None if ended is None else round(ended - self.started, 1),
            "Shared": [step for step in summary.steps if step["run"] not in summary.participants],
            "Participants": summary.by_participant(),
        }


_RUNNING = "Not ended: the call is running, or was killed. The same command goes on where it stopped."


def judge(summary: Summary, *, what: str = "run") -> tuple[int, str]:
    """Give the exit code, and the verdict in a sentence.

    >>> judge(Summary(before={"a"}, finished={"b"}))
    (0, 'All done: 1 run finished now, 1 before.')
    >>> judge(Summary(before={"a"}))
    (0, 'Nothing to do: 1 run was finished before.')
    >>> judge(Summary(before={"a"}, reports={"01"}))
    (0, 'All done: 1 report written now, 1 run was finished before.')
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
        earlier = f"{counted(before, what)} {'was' if before == 1 else 'were'} finished before"
        if summary.reports:
            return EXIT_OK, f"All done: {counted(len(summary.reports), 'report')} written now, {earlier}."
        return EXIT_OK, f"Nothing to do: {earlier}."
    return EXIT_OK, f"All done: {counted(done, what)} finished now{f', {before} before' if before else ''}."


def _stamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(seconds))

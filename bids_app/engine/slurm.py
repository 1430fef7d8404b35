"""Nipype's plugin for Slurm, with what it lacks: every node asks for what it needs, and a lost one says why."""

from __future__ import annotations

import math
import os
import re
import shlex
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nipype.pipeline.engine.utils import load_resultfile
from nipype.pipeline.plugins import SLURMPlugin

from ...errors import ScaaeError
from ...words import one_line
from .endings import ending_of

__all__ = ["TalkativeSlurmPlugin", "node_arguments"]

_SPARE = 1.1
"""Memory of a job over what its node declares: Python itself, and what the declaration leaves out."""

_LEAST_MB = 1000
"""What Python and its packages take before a node does anything."""

_ANSWERS_WITHIN = 60  # s

_ASKED_EVERY = 2.0  # s

_APPEARS_WITHIN = 60.0
"""Seconds until a network disk shows here what a node wrote on another machine."""

_WHY = {
    "memory": "was killed for want of memory: give more in sbatch_args (--mem)",
    "time": "ran out of time: give more in sbatch_args (--time)",
    "node": "was lost with its machine: the same command goes on where it stopped",
    "preemption": "had to give way to another job: the same command goes on where it stopped",
    "cancelled": "was cancelled: the same command goes on where it stopped",
    "never": "never started, or left no log",
    "unknown": "ended without results",
}

_STATES = {
    "OUT_OF_MEMORY": "memory",
    "TIMEOUT": "time",
    "DEADLINE": "time",
    "NODE_FAIL": "node",
    "BOOT_FAIL": "node",
    "PREEMPTED": "preemption",
    "CANCELLED": "cancelled",
}
"""Slurm's words for how a job ended that was not its own doing."""


def node_arguments(node: Any, given: str) -> list[str]:
    """Give the arguments of ``sbatch`` for a node: what the user gave, and what the node needs where that is silent.

    Parameters
    ----------
    node : nipype.Node
        Its `mem_gb` and `n_procs` are what it declares, its `plugin_args` may hold ``sbatch_args`` and ``overwrite``.
    given : str
        ``sbatch_args`` of the plugin file, for all nodes.
    """
    own = node.plugin_args if isinstance(node.plugin_args, Mapping) else {}
    words = [] if own.get("overwrite") else shlex.split(given)
    words += shlex.split(own.get("sbatch_args", ""))
    if not _says(words, "--mem", "--mem-per-cpu", "--mem-per-gpu"):
        words.append(f"--mem={max(_LEAST_MB, math.ceil(1000 * _SPARE * node.mem_gb))}M")
    if not _says(words, "--cpus-per-task", short="-c"):
        words.append(f"--cpus-per-task={max(1, node.n_procs)}")
    return words


def _says(words: list[str], *long: str, short: str = "") -> bool:
    """Tell whether one of the options is among the words, in either way of writing it."""
    names = {word.partition("=")[0] for word in words}
    return bool(names & {*long}) or bool(short and any(word.startswith(short) for word in words if word[:2] != "--"))


class TalkativeSlurmPlugin(SLURMPlugin):
    """Nipype's plugin whose nodes ask for their own memory and processors, and whose lost jobs are explained."""

    def __init__(self, plugin_args: dict[str, Any] | None = None):
        super().__init__(plugin_args=plugin_args)
        self._logs: dict[int, Path] = {}
        self._refused: dict[int, str] = {}  # by a number that no job has: nodes for which there is none, and why
        self._asked_at = -math.inf
        self._alive: set[int] = set()  # jobs in the queue when Slurm was asked last
        self._known: set[int] = set()  # ours at that time

    def run(self, graph: Any, config: Any, updatehash: bool = False) -> None:
        """Run the graph; whatever happens, leave no job behind."""
        try:
            super().run(graph, config, updatehash=updatehash)
        finally:
            if left := [str(job) for job in self._pending if job not in self._refused]:
                _asked("scancel", *left)

    def _submit_batchtask(self, scriptfile: str, node: Any) -> int:
        words = node_arguments(node, self._sbatch_args or "")
        if not _says(words, "--output", short="-o"):
            words.append(f"--output={Path(scriptfile).parent / 'slurm-%j.out'}")
        name = re.sub(r"\W+", ".", f"{node.fullname}.{os.environ.get('LOGNAME', '')}")
        tries = 1 + int(self._max_tries)
        for left in reversed(range(tries)):
            done = subprocess.run(
                ["sbatch", *words, f"--job-name={name}", scriptfile], capture_output=True, text=True, check=False
            )
            found = re.search(self._jobid_re, done.stdout)
            if done.returncode == 0 and found:
                job = int(found[1])
                self._pending[job] = node.output_dir()
                self._logs[job] = Path(scriptfile).parent / f"slurm-{job}.out"
                return job
            if left:
                time.sleep(float(self._retry_timeout))
        told = one_line(done.stderr or done.stdout) or "without a word"
        refused = -1 - len(self._refused)
        self._refused[refused] = f"step {node.name}: Slurm took no job for it: {told}"
        self._pending[refused] = node.output_dir()
        return refused

    def _is_pending(self, taskid: int) -> bool:
        """Tell whether a job waits or runs; one question for all jobs, not more often than every few seconds."""
        if time.monotonic() - self._asked_at >= _ASKED_EVERY:
            asked = _asked("squeue", "--me", "--noheader", "--format=%i")
            self._asked_at = time.monotonic()
            if asked is None or asked.returncode:  # a controller that does not answer is asked again later
                return True
            self._alive = {int(word) for word in asked.stdout.split() if word.isdigit()}
            self._known = {*self._pending}
        return taskid in self._alive or taskid not in self._known

    def _get_result(self, taskid: int) -> Any:
        if taskid in self._refused:
            return {"result": None, "traceback": [_in_crash_file(self._refused[taskid])]}
        if self._is_pending(taskid):
            return None
        folder, state = Path(self._pending[taskid]), _fate(taskid)
        deadline = time.monotonic() + (0 if state.word in _STATES else _APPEARS_WITHIN)
        while not (results := sorted(folder.glob("result_*.pklz"))):
            if time.monotonic() >= deadline:
                return {"result": None, "traceback": [self._explained(taskid, folder.name, state)]}
            time.sleep(0.5)
        content = load_resultfile(results[0])
        if not isinstance(content, dict):
            return {"result": content, "traceback": None}
        results[0].rename(folder / "crashstore.pklz")  # as Nipype does: the next call computes the node again
        return {name: content[name] for name in ("result", "traceback", "hostname")}

    def _explained(self, taskid: int, step: str, fate: _Fate) -> str:
        """Say of a job without results which it was, where, and why."""
        log = self._logs[taskid]
        kind = _STATES.get(fate.word) or ending_of(log)
        told = f"; Slurm says {fate.word}{f' ({fate.reason})' if fate.reason else ''}" if fate.word else ""
        told += f", log: {log}" if log.is_file() else ""
        where = f" on {fate.machine}" if fate.machine else ""
        return _in_crash_file(f"step {step}: job {taskid}{where} {_WHY[kind]}{told}")


def _in_crash_file(message: str) -> str:
    """Write a message as the last line of a traceback, from which `nodes` takes it."""
    return f"{ScaaeError.__module__}.ScaaeError: {message}\n"


@dataclass(frozen=True)
class _Fate:
    """What Slurm says of a job that has ended; empty where it no longer knows."""

    word: str = ""
    machine: str = ""
    reason: str = ""


def _fate(job: int) -> _Fate:
    """Ask Slurm how a job ended."""
    asked = _asked("scontrol", "--oneliner", "show", "job", str(job))
    found = dict(re.findall(r"\b(JobState|NodeList|Reason)=(\S+)", asked.stdout)) if asked is not None else {}
    told = {name: "" if value in ("None", "(null)") else value for name, value in found.items()}
    return _Fate(told.get("JobState", ""), told.get("NodeList", ""), told.get("Reason", ""))


def _asked(*command: str) -> subprocess.CompletedProcess[str] | None:
    """Ask Slurm; None if it does not answer in time."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=_ANSWERS_WITHIN)
    except (OSError, subprocess.TimeoutExpired):
        return None

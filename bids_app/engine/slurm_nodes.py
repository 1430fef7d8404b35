"""Nipype's SLURM plugin, with two things more: a node's needs become its job's, and a lost job is explained."""

from __future__ import annotations

import math
import os
import re
import shlex
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nipype.pipeline.plugins import SLURMPlugin

from ...errors import ScaaeError
from ...words import one_line
from .job_endings import kind_of_ending

__all__ = ["ExplainingSLURMPlugin", "arguments_of"]

_WORDS = {
    "memory": "was killed for want of memory: give more in sbatch_args (--mem=8G)",
    "time": "ran out of time: give more in sbatch_args (--time=2:00:00)",
    "node": "was lost with its machine: run it again",
    "preemption": "had to give way to another job: run it again",
    "cancelled": "was cancelled",
}

_STATES = {
    "CANCELLED": "cancelled",
    "TIMEOUT": "time",
    "OUT_OF_MEMORY": "memory",
    "NODE_FAIL": "node",
    "PREEMPTED": "preemption",
}
"""What Slurm calls them."""

_OWN_LOG = re.compile(r"^(-[oe]|--output|--error)")
_MEMORY = re.compile(r"^--mem(-per-cpu|-per-gpu)?(=|$)")
_PROCESSORS = re.compile(r"^(-c|--cpus-per-task)")

_ERROR = f"{ScaaeError.__module__}.{ScaaeError.__name__}"
"""What a line of a crash file begins with that is for the user."""

MORE_MEMORY = 1.25
"""Of what a step needs itself, what its job gets: there is Python too, and the estimate is one."""


class ExplainingSLURMPlugin(SLURMPlugin):
    """Every node is a job with the memory and the processors that the node needs; of a lost one it is said why."""

    def __init__(self, plugin_args: dict[str, Any] | None = None):
        super().__init__(plugin_args=plugin_args)
        self._names: dict[int, str] = {}
        self._logs: dict[int, Path] = {}
        self._refusals: dict[int, str] = {}  # empty of jobs that were taken

    def _submit_batchtask(self, scriptfile: str, node: Any) -> int:
        own = node.plugin_args if isinstance(node.plugin_args, dict) else {}
        given = own.get("sbatch_args", "")
        if not own.get("overwrite"):
            given = f"{self._sbatch_args or ''} {given}"
        log = Path(scriptfile).parent / f"slurm-{Path(scriptfile).stem}.out"
        name = ".".join(reversed([os.environ["LOGNAME"], *(node.fullname or node.name).split(".")]))
        words = [*arguments_of(node, given, log), *shlex.split(os.path.expandvars(given)), "-J", name, str(scriptfile)]
        number, refusal = self._queue(words)
        self._names[number], self._logs[number], self._refusals[number] = node.name, log, refusal
        self._pending[number] = node.output_dir()
        return number

    def _queue(self, words: Sequence[str]) -> tuple[int, str]:
        """Hand a job to Slurm; give its number, or one of ours below zero and why it was refused."""
        said = ""
        for attempt in range(1 + self._max_tries):
            if attempt:
                time.sleep(self._retry_timeout)
            asked = subprocess.run(["sbatch", *words], capture_output=True, text=True, check=False)
            found = re.search(self._jobid_re, asked.stdout)
            if found and asked.returncode == 0:
                return int(found[1]), ""
            said = one_line(asked.stderr or asked.stdout)
        return -1 - len(self._names), f"was refused by sbatch: {said or 'without a word'}"

    def _get_result(self, taskid: int) -> Any:
        if self._refusals[taskid]:
            message = f"step {self._names[taskid]}: its job {self._refusals[taskid]}"
            return {"result": None, "traceback": [f"{_ERROR}: {message}\n"]}
        if self._is_pending(taskid):
            return None
        there = any(Path(self._pending[taskid]).glob("result_*.pklz"))
        kind = "unknown" if there else self._kind(taskid)
        if kind in _WORDS:
            return self._lost(taskid, _WORDS[kind])
        result = super()._get_result(taskid)  # waits for the file, which may come late over a network
        if isinstance(result, dict) and "results file does not exist" in "".join(result.get("traceback") or ()):
            return self._lost(taskid, "ended without a result")
        return result

    def _kind(self, taskid: int) -> str:
        """Say how a job ended: from its log, or, where it had none, from what Slurm remembers."""
        kind = kind_of_ending(self._logs[taskid])
        if kind in _WORDS:
            return kind
        asked = subprocess.run(["scontrol", "show", "job", str(taskid)], capture_output=True, text=True, check=False)
        state = re.search(r"JobState=(\w+)", asked.stdout)
        return _STATES.get(state[1], "unknown") if state else "unknown"

    def _lost(self, taskid: int, words: str) -> dict[str, Any]:
        message = f"step {self._names[taskid]}: its job {taskid} {words} (log: {self._logs[taskid]})."
        return {"result": None, "traceback": [f"{_ERROR}: {message}\n"]}


def arguments_of(node: Any, given: str, log: Path) -> list[str]:
    """Give what sbatch is told of a node, as far as the user does not say it.

    Parameters
    ----------
    node : nipype Node
        With `mem_gb` and `n_procs`.
    given : str
        The user's own arguments.
    log : Path
        Where Slurm writes what the job says.
    """
    words = shlex.split(given)
    own: list[str] = []
    if not any(map(_MEMORY.match, words)):
        own.append(f"--mem={math.ceil(1000 * MORE_MEMORY * node.mem_gb)}M")
    if not any(map(_PROCESSORS.match, words)):
        own.append(f"--cpus-per-task={node.n_procs or 1}")
    if not any(map(_OWN_LOG.match, words)):
        own += [f"--output={log}", f"--error={log}"]
    return own

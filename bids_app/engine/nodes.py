"""Nipype runs the graph: with which plugin, what is seen on the console, and what became of every node."""

from __future__ import annotations

import errno
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nipype.pipeline import engine as pe
from nipype.pipeline.plugins import LinearPlugin

from ...errors import Interrupted
from .machine import peak_memory_gb, restart_peak_memory
from .plugins import choose_plugin
from .workers import WorkerDied, log_to_file

__all__ = ["Failure", "Outcome", "run_workflow"]

_OUR_ERROR = re.compile(r"^\s*scaae_nipype\.errors\.\w+: (.+)$", re.MULTILINE)

INTERRUPTION = re.compile(
    r"^\s*(scaae_nipype\.errors\.Interrupted|KeyboardInterrupt)(: )?(?P<message>.*)$", re.MULTILINE
)
"""How Nipype's crash files name what `scaae_nipype.errors.Interrupted` and Ctrl-C are."""

LATE_SECONDS = 65
"""How long the files of a step on another machine are waited for: NFS shows them up to 60 s late."""

_DISK_FULL = os.strerror(errno.ENOSPC)


@dataclass(frozen=True)
class Failure:
    """Why a node failed."""

    message: str  # one line
    crash_file: Path | None = None  # where the rest stands; None where the line says it all

    def kept_in(self, folder: Path) -> Failure:
        """Move the crash file to where the user finds it, and name it in the message."""
        if self.crash_file is None:
            return self
        folder.mkdir(parents=True, exist_ok=True)
        kept = folder / self.crash_file.name
        with suppress(OSError):
            shutil.move(self.crash_file, kept)
        return Failure(f"{self.message} (details: {kept})", kept)


@dataclass
class Outcome:
    """What became of the nodes of a workflow, by their full names."""

    finished: dict[str, Any] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)
    is_stopped: bool = False

    def outputs(self, name: str) -> Any:
        """Give the outputs of a node that has finished."""
        return self.finished[name].result.outputs

    def within(self, prefix: str) -> Outcome:
        """Give the steps of the nodes below a workflow, and nothing else."""
        return Outcome(steps={name: step for name, step in self.steps.items() if name.startswith(f"{prefix}.")})

    def failure_within(self, prefix: str) -> Failure | None:
        """Give the first failure of a node below a workflow."""
        return next((failure for name, failure in self.failures.items() if name.startswith(f"{prefix}.")), None)


class _Watcher:
    """Nipype's status callback: notes when nodes start and end.

    Nipype's linear plugin also reports the end of nodes that it never started, because one before them failed; with
    other plugins such a node is one whose result was there.
    """

    def __init__(self, tell: Callable[[str, str], None], ended: Callable[[str, Outcome], None]):
        self.tell, self.ended, self.is_linear = tell, ended, False
        self.nodes: dict[str, Any] = {}
        self.status: dict[str, str] = {}
        self.started: dict[str, float] = {}
        self.steps: dict[str, dict[str, Any]] = {}
        self.finished: dict[str, Any] = {}
        self.peaks: Mapping[str, float] = {}  # GB, of nodes that ran in workers

    def __call__(self, node: pe.Node, status: str) -> None:
        name = node.fullname
        if self.is_linear and status == "end" and name not in self.started:
            return
        self.nodes[name], self.status[name] = node, status
        if status == "start":
            self.started[name] = time.monotonic()
            restart_peak_memory()
        elif name in self.started:  # otherwise an earlier call's result was there
            self.steps[name] = {
                "seconds": round(time.monotonic() - self.started[name], 1),
                "peak_memory_gb": round(self.peaks.get(name, peak_memory_gb()), 2),
                "declared_memory_gb": round(node.mem_gb, 2),
            }
        self.tell(name, status)
        if status == "end":
            self.finished[name] = node
            self.ended(name, Outcome(finished=self.finished, steps=self.steps))


def run_workflow(
    workflow: pe.Workflow,
    *,
    nprocs: int,
    memory_gb: float,
    log_file: Path,
    plugin_file: Path | None = None,
    stop_on_first_crash: bool = False,
    echo: bool = False,
    tell: Callable[[str, str], None] = lambda name, status: None,
    ended: Callable[[str, Outcome], None] = lambda name, outcome: None,
) -> Outcome:
    """Run a workflow to its end, failures included.

    Parameters
    ----------
    workflow : Workflow
        Its `base_dir` is set.
    nprocs : int
        1: one node after the other in this process; else workers.
    memory_gb : float
        What all nodes that run at the same time may declare.
    log_file : Path
        For Nipype's own words.
    plugin_file : Path, optional
        Nipype plugin and its arguments.
    stop_on_first_crash : bool
    echo : bool
        Whether Nipype's own words are shown too.
    tell : callable
        Gets the full name of a node and ``start``, ``end`` or ``exception``.
    ended : callable
        Gets the full name of a node that has ended well, and what became of the nodes so far.
    """
    crashes = Path(workflow.base_dir) / f"crashes-{os.getpid()}"
    crashes.mkdir(parents=True, exist_ok=True)
    workflow.config["execution"] |= {
        "crashdump_dir": str(crashes),
        "crashfile_format": "txt",
        "create_report": "false",
        "hash_method": "content",
        "job_finished_timeout": str(LATE_SECONDS),
        "poll_sleep_duration": "0.2",
        "remove_unnecessary_outputs": "false",
        "stop_on_first_crash": str(stop_on_first_crash).lower(),
        "check_version": "false",
    }
    log_to_file(log_file, echo=echo)
    watcher = _Watcher(tell, ended)
    arguments = {"status_callback": watcher, "log_file": str(log_file), "echo": echo}
    plugin = choose_plugin(plugin_file, nprocs=nprocs, memory_gb=memory_gb, arguments=arguments)
    is_linear = watcher.is_linear = isinstance(plugin, LinearPlugin)
    watcher.peaks = getattr(plugin, "peaks", {})
    error: Exception | None = None
    try:
        workflow.run(plugin=plugin)
    except Exception as raised:  # Nipype raises one of the nodes' errors again when all is done
        error = raised
    outcome = Outcome(steps=watcher.steps)
    texts = _crash_texts(crashes)
    for name, status in watcher.status.items():
        if status == "end":
            outcome.finished[name] = watcher.nodes[name]
        elif status == "exception" or name in texts:
            outcome.failures[name] = _explain(watcher.nodes[name], *texts.get(name, ("", None)), memory_gb=memory_gb)
    for name, (text, *_) in texts.items():  # in this process, Nipype takes an interruption for a node's failure
        if is_linear and name in outcome.failures and (stop := INTERRUPTION.search(text)):
            raise Interrupted(stop["message"])
    if error is not None and not outcome.failures:
        raise error
    with suppress(OSError):
        crashes.rmdir()  # where there was no crash
    outcome.is_stopped = getattr(plugin, "is_broken", False) or (stop_on_first_crash and bool(outcome.failures))
    return outcome


def _crash_texts(folder: Path) -> dict[str, tuple[str, Path]]:
    """Read Nipype's crash files: full name of the node to text and path."""
    found = {}
    for path in sorted(folder.glob("crash-*.txt"), key=lambda path: path.stat().st_mtime):
        text = path.read_text(encoding="utf-8", errors="replace")
        name = text.partition("\n")[0].removeprefix("Node: ").strip()
        found[name] = (text, path)
    return found


def _explain(node: pe.Node, text: str, crash_file: Path | None, *, memory_gb: float) -> Failure:
    """Reduce a traceback to a line: the message of one of our errors, or what else happened and where it stands."""
    ours = _OUR_ERROR.findall(text)
    if ours:
        return Failure(ours[-1].strip())
    if WorkerDied.__name__ in text:
        return Failure(
            f"step {node.name} was killed, most likely for want of memory (expected: {node.mem_gb:.1f} GB, limit: "
            f"{memory_gb:.1f} GB); use fewer --nprocs or more memory."
        )
    last = next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no message")
    if _DISK_FULL in last:
        reason = last.partition("] ")[2]
        return Failure(
            f"step {node.name}: the disk is full ({reason}); make room for output and --work-dir, or give others."
        )
    return Failure(f"step {node.name} failed unexpectedly: {last}", crash_file)

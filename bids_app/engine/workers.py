"""Worker processes: where nodes run when several may run at once, and how a dead one is noticed."""

from __future__ import annotations

import logging
import multiprocessing
import os
import time
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import forkserver, resource_tracker
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from nipype.pipeline.plugins import MultiProcPlugin
from nipype.pipeline.plugins.multiproc import run_node

from ...images import limit_memory
from ...orphans import end_with_parent
from ...signals import blocked_signals, unblock_signals
from .machine import peak_memory_gb, restart_peak_memory
from .streams import make_lasting
from .trust import guard_pickles

guard_pickles()  # this module is imported by every process that runs nodes or reads their results

__all__ = ["WatchfulMultiProcPlugin", "WorkerDied", "log_to_file"]


_PRELOADED = ("scaae_nipype.workflows", "scaae_nipype.preparation", "scaae_nipype.evaluation", "nilearn.signal")
"""What the fork server imports once, so that not every worker has to."""

LONGEST_SHUTDOWN = 300.0
"""Seconds that a worker gets to finish its step of training and to save: a batch of the published network takes 90."""


class WorkerDied(RuntimeError):
    """A worker process ended without a word: killed, most likely for want of memory."""


class WatchfulMultiProcPlugin(MultiProcPlugin):
    """MultiProc that notices dead workers, which Nipype's own waits for for ever.

    Workers come from a fork server, because forking a process that has threads can lock up. They log to a file and
    report the peak memory of every node.
    """

    def __init__(self, plugin_args: dict[str, Any] | None = None):
        self.pool: ProcessPoolExecutor  # Nipype makes one of its own, which is replaced
        super().__init__(plugin_args=plugin_args)
        self.pool.shutdown()
        _start_fork_server()
        self.pool = ProcessPoolExecutor(
            max_workers=self.processors,
            initializer=_start_worker,
            initargs=(
                str(Path.cwd()),
                self.plugin_args.get("log_file"),
                self.plugin_args.get("echo", False),
                self.memory_gb,
            ),
            mp_context=multiprocessing.get_context("forkserver"),
        )
        self.peaks: dict[str, float] = {}
        self.is_broken = False

    def run(self, graph: Any, config: Any, updatehash: bool = False) -> None:
        """Run the graph; whatever happens, leave no worker behind."""
        try:
            super().run(graph, config, updatehash=updatehash)
        finally:
            workers = [] if self.pool._processes is None else list(self.pool._processes.values())
            self.pool.shutdown(wait=False, cancel_futures=True)
            _end(workers)

    def _submit_job(self, node: Any, updatehash: bool = False) -> int:
        self._taskid += 1
        future = self.pool.submit(_run_node, node, updatehash, self._taskid)
        future.add_done_callback(self._async_callback)
        self._task_obj[self._taskid] = future
        return int(self._taskid)

    def _async_callback(self, future: Future[dict[str, Any]]) -> None:
        if future.exception() is None and not future.cancelled():
            result = future.result()
            self.peaks[result["name"]] = result["peak_memory_gb"]
            self._taskresult[result["taskid"]] = result

    def _get_result(self, taskid: int) -> Any:
        future = self._task_obj[taskid]
        if future.done() and isinstance(future.exception(), BrokenProcessPool):
            self.is_broken = True
            return {"taskid": taskid, "result": None, "traceback": [f"{WorkerDied.__name__}: a worker was killed\n"]}
        return self._taskresult.get(taskid)

    def _send_procs_to_workers(self, updatehash: bool = False, graph: Any = None) -> None:
        if self.is_broken:
            raise WorkerDied("a worker was killed; nothing new is started")
        super()._send_procs_to_workers(updatehash=updatehash, graph=graph)


def _start_fork_server() -> None:
    multiprocessing.set_forkserver_preload(list(_PRELOADED))
    for helper in (resource_tracker, forkserver):  # the former unblocks some when it starts
        with blocked_signals():
            helper.ensure_running()


def _end(workers: Sequence[BaseProcess]) -> None:
    """End workers, and wait for the one that saves a checkpoint: its locks are free for others after that."""
    for worker in workers:
        worker.terminate()
    deadline = time.monotonic() + LONGEST_SHUTDOWN
    for worker in workers:
        worker.join(max(0.0, deadline - time.monotonic()))
        if worker.exitcode is None:
            worker.kill()


def _start_worker(folder: str, log_file: str | None, echo: bool, memory_gb: float) -> None:
    end_with_parent()
    make_lasting()
    unblock_signals()
    limit_memory(memory_gb)
    os.chdir(folder)
    log_to_file(log_file, echo=echo)


def _run_node(node: Any, updatehash: bool, taskid: int) -> dict[str, Any]:
    """Run a node in a worker; runs there."""
    restart_peak_memory()
    return {**run_node(node, updatehash, taskid), "name": node.fullname, "peak_memory_gb": peak_memory_gb()}


def log_to_file(log_file: str | os.PathLike[str] | None, *, echo: bool = False) -> None:
    """Keep Nipype's own words, and the warnings of libraries, in a file; show them too if `echo` says so."""
    logging.captureWarnings(True)
    handlers: list[logging.Handler] = [logging.FileHandler(log_file)] if log_file else []
    if echo:
        handlers.append(logging.StreamHandler())
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s: %(message)s"))
    for name in ("nipype", "py.warnings"):
        logger = logging.getLogger(name)
        logger.handlers = handlers or [logging.NullHandler()]
        logger.propagate = False

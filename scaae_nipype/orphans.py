"""Processes that end with the one that started them, however that ended."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import wait

__all__ = ["end_with_parent"]

_EVERY = 1.0
"""Seconds between two looks at who the parent is."""

_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Kill this process when the one that started it ends, even if that is killed and can tell nobody.

    A worker of `multiprocessing` holds a pipe to it, whichever process has forked the worker. For a program, on Linux
    the kernel does so at once; elsewhere a thread looks now and then whether the parent is still the same. What is
    written is complete or not there at all, so that nothing is lost but time.
    """
    starter = multiprocessing.parent_process()
    if starter is not None:
        _watch_by(lambda: wait([starter.sentinel]))
        return
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    _watch_by(lambda: _wait_for_other_parent(parent))


def _watch_by(until: Callable[[], object]) -> None:
    def watch() -> None:
        until()
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def _wait_for_other_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_EVERY)

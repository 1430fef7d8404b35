"""How work is stopped from outside: by the scheduler, which warns or ends a job, a terminal that goes, or Ctrl-C."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

from .errors import Interrupted

__all__ = ["STOP_SIGNALS", "blocked_signals", "handle_stop_signals", "listen", "stop_text", "unblock_signals"]

STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)
"""The end of a job's time, Slurm's warning before it (``--signal=USR1@…``), and a terminal that goes away."""


def _heard() -> tuple[signal.Signals, ...]:
    """Give those that this process hears: under ``nohup`` a terminal that goes away is none of its business."""
    is_deaf = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return tuple(number for number in STOP_SIGNALS if not (is_deaf and number is signal.SIGHUP))


def handle_stop_signals() -> None:
    """Let these signals end this process as Ctrl-C does: training saves, locks are given back, the verdict is said.

    A second Ctrl-C ends it at once: what was finished is kept, a training falls back to its last regular checkpoint.
    """
    for number in _heard():
        signal.signal(number, _stop)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as in the background of a shell
        signal.signal(signal.SIGINT, _Interrupting())


class _Interrupting:
    """Hears Ctrl-C: an orderly end the first time, one at once the second."""

    def __init__(self) -> None:
        self.is_ending = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.is_ending:
            with suppress(OSError):
                os.write(2, b"\nInterrupted twice: ended at once. The same command goes on with what is finished.\n")
            os._exit(1)
        self.is_ending = True
        raise KeyboardInterrupt


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    for each in STOP_SIGNALS:  # once is enough: a shell that passes a signal on would disturb the orderly end
        signal.signal(each, signal.SIG_IGN)
    raise Interrupted(f"interrupted by {signal.Signals(number).name}; the same command goes on where it stopped.")


def _overhear(number: int, frame: FrameType | None) -> None:
    """Go on."""


def listen(hear: Callable[[signal.Signals], object]) -> Callable[[], None]:
    """Tell `hear` of these signals; give what lets those hear again who heard before. Only the main thread can hear."""

    def note(number: int, frame: FrameType | None) -> None:
        hear(signal.Signals(number))

    here = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, note) for number in _heard()} if here else {}

    def stop_listening() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    return stop_listening


def stop_text(stop: KeyboardInterrupt) -> str:
    """Say what interrupted a call; Ctrl-C comes without words.

    >>> stop_text(KeyboardInterrupt())
    'interrupted; the same command goes on where it stopped.'
    """
    return str(stop) or "interrupted; the same command goes on where it stopped."


@contextmanager
def blocked_signals() -> Iterator[None]:
    """Start helper processes that never hear these signals, which a scheduler sends to all processes of a job.

    Who dies with the job's first warning cannot wait for a worker that is still saving. This process hears afterwards
    what came meanwhile.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def unblock_signals() -> None:
    """Unblock in a worker what its helper has blocked: SIGTERM ends a worker; others are the main process' affair."""
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _overhear)  # not ignored, which would mean nohup: a training here hears it
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)

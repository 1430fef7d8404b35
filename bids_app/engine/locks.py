"""Several jobs on one output dataset: who works on what, and how long others wait."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from filelock import SoftFileLease, Timeout

from ...errors import ScaaeError

__all__ = ["LEASE_SECONDS", "Lock"]

LEASE_SECONDS = 180.0
"""A lock whose owner gives no sign of life for so long is free: longer than file systems of clusters cache times."""

_ATTEMPTS = 5


class _Lease(SoftFileLease):
    """A lease that need not be watched for its whole time where the disk tells that it has been over for longer."""

    def _marker_unchanged_for(self, marker: os.stat_result) -> float:
        """Give the seconds for which this process has seen no sign of life, or those that the disk has seen none."""
        watched = super()._marker_unchanged_for(marker)
        owner = self.owner
        if owner is None or owner.hostname == socket.gethostname():
            return watched  # a suspended machine that wakes up has just its own locks, and their owners live
        return max(watched, _disk_time(Path(self.lock_file).parent) - marker.st_mtime)


def _disk_time(folder: Path) -> float:
    """Tell the time as the disk of a folder does, which is what it notes of its files; 0 where it takes none."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".time-") as file:
            return Path(file.name).stat().st_mtime
    except OSError:
        return 0.0


class Lock(AbstractContextManager["Lock"]):
    """An exclusive lock on something in a shared folder: a file that its owner touches until it is done.

    The lock of a process that has died on this machine is free at once, that of one on another machine `LEASE_SECONDS`
    after its last sign of life. It works on network file systems, because it needs no more than creating a file
    exclusively.

    Parameters
    ----------
    path : Path
        The lock file; its folder is made.
    subject : str
        What is locked, for the message to those who wait.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "models" / ".lock"
    >>> with Lock(path, "the model") as mine:
    ...     Lock(path, "the model").try_acquire()
    False
    """

    def __init__(self, path: Path, subject: str, *, lease_seconds: float = LEASE_SECONDS):
        self.subject, self._folder = subject, path.parent
        self._lease = _Lease(path, lease_duration=lease_seconds, thread_local=False)

    def try_acquire(self) -> bool:
        """Take the lock if it is free; tell whether it is ours now."""
        try:
            self._take(timeout=0)
        except Timeout:
            return False
        return True

    def _take(self, *, timeout: float) -> None:
        """Take the lock in time; its folder goes when nobody has a lock there, perhaps just now.

        Raises
        ------
        ScaaeError
            If the disk takes no file: it is full, or not ours to write.
        """
        try:
            for _ in range(_ATTEMPTS):
                self._folder.mkdir(parents=True, exist_ok=True)
                with suppress(FileNotFoundError):
                    self._lease.acquire(timeout=timeout, poll_interval=0.5)
                    return
            self._lease.acquire(timeout=timeout, poll_interval=0.5)
        except Timeout:  # which is an OSError too
            raise
        except OSError as error:
            raise ScaaeError(
                f"{self._folder}: no lock can be written for {self.subject} ({error.strerror})."
            ) from error

    def acquire(self, say: Callable[[str], None] = print, *, every_seconds: float = 300.0) -> Lock:
        """Wait for the lock, and say now and then what is waited for."""
        seconds = 2.0  # a lock that is given back at once is not worth a word
        while True:
            with suppress(Timeout):
                self._take(timeout=seconds)
                return self
            say(f"Waiting for another job ({self.owner}) to finish {self.subject}.")
            seconds = every_seconds

    @property
    def owner(self) -> str:
        """Who has the lock, in words."""
        owner = self._lease.owner
        return f"process {owner.pid} on {owner.hostname}" if owner else "which is just ending"

    @property
    def is_lost(self) -> bool:
        """Whether another job took the lock because this one seemed dead (a suspended laptop, a stalled disk)."""
        return self._lease.compromise is not None

    def release(self) -> None:
        """Give the lock back."""
        self._lease.release()

    def __enter__(self) -> Lock:
        if not self._lease.is_locked:
            self.acquire()
        return self

    def __exit__(self, *error: object) -> None:
        self.release()

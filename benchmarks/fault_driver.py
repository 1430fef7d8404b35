"""``scaae-bids`` that is hit at a chosen moment: when it is about to move its n-th file into place.

``python -m benchmarks.fault_driver WHAT N MOMENTS ARGUMENT ...``: WHAT is ``SIGKILL``, ``SIGTERM`` or ``SIGINT`` (sent
to itself), ``full`` (from then on no file can be moved into place: no space left) or ``none``. How many files it moved
into place goes to the file MOMENTS.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scaae_nipype.bids_app.cli import main as scaae_bids

__all__ = ["main"]


class _Hit:
    """An audit hook that counts files moved into place in this process, and strikes at one of them."""

    def __init__(self, what: str, number: int):
        self.what, self.number, self.count, self.process = what, number, 0, os.getpid()

    def __call__(self, event: str, arguments: Sequence[Any]) -> None:
        if event != "os.rename" or os.getpid() != self.process:
            return
        self.count += 1
        if self.what == "full" and self.count >= self.number:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if self.what in signal.Signals.__members__ and self.count == self.number:
            os.kill(self.process, signal.Signals[self.what])


def main(arguments: Sequence[str]) -> int:
    """Run the program and hit it."""
    what, number, moments, *rest = arguments
    hit = _Hit(what, int(number))
    sys.addaudithook(hit)
    code = scaae_bids(rest)
    hit.what = "none"
    Path(moments).write_text(str(hit.count))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

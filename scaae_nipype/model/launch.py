"""``torchrun``, which ends without a traceback when a signal asks for it: the processes have said what they saved."""

from __future__ import annotations

import sys

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.run import main

if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except SignalException as stop:
        sys.exit(128 + int(stop.sigval))

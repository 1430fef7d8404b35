"""``torchrun``, which ends without a traceback when a signal asks for it: the processes have said what they saved."""

from __future__ import annotations

import logging
import sys

from torch.distributed.elastic.multiprocessing import api
from torch.distributed.run import main

from ...orphans import end_with_parent

if __name__ == "__main__":
    end_with_parent()
    logging.getLogger(api.__name__).setLevel(logging.ERROR)  # it would note every signal that it passes on
    try:
        main(sys.argv[1:])
    except api.SignalException as stop:
        sys.exit(128 + int(stop.sigval))

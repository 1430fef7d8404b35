"""The command line of ``scaae-bids``: which options there are, and how a call ends."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ..errors import ScaaeError, UsageError
from ..signals import stop_in_order, stop_text
from .settings.asked import settings_of
from .settings.command_line import parse
from .settings.spelling import with_options

__all__ = ["EXIT_FAILED", "EXIT_NOTHING", "EXIT_OK", "EXIT_USAGE", "main"]

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_NOTHING = 0, 1, 64, 70
"""All done; something failed; wrong usage; nothing could be built."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``scaae-bids`` and give its exit code."""
    try:
        settings = settings_of(parse(sys.argv[1:] if arguments is None else arguments))
    except UsageError as error:
        return _refuse(error, EXIT_USAGE)
    stop_in_order()
    try:
        if settings.level == "group":
            from .group.group_call import run
        else:
            from .job.participant_call import run

        return run(settings, command=["scaae-bids", *(sys.argv[1:] if arguments is None else arguments)])
    except UsageError as error:
        return _refuse(error, EXIT_USAGE)
    except ScaaeError as error:
        return _refuse(error, EXIT_NOTHING)
    except KeyboardInterrupt as stop:
        print(f"scaae-bids: {stop_text(stop)}", file=sys.stderr)
        return EXIT_FAILED


def _refuse(error: ScaaeError, code: int) -> int:
    print(f"scaae-bids: {with_options(str(error))}", file=sys.stderr)
    return code

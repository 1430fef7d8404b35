"""The command line of ``scaae-bids``: which options there are, and how a call ends."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence

from ..errors import ScaaeError, UsageError
from ..signals import handle_stop_signals, stop_text
from .exits import EXIT_FAILED, EXIT_NOTHING, EXIT_USAGE
from .settings.asked import settings_of
from .settings.command_line import parse
from .settings.console import Console
from .settings.spelling import with_options

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``scaae-bids`` and give its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that knows ASCII alone gets escapes for other signs
            stream.reconfigure(errors="backslashreplace")
    try:
        settings = settings_of(parse(arguments))
    except UsageError as error:
        return _refuse(error, EXIT_USAGE)
    handle_stop_signals()
    try:
        from .output.verdict import Call

        call = Call(settings.output_dir, ["scaae-bids", *arguments], Console(settings.verbosity))
        if settings.level == "group":
            from .group.group_call import run
        else:
            from .job.participant_call import run

        return run(settings, call)
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

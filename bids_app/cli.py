"""The command line of ``scaae-bids``: which options there are, and how a call ends."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ScaaeError, UsageError
from ..signals import handle_stop_signals, stop_text
from .engine.streams import lasting_streams
from .exits import EXIT_FAILED, EXIT_NOTHING, EXIT_USAGE
from .settings.asked import settings_of
from .settings.command_line import parse
from .settings.configuration import CONFIGURATION_FILE
from .settings.console import Console
from .settings.spelling import with_options

if TYPE_CHECKING:
    from .output.verdict import Call

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``scaae-bids`` and give its exit code."""
    with lasting_streams():
        return _main(sys.argv[1:] if arguments is None else arguments)


def _main(arguments: Sequence[str]) -> int:
    try:
        settings = settings_of(parse(arguments))
    except UsageError as error:
        return _refuse(error, EXIT_USAGE, _call_in_earlier_output(arguments))
    handle_stop_signals()
    # Without a home matplotlib would say twice, before the plan, that its caches are elsewhere.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    from .output.verdict import Call

    call = Call(settings.output_dir, ["scaae-bids", *arguments], Console(settings.verbosity))
    told = None if settings.dry_run or not _takes_logs(settings.output_dir) else call
    try:
        if settings.level == "group":
            from .group.group_call import run
        elif settings.level == "submit":
            from .cluster.submit_call import run
        else:
            from .job.participant_call import run

        return run(settings, call)
    except UsageError as error:
        return _refuse(error, EXIT_USAGE, told)
    except ScaaeError as error:
        return _refuse(error, EXIT_NOTHING, told)
    except KeyboardInterrupt as stop:
        return _end(stop_text(stop), EXIT_FAILED, told)


def _takes_logs(output_dir: Path) -> bool:
    """Tell whether a refusal may be noted in a folder: none is made for that, and nothing put beside other things."""
    return (output_dir / "logs").is_dir() or (output_dir.is_dir() and not any(output_dir.iterdir()))


def _call_in_earlier_output(arguments: Sequence[str]) -> Call | None:
    """Give the call that was not understood, where its second word is an output dataset of earlier calls."""
    from .output.verdict import Call

    try:
        folder = Path(arguments[1]).expanduser().absolute() if len(arguments) > 1 else None
    except RuntimeError:  # the home of nobody
        return None
    if folder is None or not (folder / CONFIGURATION_FILE).is_file():
        return None
    return Call(folder, ["scaae-bids", *arguments], Console())


def _refuse(error: ScaaeError, code: int, call: Call | None) -> int:
    return _end(with_options(str(error)), code, call)


def _end(message: str, code: int, call: Call | None) -> int:
    """Say in one line why nothing was done, and write it where others look for it."""
    print(f"scaae-bids: {message}", file=sys.stderr)
    if call is not None:
        with suppress(OSError):
            call.refuse(message, code)
    return code

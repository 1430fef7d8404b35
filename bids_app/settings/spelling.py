"""How the command line spells what the library calls by the names of its settings."""

from __future__ import annotations

import re

from .option_table import OPTIONS

__all__ = ["spell", "with_options"]

_SETTING = re.compile(r"`([a-z_]+)`")


def spell(name: str) -> str:
    """Give the option that sets something, as it is spelt in the documentation.

    >>> spell("fd_threshold"), spell("bids_dir")
    ('--fd-thresh', 'bids_dir')
    """
    return OPTIONS[name].spelling if name in OPTIONS else name


def with_options(text: str) -> str:
    """Replace settings that a message of the library names, in backticks, by the options that set them.

    >>> with_options("censor less (a higher `fd_threshold`)")
    'censor less (a higher --fd-thresh)'
    >>> with_options("fetch it with `datalad get`.")
    'fetch it with `datalad get`.'
    """
    return _SETTING.sub(lambda found: spell(found[1]) if found[1] in OPTIONS else found[0], text)

"""How the command line spells what the library calls by the names of its arguments."""

from __future__ import annotations

import re
from functools import cache

__all__ = ["with_options"]

_ARGUMENT = re.compile(r"`([a-z_]+)`")

_SAME = {"strategy": "nuisance", "seed": "random_seed"}
"""Arguments of the library that the parser knows under another name."""


def with_options(text: str) -> str:
    """Replace arguments that a message of the library names, in backticks, by the options that set them.

    >>> with_options("censor less (a higher `fd_threshold`)")
    'censor less (a higher --fd-thresh)'
    >>> with_options("fetch it with `datalad get`.")
    'fetch it with `datalad get`.'
    """
    return _ARGUMENT.sub(lambda found: _spelled(found[1]) or found[0], text)


def _spelled(argument: str) -> str | None:
    return _options().get(_SAME.get(argument, argument))


@cache
def _options() -> dict[str, str]:
    from ..cli import parser

    long = {
        action.dest: [option for option in action.option_strings if option.startswith("--")]
        for action in parser()._actions
    }
    return {name: options[0] for name, options in long.items() if options}

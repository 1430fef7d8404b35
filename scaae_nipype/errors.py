"""What can go wrong, in one line that a user can act on."""

from __future__ import annotations

from collections.abc import Sized

__all__ = ["GridError", "InputError", "Interrupted", "ModelError", "ScaaeError", "UsageError", "refuse_unequal"]


LONGEST, END = 2000, 300
"""Characters of a message, and how many of them are its end, which says what to do."""


class ScaaeError(Exception):
    r"""Base of all errors whose message is written for the user, in one line: what, which file, what to do.

    Names and values of files are in it, and these may be anything: what cannot be printed is written as Python does,
    and of a message of thousands of characters the middle is left out.

    >>> str(ScaaeError("sub-a\nb: is odd"))
    'sub-a\\nb: is odd'
    """

    def __init__(self, message: object = "", *more: object):
        super().__init__(_in_one_line(str(message)), *more)


def _in_one_line(text: str) -> str:
    if len(text) > LONGEST:
        text = f"{text[: LONGEST - END]} … {text[-END:]}"
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


class InputError(ScaaeError):
    """An input image, table or sidecar cannot be used."""


class GridError(InputError):
    """An image is readable, but lies on other voxels than those it is needed on."""


class ModelError(ScaaeError):
    """A model folder or weights file is damaged or does not fit."""


class UsageError(ScaaeError):
    """The command line or a settings file asks for something impossible."""


class Interrupted(KeyboardInterrupt):
    """The work was stopped from outside and everything is kept: the same command goes on from there.

    Like Ctrl-C it is no failure of a step, so nothing else is started after it.
    """


def refuse_unequal(each: str, **lists: Sized | None) -> None:
    """See that lists that run in parallel are equally long; None stands for a list that was not given.

    Parameters
    ----------
    each : str
        What an entry belongs to (``run``, ``branch``).
    **lists
        By the names of the arguments.

    Raises
    ------
    UsageError
        Which two differ, and how many entries each has.

    >>> refuse_unequal("run", in_files=["a", "b"], in_metadata=None, in_samples=["a"])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    scaae_nipype.errors.UsageError: `in_files` has 2 entries, `in_samples` 1: give one of each per run, ...
    """
    given = [(name, len(entries)) for name, entries in lists.items() if entries is not None]
    for name, count in given[1:]:
        first, expected = given[0]
        if count != expected:
            entries = "entry" if expected == 1 else "entries"
            raise UsageError(
                f"`{first}` has {expected} {entries}, `{name}` {count}: give one of each per {each}, in the same order."
            )

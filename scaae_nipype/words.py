"""Numbers, lists and errors as texts have them."""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Iterable
from numbers import Real

__all__ = [
    "capitalised",
    "counted",
    "did_you_mean",
    "duration",
    "few_and_more",
    "first_few",
    "in_one_line",
    "listed",
    "number",
    "one_line",
    "percent",
    "plural",
    "shown",
]


LONGEST_ITEM = 300
"""Signs of one item of a list in a message: longer ones are no names."""


def plural(n: object, noun: str) -> str:
    """Give a noun as it stands behind a number.

    >>> plural(1, "run"), plural(0, "run")
    ('run', 'runs')
    """
    return noun if n == 1 else f"{noun}s"


def counted(n: int, noun: str) -> str:
    """Say how many there are.

    >>> counted(1, "run"), counted(2, "more file")
    ('1 run', '2 more files')
    """
    return f"{n} {plural(n, noun)}"


def listed(items: Iterable[object]) -> str:
    """Join items as a sentence does.

    >>> listed([]), listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])
    ('', 'a', 'a and b', 'a, b and c')
    """
    *first, last = [str(item) for item in items] or [""]
    return f"{', '.join(first)} and {last}" if first else last


def first_few(items: Iterable[object], most: int, *, end: str = " …", separator: str = ", ") -> str:
    """Join the first items, with `end` behind them where there are others.

    >>> first_few("abc", 3), first_few("abcd", 3)
    ('a, b, c', 'a, b, c …')
    """
    texts = [str(item) for item in items]
    return separator.join(text if len(text) <= LONGEST_ITEM else f"{text[:LONGEST_ITEM]}…" for text in texts[:most]) + (
        end if len(texts) > most else ""
    )


def few_and_more(items: Iterable[object], most: int = 5) -> str:
    """Join the first items, with the number of the others.

    >>> few_and_more("abc", 3), few_and_more("abcde", 3)
    ('a, b, c', 'a, b, c and 2 more')
    """
    texts = [str(item) for item in items]
    return first_few(texts, most, end=f" and {len(texts) - most} more")


def number(value: object, digits: int = 2) -> str:
    """Write a number for the reader, ``n/a`` where there is none.

    >>> number(0.12345), number(-0.001), number(None), number(float("nan")), number(True), number(148, 0)
    ('0.12', '0.00', 'n/a', 'n/a', 'n/a', '148')
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        return "n/a"
    if not math.isfinite(value):
        return "n/a"
    return f"{round(float(value), digits) + 0.0:.{digits}f}"  # + 0.0 turns -0.0 into 0.0


def percent(share: object, digits: int = 0) -> str:
    """Write a share as a percentage.

    >>> percent(0.876), percent(None)
    ('88 %', 'n/a')
    """
    text = number(float(share) * 100 if isinstance(share, Real) else None, digits)
    return text if text == "n/a" else f"{text} %"


def duration(seconds: float) -> str:
    """Say how long, for people.

    >>> duration(42), duration(600), duration(7300)
    ('42 s', '10 min', '2.0 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def capitalised(text: str) -> str:
    """Begin a text with a capital letter, and leave the others as they are.

    >>> capitalised("size-matched IoU"), capitalised("")
    ('Size-matched IoU', '')
    """
    return text[:1].upper() + text[1:]


def one_line(text: object) -> str:
    r"""Write a text without line breaks, with one blank between words.

    >>> one_line("cannot read\n  this ")
    'cannot read this'
    """
    return " ".join(str(text).split())


def in_one_line(error: BaseException) -> str:
    """Give the words of an error without line breaks; its kind where it has none.

    >>> in_one_line(ValueError("cannot read this")), in_one_line(EOFError())
    ('cannot read this', 'EOFError')
    """
    return one_line(error) or type(error).__name__


def shown(value: object, most: int = 40) -> str:
    """Write a value of a file as a message can hold it: in a line, and not longer than `most` characters.

    >>> shown("rest"), shown(list(range(100)))
    ("'rest'", '[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, …')
    """
    text = repr(value)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def did_you_mean(word: str, possible: Collection[str]) -> str:
    """Give the end of a message that names the nearest of the possible words, if one is near.

    >>> did_you_mean("papr", ["calibrated", "paper"])
    '; did you mean paper?'
    >>> did_you_mean("x", ["calibrated", "paper"])
    ''
    """
    spelt = {name.lower(): name for name in possible}
    near = difflib.get_close_matches(word.lower(), spelt, n=1)
    return f"; did you mean {spelt[near[0]]}?" if near else ""

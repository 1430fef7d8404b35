"""What methods are called for the reader, and in which order they come; columns and times of tables."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pandas as pd

from ..files import as_numbers
from ..maps import BRANCHES, LABELS
from ..words import number

__all__ = [
    "GROUP_PCA",
    "OWN_CONTEXT",
    "PER_RUN",
    "UNTRAINED",
    "method_label",
    "methods_of",
    "numbers",
    "ordered_methods",
    "seconds",
]

PER_RUN = ("canica", "dictionary_learning", "sliding_window_ica", "encoder_lasso")
"""Methods that give maps of the whole run, or of windows: their candidates are not volumes."""

OWN_CONTEXT = ("context", "context_negated")
"""Methods that are the linear part of the model itself."""

GROUP_PCA = ("group_pca", "group_pca_negated")
"""Methods that are principal components of the model's training runs."""

UNTRAINED = tuple(f"untrained_{branch}" for branch in BRANCHES)
"""Methods that are the same network before training."""

_NAMES = {
    "fbn1": "FBN 1",
    "fbn2": "FBN 2",
    "volume": "volume",
    "volume_negated": "−volume",
    "context": "context",
    "context_negated": "−context",
    "group_pca": "group PCA",
    "group_pca_negated": "−group PCA",
    "untrained_fbn1": "untrained FBN 1",
    "untrained_fbn2": "untrained FBN 2",
    "pca_projection": "PCA denoised",
    "ica_projection": "ICA denoised",
    "cap_centroid": "CAP centroid",
    "canica": "ICA",
    "dictionary_learning": "dictionary",
    "sliding_window_ica": "window ICA",
    "encoder_lasso": "encoder + LASSO",
}
_CHOSEN = {"smoothed_chosen": "smoothed, σ chosen", "smoothed_squared_chosen": "smoothed², σ chosen"}
_SMOOTHED = re.compile(r"smoothed(_squared)?_([\d.]+)mm")


def method_label(method: str) -> str:
    """Name a method in few words.

    >>> [method_label(name) for name in ("fbn1", "smoothed_8mm", "smoothed_squared_12mm", "cap_centroid", "new")]
    ['FBN 1', 'smoothed 8 mm', 'smoothed² 12 mm', 'CAP centroid', 'new']
    """
    smoothed = _SMOOTHED.fullmatch(method)
    if smoothed:
        return f"smoothed{'²' if smoothed[1] else ''} {smoothed[2]} mm"
    return {**_NAMES, **_CHOSEN}.get(method, method)


def ordered_methods(methods: Iterable[str]) -> list[str]:
    """Order methods: network, volume, smoothed ones by width, smoothed and squared ones, the others.

    >>> ordered_methods(["canica", "smoothed_12mm", "smoothed_squared_4mm", "smoothed_4mm", "volume", "fbn1"])
    ['fbn1', 'volume', 'smoothed_4mm', 'smoothed_12mm', 'smoothed_squared_4mm', 'canica']
    """
    names = list(_NAMES)

    def place(method: str) -> tuple[int, int, float]:
        if method in LABELS:
            return 0, names.index(method), 0.0
        smoothed = _SMOOTHED.fullmatch(method)
        if smoothed or method in _CHOSEN:
            width = float(smoothed[2]) if smoothed else float("inf")
            return 1, int("squared" in method), width
        return 2, names.index(method) if method in names else len(names), 0.0

    return sorted(dict.fromkeys(methods), key=place)


def methods_of(table: pd.DataFrame) -> list[str]:
    """Give the methods of a table that have a label, in the order in which readers see them.

    >>> methods_of(pd.DataFrame({"method": ["volume", "fbn2", "other", "fbn2"]}))
    ['fbn2', 'volume']
    """
    there = set(table["method"])
    return [method for method in LABELS if method in there]


def seconds(value: object) -> str:
    """Write a repetition time without trailing zeros.

    >>> seconds(2.0), seconds(0.72), seconds(None)
    ('2', '0.72', 'n/a')
    """
    return number(value, 3).rstrip("0").rstrip(".")


def numbers(column: pd.Series) -> pd.Series:
    """Give the numbers of a column, NaN where something else stands."""
    return as_numbers(column)

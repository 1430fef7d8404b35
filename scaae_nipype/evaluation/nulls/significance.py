"""How rare is what was observed among what chance gives? p from surrogates, and over many questions at once."""

from __future__ import annotations

import numpy as np

from ...errors import UsageError

__all__ = [
    "LEAST_SURROGATES",
    "check_number_of_surrogates",
    "deviations",
    "group_p",
    "maximum_p",
    "own_p",
    "share_as_large",
]

LEAST_SURROGATES = 19
"""With N surrogates p is at least 1 / (N + 1): fewer than 19 can never give 0.05."""


def check_number_of_surrogates(n_surrogates: int) -> None:
    """Refuse a number of surrogates with which nothing can be found.

    Raises
    ------
    UsageError

    >>> check_number_of_surrogates(9)
    Traceback (most recent call last):
    scaae_nipype.errors.UsageError: 9 surrogates cannot give p <= 0.05 (the least is 1/10); ask for 19 or more.
    """
    if n_surrogates < LEAST_SURROGATES:
        raise UsageError(
            f"{n_surrogates} surrogates cannot give p <= 0.05 (the least is 1/{n_surrogates + 1}); "
            f"ask for {LEAST_SURROGATES} or more."
        )


def deviations(values: np.ndarray) -> np.ndarray:
    """Say how far every value is from the middle of its column, in standard deviations of the column.

    The observed row and its surrogates are treated alike, so that under the null hypothesis they stay exchangeable:
    what a maximum over columns gives is then an exact test.

    Parameters
    ----------
    values : float array, (1 + n_surrogates, n_statistics)
        The observed ones first. A missing value is no deviation; neither is anything in a constant column.

    Returns
    -------
    float array, (1 + n_surrogates, n_statistics)
        Positive above the middle.

    >>> deviations(np.array([[3.0, 1.0], [0.0, 1.0], [0.0, np.nan]])).round(2)
    array([[ 1.41,  0.  ],
           [-0.71,  0.  ],
           [-0.71,  0.  ]])
    """
    values = np.asarray(values, dtype=float)
    there = np.isfinite(values)
    count = np.maximum(there.sum(axis=0), 1)
    centred = np.where(there, values - np.where(there, values, 0).sum(axis=0) / count, 0)
    deviation = np.sqrt((centred**2).sum(axis=0) / count)
    scale = np.abs(np.where(there, values, 0)).max(axis=0)
    return np.divide(centred, deviation, out=np.zeros_like(centred), where=deviation > 1e-12 * scale)


def share_as_large(observed: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Give the share of draws (first axis, the observed among them) that are at least as large as each observed value.

    >>> share_as_large(np.array([2.0, 0.0]), np.array([2.0, 1.0, 0.5, 0.0]))
    array([0.25, 1.  ])
    """
    ordered = np.sort(np.asarray(drawn, dtype=float))
    # Sums in another order must not turn a tie into a difference.
    smaller = np.searchsorted(ordered, np.asarray(observed) - 1e-9, side="left")
    return (len(ordered) - smaller) / len(ordered)


def own_p(deviated: np.ndarray) -> np.ndarray:
    """Two-sided p of every statistic on its own, (n_statistics,), from `deviations`."""
    return np.array([share_as_large(column[:1], column)[0] for column in np.abs(deviated).T])


def maximum_p(deviated: np.ndarray) -> np.ndarray:
    """Two-sided p of every statistic against the largest deviation of all of them, (n_statistics,).

    The smallest is the p of the family; the chance that any of them is <= 0.05 under the null hypothesis is 5 %.
    """
    return share_as_large(np.abs(deviated[0]), np.abs(deviated).max(axis=1))


def group_p(deviated: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """One-sided p of every group's mean deviation against the largest of all groups, (n_statistics,).

    Statistics that measure the same thing, and that are expected to rise, say more together than one by one.

    Parameters
    ----------
    deviated : float array, (1 + n_surrogates, n_statistics)
        From `deviations`.
    groups : array, (n_statistics,)
        Which statistics belong together; each gets its group's p.

    >>> rows = np.array([[2.0, 1.0, 0.0], [0.0, 1.0, 1.0], [1.0, -1.0, -3.0]])
    >>> group_p(rows, np.array(["a", "a", "b"])).round(2)
    array([0.33, 0.33, 1.  ])
    """
    names, own = np.unique(groups, return_inverse=True)
    means = np.stack([deviated[:, own == number].mean(axis=1) for number in range(len(names))], axis=1)
    return share_as_large(means[0], means.max(axis=1))[own]

"""Volumes that stand out of their run as spikes do, and the states that sit on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import hypergeom

from ..errors import InputError

__all__ = ["Spikes", "find_spikes", "on_spikes", "states_on_spikes"]

THRESHOLD = 3.5
"""Robust standard deviations above the median, as Iglewicz and Hoaglin (1993) call a value an outlier."""

LARGEST_P, LARGEST_SHARE = 0.05, 0.5
"""A state sits on spikes where it has more of them than chance gives, or where they are half of its volumes."""

NORMAL_MAD = 0.6745
"""Median absolute deviation of a standard normal variable."""


class Spikes(NamedTuple):
    """What `find_spikes` found.

    Attributes
    ----------
    volumes : int array, (n_spikes,)
        Numbers of the volumes that look like spikes.
    strength : float array, (n_volumes,)
        Of every volume of the run, in robust standard deviations above the median; NaN where it was not kept.
    """

    volumes: np.ndarray
    strength: np.ndarray


def find_spikes(volumes: np.ndarray, kept: np.ndarray, *, threshold: float = THRESHOLD) -> Spikes:
    """Find volumes whose signal is far larger than that of the run's other volumes.

    A spike that was not censored (motion, a radio-frequency pulse) is large everywhere, and a network draws a clear map
    of it. What is measured is the logarithm of the mean square over voxels, against the run's own median.

    Parameters
    ----------
    volumes : float array, (n_kept, n_voxels)
        The kept volumes of a prepared run, z-scored.
    kept : bool array, (n_volumes,)
    threshold : float
        In robust standard deviations (from the median absolute deviation).

    Raises
    ------
    InputError
        If volumes do not belong to `kept`.

    >>> run = np.random.default_rng(0).standard_normal((40, 500))
    >>> run[7] *= 3
    >>> find_spikes(run, np.ones(40, bool)).volumes
    array([7])
    """
    kept = np.asarray(kept, dtype=bool)
    if len(volumes) != kept.sum():
        raise InputError(f"{len(volumes)} volumes are given for {kept.sum()} kept ones.")
    strength = np.full(len(kept), np.nan)
    if len(volumes):
        size = np.log(np.maximum([np.mean(np.square(volume, dtype=np.float64)) for volume in volumes], 1e-30))
        beyond = size - np.median(size)
        spread = np.median(np.abs(beyond)) / NORMAL_MAD
        strength[kept] = beyond / spread if spread > 0 else 0.0
    return Spikes(np.flatnonzero(np.nan_to_num(strength, nan=0.0) > threshold), strength)


def on_spikes(spikes: Spikes, states: np.ndarray, names: Sequence[str]) -> list[dict[str, Any]]:
    """Name the states that sit on spikes, for an account.

    Parameters
    ----------
    spikes, states, names
        As for `states_on_spikes`.

    Returns
    -------
    list of dict
        ``State``, ``Volumes`` (the spikes in it), ``NumberOfVolumes`` (of the state), ``P``: of states half of
        whose volumes are spikes, or more of them than chance would have it (P at most 0.05).

    >>> on_spikes(Spikes(np.array([2, 4]), np.zeros(60)), np.where(np.arange(60) % 58 == 2, 0, 1), ["a", "b"])
    [{'State': 'a', 'Volumes': [2], 'NumberOfVolumes': 1, 'P': 0.0333}]
    """
    if not len(spikes.volumes):
        return []
    table = states_on_spikes(spikes, states, names)
    table = table[(table["n_spikes"] > 0) & ((table["p"] <= LARGEST_P) | (table["share"] >= LARGEST_SHARE))]
    return [
        {
            "State": row["state"],
            "Volumes": [int(volume) for volume in row["spikes"].split(", ")],
            "NumberOfVolumes": int(row["n_volumes"]),
            "P": round(row["p"], 4),
        }
        for _, row in table.iterrows()
    ]


def states_on_spikes(spikes: Spikes, states: np.ndarray, names: Sequence[str]) -> pd.DataFrame:
    """Count, for every state, how many of its volumes look like spikes.

    Parameters
    ----------
    spikes : Spikes
    states : int array, (n_volumes,)
        The number of every volume's state, negative where it has none.
    names : sequence of str
        Of the states.

    Returns
    -------
    DataFrame
        A row per state that appears: ``state``, ``n_volumes``, ``n_spikes``, ``share`` of its volumes, ``spikes``
        (their numbers), and ``p``, the chance that as many of the kept volumes, drawn at random, are spikes
        (hypergeometric).

    >>> states = np.array([0, 0, 1, -1, 1, 1])
    >>> found = states_on_spikes(Spikes(np.array([2, 4]), np.zeros(6)), states, ["a", "b"])
    >>> found[["state", "n_spikes", "share", "spikes"]].values.tolist()
    [['a', 0, 0.0, ''], ['b', 2, 0.6666666666666666, '2, 4']]
    """
    states = np.asarray(states)
    n_kept = int(np.isfinite(spikes.strength).sum())
    rows = []
    for number, name in enumerate(names):
        own = np.flatnonzero(states == number)
        if not len(own):
            continue
        hit = np.intersect1d(own, spikes.volumes)
        rows.append(
            {
                "state": name,
                "n_volumes": len(own),
                "n_spikes": len(hit),
                "share": len(hit) / len(own),
                "spikes": ", ".join(map(str, hit)),
                "p": float(hypergeom.sf(len(hit) - 1, n_kept, len(spikes.volumes), len(own))),
            }
        )
    return pd.DataFrame(rows, columns=["state", "n_volumes", "n_spikes", "share", "spikes", "p"])

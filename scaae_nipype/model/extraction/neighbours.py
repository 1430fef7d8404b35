"""Volumes averaged with their neighbours in time: what a network that may look at these sees beside each volume."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ...errors import InputError
from ..network.pointwise import PointwiseSCAAE
from ..weights import Model

__all__ = ["Neighbours", "neighbours_of", "rested_function", "seconds_of", "time_width_of"]

REACH = 5.0
"""Standard deviations of the Gaussian beyond which nothing counts (less than 4e-6 of the volume itself)."""


class Neighbours:
    """Averages of volumes with those around them.

    A Gaussian over the times at which volumes were taken, whose weights sum to 1: where volumes were left out, or the
    run begins or ends, those that are there count for more.

    Parameters
    ----------
    seconds : float array, (n_volumes,)
        When each volume was taken, rising, in s.
    width : float
        Standard deviation in s; 0 leaves every volume as it is.

    Examples
    --------
    >>> around = Neighbours(np.arange(5) * 2.0, width=2.0)
    >>> [round(float(share), 2) for share in around.rested(np.eye(5))[2]]
    [0.05, 0.24, 0.4, 0.24, 0.05]
    >>> round(around.averaged, 2)
    3.17
    """

    def __init__(self, seconds: Sequence[float] | np.ndarray, width: float):
        self.seconds, self.width = np.asarray(seconds, dtype=np.float64), float(width)

    def _around(self, volume: int) -> tuple[slice, np.ndarray]:
        """Give which volumes count for one, and how much."""
        now = self.seconds[volume]
        if not self.width:
            return slice(volume, volume + 1), np.ones(1)
        first, last = np.searchsorted(self.seconds, (now - REACH * self.width, now + REACH * self.width))
        weights = np.exp(-((self.seconds[first:last] - now) ** 2) / (2 * self.width**2))
        return slice(int(first), int(last)), weights / weights.sum()

    @property
    def averaged(self) -> float:
        """How many volumes count, so to say: one over the sum of squared weights (median over the run)."""
        powers = [np.square(self._around(volume)[1]).sum() for volume in range(len(self.seconds))]
        return float(1 / np.median(powers)) if powers else 1.0

    def rested(self, volumes: np.ndarray) -> np.ndarray:
        """Average every volume with its neighbours: (n_volumes, n_voxels), float32; fewer volumes are the first ones.

        Raises
        ------
        InputError
            If there are more volumes than times.
        """
        if len(volumes) > len(self.seconds):
            raise InputError(
                f"{len(volumes)} volumes are given, but only {len(self.seconds)} times at which they were taken."
            )
        there = Neighbours(self.seconds[: len(volumes)], self.width)
        result = np.empty(volumes.shape, dtype=np.float32)
        for volume in range(len(volumes)):
            around, weights = there._around(volume)
            result[volume] = weights.astype(np.float32) @ volumes[around]
        return result


def seconds_of(kept: np.ndarray, repetition_time: float) -> np.ndarray:
    """Give when the kept volumes of a run were taken, in s after its first one."""
    return np.flatnonzero(kept) * repetition_time


def time_width_of(model: Model) -> float:
    """Give how far a model looks around a volume in time: standard deviation in s, 0 for not at all."""
    return float(model.network.time_width) if isinstance(model.network, PointwiseSCAAE) else 0.0


def neighbours_of(model: Model, seconds: Sequence[float] | np.ndarray | None) -> Neighbours | None:
    """Give the neighbours that a model looks at; None for one that sees every volume alone.

    Parameters
    ----------
    model : Model
    seconds : float array, (n_volumes,), optional
        When each volume was taken; only a model that looks at neighbours needs it.

    Raises
    ------
    InputError
        If the model needs the times, and they are not known.
    """
    width = time_width_of(model)
    if not width:
        return None
    if seconds is None or (len(seconds) > 1 and not np.all(np.diff(seconds) > 0)):
        raise InputError(
            f"{model.card.get('Name', 'The model')}: looks at neighbours in time (σ {width:g} s), but the run's "
            "repetition time is not known; give it in the image's header or sidecar, or fit a model with `time_width` "
            "0."
        )
    return Neighbours(seconds, width)


def rested_function(model: Model, seconds: Sequence[float] | np.ndarray | None) -> Callable[[np.ndarray], np.ndarray]:
    """Give what a model's linear parts look at: volumes as they are, or averaged with the neighbours it looks at."""
    around = neighbours_of(model, seconds)
    return (lambda volumes: volumes) if around is None else around.rested

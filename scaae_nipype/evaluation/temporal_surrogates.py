"""Runs with the same covariance and spectra as a given one, but without states: common-phase surrogates.

Prichard & Theiler (1994, doi 10.1103/PhysRevLett.73.951). Every frequency of every voxel is turned by one random phase
that all voxels share. What stays is all that a stationary linear Gaussian process is: the mean, each voxel's spectrum,
each pair's cross-spectrum, and so the covariance at every lag. What goes is everything else.
"""

from __future__ import annotations

import numpy as np

from ..errors import InputError

__all__ = ["LEAST_VOLUMES", "PhaseSurrogates", "check_kept", "fill_gaps", "standardise"]

LEAST_VOLUMES = 20
"""Kept volumes that a surrogate needs: with fewer there are hardly any phases to randomise."""

LARGEST_GAP_SHARE = 0.5
"""Share of the volumes between the first and the last kept one that may be interpolated, at most."""

NO_VARIANCE = 1e-4
"""Share of the mean variance below which a temporal direction counts as removed (rounding to int16 leaves 1e-8)."""

LEAST_VOXELS_PER_VOLUME = 2

VALUES_AT_ONCE = 2**21
"""Values that are transformed at once, which bounds the memory for double-precision copies."""


def fill_gaps(series: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Interpolate what was not kept between the first and the last kept volume, linearly, and cut off what is beyond.

    Dummy volumes at the start are beyond: no volume is invented before the first.

    Parameters
    ----------
    series : float array, (n_kept, n_voxels)
        The kept volumes.
    kept : bool array, (n_volumes,)

    Returns
    -------
    float64 array, (n_span, n_voxels)

    >>> fill_gaps(np.array([[1.0], [2.0], [6.0]]), np.array([False, True, True, False, True])).ravel()
    array([1., 2., 4., 6.])
    """
    volumes = np.flatnonzero(kept)
    volumes = volumes - volumes[0]
    span = np.arange(volumes[-1] + 1)
    # A spline would swing far out in a long gap; a straight line never leaves the values at its ends.
    before = np.searchsorted(volumes, span, side="right") - 1
    after = np.minimum(before + 1, len(volumes) - 1)
    width = np.maximum(volumes[after] - volumes[before], 1)
    share = ((span - volumes[before]) / width)[:, None]
    return (1 - share) * series[before] + share * series[after]


def standardise(series: np.ndarray) -> np.ndarray:
    """Give every voxel mean 0 and standard deviation 1 over volumes, as preparation does; constant voxels become 0.

    >>> standardise(np.array([[1.0, 5.0], [3.0, 5.0]])).round(3)
    array([[-0.707,  0.   ],
           [ 0.707,  0.   ]])
    """
    centred = series - series.mean(axis=0)
    deviation = centred.std(axis=0, ddof=1)
    return np.divide(centred, deviation, out=np.zeros_like(centred), where=deviation > 1e-12)


def removed_directions(volumes: np.ndarray) -> np.ndarray:
    """Find what preparation took out of a run: temporal directions in which no voxel varies.

    Regressing confounds out and filtering is a projection, and it is not stationary: volumes that the regressors fit
    well (movement, both ends of the run) keep less variance, and what is left of them mirrors other volumes. A
    surrogate without that differs from any cleaned run, also from one without states. The run itself shows what was
    removed: there are far more voxels than volumes, so a direction without variance is one that was regressed out.

    Parameters
    ----------
    volumes : float array, (n_volumes, n_voxels)

    Returns
    -------
    float array, (n_volumes, n_removed)
        Orthonormal columns; besides the constant there is none in a run that was only z-scored. With fewer than twice
        as many voxels as volumes the question cannot be answered, and nothing is taken to be removed.
    """
    if volumes.shape[1] < LEAST_VOXELS_PER_VOLUME * len(volumes):
        return np.empty((len(volumes), 0))
    values, vectors = np.linalg.eigh(np.asarray(volumes @ volumes.T, dtype=np.float64))
    return vectors[:, values < NO_VARIANCE * values.mean()]


def check_kept(kept: np.ndarray) -> None:
    """See that surrogates can be made of a run with these kept volumes.

    Raises
    ------
    InputError
        If too few volumes are kept, or most of the run would have to be interpolated.

    >>> check_kept(np.arange(30) < 19)
    Traceback (most recent call last):
    scaae_nipype.errors.InputError: only 19 volumes are kept and it needs 20; censor less (a higher --fd-thresh).
    """
    numbers = np.flatnonzero(kept)
    if len(numbers) < LEAST_VOLUMES:
        raise InputError(
            f"only {len(numbers)} volumes are kept and it needs {LEAST_VOLUMES}; censor less (a higher --fd-thresh)."
        )
    span = int(numbers[-1] - numbers[0]) + 1
    if len(numbers) < (1 - LARGEST_GAP_SHARE) * span:
        raise InputError(
            f"{span - len(numbers)} of {span} volumes were censored, so most of a surrogate would be interpolated; "
            "censor less (a higher --fd-thresh)."
        )


class PhaseSurrogates:
    """Common-phase surrogates of one run, made one at a time.

    Censored volumes are interpolated before phases are randomised, because a Fourier transform of a series with gaps
    is not that of the series; the same volumes are left out of every surrogate, and each voxel is z-scored over
    what remains, as in the run itself.

    Parameters
    ----------
    volumes : float array, (n_kept, n_voxels)
        The kept volumes of a prepared run, z-scored.
    kept : bool array, (n_volumes,)

    Raises
    ------
    InputError
        If too few volumes are kept, or most of the run would have to be interpolated.

    Examples
    --------
    >>> run = np.random.default_rng(0).standard_normal((40, 3))
    >>> made = PhaseSurrogates(run, np.ones(40, bool)).draw(np.random.default_rng(1))
    >>> made.shape, bool(np.allclose(np.corrcoef(made.T), np.corrcoef(run.T), atol=1e-6))
    ((40, 3), True)
    """

    def __init__(self, volumes: np.ndarray, kept: np.ndarray):
        kept = np.asarray(kept, dtype=bool)
        if len(volumes) != kept.sum():
            raise InputError(f"{len(volumes)} volumes are given for {kept.sum()} kept ones.")
        check_kept(kept)
        numbers = np.flatnonzero(kept)
        self.volumes = volumes
        self.kept = kept
        self._inside = numbers - numbers[0]
        self._span = int(numbers[-1] - numbers[0]) + 1
        self._removed = removed_directions(volumes)

    @property
    def n_removed(self) -> int:
        """How many temporal directions the preparation took out of the run."""
        return self._removed.shape[1]

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Make one surrogate of the kept volumes: float32 array, (n_kept, n_voxels)."""
        turn = self._turn(rng)
        surrogate = np.empty(self.volumes.shape, dtype=np.float32)
        n_voxels = max(1, VALUES_AT_ONCE // self._span)
        for start in range(0, self.volumes.shape[1], n_voxels):
            voxels = slice(start, start + n_voxels)
            spectrum = np.fft.rfft(fill_gaps(self.volumes[:, voxels], self.kept), axis=0)
            spectrum *= turn[:, None]
            turned = np.fft.irfft(spectrum, n=self._span, axis=0)
            turned = turned[self._inside]
            turned -= self._removed @ (self._removed.T @ turned)
            surrogate[:, voxels] = standardise(turned)
        return surrogate

    def _turn(self, rng: np.random.Generator) -> np.ndarray:
        """Draw one phase per frequency; the mean keeps its own, the highest frequency of an even length its axis."""
        turn = np.exp(2j * np.pi * rng.random(self._span // 2 + 1))
        turn[0] = 1
        if self._span % 2 == 0:
            turn[-1] = rng.choice([-1, 1])
        return turn

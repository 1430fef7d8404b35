"""Runs with the same covariance and spectra as a given one, but without states: common-phase surrogates.

Prichard & Theiler (1994, doi 10.1103/PhysRevLett.73.951). Every frequency of every voxel is turned by one random phase
that all voxels share. What stays is all that a stationary linear Gaussian process is: the mean, each voxel's spectrum,
each pair's cross-spectrum, and so the covariance at every lag. What goes is everything else.

Regressing confounds out leaves some volumes less variance than others, which surrogates do not imitate: what is
compared has to be blind to the scale of a volume. (Taking the removed directions, which are slow, out of surrogates as
well would remove them twice: the run would seem to change too slowly; see ``benchmarks/NOTES.md``.)
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...errors import InputError

__all__ = ["LEAST_VOLUMES", "PhaseSurrogates", "check_kept", "fill_gaps", "spectral_gain", "standardise"]

LEAST_VOLUMES = 20
"""Kept volumes that a surrogate needs: with fewer there are hardly any phases to randomise."""

LARGEST_GAP_SHARE = 0.5
"""Share of the volumes between the first and the last kept one that may be interpolated, at most."""

NO_POWER, GAIN_STEPS = 1e-12, 200
"""Share of the highest power that counts as none; steps in which `spectral_gain` is found (0.1 % off at most)."""

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


def spectral_gain(power: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Find by how much each frequency of a surrogate has to be raised for its power to end up as the run's.

    Interpolating what was censored takes fast changes out of the run, and once more out of a surrogate, whose censored
    volumes are left out as well: any censored run would seem to change faster than its surrogates. Interpolation is
    linear and phases are independent, so what a surrogate's power becomes is a matrix times its power; the gain solves
    for the run's.

    Parameters
    ----------
    power : float array, (n_span // 2 + 1,)
        Power of the run, gaps filled, at each frequency: mean over voxels.
    kept : bool array, (n_span,)
        From the first to the last kept volume.

    Returns
    -------
    float array, (n_span // 2 + 1,)
        Factors of amplitudes; all 1 where nothing was censored.
    """
    n_span = len(kept)
    if kept.all():
        return np.ones(len(power))
    waves = np.fft.ifft(np.eye(n_span), axis=0)[kept]
    becomes = np.abs(np.fft.fft(fill_gaps(np.eye(int(kept.sum())), kept) @ waves, axis=0)) ** 2
    wanted = np.concatenate([power, power[1 : (n_span + 1) // 2][::-1]])
    something = NO_POWER * wanted.max()
    needed = wanted.copy()
    for _ in range(GAIN_STEPS):  # multiplicative, so that no power becomes negative
        found = becomes @ needed
        needed *= np.divide(wanted, found, out=np.ones(n_span), where=found > something)
    ratio = np.divide(needed, wanted, out=np.ones(n_span), where=wanted > something)
    return np.sqrt(ratio)[: len(power)]


def check_kept(kept: np.ndarray) -> None:
    """See that surrogates can be made of a run with these kept volumes.

    Raises
    ------
    InputError
        If too few volumes are kept, or most of the run would have to be interpolated.

    >>> check_kept(np.arange(30) < 19)
    Traceback (most recent call last):
    scaae_nipype.errors.InputError: only 19 volumes are kept and it needs 20; censor less (a higher `fd_threshold`).
    """
    numbers = np.flatnonzero(kept)
    if len(numbers) < LEAST_VOLUMES:
        raise InputError(
            f"only {len(numbers)} volumes are kept and it needs {LEAST_VOLUMES}; censor less (a higher `fd_threshold`)."
        )
    span = int(numbers[-1] - numbers[0]) + 1
    if len(numbers) < (1 - LARGEST_GAP_SHARE) * span:
        raise InputError(
            f"{span - len(numbers)} of {span} volumes were censored, so most of a surrogate would be interpolated; "
            "censor less (a higher `fd_threshold`)."
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
        As `check_kept`, or if there are not as many volumes as kept ones.

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
        self._gain = spectral_gain(self._power(), kept[numbers[0] : numbers[-1] + 1])

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Make one surrogate of the kept volumes: float32 array, (n_kept, n_voxels)."""
        turn = self._turn(rng) * self._gain
        surrogate = np.empty(self.volumes.shape, dtype=np.float32)
        for voxels, spectrum in self._spectra():
            spectrum *= turn[:, None]
            turned = np.fft.irfft(spectrum, n=self._span, axis=0)
            surrogate[:, voxels] = standardise(turned[self._inside])
        return surrogate

    def _spectra(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Give the spectra of the run, (n_span // 2 + 1, n), some voxels at a time."""
        n_voxels = max(1, VALUES_AT_ONCE // self._span)
        for start in range(0, self.volumes.shape[1], n_voxels):
            voxels = slice(start, start + n_voxels)
            yield voxels, np.fft.rfft(fill_gaps(self.volumes[:, voxels], self.kept), axis=0)

    def _power(self) -> np.ndarray:
        """Give the mean power of all voxels at each frequency."""
        total = sum((np.abs(spectrum) ** 2).sum(axis=1) for _, spectrum in self._spectra())
        return np.asarray(total) / self.volumes.shape[1]

    def _turn(self, rng: np.random.Generator) -> np.ndarray:
        """Draw one phase per frequency; the mean keeps its own, the highest frequency of an even length its axis."""
        turn = np.exp(2j * np.pi * rng.random(self._span // 2 + 1))
        turn[0] = 1
        if self._span % 2 == 0:
            turn[-1] = rng.choice([-1, 1])
        return turn

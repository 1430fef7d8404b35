"""How planted networks vary in time: four regimes, from exclusive states to a mixture without any.

Time courses are made in steps of at most half a second, convolved with the canonical haemodynamic response and read at
the start of every volume. Amplitudes are relative to a fully active network, whose plateau is 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from scipy.signal import lfilter
from scipy.special import expit

from ..errors import UsageError

__all__ = [
    "REGIMES",
    "Block",
    "Regime",
    "TimeCourses",
    "convolve_hrf",
    "default_transitions",
    "gaussian_like",
    "make_time_courses",
    "semi_markov",
    "soft_mixture",
]

Regime = Literal["exclusive", "mixture", "stationary", "deactivations"]
"""Exclusive states, soft mixture, stationary Gaussian mixture without states, states with a deactivated partner."""

REGIMES: tuple[Regime, ...] = get_args(Regime)

LONGEST_STEP = 0.5
"""Step of the neural time axis in s, at most."""

WARM_UP = 40.0
"""Seconds simulated before the first volume, so that the haemodynamic response is in full swing."""

DWELL_SHAPE = 4.0
"""Shape of the gamma distribution of dwell times (their SD is half of their mean)."""

MIXTURE_GAIN, MIXTURE_THRESHOLD = 3.0, 0.5
"""Steepness and half-way point, in standard deviations, of the logistic function that turns latent processes into
activity: a network is more than half active 31 % of the time."""

TASK_PUSH = 3.0
"""What a task's condition adds to the latent process of its network in a mixture, in standard deviations."""

REFERENCE_SEGMENTS = 48
"""Segments over which the spectrum is averaged that the stationary regime borrows from the exclusive one."""


@dataclass(frozen=True)
class Block:
    """A stretch of a task during which a condition drives one network.

    Parameters
    ----------
    onset, duration : float
        In s from the first volume.
    network : int
        The network that is driven, from 0.
    """

    onset: float
    duration: float
    network: int


@dataclass(frozen=True, eq=False)
class TimeCourses:
    """Time courses of the planted networks of one run.

    Parameters
    ----------
    bold : float array, (n_volumes, n_networks)
        After the haemodynamic response.
    neural_states : int array, (n_volumes,)
        The state at the start of each volume, before the haemodynamic response; -1 where the regime has no states.
    """

    bold: np.ndarray
    neural_states: np.ndarray

    @property
    def states(self) -> np.ndarray:
        """The network that dominates each volume after the haemodynamic response; -1 where the regime has no states."""
        return np.where(self.neural_states >= 0, self.bold.argmax(axis=1), -1)


def default_transitions(
    n_states: int, *, preference: float = 0.4, occupancy: Sequence[float] | np.ndarray | None = None
) -> np.ndarray:
    """Make transition probabilities in which each state prefers the next one, in a ring.

    Parameters
    ----------
    n_states : int
        At least 2.
    preference : float
        Probability that is reserved for the next state; the rest is shared equally. 0 is the uniform matrix.
    occupancy : (n_states,) floats, optional
        Relative attraction of every state (1 is neutral).

    Returns
    -------
    float array, (n_states, n_states)
        Rows sum to 1, the diagonal is 0.

    Raises
    ------
    UsageError
        If an argument is out of range.

    Examples
    --------
    >>> default_transitions(3, preference=0.5)
    array([[0.  , 0.75, 0.25],
           [0.25, 0.  , 0.75],
           [0.75, 0.25, 0.  ]])
    """
    attraction = np.ones(n_states) if occupancy is None else np.asarray(occupancy, dtype=float)
    if n_states < 2 or not 0 <= preference <= 1:
        raise UsageError(f"Transitions need two states or more and a preference in 0-1, not {n_states}, {preference}.")
    if attraction.shape != (n_states,) or not (attraction > 0).all():
        raise UsageError(f"The attraction of the {n_states} states has to be {n_states} positive numbers.")
    matrix = np.full((n_states, n_states), (1 - preference) / (n_states - 1))
    matrix[np.arange(n_states), (np.arange(n_states) + 1) % n_states] += preference
    np.fill_diagonal(matrix, 0)
    matrix *= attraction
    return matrix / matrix.sum(axis=1, keepdims=True)


def semi_markov(
    n_steps: int, *, step: float, mean_dwell: float, transitions: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Draw a sequence of exclusive states whose dwell times follow a gamma distribution.

    Parameters
    ----------
    n_steps : int
    step : float
        In s.
    mean_dwell : float
        In s; the standard deviation is half of it.
    transitions : float array, (n_states, n_states)
        Probabilities of the next state; zero diagonal.
    rng : Generator

    Returns
    -------
    int array, (n_steps,)

    Examples
    --------
    >>> semi_markov(8, step=1, mean_dwell=3, transitions=default_transitions(2), rng=np.random.default_rng(1))
    array([0, 0, 0, 0, 1, 1, 1, 1])
    """
    cumulative = transitions.cumsum(axis=1)
    cumulative /= cumulative[:, -1:]
    states = np.empty(n_steps, dtype=int)
    state, position = int(rng.integers(len(transitions))), 0
    while position < n_steps:
        dwell = max(1, round(rng.gamma(DWELL_SHAPE, mean_dwell / DWELL_SHAPE) / step))
        states[position : position + dwell] = state
        position += dwell
        state = int(np.searchsorted(cumulative[state], rng.random(), side="right"))
    return states


def soft_mixture(
    n_steps: int,
    n_networks: int,
    *,
    step: float,
    mean_dwell: float,
    rng: np.random.Generator,
    push: np.ndarray | float = 0.0,
) -> np.ndarray:
    """Draw the activity of networks that come and go independently: a logistic function of slowly wandering processes.

    Parameters
    ----------
    n_steps, n_networks : int
    step, mean_dwell : float
        In s; the latent processes (first-order autoregressive) forget with a time constant of `mean_dwell`.
    rng : Generator
    push : float array, (n_steps, n_networks), optional
        Added to the latent processes, in their standard deviations (a task).

    Returns
    -------
    float array, (n_steps, n_networks)
        From 0 to 1.

    Examples
    --------
    >>> activity = soft_mixture(5000, 3, step=0.5, mean_dwell=10, rng=np.random.default_rng(0))
    >>> activity.shape, round(float((activity > 0.5).mean()), 1)
    ((5000, 3), 0.3)
    """
    forget = float(np.exp(-step / mean_dwell))
    drive = rng.standard_normal((n_steps, n_networks)) * np.sqrt(1 - forget**2)
    drive[0] /= np.sqrt(1 - forget**2)  # starts in its stationary distribution
    latent = lfilter([1], [1, -forget], drive, axis=0) + push
    return expit(MIXTURE_GAIN * (latent - MIXTURE_THRESHOLD))


def gaussian_like(reference: np.ndarray, n_steps: int, rng: np.random.Generator) -> np.ndarray:
    """Draw stationary Gaussian time courses with the mean and the cross-spectra of a reference.

    The cross-spectral matrix is averaged over segments of the reference, so it is that of the process rather than of
    one sample; what is drawn from it is linear and Gaussian, and has no states.

    Parameters
    ----------
    reference : float array, (n_segments, n_segment_steps, n_networks)
        Independent stretches of the process; a stretch has `n_steps` or more.
    n_steps : int
    rng : Generator

    Returns
    -------
    float array, (n_steps, n_networks)
    """
    mean = reference.mean(axis=(0, 1))
    length = reference.shape[1]
    spectra = np.fft.rfft(reference - mean, axis=1)
    cross = np.einsum("sfi,sfj->fij", spectra, spectra.conj()) / len(reference)
    values, vectors = np.linalg.eigh(cross)
    root = vectors * np.sqrt(np.clip(values, 0, None))[:, None, :]
    shape = root.shape[:2]
    white = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2)
    white[0] = white[0].real * np.sqrt(2)
    if length % 2 == 0:
        white[-1] = white[-1].real * np.sqrt(2)
    drawn = np.fft.irfft(np.einsum("fij,fj->fi", root, white), n=length, axis=0)
    return drawn[:n_steps] + mean


def convolve_hrf(neural: np.ndarray, step: float) -> np.ndarray:
    """Convolve with SPM's canonical haemodynamic response, whose integral is 1 here (a plateau keeps its height).

    Parameters
    ----------
    neural : float array, (n_steps, n_networks)
    step : float
        In s.

    Returns
    -------
    float array, (n_steps, n_networks)
        What precedes the first step counts as zero.
    """
    from nilearn.glm.first_level.hemodynamic_models import spm_hrf

    response = spm_hrf(step, oversampling=1)
    return lfilter(response / response.sum(), [1.0], neural, axis=0)


def make_time_courses(
    *,
    regime: Regime,
    n_networks: int,
    n_volumes: int,
    repetition_time: float,
    rng: np.random.Generator,
    mean_dwell: float = 12.0,
    transitions: np.ndarray | None = None,
    deactivation: float = 0.7,
    blocks: Sequence[Block] = (),
) -> TimeCourses:
    """Make the time courses of one run.

    Parameters
    ----------
    regime : str
        ``exclusive`` (one network at a time, semi-Markov), ``mixture`` (several networks at once, independently
        and more or less active), ``stationary`` (Gaussian, with the mean and cross-spectra of ``exclusive`` but
        without states) or ``deactivations`` (like ``exclusive``; each state also suppresses the network half-way
        round the list).
    n_networks, n_volumes : int
    repetition_time, mean_dwell : float
        In s.
    rng : Generator
    transitions : float array, (n_networks, n_networks), optional
        By default `default_transitions`; ``mixture`` uses their stationary distribution only.
    deactivation : float
        Depth of a suppressed network's time course.
    blocks : sequence of Block
        A task. During a block the state is the block's network (in ``mixture``: is pushed towards it).

    Raises
    ------
    UsageError
        If the regime is unknown, or a task is asked of the regime without states.

    Examples
    --------
    >>> made = make_time_courses(
    ...     regime="exclusive", n_networks=4, n_volumes=50, repetition_time=2, rng=np.random.default_rng(0)
    ... )
    >>> made.bold.shape, made.neural_states[:4].tolist(), made.states[:4].tolist()
    ((50, 4), [3, 3, 2, 2], [2, 3, 3, 3])
    """
    if regime not in REGIMES:
        raise UsageError(f"The regime {regime!r} is unknown; choose one of {', '.join(REGIMES)}.")
    if regime == "stationary" and blocks:
        raise UsageError("The stationary regime has no states that a task could drive; choose another regime.")
    transitions = default_transitions(n_networks) if transitions is None else transitions
    per_volume = int(np.ceil(repetition_time / LONGEST_STEP))
    step = repetition_time / per_volume
    warm_up = int(np.ceil(WARM_UP / step))
    n_steps = warm_up + n_volumes * per_volume
    driven = _driven(blocks, n_steps, warm_up, step)
    states = np.full(n_steps, -1)
    if regime == "mixture":
        push = np.log(_occupancy(transitions) * n_networks) + TASK_PUSH * _one_hot(driven, n_networks)
        neural = soft_mixture(n_steps, n_networks, step=step, mean_dwell=mean_dwell, rng=rng, push=push)
        states = neural.argmax(axis=1)
    elif regime == "stationary":
        # Twice as long as needed: what is drawn is periodic, and half a period shows nothing of it.
        sequences = [
            semi_markov(2 * n_steps, step=step, mean_dwell=mean_dwell, transitions=transitions, rng=rng)
            for _ in range(REFERENCE_SEGMENTS)
        ]
        neural = gaussian_like(np.stack([_one_hot(sequence, n_networks) for sequence in sequences]), n_steps, rng)
    else:
        states = semi_markov(n_steps, step=step, mean_dwell=mean_dwell, transitions=transitions, rng=rng)
        states = np.where(driven >= 0, driven, states)
        neural = _one_hot(states, n_networks)
        if regime == "deactivations":
            neural -= deactivation * np.roll(neural, n_networks // 2, axis=1)
    at_volumes = slice(warm_up, None, per_volume)
    return TimeCourses(convolve_hrf(neural, step)[at_volumes], states[at_volumes])


def _driven(blocks: Sequence[Block], n_steps: int, warm_up: int, step: float) -> np.ndarray:
    """Give the network that the task drives at every step, -1 where there is none."""
    driven = np.full(n_steps, -1)
    for block in blocks:
        first = warm_up + round(block.onset / step)
        driven[first : first + round(block.duration / step)] = block.network
    return driven


def _one_hot(states: np.ndarray, n_states: int) -> np.ndarray:
    """Turn states into indicator columns; -1 into a row of zeros."""
    return (states[:, None] == np.arange(n_states)).astype(float)


def _occupancy(transitions: np.ndarray) -> np.ndarray:
    """Give the share of visits of every state in the long run: the left eigenvector of eigenvalue 1."""
    values, vectors = np.linalg.eig(transitions.T)
    visits = np.abs(np.real(vectors[:, np.argmin(np.abs(values - 1))]))
    return visits / visits.sum()

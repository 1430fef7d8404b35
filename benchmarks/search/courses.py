"""Time courses of many runs at once: regimes of the product's simulator, vectorised over runs."""

from __future__ import annotations

import numpy as np
from scipy.signal import lfilter
from scipy.special import expit
from scipy.stats import gamma

__all__ = ["REGIMES", "ar1_matrix", "cleaning_basis", "haemodynamic_response", "time_courses"]

REGIMES = ("exclusive", "mixture", "deactivations", "stationary")

STEP, WARM_UP = 0.5, 40.0
"""Step of the neural time axis and what is simulated before the first volume, in s."""

SUMMED = 12
"""Independent sequences whose sum stands for a stationary Gaussian process."""


def haemodynamic_response(step: float, *, delay: float = 6.0, ratio: float = 1 / 6) -> np.ndarray:
    """Give a double-gamma response (SPM's for a delay of 6 s) with integral 1, in steps of `step` s over 32 s."""
    seconds = np.arange(0, 32, step)
    response = gamma.pdf(seconds, delay) - ratio * gamma.pdf(seconds, 16)
    return response / response.sum()


def sequences(
    n_runs: int, n_steps: int, n_states: int, *, step: float, mean_dwell: float, rng: np.random.Generator
) -> np.ndarray:
    """Draw exclusive states with gamma-distributed dwell times (SD half of the mean): int, (n_runs, n_steps)."""
    n_visits = max(4, int(3 * n_steps * step / mean_dwell) + 8)
    dwells = np.maximum(1, np.round(rng.gamma(4, mean_dwell / 4, (n_runs, n_visits)) / step)).astype(int)
    preference, order = rng.uniform(0, 0.6), rng.permutation(n_states)
    jumps = np.where(rng.random((n_runs, n_visits)) < preference, 1, rng.integers(1, n_states, (n_runs, n_visits)))
    states = order[(rng.integers(n_states, size=(n_runs, 1)) + jumps.cumsum(axis=1)) % n_states]
    ends = dwells.cumsum(axis=1)
    visit = np.stack([np.searchsorted(run, np.arange(n_steps), side="right") for run in ends])
    return np.take_along_axis(states, np.minimum(visit, n_visits - 1), axis=1)


def neural_activity(
    regime: str, n_runs: int, n_steps: int, n_networks: int, *, step: float, mean_dwell: float, rng: np.random.Generator
) -> np.ndarray:
    """Draw activity before the haemodynamic response: float, (n_runs, n_steps, n_networks)."""

    def exclusive(n: int) -> np.ndarray:
        drawn = sequences(n, n_steps, n_networks, step=step, mean_dwell=mean_dwell, rng=rng)
        return (drawn[..., None] == np.arange(n_networks)).astype(np.float32)

    if regime == "mixture":
        forget = float(np.exp(-step / mean_dwell))
        drive = rng.standard_normal((n_runs, n_steps, n_networks)) * np.sqrt(1 - forget**2)
        drive[:, 0] /= np.sqrt(1 - forget**2)
        gain, threshold = rng.uniform(1.5, 5), rng.uniform(0, 1.2)
        return expit(gain * (lfilter([1], [1, -forget], drive, axis=1) - threshold))
    if regime == "stationary":
        mean = 1 / n_networks
        many = exclusive(SUMMED * n_runs).reshape(SUMMED, n_runs, n_steps, n_networks)
        return mean + (many - mean).sum(axis=0) / np.sqrt(SUMMED)
    activity = exclusive(n_runs)
    if regime == "deactivations":
        activity = activity - rng.uniform(0.3, 1) * np.roll(activity, n_networks // 2, axis=2)
    return activity


def time_courses(
    regime: str,
    n_runs: int,
    n_volumes: int,
    n_networks: int,
    *,
    repetition_time: float,
    mean_dwell: float,
    delay: float = 6.0,
    rng: np.random.Generator,
) -> np.ndarray:
    """Make planted time courses after the haemodynamic response: float32, (n_runs, n_volumes, n_networks)."""
    per_volume = int(np.ceil(repetition_time / STEP))
    step = repetition_time / per_volume
    warm_up = int(np.ceil(WARM_UP / step))
    n_steps = warm_up + n_volumes * per_volume
    neural = neural_activity(regime, n_runs, n_steps, n_networks, step=step, mean_dwell=mean_dwell, rng=rng)
    response = haemodynamic_response(step, delay=delay)
    kernel = np.zeros((n_volumes, n_steps), dtype=np.float32)  # row t: the response, reversed, ending at volume t
    for volume in range(n_volumes):
        now = warm_up + volume * per_volume
        past = response[: now + 1]
        kernel[volume, now - len(past) + 1 : now + 1] = past[::-1]
    return np.einsum("ts,rsk->rtk", kernel, neural.astype(np.float32), optimize=True).astype(np.float32)


def ar1_matrix(n_volumes: int, ar1: float) -> np.ndarray:
    """Give the matrix that makes a first-order autoregressive series of standard deviation 1 of white noise."""
    lag = np.arange(n_volumes)[:, None] - np.arange(n_volumes)
    matrix = np.where(lag >= 0, ar1 ** np.maximum(lag, 0), 0.0) * np.sqrt(1 - ar1**2)
    matrix[:, 0] /= np.sqrt(1 - ar1**2)
    return matrix.astype(np.float32)


def cleaning_basis(
    n_runs: int,
    n_volumes: int,
    *,
    repetition_time: float,
    high_pass: float,
    n_motion: int,
    global_signal: np.ndarray | None,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw what a cleaning takes out: mean, slow cosines, motion-like series, noisy global signal (n_runs, T, Q)."""
    n_cosines = max(0, int(2 * n_volumes * repetition_time * high_pass))
    position = (np.arange(n_volumes) + 0.5) / n_volumes
    fixed = np.cos(np.pi * np.outer(position, np.arange(1 + n_cosines)))
    parts = [np.broadcast_to(fixed, (n_runs, *fixed.shape))]
    if n_motion:
        walk = rng.standard_normal((n_runs, n_volumes, (n_motion + 3) // 4)).cumsum(axis=1)
        slow = walk - walk.mean(axis=1, keepdims=True)
        change = np.diff(slow, axis=1, prepend=slow[:, :1])
        parts.append(np.concatenate([slow, change, slow**2, change**2], axis=2)[:, :, :n_motion])
    if global_signal is not None:
        noise = rng.standard_normal((n_runs, n_volumes, 2)) * rng.uniform(0.2, 1)
        parts.append(global_signal[..., None] / (global_signal.std() + 1e-6) + noise)
    basis = np.concatenate(parts, axis=2)
    return (basis / (np.linalg.norm(basis, axis=1, keepdims=True) + 1e-9)).astype(np.float32)

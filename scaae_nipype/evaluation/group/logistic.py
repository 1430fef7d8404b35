"""Logistic regressions of many targets on the same features, all at once."""

from __future__ import annotations

import numpy as np

__all__ = ["log_odds"]

MOST_STEPS = 100
"""Newton steps, at most; a handful is usual."""

PRECISION = 1e-7
"""Largest slope of the loss, per participant, at which a fit has ended."""

_VALUES_AT_ONCE = 2**24
"""Weighted features in memory, at most."""


def log_odds(train: np.ndarray, targets: np.ndarray, test: np.ndarray, *, strength: float) -> np.ndarray:
    """Predict log-odds by ridge-penalised logistic regressions with balanced classes (Newton's method, damped).

    The same as scikit-learn's ``LogisticRegression(C=strength, class_weight="balanced")`` for every target, without a
    Hessian and a check of the input for each one alone.

    Parameters
    ----------
    train : float array, (n_participants, n_features)
    targets : float array, (n_participants, n_targets)
        0 or 1. A target of one class predicts nothing: 0.
    test : float array, (n_others, n_features)
    strength : float
        Weight of the data against the penalty.

    Returns
    -------
    float array, (n_others, n_targets)
    """
    predicted = np.zeros((len(test), targets.shape[1]))
    usable = np.flatnonzero(np.ptp(targets, axis=0) > 0)
    n_at_once = max(1, _VALUES_AT_ONCE // max(1, train.size))
    for start in range(0, len(usable), n_at_once):
        columns = usable[start : start + n_at_once]
        coefficients = _fit(_with_constant(train), targets[:, columns], strength)
        predicted[:, columns] = _with_constant(test) @ coefficients
    return predicted


def _with_constant(features: np.ndarray) -> np.ndarray:
    return np.column_stack([features, np.ones(len(features))])


def _fit(features: np.ndarray, targets: np.ndarray, strength: float) -> np.ndarray:
    """Give the coefficients, (n_features + 1, n_targets), the constant last, which is not penalised."""
    n, n_ones = len(targets), targets.sum(axis=0)
    weights = strength * np.where(targets > 0, n / (2 * n_ones), n / (2 * (n - n_ones)))
    penalty = np.r_[np.ones(features.shape[1] - 1), 0.0]
    signs = 2 * targets - 1
    coefficients = np.zeros((features.shape[1], targets.shape[1]))

    def loss(trial: np.ndarray) -> np.ndarray:
        data = weights * np.logaddexp(0, -signs * (features @ trial))
        return data.sum(axis=0) + (penalty[:, None] * trial**2).sum(axis=0) / 2

    rows, columns = np.triu_indices(features.shape[1])
    products = features[:, rows] * features[:, columns]  # with them all Hessians are one matrix product
    there = loss(coefficients)
    for _ in range(MOST_STEPS):
        probabilities = 1 / (1 + np.exp(-np.clip(features @ coefficients, -500, 500)))
        slope = features.T @ (weights * (probabilities - targets)) + penalty[:, None] * coefficients
        if np.abs(slope).max() <= PRECISION * strength * n:
            break
        curvature = weights * probabilities * (1 - probabilities)
        hessians = np.empty((targets.shape[1], len(penalty), len(penalty)))
        hessians[:, rows, columns] = hessians[:, columns, rows] = curvature.T @ products
        hessians += np.diag(penalty + 1e-12)
        step = np.linalg.solve(hessians, slope.T[..., None])[..., 0].T
        size = np.ones(targets.shape[1])
        for _ in range(30):  # halve the steps that lead up
            trial = coefficients - size * step
            reached = loss(trial)
            worse = reached > there + 1e-12 * np.abs(there)
            if not worse.any():
                break
            size[worse] /= 2
        coefficients = np.where(worse, coefficients, trial)
        there = np.where(worse, there, reached)
    return coefficients

"""Would the same participant get the same number again? Intraclass correlations over repeated runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import fdtri

from ...errors import InputError

__all__ = ["Reliability", "intraclass_correlation"]


@dataclass(frozen=True)
class Reliability:
    """Intraclass correlations of single measurements, with confidence limits.

    Attributes
    ----------
    icc_2_1 : float
        Absolute agreement, repeats as random draws.
    icc_2_1_limits : (float, float)
    icc_3_1 : float
        Consistency: a shift that all participants share from repeat to repeat does not count.
    icc_3_1_limits : (float, float)
    n_participants, n_repeats : int
    """

    icc_2_1: float
    icc_2_1_limits: tuple[float, float]
    icc_3_1: float
    icc_3_1_limits: tuple[float, float]
    n_participants: int
    n_repeats: int


def intraclass_correlation(values: np.ndarray, *, confidence: float = 0.95) -> Reliability:
    """Compute ICC(2,1) and ICC(3,1).

    Parameters
    ----------
    values : float array, (n_participants, n_repeats)
        Without missing values.
    confidence : float
        Of the limits.

    Raises
    ------
    InputError
        If there are fewer than two participants or repeats, or a value is missing.

    Notes
    -----
    Shrout and Fleiss (1979, doi 10.1037/0033-2909.86.2.420), limits after McGraw and Wong (1996,
    doi 10.1037/1082-989X.1.1.30). All NaN where nothing varies.

    >>> found = intraclass_correlation(np.array([[1.0, 2.0], [2.0, 3.0], [3.0, 4.0]]))
    >>> round(found.icc_2_1, 3), round(found.icc_3_1, 3)
    (0.667, 1.0)
    """
    values = np.asarray(values, dtype=float)
    n, k = values.shape
    if n < 2 or k < 2 or not np.isfinite(values).all():
        raise InputError("Reliability needs two participants with two measurements each, none of them missing.")
    mean = values.mean()
    rows, columns = values.mean(axis=1, keepdims=True), values.mean(axis=0, keepdims=True)
    between = k * ((rows - mean) ** 2).sum() / (n - 1)
    repeats = n * ((columns - mean) ** 2).sum() / (k - 1)
    error = ((values - rows - columns + mean) ** 2).sum() / ((n - 1) * (k - 1))
    if max(between, repeats, error) <= 1e-14 * max(1.0, mean**2):
        return Reliability(np.nan, (np.nan, np.nan), np.nan, (np.nan, np.nan), n, k)
    agreement = (between - error) / (between + (k - 1) * error + k * (repeats - error) / n)
    consistency = (between - error) / (between + (k - 1) * error)
    tail = (1 + confidence) / 2
    return Reliability(
        float(agreement),
        _agreement_limits(between, repeats, error, n, k, tail),
        float(consistency),
        _consistency_limits(between, error, n, k, tail),
        n,
        k,
    )


def _consistency_limits(between: float, error: float, n: int, k: int, tail: float) -> tuple[float, float]:
    if error == 0:
        return 1.0, 1.0
    ratio, df = between / error, (n - 1) * (k - 1)
    low, high = ratio / fdtri(n - 1, df, tail), ratio * fdtri(df, n - 1, tail)
    return float((low - 1) / (low + k - 1)), float((high - 1) / (high + k - 1))


def _agreement_limits(between: float, repeats: float, error: float, n: int, k: int, tail: float) -> tuple[float, float]:
    """Limits by Satterthwaite's degrees of freedom for the mixture of the repeats' and the error's mean squares."""
    icc = (between - error) / (between + (k - 1) * error + k * (repeats - error) / n)
    if icc >= 1:
        return 1.0, 1.0
    a, b = k * icc / (n * (1 - icc)), 1 + k * icc * (n - 1) / (n * (1 - icc))
    df = (a * repeats + b * error) ** 2 / ((a * repeats) ** 2 / (k - 1) + (b * error) ** 2 / ((n - 1) * (k - 1)))
    upper_f, lower_f = fdtri(n - 1, df, tail), fdtri(df, n - 1, tail)
    mixture = k * repeats + (k * n - k - n) * error
    low = n * (between - upper_f * error) / (upper_f * mixture + n * between)
    high = n * (lower_f * between - error) / (mixture + n * lower_f * between)
    return float(low), float(high)

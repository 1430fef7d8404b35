"""Does an outcome differ with a column of the participants' table? Permutation tests with covariates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...errors import InputError

__all__ = ["PermutationTest", "freedman_lane"]

_ROUNDING = 1e-18  # shares of a sum of squares below this are rounding errors


@dataclass(frozen=True, eq=False)
class PermutationTest:
    """What `freedman_lane` found, one value per outcome.

    Attributes
    ----------
    statistic : float array, (n_outcomes,)
        t if the effect has one column, F if it has several; NaN where an outcome does not vary.
    estimate : float array, (n_outcomes,)
        Slope of the outcome on the effect; NaN if the effect has several columns.
    n : int array, (n_outcomes,)
        Participants that have the outcome.
    degrees_of_freedom : int array, (n_outcomes,)
        Of the residuals.
    p : float array, (n_outcomes,)
        Two-sided permutation p, each outcome for itself.
    p_corrected : float array, (n_outcomes,)
        By the maximum statistic over outcomes: controls the chance of any false positive among them.
    """

    statistic: np.ndarray
    estimate: np.ndarray
    n: np.ndarray
    degrees_of_freedom: np.ndarray
    p: np.ndarray
    p_corrected: np.ndarray


def freedman_lane(
    outcomes: np.ndarray,
    effect: np.ndarray,
    nuisance: np.ndarray | None = None,
    *,
    blocks: np.ndarray | None = None,
    n_permutations: int = 2000,
    seed: int = 0,
) -> PermutationTest:
    """Test outcomes against an effect given covariates, by permuting the residuals of the covariates' model.

    Parameters
    ----------
    outcomes : float array, (n_participants, n_outcomes)
        One row per participant (average runs before). Participants without a value (NaN) are left out of that outcome;
        of the others the same shuffle is used for all outcomes.
    effect : float array, (n_participants,) or (n_participants, n_columns)
        A number, or the dummy columns of a category.
    nuisance : float array, (n_participants, n_covariates), optional
        Covariates such as motion; a constant, and a constant per block, are added.
    blocks : array, (n_participants,), optional
        Participants are exchanged within a block (a site) only.
    n_permutations : int
    seed : int

    Raises
    ------
    InputError
        If the effect does not vary beyond constants, blocks and covariates, or no participant is left over to
        estimate noise with.

    Notes
    -----
    Freedman and Lane (1983), as recommended by Winkler et al. (2014, doi 10.1016/j.neuroimage.2014.01.060); the maximum
    statistic after Westfall and Young (1993). The observed arrangement counts as one of the permutations.

    >>> x = np.repeat([0.0, 1.0], 10)
    >>> y = np.column_stack([x + np.tile([0.1, -0.1], 10), 0.5 * x + np.tile([1.0, 9.0], 10)])
    >>> found = freedman_lane(y, x, n_permutations=99)
    >>> found.estimate.round(2), found.p_corrected.round(2)
    (array([1. , 0.5]), array([0.01, 0.88]))
    """
    outcomes = np.asarray(outcomes, dtype=float)
    effect = np.asarray(effect, dtype=float).reshape(len(outcomes), -1)
    blocks = np.zeros(len(outcomes), int) if blocks is None else np.unique(np.asarray(blocks), return_inverse=True)[1]
    covariates = np.empty((len(outcomes), 0)) if nuisance is None else np.asarray(nuisance, dtype=float)
    covariates = covariates.reshape(len(outcomes), -1)
    parts = _parts(outcomes, effect, covariates, blocks)
    observed = _gather(parts, [part.statistic(part.residuals) for part in parts], outcomes.shape[1])
    strength = np.abs(observed)
    threshold = strength * (1 - 1e-9)  # the same arrangement, summed in another order, is no weaker
    exceeded, exceeded_by_max = np.ones(len(strength)), np.ones(len(strength))
    generator = np.random.default_rng(seed)
    for _ in range(n_permutations):
        keys = generator.random(len(outcomes))
        drawn = np.abs(_gather(parts, [part.permuted(keys) for part in parts], outcomes.shape[1]))
        exceeded += drawn >= threshold
        exceeded_by_max += np.nanmax(drawn, initial=0) >= threshold
    tested = np.isfinite(observed)
    return PermutationTest(
        observed,
        _gather(parts, [part.estimate() for part in parts], outcomes.shape[1]),
        _gather(parts, [np.full(len(part.columns), len(part.rows)) for part in parts], outcomes.shape[1]).astype(int),
        _gather(parts, [np.full(len(part.columns), part.df) for part in parts], outcomes.shape[1]).astype(int),
        np.where(tested, exceeded / (n_permutations + 1), np.nan),
        np.where(tested, exceeded_by_max / (n_permutations + 1), np.nan),
    )


class _Part:
    """Outcomes that the same participants have, with the model of those participants."""

    def __init__(
        self,
        outcomes: np.ndarray,
        rows: np.ndarray,
        columns: np.ndarray,
        effect: np.ndarray,
        covariates: np.ndarray,
        blocks: np.ndarray,
    ):
        self.rows, self.columns = rows, columns
        self.blocks = blocks[rows]
        constants = (self.blocks[:, None] == np.unique(self.blocks)).astype(float)
        self.nuisance = _basis(np.hstack([constants, covariates[rows] - covariates[rows].mean(axis=0)]))
        beyond = effect[rows] - self.nuisance @ (self.nuisance.T @ effect[rows])
        spread = np.linalg.norm(effect[rows] - effect[rows].mean(axis=0), axis=0)
        self.effect = _basis(beyond, scale=spread.max(initial=0))
        self.df = len(rows) - self.nuisance.shape[1] - self.effect.shape[1]
        if self.effect.shape[1] < effect.shape[1]:
            raise InputError("does not vary beyond what site and covariates explain, so it cannot be tested.")
        if self.df < 1:
            raise InputError(f"has only {len(rows)} participants with values: too few for its levels and covariates.")
        self.length = np.linalg.norm(beyond[:, 0])
        if effect.shape[1] == 1:
            self.effect = beyond / self.length  # keeps the sign, which a basis does not
        values = outcomes[np.ix_(rows, columns)]
        self.residuals = values - self.nuisance @ (self.nuisance.T @ values)
        self.sum_of_squares = (values**2).sum(axis=0)
        self.order = np.lexsort((np.arange(len(rows)), self.blocks))

    def statistic(self, residuals: np.ndarray) -> np.ndarray:
        """T or F of residuals, which need not be free of the nuisance any more after a permutation."""
        projected = self.effect.T @ residuals
        explained = (projected**2).sum(axis=0)
        total = (residuals**2).sum(axis=0) - ((self.nuisance.T @ residuals) ** 2).sum(axis=0)
        rest = np.maximum(total - explained, 0)
        varies = total > _ROUNDING * self.sum_of_squares
        noise = np.maximum(rest, 1e-12 * total) / self.df
        if self.effect.shape[1] == 1:
            numerator = projected[0]
            return np.divide(numerator, np.sqrt(noise), out=np.full(len(noise), np.nan), where=varies)
        return np.divide(explained / self.effect.shape[1], noise, out=np.full(len(noise), np.nan), where=varies)

    def permuted(self, keys: np.ndarray) -> np.ndarray:
        shuffled = np.empty(len(self.rows), dtype=int)
        shuffled[self.order] = np.lexsort((keys[self.rows], self.blocks))
        return self.statistic(self.residuals[shuffled])

    def estimate(self) -> np.ndarray:
        if self.effect.shape[1] > 1:
            return np.full(len(self.columns), np.nan)
        return (self.effect.T @ self.residuals)[0] / self.length


def _parts(outcomes: np.ndarray, effect: np.ndarray, covariates: np.ndarray, blocks: np.ndarray) -> list[_Part]:
    complete = np.isfinite(effect).all(axis=1) & np.isfinite(covariates).all(axis=1)
    present = np.isfinite(outcomes) & complete[:, None]
    patterns, which = np.unique(present, axis=1, return_inverse=True)
    return [
        _Part(outcomes, np.flatnonzero(pattern), np.flatnonzero(which.ravel() == number), effect, covariates, blocks)
        for number, pattern in enumerate(patterns.T)
    ]


def _basis(matrix: np.ndarray, scale: float | None = None) -> np.ndarray:
    """Orthonormal basis of the columns; directions shorter than rounding errors are dropped."""
    left, lengths, _ = np.linalg.svd(matrix, full_matrices=False)
    scale = lengths.max(initial=0) if scale is None else scale
    return left[:, lengths > 1e-8 * scale]


def _gather(parts: list[_Part], values: list[np.ndarray], n_outcomes: int) -> np.ndarray:
    gathered = np.full(n_outcomes, np.nan)
    for part, part_values in zip(parts, values, strict=True):
        gathered[part.columns] = part_values
    return gathered

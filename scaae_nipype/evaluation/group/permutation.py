"""Does an outcome differ with a column of the participants' table? Permutation tests with covariates.

Permuting makes groups exchangeable that may not be: where a small group varies more than a large one, a difference of
means over one pooled spread is larger in truth than in its permutations, and tests without an effect reject too often.
Over a spread to which all participants contribute with their own residuals, as in Welch's t, the statistic has nearly
the same distribution in both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ...errors import InputError
from ...options import Evaluation

__all__ = ["PermutationTest", "freedman_lane"]

_ROUNDING = 1e-18  # shares of a sum of squares below this are rounding errors

_NO_FREEDOM = 1e-9  # a participant who is fitted this closely has no residual of his own

_VALUES_AT_ONCE = 2**20  # of permuted residuals, which bounds the memory


@dataclass(frozen=True, eq=False)
class PermutationTest:
    """What `freedman_lane` found, one value per outcome.

    Attributes
    ----------
    statistic : float array, (n_outcomes,)
        t if the effect has one column, F if it has several; NaN where an outcome does not vary, or where a level has
        only one participant with a value.
    estimate : float array, (n_outcomes,)
        Slope of the outcome on the effect; NaN if the effect has several columns.
    n : int array, (n_outcomes,)
        Participants that have the outcome.
    degrees_of_freedom : float array, (n_outcomes,)
        Of the spread: Welch-Satterthwaite's where levels are compared, of the residuals where the effect is a number.
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
    pooled: bool = False,
    n_permutations: int = 2000,
    seed: int = Evaluation.seed,
) -> PermutationTest:
    """Test outcomes against an effect given covariates, by permuting the residuals of the covariates' model.

    The statistic is Welch's t under permutation (studentised). For two groups without covariates it is Welch's t
    exactly; with covariates, and for a number, the slope over its heteroscedasticity-consistent standard error (HC2);
    for several levels F, the Wald statistic of the same kind over its number of columns.

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
    pooled : bool
        One spread for everybody instead: Student's t and the F of an analysis of variance. Their p hold only where
        groups are equally spread, or equally large.
    n_permutations : int
    seed : int

    Raises
    ------
    InputError
        If the effect does not vary beyond constants, blocks and covariates, no participant is left over to estimate
        noise with, or a level has one participant only, whose spread nobody knows.

    Notes
    -----
    Permutations after Freedman and Lane (1983), as recommended by Winkler et al. (2014,
    doi 10.1016/j.neuroimage.2014.01.060), whose G statistic is the same idea; the maximum statistic after Westfall and
    Young (1993). The observed arrangement counts as one of the permutations. Studentised permutation: Janssen (1997,
    doi 10.1016/S0167-7152(97)00043-6), Chung and Romano (2013, doi 10.1214/13-AOS1090), for regression DiCiccio and
    Romano (2017, doi 10.1080/01621459.2016.1202117); HC2: MacKinnon and White (1985,
    doi 10.1016/0304-4076(85)90158-7).

    p is exact where participants are exchangeable given the covariates, and holds for large groups where they are not.
    So that small ones come close (``benchmarks/calibration.py``), statistics are not compared as they are: a t of few
    degrees of freedom is larger by chance, and how many there are differs between permutations and between outcomes.
    Each is brought to the scale of chi-square by its own, estimated after Welch and Satterthwaite (for several columns
    after Zhang 2012, doi 10.4236/ojs.2012.21001).

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
    parts = _parts(outcomes, effect, covariates, blocks, pooled)
    n_outcomes = outcomes.shape[1]
    found = [part.statistic(part.residuals[:, None]) for part in parts]
    observed = _gather(parts, [statistic[0] for statistic, _ in found], n_outcomes)
    degrees = _gather(parts, [degrees[0] for _, degrees in found], n_outcomes)
    n_columns = effect.shape[1]
    strength = _strength(observed, degrees, n_columns)
    threshold = strength * (1 - 1e-9)  # the same arrangement, summed in another order, is no weaker
    exceeded, exceeded_by_max = np.ones(len(strength)), np.ones(len(strength))
    for keys in _keys(n_permutations, outcomes.shape, seed):
        drawn = np.full((len(keys), n_outcomes), np.nan)
        for part in parts:
            drawn[:, part.columns] = _strength(*part.statistic(part.permuted(keys)), n_columns)
        exceeded += (drawn >= threshold).sum(axis=0)
        exceeded_by_max += (np.nanmax(drawn, axis=1, initial=0)[:, None] >= threshold).sum(axis=0)
    tested = np.isfinite(observed)
    return PermutationTest(
        observed,
        _gather(parts, [part.estimate() for part in parts], n_outcomes),
        _gather(parts, [np.full(len(part.columns), len(part.rows)) for part in parts], n_outcomes).astype(int),
        degrees,
        np.where(tested, exceeded / (n_permutations + 1), np.nan),
        np.where(tested, exceeded_by_max / (n_permutations + 1), np.nan),
    )


def _keys(n_permutations: int, shape: tuple[int, int], seed: int) -> Iterator[np.ndarray]:
    """Draw what participants are sorted by, for some permutations at a time: (n_at_once, n_participants)."""
    generator = np.random.default_rng(seed)
    at_once = max(1, _VALUES_AT_ONCE // max(1, shape[0] * shape[1]))
    for start in range(0, n_permutations, at_once):
        yield generator.random((min(at_once, n_permutations - start), shape[0]))


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
        pooled: bool,
    ):
        self.rows, self.columns = rows, columns
        self.blocks = blocks[rows]
        constants = (self.blocks[:, None] == np.unique(self.blocks)).astype(float)
        nuisance = _basis(np.hstack([constants, covariates[rows] - covariates[rows].mean(axis=0)]))
        beyond = effect[rows] - nuisance @ (nuisance.T @ effect[rows])
        spread = np.linalg.norm(effect[rows] - effect[rows].mean(axis=0), axis=0)
        self.effect = _basis(beyond, scale=spread.max(initial=0))
        self.df = len(rows) - nuisance.shape[1] - self.effect.shape[1]
        if self.effect.shape[1] < effect.shape[1]:
            raise InputError("does not vary beyond what site and covariates explain, so it cannot be tested.")
        if self.df < 1:
            raise InputError(f"has only {len(rows)} participants with values: too few for its levels and covariates.")
        self.length = np.linalg.norm(beyond[:, 0])
        if effect.shape[1] == 1:
            self.effect = beyond / self.length  # keeps the sign, which a basis does not
        self.model = np.hstack([self.effect, nuisance])
        self.levels, self.weights, self.level_df = self._spread(effect[rows], pooled)
        self.testable = bool((self.level_df > _NO_FREEDOM).all())
        values = outcomes[np.ix_(rows, columns)]
        self.residuals = values - nuisance @ (nuisance.T @ values)
        self.total = (self.residuals**2).sum(axis=0)
        self.varies = self.total > _ROUNDING * (values**2).sum(axis=0)
        self.order = np.argsort(self.blocks, kind="stable")

    def _spread(self, effect: np.ndarray, pooled: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Give the level of every participant, what his squared residual is weighted with, and levels' freedom.

        The weighted sum, (n_columns²), is the covariance of the effect. HC2: a residual is smaller than the noise by
        the share of the participant's own value in what is fitted to him. A number's values are no levels.
        """
        n, n_columns = self.effect.shape
        values, levels = np.unique(effect, axis=0, return_inverse=True)
        if pooled or (n_columns == 1 and len(values) > 2):
            levels = np.zeros(n, dtype=int)
        free = 1 - (self.model**2).sum(axis=1)
        alone = free < _NO_FREEDOM  # such a participant tells nothing of the spread
        products = (self.effect[:, :, None] * self.effect[:, None]).reshape(n, -1)
        weights = np.where(alone, 0, products.T / np.where(alone, 1, free)).T
        if pooled:
            weights = np.tile(np.eye(n_columns).ravel() / self.df, (n, 1))
        return levels.ravel(), weights, np.bincount(levels.ravel(), weights=free)

    def statistic(self, residuals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Test residuals (n_rows, n_permutations, n_outcomes), which after a permutation have a nuisance again.

        Returns
        -------
        statistic, degrees_of_freedom : float arrays, (n_permutations, n_outcomes)
            t, or F where the effect has several columns.
        """
        n, n_permutations, n_outcomes = residuals.shape
        flat = residuals.reshape(n, -1)
        fitted = self.model.T @ flat
        flat = flat - self.model @ fitted
        np.square(flat, out=flat)
        n_columns = self.effect.shape[1]
        known = np.tile(self.varies & self.testable, n_permutations)
        own = [self.levels == level for level in range(len(self.level_df))]
        parts = np.stack([self.weights[level].T @ flat[level][:, known] for level in own])
        parts = np.moveaxis(parts, 2, 0).reshape(known.sum(), len(own), n_columns, n_columns)
        # where a model leaves nothing, t is finite
        least = np.tile(1e-12 * self.total / self.df, n_permutations)[known]
        covariance = parts.sum(axis=1) + least[:, None, None] * np.eye(n_columns)
        statistic, degrees = np.full((2, len(known)), np.nan)
        slopes = fitted[:n_columns, known].T
        if n_columns == 1:
            statistic[known] = slopes[:, 0] / np.sqrt(covariance[:, 0, 0])
            shares = parts / covariance[:, None]
        else:
            inverse = np.linalg.inv(covariance)
            statistic[known] = np.einsum("mi,mij,mj->m", slopes, inverse, slopes) / n_columns
            shares = inverse[:, None] @ parts
        trace = np.trace(shares, axis1=2, axis2=3) ** 2 + np.einsum("mlij,mlji->ml", shares, shares)
        degrees[known] = n_columns * (n_columns + 1) / np.maximum((trace / self.level_df).sum(axis=1), _NO_FREEDOM)
        return statistic.reshape(n_permutations, n_outcomes), degrees.reshape(n_permutations, n_outcomes)

    def permuted(self, keys: np.ndarray) -> np.ndarray:
        """Sort residuals by keys (n_permutations, n_participants): (n_rows, n_permutations, n_outcomes)."""
        shuffled = np.empty((len(self.rows), len(keys)), dtype=int)
        shuffled[self.order] = np.argsort(self.blocks + keys[:, self.rows], axis=1).T  # keys are below 1: blocks first
        return self.residuals[shuffled]

    def estimate(self) -> np.ndarray:
        if self.effect.shape[1] > 1:
            return np.full(len(self.columns), np.nan)
        return (self.effect.T @ self.residuals)[0] / self.length


def _parts(
    outcomes: np.ndarray, effect: np.ndarray, covariates: np.ndarray, blocks: np.ndarray, pooled: bool
) -> list[_Part]:
    complete = np.isfinite(effect).all(axis=1) & np.isfinite(covariates).all(axis=1)
    present = np.isfinite(outcomes) & complete[:, None]
    patterns, which = np.unique(present, axis=1, return_inverse=True)
    which = which.ravel()
    parts = [
        _Part(outcomes, np.flatnonzero(rows), np.flatnonzero(which == number), effect, covariates, blocks, pooled)
        for number, rows in enumerate(patterns.T)
    ]
    if not any(part.testable for part in parts):
        raise InputError(
            "has a level with one participant, whose spread is unknown: leave that participant out, or join levels."
        )
    return parts


def _strength(statistic: np.ndarray, degrees: np.ndarray, n_columns: int) -> np.ndarray:
    """Bring t or F of any degrees of freedom to the scale of chi-square of `n_columns`.

    Bartlett's approximation to the likelihood ratio behind t and Hotelling's T²; for t it is the square of Wallace's
    (1959) transformation to a normal deviate, within 0.3 %. It grows with the statistic, and never overflows.
    """
    wald = statistic**2 if n_columns == 1 else n_columns * statistic
    return 2 * degrees**2 / (2 * degrees + n_columns) * np.log1p(wald / degrees)


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

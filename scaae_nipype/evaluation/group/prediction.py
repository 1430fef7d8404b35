"""Does the network's code tell something about the participant? Features, and a prediction that is validated."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import InputError
from ...options import Evaluation
from .logistic import log_odds

if TYPE_CHECKING:
    from sklearn.decomposition import PCA

__all__ = ["CodeSummary", "Prediction", "code_features", "feature_names", "predict", "summarise_code"]

N_FOLDS = 5
N_COMPONENTS = 50
"""Principal components of the features, found in the training folds, that the prediction is made from."""

_PENALTIES = np.logspace(-1, 5, 13)


@dataclass(frozen=True, eq=False)
class CodeSummary:
    """What is kept of a run's codes: number of volumes, mean (n_numbers,), scatter matrix (n_numbers, n_numbers)."""

    n: int
    mean: np.ndarray
    scatter: np.ndarray


def summarise_code(code: np.ndarray) -> CodeSummary:
    """Summarise the codes of a run.

    Parameters
    ----------
    code : float array, (n_volumes, n_numbers)
        Volumes that were not kept are NaN, and left out.
    """
    kept = code[np.isfinite(code).all(axis=1)]
    mean = kept.mean(axis=0) if len(kept) else np.full(code.shape[1], np.nan)
    return CodeSummary(len(kept), mean, (kept - mean).T @ (kept - mean))


def code_features(summaries: Iterable[CodeSummary]) -> np.ndarray:
    """Join a participant's runs: mean of the code over volumes, then the upper triangle of its covariance.

    The covariance is that within runs: a shift from run to run is none of the brain's dynamics.

    Returns
    -------
    float array, (n_numbers * (n_numbers + 3) / 2,)

    Raises
    ------
    InputError
        If no run has two kept volumes.

    >>> run = summarise_code(np.array([[0.0, 1.0], [2.0, 3.0], [np.nan, np.nan]]))
    >>> code_features([run])
    array([1., 2., 2., 2., 2.])
    """
    usable = [summary for summary in summaries if summary.n > 1]
    if not usable:
        raise InputError("No run has two kept volumes with a code.")
    n = np.array([summary.n for summary in usable])
    mean = np.average([summary.mean for summary in usable], axis=0, weights=n)
    covariance = np.sum([summary.scatter for summary in usable], axis=0) / (n - 1).sum()
    return np.concatenate([mean, covariance[np.triu_indices(len(mean))]])


def feature_names(numbers: Sequence[str]) -> list[str]:
    """Name the features.

    >>> feature_names(["code01", "code02"])
    ['mean_code01', 'mean_code02', 'cov_code01_code01', 'cov_code01_code02', 'cov_code02_code02']
    """
    pairs = [f"cov_{one}_{other}" for place, one in enumerate(numbers) for other in numbers[place:]]
    return [f"mean_{number}" for number in numbers] + pairs


@dataclass(frozen=True)
class Prediction:
    """How well a column was predicted for participants that the prediction had not seen.

    Attributes
    ----------
    score : float
        Numbers: correlation of predicted and true values. Two classes: area under the ROC curve (0.5 is chance).
    score_name : {"r", "auc"}
    second_score : float
        Numbers: 1 - squared error / variance. Classes: balanced accuracy.
    second_name : {"r2", "balanced_accuracy"}
    p : float
        Share of permutations of the column (within sites) that scored as high.
    n_participants, n_folds, n_permutations : int
    blocked : bool
        Whether folds hold whole sites.
    """

    score: float
    score_name: str
    second_score: float
    second_name: str
    p: float
    n_participants: int
    n_folds: int
    n_permutations: int
    blocked: bool


def predict(
    features: np.ndarray,
    target: np.ndarray,
    *,
    classes: bool,
    sites: np.ndarray | None = None,
    n_permutations: int = 500,
    seed: int = Evaluation.seed,
) -> Prediction:
    """Predict a column of the participants' table from features, by cross-validation.

    Scaling, principal components and penalty are found in the training folds. Folds hold whole sites where there are
    at least two, so that recognising the scanner does not help.

    Parameters
    ----------
    features : float array, (n_participants, n_features)
    target : array, (n_participants,)
        Numbers, or two classes.
    classes : bool
        Whether the target is a class (logistic regression) rather than a number (ridge regression).
    sites : array, (n_participants,), optional
    n_permutations : int
        Of the target within sites.
    seed : int

    Raises
    ------
    InputError
        If there are too few participants, another number of classes than two, or a training fold of one class.
    """
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    target = np.asarray(target)
    sites = np.zeros(len(target), dtype=int) if sites is None else np.unique(sites, return_inverse=True)[1]
    codes = _coded(target) if classes else target.astype(float)
    if len(np.unique(sites)) > 1:
        features = _centred(features, sites)
        codes = codes if classes else _centred(codes, sites)
    folds, blocked = _folds(codes, sites, classes, seed)
    generator = np.random.default_rng(seed)
    drawn = np.column_stack([codes, *(_shuffled(codes, sites, generator) for _ in range(n_permutations))])
    predicted = np.empty(drawn.shape)
    for train, test in folds:
        steps = make_pipeline(StandardScaler(), _components(features[train], seed))
        inside, outside = steps.fit_transform(features[train]), steps.transform(features[test])
        if classes:
            predicted[test] = log_odds(inside, drawn[train], outside, strength=0.01)
        else:
            predicted[test] = _ridge(inside, drawn[train], outside)
    scores = _areas_under_roc(drawn, predicted) if classes else _correlations(drawn, predicted)
    return Prediction(
        float(scores[0]),
        "auc" if classes else "r",
        _second_score(codes, predicted[:, 0], classes),
        "balanced_accuracy" if classes else "r2",
        float((scores >= scores[0] - 1e-12).mean()),  # the observed one is among them
        len(target),
        len(folds),
        n_permutations,
        blocked,
    )


def _coded(target: np.ndarray) -> np.ndarray:
    levels, codes = np.unique(target, return_inverse=True)
    if len(levels) != 2:
        raise InputError(f"has {len(levels)} classes; two can be predicted.")
    return codes.astype(float)


def _centred(values: np.ndarray, sites: np.ndarray) -> np.ndarray:
    centred = np.array(values, dtype=float)
    for site in np.unique(sites):
        centred[sites == site] -= centred[sites == site].mean(axis=0)
    return centred


def _folds(codes: np.ndarray, sites: np.ndarray, classes: bool, seed: int) -> tuple[list[Any], bool]:
    from sklearn.model_selection import GroupKFold, KFold

    n_sites = len(np.unique(sites))
    n_folds = min(N_FOLDS, n_sites) if n_sites > 1 else N_FOLDS
    if len(codes) < 2 * N_FOLDS or np.ptp(codes) == 0:
        raise InputError(
            f"has {len(codes)} usable participants: too few, or too equal, for a cross-validated prediction."
        )
    placeholder = np.zeros((len(codes), 1))
    if n_sites > 1:
        folds = list(GroupKFold(n_folds).split(placeholder, codes, sites))
    else:
        # not stratified: folds that know the true classes, but no permuted ones, would favour the true ones
        folds = list(KFold(n_folds, shuffle=True, random_state=seed).split(placeholder))
    if classes and any(len(np.unique(codes[train])) < 2 for train, _ in folds):
        raise InputError(
            "has a class that is missing where the prediction is learnt (other sites, or other folds): too few of it."
        )
    return folds, n_sites > 1


def _components(features: np.ndarray, seed: int) -> PCA:
    from sklearn.decomposition import PCA

    count = min(N_COMPONENTS, features.shape[0] - 1, features.shape[1])
    return PCA(count, svd_solver="randomized" if count < min(features.shape) else "full", random_state=seed)


def _shuffled(codes: np.ndarray, sites: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    shuffled = np.empty(len(codes))
    order = np.argsort(sites, kind="stable")
    shuffled[order] = codes[np.lexsort((generator.random(len(codes)), sites))]
    return shuffled


def _ridge(train: np.ndarray, targets: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Fit all permutations of the target at once: they share the decomposition of the features."""
    from sklearn.linear_model import RidgeCV

    return RidgeCV(_PENALTIES, alpha_per_target=True).fit(train, targets).predict(test).reshape(len(test), -1)


def _areas_under_roc(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Per column, the area under the ROC curve by the rank sum of the second class."""
    from scipy.stats import rankdata

    positive = truth.sum(axis=0)
    ranks = (rankdata(predicted, axis=0) * truth).sum(axis=0)
    return (ranks - positive * (positive + 1) / 2) / (positive * (len(truth) - positive))


def _correlations(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    truth, predicted = truth - truth.mean(axis=0), predicted - predicted.mean(axis=0)
    length = np.linalg.norm(truth, axis=0) * np.linalg.norm(predicted, axis=0)
    return np.divide((truth * predicted).sum(axis=0), length, out=np.zeros(len(length)), where=length > 0)


def _second_score(truth: np.ndarray, predicted: np.ndarray, classes: bool) -> float:
    from sklearn.metrics import balanced_accuracy_score

    if classes:
        return float(balanced_accuracy_score(truth, predicted > 0))
    return float(1 - ((truth - predicted) ** 2).sum() / ((truth - truth.mean()) ** 2).sum())

"""Many logistic regressions at once are scikit-learn's, one by one."""

import warnings

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from scaae_nipype.evaluation.group import logistic
from scaae_nipype.evaluation.group.logistic import log_odds


def scikit_learns(train, target, test):
    model = LogisticRegression(C=0.01, class_weight="balanced", solver="lbfgs", tol=1e-10, max_iter=10_000)
    return model.fit(train, target).decision_function(test)


@pytest.mark.parametrize(("n", "share", "scale"), [(60, 0.5, 1.0), (200, 0.1, 1.0), (90, 0.3, 30.0)])
def test_log_odds_are_scikit_learns(n, share, scale, monkeypatch):
    """Small and large samples, rare classes, and features so strong that the classes are separable."""
    rng = np.random.default_rng(n)
    train, test = scale * rng.standard_normal((n, 12)), scale * rng.standard_normal((20, 12))
    targets = (rng.random((n, 9)) < share).astype(float)
    targets[:2] = [[0.0], [1.0]]
    targets[:, 0] = train[:, 0] > 0
    monkeypatch.setattr(logistic, "_VALUES_AT_ONCE", 4 * train.size)  # in three parts
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = log_odds(train, targets, test, strength=0.01)
    expected = np.column_stack([scikit_learns(train, target, test) for target in targets.T])
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_a_target_of_one_class_predicts_nothing():
    train = np.random.default_rng(0).standard_normal((30, 3))
    targets = np.column_stack([np.ones(30), train[:, 0] > 0]).astype(float)
    found = log_odds(train, targets, train, strength=0.01)
    assert not found[:, 0].any() and found[:, 1].any()


def test_features_that_do_not_vary_are_no_trouble():
    targets = np.tile([0.0, 1.0], 15)[:, None]
    found = log_odds(np.zeros((30, 2)), targets, np.zeros((4, 2)), strength=0.01)
    np.testing.assert_allclose(found, 0, atol=1e-9)

"""Features of the code, and predictions: planted signal found, noise not, sites never split."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from scaae_nipype.errors import InputError
from scaae_nipype.evaluation.group import prediction as biomarkers
from scaae_nipype.evaluation.group.prediction import code_features, feature_names, predict, summarise_code


def test_features_are_numpys_mean_and_covariance():
    code = np.random.default_rng(0).standard_normal((40, 5))
    spoilt = np.vstack([code, np.full((2, 5), np.nan)])
    features = code_features([summarise_code(spoilt)])
    np.testing.assert_allclose(features[:5], code.mean(0))
    np.testing.assert_allclose(features[5:], np.cov(code.T)[np.triu_indices(5)])
    assert len(feature_names([f"code{n}" for n in range(5)])) == len(features)


def test_runs_are_joined_without_the_shift_between_them():
    code = np.random.default_rng(1).standard_normal((40, 4))
    one = code_features([summarise_code(code)])
    shifted = code_features([summarise_code(code), summarise_code(code + 10)])
    np.testing.assert_allclose(shifted[:4], one[:4] + 5)
    np.testing.assert_allclose(shifted[4:], one[4:] * 39 / 40 * 80 / 78)


def test_a_run_without_volumes_gives_no_features():
    with pytest.raises(InputError, match="two kept volumes"):
        code_features([summarise_code(np.full((4, 3), np.nan))])


def planted(n: int = 120, strength: float = 0.0):
    rng = np.random.default_rng(2)
    sites = np.repeat(np.arange(4), n // 4)
    target = rng.standard_normal(n) + sites
    features = rng.standard_normal((n, 80)) + rng.standard_normal((4, 80))[sites]
    features[:, :20] += strength * (target - sites)[:, None]
    return features, target, sites


@pytest.mark.parametrize("classes", [False, True])
def test_planted_signal_is_predicted_across_sites(classes):
    features, target, sites = planted(strength=1.0)
    target = (target > sites).astype(str) if classes else target
    found = predict(features, target, classes=classes, sites=sites, n_permutations=60)
    assert found.p == pytest.approx(1 / 61)
    assert found.blocked and found.n_folds == 4
    assert found.score > (0.7 if classes else 0.5)
    assert found.score_name == ("auc" if classes else "r")
    assert found.second_name == ("balanced_accuracy" if classes else "r2")


@pytest.mark.parametrize("classes", [False, True])
def test_noise_is_predicted_as_often_as_chance_allows(classes):
    """40 draws of noise, half of them with sites: the share of p <= 0.2 lies within 2.7 standard errors."""
    p = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        features, target = rng.standard_normal((24, 6)), rng.standard_normal(24)
        target = np.where(target > 0, "yes", "no") if classes else target
        sites = np.repeat([0, 1, 2], 8) if seed % 2 else None
        p.append(predict(features, target, classes=classes, sites=sites, n_permutations=19, seed=seed).p)
    assert 0.03 <= np.mean(np.array(p) <= 0.2) <= 0.37


def test_what_only_the_site_tells_does_not_help():
    """The target is the site's level plus noise, the features know the site: within sites there is nothing."""
    features, target, sites = planted()
    found = predict(features, target, classes=False, sites=sites, n_permutations=60)
    assert found.p > 0.05


def test_scores_are_scikit_learns_and_numpys():
    rng = np.random.default_rng(5)
    truth, predicted = (rng.random((30, 4)) > 0.6).astype(float), rng.standard_normal((30, 4)).round(1)
    expected = [roc_auc_score(one, other) for one, other in zip(truth.T, predicted.T, strict=True)]
    np.testing.assert_allclose(biomarkers._areas_under_roc(truth, predicted), expected)
    expected = [np.corrcoef(one, other)[0, 1] for one, other in zip(truth.T, predicted.T, strict=True)]
    np.testing.assert_allclose(biomarkers._correlations(truth, predicted), expected)
    assert biomarkers._correlations(truth[:, :1], np.ones((30, 1))) == 0


def test_refusals():
    features, _, sites = planted()
    with pytest.raises(InputError, match="3 classes; two"):
        predict(features, np.tile(["a", "b", "c"], 40), classes=True)
    with pytest.raises(InputError, match="a class that is missing where"):
        predict(features, np.repeat(["a", "b"], 60), classes=True, sites=np.repeat([0, 1], 60))
    with pytest.raises(InputError, match="too few"):
        predict(features[:6], np.arange(6.0), classes=False)
    with pytest.raises(InputError, match="too equal"):
        predict(features, np.ones(120), classes=False, sites=sites)

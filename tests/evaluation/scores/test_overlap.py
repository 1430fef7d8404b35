from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import average_precision_score, f1_score, jaccard_score

from scaae_nipype.evaluation.scores import overlap
from scaae_nipype.maps import THRESHOLD, binarise, scale

values = st.floats(-100, 100, width=32)
maps_of = arrays(np.float32, (3, 40), elements=values)
coarse_maps = arrays(np.float32, (3, 40), elements=st.integers(-3, 3).map(float))
templates_of = arrays(bool, (2, 40)).filter(lambda t: t.any(axis=1).all())


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_iou_and_dice_agree_with_scikit_learn(rng):
    maps, templates = rng.random((4, 200)) < 0.3, rng.random((3, 200)) < 0.2
    for i, k in np.ndindex(4, 3):
        assert overlap.iou(maps, templates)[i, k] == pytest.approx(jaccard_score(templates[k], maps[i]))
        assert overlap.dice(maps, templates)[i, k] == pytest.approx(f1_score(templates[k], maps[i]))


def test_iou_and_dice_of_nothing_with_nothing_is_0():
    empty = np.zeros((1, 5), bool)
    assert overlap.iou(empty, empty) == 0
    assert overlap.dice(empty, empty) == 0


@given(arrays(bool, (2, 30)), arrays(bool, (2, 30)))
def test_dice_follows_from_iou(maps, templates):
    score = overlap.iou(maps, templates)
    np.testing.assert_allclose(overlap.dice(maps, templates), 2 * score / (1 + score), atol=1e-6)


def test_threshold_curve_at_the_papers_threshold_is_the_iou(rng):
    maps, templates = scale(rng.standard_normal((3, 100))), rng.random((2, 100)) < 0.2
    curve, density = overlap.threshold_curve(maps, templates, [0.1, THRESHOLD, 0.9])
    assert curve.shape == (3, 3, 2)
    np.testing.assert_array_equal(curve[1], overlap.iou(binarise(maps), templates))
    np.testing.assert_allclose(density[1], binarise(maps).mean(axis=1), rtol=1e-6)
    assert not np.allclose(curve[0], curve[2])


def test_a_threshold_curve_of_many_maps_agrees_with_scikit_learn(rng):
    maps, templates = scale(rng.standard_normal((35, 60))), rng.random((2, 60)) < 0.2
    templates[1] = False
    curve, _ = overlap.threshold_curve(maps, templates, [0.2, 1.0])
    expected = [jaccard_score(templates[0], own > 0.2 * own.max()) for own in maps]
    np.testing.assert_allclose(curve[0, :, 0], expected, rtol=1e-5)
    assert not curve[1].any() and not curve[..., 1].any()  # nothing exceeds its own maximum


def test_chance_iou_is_what_independent_maps_reach(rng):
    maps = rng.random((60, 20000)) < 0.36
    found = overlap.iou(maps[:30], maps[30:]).mean()
    assert found == pytest.approx(overlap.chance_iou(0.36), abs=1e-3)


@given(maps_of, templates_of)
def test_average_precision_is_scikit_learns(maps, templates):
    _agree_with_scikit_learn(maps, templates)


@given(coarse_maps, templates_of)
def test_average_precision_is_scikit_learns_with_many_ties(maps, templates):
    _agree_with_scikit_learn(maps, templates)


def _agree_with_scikit_learn(maps, templates):
    found = overlap.average_precision(maps, templates)
    for i, k in np.ndindex(found.shape):
        assert found[i, k] == pytest.approx(average_precision_score(templates[k], maps[i]), abs=1e-12)


def test_size_matched_iou_takes_as_many_voxels_as_the_template_has(rng):
    maps, templates = rng.standard_normal((3, 300)), rng.random((2, 300)) < 0.1
    found = overlap.size_matched_iou(maps, templates)
    for i, k in np.ndindex(found.shape):
        cut = np.sort(maps[i])[-templates[k].sum()]
        assert found[i, k] == pytest.approx(overlap.iou(maps[i : i + 1] >= cut, templates[k : k + 1])[0, 0])


def test_size_matched_iou_with_ties_is_the_mean_overlap_over_their_orders():
    # the highest voxel, then three equal ones of which two places are to be filled: on average 2/3 of the one hit
    maps, template = np.array([[5.0, 1.0, 1.0, 1.0, 0.0]]), np.array([[True, True, False, False, True]])
    intersection = 1 + 2 / 3
    assert overlap.size_matched_iou(maps, template)[0, 0] == pytest.approx(intersection / (6 - intersection))


def test_a_constant_map_scores_chance():
    template = np.array([[True] * 3 + [False] * 7])
    precision, matched = overlap.rank_scores(np.ones((1, 10)), template)
    assert precision[0, 0] == pytest.approx(0.3)
    assert matched[0, 0] == pytest.approx(0.9 / (6 - 0.9))


@given(maps_of, templates_of)
def test_monotone_rescaling_moves_no_rank_score(maps, templates):
    # a power of two as factor loses no bit, so no ties appear or vanish
    for before, after in zip(
        overlap.rank_scores(maps, templates), overlap.rank_scores(np.ldexp(maps, 3), templates), strict=True
    ):
        np.testing.assert_array_equal(before, after)


@given(coarse_maps, templates_of, st.randoms(use_true_random=False))
def test_rank_scores_do_not_depend_on_the_order_of_voxels(maps, templates, random):
    order = random.sample(range(40), 40)
    for before, after in zip(
        overlap.rank_scores(maps, templates), overlap.rank_scores(maps[:, order], templates[:, order]), strict=True
    ):
        np.testing.assert_allclose(before, after)


def test_zero_of_either_sign_is_one_value():
    template = np.array([[True, False]])
    assert overlap.average_precision(np.array([[-0.0, 0.0]]), template) == 0.5
    assert overlap.average_precision(np.array([[0.0, -0.0]]), template) == 0.5


def test_a_perfect_map_reaches_1_in_every_score(rng):
    template = rng.random((1, 100)) < 0.2
    maps = template + 0.1 * rng.random((1, 100))
    assert overlap.rank_scores(maps, template)[0] == 1
    assert overlap.rank_scores(maps, template)[1] == 1
    assert overlap.iou(binarise(scale(maps)), template) == 1


def test_rank_scores_of_an_empty_template_are_missing(rng):
    precision, matched = overlap.rank_scores(rng.random((2, 10)), np.zeros((1, 10), bool))
    assert np.isnan(precision).all()
    assert np.isnan(matched).all()


def test_pearson_r_agrees_with_numpy_and_is_missing_for_constants(rng):
    maps, templates = rng.standard_normal((3, 50)) + 100, rng.standard_normal((2, 50))
    np.testing.assert_allclose(overlap.pearson_r(maps, templates), np.corrcoef(maps, templates)[:3, 3:], atol=1e-4)
    assert np.isnan(overlap.pearson_r(np.full((1, 50), 0.1), templates)).all()


def test_the_square_root_of_a_scaled_map_correlates_as_the_signed_map(rng):
    signed, templates = rng.standard_normal((3, 50)), rng.standard_normal((2, 50))
    np.testing.assert_allclose(
        overlap.pearson_r(np.sqrt(scale(signed)), templates), overlap.pearson_r(signed, templates), atol=1e-5
    )


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_best_of_n_is_the_mean_maximum_over_all_subsets(rng, n):
    scores = rng.random(8)
    expected = np.mean([max(subset) for subset in combinations(scores, n)])
    assert overlap.best_of_n(scores, n) == pytest.approx(expected)


def test_best_of_20_of_fewer_candidates_is_the_maximum(rng):
    scores = rng.random((19, 3))
    np.testing.assert_array_equal(overlap.best_of_n(scores), scores.max(axis=0))


def test_best_of_n_ignores_missing_candidates(rng):
    scores = rng.random((30, 2))
    scores[5:10, 0] = np.nan
    scores[:, 1] = np.nan
    found = overlap.best_of_n(scores)
    assert found[0] == pytest.approx(overlap.best_of_n(np.delete(scores[:, 0], slice(5, 10))))
    assert np.isnan(found[1])


def test_best_of_20_stays_exact_for_thousands_of_candidates():
    # the expected maximum of n out of the integers 1 … T is n (T + 1) / (n + 1)
    assert overlap.best_of_n(np.arange(1.0, 5001), 20) == pytest.approx(20 * 5001 / 21)

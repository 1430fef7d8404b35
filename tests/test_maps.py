"""What all rooms share of maps: equation 9, the paper's threshold, and the names of methods and scores."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from scaae_nipype.maps import (
    BRANCHES,
    DECIDING,
    LABELS,
    NO_NETWORK,
    SCORE_LABELS,
    SCORES,
    are_constant,
    binarise,
    scale,
)

MAPS = arrays(np.float32, (3, 20), elements=st.floats(-1e3, 1e3, width=32))


@given(MAPS)
def test_scaling_is_within_bounds_and_keeps_the_order(maps):
    scaled = scale(maps)
    assert scaled.min() >= 0
    assert scaled.max() <= 1
    for before, after in zip(maps, scaled, strict=True):
        assert (np.diff(after[np.argsort(before, kind="stable")]) >= 0).all()
        if np.ptp(before) > 0:
            assert after.max() == 1
            assert after.min() == 0
        else:
            assert not after.any()


def test_scaling_is_blind_to_an_affine_change():
    maps = np.random.default_rng(0).standard_normal((2, 50))
    np.testing.assert_allclose(scale(3 * maps + 7), scale(maps), atol=1e-5)


def test_scale_is_equation_9():
    assert scale([[2.0, 4.0, 6.0]]).tolist() == [[0.0, 0.25, 1.0]]
    assert scale([[7.0, 7.0]]).tolist() == [[0.0, 0.0]]
    assert scale([2.0, 4.0, 6.0]).tolist() == [0.0, 0.25, 1.0]


def test_scaling_leaves_its_argument_alone_and_makes_nothing_of_maps_that_are_no_numbers():
    maps = np.array([[1.0, np.nan, 3.0], [1.0, 2.0, 3.0]], dtype=np.float32)
    before = maps.copy()
    assert scale(maps).tolist() == [[0, 0, 0], [0, 0.25, 1]]
    np.testing.assert_array_equal(maps, before)


@given(MAPS)
def test_what_is_binarised_is_marked_after_equation_9_by_the_paper_s_threshold_alone(maps):
    np.testing.assert_array_equal(binarise(scale(maps)), scale(maps) > 0.3)


def test_binarise_is_relative_to_each_maps_own_maximum_and_strict():
    maps = np.array([[0.3, 0.31, 1.0], [3.0, 3.1, 10.0]])
    assert binarise(maps).tolist() == [[False, True, True]] * 2


def test_binarise_drops_negative_values_of_a_negative_map():
    assert not binarise(np.array([[-1.0, -3.0, -2.0]])).any()


@given(MAPS)
def test_maps_are_constant_where_nothing_of_them_is_left_after_scaling(maps):
    np.testing.assert_array_equal(are_constant(maps), ~scale(maps).any(axis=-1))


def test_every_method_of_the_tables_and_every_deciding_score_has_a_label():
    assert tuple(LABELS) == BRANCHES + NO_NETWORK
    assert set(DECIDING) <= set(SCORE_LABELS) <= set(SCORES)
    assert SCORE_LABELS["iou"] == "IoU at 0.3"

"""Intraclass correlations against published numbers and against planted variances."""

import numpy as np
import pytest

from scaae_nipype.errors import InputError
from scaae_nipype.evaluation.group.reliability import intraclass_correlation

SHROUT_FLEISS = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]])


def test_the_example_of_shrout_and_fleiss():
    """Their Table 4: 0.29 and 0.71; limits as R's psych::ICC and pingouin give them for these data."""
    found = intraclass_correlation(SHROUT_FLEISS)
    assert (found.n_participants, found.n_repeats) == (6, 4)
    assert found.icc_2_1 == pytest.approx(0.29, abs=0.005)
    assert found.icc_3_1 == pytest.approx(0.715, abs=0.005)
    assert found.icc_2_1_limits == pytest.approx((0.02, 0.76), abs=0.005)
    assert found.icc_3_1_limits == pytest.approx((0.34, 0.95), abs=0.005)


def test_planted_variances():
    rng = np.random.default_rng(0)
    people, shift = rng.normal(0, 1, (4000, 1)), np.array([[-1.0, 1.0]])
    noise = rng.normal(0, 1, (4000, 2))
    found = intraclass_correlation(people + noise)
    assert found.icc_2_1 == pytest.approx(0.5, abs=0.03)
    assert found.icc_2_1_limits[0] < 0.5 < found.icc_2_1_limits[1]
    shifted = intraclass_correlation(people + shift + noise)
    assert shifted.icc_3_1 == pytest.approx(found.icc_3_1)  # a shift from repeat to repeat does not count
    assert shifted.icc_2_1 == pytest.approx(1 / 4, abs=0.03)  # 1 / (1 + 1 + 2), the shift's variance being 2


def test_perfect_and_constant():
    exact = intraclass_correlation(np.tile(np.arange(5.0)[:, None], 3))
    assert (exact.icc_2_1, exact.icc_3_1) == (1, 1)
    assert np.isnan(intraclass_correlation(np.full((5, 2), 0.3)).icc_2_1)


@pytest.mark.parametrize("values", [np.ones((1, 2)), np.ones((3, 1)), np.array([[1, np.nan], [2, 3]])])
def test_too_little(values):
    with pytest.raises(InputError, match="two participants with two measurements"):
        intraclass_correlation(values)

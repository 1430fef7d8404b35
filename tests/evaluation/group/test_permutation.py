"""Permutation tests: the observed statistic against scipy and least squares, calibration, blocks, missing values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from scaae_nipype.errors import InputError
from scaae_nipype.evaluation.group.permutation import freedman_lane


def ordinary_t(y: np.ndarray, design: np.ndarray) -> float:
    """T of the first column by the textbook formula."""
    inverse = np.linalg.inv(design.T @ design)
    coefficients = inverse @ design.T @ y
    rest = y - design @ coefficients
    variance = rest @ rest / (len(y) - design.shape[1])
    return coefficients[0] / np.sqrt(variance * inverse[0, 0])


def robust_t(y: np.ndarray, design: np.ndarray) -> float:
    """T of the first column with the HC2 covariance, by the textbook formula."""
    inverse = np.linalg.inv(design.T @ design)
    leverage = np.einsum("ij,jk,ik->i", design, inverse, design)
    rest = y - design @ (inverse @ design.T @ y)
    covariance = inverse @ (design.T * (rest**2 / (1 - leverage))) @ design @ inverse
    return (inverse @ design.T @ y)[0] / np.sqrt(covariance[0, 0])


@pytest.mark.parametrize("pooled", [False, True])
def test_two_groups_give_welchs_t_or_students(pooled):
    rng = np.random.default_rng(0)
    group = np.repeat([0.0, 1.0], [14, 9])
    y = rng.standard_normal((23, 3)) * (1 + group[:, None]) + group[:, None] * [1.0, 0.0, -0.5]
    found = freedman_lane(y, group, n_permutations=999, pooled=pooled)
    expected = stats.ttest_ind(y[group == 1], y[group == 0], equal_var=pooled)
    np.testing.assert_allclose(found.statistic, expected.statistic)
    np.testing.assert_allclose(found.estimate, y[group == 1].mean(0) - y[group == 0].mean(0))
    np.testing.assert_allclose(found.degrees_of_freedom, expected.df)
    np.testing.assert_allclose(found.p, expected.pvalue, atol=0.05)
    assert (found.p_corrected >= found.p).all()


def test_p_is_that_of_all_arrangements():
    """`scipy` goes through all 252 arrangements; t and its degrees of freedom order them almost alike."""
    rng = np.random.default_rng(11)
    a, b = rng.standard_normal(5) + 1.2, rng.standard_normal(5)

    def t(x, y, axis):
        return stats.ttest_ind(x, y, axis=axis, equal_var=False).statistic

    exact = stats.permutation_test((a, b), t, vectorized=True, n_resamples=np.inf, alternative="two-sided").pvalue
    found = freedman_lane(np.r_[a, b][:, None], np.repeat([1.0, 0.0], 5), n_permutations=4999)
    assert found.p[0] == pytest.approx(exact, abs=0.015)


def test_a_number_gives_the_t_of_its_correlation():
    rng = np.random.default_rng(1)
    x = rng.standard_normal(30)
    y = 0.5 * x + rng.standard_normal(30)
    r, p = stats.pearsonr(x, y)
    found = freedman_lane(y[:, None], x, pooled=True, n_permutations=1999)
    np.testing.assert_allclose(found.statistic, r * np.sqrt(28 / (1 - r**2)))
    np.testing.assert_allclose(found.estimate, stats.linregress(x, y).slope)
    assert abs(found.p[0] - p) < 0.02


def test_covariates_and_sites_are_in_the_model():
    rng = np.random.default_rng(2)
    site = np.repeat([0, 1, 2], 12)
    motion = rng.standard_normal(36)
    x = 0.6 * motion + site + rng.standard_normal(36)
    y = motion + 2 * site + rng.standard_normal(36)
    model = np.column_stack([x, motion, site[:, None] == np.arange(3)])
    for pooled, t in ((False, robust_t), (True, ordinary_t)):
        found = freedman_lane(y[:, None], x, motion, blocks=site, pooled=pooled, n_permutations=20)
        np.testing.assert_allclose(found.statistic[0], t(y, model))
        assert found.degrees_of_freedom[0] == pytest.approx(36 - 5)
    group = (x > 0.5).astype(float)
    found = freedman_lane(y[:, None], group, motion, blocks=site, n_permutations=20)
    np.testing.assert_allclose(found.statistic[0], robust_t(y, np.column_stack([group, model[:, 1:]])))
    assert found.degrees_of_freedom[0] < 36 - 5


def test_several_levels_give_welchs_analysis_of_variance():
    rng = np.random.default_rng(12)
    level = np.repeat([0, 1, 2], [8, 10, 12])
    y = rng.standard_normal(30) * (1 + level)
    found = freedman_lane(y[:, None], (level[:, None] == [1, 2]).astype(float), n_permutations=20)
    own = [y[level == k] for k in range(3)]
    mean, weight = (np.array([f(one) for one in own]) for f in (np.mean, lambda one: len(one) / one.var(ddof=1)))
    between = weight @ (mean - weight @ mean / weight.sum()) ** 2  # Welch (1951)
    assert found.statistic[0] == pytest.approx(between / 2)
    assert 7 <= found.degrees_of_freedom[0] <= 27


def test_several_levels_give_the_f_of_an_analysis_of_variance_if_pooled():
    rng = np.random.default_rng(3)
    level = np.repeat([0, 1, 2], [8, 10, 12])
    y = rng.standard_normal(30) + 0.5 * level
    found = freedman_lane(y[:, None], (level[:, None] == [1, 2]).astype(float), pooled=True, n_permutations=999)
    expected = stats.f_oneway(*(y[level == k] for k in range(3)))
    np.testing.assert_allclose(found.statistic[0], expected.statistic)
    assert abs(found.p[0] - expected.pvalue) < 0.03
    assert np.isnan(found.estimate[0])


def test_false_positives_are_as_many_as_asked_for():
    """Ten correlated outcomes, driven by motion, which the groups differ in: 5 % any rejection with the maximum."""
    rng = np.random.default_rng(4)
    smallest, first, naive = [], [], []
    for number in range(300):
        site = np.repeat([0, 1], 12)
        group = np.tile([0.0, 1.0], 12)
        motion = rng.standard_normal(24) + 1.5 * group
        shared = rng.standard_normal((24, 1))
        y = motion[:, None] + site[:, None] + shared + rng.standard_normal((24, 10))
        found = freedman_lane(y, group, motion, blocks=site, n_permutations=99, seed=number)
        smallest.append(found.p_corrected.min())
        first.append(found.p[0])
        if number % 10 == 0:
            naive.append(freedman_lane(y, group, blocks=site, n_permutations=99).p[0])
    assert 0.02 <= np.mean(np.array(smallest) <= 0.05) <= 0.085  # 300 draws: 0.05 +- 2.8 standard errors
    assert 0.02 <= np.mean(np.array(first) <= 0.05) <= 0.085
    assert np.mean(np.array(naive) <= 0.05) > 0.2  # the same data without the covariate


@pytest.mark.parametrize("levels", [(20, 10), (15, 15, 10)])
def test_false_positives_stay_where_the_small_group_varies_most(levels):
    """Three times the spread in the smallest group: a pooled spread rejects a quarter of such families by chance."""
    smallest = {False: [], True: []}
    group = np.repeat(np.arange(len(levels)), levels)
    effect = (group[:, None] == np.arange(1, len(levels))).astype(float)
    for number in range(300):
        rng = np.random.default_rng((9, number))
        y = rng.standard_normal((len(group), 6)) + rng.standard_normal((len(group), 1))
        y *= np.where(group == group.max(), 3, 1)[:, None]
        for pooled, p in smallest.items():
            if not pooled or number % 3 == 0:
                p.append(freedman_lane(y, effect, pooled=pooled, n_permutations=99, seed=number).p_corrected.min())
    assert np.mean(np.array(smallest[False]) <= 0.05) <= 0.1
    assert np.mean(np.array(smallest[True]) <= 0.05) > 0.15


def test_false_positives_stay_where_noise_grows_with_a_covariate_that_groups_differ_in():
    p = []
    for number in range(300):
        rng = np.random.default_rng((10, number))
        group = np.repeat([0.0, 1.0], [25, 15])
        motion = np.abs(rng.standard_normal(40)) + group
        y = motion[:, None] * (1 + rng.standard_normal((40, 4)))
        p.append(freedman_lane(y, group, motion, n_permutations=99, seed=number).p_corrected.min())
    assert np.mean(np.array(p) <= 0.05) <= 0.085


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    levels=st.integers(2, 3),
    scale=st.floats(0.01, 100),
    slope=st.floats(-10, 10),
    shift=st.floats(-100, 100),
)
def test_units_order_and_names_of_levels_do_not_matter(seed, levels, scale, slope, shift):
    rng = np.random.default_rng(seed)
    group, motion = np.tile(np.arange(levels), 8), rng.standard_normal(8 * levels)
    y = rng.standard_normal((len(group), 2)) * (1 + group[:, None])
    effect = (group[:, None] == np.arange(1, levels)).astype(float)
    found = freedman_lane(y, effect, motion, n_permutations=19)
    other = freedman_lane(scale * y + slope * motion[:, None] + shift, effect, 3 * motion - 1, n_permutations=19)
    for name in ("statistic", "degrees_of_freedom", "p", "p_corrected"):
        np.testing.assert_allclose(getattr(other, name), getattr(found, name), rtol=1e-6)
    order = rng.permutation(len(group))
    renamed = (group[order, None] == np.arange(levels - 1)).astype(float)  # another level is the reference
    other = freedman_lane(y[order], renamed, motion[order], n_permutations=19)
    np.testing.assert_allclose(np.abs(other.statistic), np.abs(found.statistic), rtol=1e-8)
    np.testing.assert_allclose(other.degrees_of_freedom, found.degrees_of_freedom, rtol=1e-8)


def test_a_planted_difference_is_found_beside_columns_without():
    rng = np.random.default_rng(5)
    group = np.tile([0.0, 1.0], 25)
    y = rng.standard_normal((50, 8))
    y[:, 3] += 1.5 * group
    found = freedman_lane(y, group, n_permutations=499)
    assert found.p_corrected[3] == pytest.approx(1 / 500)
    assert (np.delete(found.p_corrected, 3) > 0.05).all()


def test_participants_are_exchanged_within_blocks_only():
    """One participant per block and level: 2^4 arrangements, so no p below 1 / 8 (both signs)."""
    site = np.repeat(np.arange(4), 2)
    group = np.tile([0.0, 1.0], 4)
    y = (10 * group + site)[:, None] + np.array([0.1, 0, 0, 0.1, 0, 0, 0.1, 0.1])[:, None]
    within = freedman_lane(y, group, blocks=site, n_permutations=1999)
    assert within.p[0] == pytest.approx(1 / 8, abs=0.03)
    across = freedman_lane(y, group, n_permutations=1999)
    assert across.p[0] < 0.06  # 2 of 70 arrangements


def test_missing_values_leave_participants_out_of_that_outcome():
    rng = np.random.default_rng(6)
    group = np.tile([0.0, 1.0], 10)
    y = rng.standard_normal((20, 2))
    y[:5, 1] = np.nan
    found = freedman_lane(y, group, n_permutations=50)
    assert found.n.tolist() == [20, 15]
    expected = stats.ttest_ind(y[5:, 1][group[5:] == 1], y[5:, 1][group[5:] == 0], equal_var=False).statistic
    np.testing.assert_allclose(found.statistic[1], expected)


def test_an_outcome_that_one_participant_of_a_level_has_is_not_tested():
    group = np.repeat([0.0, 1.0], [10, 4])
    y = np.random.default_rng(7).standard_normal((14, 2))
    y[-3:, 1] = np.nan
    found = freedman_lane(y, group, n_permutations=50)
    assert np.isfinite(found.p[0]) and np.isnan([found.statistic[1], found.p[1], found.p_corrected[1]]).all()
    assert found.n.tolist() == [14, 11]
    with pytest.raises(InputError, match="a level with one participant"):
        freedman_lane(y[:11, :1], group[:11])


def test_an_outcome_without_variance_is_not_tested():
    y = np.column_stack([np.full(10, 0.3), np.arange(10.0)])
    found = freedman_lane(y, np.tile([0.0, 1.0], 5), n_permutations=20)
    assert np.isnan([found.statistic[0], found.p[0], found.p_corrected[0]]).all()
    assert np.isfinite(found.p_corrected[1])


def test_what_cannot_be_tested_is_refused():
    y, group = np.arange(8.0)[:, None], np.repeat([0.0, 1.0], 4)
    with pytest.raises(InputError, match="beyond what site and covariates explain"):
        freedman_lane(y, group, blocks=np.repeat([0, 1], 4))
    with pytest.raises(InputError, match="beyond what site and covariates explain"):
        freedman_lane(y, group, 3 * group + 1)
    with pytest.raises(InputError, match="only 2 participants with values"):
        freedman_lane(np.array([[1.0], [2.0], [np.nan]]), np.array([0.0, 1.0, 1.0]))


def test_statistics_and_both_kinds_of_p_are_nilearns():
    """`nilearn.mass_univariate.permuted_ols` is Freedman-Lane with the maximum statistic, written by others."""
    from nilearn.mass_univariate import permuted_ols

    rng = np.random.default_rng(8)
    motion = rng.standard_normal(40)
    x = 0.5 * motion + rng.standard_normal(40)
    y = motion[:, None] + rng.standard_normal((40, 4)) + rng.standard_normal((40, 1))
    y[:, 1] += 0.6 * x
    y[:, 2] -= 0.3 * x
    found = freedman_lane(y, x, motion, pooled=True, n_permutations=4999)
    theirs = permuted_ols(x[:, None], y, motion[:, None], n_perm=4999, random_state=1, output_type="dict")
    np.testing.assert_allclose(found.statistic, theirs["t"][0], rtol=1e-5)
    np.testing.assert_allclose(found.p_corrected, 10 ** -theirs["logp_max_t"][0], atol=0.03)

"""Tables over participants: planted means, participants as units, repetition times apart."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp

from scaae_nipype.errors import InputError
from scaae_nipype.evaluation.group.averages import (
    above_chance_table,
    count_participants,
    reliability_table,
    spread_over_participants,
    transition_means,
    unit_means,
)
from scaae_nipype.evaluation.group.comparison import compare_outcomes, design


def runs_of(*rows) -> pd.DataFrame:
    """Rows of participant, repeat, repetition time, site."""
    table = pd.DataFrame(rows, columns=["participant_id", "repeat", "repetition_time", "site"])
    table["run"] = table["participant_id"] + "_" + table["repeat"]
    return table.assign(task="rest", n_volumes=100, n_volumes_kept=90, mean_fd=np.arange(len(table)) / 10)


RUNS = runs_of(
    ("sub-1", "run-1", 2.0, "A"),
    ("sub-1", "run-2", 2.0, "A"),
    ("sub-2", "run-1", 2.0, "A"),
    ("sub-3", "run-1", 2.5, "B"),
    ("sub-4", "run-1", 2.0, np.nan),
)


def test_what_scores_have_above_chance_comes_with_its_interval_over_participants():
    rows = [
        {"run": run, "method": "fbn1", "template": template, "above_mean_r": above + shift, "chance_mean_r": 0.1}
        for run, above in zip(RUNS["run"], (0.1, 0.3, 0.4, 0.9, 0.6), strict=True)
        for template, shift in (("a", 0.05), ("b", -0.05), ("outside", np.nan))
    ]
    found = above_chance_table(pd.DataFrame(rows), RUNS, ["site"]).set_index(["column", "level", "repetition_time"])
    everybody = found.loc[("all", "all", 2.0)]
    assert (everybody["measure"], everybody["n_participants"]) == ("mean_r", 3)
    assert everybody["above"] == pytest.approx(0.4) and everybody["chance"] == pytest.approx(0.1)
    limits = ttest_1samp([0.2, 0.4, 0.6], 0).confidence_interval(0.95)  # sub-1's two runs are one
    assert [everybody["above_low"], everybody["above_high"]] == pytest.approx([*limits])
    assert np.isnan(found.loc[("all", "all", 2.5), "above_low"])
    assert above_chance_table(pd.DataFrame(rows)[["run", "method", "template"]], RUNS).empty


def test_counts_by_site_and_repetition_time():
    found = count_participants(RUNS, ["site"]).set_index(["column", "level", "repetition_time"])
    assert found.loc[("all", "all", 2.0), ["n_participants", "n_runs", "n_volumes"]].tolist() == [3, 4, 400]
    assert found.loc[("all", "all", 2.5), "n_participants"] == 1
    assert found.loc[("site", "A", 2.0), ["n_participants", "n_runs"]].tolist() == [2, 3]
    assert found.loc[("site", "A", 2.0), "mean_fd"] == pytest.approx((0.05 + 0.2) / 2)  # sub-1's two runs are one
    assert np.isnan(found.loc[("all", "all", 2.5), "sd_fd"])
    assert len(found) == 4  # nobody without a site has one


def test_participants_are_the_units():
    table = pd.DataFrame({"run": RUNS["run"], "lag": 1, "mean_iou": [0.2, 0.4, 0.5, 0.9, 0.1]})
    means = unit_means(table, RUNS, ["lag"], ["mean_iou"])
    assert means["mean_iou"].round(6).tolist() == [0.3, 0.5, 0.9, 0.1]
    found = spread_over_participants(table, RUNS, columns=["site"], keys=["lag"], values=["mean_iou", "absent"])
    found = found.set_index(["level", "repetition_time"])
    assert found.loc[("A", 2.0), "mean_iou_mean"] == pytest.approx(0.4)
    assert found.loc[("A", 2.0), "mean_iou_sd"] == pytest.approx(np.std([0.3, 0.5], ddof=1))
    assert found.loc[("all", 2.0), "mean_iou_mean"] == pytest.approx(0.3)  # never with the run of 2.5 s
    assert found.loc[("B", 2.5), "n_participants"] == 1


def test_transitions_are_summed_over_runs_and_averaged_over_participants():
    rows = []
    for run, counts in {
        "sub-1_run-1": (3, 1),
        "sub-1_run-2": (0, 4),
        "sub-2_run-1": (0, 2),
        "sub-4_run-1": (0, 0),
    }.items():
        rows += [(run, "fbn1", "x", to, count) for to, count in zip("xy", counts, strict=True)]
    found = transition_means(pd.DataFrame(rows, columns=["run", "method", "from", "to", "count"]), RUNS)
    to_y = found[found["to"] == "y"].iloc[0]
    assert (to_y["count"], to_y["n_participants"]) == (7, 2)  # sub-4 was never in x
    assert to_y["probability_mean"] == pytest.approx((5 / 8 + 1) / 2)


def test_reliability_of_planted_repeats():
    rng = np.random.default_rng(0)
    rows, values = [], []
    for person in range(300):
        trait = rng.normal()
        for repeat in ("run-1", "run-2", *(["run-3"] if person < 20 else [])):
            rows.append((f"sub-{person}", repeat, 2.0, "A"))
            values.append(trait + rng.normal())
    runs = runs_of(*rows)
    found = reliability_table(
        pd.DataFrame({"run": runs["run"], "x": values, "method": "fbn1"}), runs, keys=["method"], values=["x"]
    )
    row = found.iloc[0]
    assert (row["n_participants"], row["n_repeats"], row["repeats"]) == (300, 2, "run-1, run-2")  # few have run-3
    assert row["icc_3_1_low"] < 0.5 < row["icc_3_1_high"]
    once = reliability_table(pd.DataFrame({"run": RUNS["run"], "x": 1.0}), RUNS, keys=[], values=["x"])
    assert once.empty


def people_of(n: int) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"dx": np.tile(["adhd", "control"], n // 2), "site": np.repeat(["A", "B"], n // 2)})
    table["motion"], table["age"] = rng.standard_normal(n), [str(8 + number / 2) for number in range(n)]
    table.index = [f"sub-{number}" for number in range(n)]
    return table


def test_a_planted_difference_is_named():
    people = people_of(40)
    noise = np.random.default_rng(2).standard_normal((40, 3))
    outcomes = pd.DataFrame(noise, index=people.index, columns=["fbn1 Visual", "fbn1 Auditory", "rare"])
    outcomes["fbn1 Visual"] += 2.0 * (people["dx"] == "control")
    outcomes.loc[outcomes.index[:30], "rare"] = np.nan
    people.loc["sub-0", "dx"] = np.nan
    found = compare_outcomes(
        {"iou": outcomes}, people, "dx", covariates=["motion", "age"], site="site", n_permutations=199
    ).set_index("outcome")
    assert found.loc["fbn1 Visual", "contrast"] == "control - adhd"
    assert found.loc["fbn1 Visual", "estimate"] == pytest.approx(2.0, abs=0.8)
    assert found.loc["fbn1 Visual", "p_corrected"] < 0.05 < found.loc["fbn1 Auditory", "p_corrected"]
    assert (found["n_participants"] == 39).all()
    assert "rare" not in found.index  # fewer than half have it
    assert found.loc["fbn1 Visual", "degrees_of_freedom"] == pytest.approx(39 - 2 - 2 - 1, abs=1)


def test_columns_of_numbers_and_of_categories():
    numbers, contrast = design(pd.Series([str(number) for number in range(10)], name="age"))
    assert numbers["age"].tolist() == list(range(10))
    assert contrast == "per unit of age"
    three, contrast = design(pd.Series(["a", "b", "c"] * 4))
    assert list(three) == ["b", "c"]
    assert contrast == "any difference"
    with pytest.raises(InputError, match="same value for everybody"):
        design(pd.Series(["a", "a"]))
    with pytest.raises(InputError, match="12 levels for 12"):
        design(pd.Series(list("abcdefghijkl")))


def test_an_effect_that_is_the_site_is_refused():
    people = people_of(20).assign(dx=lambda table: table["site"])
    with pytest.raises(InputError, match="'dx' does not vary beyond"):
        compare_outcomes({"x": pd.DataFrame({"y": np.arange(20.0)}, index=people.index)}, people, "dx", site="site")
    with pytest.raises(InputError, match="no participant has a value"):
        compare_outcomes({}, people.assign(dx=np.nan), "dx")

"""States and scores locked to a task: what is planted is found, what is not is not, and what is unusable is said."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaae_nipype.errors import InputError
from scaae_nipype.evaluation import condition_regressors, event_locking, lock_to_events, read_events
from scaae_nipype.evaluation.events import MOST_CONDITIONS
from scaae_nipype.files import read_json, read_table, write_table

N_VOLUMES, REPETITION_TIME = 150, 2.0
RNG = np.random.default_rng(5)


def blocks(seed=0, conditions=("faces", "houses", "words")):
    """Blocks of 20 s with 10 s between, in random order."""
    onsets = np.arange(10.0, 290, 30)
    order = np.random.default_rng(seed).permutation(np.resize(conditions, len(onsets)))
    return pd.DataFrame({"onset": onsets, "duration": 20.0, "trial_type": order})


def slow_noise(n, count, rng, memory=0.8):
    noise = rng.standard_normal((n + 50, count))
    for row in range(1, len(noise)):
        noise[row] += memory * noise[row - 1]
    return noise[50:]


@pytest.fixture
def events(tmp_path):
    def write(table=None):
        return write_table(blocks() if table is None else table, tmp_path / "sub-01_task-x_events.tsv")

    return write


@pytest.fixture
def locked(tmp_path, events):
    """Write tables in which branch 1 follows the faces in template ``left``; lock them to events."""
    predicted = condition_regressors(read_events(events()), N_VOLUMES, REPETITION_TIME)
    kept = np.ones(N_VOLUMES, int)
    kept[[0, 1, 60, 61]] = 0
    noise = slow_noise(N_VOLUMES, 6, np.random.default_rng(1))
    scores = {"kept": kept}
    for number, column in enumerate(f"{method}_{name}" for method in ("fbn1", "volume") for name in ("left", "right")):
        scores[column] = 0.2 + 0.02 * noise[:, number]
    scores["fbn1_left"] = scores["fbn1_left"] + 0.1 * predicted["faces"].to_numpy()
    state = np.where(predicted["faces"] > 0.5, "left", np.where(noise[:, 5] > 0, "right", "unassigned"))
    states = {"kept": kept, "fbn1_state": state, "volume_state": np.where(noise[:, 4] > 0, "left", "right")}
    scores, states = pd.DataFrame(scores), pd.DataFrame(states)
    scores.loc[kept == 0, scores.columns[1:]], states.loc[kept == 0, states.columns[1:]] = np.nan, np.nan
    paths = {"scores": write_table(scores, tmp_path / "scores.tsv")}
    paths |= {"states": write_table(states, tmp_path / "states.tsv"), "repetition_time": REPETITION_TIME}

    def lock(table=None, **more):
        out, metadata = lock_to_events(**paths | more, events=events(table), out_dir=tmp_path / "out")
        return read_table(out).set_index(["method", "measure", "condition", "template"]), read_json(metadata)

    return lock


# ---- the prediction ----------------------------------------------------------------------------------------------


def test_a_long_block_rises_to_its_plateau_and_starts_with_it():
    predicted = condition_regressors(pd.DataFrame({"onset": [40.0], "duration": [60.0], "condition": ["a"]}), 140, 1.0)[
        "a"
    ]
    assert abs(predicted[:40]).max() < 1e-3
    assert predicted[70:95].to_numpy() == pytest.approx(1.0, abs=0.05)  # the response's integral is 1
    assert predicted[105:].min() < -0.1  # and ends with the undershoot


def test_predictions_of_conditions_add_up_to_that_of_all_events():
    table = blocks().rename(columns={"trial_type": "condition"})
    apart = condition_regressors(table, N_VOLUMES, REPETITION_TIME).sum(axis=1)
    together = condition_regressors(table.assign(condition="all"), N_VOLUMES, REPETITION_TIME)["all"]
    np.testing.assert_allclose(apart, together, atol=1e-9)


def test_volumes_that_count_as_taken_later_see_more_of_the_response():
    table = pd.DataFrame({"onset": [10.0], "duration": [2.0], "condition": ["a"]})
    late = condition_regressors(table, 30, 2.0, start_time=1.0)["a"].to_numpy()
    fine = condition_regressors(table, 60, 1.0)["a"].to_numpy()
    np.testing.assert_allclose(late, fine[1::2], atol=0.02 * fine.max())


# ---- the test ----------------------------------------------------------------------------------------------------


def test_r_is_pearsons_over_kept_volumes_and_p_counts_all_shifts():
    """Against a plain loop over shifts."""
    series, predicted = slow_noise(60, 3, RNG), slow_noise(60, 1, RNG)[:, 0]
    kept = np.ones(60, bool)
    kept[[3, 4, 30]] = False
    r = np.array(
        [[np.corrcoef(np.roll(predicted, shift)[kept], series[kept, j])[0, 1] for j in range(3)] for shift in range(60)]
    )
    found = event_locking(series, predicted, kept)
    np.testing.assert_allclose(found.r, r[0])
    np.testing.assert_allclose(found.p, (abs(r) >= abs(r[0]) - 1e-12).mean(axis=0))
    largest = abs(r).max(axis=1, keepdims=True)
    np.testing.assert_allclose(found.p_corrected, (largest >= abs(r[0]) - 1e-12).mean(axis=0))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_what_was_dropped_does_not_matter_and_correction_only_raises_p(seed):
    rng = np.random.default_rng(seed)
    series, predicted, kept = rng.standard_normal((40, 2)), rng.standard_normal(40), rng.random(40) > 0.3
    found = event_locking(series, predicted, kept)
    spoilt = np.where(kept[:, None], series, 1e6)
    other = event_locking(spoilt, predicted, kept)
    np.testing.assert_array_equal(found.p, other.p)
    np.testing.assert_allclose(found.mean_locked, other.mean_locked)
    assert (found.p_corrected >= found.p).all() and (found.p >= 1 / 40 - 1e-12).all()


def test_series_without_a_task_are_called_locked_as_often_as_the_level_says():
    """Autocorrelated series, gaps, four of them at once: of 400 runs about 5 % have a corrected p of at most 0.05."""
    rng = np.random.default_rng(0)
    table = read_design()
    predicted = condition_regressors(table, N_VOLUMES, REPETITION_TIME)["faces"].to_numpy()
    kept = np.ones(N_VOLUMES, bool)
    kept[50:58] = False
    smallest = [event_locking(slow_noise(N_VOLUMES, 4, rng), predicted, kept).p_corrected.min() for _ in range(400)]
    hits = np.sum(np.array(smallest) <= 0.05)
    assert 5 <= hits <= 36  # binomial, p = 0.05: 20 ± 3.6 SD


def read_design():
    return blocks().rename(columns={"trial_type": "condition"})


def test_a_series_that_never_varies_has_no_p():
    predicted = slow_noise(50, 1, RNG)[:, 0]
    found = event_locking(np.column_stack([np.zeros(50), predicted]), predicted, np.ones(50, bool))
    assert np.isnan(found.p[0]) and np.isnan(found.r[0])
    assert found.p_corrected[1] == pytest.approx(1 / 50)


def test_a_design_that_repeats_itself_cannot_give_a_small_p(locked):
    table = pd.DataFrame({"onset": np.arange(0, 300, 30.0), "duration": 15.0, "trial_type": "on"})
    found, about = locked(table)
    assert found["least_p"].iloc[0] == pytest.approx(9 / 150, abs=0.03)
    assert (found["p"].dropna() >= found["least_p"].iloc[0] - 0.02).all()
    assert any(text.startswith("Condition on repeats itself: no p below 0.0") for text in about["Warnings"])


# ---- files in, files out -----------------------------------------------------------------------------------------


def test_a_planted_task_is_found_where_it_is_and_nowhere_else(locked):
    found, about = locked()
    for measure in ("score", "occupancy"):
        hit = found.loc[("fbn1", measure, "faces", "left")]
        assert hit["p_corrected"] <= 0.02
        assert hit["mean_locked"] > hit["mean_elsewhere"] + 0.05
        assert (found.loc[("volume", measure, "faces")]["p_corrected"] > 0.05).all()
    assert set(about["Conditions"]) == {"faces", "houses", "words"}
    assert found.loc[("fbn1", "score", "faces", "left"), "n_events"] == (blocks()["trial_type"] == "faces").sum()


def test_the_same_task_shifted_is_not_found(locked):
    table = blocks()
    table["onset"] = (table["onset"] + 150) % 300
    found, _ = locked(table.sort_values("onset"))
    assert found.loc[("fbn1", "score", "faces", "left"), "p_corrected"] > 0.05
    assert found.loc[("fbn1", "occupancy", "faces", "left"), "p_corrected"] > 0.05


def test_an_occupancy_is_the_share_of_locked_volumes(locked):
    found, _ = locked()
    predicted = condition_regressors(read_design(), N_VOLUMES, REPETITION_TIME)["faces"]
    kept = ~np.isin(np.arange(N_VOLUMES), [0, 1, 60, 61])
    inside = kept & (predicted > predicted.max() / 2).to_numpy()
    row = found.loc[("fbn1", "occupancy", "faces", "left")]
    assert row["n_volumes_locked"] == inside.sum()
    assert row["mean_locked"] == pytest.approx(1.0)  # planted where the prediction is above 0.5


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (pd.DataFrame({"start": [1.0]}), "has no column 'onset'; its columns are start"),
        (pd.DataFrame({"onset": [np.nan], "duration": [1.0]}), "holds no event with an onset"),
        (pd.DataFrame({"onset": [1e4], "duration": [1.0], "trial_type": ["late"]}), "No event of late lies inside"),
    ],
)
def test_unusable_events_are_said_and_an_empty_table_is_written(locked, table, words):
    found, about = locked(table)
    assert found.empty
    assert any(words in text for text in about["Warnings"])


def test_missing_columns_and_cells(events):
    assert read_events(events(pd.DataFrame({"onset": [1.0, 2.0]})))["condition"].tolist() == ["event", "event"]
    table = pd.DataFrame({"onset": [1.0, 2.0], "duration": [np.nan, 3.0], "trial_type": ["a", np.nan]})
    read = read_events(events(table))
    assert read.to_numpy().tolist() == [[1.0, 0.0, "a"]]
    with pytest.raises(InputError, match=r"nowhere\.tsv: cannot be read"):
        read_events("nowhere.tsv")


def test_a_table_of_single_trials_is_cut_and_said(locked):
    table = pd.DataFrame({"onset": np.arange(5, 285, 10.0), "duration": 2.0})
    table["trial_type"] = [f"trial{number}" for number in range(len(table))]
    found, about = locked(table)
    assert found.index.get_level_values("condition").nunique() == MOST_CONDITIONS
    assert any(f"have {len(table)} conditions; the 20 with most events" in text for text in about["Warnings"])

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy

from scaae_nipype.evaluation import (
    RULES,
    assign,
    assignment,
    transition_counts,
    transition_graph,
    transition_probabilities,
    transitions,
)
from scaae_nipype.evaluation.scores.rules import Rule

sequences = st.lists(st.tuples(st.integers(-1, 2), st.booleans()), min_size=1, max_size=40).map(
    lambda pairs: (np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs]))
)


def markov_chain(probabilities, length, seed=0):
    rng = np.random.default_rng(seed)
    states = [0]
    for _ in range(length - 1):
        states.append(rng.choice(len(probabilities), p=probabilities[states[-1]]))
    return np.array(states)


def test_the_papers_rule_is_iou_at_0_3():
    assert RULES["paper"] == Rule("iou", 0.3)


def test_a_volume_takes_its_best_template_at_or_above_the_cut():
    scores = np.array([[0.1, 0.5, 0.3], [0.3, 0.2, 0.1], [0.2, 0.29, 0.1]])
    found = assign(scores, np.ones(3, bool), cutoff=0.3)
    assert found.states.tolist() == [1, 0, -1]
    assert found.best.tolist() == [1, 0, 1]
    np.testing.assert_allclose(found.score, [0.5, 0.3, 0.29])
    np.testing.assert_allclose(found.margin, [0.2, 0.1, 0.09])


def test_dropped_volumes_and_templates_without_scores_are_never_chosen():
    scores = np.array([[np.nan, 0.4], [np.nan, 0.9], [np.nan, np.nan]])
    found = assign(scores, np.array([True, False, True]), cutoff=0.0)
    assert found.states.tolist() == [1, -1, -1]
    assert found.best.tolist() == [1, -1, -1]
    assert np.isnan(found.margin).all()  # there is no second template
    assert np.isnan(found.score[1:]).all()


def test_one_template_alone_has_no_margin():
    found = assign(np.array([[0.5]]), np.ones(1, bool), cutoff=0.3)
    assert found.states.tolist() == [0]
    assert np.isnan(found.margin).all()


def test_visits_end_at_gaps_and_say_whether_they_were_cut():
    states = np.array([0, 0, 1, 1, 1, 0, 0, 0, -1, 2])
    kept = np.array([1, 1, 1, 1, 1, 1, 0, 1, 1, 1], bool)
    table = transitions.visits(states, kept)
    assert table["state"].tolist() == [0, 1, 0, 0, 2]
    assert table["start"].tolist() == [0, 2, 5, 7, 9]
    assert table["length"].tolist() == [2, 3, 1, 1, 1]
    assert table["truncated"].tolist() == [True, False, True, True, True]


@given(sequences)
def test_visits_cover_every_assigned_volume_once(sequence):
    states, kept = sequence
    table = transitions.visits(states, kept)
    assert table["length"].sum() == ((states >= 0) & kept).sum()
    covered = [
        v for start, length in zip(table["start"], table["length"], strict=True) for v in range(start, start + length)
    ]
    assert covered == np.flatnonzero((states >= 0) & kept).tolist()


@given(sequences)
def test_transitions_agree_with_a_plain_loop(sequence):
    states, kept = sequence
    expected = np.zeros((3, 3), int)
    for t in range(len(states) - 1):
        if kept[t] and kept[t + 1] and states[t] >= 0 and states[t + 1] >= 0:
            expected[states[t], states[t + 1]] += 1
    np.testing.assert_array_equal(transition_counts(states, kept, 3), expected)


@given(sequences)
def test_visits_and_transitions_count_the_same_staying(sequence):
    states, kept = sequence
    table = transitions.visits(states, kept)
    assert np.trace(transition_counts(states, kept, 3)) == (table["length"] - 1).sum()


def test_probabilities_of_a_markov_chain_are_recovered():
    truth = np.array([[0.8, 0.15, 0.05], [0.1, 0.7, 0.2], [0.3, 0.3, 0.4]])
    states = markov_chain(truth, 20000)
    counts = transition_counts(states, np.ones(len(states), bool), 3)
    np.testing.assert_allclose(transition_probabilities(counts), truth, atol=0.02)


def test_dwell_times_of_a_markov_chain_are_geometric():
    truth = np.array([[0.9, 0.1], [0.5, 0.5]])
    states = markov_chain(truth, 20000)
    found = assign(np.eye(2)[states], np.ones(len(states), bool), cutoff=0.5)
    table = assignment.state_table(found, ["slow", "fast"], repetition_time=2.0).set_index("state")
    assert table.loc["slow", "mean_dwell_seconds"] == pytest.approx(2.0 / 0.1, rel=0.05)
    assert table.loc["fast", "mean_dwell_seconds"] == pytest.approx(2.0 / 0.5, rel=0.05)
    assert table.loc["slow", "occupancy"] == pytest.approx(5 / 6, abs=0.02)  # stationary distribution
    assert table.loc["slow", "mean_score"] == 1


def test_entropies_agree_with_scipy_and_theory():
    truth = np.array([[0.9, 0.1], [0.5, 0.5]])
    states = markov_chain(truth, 20000)
    counts = transition_counts(states, np.ones(len(states), bool), 2)
    assert transitions.occupancy_entropy(states, 2) == pytest.approx(entropy(np.bincount(states), base=2))
    expected = 5 / 6 * entropy(truth[0], base=2) + 1 / 6 * entropy(truth[1], base=2)
    assert transitions.entropy_rate(counts) == pytest.approx(expected, abs=0.02)


def test_nothing_above_the_cut_gives_missing_values_not_zeros():
    found = assign(np.full((5, 2), 0.1), np.ones(5, bool), cutoff=0.3)
    table = assignment.state_table(found, ["a", "b"], repetition_time=2.0)
    assert table["occupancy"].tolist() == [0, 0]
    assert table[["mean_dwell_seconds", "longest_dwell_seconds", "mean_score"]].isna().all(axis=None)
    assert np.isnan(transitions.occupancy_entropy(found.states, 2))
    assert np.isnan(transitions.entropy_rate(np.zeros((2, 2), int)))
    assert transition_graph(np.zeros((2, 2), int), ["a", "b"], [0, 0]).number_of_nodes() == 0


def test_graph_shows_changes_between_visited_states():
    counts = np.array([[7, 3, 0], [1, 5, 0], [0, 0, 0]])
    graph = transition_graph(counts, ["a", "b", "never"], [0.6, 0.3, 0.0])
    assert set(graph) == {"a", "b"}
    assert nx.get_edge_attributes(graph, "count") == {("a", "b"): 3, ("b", "a"): 1}
    assert nx.get_edge_attributes(graph, "probability") == {("a", "b"): 1.0, ("b", "a"): 1.0}
    assert graph.nodes["a"]["occupancy"] == 0.6


def test_state_maps_are_means_and_missing_where_never_visited():
    maps = np.array([[1.0, 2.0], [3.0, 4.0], [9.0, 9.0]])
    found = assignment.state_maps(maps, np.array([1, 1, -1]), 3)
    np.testing.assert_array_equal(found[1], [2.0, 3.0])
    assert np.isnan(found[[0, 2]]).all()


def test_split_half_finds_what_both_halves_share():
    rng = np.random.default_rng(0)
    truth = rng.standard_normal((3, 500))
    states = np.tile([0, 1], 20)
    states[25] = 2
    maps = truth[states] + 0.5 * rng.standard_normal((40, 500))
    kept = np.ones(40, bool)
    kept[:6] = False
    found = assignment.Assignment(np.where(kept, states, -1), states, np.ones(40), np.ones(40), kept)
    r = assignment.split_half_r(maps, found, 3)
    assert (r[:2] > 0.95).all()
    assert np.isnan(r[2])
    swapped = maps.copy()
    swapped[23:] = truth[1 - np.minimum(states[23:], 1)]  # the 34 kept volumes are halved at volume 23
    assert (assignment.split_half_r(swapped, found, 3)[:2] < 0.2).all()

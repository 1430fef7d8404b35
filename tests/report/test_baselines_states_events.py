"""Figure 5, the states and the task on the participant's page: what the tables say is what is shown."""

import re
from dataclasses import replace

import matplotlib.text
import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import FancyArrowPatch

from scaae_nipype.derivatives.reading import find_runs
from scaae_nipype.errors import InputError
from scaae_nipype.files import read_json, read_table, write_json, write_table
from scaae_nipype.report.labels import method_label, ordered_methods
from scaae_nipype.report.sections import states
from scaae_nipype.report.sections.baselines import (
    comparison_figure,
    comparison_sentences,
    comparison_table,
    run_sentences,
)
from scaae_nipype.report.sections.events import event_sentences, event_table, locking
from scaae_nipype.report.sections.transitions import TransitionPanel, transition_graphs


def scores(**means):
    """One score per method, equal for two templates up to a constant."""
    rows = [
        {"method": method, "template": template, "n_volumes": 20}
        | {f"{kind}_{score}": mean + shift for score in ("average_precision", "size_matched_iou", "iou", "r")
           for kind in ("best_of_20", "mean", "best")}
        for method, mean in means.items() for template, shift in (("A", 0.05), ("B", -0.05))
    ]  # fmt: skip
    return pd.DataFrame(rows)


def texts(figure):
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text)]


@pytest.fixture
def run(dataset):
    return find_runs(dataset, "01")[0]


def fresh(run, root):
    """The same run, nothing of it read yet."""
    return replace(run, root=root)


# ---- Figure 5 ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (0.50, "above the best filter of single volumes (smoothed² 8 mm, 0.40)"),
        (0.30, "below the best filter of single volumes (smoothed² 8 mm, 0.40)"),
        (0.401, "level with the best filter of single volumes (smoothed² 8 mm, 0.40)"),
    ],
)
def test_the_sentence_says_who_is_better(network, words):
    table = scores(fbn1=0.1, fbn2=network, volume=0.2, smoothed_squared_8mm=0.4, smoothed_4mm=0.3, canica=0.25)
    first = comparison_sentences(table)[0]
    assert words in first
    assert f"the better branch has {network:.2f}" in first
    assert "the best decomposition of the run (ICA, 0.25)" in first


def test_the_context_is_a_rival_of_its_own_kind():
    first, *_ = comparison_sentences(scores(fbn1=0.3, smoothed_4mm=0.2, context=0.4, context_negated=0.1))
    assert "above the best filter of single volumes (smoothed 4 mm, 0.20)" in first
    assert "and below the model's own linear context (context, 0.40)" in first


@pytest.mark.parametrize(
    ("pca", "word", "is_said"), [(0.2, "above", False), (0.295, "level with", True), (0.4, "below", True)]
)
def test_where_networks_add_nothing_to_a_plain_pca_it_is_said(pca, word, is_said):
    said = comparison_sentences(scores(fbn1=0.3, fbn2=0.1, smoothed_4mm=0.2, group_pca=pca, group_pca_negated=0.1))
    assert f"{word} a plain PCA of the same training runs (group PCA, {pca:.2f})" in said[0]
    assert any("the networks add nothing to a plain PCA" in sentence for sentence in said) == is_said


def test_the_untrained_network_is_a_rival_of_its_own_kind():
    table = scores(fbn1=0.3, smoothed_4mm=0.2, untrained_fbn1=0.1, untrained_fbn2=0.4)
    first = comparison_sentences(table)[0]
    assert "above the best filter of single volumes (smoothed 4 mm, 0.20)" in first
    assert "and below the best branch of the untrained network (untrained FBN 2, 0.40)" in first


def test_the_picture_holds_all_methods_and_frames_the_best():
    table = scores(fbn1=0.1, fbn2=0.3, smoothed_4mm=0.4, encoder_lasso=0.2)
    figure = comparison_figure(table)
    shown = texts(figure)
    for label in ("FBN 1", "FBN 2", "smoothed 4 mm", "encoder + LASSO", "A", "B", "mean"):
        assert label in shown
    assert shown.count("0.45") == 2  # template A, both scores
    framed = [patch for axes in figure.axes for patch in axes.patches]
    assert {patch.get_x() for patch in framed} == {1.5}  # the third column, of three lines and two scores
    assert len(framed) == 6


@pytest.mark.parametrize("suffix", ["", "_mean"])
def test_the_picture_is_of_what_lies_above_chance_where_that_is_known(suffix):
    raw = scores(fbn1=0.1, fbn2=0.3, smoothed_4mm=0.4, volume_negated=0.4)
    assert "Average precision, best of 20, raw" in texts(comparison_figure(raw))
    above = {f"above_{name}{suffix}": raw[name] / 4 for name in raw if name.startswith("best_of_20")}
    renamed = raw.rename(columns=lambda name: f"{name}{suffix}" if "_of_" in name else name)
    shown = texts(comparison_figure(renamed.assign(**above), suffix))
    assert "Average precision, best of 20, above chance" in shown and "Average precision, best of 20, raw" not in shown
    assert "better FBN" in shown and "FBN 2" not in shown  # both branches have the same
    assert "0.11" in shown and "0.45" not in shown


def test_the_table_averages_over_templates_and_marks_the_best():
    made = comparison_table(scores(fbn1=0.1, smoothed_4mm=0.4, canica=0.2))
    assert [row[0].text for row in made.rows] == ["FBN 1", "smoothed 4 mm", "ICA"]
    assert [row[1].text for row in made.rows] == ["20 volumes", "20 volumes", "20 maps"]
    assert [row[2].text for row in made.rows] == ["0.10", "0.40", "0.20"]
    assert [row[2].strong for row in made.rows] == [False, True, False]


def test_a_table_of_headings_alone_gives_a_table_without_rows():
    assert comparison_table(scores(fbn1=0.1).iloc[:0].astype(object)).rows == []


def test_text_among_numbers_counts_as_missing():
    table = scores(fbn1=0.1, volume=0.2).astype({"best_of_20_average_precision": object})
    table.loc[table["method"] == "volume", "best_of_20_average_precision"] = "broken"
    assert [row[2].text for row in comparison_table(table).rows] == ["0.10", "n/a"]


def test_nothing_to_compare():
    assert "no baselines" in comparison_sentences(scores(fbn1=0.1))[0]
    assert texts(comparison_figure(pd.DataFrame({"method": [], "template": []})))


def test_every_method_has_a_name_and_a_place():
    made = ["canica", "cap_centroid", "smoothed_squared_20mm", "smoothed_8mm", "fbn2", "volume_negated", "something"]
    assert ordered_methods(made) == [
        *("fbn2", "volume_negated", "smoothed_8mm", "smoothed_squared_20mm", "cap_centroid", "canica", "something")
    ]
    assert method_label("something") == "something"


def test_baselines_that_could_not_be_computed_are_said(run):
    assert any("Sliding-window ICA: no window" in text for text in run_sentences(run))


# ---- states ------------------------------------------------------------------------------------------------------


def test_the_graph_draws_changes_and_names_who_never_appears():
    counts = np.array([[9, 4, 0], [1, 7, 0], [0, 0, 0]])
    panel = TransitionPanel("Branch", "fbn1", ["Visual", "Auditory", "Never seen"], counts, np.array([0.6, 0.3, 0.0]))
    figure = transition_graphs([panel])
    arrows = [patch for patch in figure.axes[0].patches if isinstance(patch, FancyArrowPatch)]
    widths = sorted(arrow.get_linewidth() for arrow in arrows)
    assert len(widths) == 2  # staying is no arrow
    assert widths[1] == pytest.approx(5.0)
    assert widths[0] == pytest.approx(0.5 + 4.5 / 4)  # proportional to the count
    shown = "\n".join(texts(figure))
    assert "Visual\n60.0 %" in shown and "Auditory\n30.0 %" in shown
    assert "5 changes of state" in shown and "never: Never seen" in shown
    circles = [collection.get_sizes()[0] for collection in figure.axes[0].collections]
    assert (circles[0] - 30) / (circles[1] - 30) == pytest.approx(2)  # area follows occupancy


def test_one_state_no_state_and_no_panel():
    one = TransitionPanel("One", "fbn1", ["A", "B"], np.array([[5, 0], [0, 0]]), np.array([1.0, 0]))
    none = TransitionPanel("None", "fbn2", ["A", "B"], np.zeros((2, 2)), np.zeros(2))
    two = TransitionPanel("Two", "volume", ["A", "B"], np.array([[5, 0], [0, 3]]), np.array([0.6, 0.4]))
    figure = transition_graphs([one, none, two])
    shown = texts(figure)
    assert "None: no volume has a state.\nOne: A is the only state (100.0 %)." in shown
    assert len(figure.axes) == 1  # one state or none takes no room
    assert "None: no volume has a state." in texts(transition_graphs([none]))
    assert any("0 changes of state" in text for text in shown)
    assert "There are no states." in texts(transition_graphs([]))


def test_the_sequence_breaks_at_gaps():
    kept = np.array([1, 1, 0, 1, 1], bool)
    named = ["A", "A", np.nan, "A", "unassigned"]
    figure = states.state_sequence({"fbn1": named}, kept, ["A"], 2.0)
    bars = [path.get_extents() for c in figure.axes[0].collections for path in c.get_paths()]
    assert sorted((bar.x0, bar.x1) for bar in bars) == [(-0.5, 1.5), (2.5, 3.5)]
    assert "FBN branch 1: 1 states, 75 % of the kept volumes assigned" in texts(figure)


def test_sentences_of_states_name_rule_share_and_absence(run):
    text = " ".join(states.state_sentences(run))
    assert "most similar template by size-matched IoU, if that is at least 0.20" in text
    assert len(re.findall(r"Never: (?:\w+, )*NA\.", text)) == 3
    assert "no evidence of dynamics" in text


def test_no_volume_above_the_cut_off_is_said_everywhere(make_dataset):
    root = make_dataset(n=8)
    run = find_runs(root, "01")[0]
    table = read_table(run.path("state_metrics"))
    write_table(table.assign(n_volumes=0, occupancy=0.0, n_visits=0), run.path("state_metrics"))
    sequence = read_table(run.path("states"))
    sequence.loc[sequence["kept"] == 1, sequence.columns[1:]] = "unassigned"
    write_table(sequence, run.path("states"))
    write_table(read_table(run.path("transitions")).assign(count=0), run.path("transitions"))
    run = fresh(run, root)
    sentences = states.state_sentences(run)
    assert sum("no volume is above the cut-off, so there are no states" in text for text in sentences) == 3
    assert "No volume is above the cut-off: there are no states." in texts(states.sequence(run))
    everything = "FBN branch 1, FBN branch 2, volume itself"
    assert f"{everything}: no volume has a state." in texts(states.graphs(run))
    assert "No volume is above the cut-off: there are no states to average." in texts(states.state_mosaic(run))
    assert len(states.state_table(run).rows) == 5


def test_state_maps_go_by_the_names_in_the_sidecar(run, make_dataset):
    assert list(run.state_maps("fbn1").volumes) == ["Auditory", "DefaultMode", "SomatomotorDorsal", "Visual", "NA"]
    root = make_dataset(n=8)
    own = find_runs(root, "01")[0]
    path = own.path("fbn1_states", ".json")
    write_json(read_json(path) | {"TemplateLabels": ["only one"]}, path)
    with pytest.raises(InputError, match="its sidecar does not name its volumes"):
        fresh(own, root).state_maps("fbn1")


# ---- task --------------------------------------------------------------------------------------------------------


def test_what_follows_the_task_is_said_and_tabulated(run):
    sentences = event_sentences(run)
    assert sentences[0].startswith("FBN branch 1: 2 with corrected p ≤ 0.05: Visual with faces (score)")
    assert sentences[1].startswith("FBN branch 2: 0 with")
    first = event_table(run).rows[0]
    assert [cell.text for cell in first[:2]] == ["faces", "Visual"] and first[-1].strong
    figure = locking(run.table("events"))
    dots = [line for axes in figure.axes for line in axes.lines if len(line.get_xdata())]
    assert len(dots) == 2
    assert {"faces", "houses"} <= set(texts(figure))


def test_where_the_noise_changes_what_follows_the_task_may_be_that(make_dataset):
    own = find_runs(make_dataset(n=8), "01")[0]
    assert not [text for text in event_sentences(own) if "noise" in text]
    noise = {"P": 0.01, "Variance": {"P": 0.003, "Volume": 40, "Before": 0.9, "After": 1.4}}
    write_json({"Stationarity": noise}, own.path("states", ".json"))
    (text,) = [text for text in event_sentences(fresh(own, own.root)) if "noise" in text]
    assert "from 0.900 to 1.400 from volume 40 on" in text and text.endswith("and no response to them.")


def test_a_run_without_events_has_no_section_of_them(make_dataset, undrawn):
    from scaae_nipype.report.participant_page import participant_page

    root = make_dataset(n=8)
    run = find_runs(root, "01")[0]
    for meaning in ("events", "regions_fbn1", "regions_fbn2", "baselines"):
        run.path(meaning).unlink()
    (section,) = [section for section in participant_page(root, "01").chapters if section.key == "run1"]
    keys = {part.key.removeprefix("run1-") for part in section.chapters}
    assert not keys & {"events", "regions", "baselines"}
    assert "states" in keys

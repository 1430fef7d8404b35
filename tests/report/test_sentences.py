"""The sentences say what the numbers say."""

import numpy as np
import pandas as pd
import pytest

from scaae_nipype.report.sections.chance import chance_sentences, chance_table
from scaae_nipype.report.sections.channels import channel_sentences
from scaae_nipype.report.sections.gradual import gradual_sentences
from scaae_nipype.report.sections.templates import overlap_sentences, what_was_taken


def overlap(network: list[float], volume: list[float], *, precision_only: bool = False) -> pd.DataFrame:
    rows = []
    for index, (ours, theirs) in enumerate(zip(network, volume, strict=True)):
        for method, value in (("fbn1", 0.0), ("fbn2", ours), ("volume", theirs), ("volume_negated", 0.0)):
            row = {"method": method, "template": f"T{index}", "best_of_20_average_precision": value}
            rows.append(row | ({} if precision_only else {"best_of_20_size_matched_iou": value / 2}))
    return pd.DataFrame(rows)


def test_templates_on_which_the_network_wins_are_counted():
    text = overlap_sentences(overlap([0.4, 0.4, 0.1], [0.3, 0.2, 0.3]))[0]
    assert "average precision for 2 of 3 templates (mean 0.30 against 0.27)" in text
    assert "size-matched IoU for 2 of 3 templates (mean 0.15 against 0.13)" in text
    assert "match most templates better than the raw volume" in text


def test_what_was_taken_as_templates_is_said_with_kind_reason_and_voxels():
    about = {"Templates": "maps.nii.gz", "TemplateKind": "continuous", "TemplateKindReason": "values down to 1 %"}
    about |= {"TemplateVoxels": {"left": 20, "right": 0}, "TemplateShareInModelMask": {"left": 0.5, "right": None}}
    first, second = what_was_taken("Compared with", about, "Templates", "Template", "Template")
    assert first.startswith("Compared with maps.nii.gz: 2 continuous maps, each cut at 0.3")
    assert first.endswith("; values down to 1 %.")
    assert second.endswith("mask holds): left 20 (50 %), right 0.")
    about = {"Atlas": "atlas.nii.gz", "AtlasKind": "labels", "RegionVoxels": {f"r{n}": n for n in range(30, 0, -1)}}
    first, second = what_was_taken("Averaged over", about, "Atlas", "Atlas", "Region")
    assert first == "Averaged over atlas.nii.gz: 30 labels of one image."
    assert "1 to 30; the smallest 8: r1 1, r2 2" in second and second.endswith("r8 8.")
    assert (
        what_was_taken("Compared with", {"Templates": "as earlier versions"}, "Templates", "Template", "Template") == []
    )


def with_chance(table: pd.DataFrame, above: list[float], p: list[float]) -> pd.DataFrame:
    """Put chance beside the scores: 0.2 of every template, of the volume 0.1 above it."""
    network = table["method"].str.startswith("fbn")
    for name in [column for column in table if column.startswith("best_of_20")]:
        number = table["template"].str.removeprefix("T").astype(int)
        table[f"chance_{name}"] = 0.2
        table[f"above_{name}"] = np.where(network, np.array(above)[number], 0.1)
        table[f"chance_p_{name}"] = np.where(network, np.array(p)[number], 1.0)
    return table


def test_how_many_templates_lie_above_chance_is_said_with_what_is_expected():
    table = with_chance(overlap([0.5, 0.2, 0.2], [0.3] * 3), [0.3, 0.06, 0.0], [0.05, 0.05, 0.6])
    first, _, last = chance_sentences(table, {"Chance": {"NumberOfSets": 19}})
    assert first.startswith(
        "Average precision, best of 20 volumes: the better branch lies above chance for 2 of 3 temp"
    )
    assert "in the mean by 0.120 (0.320, chance 0.200); the volume itself has 0.100 above chance." in first
    assert "higher than with each of 19 sets of surrogate templates" in last
    assert last.endswith("Of unrelated maps as smooth, one template in 20 is expected there.")
    *_, last = chance_sentences(with_chance(table, [0.3, 0.06, 0.0], [0.05, 0.1, 0.6]), {})
    assert last.endswith("Unrelated maps as smooth would do as much: 1 template or fewer are within chance.")
    assert "was not measured" in chance_sentences(overlap([0.5], [0.3]), {})[0]
    assert chance_table(overlap([0.5], [0.3])).rows == []


def test_the_table_of_chance_has_a_line_per_template_and_marks_what_lies_above():
    table = with_chance(overlap([0.5, 0.2], [0.3] * 2), [0.3, 0.06], [0.05, 0.3])
    first, second = chance_table(table).rows
    assert [cell.text for cell in first[:5]] == ["T0", "0.50", "0.20", "0.30", "0.10"]
    assert (first[3].strong, second[3].strong, second[3].small) == (True, False, "p 0.30")


def test_the_network_beats_the_volume_by_what_both_have_above_chance():
    table = with_chance(overlap([0.5, 0.5, 0.5], [0.3] * 3), [0.3, 0.06, 0.0], [0.05, 0.05, 0.6])
    text, what = overlap_sentences(table)
    assert "average precision for 1 of 3 templates (mean 0.12 against 0.10)" in text
    assert "adds nothing over the raw volume" in text
    assert what.startswith("Compared are what best-of-20 values have above chance")


def test_the_better_sign_of_the_volume_counts():
    table = overlap([0.4, 0.4], [0.3, 0.3])
    table.loc[table["method"] == "volume_negated", "best_of_20_average_precision"] = 0.5
    text = overlap_sentences(table)[0]
    assert "average precision for 0 of 2 templates" in text
    assert "The two scores disagree" in text


@pytest.mark.parametrize(
    ("network", "volume"), [([0.1, 0.1], [0.2, 0.2]), ([0.2, 0.2], [0.2, 0.2]), ([0.3, 0.1], [0.2, 0.2])]
)
def test_half_of_the_templates_or_a_tie_is_no_gain(network, volume):
    assert "adds nothing over the raw volume for most templates" in overlap_sentences(overlap(network, volume))[0]


def test_missing_scores_are_left_out_and_said():
    table = overlap([0.4, 0.4, 0.4], [0.1, 0.1, 0.1])
    scores = [column for column in table if column.startswith("best")]
    table.loc[table["template"].eq("T0") & table["method"].str.startswith("fbn"), scores] = np.nan
    table.loc[table["template"].eq("T1") & table["method"].str.startswith("volume"), scores] = np.nan
    assert "average precision for 1 of 1 templates" in overlap_sentences(table)[0]
    assert overlap_sentences(table.assign(**dict.fromkeys(scores, np.nan)))[0].startswith("The table holds no scores")
    assert overlap_sentences(pd.DataFrame({"method": ["fbn1"], "template": ["A"]}))[0].startswith("The table holds no")
    assert "size-matched" not in overlap_sentences(overlap([0.4], [0.1], precision_only=True))[0]


def test_the_volume_must_be_there_to_be_beaten():
    table = overlap([0.4], [0.1])
    assert overlap_sentences(table[table["method"].str.startswith("fbn")])[0].startswith("The table holds no scores")


def test_consecutive_volumes_and_chance():
    columns = {"method": ["fbn1", "fbn1", "volume"], "lag": [1, 2, 1], "lag_seconds": [2.5, 5, 2.5]}
    table = pd.DataFrame({**columns, "mean_iou": [0.51, 0.4, 0.62], "chance_iou": [0.22, 0.22, 0.25]})
    expected = "2.5 s apart: FBN branch 1 0.51 (chance 0.22), volume itself 0.62 (chance 0.25)."
    assert gradual_sentences(table)[0].endswith(expected)
    assert gradual_sentences(table.assign(mean_iou=np.nan)) == ["No two consecutive volumes were kept."]
    assert gradual_sentences(table.iloc[:0]) == ["No two consecutive volumes were kept."]


def test_channels_that_select_nothing():
    flat = np.array([[0.50, 0.55], [0.52, 0.56], [np.nan, np.nan]])
    assert "range of 0.06), so nothing was selected" in channel_sentences(flat)[0]
    assert "nothing was selected" not in channel_sentences(flat * [[1, 0.5]])[0]
    assert "the same channels count the same in every volume" in channel_sentences(np.tile([0.3, 0.6], (4, 1)))[0]
    assert "count the same" not in channel_sentences(flat * [[1], [1.1], [1]])[0]
    assert channel_sentences(np.full((2, 2), np.nan)) == ["No volume was kept."]

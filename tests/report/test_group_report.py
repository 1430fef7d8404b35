"""The page of a group: what its tables hold is there, what they lack is said, nothing is fetched or trusted."""

from html import unescape

import pandas as pd
import pytest

from scaae_nipype.derivatives.names import group_path
from scaae_nipype.errors import InputError
from scaae_nipype.files import write_json, write_table
from scaae_nipype.report import group_report
from scaae_nipype.report.group_page import GROUP_SECTIONS, HOW_TO_READ_GROUPS


def put(root, meaning, rows, **account):
    write_table(pd.DataFrame(rows), root / group_path(meaning))
    write_json({"Description": meaning, "Group": account}, root / group_path(meaning, ".json"))


@pytest.fixture
def root(tmp_path):
    """Tables of five participants at two repetition times; a template has a name that is markup."""
    base = {"column": "all", "level": "all", "n_participants": 3}
    put(
        tmp_path,
        "participants",
        [base | {"repetition_time": time, "n_runs": 4, "n_volumes": 600, "n_volumes_kept": 555, "mean_fd": 0.1234}
         | {"sd_fd": 0.02} for time in (2.0, 2.5)],
        GroupBy="dx",
        Warnings=["Runs have different repetition times."],
        LeftOut={"sub-9_task-rest": "made with another configuration"},
    )  # fmt: skip
    lags = [
        base | {"repetition_time": time, "method": method, "lag": lag, "mean_iou_mean": value / lag}
        | {"mean_iou_sd": 0.05, "chance_iou_mean": 0.18}
        for time, value in ((2.0, 0.512), (2.5, 0.407)) for method in ("fbn1", "volume") for lag in (1, 2)
    ]  # fmt: skip
    put(tmp_path, "gradual_change", lags)
    overlap = [
        base | {"repetition_time": time, "method": method, "template": template}
        | {f"best_of_20_{score}_{kind}": value for score in ("iou", "size_matched_iou", "average_precision")
           for kind, value in (("mean", best), ("sd", None if method == "volume" else 0.031))}
        for time in (2.0, 2.5) for method, best in (("fbn1", 0.378), ("volume", 0.255))
        for template in ("<b>Visual", "NA")
    ]  # fmt: skip
    put(tmp_path, "overlap", overlap)
    return tmp_path


def text_of(root):
    return group_report(root).read_text(encoding="utf-8")


def test_tables_one_and_two_and_figure_five(root):
    html = text_of(root)
    assert (root / "group.html").is_file()
    assert "0.12<small>± 0.02" in html
    assert "0.51<small>± 0.05" in html and "0.41<small>± 0.05" in html  # lag 1 only, each repetition time for itself
    assert "0.26<small>± 0.05" not in html
    assert html.count("<img") == 2 and "data:image/svg+xml" in html
    assert 'class="best">0.38<small>± 0.03' in html
    assert "0.26<small>± n/a" in html  # one participant has no spread
    assert all(sentence in unescape(html) for sentence in HOW_TO_READ_GROUPS)


def test_what_lies_above_chance_is_said_with_its_interval_over_participants(root):
    rows = [
        {"column": "all", "level": "all", "repetition_time": 2.0, "method": method, "measure": measure}
        | {"n_participants": n, "chance": 0.15, "above": above, "above_low": above - 0.02, "above_high": above + 0.02}
        for measure in ("best_of_20_average_precision", "mean_size_matched_iou")
        for method, above, n in (("fbn1", 0.14, 9), ("fbn2", 0.14, 9), ("volume", 0.07, 1))
    ]
    put(root, "above_chance", rows)
    text = unescape(text_of(root))
    assert (
        "Average precision, best of 20 volumes, TR 2 s: above chance by the better branch 0.140 [0.120, 0.160]" in text
    )
    assert "and the volume itself 0.070." in text and "Size-matched IoU, mean over volumes, TR 2 s" in text
    assert "95 % interval over participants" in text


def test_what_is_not_there_is_said(root):
    html = text_of(root)
    for section in GROUP_SECTIONS[4:]:
        assert section.otherwise.split(":")[0] in html
    assert "1 run left out" in html and "made with another configuration" in html
    assert "Runs have different repetition times." in html


def test_nothing_is_fetched_or_taken_for_markup(root):
    html = text_of(root)
    assert "default-src &#39;none&#39;" in html or "default-src 'none'" in html
    assert "http://" not in html.replace("http://www.w3.org", "") and "<b>Visual" not in html
    assert "&lt;b&gt;Visual" in html
    assert group_report(root).read_bytes() == html.encode()  # the same tables give the same page


def test_comparisons_reliability_and_predictions(root):
    tests = {
        "repetition_time": 2.0,
        "effect": "dx",
        "contrast": "control - adhd",
        "n_participants": 30,
        "estimate": 0.1,
    }
    tests |= {"statistic_name": "t", "statistic": 4.2, "degrees_of_freedom": 25, "p": 0.001}
    put(root, "comparisons", [
        tests | {"family": "occupancy", "outcome": "fbn1: Visual", "p_corrected": 0.004},
        tests | {"family": "occupancy", "outcome": "fbn1: NA", "p_corrected": 0.9},
    ])  # fmt: skip
    icc = {"repetition_time": 2.0, "task": "rest", "family": "occupancy", "n_participants": 30, "n_repeats": 2}
    put(root, "reliability", [icc | {"repeats": "run-1, run-2", "icc_2_1": x, "icc_3_1": x} for x in (0.3, 0.5)])
    found = {"repetition_time": 2.0, "target": "dx", "source": "code", "score": 0.71, "score_name": "auc", "p": 0.002}
    found |= {"second_score": 0.66, "second_name": "balanced_accuracy", "n_participants": 30, "n_folds": 3}
    put(root, "predictions", [found | {"blocked": "sites"}])
    html = text_of(root)
    assert "occupancy: 1 of 2 outcomes with corrected p ≤ 0.05: fbn1: Visual." in html
    assert 'class="best">0.0040' in html
    assert 'scope="row">fbn1: Visual<small>occupancy</small>' in html  # outcomes of different families look alike
    assert "0.40<small>0.30 to 0.50" in html
    assert "auc = 0.71" in html and "3 of sites" in html


def test_a_damaged_table_costs_its_section_only(root):
    (root / group_path("gradual_change")).write_text("method\nx\n")
    html = text_of(root)
    assert "Not shown: group_desc-gradualchange_metrics.tsv: lacks the column(s)" in html
    assert "0.12<small>± 0.02" in html


def test_no_tables(tmp_path):
    with pytest.raises(InputError, match="run the group level first"):
        group_report(tmp_path)

"""How real people are scored, and how tables are made of scores: on cases whose answer is known."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import calibration
from benchmarks.calibration_report import TEMPORAL
from benchmarks.calibration_report import page as calibration_page
from benchmarks.judge import people, run
from benchmarks.judge.glance import glance
from benchmarks.judge.people import bootstrap, report_people, splits, summaries, table_of
from benchmarks.judge.report import bar_of, chosen_scores, frame_of, interval, report
from benchmarks.judge.run import Store
from benchmarks.judge.seeds import SeedError
from scaae_nipype.evaluation.scores.overlap import best_of_n, rank_scores


@pytest.fixture
def templates() -> np.ndarray:
    values = np.random.default_rng(0).random((3, 400))
    return np.where(values > np.quantile(values, 0.9, axis=1, keepdims=True), values, 0)


def test_every_half_of_the_people_is_fitted_once_and_never_scored_by_itself():
    halves = splits()
    assert len(halves) == 20
    assert len({fitted for fitted, _ in halves}) == 20
    for fitted, scored in halves:
        assert set(fitted).isdisjoint(scored)
        assert len(fitted) == len(scored) == 3


def test_sign_and_branch_are_the_best_for_templates_and_anew_for_chance(templates):
    rng = np.random.default_rng(1)
    maps = -(templates[rng.integers(3, size=30)] + 0.1 * rng.standard_normal((30, 400)))  # the wrong way round
    moved = [templates[:, rng.permutation(400)] for _ in range(3)]
    found = summaries(maps, templates, moved, templates > 0)
    expected = best_of_n(rank_scores(-maps, templates > 0)[0])
    assert found["best_of_20_average_precision"] == pytest.approx(expected, abs=1e-4)
    for number, name in enumerate(("best_of_20_average_precision", "mean_average_precision")):
        either = []
        for values in moved:
            scores = [rank_scores(sign * maps, values > 0)[0] for sign in (1, -1)]
            best = max(scores, key=lambda one: best_of_n(one).mean())
            either.append((best_of_n(best), best.mean(axis=0))[number])
        assert found["chance"][name] == pytest.approx(np.mean(either, axis=0), abs=1e-4)


def test_branches_are_taken_as_they_are(templates):
    maps = templates[np.arange(30) % 3]
    branches = np.stack([-maps, np.roll(maps, 7, axis=1)])  # the first would be right if its sign were turned
    found = summaries(branches, templates, [templates[:, ::-1]], templates > 0)
    assert max(found["mean_average_precision"]) < 0.5


def people_table(shift: float) -> dict:
    people = ("007", "018", "067", "107", "112", "133")
    names = ("best_of_20_average_precision", "mean_average_precision", "mean_size_matched_iou", "best_of_20_r")

    def values(number: int) -> dict:
        own = {name: [0.2 + shift + 0.02 * number, 0.4 + shift] for name in names}
        return own | {"chance": {name: [0.1, 0.2] for name in names}}

    return {f"a > {person}": {"PCA | rank=2": values(number)} for number, person in enumerate(people)}


def test_splits_are_averaged_before_people_are():
    known = people_table(0.0) | {key.replace("a >", "b >"): v for key, v in people_table(0.2).items()}
    score, chance = table_of(known, "mean_average_precision")["PCA | rank=2"]
    assert score.shape == (6, 2)
    assert score[1] == pytest.approx([0.32, 0.5])
    assert chance[0] == pytest.approx([0.1, 0.2])


def test_people_are_tabled_with_the_network_less_every_method():
    rival, network = people_table(0.0), people_table(0.1)
    known = {
        key: {"group PCA | rank=2": rival[key]["PCA | rank=2"], "SCAAE | ": network[key]["PCA | rank=2"]}
        for key in rival
    }
    text = "\n".join(report_people(known))
    assert "| SCAAE | 0.425 / 0.150 / 0.275 |" in text
    assert "| group PCA (rank=2) | +0.100 [+0.100, +0.100] |" in text


def test_methods_that_some_people_lack_are_not_tabled():
    known = people_table(0.0)
    del known["a > 133"]
    assert table_of(known, "best_of_20_r") == {}


def test_interval_over_people_and_templates_covers_what_varies():
    rng = np.random.default_rng(2)
    person = rng.normal(0, 0.1, (6, 1))
    mean, low, high = bootstrap(0.3 + person + np.zeros((1, 10)))
    spread = person.std() / np.sqrt(6)
    assert low < mean < high
    assert high - low == pytest.approx(2 * 1.96 * spread, rel=0.25)
    wider = bootstrap(0.3 + person + rng.normal(0, 0.3, (1, 10)))
    assert wider[2] - wider[1] > 1.3 * (high - low)


def known_scores(values: dict[int, dict[str, float]]) -> dict:
    """Lay results out as they are kept: seed to method to its AP; chance is 0.1."""
    return {
        f"plant | {seed} | 3": {
            method: {"average_precision": ap, "transition_error": 1 - ap, "chance": CHANCE}
            for method, ap in own.items()
        }
        for seed, own in values.items()
    }


CHANCE = {"average_precision": 0.1, "transition_error": 0.9}

SCORES = {
    0: {"group PCA | rank=4": 0.3, "group PCA | rank=8": 0.5, "group ICA | count=10": 0.4},
    20: {"group PCA | rank=4": 0.9, "group PCA | rank=8": 0.2, "group ICA | count=10": 0.6, "SCAAE | ": 0.5},
    21: {"group PCA | rank=4": 0.9, "group PCA | rank=8": 0.4, "group ICA | count=10": 0.6, "SCAAE | ": 0.7},
}


def test_a_table_shows_the_setting_that_tuning_seeds_chose_though_another_does_better_on_reported_ones():
    found = chosen_scores(frame_of(known_scores(SCORES)), "average_precision")
    own = found[found["family"] == "group PCA"]
    assert set(own["setting"]) == {"rank=8"}
    assert own["score"].tolist() == [0.2, 0.4]
    assert own["above"].tolist() == pytest.approx([0.1, 0.3])
    assert found[found["family"] == "SCAAE"]["score"].tolist() == [0.5, 0.7]  # has nothing to choose


def test_the_bar_is_chosen_on_tuning_seeds():
    frame = frame_of(known_scores(SCORES))
    for score in ("average_precision", "transition_error"):
        assert bar_of(chosen_scores(frame, score), ("others",), score) == "group PCA"
    assert bar_of(chosen_scores(frame, "average_precision"), ("run",), "average_precision") is None


def test_above_chance_is_positive_for_fewer_errors():
    found = chosen_scores(frame_of(known_scores(SCORES)), "transition_error")
    assert found[found["family"] == "SCAAE"]["above"].tolist() == pytest.approx([0.4, 0.6])


def test_tables_refuse_spent_seeds():
    with pytest.raises(SeedError, match="15"):
        list(report(known_scores(SCORES | {15: SCORES[20]})))


def test_tables_hold_every_method_the_bar_and_its_interval():
    text = "\n".join(report(known_scores(SCORES)))
    assert "| plant, 3 | 2 (1) | AP | SCAAE 0.600 | group PCA 0.300 | +0.300 [+0.300, +0.300] |" in text
    assert "| group PCA (rank=8) | 0.300 / 0.200 |" in text
    assert "| plant, 3 | 2 (1) | transition error | SCAAE 0.400 | group PCA 0.700 | +0.300 [+0.300, +0.300] |" in text
    assert "| SCAAE | 0.600 / 0.500 |" in text
    assert "Methods that see no other runs (classes A and C, bounds) were not scored here." in text
    assert "### A:" not in text
    assert "| group ICA (count=10) | 0.600 / 0.500 |" in text


def test_interval_of_one_seed_says_so():
    assert interval(np.array([0.1, np.nan])) == "+0.100 [one seed]"


def test_results_go_on_where_they_stopped(tmp_path):
    store = Store(tmp_path / "judge.json")
    store.add("p | 20 | 0", {"volume | ": {"r": 1 / 3, "branch": 1, "chance": {"r": 0.123456}}})
    again = Store(tmp_path / "judge.json")
    assert again.has("p | 20 | 0", "volume | ")
    assert not again.has("p | 21 | 0", "volume | ")
    assert again.known["p | 20 | 0"]["volume | "] == {"r": 0.33333, "branch": 1, "chance": {"r": 0.12346}}


def test_only_seeds_that_have_every_method_are_tabled():
    unfinished = {22: {"group PCA | rank=8": 0.9}}
    assert list(report(known_scores(SCORES | unfinished))) == list(report(known_scores(SCORES)))


def test_every_score_stands_beside_the_way_from_the_volume_to_the_bound():
    ends = {"volume | ": 0.2, "bound: non-negative | ": 0.7}
    own = {f"plant | {seed} | 0": known_scores({seed: ends})[f"plant | {seed} | 3"] for seed in (0, 20, 21)}
    text = "\n".join(report(known_scores(SCORES) | own))
    assert "| SCAAE 0.600 (80%) | group PCA 0.300 (20%) |" in text
    assert "| SCAAE | 0.600 / 0.500 | 0.400 / 0.500 | 80% |" in text


def test_pages_are_made_from_the_results_that_are_kept(monkeypatch):
    made = {}

    def remembered(part, score):
        """Choose once: the pages ask for the scores of the same rows up to five times."""
        rows = (score, *part.index)
        if rows not in made:
            made[rows] = chosen_scores(part, score)
        return made[rows].copy()

    monkeypatch.setattr("benchmarks.judge.report.chosen_scores", remembered)
    docs = Path(run.__file__).parents[2] / "docs"
    known = Store(run.RESULTS).known, json.loads(people.RESULTS.read_text())
    assert "\n".join(glance(*known)) in (docs / "evidence.md").read_text(), "python -m benchmarks.judge glance"
    page = run.page(*known)
    assert (docs / "judge_tables.md").read_text() == "\n".join(page) + "\n", "python -m benchmarks.judge report"
    page = calibration_page(calibration.read())
    assert (docs / "calibration.md").read_text() == "\n".join(page) + "\n", "python -m benchmarks.calibration report"


def test_calibration_says_which_rows_the_default_preset_lacks():
    unit = {"300": {"p": 0.5, "statistics": {}}}
    known = {f"{TEMPORAL} | contextual | exclusive | 19 surrogates": unit}
    known[f"{TEMPORAL} | pointwise | stationary | 19 surrogates"] = unit
    text = "\n".join(calibration_page(known))
    assert text.index("| the network, `pointwise` | stationary mixture") < text.index("| the network, `contextual` |")
    assert "Not measured with `pointwise`, and a row holds for its maps alone: exclusive states." in text
    known[f"{TEMPORAL} | pointwise | exclusive | 19 surrogates"] = unit
    assert "Not measured" not in "\n".join(calibration_page(known))


def test_the_claim_of_the_front_page_is_that_of_the_evidence():
    root = Path(run.__file__).parents[2]
    claim, evidence = (
        " ".join((root / name).read_text().split()).split("<!-- claim -->")
        for name in ("README.md", "docs/evidence.md")
    )
    assert len(claim) == len(evidence) == 3
    assert claim[1] == evidence[1]

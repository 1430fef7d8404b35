"""What the report says about null models."""

import pytest

from scaae_nipype.derivatives.reading import find_runs
from scaae_nipype.files import read_json, read_table, write_json, write_table
from scaae_nipype.report.participant_page import participant_page
from scaae_nipype.report.sections import nulls
from scaae_nipype.report.sections.noise import noise_sentences
from scaae_nipype.report.sections.states import state_sentences


@pytest.fixture
def run(dataset):
    return find_runs(dataset, "01")[0]


def change(run, meaning: str, **values) -> None:
    write_table(read_table(run.path(meaning)).assign(**values), run.path(meaning))


def section(root, key="nulls"):
    (own,) = [part for part in participant_page(root, "01").chapters if part.key == "run1"]
    return next((part for part in own.chapters if part.key == f"run1-{key}"), None)


def test_matches_are_counted_and_tabulated_with_p(run):
    first, second, *_ = nulls.match_sentences(run)
    assert first.startswith("FBN branch 1: the best volume of the run matches 1 of 5 templates with p ≤ 0.05: Visual.")
    assert "at most 0.220" in first and "matches 0 of 5" in second
    assert "99 sets of surrogate templates, seed 3." in nulls.match_sentences(run)
    row = next(row for row in nulls.match_table(run).rows if row[0].text == "Visual")
    assert [cell.text for cell in row[1:4]] == ["0.30", "0.010", "4 %"]
    assert (row[2].strong, row[5].strong, row[1].small) == (True, False, "volume 7")


def test_dynamics_are_said_with_their_meaning_the_mark_and_the_lag_curve(run):
    verdict, mark, meaning, lags = nulls.dynamics_sentences(run)
    assert "99 surrogates (seed 3)" in verdict and "p = 0.020, so it is not stationary" in verdict
    assert mark.startswith("In-sample: the model was fitted to this run")
    assert meaning == "A rejection means that the run is not stationary, linear and Gaussian."
    assert "z lies between 0.3 and 0.3" in lags and "expected near 0" in lags
    tested = nulls.dynamics_table(run).rows[0]
    assert (tested[0].text, tested[4].text, tested[6].strong) == ("FBN branch 1", "4.0", True)
    assert [row[0].text for row in nulls.lag_table(run).rows] == ["1 (2.0 s)", "2 (4.0 s)"]
    assert [cell.text for cell in nulls.lag_table(run).rows[0][1:4]] == ["0.500", "0.400", "0.3"]


def test_a_run_whose_noise_changes_is_no_evidence_of_dynamics(make_dataset):
    run = find_runs(make_dataset(n=8), "01")[0]
    noise = {"P": 0.003, "Variance": {"P": 0.001, "Volume": 80, "Before": 1.0, "After": 2.1}}
    noise |= {"Smoothness": {"P": 0.4, "Volume": 3, "Before": 8.0, "After": 8.1}, "Motion": None}
    path = run.path("dynamics_null", ".json")
    write_json(read_json(path) | {"Stationarity": noise}, path)
    (text,) = [text for text in nulls.dynamics_sentences(run) if "noise" in text]
    assert "the variance over voxels goes from 1.000 to 2.100 from volume 80 on (p = 0.001)" in text
    assert "mm FWHM" not in text and text.endswith("so the rejection may be that, and no dynamics.")
    (text,) = noise_sentences(noise, rejected=False)
    assert text.endswith("though the test did not reject it.")
    (text,) = noise_sentences(noise | {"P": 0.2}, rejected=True)
    assert text == "The noise of the run keeps its level: variance and smoothness do not change (p = 0.200)."
    assert noise_sentences(None, rejected=True) == []


def test_states_on_spikes_and_cutoffs_by_noise_are_said(make_dataset):
    run = find_runs(make_dataset(n=8), "01")[0]
    path = run.path("state_metrics", ".json")
    told = {"State": "Visual", "Volumes": [7, 9, 30], "NumberOfVolumes": 4, "P": 0.001}
    about = {"Spikes": [7, 9, 30], "NoiseShare": 0.05, "CutOff": {"fbn1": 0.11, "volume": 0.08}}
    write_json(read_json(path) | about | {"Methods": {"fbn1": {"StatesOnSpikes": [told]}}}, path)
    sentences = state_sentences(run)
    assert "at least FBN branch 1 0.11, volume itself 0.08, which at most 5 % of noise volumes as" in sentences[0]
    (text,) = [text for text in sentences if "spike" in text]
    assert text.startswith("3 volumes that were not censored look like a spike")
    assert "FBN branch 1, Visual: 3 of its 4 volumes (7, 9, 30)" in text


def test_a_run_like_its_surrogates_is_not_called_more(make_dataset):
    run = find_runs(make_dataset(n=8), "01")[0]
    change(run, "dynamics_null", p_corrected=0.4, in_sample="no")
    write_json(read_json(run.path("dynamics_null", ".json")) | {"InSample": "no"}, run.path("dynamics_null", ".json"))
    verdict, mark, *_ = nulls.dynamics_sentences(run)
    assert "p = 0.400, so it is not told from a stationary mixture" in verdict
    assert mark == "The model of this test was not fitted to this run."


def test_the_section_says_that_matches_were_not_tested(make_dataset, undrawn):
    root = make_dataset(n=8)
    find_runs(root, "01")[0].path("matches").unlink()
    assert "not tested: no surrogate templates were asked for" in section(root).blocks[0].paragraphs[-1]


def test_the_section_shows_what_was_tested(make_dataset, undrawn):
    root = make_dataset(n=8)
    assert len(section(root).blocks) == 5
    run = find_runs(root, "01")[0]
    run.path("dynamics_null").unlink()
    words, table = section(root).blocks
    assert "not tested: no surrogates of runs were asked for" in words.paragraphs[-1]
    assert table.title.startswith("Matches with templates")
    run.path("matches").unlink()
    assert section(root) is None


def test_cutoffs_of_the_spatial_null_are_named(make_dataset):
    run = find_runs(make_dataset(n=8), "01")[0]
    path = run.path("state_metrics", ".json")
    write_json(read_json(path) | {"CutOff": {"fbn1": 0.21, "fbn2": 0.19, "volume": 0.2}}, path)
    rule = state_sentences(run)[0]
    assert "FBN branch 1 0.21, FBN branch 2 0.19, volume itself 0.20; see Null models" in rule


def test_a_run_without_its_temporal_null_says_why_and_shows_no_empty_table(make_dataset, undrawn):
    root = make_dataset(n=8)
    run = find_runs(root, "01")[0]
    write_table(read_table(run.path("dynamics_null")).head(0), run.path("dynamics_null"))
    why = "The temporal null of this run was left out: only 12 volumes are kept and it needs 20."
    write_json({"P": None, "Warnings": [why]}, run.path("dynamics_null", ".json"))
    *_, table, words = section(root).blocks
    assert words.paragraphs == [why] and table.title.startswith("Matches with templates")


def test_cross_fitting_is_said(make_dataset):
    run = find_runs(make_dataset(n=8), "01")[0]
    path = run.path("dynamics_null", ".json")
    model = {"ModelName": "m-fold2of3", "Fold": 2, "NumberOfFolds": 3, "NumberOfTrainingParticipants": 8}
    write_json(read_json(path) | {"InSample": "no", "ModelOfTest": model}, path)
    mark = nulls.dynamics_sentences(run)[1]
    assert mark.startswith(
        "The model of this test was not fitted to this run. It is that of fold 2 of 3, fitted to 8 other p"
    )
    write_json(read_json(path) | {"ModelOfTest": {"ModelName": "m", "Fold": None}}, path)
    assert (
        nulls.dynamics_sentences(find_runs(run.root, "01")[0])[1]
        == "The model of this test was not fitted to this run."
    )

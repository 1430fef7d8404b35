"""``scaae-bids IN OUT group`` from end to end on outputs written by hand, and what it says of bad ones."""

import os
import re
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from runs_by_hand import (
    CONFIGURATION,
    DIGEST,
    write_baselines,
    write_participants,
    write_run,
    write_states,
    write_study,
)

from scaae_nipype.bids_app.output.records import RunRecord
from scaae_nipype.bids_app.settings.configuration import scores_of
from scaae_nipype.derivatives.names import group_outputs, group_path
from scaae_nipype.files import read_json, read_table, write_json, write_table


def table(root, meaning, *index):
    found = read_table(root / group_path(meaning))
    return found.set_index(list(index)) if index else found


def test_everything_that_is_asked_for(two_sites, group):
    code, said = group("--group-by", "dx", "--covariates", "age", "--predict", "dx")
    assert code == 0, said
    assert said.splitlines()[0].startswith("Group of 24 participants with 48 runs (TR 2 s)")
    assert "All done: 12 files finished now." in said.splitlines()[-1]
    assert {path.name for path in (two_sites / "group").glob("*.tsv")} == {
        group_path(meaning).name for meaning in group_outputs() if group_path(meaning).suffix == ".tsv"
    }
    counts = table(two_sites, "participants", "column", "level")
    assert counts.loc[("site", "NYU"), ["n_participants", "n_runs", "n_volumes_kept"]].tolist() == [12, 24, 24 * 28]
    assert counts.loc[("dx", "adhd"), "n_participants"] == 12
    overlap = table(two_sites, "overlap", "column", "level", "method", "template")
    control = overlap.loc[("dx", "control", "fbn1", "Visual")]
    assert control["best_of_20_average_precision_mean"] == pytest.approx(0.4, abs=0.02)
    assert 0 < control["best_of_20_average_precision_sd"] < 0.05
    second = table(two_sites, "gradual_change", "column", "level", "method", "lag")
    assert second.loc[("site", "KKI", "fbn1", 1), "mean_iou_mean"] == pytest.approx(0.5, abs=0.02)
    tests = table(two_sites, "comparisons", "family", "outcome")
    hit = tests.loc[("best of 20, average_precision, above chance", "better branch: Visual")]
    assert hit["contrast"] == "control - adhd"
    assert 9 < hit["degrees_of_freedom"] <= 24 - 2 - 2 - 1 + 1e-6
    assert hit["estimate"] == pytest.approx(0.1, abs=0.03)
    assert hit["p_corrected"] == pytest.approx(0.01)
    of_volume = ("best of 20, average_precision, above chance, no network", "volume, better sign: Visual")
    assert tests.loc[of_volume, "p_corrected"] > 0.05
    sidecar = read_json(two_sites / group_path("comparisons", ".json"))
    assert sidecar["Group"]["ScoresCompared"] == "above chance (surrogate templates)"
    assert tests.loc[("occupancy", "fbn1: Visual"), "p_corrected"] == pytest.approx(0.01)
    assert ("occupancy, no network", "volume: Visual") in tests.index
    predicted = table(two_sites, "predictions", "source")
    assert predicted.loc["code", "score"] > 0.95 and predicted.loc["code", "p"] == pytest.approx(0.01)
    assert predicted.loc["motion alone", "p"] > 0.05
    assert predicted.loc["code", "blocked"] == "sites"
    assert table(two_sites, "reliability")["n_participants"].unique().tolist() == [24]
    assert len(table(two_sites, "code_features")) == 24
    visits = table(two_sites, "transitions", "column", "from", "to").loc[[("all", "Visual", "DefaultMode")], "count"]
    assert visits.item() == 48


def test_each_table_has_a_sidecar_and_the_validator_accepts_them(two_sites, group, validator_errors):
    assert group("--group-by", "dx")[0] == 0
    for path in (two_sites / "group").glob("*.tsv"):
        sidecar = read_json(path.with_suffix(".json"))
        assert sidecar["Group"]["GroupBy"] == "dx" and sidecar["Group"]["SiteColumn"] == "site"
        assert "Description" in sidecar
    assert [error for error in validator_errors(two_sites) if "group" in error.get("location", "")] == []


def test_runs_that_do_not_belong_are_named_and_the_rest_is_done(folders, group):
    root = folders[1]
    for number in range(4):
        write_run(root, f"{number}", seed=number)
    other = write_run(root, "5", configuration="0" * 12)
    retrained = write_run(root, "6", model="another")
    damaged = write_run(root, "7")
    next(root.glob("sub-7/func/*desc-overlap_metrics.tsv")).write_text("method\n1\n")
    unrecorded = write_run(root, "8")
    next(root.glob("sub-8/log/*.json")).unlink()
    code, said = group()
    assert code == 1
    for stem, words in {
        other: "made with another configuration (000000000000",
        retrained: "made by another model (checksum another",
        damaged: "lacks the column(s) template",
        unrecorded: "there is no record",
    }.items():
        assert any(line.startswith(f"{stem}: left out: ") and words in line for line in said.splitlines()), said
    assert said.splitlines()[-1].startswith("Something failed: 7 files finished, 4 failed")
    assert table(root, "participants")["n_participants"].tolist() == [4]
    assert read_json(root / "logs" / "status.json")["ExitCode"] == 1


def test_one_participant_only(folders, group):
    write_run(folders[1], "01")
    write_participants(folders[0], [("sub-01", "A", "adhd", "9")])
    code, said = group("--group-by", "dx", "--predict", "age")
    assert code == 0
    assert "There is one participant only: means have no spread, and nothing is compared or predicted." in said
    assert "not predicted" not in said
    assert np.isnan(table(folders[1], "overlap")["best_iou_sd"]).all()
    assert not (folders[1] / group_path("comparisons")).exists()


def test_missing_values_are_counted(folders, group):
    for number in range(12):
        write_run(folders[1], f"{number:02d}", seed=number, iou=0.2 + number / 100)
    rows = [(f"sub-{n:02d}", "A", "n/a" if n < 2 else "ab"[n % 2], str(n)) for n in range(11)]
    write_participants(folders[1], rows)
    code, said = group("--group-by", "dx")
    assert code == 0
    assert "Note: 'dx': 3 participants of 12 without a value left out where it is used." in said
    assert set(table(folders[1], "comparisons")["n_participants"]) == {9}  # sub-11 has no row at all


def test_repetition_times_are_never_mixed(folders, group):
    for number in range(6):
        write_run(
            folders[1], f"{number}", repetition_time=2.0 if number < 3 else 2.5, consecutive=0.4 if number < 3 else 0.6
        )
    code, said = group()
    assert code == 0
    assert "different repetition times (participants: 2 s: 3, 2.5 s: 3)" in said
    found = table(folders[1], "gradual_change", "method", "lag", "repetition_time")
    assert found.loc[("fbn1", 1, 2.0), "mean_iou_mean"] == pytest.approx(0.4)
    assert found.loc[("fbn1", 1, 2.5), "mean_iou_mean"] == pytest.approx(0.6)


def test_nothing_above_the_cut_off(folders, group):
    for number in range(3):
        write_states(folders[1], write_run(folders[1], f"{number}"), occupancy=0.0)
    code, said = group()
    assert code == 0
    assert "No volume of any run is above the cut-off for a state in fbn1" in said


def test_baselines_are_averaged_and_the_width_is_chosen_on_others(folders, group):
    for number, best in enumerate(["smoothed_4mm", "smoothed_4mm", "smoothed_8mm"]):
        write_baselines(folders[1], write_run(folders[1], f"{number}", seed=number), best)
    assert group()[0] == 0
    found = table(folders[1], "overlap", "method", "template")
    assert found.loc[("smoothed_4mm", "Visual"), "best_of_20_average_precision_mean"] == pytest.approx(1.6 / 3)
    # two choose 4 mm or 8 mm by one vote each way (the first wins: 4 mm); the third, outvoted, takes 4 mm and gets 0.4
    assert found.loc[("smoothed_chosen", "Visual"), "best_of_20_average_precision_mean"] == pytest.approx(1.6 / 3)
    html = (folders[1] / "group.html").read_text()
    assert "smoothed, σ chosen" in html and "smoothed 8 mm" in html


def test_a_code_whose_mean_says_nothing_is_predicted_from_by_its_covariance(two_sites, group):
    for path in two_sites.glob("sub-*/func/*_desc-code_timeseries.tsv"):
        code = read_table(path)
        own = [name for name in code if name.startswith("code")]
        code[own] = code[own] - code[own].mean()
        write_table(code, path)
    code, said = group("--predict", "dx")
    assert code == 0
    assert "predictions rest on its covariance alone" in said
    assert table(two_sites, "code_features").filter(like="mean_").abs().max(axis=None) < 1e-5
    predicted = table(two_sites, "predictions", "source")  # what told the groups apart was the mean
    assert predicted.loc["code", "score"] < 0.9


def test_what_makes_networks_doubtful_is_said_on_the_page(folders, group):
    for number in range(2):
        stem = write_run(folders[1], f"{number}", seed=number)
        path = next(folders[1].glob(f"sub-{number}/func/{stem}_desc-samples_timeseries.json"))
        branches = [{"MeanDensity": 0.2, "SignAgreement": 1.0}, {"MeanDensity": 0.75, "SignAgreement": 0.6}]
        branches[1] |= {"Sign": 1, "MeasuredSign": -1}
        model = {"Undertrained": True, "Branches": branches, "ChannelWeightRange": [0.48, 0.51 + 0.5 * number]}
        write_json(read_json(path) | {"Model": model}, path)
    assert group()[0] == 0
    html = (folders[1] / "group.html").read_text()
    for words in ("The model is undertrained", "Branch 2 is saturated", "75 %", "The sign of branch 2 is uncertain"):
        assert words in html
    assert "Branch 2 is inverted" in html and "In 2 of 2 runs it runs against the input volumes" in html
    assert "Channel attention selects nothing" in html and "In 1 of 2 runs all channel weights" in html
    assert "Branch 1 is" not in html
    assert table(folders[1], "runs")["undertrained"].tolist() == [1, 1]


def test_states_that_were_not_computed(folders, group):
    write_run(folders[1], "1")
    write_run(folders[1], "2")
    code, said = group()
    assert code == 0
    assert "The runs have no tables of states" in said
    assert not (folders[1] / group_path("states")).exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ["--group-by", "diagnosis"],
            "--group-by diagnosis: .*participants.tsv has no such column .there are: site, dx, age",
        ),
        (["--covariates", "age", "iq"], "--covariates iq: "),
        (["--site-column", "scanner"], "--site-column scanner: "),
        (["--participant-label", "99"], "holds no results of sub-99"),
        (["--task-id", "nback"], "holds no run of the sessions, tasks"),
    ],
)
def test_impossible_questions_are_one_line_and_64(folders, group, options, words):
    write_run(folders[1], "01")
    write_participants(folders[0], [("sub-01", "A", "adhd", "9")])
    code, said = group(*options)
    assert code == 64
    assert len(said.splitlines()) == 1
    assert re.search(words, said)


def test_no_participants_table(folders, group):
    write_run(folders[1], "01")
    code, said = group("--predict", "age")
    assert code == 64 and "there is no participants.tsv" in said
    assert group()[0] == 0


def test_nothing_usable(folders, group):
    write_run(folders[1], "01", configuration="0" * 12)
    code, said = group()
    assert code == 70 and "no run can be used" in said


def test_two_rows_for_one_participant(folders, group):
    write_run(folders[1], "01")
    write_participants(folders[0], [("sub-01", "A", "adhd", "9"), ("01", "A", "control", "9")])
    code, said = group("--group-by", "dx")
    assert code == 64 and "several different rows for sub-01" in said


def test_a_dry_run_writes_nothing(folders, group):
    write_run(folders[1], "01")
    before = sorted(folders[1].rglob("*"))
    code, said = group("--dry-run")
    assert code == 0 and "nothing was written" in said
    assert sorted(folders[1].rglob("*")) == before


def test_reports_only_writes_the_page_again(folders, group):
    write_run(folders[1], "1")
    code, said = group("--reports-only")
    assert code == 1 and "run the group level first" in said
    group()
    (folders[1] / "group.html").unlink()
    code, said = group("--reports-only")
    assert code == 0 and "All done: 1 file finished now." in said
    assert "IoU of consecutive volumes" in (folders[1] / "group.html").read_text()


def test_tables_of_an_earlier_question_do_not_stay(folders, group):
    root = folders[1]
    for number in range(8):
        write_run(root, f"{number}", seed=number)
    write_participants(folders[0], [(f"sub-{number}", "A", "ab"[number % 2], "9") for number in range(8)])
    group("--group-by", "dx")
    assert (root / group_path("comparisons")).exists()
    group()
    assert not (root / group_path("comparisons")).exists()
    assert read_json(root / "logs" / "configuration.json") == CONFIGURATION


@pytest.fixture
def opened():
    """Count the files of participants that are opened from here on."""
    times, is_counting = Counter(), True

    def note(event, arguments):
        if is_counting and event == "open" and isinstance(arguments[0], str) and "/sub-" in arguments[0]:
            times[arguments[0]] += 1

    sys.addaudithook(note)  # which Python never removes
    yield times
    is_counting = False


def test_no_file_is_read_again_for_every_participant(folders, group, request):
    write_study(folders, 12)
    times = request.getfixturevalue("opened")
    assert group("--group-by", "dx")[0] == 0
    assert {path.rpartition("/")[2].partition("_")[0] for path in times} >= {f"sub-{n:04d}" for n in range(12)}
    assert max(times.values()) <= 5, times.most_common(3)  # an image: header, place, and values by nibabel


@pytest.mark.slow
def test_a_thousand_participants_take_less_than_two_gigabytes(folders, scaae_bids):
    write_study(folders, 1000, n_volumes=176, n_numbers=64)
    command = [scaae_bids, *folders, "group", "--group-by", "dx", "--predict", "dx"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert used.ru_maxrss < 2e6  # kB; benchmarks.group says how long it takes


def with_scores(root, stem, **scores):
    """Let a run's record say what its scores were computed with."""
    (path,) = root.glob(f"sub-*/log/{stem}.json")
    record = RunRecord(**read_json(path))
    RunRecord(**{**vars(record), "scores": scores_of(scores), "configuration": DIGEST}).write(root)


def test_runs_with_other_scores_are_left_out_and_those_with_fewer_baselines_named(folders, group):
    root = folders[1]
    stems = [write_run(root, name) for name in ("01", "02", "03", "04")]
    write_json(CONFIGURATION | {"Baselines": ["pca", "ica"]}, root / "logs" / "configuration.json")
    with_scores(root, stems[0], Baselines=["pca", "ica"])
    with_scores(root, stems[1], Baselines=["pca"])
    with_scores(root, stems[2], Baselines=["pca", "ica"], Templates="smith2009")
    with_scores(root, stems[3], Baselines=["pca", "ica"], Surrogates=19)
    code, said = group("--dry-run")
    assert code == 0
    assert "Group of 2 participants with 2 runs" in said
    assert "(templates: smith2009, the others default); run the participant level again" in said
    assert "(surrogate templates: 99, the others 0); run the participant level again" in said
    assert f"Note: Scores of baselines ica are missing in 1 of 2 runs ({stems[1]})" in said

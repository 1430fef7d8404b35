"""When a run counts as finished, and when it has to be done again."""

import dataclasses
import json
import os
import shutil

import pytest

from scaae_nipype.bids_app.output.known_files import KnownFiles, named_by_place
from scaae_nipype.bids_app.output.records import (
    RunRecord,
    in_current_form,
    read_record,
    read_records,
    record_path,
    whats_new,
)
from scaae_nipype.bids_app.settings.configuration import configuration_hash, scores_of

OUTPUT = "sub-01/func/sub-01_desc-x_boldmap.nii.gz"


@pytest.fixture
def bold(tmp_path):
    path = tmp_path / "in" / "bold.nii.gz"
    path.parent.mkdir()
    path.write_text("1234")
    return path


@pytest.fixture
def out(tmp_path):
    out = tmp_path / "out"
    (out / OUTPUT).parent.mkdir(parents=True)
    (out / OUTPUT).write_text("map a")
    return out


def placed(*files):
    """Name files by their place below the input folder."""
    return named_by_place(files, [files[0].parent])


@pytest.fixture
def record(bold, out):
    return RunRecord(
        run="sub-01_task-rest",
        participant="01",
        status="finished",
        message="",
        configuration="c1",
        model="m1",
        inputs=KnownFiles().note_inputs(placed(bold, bold.with_name("missing"))),
        outputs=KnownFiles().note_outputs(out, [OUTPUT]),
    )


def news(record, out, bold, **today):
    asked = {"configuration": "c1", "model": "m1", "inputs": placed(bold), "wanted": [OUTPUT], **today}
    return whats_new(record, out, **asked).reason


def test_a_record_read_back_still_holds(record, out, bold):
    path = record.write(out)
    assert path == record_path(out, "01", "sub-01_task-rest") == out / "sub-01" / "log" / "sub-01_task-rest.json"
    again = read_record(path)
    assert news(again, out, bold) == ""
    assert [found.run for found in read_records(out)] == ["sub-01_task-rest"]


@pytest.mark.parametrize(
    ("today", "reason"),
    [
        ({"configuration": "c2"}, "other settings"),
        ({"model": "m2"}, "another model"),
        ({"model": None}, "another model"),
        ({"wanted": [OUTPUT, "sub-01/func/more.tsv"]}, "sub-01/func/more.tsv is missing"),
    ],
)
def test_what_makes_a_run_due(record, out, bold, today, reason):
    assert news(record, out, bold, **today) == reason


def test_a_run_is_due_when_its_files_change(record, out, bold):
    bold.write_text("1235")
    assert news(record, out, bold) == "its input has changed"
    bold.write_text("123")
    assert news(record, out, bold) == "its input has changed"


def test_the_same_content_is_the_same_input_whenever_it_was_written_unless_told_otherwise(record, out, bold):
    os.utime(bold, ns=(1, 1))
    assert news(record, out, bold) == ""
    assert news(record, out, bold, known=KnownFiles("time")) == "its input has changed"


def test_a_dataset_that_lies_elsewhere_is_the_same_input(record, out, bold, tmp_path):
    elsewhere = shutil.copytree(bold.parent, tmp_path / "scratch" / "other name") / bold.name
    assert news(record, out, elsewhere) == ""
    assert record.inputs.keys() == {bold.name}, "names do not depend on where it lies"
    other_place = bold.rename(bold.parent / "other.nii.gz")
    assert news(record, out, other_place) == "its input has changed"


def test_files_of_the_same_size_and_time_are_compared_when_all_is_to_be_verified(record, out, bold):
    times = bold.stat()
    bold.write_text("4321")
    os.utime(bold, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert news(record, out, bold) == ""
    assert news(record, out, bold, known=KnownFiles(verify=True)) == "its input has changed"


def test_a_truncated_output_is_noticed_and_an_altered_one_when_all_is_verified(record, out, bold):
    (out / OUTPUT).write_text("map of b")
    assert news(record, out, bold) == f"{OUTPUT} is not as it was written (8 bytes, not 5)"
    (out / OUTPUT).write_text("mop a")
    assert news(record, out, bold) == ""
    assert (
        news(record, out, bold, known=KnownFiles(verify=True))
        == f"{OUTPUT} is not as it was written (another checksum)"
    )


def test_files_of_one_place_in_two_datasets_are_told_apart(tmp_path):
    files = [tmp_path / "a" / "x.tsv", tmp_path / "b" / "x.tsv", tmp_path / "elsewhere.tsv"]
    assert named_by_place(files, [tmp_path / "a", tmp_path / "b"]) == dict(
        zip(["x.tsv", "x.tsv (2)", "elsewhere.tsv"], files, strict=True)
    )


def test_a_record_with_absolute_paths_and_a_list_of_outputs_holds_as_far_as_it_knows(record, out, bold, tmp_path):
    about = {"size": 4, "mtime_ns": bold.stat().st_mtime_ns}
    path = dataclasses.replace(record, inputs={f"/data/ds/{bold.name}": about}).write(out)
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"outputs": [OUTPUT]}))
    old = read_record(path)
    assert news(old, out, bold) == ""
    (out / OUTPUT).write_text("whatever")
    assert news(old, out, bold) == "", "it does not know what was written"
    os.utime(bold, ns=(1, 1))
    assert news(old, out, bold) == "its input has changed"


def test_a_run_is_due_when_an_output_is_gone(record, out, bold):
    (out / OUTPUT).unlink()
    assert news(record, out, bold, wanted=[]) == f"{OUTPUT} is missing"


def test_a_run_is_due_when_it_failed_or_nobody_knows(record, out, bold):
    assert news(dataclasses.replace(record, status="failed"), out, bold) == "failed before"
    assert news(None, out, bold) == "not done yet"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"run": "a"}', '{"unknown": 1}'])
def test_a_damaged_record_counts_as_none(tmp_path, content):
    path = tmp_path / "record.json"
    path.write_text(content)
    assert read_record(path) is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("inputs", ["a"]), ("inputs", {"a": 1}), ("outputs", 5), ("outputs", {"a": "b"}), ("scores", 3)),
        *(("pending", [1]), ("steps", None), ("warnings", "text"), ("participant", 1), ("model", None)),
    ],
)
def test_a_record_with_values_of_another_kind_counts_as_none(record, out, key, value):
    path = record.write(out)
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    assert read_record(path) is None


def test_no_record_is_none(tmp_path):
    assert read_record(tmp_path / "missing.json") is None


SCORES = scores_of({"Baselines": ["pca"], "Atlas": "default", "Surrogates": 19})
FUNC = "sub-01/func/sub-01_task-rest"


def due(record, out, bold, **today):
    asked = {"configuration": "c1", "model": "m1", "inputs": placed(bold), "wanted": [OUTPUT], "scores": SCORES}
    return whats_new(dataclasses.replace(record, scores=SCORES), out, **asked | today)


@pytest.mark.parametrize(
    ("asked", "parts", "words"),
    [
        ({}, set(), ""),
        ({"Baselines": []}, set(), ""),
        ({"Surrogates": 0, "SurrogateTemplates": 0, "Atlas": None}, set(), ""),
        ({"Baselines": ["smoothed"]}, {"baselines"}, "scores to be added: baselines smoothed"),
        (
            {"Atlas": "smith2009"},
            {"regions"},
            "other atlas (default there, smith2009 now): scores to be computed again",
        ),
        ({"Surrogates": 99}, {"dynamics_null"}, "other surrogates (19 there, 99 now): scores to be computed again"),
        ({"CrossFit": 2}, {"dynamics_null"}, "scores to be added: cross-fit 2"),
        ({"SurrogateTemplates": 19}, {"matches", "states"}, "other surrogate templates (99 there, 19 now): scores"),
        (
            {"Templates": "a.nii sha256:1"},
            {"evaluation", "states", "baselines", "matches", "dynamics_null"},
            "other templates (default there, a.nii now): scores to be computed again",
        ),
    ],
)
def test_other_scores_are_due_alone_and_less_is_not_due(record, out, bold, asked, parts, words):
    found = due(record, out, bold, scores=SCORES | asked)
    assert (found.parts, bool(found)) == (parts, bool(parts))
    assert found.reason.startswith(words) and bool(found.reason) == bool(words)


def test_in_paper_mode_surrogate_templates_decide_on_no_state(record, out, bold):
    asked = SCORES | {"SurrogateTemplates": 19}
    assert due(record, out, bold, scores=asked, mode="paper").parts == {"matches"}


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("desc-overlap_metrics.tsv", {"evaluation"}),
        ("desc-baselines_metrics.json", {"baselines"}),
        ("desc-states_timeseries.tsv", {"states", "matches"}),
        ("res-4_desc-fbn1signed_boldmap.nii.gz", {"signed_maps"}),
        ("res-4_desc-fbn1_boldmap.nii.gz", set()),
        ("desc-code_timeseries.tsv", set()),
    ],
)
def test_a_missing_score_is_made_again_and_a_missing_map_with_all_that_follows(record, out, bold, name, parts):
    found = due(record, out, bold, wanted=[f"{FUNC}_{name}"])
    assert found and found.parts == parts
    assert ("networks to be extracted" in str(found)) is not bool(parts)


def test_another_table_of_events_changes_no_map(record, out, bold):
    events = bold.with_name("events.tsv")
    events.touch()
    found = due(record, out, bold, inputs=placed(bold, events), events=events.name)
    assert (found.parts, found.reason) == ({"events"}, "scores to be added: events")
    assert due(record, out, bold, inputs=placed(bold, events)).parts == set()  # some other file


def test_what_was_planted_is_scored_where_a_run_has_it(record, out, bold):
    names = [f"{FUNC}_desc-planted_metrics.tsv"]
    found = due(record, out, bold, wanted=names, beside=["planted"])
    assert (found.parts, found.reason) == ({"planted"}, f"{names[0]} is missing")
    assert not due(record, out, bold, wanted=names), "the truth is no longer there"


def test_scores_in_the_making_are_due_under_any_settings(record, out, bold):
    found = due(dataclasses.replace(record, pending=["states"]), out, bold)
    assert found.parts == {"states", "matches"}
    assert "an earlier call ended while it computed scores" in found.reason


def test_a_record_of_an_earlier_version_is_understood_by_what_the_dataset_held(record):
    content = {"Mode": "calibrated", "Seed": 0, "Templates": "default", "Baselines": ["pca"], "Surrogates": 0}
    old = dataclasses.replace(record, configuration=configuration_hash(content))
    new = in_current_form(old, {configuration_hash(content): content})
    assert new.configuration == configuration_hash({"Mode": "calibrated", "Seed": 0})
    assert new.scores == scores_of(content) and new.scores["Baselines"] == ["pca"]
    assert in_current_form(old, {}) == old and in_current_form(None, {}) is None

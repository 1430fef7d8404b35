"""When a run counts as finished, and when it has to be done again."""

import dataclasses
import os

import pytest

from scaae_nipype.bids_app.records import RunRecord, fingerprints, read_record, read_records, record_path, whats_new

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
    (out / OUTPUT).touch()
    return out


@pytest.fixture
def record(bold):
    return RunRecord(
        run="sub-01_task-rest",
        participant="01",
        status="finished",
        message="",
        configuration="c1",
        model="m1",
        inputs=fingerprints([bold, None, bold.with_name("missing")]),
        outputs=(OUTPUT,),
    )


def news(record, out, bold, **today):
    asked = {"configuration": "c1", "model": "m1", "inputs": fingerprints([bold]), "wanted": [OUTPUT], **today}
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
    os.utime(bold, ns=(1, 1))
    assert news(record, out, bold) == "its input has changed"


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
    assert read_record(tmp_path / "missing.json") is None

"""The filter file: the meaning of its values, and what is said about a wrong one."""

import json

import pytest

from scaae_nipype.bids_app.inputs.find import find_inputs
from scaae_nipype.bids_app.inputs.query import Query, read_filter_file
from scaae_nipype.errors import UsageError


@pytest.fixture
def study(tree):
    tree.run("sub-01_task-rest_run-01")
    tree.run("sub-01_task-rest_acq-mb_run-02")
    tree.run("sub-01_ses-1_task-nback_acq-se_run-03")
    return tree


@pytest.mark.parametrize(
    ("entities", "expected"),
    [
        ({}, {"01", "02", "03"}),
        ({"session": "1"}, {"03"}),
        ({"session": None}, {"01", "02"}),
        ({"acquisition": "*"}, {"02", "03"}),
        ({"acquisition": [None, "mb"]}, {"01", "02"}),
        ({"run": 2}, {"02"}),
        ({"run": ["01", "3"]}, {"01", "03"}),
        ({"task": "rest", "acq": "mb"}, {"02"}),
        ({"suffix": "bold", "datatype": "func", "extension": ".nii.gz"}, {"01", "02", "03"}),
        ({"space": "MNI152NLin2009cAsym", "resolution": "2"}, {"01", "02", "03"}),
    ],
)
def test_meaning(study, tmp_path, entities, expected):
    path = tmp_path / "filter.json"
    path.write_text(json.dumps({"bold": entities, "t1w": {"session": "9"}}))
    inputs = find_inputs(study.root, Query.of(filters=read_filter_file(path)))
    assert {run.entities["run"] for run in inputs.runs} == expected


def test_labels_are_compared_verbatim(study):
    with pytest.raises(UsageError, match=r"looked for ses-01 \(.*Nearest: 1 file with ses-1,"):
        find_inputs(study.root, Query.of(filters={"bold": {"session": "01", "task": "nback"}, "t1w": {}}))


def test_filter_and_labels_together(study):
    inputs = find_inputs(study.root, Query.of(tasks=["rest"], filters={"bold": {"acquisition": "*"}}))
    assert [run.entities["run"] for run in inputs.runs] == ["02"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not valid JSON"),
        ("[]", '"bold" entry'),
        ('{"t1w": {}}', '"bold" entry'),
        ('{"bold": []}', '"bold" entry'),
        ('{"bold": {"sesion": "1"}}', 'did you mean "session"'),
        ('{"bold": {"session": true}}', "must be a label"),
        ('{"bold": {"session": {"a": 1}}}', "must be a label"),
        ('{"bold": {"session": []}}', "must be a label"),
        (None, "cannot be read"),
    ],
)
def test_bad_file(tmp_path, content, message):
    path = tmp_path / "filter.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UsageError, match=message) as error:
        read_filter_file(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_byte_order_mark(study, tmp_path):
    path = tmp_path / "filter.json"
    path.write_text('{"bold": {"session": "1"}}', encoding="utf-8-sig")
    assert len(find_inputs(study.root, Query.of(filters=read_filter_file(path))).runs) == 1
    path.write_text('{"bold": {}}', encoding="utf-16")
    with pytest.raises(UsageError, match="UTF-16"):
        read_filter_file(path)

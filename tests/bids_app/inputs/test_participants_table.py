"""``participants.tsv`` as spreadsheets leave it: read and said, or refused in one line."""

import json

import pytest

from scaae_nipype.bids_app.inputs.find import find_inputs
from scaae_nipype.bids_app.inputs.participants import read_participants
from scaae_nipype.bids_app.inputs.plan import plan_text
from scaae_nipype.bids_app.output.dataset_files import write_participants
from scaae_nipype.errors import InputError
from scaae_nipype.files import read_table


def read(tmp_path, text, known=("01", "02"), encoding="utf-8"):
    (tmp_path / "participants.tsv").write_text(text, encoding=encoding)
    return read_participants(tmp_path / "participants.tsv", known)


@pytest.mark.parametrize(
    ("ids", "known", "expected"),
    [
        (["sub-01", "sub-02"], ["01", "02"], ["sub-01", "sub-02"]),
        (["01", "02"], ["01", "02"], ["sub-01", "sub-02"]),
        (["1", "2"], ["01", "02"], ["sub-01", "sub-02"]),
        (["sub-1", "sub-2"], ["01", "02"], ["sub-01", "sub-02"]),
        (["1.0", "2.0"], ["001", "002"], ["sub-001", "sub-002"]),
        (["SUB-01", "sub_02"], ["01", "02"], ["sub-01", "sub-02"]),
        (["ctrl01", "NYU_0050"], ["CTRL01", "NYU0050"], ["sub-CTRL01", "sub-NYU0050"]),
        (["1", "01"], ["01", "1"], ["sub-1", "sub-01"]),
    ],
)
def test_identifiers(tmp_path, ids, known, expected):
    found = read(tmp_path, "participant_id\tage\n" + "".join(f"{label}\t8\n" for label in ids), known)
    assert found.rows["participant_id"].tolist() == expected
    assert bool(found.notes) == (ids not in (["sub-01", "sub-02"], ["01", "02"], ["1", "01"]))


def test_what_was_matched_is_named(tmp_path):
    found = read(tmp_path, "participant_id\tage\n1\t8\n2\t9\n")
    assert found.notes[0].endswith("has 1, 2 where the dataset has sub-01, sub-02; taken for the same.")


def test_what_may_be_two_is_not_matched(tmp_path):
    found = read(tmp_path, "participant_id\tage\n1\t8\n", known=["01", "001"])
    assert found.without_row(["sub-01", "sub-001"]) == ["sub-01", "sub-001"]
    assert "sub-1 may be sub-001, sub-01, which is ambiguous" in found.notes[0]
    twice = read(tmp_path, "participant_id\tage\n1\t8\n001\t9\n", known=["01"])
    assert twice.without_row(["sub-01"]) == ["sub-01"]


@pytest.mark.parametrize(
    ("text", "encoding", "words"),
    [
        ("participant_id\tsex\nsub-01\tmännlich\n", "latin-1", "is not in UTF-8; it was read as Windows-1252"),
        ("participant_id,sex\nsub-01,männlich\n", "utf-8", "is separated by ',' instead of tabs"),
        ("participant_id;sex\nsub-01;männlich\n", "utf-8", "is separated by ';' instead of tabs"),
        ("Participant_ID\tsex\nsub-01\tmännlich\n", "utf-8", "column 'Participant_ID' instead of participant_id"),
        (" participant id \tsex\nsub-01\tmännlich\n", "utf-8", "column 'participant id' instead of participant_id"),
        ("participant_id\tsex\nsub-01\tmännlich\n", "utf-8-sig", ""),
        ("participant_id\tsex\r\nsub-01\tmännlich\r\n\r\n", "utf-8", ""),
    ],
)
def test_other_ways_to_write_it(tmp_path, text, encoding, words):
    found = read(tmp_path, text, encoding=encoding)
    assert found.rows.to_dict("list") == {"participant_id": ["sub-01"], "sex": ["männlich"]}
    assert [words in note for note in found.notes] == ([True] if words else [])


@pytest.mark.parametrize(
    ("text", "encoding", "words"),
    [
        ("participant_id\tsex\nsub-01\tm\n", "utf-16", "UTF-16"),
        ("subject_id\tsex\nsub-01\tm\n", "utf-8", "no column participant_id; its columns are subject_id, sex; rename"),
        ("age\tsex\n8\tm\n", "utf-8", "has no column participant_id; its columns are age, sex."),
        ("participant_id sex\nsub-01 m\n", "utf-8", "has no column participant_id; its columns are participant_id sex"),
        ("", "utf-8", "is not a tab-separated table"),
        ("participant_id\tsex\nsub-01\tm\tx\ny\n", "utf-8", "cells"),
    ],
)
def test_refused_in_one_line(tmp_path, text, encoding, words):
    with pytest.raises(InputError) as error:
        read(tmp_path, text, encoding=encoding)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_folder_in_its_place(tmp_path):
    (tmp_path / "participants.tsv").mkdir()
    with pytest.raises(InputError, match="no regular file"):
        read_participants(tmp_path / "participants.tsv", ["01"])


class TestParticipantLevel:
    @pytest.fixture
    def data(self, make_tree):
        raw = make_tree("data", DatasetType="raw")
        make_tree("data/derivatives/fmriprep").run("sub-01_task-rest")
        (raw.root / "participants.json").write_text(json.dumps({"age": {"Units": "years"}}))
        return raw.root

    def test_rows_are_carried_over_under_the_labels_of_the_dataset(self, data, tmp_path):
        (data / "participants.tsv").write_text("participant_id\tage\n1\t8\n2\t9\n")
        inputs = find_inputs(data)
        assert "has 1 where the dataset has sub-01; taken for the same." in plan_text(inputs)
        (tmp_path / "out" / "sub-01").mkdir(parents=True)
        write_participants(tmp_path / "out", inputs)
        assert read_table(tmp_path / "out" / "participants.tsv").to_dict("list") == {
            "participant_id": ["sub-01"],
            "age": [8],
        }

    def test_trouble_is_told_in_the_plan(self, data):
        (data / "participants.tsv").write_text("subject\tage\n1\t8\n")
        assert "has no column participant_id; its columns are subject, age; rename 'subject'" in plan_text(
            find_inputs(data)
        )
        (data / "participants.tsv").write_text("participant_id\tage\nA\t8\nB\t9\n")
        assert "has no row for any participant: sub-01; it has sub-A, sub-B." in plan_text(find_inputs(data))

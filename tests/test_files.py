"""Files are written whole or not at all, and tables keep what they say."""

import json
import os

import numpy as np
import pandas as pd
import pytest

from scaae_nipype.derivatives.names import output_name, output_path, outputs
from scaae_nipype.errors import InputError
from scaae_nipype.files import (
    read_json,
    read_table,
    replacing,
    replacing_folder,
    reserve,
    write_json,
    write_table,
    write_text,
)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    write_text("old", tmp_path / "file.txt")
    with pytest.raises(RuntimeError), replacing(tmp_path / "file.txt") as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert (tmp_path / "file.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["file.txt"]


def test_reserved_space_is_taken(tmp_path):
    with (tmp_path / "mapped").open("w+b") as file:
        reserve(file.fileno(), 1_000_000)
    assert (tmp_path / "mapped").stat().st_size == 1_000_000
    assert (tmp_path / "mapped").stat().st_blocks * 512 >= 1_000_000, "a sparse file: a full disk would kill its writer"


def test_the_temporary_name_keeps_the_extension(tmp_path):
    with replacing(tmp_path / "image.nii.gz") as temporary:
        assert temporary.name.endswith(".nii.gz")
        assert temporary.parent == tmp_path
    with replacing(tmp_path / "sub-01_desc-a.b_bold.json") as temporary:
        assert temporary.suffix == ".json"


def test_outputs_follow_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        path = write_text("", tmp_path / "file.txt")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o640


def test_json_takes_numpy_and_no_nan(tmp_path):
    content = {"a": np.float32(1.5), "b": np.arange(2), "c": float("nan"), "d": tmp_path, 1: [np.bool_(True)]}
    write_json(content, tmp_path / "x.json")
    assert json.loads((tmp_path / "x.json").read_text()) == {
        "a": 1.5, "b": [0, 1], "c": None, "d": str(tmp_path), "1": [True],
    }  # fmt: skip


def test_tables_keep_names_that_look_like_missing_values(tmp_path):
    table = pd.DataFrame({"name": ["NA", "None", "DMN"], "value": [1.0, np.nan, 0.1234567891]})
    write_table(table, tmp_path / "t.tsv")
    assert (tmp_path / "t.tsv").read_text().splitlines()[2] == "None\tn/a"
    back = read_table(tmp_path / "t.tsv")
    assert back["name"].tolist() == ["NA", "None", "DMN"]
    assert back["value"].isna().tolist() == [False, True, False]
    assert back["value"][2] == pytest.approx(0.123457)


def test_unusable_files_are_one_line(tmp_path):
    with pytest.raises(InputError, match=r"no\.json: cannot be read"):
        read_json(tmp_path / "no.json")
    write_text("[1]", tmp_path / "list.json")
    with pytest.raises(InputError, match="holds no JSON object"):
        read_json(tmp_path / "list.json")
    with pytest.raises(InputError, match=r"no\.tsv: cannot be read"):
        read_table(tmp_path / "no.tsv")


@pytest.mark.parametrize(("name", "content"), [("x.json", '{"a": "ü"}'), ("x.tsv", "a\tb\nü\t1\n")])
def test_byte_order_mark_is_no_content(tmp_path, name, content):
    (tmp_path / name).write_text(content, encoding="utf-8-sig")
    if name.endswith("json"):
        assert read_json(tmp_path / name) == {"a": "ü"}
    else:
        assert read_table(tmp_path / name).to_dict("list") == {"a": ["ü"], "b": [1]}


def test_other_encodings_are_read_or_named(tmp_path):
    (tmp_path / "x.json").write_text('{"Authors": ["Müller"]}', encoding="cp1252")
    assert read_json(tmp_path / "x.json") == {"Authors": ["Müller"]}
    (tmp_path / "x.tsv").write_text("a\tb\n1\tx\n2\tü\n", encoding="latin-1")
    with pytest.raises(InputError, match=r"x\.tsv: line 3 is not in UTF-8 .*save it as UTF-8"):
        read_table(tmp_path / "x.tsv")
    for read, name in ((read_json, "x.json"), (read_table, "x.tsv")):
        for encoding in ("utf-16", "utf-16-le"):
            (tmp_path / name).write_text("{} a\tb\n", encoding=encoding)
            with pytest.raises(InputError, match=r"UTF-16") as error:
                read(tmp_path / name)
            assert "\n" not in str(error.value)


def test_reading_never_blocks(tmp_path):
    for read, name in ((read_json, "x.json"), (read_table, "x.tsv")):
        os.mkfifo(tmp_path / name)
        with pytest.raises(InputError, match="no regular file"):
            read(tmp_path / name)


def test_brackets_without_end(tmp_path):
    write_text("[" * 100_000, tmp_path / "x.json")
    with pytest.raises(InputError, match="is not valid JSON"):
        read_json(tmp_path / "x.json")


def test_every_registered_name_is_unique_and_described():
    entities = {"sub": "01", "ses": "a", "task": "rest", "run": "01", "space": "MNI152NLin6Asym", "res": "2"}
    names = {output_name(entities, meaning) for meaning in outputs()}
    assert len(names) == len(outputs())
    assert all(entry["description"] for entry in outputs().values())
    assert all("run-01" in name and "res-2" not in name for name in names)
    assert str(output_path(entities, "fbn1")).startswith("sub-01/ses-a/func/sub-01_ses-a_task-rest_run-01_space-")


def _make(folder, word):
    folder.mkdir()
    write_text(word, folder / "word.txt")


def test_a_folder_is_replaced_whole(tmp_path):
    for word in ("old", "new"):
        with replacing_folder(tmp_path / "models" / "a") as fresh:
            _make(fresh, word)
            write_text("", fresh / f"{word}.txt")
    assert sorted(path.name for path in (tmp_path / "models" / "a").iterdir()) == ["new.txt", "word.txt"]
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["a"]


def test_a_folder_that_fails_leaves_the_old_one_and_nothing_else(tmp_path):
    _make(tmp_path / "a", "old")
    with pytest.raises(RuntimeError), replacing_folder(tmp_path / "a") as fresh:
        _make(fresh, "half")
        raise RuntimeError
    with pytest.raises(FileNotFoundError), replacing_folder(tmp_path / "a") as fresh:
        assert not fresh.exists()  # nor is anything made that could be put there
    assert (tmp_path / "a" / "word.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_folders_follow_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        with replacing_folder(tmp_path / "a") as fresh:
            _make(fresh, "new")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o750
    assert (tmp_path / "a" / "word.txt").stat().st_mode & 0o777 == 0o640

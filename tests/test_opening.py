"""Files from outside are opened in one way: what is no plain file, is too large or nested without end is one line."""

import json
import os
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaae_nipype.bids_app.engine.plugin_file import read_plugin_file
from scaae_nipype.bids_app.inputs.datasets import _is_derivative
from scaae_nipype.bids_app.inputs.listing import ignored_by
from scaae_nipype.bids_app.inputs.participants import read_participants
from scaae_nipype.bids_app.inputs.query import read_filter_file
from scaae_nipype.bids_app.output.records import RunRecord, read_records
from scaae_nipype.bids_app.output.status_files import read_calls
from scaae_nipype.bids_app.settings.command_line import parse
from scaae_nipype.bids_app.settings.configuration import (
    CONFIGURATION_FILE,
    known_configurations,
    read_configuration,
    scores_of,
)
from scaae_nipype.errors import InputError, ScaaeError
from scaae_nipype.evaluation.events import read_events
from scaae_nipype.evaluation.templates.template_names import read_names
from scaae_nipype.files import read_json, read_table
from scaae_nipype.model.folder import read_card
from scaae_nipype.opening import parse_json, read_bytes
from scaae_nipype.preparation.confound_values import read_cells
from scaae_nipype.preparation.strategies import read_strategy

OF_FOLDERS = {
    "card.json": read_card,
    ".bidsignore": ignored_by,
    "dataset_description.json": _is_derivative,
    CONFIGURATION_FILE: lambda folder: (read_configuration(folder), known_configurations(folder)),
    "logs/scaae-bids_1.json": lambda folder: read_calls(folder / "logs"),
    "sub-01/log/sub-01_task-rest.json": lambda folder: [scores_of(one.scores or {}) for one in read_records(folder)],
}
"""Every entry point that reads a text file of a given name: of a model, of a dataset, of earlier calls."""

ODD = ("missing", "folder", "pipe", "loop", "device", "dangling")


def make_odd(kind, path):
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "dangling":
        path.symlink_to(path.with_name("nowhere"))
    return path


def config(path):
    return parse([".", ".", "participant", "--config-file", str(path)])


def participants(path):
    return read_participants(path, ["01", "a"])


READERS = {
    "bytes": read_bytes,
    "json": read_json,
    "table": read_table,
    "confounds": read_cells,
    "events": read_events,
    "names": read_names,
    "filter": read_filter_file,
    "strategy": read_strategy,
    "config": config,
    "plugin": read_plugin_file,
    "participants": participants,
}
"""Every entry point that reads a text file that somebody else wrote."""


def of_one_line(reader, path):
    """Give what a reader says of a file that it refuses; None where it reads it. Anything else fails the test."""
    try:
        reader(path)
    except ScaaeError as error:
        assert "\n" not in str(error) and len(str(error)) <= 2003
        return str(error)
    return None


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("reader", [READERS[name] for name in READERS if name != "participants"])
def test_what_is_no_regular_file_is_refused_at_once(reader, kind, tmp_path):
    path = make_odd(kind, tmp_path / "odd.txt")
    said = of_one_line(reader, path)
    assert said is not None and str(path) in said


@pytest.mark.parametrize("most", [10, 11])
def test_a_file_is_not_read_beyond_its_limit(tmp_path, most):
    (tmp_path / "x").write_bytes(b"x" * 11)
    if most == 11:
        assert len(read_bytes(tmp_path / "x", most=most)) == 11
    else:
        with pytest.raises(InputError, match="x: is larger than 10 bytes"):
            read_bytes(tmp_path / "x", most=most)


@pytest.mark.parametrize("depth", [101, 900, 100_000])
@pytest.mark.parametrize("reader", [read_json, read_filter_file, read_strategy, config, read_plugin_file])
def test_brackets_in_brackets_are_refused_wherever_json_is_read(reader, depth, tmp_path):
    path = tmp_path / "deep.json"
    path.write_text('{"columns": ' + "[" * depth + "]" * depth + "}")
    assert "nested more than 100 deep" in of_one_line(reader, path)


@pytest.mark.parametrize("reader", [config, read_plugin_file])
@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in pairwise("abcdefgh")),
        "a: " + "[" * 500,
        "a: " + "[" * 500 + "]" * 500,
        "a: &a [*a]\n",
    ],
    ids=["bomb", "open", "deep", "itself"],
)
def test_yaml_that_grows_without_end_is_refused_in_a_line(reader, text, tmp_path):
    path = tmp_path / "bomb.yaml"
    path.write_text(text)
    assert of_one_line(reader, path) is not None


def test_numbers_that_no_float_holds_are_infinite_as_those_with_an_exponent_are():
    content = parse_json('{"a": ' + "9" * 400 + ', "b": -' + "9" * 5000 + ', "c": 1e999, "d": 12}')
    assert content == {"a": float("inf"), "b": float("-inf"), "c": float("inf"), "d": 12}


def test_halves_of_characters_do_not_reach_files(tmp_path):
    (tmp_path / "x.json").write_text(r'{"\ud800": ["a\udfffb", "\ud83d\ude00"]}')
    content = read_json(tmp_path / "x.json")
    assert content == {"?": ["a?b", "😀"]}
    json.dumps(content, ensure_ascii=False).encode("utf-8")


@given(content=st.binary(max_size=300), name=st.sampled_from(["x.json", "x.tsv", "x.yaml", "x.toml", "x.xml", "x.txt"]))
def test_whatever_bytes_a_file_holds_every_reader_reads_it_or_says_a_line(content, name, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(content)
    for reader in READERS.values():
        of_one_line(reader, path)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=10) | st.just(10**400),
    lambda inside: (
        st.lists(inside, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["bold", "subject", "run", "columns", "high_pass", "detrend", "plugin", "plugin_args", "nprocs"]
            )
            | st.text(max_size=5),
            inside,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(content=st.dictionaries(st.sampled_from(["bold", "columns", "fd_threshold", "plugin", "plugin_args"]), JSON))
def test_whatever_json_says_every_reader_takes_it_or_says_a_line(content, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps(content))
    for reader in READERS.values():
        of_one_line(reader, path)


TABLES = st.lists(
    st.lists(
        st.sampled_from(
            ["onset", "duration", "trial_type", "index", "name", "n/a", "1e400", "-0", "0x10", '"', "é", "1"]
        )
        | st.text(max_size=6),
        min_size=1,
        max_size=5,
    ),
    max_size=6,
)


@given(rows=TABLES, separator=st.sampled_from(["\t", ",", ";", " "]))
def test_whatever_a_table_holds_every_reader_takes_it_or_says_a_line(rows, separator, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "any.tsv"
    path.write_text("\n".join(separator.join(row) for row in rows), encoding="utf-8", errors="replace")
    for reader in READERS.values():
        of_one_line(reader, path)


KEYS = (
    *("FormatVersion", "Preset", "Branches", "Training", "GroupPCA", "Seed", "WeightsSHA256"),
    *("Baselines", "Templates", "Surrogates", "Atlas", "Earlier", "Started", "Ended", "Participants"),
    *("run", "participant", "status", "inputs", "outputs", "scores", "warnings", "DatasetType", "GeneratedBy"),
)


@given(content=st.dictionaries(st.sampled_from(KEYS), JSON, max_size=8) | JSON)
def test_whatever_json_a_folder_holds_its_readers_take_it_or_say_a_line(content, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp() / "folder"
    for name, reader in OF_FOLDERS.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
        of_one_line(reader, folder)


@given(content=st.binary(max_size=300))
def test_whatever_bytes_a_folder_holds_its_readers_take_it_or_say_a_line(content, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp() / "bytes"
    for name, reader in OF_FOLDERS.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        of_one_line(reader, folder)


SCORES = scores_of({})


@given(changes=st.dictionaries(st.sampled_from(sorted(SCORES)), JSON, max_size=3))
def test_a_record_whose_settings_cannot_be_is_none(changes, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp() / "records"
    written = RunRecord("sub-01_task-rest", "01", "finished", "", "a", "b", {}, scores={**SCORES, **changes})
    written.write(folder)
    for record in read_records(folder):
        assert scores_of(record.scores or {}).keys() == SCORES.keys()

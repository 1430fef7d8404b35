"""The group level asks the query of the participant level, and reads ``participants.tsv`` with care."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from scaae_nipype.bids_app.cli import main
from scaae_nipype.bids_app.group.group_inputs import read_group
from scaae_nipype.bids_app.output.known_files import KnownFiles
from scaae_nipype.bids_app.output.records import RunRecord, read_record
from scaae_nipype.bids_app.settings.asked import settings_of
from scaae_nipype.bids_app.settings.command_line import parse
from scaae_nipype.bids_app.settings.configuration import configuration_hash
from scaae_nipype.derivatives.names import group_path, output_path, run_stem
from scaae_nipype.files import read_table, write_json, write_table

CONFIGURATION = {"Seed": 0}
BOLD = "sub-{sub}_task-rest_run-{run}_space-MNI152NLin6Asym_res-2_desc-{desc}_bold.nii.gz"


def add(root: Path, sub: str, run: str, *, desc: str = "preproc", says_source: bool = True) -> None:
    """Write the least that the group level reads of a run, and in a sidecar the BOLD file that it comes from."""
    entities = {"sub": sub, "task": "rest", "run": run, "space": "MNI152NLin6Asym"}

    def write(meaning: str, rows: list[dict]) -> None:
        write_table(pd.DataFrame(rows), root / output_path(entities, meaning))

    write("samples", [{"volume": number, "kept": 1, "framewise_displacement": 0.1} for number in range(5)])
    write("overlap", [{"method": "fbn1", "template": "Visual", "best_of_20_iou": 0.3}])
    lag = {"lag": 1, "lag_seconds": 2.0, "mean_iou": 0.5, "density": 0.3, "chance_iou": 0.2}
    write("gradual_change", [{"method": "fbn1", **lag}])
    source = f"bids:fmriprep:sub-{sub}/func/{BOLD.format(sub=sub, run=run, desc=desc)}"
    about = {"Preparation": {"RepetitionTime": 2.0}} | ({"Sources": [source]} if says_source else {})
    write_json(about, root / output_path(entities, "samples", ".json"))
    RunRecord(run_stem(entities), sub, "finished", "", configuration_hash(CONFIGURATION), "0" * 10, {}).write(root)


def write_participants(root: Path, *rows: str) -> None:
    (root / "participants.tsv").write_text("\n".join(["participant_id\tdx", *rows]) + "\n")


@pytest.fixture
def folders(tmp_path):
    """Give input and output dataset, the latter with its configuration."""
    (tmp_path / "in").mkdir()
    write_json(CONFIGURATION, tmp_path / "out" / "logs" / "configuration.json")
    return tmp_path / "in", tmp_path / "out"


@pytest.fixture
def study(folders):
    for sub in ("01", "02"):
        add(folders[1], sub, "01")
        add(folders[1], sub, "02", desc="denoised")
    return folders[1]


@pytest.fixture
def group(folders, capsys):
    """Run the group level: exit code and what was said."""

    def call(*options):
        code = main([*map(str, folders), "group", "--permutations", "9", *options])
        said = capsys.readouterr()
        return code, said.out + said.err

    return call


@pytest.fixture
def read(folders):
    """Read what the group level would work on."""

    def call(*options):
        return read_group(settings_of(parse([*map(str, folders), "group", *options])))

    return call


def names(inputs) -> list[str]:
    return inputs.data.runs["run"].str.replace("_space-MNI152NLin6Asym", "").tolist()


FIRST = ["sub-01_task-rest_run-01", "sub-02_task-rest_run-01"]


@pytest.mark.parametrize(
    ("options", "entities", "expected"),
    [
        (["--run-id", "1"], None, FIRST),
        (["--run-id", "run-001"], None, FIRST),
        ([], {"run": 1}, FIRST),
        ([], {"run": "*", "description": "preproc"}, FIRST),
        ([], {"resolution": "2", "run": "1", "space": "MNI152NLin6Asym"}, FIRST),
        (["--space", "MNI152NLin6Asym:res-2", "--run-id", "1"], None, FIRST),
        (["--participant-label", "01"], {"run": "1"}, FIRST[:1]),
        ([], {"subject": "02", "acquisition": None, "run": "01"}, FIRST[1:]),
    ],
)
def test_selection(study, read, tmp_path, options, entities, expected):
    if entities is not None:
        (tmp_path / "filter.json").write_text(json.dumps({"bold": entities}))
        options = [*options, "--bids-filter-file", str(tmp_path / "filter.json")]
    assert names(read(*options)) == expected


def test_outputs_that_do_not_say_their_source_go_by_their_own_names(folders, read):
    for sub in ("01", "02"):
        add(folders[1], sub, "01", says_source=False)
    assert names(read("--run-id", "1")) == FIRST


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--run-id", "9"], "looked for run-9 (--run-id). Nearest: 2 files with run-01, 2 files with run-02"),
        (["--task-id", "Rest"], "task-Rest (--task-id). Nearest: 4 files with task-rest"),
        (["--session-label", "1"], "ses-1 (--session-label). Nearest: 4 files with no ses"),
        (["--participant-label", "1"], "holds no results of sub-1 (nearest: sub-01)"),
    ],
)
def test_nothing_matches(study, group, options, words):
    code, said = group(*options)
    assert (code, len(said.splitlines())) == (64, 1)
    assert words in said


def test_label_that_no_run_has_beside_one_that_runs_have(study, group):
    code, said = group("--task-id", "rest", "rst", "--dry-run")
    assert code == 0
    assert "Note: task-rst (--task-id): no BOLD file has it; task-rest?" in said.splitlines()


def test_filter_file_that_cannot_be_used(study, group, tmp_path):
    (tmp_path / "filter.json").write_text("{")
    code, said = group("--bids-filter-file", str(tmp_path / "filter.json"))
    assert code == 64 and "is not valid JSON" in said


class TestParticipants:
    def test_identifiers_without_zeros_are_matched_and_said(self, study, folders, read):
        write_participants(folders[0], "1\tadhd", "2\tcontrol")
        inputs = read("--group-by", "dx")
        assert inputs.notes[-1].endswith("has 1, 2 where the dataset has sub-01, sub-02; taken for the same.")
        assert inputs.data.runs["dx"].tolist() == ["adhd", "adhd", "control", "control"]

    def test_nobody_has_a_row(self, study, folders, group):
        write_participants(folders[0], "A\tadhd", "B\tcontrol")
        code, said = group("--group-by", "dx")
        assert code == 1
        fault = "has no row for any participant: sub-01, sub-02; it has sub-A, sub-B."
        assert any(line.startswith("participants.tsv: ") and line.endswith(fault) for line in said.splitlines())
        assert said.splitlines()[-1].startswith("Something failed: ")
        assert len(read_table(study / group_path("runs"))) == 4, "what needs no table is made"

    def test_somebody_has_no_row(self, study, folders, group):
        write_participants(folders[0], "sub-01\tadhd")
        code, said = group("--group-by", "dx", "--dry-run")
        assert code == 0
        assert "has no row for sub-02." in said

    def test_other_encoding_and_separator(self, study, folders, read):
        text = "participant_id;dx\nsub-01;müde\nsub-02;wach\n"
        (folders[0] / "participants.tsv").write_text(text, encoding="latin-1")
        inputs = read("--group-by", "dx")
        assert "it was read as Windows-1252" in inputs.notes[0] and "is separated by ';'" in inputs.notes[1]
        assert inputs.data.runs["dx"].tolist() == ["müde", "müde", "wach", "wach"]

    @pytest.mark.parametrize(
        ("name", "content", "words"),
        [
            ("participants.tsv", "subject\tdx\nsub-01\ta\n", "has no column participant_id; its columns are subject"),
            ("participants.tsv", "participant_id\tDX\nsub-01\ta\n", "(there are: DX); did you mean 'DX'?"),
            ("participants.csv", "participant_id,dx\nsub-01,a\n", "participants.csv)"),
        ],
    )
    def test_table_that_cannot_be_used(self, study, folders, group, name, content, words):
        (folders[0] / name).write_text(content)
        code, said = group("--group-by", "dx")
        assert (code, len(said.splitlines())) == (64, 1)
        assert words in said


def test_a_table_that_is_not_as_it_was_written_is_left_out(study, group):
    path = next(study.glob("sub-01/log/*run-01*.json"))
    table = next(study.glob("sub-01/func/*run-01*desc-overlap_metrics.tsv"))
    name = table.relative_to(study).as_posix()
    replace(read_record(path), outputs=KnownFiles().note_outputs(study, [name])).write(study)
    assert group()[0] == 0
    before = table.read_text()
    table.write_text(before.replace("0.3", "0.4"))
    assert group()[0] == 0, "the same size"
    code, said = group("--verify")
    assert code == 1 and f"{table.name} is not as it was written (another checksum)" in said, said
    table.write_text(before[:-2])
    code, said = group()
    assert code == 1 and f"{table.name} is not as it was written (" in said and ": left out: " in said, said

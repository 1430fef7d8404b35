"""The output dataset around the runs, the Methods text, and the verdict."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from scaae_nipype.bids_app.inputs.plan import Inputs, RunInput
from scaae_nipype.bids_app.job.model_store import mismatches
from scaae_nipype.bids_app.output.citation import methods_text, references_bib
from scaae_nipype.bids_app.output.dataset_files import (
    all_outputs,
    check_writable,
    dataset_description,
    participants_with_results,
    sources_of,
    wanted_outputs,
    write_dataset_files,
    write_participants,
)
from scaae_nipype.bids_app.output.verdict import Call, Summary
from scaae_nipype.bids_app.settings.console import Console
from scaae_nipype.derivatives.names import shipped
from scaae_nipype.errors import UsageError
from scaae_nipype.workflows.model_card import training_sentence

ASKED = ("save_signed", "baselines", "atlas", "n_surrogates", "n_surrogate_templates")


@pytest.fixture
def inputs(tmp_path):
    raw, prep = tmp_path / "raw", tmp_path / "raw" / "derivatives" / "prep"
    prep.mkdir(parents=True)
    (raw / "dataset_description.json").write_text('{"Name": "r", "Authors": ["A. Uthor"], "DatasetDOI": "doi:10.1/x"}')
    (raw / "participants.tsv").write_text("participant_id\tage\tgroup\nsub-01\t30\tn/a\nsub-02\t40\tNA\n")
    (raw / "participants.json").write_text('{"age": {"Units": "years"}}')
    (prep / "dataset_description.json").write_text(
        '{"Name": "p", "GeneratedBy": [{"Name": "fMRIPrep", "Version": "24"}]}'
    )
    return Inputs(runs=(), skipped=(), roots={"prep": prep, "raw": raw}, notes=())


@pytest.fixture
def run(inputs):
    root = inputs.roots["prep"]
    func = root / "sub-01" / "ses-a" / "func"
    return RunInput(
        entities={"sub": "01", "ses": "a", "task": "rest", "run": "01", "space": "MNI152NLin6Asym", "res": "2"},
        bold=func / "bold.nii.gz",
        mask=func / "mask.nii.gz",
        confounds=None,
        confounds_metadata=None,
        sidecars=(),
        repetition_time=2.0,
        denoised=False,
        root=root,
        source_name="prep",
        events=None,
    )


def test_the_description_names_tools_sources_and_configuration(inputs):
    made = dataset_description(inputs, configuration="abc123", container="scaae:1.0")
    ours, theirs = made["GeneratedBy"]
    assert (ours["Name"], ours["ConfigurationHash"], ours["Container"]["Tag"]) == (
        "scaae-nipype",
        "abc123",
        "scaae:1.0",
    )
    assert theirs == {"Name": "fMRIPrep", "Version": "24"}
    assert made["DatasetType"] == "derivative"
    assert made["Authors"] == ["A. Uthor"]
    assert made["DatasetLinks"]["prep"].startswith("file:///")
    assert {"URL": inputs.roots["raw"].as_uri(), "DOI": "doi:10.1/x"} in made["SourceDatasets"]
    assert "Container" not in dataset_description(inputs, configuration="x", container=None)["GeneratedBy"][0]


def test_sources_are_uris_into_linked_datasets(inputs, run):
    assert sources_of(run, "m", inputs.roots) == [
        "bids:prep:sub-01/ses-a/func/bold.nii.gz",
        "bids:prep:sub-01/ses-a/func/mask.nii.gz",
        "bids::models/m/weights.safetensors",
    ]


def test_events_of_the_raw_dataset_are_a_source(inputs, run):
    events = inputs.roots["raw"] / "sub-01" / "ses-a" / "func" / "sub-01_ses-a_task-rest_run-01_events.tsv"
    assert f"bids:raw:{events.relative_to(inputs.roots['raw'])}" in sources_of(
        replace(run, events=events), "m", inputs.roots
    )


def test_a_mask_from_another_dataset_is_named_there(inputs, run, tmp_path):
    """The mask of an XCP-D run may lie in fMRIPrep's output; a dataset may lie inside another one."""
    roots = {**inputs.roots, "masks": run.root / "derivatives" / "masks"}
    elsewhere = replace(run, mask=roots["masks"] / "sub-01" / "mask.nii.gz")
    assert sources_of(elsewhere, "m", roots)[1] == "bids:masks:sub-01/mask.nii.gz"


def test_expected_outputs_of_a_run(run):
    expected = (Path(__file__).parent / "expected_outputs.txt").read_text().split()
    task = replace(run, events=run.bold.with_name("events.tsv"))
    planted = (run.bold.with_name("networks.nii.gz"), run.bold.with_name("timecourses.tsv"))
    assert sorted(wanted_outputs(replace(task, planted=planted), options=ASKED)) == expected
    assert sorted(all_outputs(run)) == expected
    special = ("signed_", "desc-baselines", "desc-regionsfbn", "desc-events", "desc-match", "desc-dynamicsnull")
    special += ("desc-planted",)
    always = [name for name in expected if not any(word in name for word in special)]
    assert sorted(wanted_outputs(run)) == always
    assert sorted({*wanted_outputs(task)} - {*always}) == [name for name in expected if "desc-events" in name]
    files = {"atlas": ["regions"], "n_surrogates": ["dynamicsnull"], "n_surrogate_templates": ["desc-match"]}
    for option, words in files.items():
        made = sorted({*wanted_outputs(run, options=[option])} - {*always})
        assert made == [n for n in expected if any(word in n for word in words)]


def test_a_work_folder_in_the_output_is_ignored_by_validators(inputs, tmp_path):
    out = tmp_path / "out"
    write_dataset_files(out, inputs, configuration="c", container=None, work_dir=out / "work" / "scaae_nipype")
    ignored = (out / ".bidsignore").read_text().split()
    assert {"*_boldmap.*", "*_metrics.*", "*_timeseries.*", "*.html", "log", "models", "work"} <= set(ignored)
    assert not any(pattern.endswith("/") for pattern in ignored)
    assert "sub-XX.html" in (out / "README").read_text()


def test_participants_are_carried_over_as_they_are_written(inputs, tmp_path):
    out = tmp_path / "out"
    (out / "sub-02").mkdir(parents=True)
    write_participants(out, inputs)
    assert (out / "participants.tsv").read_text() == "participant_id\tage\tgroup\nsub-02\t40\tNA\n"
    assert json.loads((out / "participants.json").read_text()) == {"age": {"Units": "years"}}


def test_participants_with_results(tmp_path):
    (tmp_path / "sub-01" / "ses-a" / "func").mkdir(parents=True)
    (tmp_path / "sub-01" / "ses-a" / "func" / "sub-01_ses-a_desc-x_boldmap.nii.gz").touch()
    (tmp_path / "sub-02" / "log").mkdir(parents=True)
    assert participants_with_results(tmp_path) == ["01"]
    with pytest.raises(UsageError, match="holds no results of sub-02"):
        participants_with_results(tmp_path, ["01", "02"])
    with pytest.raises(UsageError, match="holds no results of anybody"):
        participants_with_results(tmp_path / "sub-02")


def test_an_output_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"file/out: cannot be written to \(Not a directory\); choose another"):
        check_writable(tmp_path / "file" / "out")
    check_writable(tmp_path / "new" / "out")
    assert not list((tmp_path / "new" / "out").iterdir())


def test_methods_cite_what_they_name_once():
    paragraphs = ["With @nipype and @scaae.", "Again @nipype; mail@nowhere."]
    text = methods_text(paragraphs)
    assert text.startswith("With Gorgolewski et al., 2011 and Liu et al., 2022.")
    assert text.count("10.3389/fninf.2011.00013") == 1
    assert "mail@nowhere" in text
    bib = references_bib(paragraphs)
    assert bib.count("@article{nipype,") == 1
    assert "@misc{scaae," in bib
    assert "nilearn" not in bib
    assert bib.count("{") == bib.count("}")


def test_every_reference_can_be_cited():
    for key, work in shipped("references").items():
        assert f"doi:{work['doi']}" in methods_text([f"@{key}"])


def test_the_training_sentence_of_a_fitted_context_speaks_of_no_training():
    card = {"Preset": "contextual", "Context": {"Volumes": 96}, "Training": {"Runs": ["a", "b"], "VolumesSeen": 96}}
    sentence = training_sentence(card)
    assert "the context was fitted on 96 volumes of 2 run(s)" in sentence
    assert "was trained" not in sentence
    assert "were shown" not in sentence
    assert "branch 2 what is below" in sentence


@pytest.mark.parametrize(("width", "said"), [(0.0, False), (2.5, True)])
def test_the_training_sentence_says_where_neighbours_were_seen(width, said):
    sentence = training_sentence({"Preset": "pointwise", "Context": {}, "TimeWidth": width})
    assert ("neighbours in time (Gaussian, standard deviation 2.5 s); so did all surrogates" in sentence) is said


def test_the_training_sentence_says_undertrained():
    card = {"Preset": "tiny", "Training": {"Runs": ["a"], "Volumes": 10, "VolumesSeen": 20, "Undertrained": True}}
    assert "10 volumes of 1 run(s); 20 volumes, repetitions included" in training_sentence(card)
    assert "undertrained" in training_sentence(card)
    assert "undertrained" not in training_sentence({"Preset": "tiny"})


def test_a_model_applied_to_other_data_is_pointed_out():
    card = {"Preparation": {"SmoothingFWHM": 6.0, "HighPass": 0.008}, "RepetitionTimeRange": [2.0, 2.5]}
    assert mismatches(card, {"SmoothingFWHM": 6.0, "HighPass": 0.008, "RepetitionTime": 2.2}) == []
    assert len(mismatches(card, {"SmoothingFWHM": 4.0, "HighPass": None, "RepetitionTime": 0.8})) == 3
    assert mismatches({}, {"SmoothingFWHM": 4.0, "RepetitionTime": 0.8}) == []


@pytest.mark.parametrize(
    ("summary", "code", "words"),
    [
        (Summary(finished={"a", "b"}), 0, "All done: 2 runs finished now."),
        (Summary(before={"a", "b"}), 0, "Nothing to do: 2 runs were finished before."),
        (Summary(failed={"a": "x"}, finished={"b"}), 1, "1 run finished, 1 failed (a)"),
        (Summary(missed={"a": "x"}, finished={"b"}), 1, "1 failed (a)"),
        (Summary(left={"a"}), 1, "0 runs finished, 1 not started"),
        (Summary(failed=dict.fromkeys("abcde", "x")), 1, "5 failed (a, b, c and 2 more)"),
    ],
)
def test_the_verdict_and_the_status_file_agree(tmp_path, capsys, summary, code, words):
    call, facts = Call(tmp_path, ["x"], Console()), {"Model": "m"}
    ended = call.carry_out(lambda: None, summary, subject="all", what="run", configuration="c", facts=facts)
    path = tmp_path / "logs" / "status.json"
    verdict, _, place = capsys.readouterr().out.strip().rpartition(" Status: ")
    assert (ended, place) == (code, str(path))
    assert words in verdict
    status = json.loads(path.read_text())
    assert (status["Verdict"], status["ExitCode"], status["Model"]) == (verdict, code, "m")
    assert set(status["Failed"]) == set(summary.failed)

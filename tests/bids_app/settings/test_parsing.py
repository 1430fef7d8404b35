"""Options that are given twice, misspelt, known from other programs, or in the single-dash way."""

import re
import subprocess

import pytest

from scaae_nipype.bids_app.cli import main
from scaae_nipype.bids_app.settings.asked import settings_of
from scaae_nipype.bids_app.settings.command_line import parse, parser
from scaae_nipype.errors import UsageError
from scaae_nipype.model.presets import PRESETS
from scaae_nipype.preparation.strategies import STRATEGIES


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """Give a maker of settings from a command line."""
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path)

    def make(*options, level="participant"):
        return settings_of(parse(["in", "out", level, *options]))

    return make


@pytest.mark.parametrize(
    ("option", "name"),
    [
        ("--participant-label", "participants"),
        ("--session-label", "sessions"),
        ("--task-id", "tasks"),
        ("--run-id", "runs"),
        ("--space", "spaces"),
    ],
)
def test_labels_given_in_two_places_or_with_a_comma_all_count(settings, option, name):
    assert getattr(settings(option, "1", option, "2", "3"), name) == ("1", "2", "3")
    assert getattr(settings(option, "1,2", option, "3,"), name) == ("1", "2", "3")


def test_aliases_collect_into_one(settings, tmp_path):
    assert settings("-t", "rest", "--task_id", "nback").tasks == ("rest", "nback")
    assert settings("--session-id", "a", "--session-label", "b").sessions == ("a", "b")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    made = settings("-d", "one", "--derivatives", "b=two")
    assert dict(made.datasets) == {"one": tmp_path / "one", "b": tmp_path / "two"}
    assert settings("--baselines", "pca", "--baselines", "cap,ica").evaluation.baselines == ("pca", "cap", "ica")
    covariates = settings("--covariates", "age", "--covariates", "sex, at birth", level="group").group.covariates
    assert covariates == ("age", "sex, at birth")


def test_of_a_single_value_that_is_given_twice_the_last_counts_and_that_is_said(settings):
    assert settings("--smoothing", "4", "--smoothing-fwhm", "4").notes == ()
    made = settings("--random-seed", "0", "--random-seed", "1", "--smoothing", "4", "--smoothing-fwhm", "5")
    assert (made.training.seed, made.preparation.smoothing_fwhm) == (1, 5.0)
    assert made.notes == (
        "Note: --random-seed is given twice, as 0 and as 1: the last one counts.",
        "Note: --smoothing-fwhm is given twice, as 4.0 and as 5.0: the last one counts.",
    )


def test_the_command_line_replaces_lists_of_the_file_and_does_not_add_to_them(settings, tmp_path):
    (tmp_path / "o.yml").write_text("participant-label: [01, 02]\nsmoothing: 4\n")
    made = settings("--config-file", "o.yml", "--participant-label", "03", "--participant-label", "04")
    assert (made.participants, made.preparation.smoothing_fwhm) == (("03", "04"), 4.0)
    assert settings("--config-file", "o.yml", "--smoothing", "5").preparation.smoothing_fwhm == 5.0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--smothing", "4"], r"Unrecognized arguments: --smothing; did you mean --smoothing\?"),
        (["--n-procs=4"], r"--n-procs; did you mean --nprocs\?"),
        (["--Participant-Label", "01"], r"did you mean --participant-label\?"),
        (["-task-id", "rest"], r"-task-id; did you mean --task-id\?"),
        (["-participant_label", "01"], r"-participant_label; did you mean --participant-label\?"),
        (["-smoothing", "4"], r"-smoothing; did you mean --smoothing\?"),
        (["-x"], r"Unrecognized arguments: -x"),
        (["--output-spaces", "MNI152NLin6Asym"], r"--output-spaces; that is fMRIPrep's; say with --space"),
        (["--fs-license-file", "f"], r"--fs-license-file; it is about fMRIPrep's own steps"),
        (["--upper-bpf", "0.1"], r"--upper-bpf; the low-pass filter is --low-pass here"),
        (["--mode", "papr"], r"Argument --mode: invalid choice: 'papr' .*; did you mean paper\?"),
        (["--precision", "pf32"], r"did you mean fp32\?"),
        (["--preset", "contextal"], r"no preset 'contextal'; .*; did you mean contextual\?"),
        (["-p", "acompcorr"], r"did you mean acompcor\?"),
        (["--baselines", "dictonary"], r"--baselines dictonary: unknown; .* did you mean dictionary\?"),
        (["--device", "gpu"], r"--device gpu: unknown; .*; did you mean cuda\?"),
        (["--device", "gpu:1"], r"did you mean cuda:1\?"),
        (["--device", "CUDA"], r"did you mean cuda\?"),
        (["--device", "cuda:x"], r"--device cuda:x: unknown"),
        (["--device", "tpu"], r"--device tpu: unknown"),
        (["--mem", "80 XB"], r"--mem 80 XB: give an amount with its unit, for example 8G or 500M"),
        (["--mem-mb", "8"], r"--mem-mb 8: .*\(a number alone is in MB\); 8 MB is too little"),
        (["--mem-gb", "-3"], r"--mem-gb -3"),
    ],
)
def test_what_was_probably_meant_is_said(settings, options, words):
    with pytest.raises(UsageError, match=words):
        settings(*options)


def test_a_misspelt_level_and_an_option_before_the_folders(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    for arguments, words in (
        (["in", "out", "particpant"], r"invalid choice: 'particpant' .*did you mean participant\?"),
        (["--participant-lable", "01", "in", "out", "participant"], r"did you mean --participant-label\?"),
    ):
        assert main(arguments) == 64
        (line,) = capsys.readouterr().err.splitlines()
        assert re.search(words, line), line


@pytest.mark.parametrize(
    ("options", "gigabytes"),
    [
        (["--mem", "8000"], 8.0),
        (["--mem", "8G"], 8.0),
        (["--mem", "500MB"], 0.5),
        (["--mem", "0.5T"], 500.0),
        (["--mem-mb", "8000"], 8.0),
        (["--mem-mb", "8G"], 8.0),
        (["--mem-gb", "8"], 8.0),
    ],
)
def test_memory_without_a_unit_is_in_megabytes(settings, options, gigabytes):
    assert settings(*options).memory_gb == gigabytes


@pytest.mark.parametrize(
    ("program", "arguments", "words"),
    [
        ("scaae-simulate", ["out", "--voxelsize", "4"], "--voxelsize; did you mean --voxel-size?"),
        ("scaae-simulate", ["out", "--regime", "mixtur"], "did you mean mixture?"),
        ("scaae-model", ["verfy", "folder"], "did you mean verify?"),
    ],
)
def test_the_other_programs_name_the_nearest_too(scaae_bids, program, arguments, words):
    said = subprocess.run([scaae_bids.with_name(program), *arguments], capture_output=True, text=True, check=False)
    assert (said.returncode, words in said.stderr) == (64, True)


def test_options_of_other_bids_apps(settings):
    made = settings("--notrack", "--smoothing_fwhm", "4", "--reindex-bids", "--boilerplate_only", "-vv")
    assert (made.preparation.smoothing_fwhm, made.reindex, made.boilerplate_only, made.verbosity) == (
        4.0,
        True,
        True,
        2,
    )
    made = settings()
    assert (made.reindex, made.boilerplate_only) == (False, False)


def test_help_begins_with_examples_and_ends_with_the_machine(scaae_bids):
    text = subprocess.run([scaae_bids, "--help"], capture_output=True, text=True, check=True).stdout
    examples = re.findall(r"^  (scaae-bids .*)$", text, re.MULTILINE)
    assert len(examples) == 3
    for example in examples:
        parse(example.split()[1:])  # every one is a call that is understood
    assert text.index("examples:") < text.index("documentation:") < text.index("positional arguments:")
    titles = re.findall(r"^(\S.*):$", text, re.MULTILINE)
    assert (titles[-1], titles[1]) == ("machine", "positional arguments")
    for name in (*PRESETS, *STRATEGIES):
        assert re.search(rf"^ +{re.escape(name)}: \S", text, re.MULTILINE), name
    assert max(map(len, text.splitlines())) <= 100
    for action in parser()._actions:
        if action.default not in (None, False, 0, "==SUPPRESS==") or "(default" in (action.help or ""):
            assert re.search(r"\(default: [^)]+\)", action.help), action.dest

"""Options that would change nothing are refused or said, never dropped in silence."""

import re

import pytest

from scaae_nipype.bids_app.settings.asked import settings_of
from scaae_nipype.bids_app.settings.command_line import parse
from scaae_nipype.errors import UsageError


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """Give a maker of settings from a command line."""
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path)

    def make(*options, level="participant"):
        return settings_of(parse(["in", "out", level, *options]))

    return make


@pytest.mark.parametrize(
    ("level", "options", "words"),
    [
        ("participant", ["--group-by", "dx"], "--group-by has no effect at the participant level"),
        ("train", ["--permutations", "2000"], "--permutations has no effect at the train level"),
        ("group", ["--surrogates", "99"], "--surrogates has no effect at the group level"),
        ("group", ["-p", "36P"], "--nuisance-regressors has no effect at the group level"),
        ("group", ["--smoothing", "6"], "--smoothing has no effect at the group level"),
        ("group", ["--preset", "tiny"], "--preset has no effect at the group level"),
        ("group", ["--boilerplate-only"], "--boilerplate-only has no effect at the group level"),
        ("participant", ["--model", "m", "--train-volumes", "9"], "--train-volumes has no effect with --model"),
        ("participant", ["--model", "m", "--train-processes", "2"], "--train-processes has no effect with --model"),
        ("participant", ["--model", "m", "--precision", "bf16"], "--precision has no effect with --model"),
        ("participant", ["--reports-only", "--retrain"], "--retrain has no effect with --reports-only"),
        ("participant", ["--dry-run", "--boilerplate-only"], "--boilerplate-only has no effect with --dry-run"),
        ("participant", ["--reports-only", "--boilerplate-only"], "no effect with --reports-only"),
        ("train", ["--reports-only"], "--reports-only has no effect at the train level"),
    ],
)
def test_refused(settings, level, options, words):
    with pytest.raises(UsageError, match=words):
        settings(*options, level=level)


@pytest.mark.parametrize(
    ("level", "options", "words"),
    [
        ("group", ["--device", "cpu", "--use-plugin", "p.yml"], "--device, --use-plugin have no effect at the group"),
        ("group", ["--covariates", "age"], "--covariates has no effect without --group-by or --predict"),
        ("group", ["--reports-only", "--group-by", "dx"], "--group-by has no effect with --reports-only"),
        ("participant", ["--reports-only", "-t", "rest"], "--task-id has no effect with --reports-only"),
        ("participant", ["--nprocs", "2", "--omp-nthreads", "9"], "--omp-nthreads 9 is more than --nprocs: 2 are used"),
    ],
)
def test_said(settings, tmp_path, level, options, words):
    (tmp_path / "p.yml").write_text("plugin: SLURM\n")
    (note,) = settings(*options, level=level).notes
    assert re.search(words, note), note


def test_a_configuration_file_may_be_for_several_levels(settings, tmp_path):
    (tmp_path / "o.yml").write_text("group-by: dx\nsmoothing: 4\n")
    (note,) = settings("--config-file", "o.yml").notes
    assert "--group-by has no effect at the participant level" in note
    (note,) = settings("--config-file", "o.yml", level="group").notes
    assert "--smoothing has no effect at the group level" in note


@pytest.mark.parametrize("level", ["participant", "train", "group"])
def test_limits_of_the_machine_and_selections_are_for_every_level(settings, level):
    options = ["--nprocs", "2", "--omp-nthreads", "1", "--mem", "4G", "-w", "w", "--participant-label", "01", "-t", "x"]
    assert settings(*options, "--notrack", "--skip-bids-validation", "-v", level=level).notes == ()

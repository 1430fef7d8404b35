"""The command lines of jobs: nothing of what was asked for is lost on the way, in a container neither."""

import pytest

from scaae_nipype.bids_app.cluster.job_words import container_words, job_words
from scaae_nipype.bids_app.cluster.schedulers import Needs
from scaae_nipype.bids_app.settings.asked import settings_of
from scaae_nipype.bids_app.settings.command_line import parse
from scaae_nipype.bids_app.settings.configuration import configuration
from scaae_nipype.bids_app.settings.option_table import OPTIONS

NEEDS = Needs(processors=2, memory_mb=4000, minutes=60)

TYPED = {
    "strategy": ["24P"],
    "baselines": ["pca", "smoothed"],
    "device": ["cpu"],
    "datasets": ["more=folder"],
    "low_pass": ["0.12345678"],
    "high_pass": ["0.02"],
    "repetition_time": ["2.05"],
    "model": ["folder"],
    "database_dir": ["folder"],
    "templates": ["a file.nii"],
    "template_labels": ["a file.nii"],
    "atlas": ["a file.nii"],
    "atlas_labels": ["a file.nii", "--atlas", "a file.nii"],
    "atlas_kind": ["labels", "--atlas", "a file.nii"],
    "template_kind": ["continuous", "--templates", "a file.nii"],
    "preset": ["tiny"],
    "fetch_templates": ["--templates", "smith2009"],
    "n_folds": ["2", "--surrogates", "19"],
    "n_surrogates": ["19"],
    "n_surrogate_templates": ["19"],
    "n_chance_templates": ["19"],
    "train_volumes": ["500", "--preset", "tiny"],
    "precision": ["fp32", "--preset", "tiny"],
    "processes": ["2", "--preset", "tiny"],
}
"""What is typed behind an option where a word of its own, or 2, will not do."""

BY_JOB = {"nprocs", "memory_gb", "work_dir", "dry_run", "reindex", "filter_file", "participants", "verbosity"}
REFUSED = {"plugin_file", "clean_work_dir", "reports_only", "boilerplate_only"}
OF_JOBS = [
    option
    for option in OPTIONS.values()
    if option.at in ("runs", "steps", "all") and option.name not in BY_JOB | REFUSED
]


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """Give a maker of settings from what is typed at the level submit."""
    monkeypatch.chdir(tmp_path)
    for folder in ("in", "folder"):
        (tmp_path / folder).mkdir()
    (tmp_path / "a file.nii").touch()

    def make(*words):
        return settings_of(parse(["in", "out", "submit", *words]))

    return make


@pytest.mark.parametrize("option", OF_JOBS, ids=lambda option: option.name)
def test_every_option_is_heard_as_it_was_meant(asked, option):
    value = [] if option.kind == "switch" else [option.about.words[-1] if option.about.words else "2"]
    meant = asked(option.spelling, *TYPED.get(option.name, value))
    heard = settings_of(parse(job_words(meant, "train", NEEDS, None)))
    assert heard.value_of(option.name) == meant.value_of(option.name)
    if "folder" not in TYPED.get(option.name, ()):  # which is no model, so that it has no checksum
        assert configuration(heard) == configuration(meant)


def test_a_model_is_fitted_anew_once_and_not_by_every_participant(asked):
    for level, is_there in (("train", True), ("participant", False)):
        assert ("--retrain" in job_words(asked("--retrain"), level, NEEDS, None)) == is_there


def test_a_job_gets_the_processors_and_nine_tenths_of_the_memory_that_it_asked_for(asked):
    heard = settings_of(parse(job_words(asked("-vv", "--work-dir", "w"), "participant", NEEDS, None)))
    assert (heard.nprocs, heard.memory_gb, heard.verbosity) == (2, 3.6, 2)
    assert heard.work_dir == asked("--work-dir", "w").work_dir


def test_a_container_sees_every_path_under_its_own_name(asked, tmp_path):
    settings = asked("--image", "docker://some/where", "--templates", "a file.nii", "--datasets", "more=folder")
    words = container_words(settings, None, gpus=False)
    binds = [words[place + 1] for place, word in enumerate(words) if word == "--bind"]
    assert words[:4] == ["apptainer", "run", "--cleanenv", "--containall"]
    assert words[-1] == "docker://some/where"
    assert set(binds) == {
        f"{tmp_path}/out:{tmp_path}/out",
        f"{tmp_path}/work:{tmp_path}/work",
        f"{tmp_path}/in:{tmp_path}/in:ro",
        f"{tmp_path}/a file.nii:{tmp_path}/a file.nii:ro",
        f"{tmp_path}/folder:{tmp_path}/folder:ro",
    }
    assert "--nv" in container_words(settings, None, gpus=True)


def test_what_lies_in_a_bound_folder_is_not_bound_again(asked, tmp_path):
    (tmp_path / "in" / "t.nii").touch()
    settings = asked("--image", "x.sif", "--templates", "in/t.nii", "--work-dir", "out/work")
    words = container_words(settings, None, gpus=False)
    assert [words[place + 1].partition(":")[0] for place, word in enumerate(words) if word == "--bind"] == [
        f"{tmp_path}/out",
        f"{tmp_path}/in",
    ]


def test_called_inside_an_image_jobs_run_in_the_same(asked, monkeypatch):
    settings = asked()
    monkeypatch.setenv("APPTAINER_CONTAINER", "/images/scaae.sif")
    assert container_words(settings, None, gpus=False)[-1] == "/images/scaae.sif"
    monkeypatch.delenv("APPTAINER_CONTAINER")
    assert container_words(settings, None, gpus=False)[0].endswith("scaae-bids")

"""What changes results is in the configuration; what does not is not; two do not share a folder."""

import json
from pathlib import Path

import pytest

from scaae_nipype.bids_app.settings.configuration import (
    check_output,
    configuration,
    configuration_hash,
    note_configuration,
)
from scaae_nipype.bids_app.settings.settings import Settings
from scaae_nipype.errors import ModelError, UsageError
from scaae_nipype.options import USUAL_SURROGATES


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "in").mkdir()
    return Settings(bids_dir=tmp_path / "in", output_dir=tmp_path / "out", work_dir=tmp_path / "work")


def digest(settings):
    return configuration_hash(configuration(settings))


@pytest.mark.parametrize(
    "change",
    [
        {"strategy": "24P"},
        {"dummy_scans": 2},
        {"fd_threshold": 0.3},
        {"high_pass": 0.01},
        {"low_pass": 0.1},
        {"smoothing_fwhm": 4.0},
        {"repetition_time": 2.0},
        {"mode": "paper"},
        {"preset": "published"},
        {"seed": 1},
        {"precision": "fp32"},
        {"templates": "smith2009"},
        {"baselines": ()},
        {"atlas": "default"},
        {"n_surrogates": 99},
        {"n_surrogates": 99, "n_folds": 2},
        {"n_surrogate_templates": 99},
        {"concatenated": "whole"},
    ],
)
def test_changes_of_the_method_change_the_hash(settings, change):
    assert digest(settings.replaced(**change)) != digest(settings)


def test_a_repetition_time_that_is_not_given_leaves_the_hash_as_it_was(settings):
    assert "RepetitionTime" not in configuration(settings)


def test_cross_fitting_changes_the_hash_and_its_absence_does_not(settings):
    tested = settings.replaced(n_surrogates=99)
    assert digest(tested.replaced(n_folds=2)) != digest(tested)
    assert "CrossFit" not in configuration(tested)  # outputs made before the option was there stay usable


def test_another_number_of_surrogate_templates_changes_the_hash_and_the_usual_one_does_not(settings):
    tested = settings.replaced(n_surrogates=99, n_surrogate_templates=USUAL_SURROGATES)
    assert "SurrogateTemplates" not in configuration(tested) | configuration(settings)
    for other in (0, 199):
        assert digest(tested.replaced(n_surrogate_templates=other)) != digest(tested)


def test_the_number_of_training_volumes_changes_the_hash(settings):
    trained = settings.replaced(preset="autoencoder")
    assert digest(trained.replaced(train_volumes=100)) != digest(trained)


def test_the_kind_of_templates_and_atlas_changes_the_hash_and_leaving_it_open_does_not(settings, tmp_path):
    image = tmp_path / "maps.nii.gz"
    image.write_bytes(b"maps")
    given = settings.replaced(templates=str(image), atlas=str(image))
    assert not {"TemplateKind", "AtlasKind"} & configuration(given).keys()  # outputs of earlier versions stay usable
    for change in ({"template_kind": "labels"}, {"atlas_kind": "labels"}):
        assert digest(given.replaced(**change)) != digest(given)


def test_machine_folders_and_selection_do_not(settings, tmp_path):
    changes = {
        "work_dir": tmp_path / "w2",
        "output_dir": tmp_path / "o2",
        "participants": ("01",),
        "tasks": ("rest",),
        "device": "cuda",
        "nprocs": 7,
        "omp_nthreads": 3,
        "memory_gb": 99.0,
        "verbosity": 2,
        "retrain": True,
        "save_signed": True,
        "write_graph": True,
    }
    assert digest(settings.replaced(**changes)) == digest(settings)
    trained = settings.replaced(preset="autoencoder")
    assert digest(trained.replaced(processes=2)) == digest(trained)


def test_files_count_by_their_content(settings, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.json").write_text('{"columns": ["csf"]}')
    one, other = (settings.replaced(strategy=str(tmp_path / f / "mine.json")) for f in ("a", "b"))
    assert digest(one) == digest(other)
    Path(other.preparation.strategy).write_text('{"columns": ["white_matter"]}')
    assert digest(one) != digest(other)


def test_a_model_counts_by_its_weights_and_alone(settings, tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    given = settings.replaced(model=model)
    with pytest.raises(ModelError, match="is not a model folder"):
        configuration(given)
    (model / "card.json").write_text("{}")
    with pytest.raises(ModelError, match="no WeightsSHA256"):
        configuration(given)
    (model / "card.json").write_text('{"WeightsSHA256": "abc"}')
    assert configuration(given)["Model"] == "abc"
    assert digest(given.replaced(train_volumes=5)) == digest(given)
    assert digest(given.replaced(seed=5)) != digest(given)  # surrogates and decompositions are drawn


def test_two_configurations_do_not_mix(settings):
    out = settings.output_dir
    note_configuration(out, configuration(settings))
    other = configuration(settings.replaced(smoothing_fwhm=4.0, seed=3))
    check_output(out, other)  # nothing was computed yet
    (out / "sub-01" / "func").mkdir(parents=True)
    (out / "sub-01" / "func" / "sub-01_task-rest_desc-samples_timeseries.tsv").touch()
    check_output(out, configuration(settings))
    with pytest.raises(UsageError) as refused:
        note_configuration(out, other)
    message = str(refused.value)
    assert "SmoothingFWHM: 6.0 there, 4.0 now; Seed: 0 there, 3 now" in message
    assert "HighPass" not in message
    assert json.loads((out / "logs" / "configuration.json").read_text())["SmoothingFWHM"] == 6.0


def test_what_is_noted_rarely_is_named_with_what_is_usual(settings):
    """The setting is not in the file where it is as usual; the message says what that is all the same."""
    out = settings.output_dir
    note_configuration(out, configuration(settings))
    (out / "sub-01" / "func").mkdir(parents=True)
    (out / "sub-01" / "func" / "sub-01_task-rest_desc-samples_timeseries.tsv").touch()
    with pytest.raises(UsageError, match=r"\(TimeWidth: 0\.0 there, 3\.0 now\)"):
        check_output(out, configuration(settings.replaced(time_width=3.0)))

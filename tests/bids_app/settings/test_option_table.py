"""Every setting is in the table of options once: spelt, said, and classed by what it changes; and it does."""

import dataclasses

import pytest

from scaae_nipype.bids_app.settings.command_line import parser
from scaae_nipype.bids_app.settings.configuration import configuration, maps_of, scores_of
from scaae_nipype.bids_app.settings.option_table import OPTIONS, PAPER, PARTS, keys_of
from scaae_nipype.bids_app.settings.settings import Settings
from scaae_nipype.derivatives.names import steps
from scaae_nipype.options import BASELINES, Evaluation, Nulls, Training

BESIDE = {"asked", "left_open", "given_filters", "notes"}
"""What the edge notes about the command line itself."""


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "labels.tsv").write_text("index\tname\n1\ta\n")
    return Settings(
        bids_dir=tmp_path / "in",
        output_dir=tmp_path / "out",
        work_dir=tmp_path / "work",
        training=Training(preset="autoencoder"),
        evaluation=Evaluation(templates="smith2009", atlas="smith2009"),
        nulls=Nulls(n_surrogates=99, n_surrogate_templates=99),
    )


def other_value(settings, name):
    """Give a value of a setting that is another one and possible."""
    value, labels = settings.value_of(name), settings.bids_dir.parent / "labels.tsv"
    known = {
        **{"dummy_scans": 3, "train_volumes": 5, "mode": "paper", "preset": "published", "precision": "fp32"},
        **{"strategy": "24P", "low_pass": 0.1, "high_pass": 0.01, "fd_threshold": 1.5, "repetition_time": 2.5},
        **{"n_folds": 2, "n_surrogates": 49, "n_surrogate_templates": 49, "baselines": BASELINES},
        **{"templates": "default", "atlas": "default", "template_labels": labels, "atlas_labels": labels},
        **{"concatenated": "whole", "template_kind": "labels", "atlas_kind": "continuous"},
    }
    return known[name] if name in known else value + 1


def test_every_setting_has_its_option_and_every_option_its_setting(settings):
    groups = [one.name for one in dataclasses.fields(Settings) if dataclasses.is_dataclass(getattr(settings, one.name))]
    own = {one.name for one in dataclasses.fields(Settings)} - BESIDE - set(groups)
    inside = {one.name for name in groups for one in dataclasses.fields(getattr(settings, name))}
    positional = {"bids_dir", "output_dir", "level"}
    assert own | inside == set(OPTIONS) | positional | {"state_cutoff"}  # the last is for pipelines alone


def test_the_parser_has_every_option_by_its_setting():
    made = parser()
    flags = {option: action.dest for action in made._actions for option in action.option_strings}
    assert {flag: option.name for option in OPTIONS.values() for flag in option.flags}.items() <= flags.items()
    extra = set(flags) - {flag for option in OPTIONS.values() for flag in option.flags}
    assert extra == {
        *("-h", "--help", "--version", "--config-file", "--notrack"),
        *("--skip-bids-validation", "--skip-bids-validator"),
    }


def test_what_paper_mode_means_are_settings():
    assert set(PAPER) <= set(OPTIONS)


def test_every_part_has_an_output_and_every_computed_output_a_part():
    assert {*steps()} - {"preparation", "networks"} == set(PARTS)


@pytest.mark.parametrize("name", [name for name, option in OPTIONS.items() if option.changes != "neither"])
def test_a_setting_changes_the_part_that_the_table_says_and_no_other(settings, tmp_path, name):
    if name == "time_width":  # of one preset alone
        settings = settings.replaced(preset="pointwise")
    if name == "model":
        (tmp_path / "model").mkdir()
        (tmp_path / "model" / "card.json").write_text('{"WeightsSHA256": "abc"}')
        changed = settings.replaced(model=tmp_path / "model")
    else:
        changed = settings.replaced(**{name: other_value(settings, name)})
    before, after = configuration(settings), configuration(changed)
    option = OPTIONS[name]
    assert before.get(option.key) != after.get(option.key)
    assert (maps_of(before) != maps_of(after)) is (option.changes == "maps")
    assert (scores_of(before) != scores_of(after)) is (option.changes == "scores")


def test_whatever_the_configuration_notes_is_in_the_table(settings):
    noted = {*configuration(settings), *configuration(settings.replaced(n_folds=2, repetition_time=2.5))}
    assert noted - {"Version"} <= {*keys_of("maps"), *keys_of("scores")}


def test_a_common_setting_is_replaced_in_all_groups(settings):
    changed = settings.replaced(seed=7, mode="paper")
    assert (changed.training.seed, changed.evaluation.seed) == (7, 7)
    assert (changed.training.mode, changed.evaluation.mode) == ("paper", "paper")

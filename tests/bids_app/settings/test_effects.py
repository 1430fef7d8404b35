"""Every setting is said to change the maps, what is computed from them, or neither; and it does."""

import dataclasses

import pytest

from scaae_nipype.bids_app.settings.configuration import configuration, maps_of, scores_of
from scaae_nipype.bids_app.settings.effects import EFFECTS, PARTS, keys_of
from scaae_nipype.bids_app.settings.settings import BASELINES, Settings
from scaae_nipype.derivatives.names import steps


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "labels.tsv").write_text("index\tname\n1\ta\n")
    return Settings(
        bids_dir=tmp_path / "in",
        output_dir=tmp_path / "out",
        work_dir=tmp_path / "work",
        preset="autoencoder",
        surrogates=99,
        surrogate_templates=99,
        templates="smith2009",
        atlas="smith2009",
    )


def other_value(settings, name):
    """Give a value of a setting that is another one and possible."""
    value, labels = getattr(settings, name), settings.bids_dir.parent / "labels.tsv"
    known = {
        **{"dummy_scans": 3, "train_volumes": 5, "mode": "paper", "preset": "published", "precision": "fp32"},
        **{"repetition_time": 2.5},
        **{"nuisance": "24P", "low_pass": 0.1, "high_pass": 0.01, "cross_fit": 2, "baselines": BASELINES},
        **{"templates": "default", "atlas": "default", "template_labels": labels, "atlas_labels": labels},
        **{"concatenated": "whole", "template_kind": "labels", "atlas_kind": "continuous"},
        **{"surrogates": 49, "surrogate_templates": 49},
    }
    return known[name] if name in known else value + 1


def test_every_setting_is_classified():
    assert {field.name for field in dataclasses.fields(Settings)} == set(EFFECTS)


def test_every_part_has_an_output_and_every_computed_output_a_part():
    assert {*steps()} - {"preparation", "networks"} == set(PARTS)


@pytest.mark.parametrize("name", [name for name, effect in EFFECTS.items() if effect.on != "neither"])
def test_a_setting_changes_the_part_that_the_table_says_and_no_other(settings, tmp_path, name):
    if name == "model":
        (tmp_path / "model").mkdir()
        (tmp_path / "model" / "card.json").write_text('{"WeightsSHA256": "abc"}')
        changed = dataclasses.replace(settings, model=tmp_path / "model", preset=None)
    else:
        changed = dataclasses.replace(settings, **{name: other_value(settings, name)})
    before, after = configuration(settings), configuration(changed)
    key = EFFECTS[name].key
    assert before.get(key) != after.get(key)
    assert (maps_of(before) != maps_of(after)) is (EFFECTS[name].on == "maps")
    assert (scores_of(before) != scores_of(after)) is (EFFECTS[name].on == "scores")


def test_whatever_the_configuration_notes_is_in_the_table(settings):
    noted = {*configuration(settings), *configuration(dataclasses.replace(settings, cross_fit=2, repetition_time=2.5))}
    assert noted - {"Version"} <= {*keys_of("maps"), *keys_of("scores")}

"""The Boutiques descriptor says what the command line says."""

import json
import re

import pytest

from scaae_nipype.bids_app.settings.asked import settings_of
from scaae_nipype.bids_app.settings.command_line import parse
from tools.boutiques import DOCUMENT, descriptor

INPUTS = {one["id"]: one for one in descriptor()["inputs"]}


def test_the_descriptor_is_made_of_the_table_of_options():
    """If not: python -m tools.boutiques."""
    assert json.loads(DOCUMENT.read_text(encoding="utf-8")) == descriptor()


def test_every_place_of_the_command_line_has_an_input_and_every_member_of_a_group_exists():
    described = descriptor()
    places = re.findall(r"\[\w+\]", described["command-line"])
    assert places == [one["value-key"] for one in described["inputs"]]
    members = [name for group in described["groups"] for name in group["members"]]
    assert sorted(members) == sorted(INPUTS.keys() - {"bids_dir", "output_dir", "level"})


@pytest.mark.parametrize(
    ("name", "value"), [("participants", ["01", "02"]), ("smoothing_fwhm", [4]), ("dry_run", []), ("preset", ["tiny"])]
)
def test_a_call_that_is_put_together_from_it_is_understood(tmp_path, name, value):
    (tmp_path / "in").mkdir()
    asked = INPUTS[name]
    words = [str(tmp_path / "in"), str(tmp_path / "out"), "participant"]
    assert ("list" in asked) == (len(value) > 1)
    assert (asked["type"] == "Flag") == (not value)
    settings = settings_of(parse([*words, asked["command-line-flag"], *map(str, value)]))
    wanted = tuple(value) if "list" in asked else value[0] if value else True
    assert settings.value_of(name) == wanted


@pytest.mark.parametrize("name", ["concatenated", "inputs_by", "incomplete"])
def test_what_can_be_chosen_can_be_given(tmp_path, name):
    (tmp_path / "in").mkdir()
    level = "group" if name == "incomplete" else "participant"
    for word in INPUTS[name]["value-choices"]:
        words = [str(tmp_path / "in"), str(tmp_path / "out"), level, INPUTS[name]["command-line-flag"], word]
        assert settings_of(parse(words)).value_of(name) == word

"""The reference in the documentation says what the table of options says."""

from scaae_nipype.bids_app.settings.option_table import OPTIONS
from tools.option_reference import DOCUMENT, reference


def test_the_document_is_as_the_table():
    assert DOCUMENT.read_text(encoding="utf-8") == reference(), "run: python -m tools.option_reference"


def test_every_option_is_in_it_once():
    text = reference()
    for option in OPTIONS.values():
        assert text.count(f"`{option.spelling}`") == 1
    assert "| `--smoothing`, `--smoothing-fwhm` `MM` | full width at half maximum, 0: none (mm) | 6 |" in text

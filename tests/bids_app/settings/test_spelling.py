"""The library names its arguments; the command line names its options."""

import numpy as np
import pytest

from scaae_nipype.bids_app.settings.console import Console
from scaae_nipype.bids_app.settings.spelling import with_options
from scaae_nipype.errors import InputError
from scaae_nipype.preparation.denoising import temporal_operator


def test_a_message_of_the_library_names_arguments_and_the_console_names_options(capsys):
    with pytest.raises(InputError) as raised:
        temporal_operator(
            np.arange(80) < 2, np.ones((80, 0)), repetition_time=2.0, high_pass=None, low_pass=None, detrend=True
        )
    assert "`fd_threshold`" in str(raised.value)
    assert "--" not in str(raised.value)
    Console().say(str(raised.value))
    said = capsys.readouterr().out
    assert "--fd-thresh" in said
    assert "`" not in said


@pytest.mark.parametrize(
    ("argument", "option"),
    [
        ("strategy", "--nuisance-regressors"),
        ("smoothing_fwhm", "--smoothing"),
        ("n_surrogate_templates", "--surrogate-templates"),
        ("preset", "--preset"),
    ],
)
def test_arguments_are_spelled_as_the_parser_has_them(argument, option):
    assert with_options(f"change `{argument}`.") == f"change {option}."


def test_words_in_backticks_that_are_no_arguments_stay():
    assert with_options("fetch it with `datalad get`, or `repair` it") == "fetch it with `datalad get`, or `repair` it"

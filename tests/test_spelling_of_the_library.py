"""The library speaks no command line: it names arguments, and the command line adds how it spells them."""

import re
from pathlib import Path

import pytest

from scaae_nipype.bids_app.settings.command_line import parser

ROOT = Path(__file__).parents[1]
LIBRARY = sorted(
    path
    for room in ("scaae_nipype", "workflows")
    for path in (ROOT / room).rglob("*")
    if path.suffix in (".py", ".json", ".html", ".tsv", ".js")
)


def test_no_option_is_named_in_the_library():
    options = {option for action in parser()._actions for option in action.option_strings if option.startswith("--")}
    assert "--fd-thresh" in options and len(LIBRARY) > 80
    named = re.compile(rf"(?<![\w-])({'|'.join(sorted(map(re.escape, options), key=len, reverse=True))})(?![\w-])")
    found = [
        f"{path.relative_to(ROOT)}:{number}: {hit[1]}"
        for path in LIBRARY
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        for hit in named.finditer(line)
    ]
    assert found == []


@pytest.mark.parametrize("text", ["censor less (a higher `fd_threshold`)", "a < b and `x & y`"])
def test_names_in_backticks_are_code_in_reports(text):
    from scaae_nipype.report.page import _prose

    shown = str(_prose(text))
    assert "`" not in shown and "<code>" in shown
    assert "&lt;" in shown or "<code>fd_threshold</code>" in shown

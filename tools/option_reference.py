"""Write ``docs/options.md`` from the table of options: ``python -m tools.option_reference``."""

from __future__ import annotations

import sys
from pathlib import Path

from scaae_nipype.bids_app.settings.command_line import default_in_words
from scaae_nipype.bids_app.settings.option_table import HEADINGS, Option

__all__ = ["DOCUMENT", "reference"]

DOCUMENT = Path(__file__).parents[1] / "docs" / "options.md"

_INTRODUCTION = """\
# Options of `scaae-bids`

Made by `python -m tools.option_reference` from the table of options, as `scaae-bids --help` is; [usage.md](usage.md)
explains them.

*Another value* says what another value means for an output dataset that holds results: **refused**, because the maps
would be others; **scores**, which are computed again or added to, from the maps that are there; nothing where the cell
is empty. *Where* says at which level an option has an effect; at others it is refused, or said where that does no harm.
*Setting* is the name in [the library](library.md) and in [workflows](pipelines.md), and then the one in
`logs/configuration.json`, if it is noted there.
"""

_HEAD = "| option | what it is | default | where | another value | setting |\n| --- | --- | --- | --- | --- | --- |"

_OF_RUNS = "participant, train"
_WHERE = {"runs": _OF_RUNS, "steps": _OF_RUNS, "group": "group", "submit": "submit", "all": "all"}
_CHANGES = {"maps": "refused", "scores": "scores", "neither": ""}


def reference() -> str:
    """Give the text of the document."""
    parts = [_INTRODUCTION]
    for heading, options in HEADINGS.items():
        parts.append(f"## {heading[0].upper()}{heading[1:]}\n")
        parts += [_HEAD, *map(_row, options), ""]
    return "\n".join(parts)


def _row(option: Option) -> str:
    value = f"`{option.metavar or ' | '.join(option.about.words)}`".replace("``", "")
    text = option.about.text.partition("\n")[0] + (f" ({option.about.unit})" if option.about.unit else "")
    if option.name == "baselines":
        text += f": {', '.join(option.about.words)}, all or none"
    noted = f"`{option.name}`" + (f", `{option.key}`" if option.key else "")
    default = default_in_words(option).replace("%%", "%")
    flags = f"{', '.join(f'`{flag}`' for flag in option.flags)} {value}".strip()
    cells = (flags, text, default, _WHERE[option.at], _CHANGES[option.changes], noted)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    DOCUMENT.write_text(reference(), encoding="utf-8")
    sys.exit(0)

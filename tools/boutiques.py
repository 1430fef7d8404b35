"""Write ``boutiques.json``, the descriptor of the BIDS App, from the table of options: `python -m tools.boutiques`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from scaae_nipype._version import __version__
from scaae_nipype.bids_app.settings.option_table import HEADINGS, OPTIONS, Option

__all__ = ["DOCUMENT", "descriptor"]

DOCUMENT = Path(__file__).parents[1] / "boutiques.json"

_LEVELS = ["participant", "group", "train"]
"""Those that run in a container; submit speaks to a scheduler outside."""

_FOLDERS = {
    "bids_dir": (
        "BIDS_DIR",
        "Input dataset",
        "Derivatives of fMRIPrep or XCP-D, or a dataset with derivatives/ inside.",
    ),
    "output_dir": ("OUTPUT_DIR", "Output folder", "Dataset that is written; it must be writable."),
}

_NUMBERS = ("int", "float")


def descriptor() -> dict[str, Any]:
    """Give the descriptor, in version 0.5 of the schema."""
    options = [option for option in OPTIONS.values() if option.at != "submit"]
    places: list[dict[str, Any]] = [
        {"id": name, "name": title, "type": "String", "value-key": f"[{key}]", "description": text, "optional": False}
        for name, (key, title, text) in _FOLDERS.items()
    ]
    level = {
        **{"id": "level", "name": "Level", "type": "String", "value-key": "[LEVEL]", "optional": False},
        **{"description": "What to do.", "value-choices": _LEVELS},
    }
    inputs = [*places, level, *map(_input, options)]
    return {
        "name": "scaae-nipype",
        "description": "Functional brain networks from every single fMRI volume, as a BIDS App",
        "author": "The scaae-nipype developers",
        "tool-version": __version__,
        "schema-version": "0.5",
        "command-line": " ".join(["scaae-bids", *(one["value-key"] for one in inputs)]),
        "container-image": {"type": "docker", "image": f"scaae:{__version__}"},
        "tags": {"domain": ["neuroinformatics", "fmri", "bids-app"]},
        "inputs": inputs,
        "groups": [
            {
                "id": heading.partition(" (")[0].replace(" ", "_"),
                "name": heading[0].upper() + heading[1:],
                "members": [option.name for option in members if option.at != "submit"],
            }
            for heading, members in HEADINGS.items()
            if any(option.at != "submit" for option in members)
        ],
        "output-files": [
            {
                "id": "derivatives",
                "name": "Output dataset",
                "description": "BIDS derivatives, reports and logs",
                "path-template": "[OUTPUT_DIR]",
                "optional": False,
            },
        ],
        "suggested-resources": {"cpu-cores": 2, "ram": 4, "walltime-estimate": 3600},
        "error-codes": [
            {"code": 1, "description": "Something failed; what, is said at the end and in logs/status.json."},
            {"code": 64, "description": "The command line is wrong; nothing was done."},
            {"code": 70, "description": "Nothing could be made."},
        ],
    }


def _input(option: Option) -> dict[str, Any]:
    """Describe an option."""
    text = " ".join(option.about.text.replace("%%", "%").split())
    entry: dict[str, Any] = {
        "id": option.name,
        "name": option.name.replace("_", " ").capitalize(),
        "description": text[0].upper() + text[1:] + (f" (in {option.about.unit})" if option.about.unit else ""),
        "optional": True,
        "value-key": f"[{option.name.upper()}]",
        "command-line-flag": option.spelling,
    }
    if option.kind in ("switch", "count"):
        return {**entry, "type": "Flag"}
    entry["type"] = "Number" if option.kind in _NUMBERS else "String"
    if option.kind == "int":
        entry["integer"] = True
    if option.kind == "several":
        entry |= {"list": True, "list-separator": " "}
    elif option.about.words and option.kind == "str":
        entry["value-choices"] = list(option.about.words)
    return entry


if __name__ == "__main__":
    DOCUMENT.write_text(json.dumps(descriptor(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    sys.exit(0)

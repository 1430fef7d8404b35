"""The Methods text: what was done, in sentences that the workflows carry, with the works to cite."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..._version import __version__
from ...derivatives.names import shipped
from ...files import write_text

__all__ = ["METHODS_FILES", "methods_text", "references_bib", "write_methods"]

METHODS_FILES = ("logs/CITATION.md", "logs/CITATION.bib")
"""The Methods text and its references, below the output dataset."""

_OPENING = (
    f"Functional brain networks of single fMRI volumes were computed with *scaae-nipype* {__version__}, which is based "
    "on *Nipype* (@nipype); inputs were found with *PyBIDS* (@pybids) in a dataset that follows BIDS (@bids).\n\n"
)


def methods_text(paragraphs: Iterable[str]) -> str:
    """Put sentences with ``@key`` citations together, with names and years for people and a list of references.

    >>> print(methods_text(["Done with @nipype."]).splitlines()[0])
    Done with Gorgolewski et al., 2011.
    """
    text = "\n\n".join(paragraph.strip() for paragraph in paragraphs)
    works, keys = shipped("references"), _cited(text)
    for key in sorted(keys, key=len, reverse=True):
        text = text.replace(f"@{key}", _short(works[key]))
    references = "\n".join(f"* {_long(works[key])}" for key in keys)
    return f"{text}\n\n### References\n\n{references}\n"


def references_bib(paragraphs: Iterable[str]) -> str:
    """Give the cited works as BibTeX."""
    works, entries = shipped("references"), []
    for key in _cited(" ".join(paragraphs)):
        fields = {name: value for name, value in works[key].items() if name != "type"}
        body = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items())
        entries.append(f"@{works[key]['type']}{{{key},\n{body}\n}}\n")
    return "\n".join(entries)


def write_methods(output_dir: Path, paragraphs: Iterable[str]) -> None:
    """Write ``logs/CITATION.md`` and ``logs/CITATION.bib``."""
    paragraphs = [_OPENING, *paragraphs]
    write_text(methods_text(paragraphs), output_dir / METHODS_FILES[0])
    write_text(references_bib(paragraphs), output_dir / METHODS_FILES[1])


def _cited(text: str) -> list[str]:
    """List the keys that a text cites, in order."""
    return [key for key in dict.fromkeys(re.findall(r"@(\w+)", text)) if key in shipped("references")]


def _short(entry: Mapping[str, str]) -> str:
    authors = entry["author"].split(" and ")
    return f"{authors[0].partition(',')[0]}{' et al.' if len(authors) > 1 else ''}, {entry['year']}"


def _long(entry: Mapping[str, str]) -> str:
    authors = entry["author"].split(" and ")
    names = ", ".join(authors[:1]) + (" et al." if len(authors) > 1 else "")
    note = f" {entry['note']}." if "note" in entry else ""
    place = " ".join(entry[name] for name in ("journal", "volume") if name in entry)
    return f"{names} ({entry['year']}). {entry['title']}. {place}. doi:{entry['doi']}.{note}"

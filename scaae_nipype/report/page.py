"""What a page consists of, and the way from there to one HTML file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Literal

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape

__all__ = ["Banner", "Block", "Cell", "Chapter", "Drawing", "Link", "Links", "Page", "Table", "Text", "render"]

_IN_BACKTICKS = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True)
class Text:
    """Paragraphs, or a list of points."""

    paragraphs: Sequence[str]
    kind: Literal["text", "list", "missing", "verbatim"] = "text"


@dataclass(frozen=True)
class Banner:
    """Something the reader must know before looking at the rest."""

    title: str
    text: str
    kind: str = "banner"


@dataclass(frozen=True)
class Drawing:
    """A figure as a ``data:`` address, what it shows, and the same for those who cannot see it."""

    key: str
    title: str
    source: str
    caption: str
    alt: str
    kind: str = "drawing"


@dataclass(frozen=True)
class Cell:
    """A table's cell: its text, what stands small below, and whether it is the best of its kind."""

    text: str
    small: str = ""
    strong: bool = False


@dataclass(frozen=True)
class Table:
    """A table.

    `groups` are headings over several columns each (text, number of columns); in a `narrow` table no cell breaks.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""
    groups: Sequence[tuple[str, int]] = ()
    narrow: bool = False
    kind: str = "table"


@dataclass(frozen=True)
class Link:
    """A file: its address relative to the output dataset, its name and what it holds."""

    address: str
    name: str
    description: str


@dataclass(frozen=True)
class Links:
    """A list of files."""

    title: str
    links: Sequence[Link]
    kind: str = "links"


Block = Text | Banner | Drawing | Table | Links


@dataclass(frozen=True)
class Chapter:
    """A heading with blocks and chapters below it; `key` is its anchor on the page."""

    key: str
    title: str
    blocks: Sequence[Block] = ()
    chapters: Sequence[Chapter] = ()


@dataclass(frozen=True)
class Page:
    """A report: title, facts (name, value), banners and chapters."""

    title: str
    subtitle: str
    facts: Sequence[tuple[str, str]]
    banners: Sequence[Banner]
    chapters: Sequence[Chapter]
    footer: str


def render(page: Page) -> str:
    """Fill the template: everything that comes from files is escaped, nothing is fetched.

    >>> html = render(Page("<sub-01>", "", (), (), (), ""))
    >>> "<title>&lt;sub-01&gt;</title>" in html, "src=" in html
    (True, False)
    """
    assets = resources.files("scaae_nipype.report")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["prose"] = _prose
    style = Markup((assets / "page.css").read_text(encoding="utf-8"))
    text = (assets / "page.html").read_text(encoding="utf-8")
    return environment.from_string(text).render(page=page, style=style) + "\n"


def _prose(text: object) -> Markup:
    """Show names in backticks, as messages have them, as code."""
    return Markup(_IN_BACKTICKS.sub(r"<code>\1</code>", str(escape(text))))

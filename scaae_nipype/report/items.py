"""What pages show, as data: sections of figures, tables and sentences, each with the outputs that it is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from matplotlib.figure import Figure

from ..derivatives.reading import Group, Run
from ..errors import InputError
from .page import Block, Chapter, Drawing, Table, Text
from .style import data_uri

__all__ = ["Item", "Section", "chapters_of"]

Subject = TypeVar("Subject", Run, Group)


@dataclass(frozen=True)
class Item(Generic[Subject]):
    """A figure, a table or sentences about a run or the group."""

    make: Callable[[Subject], Figure | Table | Text | Sequence[str]]
    needs: Sequence[str] = ()  # outputs that it is made of, by their names in the registry
    key: str = ""  # of a figure only, as the next three: its anchor
    title: str = ""
    caption: str = ""  # what stands below it
    alt: str = ""  # the same for those who cannot see it
    vector: bool = True  # whether a figure consists of lines and letters, not of brains
    as_list: bool = False  # whether sentences are points, not paragraphs


@dataclass(frozen=True)
class Section(Generic[Subject]):
    """Items under a heading.

    It is left out, where it is `optional`, if the last output that an item needs is missing, for all items. `otherwise`
    is said where there is nothing to show; where it is empty, each figure says which files are missing.
    """

    key: str
    title: str
    items: Sequence[Item[Subject]]
    optional: bool = False
    otherwise: str = ""


def chapters_of(sections: Sequence[Section[Subject]], subject: Subject, prefix: str = "") -> list[Chapter]:
    """Make what the sections show of a run or the group; `prefix` comes before their anchors."""
    return [
        Chapter(f"{prefix}{section.key}", section.title, _blocks(section, subject, f"{prefix}{section.key}"))
        for section in sections
        if not section.optional or any(subject.has(name) for item in section.items for name in item.needs[-1:])
    ]


def _blocks(section: Section[Subject], subject: Subject, key: str) -> list[Block]:
    blocks: list[Block] = []
    for item in section.items:
        missing = [subject.path(name).name for name in item.needs if not subject.has(name)]
        if not missing:
            blocks += _made(item, subject, key)
        elif item.title and not section.otherwise:  # sentences and tables need the same files as a figure beside them
            blocks.append(Text([f"{item.title}: not shown, for want of {', '.join(missing)}."], "missing"))
    return blocks or ([Text([section.otherwise], "missing")] if section.otherwise else [])


def _made(item: Item[Subject], subject: Subject, key: str) -> list[Block]:
    """Make an item, or say why it cannot be made; an empty table is left out."""
    try:
        made = item.make(subject)
        if isinstance(made, Figure):
            alt = f"{subject.title}: {item.alt}" if subject.title else item.alt
            return [Drawing(f"{key}-{item.key}", item.title, data_uri(made, vector=item.vector), item.caption, alt)]
        if isinstance(made, Table):
            return [made] if made.rows else []
        return [made if isinstance(made, Text) else Text(made, "list" if item.as_list else "text")]
    except InputError as error:
        return [Text([f"Not shown: {error}"], "missing")]

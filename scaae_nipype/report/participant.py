"""One self-contained HTML file per participant, made from the output dataset alone."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from .._version import __version__
from ..derivatives.reading import Run, find_runs
from ..errors import InputError
from ..files import write_text
from .findings import banners
from .overview import cards_of, facts, files_of, glance, methods_text, model_blocks
from .page import Block, Drawing, Page, Section, Text, render
from .specification import HOW_TO_READ, RUN_SECTIONS, FigureItem, SentenceItem, TableItem
from .style import data_uri

__all__ = ["participant_page", "participant_report"]


def participant_report(
    output_dir: str | os.PathLike, participant: str, out_file: str | os.PathLike | None = None
) -> Path:
    """Write the report of a participant.

    Parameters
    ----------
    output_dir : path
        The output dataset; nothing else is read.
    participant : str
        Label, with or without ``sub-``.
    out_file : path, optional
        ``sub-<label>.html`` in `output_dir` if not given. Links to the dataset's files work from there.

    Returns
    -------
    Path
        Of the HTML file, which opens without a network.

    Raises
    ------
    InputError
        If the dataset holds no run of the participant. Whatever else is missing or damaged, the report says so.
    UsageError
        If the label cannot be one.
    """
    page = participant_page(output_dir, participant)
    out_file = Path(out_file) if out_file is not None else Path(output_dir) / f"{page.title.split(':')[0]}.html"
    return write_text(render(page), out_file)


def participant_page(output_dir: str | os.PathLike, participant: str) -> Page:
    """Collect what the report of a participant shows; raises as `participant_report` does."""
    root = Path(output_dir)
    runs = find_runs(root, participant)
    label = runs[0].entities["sub"]
    cards = cards_of(runs)
    sections = [
        Section("glance", "At a glance", [glance(runs)]),
        Section("reading", "How to read this", [Text(HOW_TO_READ, "list")]),
        *(_run_section(run, f"run{index}") for index, run in enumerate(runs, start=1)),
        Section("model", "Model", _models(runs, cards)),
        Section("methods", "Methods", [methods_text(root)]),
        Section("files", "Files", files_of(root, runs)),
    ]
    return Page(
        title=f"sub-{label}: functional brain networks of every volume",
        subtitle="Maps of spatial and channel-wise attention (SCAAE, arXiv 2205.09576), one per fMRI volume and branch",
        facts=facts(root, f"sub-{label}", runs, cards),
        banners=banners(runs, cards),
        sections=sections,
        footer=f"Report written by scaae-nipype {__version__} from the files listed above.",
    )


def _models(runs: Sequence[Run], cards: dict) -> list[Block]:
    if not cards:
        return [Text(["The sidecars do not say which model made the networks."], "missing")]
    return [block for name, card in cards.items() for block in model_blocks(name, card, runs)]


def _run_section(run: Run, key: str) -> Section:
    sections = [
        Section(
            f"{key}-{section.key}",
            section.title,
            [block for item in section.items for block in _blocks(run, item, f"{key}-{section.key}")],
        )
        for section in RUN_SECTIONS
        if not section.optional or any(run.has(meaning) for item in section.items for meaning in item.needs[-1:])
    ]
    return Section(key, run.title, [Text([f"File names begin with {run.stem}."])], sections)


def _blocks(run: Run, item: FigureItem | TableItem | SentenceItem, key: str) -> list[Block]:
    """Make what an item of the specification asks for, or say why it is not there."""
    missing = [run.path(meaning).name for meaning in item.needs if not run.has(meaning)]
    if missing:
        if isinstance(item, FigureItem):  # sentences and tables need the same files as a figure beside them
            return [Text([f"{item.title}: not shown, for want of {', '.join(missing)}."], "missing")]
        return []
    try:
        if isinstance(item, FigureItem):
            source = data_uri(item.draw(run), vector=item.vector)
            return [Drawing(f"{key}-{item.key}", item.title, source, item.caption, f"{run.title}: {item.alt}")]
        if isinstance(item, TableItem):
            table = item.make(run)
            return [table] if table.rows else []
        return [Text(item.write(run), "list" if item.as_list else "text")]
    except InputError as error:
        return [Text([f"Not shown: {error}"], "missing")]

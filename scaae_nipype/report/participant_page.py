"""One self-contained HTML file per participant, made from the output dataset alone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._version import __version__
from ..derivatives.reading import Run, find_runs
from ..files import write_text
from .banners import LINEAR, banners, failures
from .items import Section, chapters_of
from .page import Chapter, Page, Text, render
from .sections import baselines, channels, data, events, gradual, networks, nulls, planted, regions, states, templates
from .sections.model import cards_of, methods_text, models
from .sections.overview import facts, files_of, glance

__all__ = ["HOW_TO_READ", "RUN_SECTIONS", "participant_page", "participant_report"]

ATTENTION = "Maps of spatial and channel-wise attention (SCAAE, arXiv 2205.09576)"

HOW_TO_READ = (
    "A functional brain network (FBN) is one map per fMRI volume and attention branch, scaled to 0–1 within the run's "
    "evaluation region and squared (equation 9 of the SCAAE paper). It is drawn, and counted as overlap, where it "
    "exceeds 0.3. That threshold is the paper's and is never tuned.",
    "Scores called best are the highest of all volumes of the run, so they grow with the number of volumes, for noise "
    "as well. Compare best-of-20 (the expected highest of 20 volumes drawn at random) or the mean over volumes.",
    "IoU at 0.3 is bounded by size: a map that marks 36 % of the brain cannot exceed an IoU of 0.14 with a template of "
    "5 %. Average precision (AP) and size-matched IoU do not depend on scaling or threshold: these two decide.",
    "Look at the volume itself first. It stands beside the network in every comparison because a map has to beat "
    "it to be worth its training, and so it has to beat the filters and decompositions below it: a volume that was "
    "smoothed, rectified and squared often matches the templates as well.",
    "A high overlap of consecutive volumes is mostly the slow spectrum of fMRI, not a property of the network: "
    "band-passed noise does it too. Read it against the dotted chance level and the volume's own curve, and never "
    "across runs of different repetition times.",
    "Overlap with a template is not proof of a network: any smooth map overlaps something. The section Null models, "
    "where there is one, holds matches against equally smooth templates that lie elsewhere.",
)
"""What a reader must know; each point is one of the ways in which the numbers mislead."""

RUN_SECTIONS: tuple[Section[Run], ...] = (
    networks.RUN_SECTION,
    planted.RUN_SECTION,
    templates.RUN_SECTION,
    baselines.RUN_SECTION,
    gradual.RUN_SECTION,
    states.RUN_SECTION,
    nulls.RUN_SECTION,
    events.RUN_SECTION,
    regions.RUN_SECTION,
    channels.RUN_SECTION,
    data.RUN_SECTION,
)
"""Sections of every run, in the order of the page."""


def participant_report(
    output_dir: str | os.PathLike[str], participant: str, out_file: str | os.PathLike[str] | None = None
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


def participant_page(output_dir: str | os.PathLike[str], participant: str) -> Page:
    """Collect what the report of a participant shows; raises as `participant_report` does."""
    root = Path(output_dir)
    runs = find_runs(root, participant)
    cards = cards_of(runs)
    return Page(
        title=f"sub-{runs[0].entities['sub']}: functional brain networks of every volume",
        subtitle=_subtitle(cards),
        facts=facts(root, runs, cards),
        banners=[*failures(root, runs[0].entities["sub"]), *banners(runs, cards)],
        chapters=[
            Chapter("glance", "At a glance", [glance(runs)]),
            Chapter("reading", "How to read this", [Text(HOW_TO_READ, "list")]),
            *(_run_chapter(run, f"run{index}") for index, run in enumerate(runs, start=1)),
            Chapter("model", "Model", models(runs, cards)),
            Chapter("methods", "Methods", [methods_text(root)]),
            Chapter("files", "Files", files_of(root, runs)),
        ],
        footer=f"Report written by scaae-nipype {__version__} from the files listed above.",
    )


def _subtitle(cards: Mapping[str, Mapping[str, Any]]) -> str:
    """Say what maps are of, which is not attention where the preset has none."""
    presets = {card.get("Preset") for card in cards.values()}
    maps = "Projections on the group's principal components" if presets == {LINEAR} else ATTENTION
    return f"{maps}, one per fMRI volume and branch"


def _run_chapter(run: Run, key: str) -> Chapter:
    first = Text([f"File names begin with {run.stem}."])
    return Chapter(key, run.title, [first], chapters_of(RUN_SECTIONS, run, f"{key}-"))

"""One self-contained HTML file about the group, made from the group level's tables alone."""

from __future__ import annotations

import os
from pathlib import Path

from .._version import __version__
from ..derivatives.reading import Group
from ..errors import InputError
from ..files import write_text
from .banners import group_banners
from .items import Section, chapters_of
from .page import Chapter, Page, Text, render
from .sections import baselines, comparisons, gradual, overview, states, templates_group
from .sections.overview import group_facts, group_files

__all__ = ["GROUP_SECTIONS", "HOW_TO_READ_GROUPS", "group_page", "group_report"]

HOW_TO_READ_GROUPS = (
    "Participants are the units: a participant's runs are averaged first, and the spread is that over participants.",
    "Runs of different repetition times (TR) are summarised and tested apart. The overlap of consecutive volumes "
    "is set by the repetition time and the filter more than by the brain.",
    "Scores are best-of-20 (the expected highest of 20 volumes drawn at random), which does not grow with the length "
    "of the run. Compare networks with the volume itself, which needs no network.",
    "With the default preset, branch 1 marks what is above the mean of a voxel over its run, branch 2 what is below: a "
    "state of branch 2 is a network that is less active than usual.",
    "Tests are Welch's t under permutation (studentised): groups may differ in spread and size. Residuals of a model "
    "with site, motion and covariates are permuted (Freedman–Lane), within sites; the corrected p is by the maximum "
    "statistic over a family of outcomes. Observational differences are no causes.",
)
"""What a reader of the group's page must know."""

GROUP_SECTIONS: tuple[Section[Group], ...] = (
    overview.GROUP_SECTION,
    gradual.GROUP_SECTION,
    templates_group.GROUP_SECTION,
    baselines.GROUP_SECTION,
    states.GROUP_SECTION,
    *comparisons.GROUP_SECTIONS,
)
"""Sections of the page, in their order."""


def group_report(output_dir: str | os.PathLike[str], out_file: str | os.PathLike[str] | None = None) -> Path:
    """Write the report of the group.

    Parameters
    ----------
    output_dir : path
        The output dataset; only its folder ``group`` is read.
    out_file : path, optional
        ``group.html`` in `output_dir` if not given.

    Returns
    -------
    Path
        Of the HTML file, which opens without a network.

    Raises
    ------
    InputError
        If the dataset holds no tables of a group.
    """
    return write_text(render(group_page(output_dir)), out_file or Path(output_dir) / "group.html")


def group_page(output_dir: str | os.PathLike[str]) -> Page:
    """Collect what the report shows; raises as `group_report` does."""
    group = Group(Path(output_dir))
    if not group.has("participants"):
        raise InputError(f"{output_dir}: holds no tables of a group; run the group level first.")
    return Page(
        title="Group: functional brain networks of every volume",
        subtitle="Maps of spatial and channel-wise attention (SCAAE) of single volumes, averaged over participants",
        facts=group_facts(group),
        banners=list(group_banners(group)),
        chapters=[
            Chapter("reading", "How to read this", [Text(HOW_TO_READ_GROUPS, "list")]),
            *chapters_of(GROUP_SECTIONS, group),
            Chapter("files", "Files", [group_files(group)]),
        ],
        footer=f"Report written by scaae-nipype {__version__} from the files listed above.",
    )

"""One self-contained HTML file about the group, made from the group level's tables alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from matplotlib.figure import Figure

from .._version import __version__
from ..derivatives.names import group_outputs, group_path
from ..errors import InputError
from ..files import write_text
from ..words import counted, first_few
from . import group_state_views as state_views
from . import group_views as views
from .group_findings import group_banners
from .group_views import Group
from .page import Banner, Block, Drawing, Link, Links, Page, Section, Table, Text, render
from .style import data_uri

__all__ = ["GROUP_SECTIONS", "HOW_TO_READ_GROUPS", "GroupItem", "GroupSection", "group_page", "group_report"]


MOST_PARAGRAPHS = 4
"""More sentences than this are a list of points."""


@dataclass(frozen=True)
class GroupItem:
    """A figure, a table or sentences, made from the files of meanings; a figure needs title, caption and alt."""

    needs: Sequence[str]
    make: Callable[[Group], Figure | Table | Sequence[str]]
    title: str = ""
    caption: str = ""
    alt: str = ""
    vector: bool = True


@dataclass(frozen=True)
class GroupSection:
    """A section of the page, and what is said where it has nothing to show."""

    key: str
    title: str
    items: Sequence[GroupItem]
    otherwise: str


HOW_TO_READ_GROUPS = (
    "Participants are the units: a participant's runs are averaged first, and the spread is that over participants.",
    "Runs of different repetition times (TR) are summarised and tested apart. The overlap of consecutive volumes "
    "is set by the repetition time and the filter more than by the brain.",
    "Scores are best-of-20 (the expected highest of 20 volumes drawn at random), which does not grow with the length "
    "of the run. Compare networks with the volume itself, which needs no network.",
    "With the default preset, branch 1 marks what is above the mean of a voxel over its run, branch 2 what is below: a "
    "state of branch 2 is a network that is less active than usual.",
    "Tests permute the residuals of a model with site, motion and covariates (Freedman–Lane), within sites; the "
    "corrected p is by the maximum statistic over a family of outcomes. Observational differences are no causes.",
)
"""What a reader of the group's page must know."""

GROUP_SECTIONS = (
    GroupSection(
        "participants", "Participants", (GroupItem(("participants",), views.participants),), "There is no such table."
    ),
    GroupSection(
        "gradual", "Gradual change", (GroupItem(("gradualchange",), views.consecutive),), "There is no such table."
    ),
    GroupSection(
        "overlap",
        "Overlap with known networks",
        (
            GroupItem(
                ("overlap",),
                views.overlap_figure,
                "Overlap with every template",
                "Best of 20 volumes: mean over participants, bars ± 1 SD over participants. Higher is better. AP and "
                "size-matched IoU decide; IoU at 0.3 is bounded by the sizes of map and template.",
                "Dot plot of average precision, size-matched IoU and IoU with every template, averaged over "
                "participants, for both branches and for the volume itself; the same numbers stand in the table below.",
            ),
            GroupItem(("overlap",), views.overlap_table),
        ),
        "There is no such table.",
    ),
    GroupSection(
        "baselines",
        "Beside what needs no trained network",
        (
            GroupItem(("overlap",), state_views.compare_sentences),
            GroupItem(
                ("overlap",),
                state_views.compare_figure,
                "Every method with every template (the paper's Figure 5), averaged",
                "Best of 20 candidates, mean over participants; the best method of a line is framed. Left of the white "
                "line: the network. smoothed²: smoothed (Gaussian, σ in mm), rectified, squared; σ chosen: the width "
                "that is best in the other participants. Untrained: the same network before training.",
                "Heat map of average precision and size-matched IoU, templates against methods, with the numbers.",
            ),
            GroupItem(("overlap",), state_views.compare_table),
        ),
        "There is no such table.",
    ),
    GroupSection(
        "states",
        "States",
        (
            GroupItem(
                ("states", "transitions"),
                state_views.graphs,
                "Transitions between states (the paper's Figure 6), over all participants",
                "Width of an arrow: how often one state follows the other, summed over runs, on one scale for all "
                "graphs. Size of a circle, and the number: mean share of the used volumes. Staying is not drawn.",
                "Graphs of the transitions between states; the same numbers are in the table of transitions.",
            ),
            GroupItem(("states",), state_views.states),
            GroupItem(
                ("fbn1states", "fbn2states"),
                state_views.state_mosaic,
                "Mean network of each state, averaged over participants",
                "Mean of the signed maps of the volumes in each state, then over runs and participants, in standard "
                "deviations of the map; the 15 % of the voxels furthest from its mean are shown. Volumes were chosen "
                "by the template, so some likeness to it is certain.",
                "Axial brain slices of the mean network of each state, one line per state, the branches side by side.",
                vector=False,
            ),
        ),
        "The runs have no tables of states.",
    ),
    GroupSection(
        "comparisons",
        "Comparisons",
        (GroupItem(("comparisons",), views.comparison_sentences), GroupItem(("comparisons",), views.comparisons)),
        "Nothing was compared: no column to compare by was named, or it could not be tested.",
    ),
    GroupSection(
        "reliability",
        "Reliability",
        (GroupItem(("reliability",), views.reliability),),
        "No sessions or runs repeat within participants, so nothing is known about reliability.",
    ),
    GroupSection(
        "predictions",
        "Prediction from the code",
        (GroupItem(("predictions",), views.predictions),),
        "Nothing was predicted: no column to predict was named, or it could not be predicted.",
    ),
)
"""Sections of the page, in their order."""


def group_report(output_dir: str | os.PathLike, out_file: str | os.PathLike | None = None) -> Path:
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


def group_page(output_dir: str | os.PathLike) -> Page:
    """Collect what the report shows; raises as `group_report` does."""
    group = Group(Path(output_dir))
    if not group.has("participants"):
        raise InputError(f"{output_dir}: holds no tables of a group; run the group level first.")
    sections = [Section(section.key, section.title, _blocks(group, section)) for section in GROUP_SECTIONS]
    return Page(
        title="Group: functional brain networks of every volume",
        subtitle="Maps of spatial and channel-wise attention (SCAAE) of single volumes, averaged over participants",
        facts=_facts(group),
        banners=_banners(group),
        sections=[
            Section("reading", "How to read this", [Text(HOW_TO_READ_GROUPS, "list")]),
            *sections,
            Section("files", "Files", [_files(group)]),
        ],
        footer=f"Report written by scaae-nipype {__version__} from the files listed above.",
    )


def _blocks(group: Group, section: GroupSection) -> list[Block]:
    items = [item for item in section.items if all(group.has(meaning) for meaning in item.needs)]
    if not items:
        return [Text([section.otherwise], "missing")]
    blocks: list[Block] = []
    for number, item in enumerate(items, start=1):
        try:
            made = item.make(group)
        except InputError as error:
            blocks.append(Text([f"Not shown: {error}"], "missing"))
            continue
        if isinstance(made, Figure):
            source = data_uri(made, vector=item.vector)
            blocks.append(Drawing(f"{section.key}-figure{number}", item.title, source, item.caption, item.alt))
        else:
            blocks.append(
                made if isinstance(made, Table) else Text(made, "list" if len(made) > MOST_PARAGRAPHS else "text")
            )
    return blocks


def _facts(group: Group) -> list[tuple[str, str]]:
    account = group.account
    runs = group.table("runs", ["participant_id", "repetition_time"]) if group.has("runs") else None
    times = (
        "not recorded" if runs is None else ", ".join(f"{time:g} s" for time in sorted(set(runs["repetition_time"])))
    )
    return [
        ("Participants", "not recorded" if runs is None else str(runs["participant_id"].nunique())),
        ("Runs", "not recorded" if runs is None else str(len(runs))),
        ("Repetition times", times),
        ("Compared by", str(account.get("GroupBy") or "nothing")),
        ("Site column", str(account.get("SiteColumn") or "none")),
        ("Covariates", ", ".join(map(str, account.get("Covariates") or ())) or "none"),
        ("Permutations, seed", f"{account.get('Permutations', 'n/a')}, {account.get('Seed', 'n/a')}"),
        ("Model checksum", str(account.get("ModelChecksum") or "not recorded")[:10]),
        ("Configuration", str(account.get("ConfigurationHash") or "not recorded")),
    ]


def _banners(group: Group) -> list[Banner]:
    account = group.account
    left_out = account.get("LeftOut")
    left_out = left_out if isinstance(left_out, dict) else {}
    found = group_banners(group)
    if left_out:
        named = first_few((f"{run}: {reason}" for run, reason in left_out.items()), 5, separator="; ")
        found.append(Banner(f"{counted(len(left_out), 'run')} left out", named))
    warnings = account.get("Warnings")
    if isinstance(warnings, list) and warnings:
        found.append(Banner("Before you read on", " ".join(map(str, warnings))))
    return found


def _files(group: Group) -> Links:
    there = [(meaning, group_path(meaning)) for meaning in group_outputs() if group.has(meaning)]
    links = [Link(quote(str(path)), path.name, group_outputs()[meaning]["description"]) for meaning, path in there]
    return Links("Tables and maps of the group", links)

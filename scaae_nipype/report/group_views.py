"""From the group level's tables to what its page shows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..derivatives.names import group_path
from ..errors import InputError
from ..files import read_json, read_table
from ..maps import DECIDING, LABELS, SCORE_LABELS
from ..words import first_few, number
from .figures import SCORE_TITLES
from .methods import method_label
from .page import Cell, Table
from .style import COLOURS, MARKERS, message, methods_of, shorten, styled

__all__ = [
    "Group",
    "comparison_sentences",
    "comparisons",
    "consecutive",
    "everybody",
    "overlap_figure",
    "overlap_table",
    "participants",
    "predictions",
    "reliability",
    "seconds",
    "spread",
]

MOST_ROWS = 20
"""Comparisons in the page; all are in the table's file."""

_SCORES = (*DECIDING, "iou")


@dataclass(frozen=True, eq=False)
class Group:
    """The group level's tables in an output dataset; each is read when it is asked for."""

    root: Path
    _cache: dict[str, pd.DataFrame] = field(default_factory=dict, init=False, repr=False)

    def has(self, meaning: str) -> bool:
        """Tell whether there is a table of that meaning."""
        return (self.root / group_path(meaning)).is_file()

    def table(self, meaning: str, columns: Iterable[str] = ()) -> pd.DataFrame:
        """Read a table once.

        Raises
        ------
        InputError
            If it is missing, unreadable, or lacks one of `columns`.
        """
        if meaning not in self._cache:
            self._cache[meaning] = read_table(self.root / group_path(meaning))
        missing = [column for column in columns if column not in self._cache[meaning]]
        if missing:
            raise InputError(f"{group_path(meaning).name}: lacks the column(s) {', '.join(missing)}.")
        return self._cache[meaning]

    @property
    def account(self) -> dict[str, Any]:
        """What was asked, left out and warned of, as the sidecars tell it."""
        try:
            account = read_json(self.root / group_path("participants", ".json")).get("Group")
        except InputError:
            account = None
        return account if isinstance(account, dict) else {}


def spread(row: pd.Series, value: str, digits: int = 2) -> Cell:
    """Write a mean with its standard deviation below it, where there is a mean."""
    mean = row.get(f"{value}_mean")
    return Cell(number(mean, digits), f"± {number(row.get(f'{value}_sd'), digits)}" if pd.notna(mean) else "")


def _level(row: pd.Series) -> str:
    return "everybody" if row["column"] == "all" else f"{row['column']}: {row['level']}"


def seconds(value: object) -> str:
    """Write a repetition time without trailing zeros."""
    return number(value, 3).rstrip("0").rstrip(".")


def participants(group: Group) -> Table:
    """Tabulate who is in the group (the paper's Table 1)."""
    needed = ("column", "level", "repetition_time", "n_participants", "n_runs", "n_volumes", "n_volumes_kept")
    table = group.table("participants", [*needed, "mean_fd", "sd_fd"])
    rows = [
        [
            Cell(_level(row)),
            Cell(seconds(row["repetition_time"])),
            *(Cell(number(row[name], 0)) for name in needed[3:]),
            Cell(number(row["mean_fd"]), f"± {number(row['sd_fd'])}"),
        ]
        for _, row in table.iterrows()
    ]
    columns = ["", "TR (s)", "Participants", "Runs", "Volumes", "of these used", "FD (mm)"]
    return Table("Participants", columns, rows, "FD: framewise displacement, mean and SD over participants.")


def consecutive(group: Group) -> Table:
    """Tabulate the overlap of consecutive volumes per site within a repetition time (the paper's Table 2)."""
    needed = ("column", "level", "repetition_time", "method", "lag", "n_participants", "mean_iou_mean", "mean_iou_sd")
    table = group.table("gradualchange", [*needed, "chance_iou_mean"])
    first = table[table["lag"] == 1].sort_values("repetition_time", kind="stable")
    methods = methods_of(first)
    rows = []
    for _, part in first.groupby(["repetition_time", "column", "level"], sort=False):
        row, cells = part.iloc[0], part.drop_duplicates("method").set_index("method").reindex(methods)
        line = [
            Cell(seconds(row["repetition_time"])),
            Cell(_level(row)),
            Cell(number(part["n_participants"].max(), 0)),
        ]
        for _, own in cells.iterrows():
            line += [spread(own, "mean_iou"), Cell(number(own["chance_iou_mean"]))]
        rows.append(line)
    return Table(
        "IoU of consecutive volumes",
        ["TR (s)", "", "Participants", *(["IoU", "chance"] * len(methods))],
        rows,
        "Mean and SD over participants. Chance: of unrelated maps of the same density. Compare lines of equal "
        "repetition time (TR) only: the value is mostly set by how slow the signal is and how far apart volumes are.",
        [("", 3), *((LABELS[method], 2) for method in methods)],
    )


def everybody(group: Group, meaning: str, columns: Sequence[str]) -> pd.DataFrame:
    """Give the lines of a table that are about all participants."""
    table = group.table(meaning, ["column", "repetition_time", *columns])
    return table[table["column"] == "all"]


@styled
def overlap_figure(group: Group) -> Figure:
    """Draw the overlap with every template, mean and SD over participants (the paper's Figure 5, averaged)."""
    table = everybody(group, "overlap", ["method", "template", "n_participants"])
    scores = [score for score in _SCORES if f"best_of_20_{score}_mean" in table]
    methods = methods_of(table)
    times = sorted(table["repetition_time"].unique())
    templates = list(dict.fromkeys(table["template"].astype(str)))
    if not scores or not methods:
        figure = Figure(figsize=(11, 0.8))
        message(figure.add_subplot(), "The table holds no scores.")
        return figure
    figure = Figure(figsize=(11, len(times) * (1.2 + 0.4 * len(templates))))
    panels = figure.subplots(len(times), len(scores), squeeze=False, sharey=True)
    offsets = np.linspace(-0.3, 0.3, len(methods)) if len(methods) > 1 else [0.0]
    for line, repetition_time in zip(panels, times, strict=True):
        part = table[table["repetition_time"] == repetition_time]
        for axes, score in zip(line, scores, strict=True):
            for method, offset in zip(methods, offsets, strict=True):
                own = (
                    part[part["method"] == method].drop_duplicates("template").set_index("template").reindex(templates)
                )
                axes.errorbar(
                    own[f"best_of_20_{score}_mean"].to_numpy(dtype=float),
                    np.arange(len(templates)) + offset,
                    xerr=own[f"best_of_20_{score}_sd"].fillna(0).to_numpy(dtype=float),
                    color=COLOURS[method],
                    marker=MARKERS[method],
                    linestyle="",
                    markersize=4.5,
                    linewidth=1,
                )
            axes.set_title(f"{SCORE_TITLES[score]}, TR {seconds(repetition_time)} s", fontweight="bold")
            axes.set_xlim(left=0)
            axes.grid(axis="x", color="#CCCCCC", linewidth=0.5)
        line[0].set_yticks(range(len(templates)), [shorten(template) for template in templates])
        line[0].set_ylim(len(templates) - 0.5, -0.5)
    handles = [
        Line2D([], [], color=COLOURS[method], marker=MARKERS[method], linewidth=1, label=LABELS[method])
        for method in methods
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=len(handles))
    return figure


def overlap_table(group: Group) -> Table:
    """Tabulate the same: mean and SD over participants."""
    score = "average_precision"
    needed = [f"best_of_20_{score}_mean", f"best_of_20_{score}_sd", "best_of_20_size_matched_iou_mean"]
    table = everybody(group, "overlap", ["method", "template", "n_participants", *needed])
    methods = methods_of(table)
    rows = []
    for (repetition_time, template), part in table.groupby(["repetition_time", "template"], sort=False):
        cells = part.drop_duplicates("method").set_index("method").reindex(methods)
        line = [Cell(str(template)), Cell(seconds(repetition_time)), Cell(number(part["n_participants"].max(), 0))]
        for value in (f"best_of_20_{score}", "best_of_20_size_matched_iou"):
            best = cells[f"{value}_mean"].max()
            line += [
                Cell(found.text, found.small, bool(row[f"{value}_mean"] == best))
                for _, row in cells.iterrows()
                for found in [spread(row, value)]
            ]
        rows.append(line)
    return Table(
        "Overlap with every template, averaged over participants",
        ["Template", "TR (s)", "n", *([method_label(method) for method in methods] * 2)],
        rows,
        "Best of 20 volumes, mean ± SD over n participants; bold for the best method. volume: the prepared volume "
        "itself; −volume: with its sign turned.",
        [("", 3), ("Average precision", len(methods)), ("Size-matched IoU", len(methods))],
        narrow=True,
    )


def _in_words(family: object) -> str:
    """Name a family of outcomes without the names of columns."""
    for score in DECIDING:
        family = str(family).replace(score, SCORE_LABELS[score])
    return str(family)


def comparison_sentences(group: Group) -> list[str]:
    """Say how many outcomes differ after correction, and whether the volume itself differs too."""
    table = group.table("comparisons", ["family", "outcome", "effect", "contrast", "p_corrected"])
    sentences = []
    for family, part in table.groupby("family", sort=False):
        hits = part[part["p_corrected"] <= 0.05]
        which = f": {first_few(hits.sort_values('p_corrected')['outcome'], 4)}" if len(hits) else ""
        sentences.append(f"{_in_words(family)}: {len(hits)} of {len(part)} outcomes with corrected p ≤ 0.05{which}.")
    return [
        f"Participants were compared by {table['effect'].iloc[0]} ({table['contrast'].iloc[0]}).",
        *sentences,
        "Families that end in “no network” hold the volume itself: an effect that is there too is not the network's. "
        "Correction is within a family, not over families.",
    ]


def comparisons(group: Group) -> Table:
    """Tabulate the outcomes with the smallest p."""
    needed = ["repetition_time", "family", "outcome", "n_participants", "estimate", "statistic_name", "statistic"]
    table = group.table("comparisons", [*needed, "degrees_of_freedom", "p", "p_corrected"])
    shown = table.dropna(subset="p").sort_values(["p_corrected", "p"], kind="stable").head(MOST_ROWS)
    rows = [
        [
            Cell(str(row["outcome"]), _in_words(row["family"])),
            Cell(seconds(row["repetition_time"])),
            Cell(number(row["n_participants"], 0)),
            Cell(number(row["estimate"], 3)),
            Cell(f"{row['statistic_name']} = {number(row['statistic'])}", f"df {number(row['degrees_of_freedom'], 0)}"),
            Cell(number(row["p"], 4)),
            Cell(number(row["p_corrected"], 4), strong=bool(row["p_corrected"] <= 0.05)),
        ]
        for _, row in shown.iterrows()
    ]
    return Table(
        "Outcomes with the smallest p",
        ["Outcome", "TR (s)", "Participants", "Estimate", "Statistic", "p", "p corrected"],
        rows,
        f"Freedman–Lane permutations; corrected by the maximum statistic over the family. {len(shown)} of {len(table)} "
        f"outcomes; all are in {group_path('comparisons').name}.",
    )


def reliability(group: Group) -> Table:
    """Tabulate intraclass correlations: the median and range over each family's outcomes."""
    needed = ["repetition_time", "task", "family", "n_participants", "n_repeats", "repeats", "icc_2_1", "icc_3_1"]
    table = group.table("reliability", needed)
    rows = []
    for (repetition_time, task, family), part in table.groupby(["repetition_time", "task", "family"], sort=False):
        line = [Cell(_in_words(family), str(part["repeats"].iloc[0])), Cell(seconds(repetition_time)), Cell(str(task))]
        line += [Cell(number(part["n_participants"].max(), 0)), Cell(str(len(part)))]
        for icc in ("icc_2_1", "icc_3_1"):
            values = part[icc].dropna()
            line.append(Cell(number(values.median()), f"{number(values.min())} to {number(values.max())}"))
        rows.append(line)
    return Table(
        "Intraclass correlations over repeated runs",
        ["Measure", "TR (s)", "Task", "Participants", "Outcomes", "ICC(2,1)", "ICC(3,1)"],
        rows,
        "Median and range over outcomes. ICC(2,1): absolute agreement; ICC(3,1): consistency. Limits of every outcome "
        f"are in {group_path('reliability').name}.",
    )


def predictions(group: Group) -> Table:
    """Tabulate how well the column was predicted, from the code and from motion alone."""
    needed = ["repetition_time", "target", "source", "score", "score_name", "second_score", "second_name", "p"]
    table = group.table("predictions", [*needed, "n_participants", "n_folds", "blocked"])
    rows = [
        [
            Cell(f"{row['target']} from {row['source']}"),
            Cell(seconds(row["repetition_time"])),
            Cell(number(row["n_participants"], 0)),
            Cell(f"{row['n_folds']} of {row['blocked']}"),
            Cell(
                f"{row['score_name']} = {number(row['score'])}", f"{row['second_name']} = {number(row['second_score'])}"
            ),
            Cell(number(row["p"], 3)),
        ]
        for _, row in table.iterrows()
    ]
    return Table(
        "Cross-validated prediction",
        ["", "TR (s)", "Participants", "Folds", "Score", "p"],
        rows,
        "For participants that the prediction had not seen; auc 0.5 and r 0 are chance. What motion alone predicts as "
        "well is no finding about networks.",
    )

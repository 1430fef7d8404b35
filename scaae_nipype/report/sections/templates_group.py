"""Overlap with known networks, averaged over participants."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from ...derivatives.reading import Group
from ...maps import DECIDING, SCORE_LABELS
from ...words import capitalised, number
from ..cells import spread
from ..figures import legend_above, method_handles
from ..items import Item, Section
from ..labels import method_label, methods_of, seconds
from ..page import Cell, Table
from ..style import COLOURS, MARKERS, WIDTH, empty, shorten, styled
from .chance import group_sentences
from .templates import PANEL_TITLES

__all__ = ["GROUP_SECTION", "overlap_figure", "overlap_table"]


@styled
def overlap_figure(group: Group) -> Figure:
    """Draw the overlap with every template, mean and SD over participants (the paper's Figure 5, averaged)."""
    table = group.everybody("overlap", ["method", "template", "n_participants"])
    scores = [score for score in PANEL_TITLES if f"best_of_20_{score}_mean" in table]
    methods = methods_of(table)
    times = sorted(table["repetition_time"].unique())
    templates = list(dict.fromkeys(table["template"].astype(str)))
    if not scores or not methods:
        return empty("The table holds no scores.")
    figure = Figure(figsize=(WIDTH, len(times) * (1.2 + 0.4 * len(templates))))
    panels = figure.subplots(len(times), len(scores), squeeze=False, sharey=True)
    offsets = np.linspace(-0.3, 0.3, len(methods)) if len(methods) > 1 else [0.0]
    for line, repetition_time in zip(panels, times, strict=True):
        part = table[table["repetition_time"] == repetition_time]
        for axes, score in zip(line, scores, strict=True):
            for method, offset in zip(methods, offsets, strict=True):
                own = part[part["method"] == method].drop_duplicates("template").set_index("template")
                own = own.reindex(templates)
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
            axes.set_title(f"{PANEL_TITLES[score]}, TR {seconds(repetition_time)} s", fontweight="bold")
            axes.set_xlim(left=0)
            axes.grid(axis="x", color="#CCCCCC", linewidth=0.5)
        line[0].set_yticks(range(len(templates)), [shorten(template) for template in templates])
        line[0].set_ylim(len(templates) - 0.5, -0.5)
    legend_above(figure, method_handles(methods))
    return figure


def overlap_table(group: Group) -> Table:
    """Tabulate the same: mean and SD over participants."""
    scores = [f"best_of_20_{score}" for score in DECIDING]
    needed = ["method", "template", "n_participants", f"{scores[0]}_mean", f"{scores[0]}_sd", f"{scores[1]}_mean"]
    table = group.everybody("overlap", needed)
    methods = methods_of(table)
    rows = []
    for (repetition_time, template), part in table.groupby(["repetition_time", "template"], sort=False):
        cells = part.drop_duplicates("method").set_index("method").reindex(methods)
        line = [Cell(str(template)), Cell(seconds(repetition_time)), Cell(number(part["n_participants"].max(), 0))]
        for score in scores:
            best = cells[f"{score}_mean"].max()
            line += [spread(own, score, strong=bool(own[f"{score}_mean"] == best)) for _, own in cells.iterrows()]
        rows.append(line)
    return Table(
        "Overlap with every template, averaged over participants",
        ["Template", "TR (s)", "n", *([method_label(method) for method in methods] * 2)],
        rows,
        "Best of 20 volumes, mean ± SD over n participants, raw: chance is in these numbers; bold for the best method. "
        "volume: the prepared volume itself; −volume: with its sign turned.",
        [("", 3), *((capitalised(SCORE_LABELS[score]), len(methods)) for score in DECIDING)],
        narrow=True,
    )


GROUP_SECTION: Section[Group] = Section(
    "overlap",
    "Overlap with known networks",
    (
        Item(
            overlap_figure,
            ("overlap",),
            key="figure1",
            title="Overlap with every template",
            caption="Best of 20 volumes: mean over participants, bars ± 1 SD over participants. Higher is better. Raw "
            "scores: chance is in them, and what lies above it is said below. AP and size-matched IoU decide; IoU at "
            "0.3 is bounded by the sizes of map and template.",
            alt="Dot plot of average precision, size-matched IoU and IoU with every template, averaged over "
            "participants, for both branches and for the volume itself; the same numbers stand in the table below.",
        ),
        Item(group_sentences, ("above_chance",), as_list=True),
        Item(overlap_table, ("overlap",)),
    ),
    otherwise="There is no such table.",
)

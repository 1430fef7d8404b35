"""Gradual change: how much volumes overlap with those after them, of a run and over participants."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ...derivatives.reading import Group, Run
from ...maps import LABELS
from ...words import number
from ..cells import abreast, level_of, most, shown, spread
from ..items import Item, Section
from ..labels import methods_of, numbers, seconds
from ..page import Cell, Table
from ..style import COLOURS, MARKERS, WIDTH, empty, styled

__all__ = ["GROUP_SECTION", "RUN_SECTION", "consecutive", "gradual_sentences", "lag_curve"]

_COLUMNS = ("method", "lag", "lag_seconds", "mean_iou", "sd_iou", "chance_iou")


def gradual_sentences(table: pd.DataFrame) -> list[str]:
    """Say how much consecutive volumes overlap, and what chance gives at the same density."""
    first = table[table["lag"] == 1].drop_duplicates("method").set_index("method")
    first = first[numbers(first["mean_iou"]).notna()]
    if first.empty:
        return ["No two consecutive volumes were kept."]
    parts = [
        f"{LABELS[method]} {number(float(row['mean_iou']))} (chance {number(float(row['chance_iou']))})"
        for method, row in first.iterrows()
        if method in LABELS
    ]
    apart = number(float(first["lag_seconds"].iloc[0]), 1)
    return [f"Mean IoU of consecutive volumes, {apart} s apart: {', '.join(parts)}."]


@styled
def lag_curve(table: pd.DataFrame) -> Figure:
    """Draw the overlap of maps a lag apart against the lag in seconds, with what chance gives."""
    methods = methods_of(table)
    if not methods or not numbers(table["mean_iou"]).notna().any():
        return empty("No two volumes a lag apart were kept.")
    figure = Figure(figsize=(WIDTH, 3.6))
    axes = figure.subplots()
    for method in methods:
        curve = table[table["method"] == method].sort_values("lag_seconds")
        lag, mean, sd, chance = (
            numbers(curve[name]).to_numpy(float) for name in ("lag_seconds", "mean_iou", "sd_iou", "chance_iou")
        )
        axes.plot(lag, mean, color=COLOURS[method], marker=MARKERS[method], markersize=4, label=LABELS[method])
        axes.fill_between(lag, mean - sd, mean + sd, color=COLOURS[method], alpha=0.12, linewidth=0)
        axes.plot(lag, chance, color=COLOURS[method], linestyle=":", linewidth=1.4)
    handles, _ = axes.get_legend_handles_labels()
    handles.append(Line2D([], [], color="#555555", linestyle=":", label="chance at the same density"))
    handles.append(Patch(color="#555555", alpha=0.15, label="± 1 SD over pairs"))
    axes.set(xlabel="lag (s)", ylabel="mean IoU of two volumes", ylim=(0, None))
    axes.set_xlim(left=0)
    axes.grid(color="#E2E2E2", linewidth=0.6)
    axes.legend(handles=handles, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


def consecutive(group: Group) -> Table:
    """Tabulate the overlap of consecutive volumes per site within a repetition time (the paper's Table 2)."""
    needed = ("column", "level", "repetition_time", "method", "lag", "n_participants", "mean_iou_mean", "mean_iou_sd")
    table = group.table("gradual_change", [*needed, "chance_iou_mean"])
    return abreast(
        "IoU of consecutive volumes",
        table[table["lag"] == 1].sort_values("repetition_time", kind="stable"),
        ["repetition_time", "column", "level"],
        {
            "TR (s)": lambda part: Cell(seconds(part["repetition_time"].iloc[0])),
            "": lambda part: Cell(level_of(part.iloc[0])),
            "Participants": most("n_participants"),
        },
        {"IoU": lambda own: spread(own, "mean_iou"), "chance": shown("chance_iou_mean")},
        "Mean and SD over participants. Chance: of unrelated maps of the same density. Compare lines of equal "
        "repetition time (TR) only: the value is mostly set by how slow the signal is and how far apart volumes are.",
        narrow=False,
    )


RUN_SECTION: Section[Run] = Section(
    "gradual",
    "Gradual change",
    (
        Item(lambda run: gradual_sentences(run.table("gradual_change", _COLUMNS)), ("gradual_change",)),
        Item(
            lambda run: lag_curve(run.table("gradual_change", _COLUMNS)),
            ("gradual_change",),
            key="lags",
            title="Overlap of two volumes against the time between them",
            caption="Dotted: overlap of unrelated maps of the same density p, p / (2 − p). Pairs across a dropped "
            "volume do not count. Where the network's curve follows the volume's, gradual change is the data's, not "
            "the network's.",
            alt="Line plot of the mean overlap of two volumes against their lag in seconds, with chance levels.",
        ),
    ),
)

GROUP_SECTION: Section[Group] = Section(
    "gradual", "Gradual change", (Item(consecutive, ("gradual_change",)),), otherwise="There is no such table."
)

"""From the group level's tables and maps to what its page shows of baselines and states."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from ..derivatives.names import group_path
from ..errors import InputError
from ..files import read_json
from ..images import read_image
from ..maps import BRANCHES, LABELS
from ..words import number
from . import brains, comparison, state_figures
from .group_views import Group, everybody, seconds, spread
from .page import Cell, Table
from .style import methods_of, shorten

__all__ = ["compare_figure", "compare_sentences", "compare_table", "graphs", "state_mosaic", "states"]


def _largest(table: pd.DataFrame) -> pd.DataFrame:
    """Give the lines of the repetition time that most participants have."""
    if table.empty:
        return table
    chosen = table.groupby("repetition_time")["n_participants"].max().idxmax()
    return table[table["repetition_time"] == chosen]


def _overlap(group: Group) -> pd.DataFrame:
    return _largest(everybody(group, "overlap", ["method", "template", "n_participants"]))


def _of_whom(table: pd.DataFrame) -> str:
    return (
        f"{number(table['n_participants'].max(), 0)} participants with TR {seconds(table['repetition_time'].iloc[0])} s"
    )


def compare_figure(group: Group) -> Figure:
    """Draw all methods' scores with all templates."""
    return comparison.comparison_figure(_overlap(group), "_mean")


def compare_table(group: Group) -> Table:
    """Tabulate all methods' scores."""
    table = _overlap(group)
    caption = (
        f"Means over templates and {_of_whom(table)}. of 20: expected best of 20 candidates; mean: over all; best: of "
        "all candidates, which grows with their number. Bold: the best method."
    )
    return comparison.comparison_table(table, "_mean", caption)


def compare_sentences(group: Group) -> list[str]:
    """Say how the network does against the best baselines."""
    return comparison.comparison_sentences(_overlap(group), "_mean")


def graphs(group: Group) -> Figure:
    """Draw the transitions of all participants together."""
    metrics = _largest(everybody(group, "states", ["method", "state", "n_participants", "occupancy_mean"]))
    transitions = everybody(group, "transitions", ["method", "from", "to", "count"])
    transitions = transitions[transitions["repetition_time"].isin(metrics["repetition_time"])]
    panels = [
        state_figures.panel_of(
            method,
            f"{LABELS[method]}, TR {seconds(metrics['repetition_time'].iloc[0])} s",
            transitions[transitions["method"] == method],
            metrics[metrics["method"] == method],
            "occupancy_mean",
        )
        for method in methods_of(metrics)
    ]
    return state_figures.transition_graphs(panels)


def states(group: Group) -> Table:
    """Tabulate how much of the time each state takes and how long a visit lasts: a line per state, methods abreast."""
    needed = ["method", "state", "n_participants", "occupancy_mean", "occupancy_sd", "mean_dwell_seconds_mean"]
    table = everybody(group, "states", needed)
    methods, rows = methods_of(table), []
    for (repetition_time, state), part in table.groupby(["repetition_time", "state"], sort=False):
        cells = part.drop_duplicates("method").set_index("method").reindex(methods)
        row = [Cell(str(state)), Cell(seconds(repetition_time)), Cell(number(part["n_participants"].max(), 0))]
        for _, own in cells.iterrows():
            row += [spread(own, "occupancy", 3), spread(own, "mean_dwell_seconds", 1)]
        rows.append(row)
    caption = "Share of used volumes in each state, and length of a visit; mean ± SD over n participants."
    headings = ["State", "TR (s)", "n", *(["share", "dwell (s)"] * len(methods))]
    groups = [("", 3), *((LABELS[method], 2) for method in methods)]
    return Table("States", headings, rows, caption, groups, narrow=True)


def state_mosaic(group: Group) -> Figure:
    """Draw the mean map of every state that somebody visits."""
    maps, names, visitors = {}, [], {}
    for branch in BRANCHES:
        meaning = f"{branch}states"
        about = read_json(group.root / group_path(meaning, ".json"))
        names, visitors[branch] = about.get("TemplateLabels", []), about.get("Participants", [])
        values, image = read_image(group.root / group_path(meaning))
        maps[branch] = (values, image.affine)
        if maps[branch][0].shape[3:] != (len(names),) or len(visitors[branch]) != len(names):
            raise InputError(f"{group_path(meaning).name}: its sidecar does not name its volumes (TemplateLabels).")
    rows = []
    for index, name in enumerate(names):
        counts = [visitors[branch][index] for branch in BRANCHES]
        if any(counts):
            notes = ", ".join(
                f"branch {number}: {count} participant{'s' * (count != 1)}"
                for number, count in enumerate(counts, start=1)
            )
            found = [maps[branch][0][..., index] for branch in BRANCHES]
            rows.append(brains.MosaicRow(f"{shorten(name, 40)} ({notes})", found))
    if not rows:
        raise InputError("nobody has a volume above the cut-off, so there are no states to average.")
    return brains.state_mosaic(rows, maps[BRANCHES[0]][1])

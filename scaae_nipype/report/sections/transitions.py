"""Graphs of the transitions between states (the paper's Figure 6), of a run and over participants."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import networkx as nx
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from ...evaluation.transitions import transition_graph
from ...maps import LABELS
from ...words import counted
from ..labels import methods_of, numbers
from ..style import COLOURS, WIDTH, empty, shorten, styled

__all__ = ["TransitionPanel", "graphs_of", "transition_graphs"]

_WIDEST, _LARGEST = 5.0, 2600.0  # line width in points of the most frequent change, area in points² of occupancy 1
_POINTS = 90.0  # points per unit of the axes, about
_NODE = {"fbn1": "#CFE5F3", "fbn2": "#FBDCC8", "volume": "#DDDDDD"}


@dataclass(frozen=True, eq=False)
class TransitionPanel:
    """One graph: how often a state follows another, and how much of the time each takes."""

    title: str
    method: str  # for the colour
    names: Sequence[str]  # of the states
    counts: np.ndarray  # (n_states, n_states), from row to column
    occupancy: np.ndarray  # (n_states,)


@styled
def transition_graphs(panels: Sequence[TransitionPanel]) -> Figure:
    """Draw transition graphs side by side: width of a line for the count, size of a node for the occupancy.

    States that never appear are named below each graph; staying in a state is no line. A method with fewer than
    two states is named, and takes no room.
    """
    drawn = [panel for panel in panels if len(_visited(panel)) > 1]
    others = _said_of([panel for panel in panels if panel not in drawn])
    if not drawn:
        return empty(others or "There are no states.")
    most = max(float(_changes(panel).max(initial=0)) for panel in drawn)
    columns = min(len(drawn), 2)
    rows = -(-len(drawn) // columns)
    figure = Figure(figsize=(WIDTH, 5.2 * rows))
    for axes, panel in zip(figure.subplots(rows, columns, squeeze=False).ravel(), drawn, strict=False):
        _draw_graph(axes, panel, most)
    for axes in figure.axes[len(drawn) :]:
        axes.set_axis_off()
    if others:
        figure.supxlabel(others, fontsize=9, color="#444444")
    return figure


def _visited(panel: TransitionPanel) -> list[int]:
    counts = np.asarray(panel.counts)
    return np.flatnonzero((np.asarray(panel.occupancy) > 0) | counts.any(axis=0) | counts.any(axis=1)).tolist()


def _said_of(panels: Sequence[TransitionPanel]) -> str:
    """Say which methods have one state or none."""
    none = ", ".join(panel.title for panel in panels if not _visited(panel))
    lines = [f"{none}: no volume has a state."] if none else []
    for panel in panels:
        for index in _visited(panel):
            share = f"{100 * panel.occupancy[index]:.1f} %"
            lines.append(f"{panel.title}: {panel.names[index]} is the only state ({share}).")
    return "\n".join(lines)


def _changes(panel: TransitionPanel) -> np.ndarray:
    return np.asarray(panel.counts) * ~np.eye(len(panel.names), dtype=bool)


def _draw_graph(axes: Axes, panel: TransitionPanel, most: float) -> None:
    graph = transition_graph(np.asarray(panel.counts), panel.names, panel.occupancy.tolist())
    axes.set_axis_off()
    axes.set(xlim=(-2.05, 2.05), ylim=(-2.2, 1.9))
    axes.set_aspect("equal")
    # a title proper is cut off: the layout does not know where equal axes end
    axes.text(0, 1.75, panel.title, ha="center", va="center", fontsize=10, fontweight="bold")
    colour = COLOURS.get(panel.method, "#333333")
    places = nx.circular_layout(graph)
    radii = {}
    for name, place in places.items():
        share = graph.nodes[name].get("occupancy", 0.0)  # damaged tables may have changes of absent states
        area = 30 + _LARGEST * share
        radii[name] = np.sqrt(area / np.pi) + 1.5
        filled = _NODE.get(panel.method, "#DDDDDD")
        axes.scatter(place[0], place[1], s=area, color=filled, edgecolor=colour, linewidth=1, zorder=3)
        room = 1.08 + radii[name] / _POINTS  # beyond the circle, in units of the axes
        away = np.asarray(place, float) * room if len(graph) > 1 else np.array([0.0, room - 0.8])
        side = "left" if away[0] > 0.15 else "right" if away[0] < -0.15 else "center"
        level = "bottom" if away[1] > 0.6 else "top" if away[1] < -0.6 else "center"
        label = f"{shorten(name, 22)}\n{100 * share:.1f} %"
        axes.text(float(away[0]), float(away[1]), label, ha=side, va=level, fontsize=8.5, zorder=4)
    for start, end, data in graph.edges(data=True):
        share = data["count"] / most
        arrow = FancyArrowPatch(
            places[start],
            places[end],
            connectionstyle="arc3,rad=0.13",
            arrowstyle="-|>",
            mutation_scale=7 + 5 * share,
            linewidth=0.5 + (_WIDEST - 0.5) * share,
            color=colour,
            alpha=0.35 + 0.5 * share,
            shrinkA=radii[start],
            shrinkB=radii[end],
            zorder=2,
        )
        axes.add_patch(arrow)
    never = [shorten(name, 20) for name in panel.names if name not in graph]
    total = int(_changes(panel).sum())
    lines = [f"{counted(total, 'change')} of state", *_wrapped("never: " + (", ".join(never) or "none"))]
    axes.text(0, -1.62, "\n".join(lines), ha="center", va="top", fontsize=8.5, color="#333333")


def _wrapped(text: str, width: int = 76, most: int = 3) -> list[str]:
    lines = textwrap.wrap(text, width)
    return lines if len(lines) <= most else [*lines[:most], "…"]


def graphs_of(metrics: pd.DataFrame, transitions: pd.DataFrame, occupancy: str, where: str = "") -> Figure:
    """Draw the graph of every method of two long tables: the column `occupancy` of each state, and counts from-to.

    What `where` says stands behind the names of the methods.
    """
    panels = []
    for method in methods_of(metrics):
        own = metrics[metrics["method"] == method]
        names = [str(name) for name in dict.fromkeys(own["state"])]
        changes = transitions[transitions["method"] == method].astype({"from": str, "to": str})
        counts = changes.pivot_table(index="from", columns="to", values="count", aggfunc="sum", fill_value=0)
        square = counts.reindex(index=names, columns=names, fill_value=0).to_numpy()
        shares = numbers(own[occupancy]).fillna(0).to_numpy(dtype=float)
        panels.append(TransitionPanel(f"{LABELS[method]}{where}", method, names, square, shares))
    return transition_graphs(panels)

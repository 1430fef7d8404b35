"""Figures of states: their sequence over time, and the graph of their transitions (the paper's Figure 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import networkx as nx
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from ..evaluation.transitions import transition_graph
from .figures import time_axis
from .style import COLOURS, DROPPED, LABELS, message, shorten, styled

__all__ = ["TransitionPanel", "panel_of", "state_sequence", "transition_graphs"]

_WIDEST, _LARGEST = 5.0, 2600.0  # line width in points of the most frequent change, area in points² of occupancy 1
_POINTS = 90.0  # points per unit of the axes, about
_NODE = {"fbn1": "#CFE5F3", "fbn2": "#FBDCC8", "volume": "#DDDDDD"}


@dataclass(frozen=True, eq=False)
class TransitionPanel:
    """One graph: how often a state follows another, and how much of the time each takes.

    Attributes
    ----------
    title : str
    method : str
        For the colour.
    names : sequence of str
        States.
    counts : array, (n_states, n_states)
        From row to column.
    occupancy : array, (n_states,)
    """

    title: str
    method: str
    names: Sequence[str]
    counts: np.ndarray
    occupancy: np.ndarray


@styled
def state_sequence(
    states: Mapping[str, Sequence[object]], kept: np.ndarray, names: Sequence[str], repetition_time: float | None = None
) -> Figure:
    """Draw the state of every volume, a panel per method; gaps are grey, unassigned volumes empty.

    Parameters
    ----------
    states : mapping
        Method to a name per volume, (T,).
    kept : bool array, (T,)
    names : sequence of str
        States to draw: those that some method visits.
    repetition_time : float, optional
        In s.
    """
    figure = Figure(figsize=(11, 0.9 + len(states) * (0.45 + 0.17 * max(len(names), 2))))
    panels = figure.subplots(len(states), 1, squeeze=False)[:, 0]
    for index, (axes, (method, own)) in enumerate(zip(panels, states.items(), strict=True)):
        values = np.array([str(state) for state in own], dtype=object)
        for gap in np.flatnonzero(~kept):
            axes.axvspan(gap - 0.5, gap + 0.5, color=DROPPED, linewidth=0)
        visited = [name for name in names if (kept & (values == name)).any()]
        for row, name in enumerate(names):
            for start, stop in _stretches(kept & (values == name)):
                axes.broken_barh([(start - 0.5, stop - start)], (row - 0.42, 0.84), color=COLOURS[method])
        assigned = np.isin(values[kept], list(names)).mean() if kept.any() else 0.0
        axes.set_yticks(range(len(names)), [shorten(name) for name in names], fontsize=8)
        axes.set_ylim(max(len(names), 1) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", color="#EEEEEE", linewidth=0.6)
        axes.set_axisbelow(True)
        what = f"{len(visited)} states, {100 * assigned:.0f} % of the kept volumes assigned"
        axes.set_title(f"{LABELS[method]}: {what}", fontweight="bold")
        time_axis(axes, len(kept), repetition_time, top=index == 0, bottom=index == len(states) - 1)
    return figure


def _stretches(where: np.ndarray) -> np.ndarray:
    """Give start and end of the stretches in which `where` is true, (n, 2).

    >>> _stretches(np.array([True, True, False, True])).tolist()
    [[0, 2], [3, 4]]
    """
    return np.flatnonzero(np.diff(np.concatenate([[False], where, [False]]).astype(int))).reshape(-1, 2)


@styled
def transition_graphs(panels: Sequence[TransitionPanel]) -> Figure:
    """Draw transition graphs side by side: width of a line for the count, size of a node for the occupancy.

    States that never appear are named below each graph; staying in a state is no line. A method with fewer than
    two states is named, and takes no room.
    """
    drawn = [panel for panel in panels if len(_visited(panel)) > 1]
    others = _said_of([panel for panel in panels if panel not in drawn])
    if not drawn:
        figure = Figure(figsize=(11, 0.8))
        message(figure.add_subplot(), others or "There are no states.")
        return figure
    most = max(float(_changes(panel).max(initial=0)) for panel in drawn)
    columns = min(len(drawn), 2)
    rows = -(-len(drawn) // columns)
    figure = Figure(figsize=(11, 5.2 * rows))
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
            lines.append(
                f"{panel.title}: {panel.names[index]} is the only state ({100 * panel.occupancy[index]:.1f} %)."
            )
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
        axes.scatter(
            place[0],
            place[1],
            s=area,
            color=_NODE.get(panel.method, "#DDDDDD"),
            edgecolor=colour,
            linewidth=1,
            zorder=3,
        )
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
    lines = [f"{total} change{'s' if total != 1 else ''} of state", *_wrapped("never: " + (", ".join(never) or "none"))]
    axes.text(0, -1.62, "\n".join(lines), ha="center", va="top", fontsize=8.5, color="#333333")


def _wrapped(text: str, width: int = 76, most: int = 3) -> list[str]:
    import textwrap

    lines = textwrap.wrap(text, width)
    return lines if len(lines) <= most else [*lines[:most], "…"]


def panel_of(
    method: str, title: str, transitions: pd.DataFrame, metrics: pd.DataFrame, occupancy: str
) -> TransitionPanel:
    """Make a panel from the long tables of one method.

    Parameters
    ----------
    method, title : str
    transitions : DataFrame
        ``from``, ``to``, ``count``.
    metrics : DataFrame
        ``state`` and the column `occupancy`.
    """
    names = [str(name) for name in dict.fromkeys(metrics["state"])]
    wide = transitions.assign(**{"from": transitions["from"].astype(str), "to": transitions["to"].astype(str)})
    counts = wide.pivot_table(index="from", columns="to", values="count", aggfunc="sum", fill_value=0)
    square = counts.reindex(index=names, columns=names, fill_value=0).to_numpy()
    shares = pd.to_numeric(metrics[occupancy], errors="coerce").fillna(0).to_numpy(dtype=float)
    return TransitionPanel(title, method, names, square, shares)

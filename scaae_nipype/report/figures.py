"""What the figures of several subjects share: axes of time, heat maps, legends, marks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from ..maps import LABELS
from .style import COLOURS, DROPPED, MARKERS, WIDTH, empty, shorten, styled

__all__ = [
    "MOST_TEMPLATES",
    "courses",
    "heat",
    "legend_above",
    "method_handles",
    "slanted_names",
    "stretches",
    "time_axis",
]

MOST_TEMPLATES = 40
"""More templates than this are not legible in one figure; those with the best scores are drawn."""


def time_axis(
    axes: Axes, n_volumes: int, repetition_time: float | None, *, top: bool = True, bottom: bool = True
) -> None:
    """Write volume numbers below the axes and seconds above them."""
    axes.set_xlim(-0.5, n_volumes - 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=12))
    axes.tick_params(axis="x", labelbottom=bottom)
    if bottom:
        axes.set_xlabel("volume")
    if top and repetition_time:
        scale: float = repetition_time
        seconds = axes.secondary_xaxis(
            "top", functions=(lambda volumes: np.multiply(volumes, scale), lambda times: np.divide(times, scale))
        )
        seconds.set_xlabel("time (s)")


def heat(axes: Axes, values: np.ndarray, **options: Any) -> AxesImage:
    """Draw a heat map whose gaps are light grey."""
    axes.set_facecolor(DROPPED)
    return axes.imshow(np.ma.masked_invalid(values), aspect="auto", **options)


@styled
def courses(tables: Mapping[str, pd.DataFrame], repetition_time: float | None = None, *, label: str = "IoU") -> Figure:
    """Draw a value per volume and template (or region), (T, n_templates): a heat map per branch, one colour scale.

    Values are NaN where a volume was dropped; `label` is that of the colour scale.
    """
    values = {branch: table.to_numpy(dtype=float) for branch, table in tables.items()}
    largest = max((float(np.nanmax(v, initial=0)) for v in values.values()), default=0.0)
    if largest == 0:
        return empty("No kept volume overlaps any template.")
    most = max(table.shape[1] for table in tables.values())
    figure = Figure(figsize=(WIDTH, 0.9 + len(tables) * min(0.19 * most + 0.55, 8)))
    panels = figure.subplots(len(tables), 1, squeeze=False)[:, 0]
    for index, (axes, (branch, table)) in enumerate(zip(panels, tables.items(), strict=True)):
        shown = heat(axes, values[branch].T, cmap="cividis", vmin=0, vmax=largest)
        step = max(1, -(-table.shape[1] // MOST_TEMPLATES))
        names = [shorten(name) for name in table.columns[::step]]
        axes.set_yticks(range(0, table.shape[1], step), names, fontsize=8)
        axes.tick_params(axis="y", length=0)
        axes.set_title(LABELS.get(branch, branch), fontweight="bold")
        time_axis(axes, len(table), repetition_time, top=index == 0, bottom=index == len(tables) - 1)
    figure.colorbar(shown, ax=list(panels), label=label, fraction=0.03, pad=0.01, aspect=30)
    return figure


def slanted_names(axes: Axes, names: Sequence[str]) -> None:
    """Write names of columns below a heat map."""
    axes.set_xticks(range(len(names)), names, fontsize=8, rotation=40, ha="right", rotation_mode="anchor")
    axes.tick_params(length=0)


def method_handles(methods: Sequence[str], **options: Any) -> list[Line2D]:
    """Give a legend's entries for methods."""
    return [
        Line2D([], [], color=COLOURS[m], marker=MARKERS[m], linewidth=1, label=LABELS[m], **options) for m in methods
    ]


def legend_above(figure: Figure, handles: Sequence[Any], **options: Any) -> None:
    """Put a legend in one line above all axes."""
    figure.legend(handles=handles, loc="outside upper left", ncols=len(handles), **options)


def stretches(where: np.ndarray) -> np.ndarray:
    """Give start and end of the stretches in which `where` is true, (n, 2).

    >>> stretches(np.array([True, True, False, True])).tolist()
    [[0, 2], [3, 4]]
    """
    return np.flatnonzero(np.diff(np.concatenate([[False], where, [False]]).astype(int))).reshape(-1, 2)

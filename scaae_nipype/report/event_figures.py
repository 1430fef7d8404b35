"""Figures of what follows a task, and of the mean network value of atlas regions over time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from ..maps import LABELS
from .figures import MOST_TEMPLATES, template_iou
from .style import message, methods_of, shorten, styled

__all__ = ["locking", "region_courses"]

_MEASURES = {"score": "score", "occupancy": "occupancy"}


@styled
def locking(table: pd.DataFrame) -> Figure:
    """Draw the correlation of scores and states with every condition: templates by conditions, methods side by side.

    Parameters
    ----------
    table : DataFrame
        ``method``, ``measure``, ``condition``, ``template``, ``r`` and ``p_corrected``; a dot marks a corrected p of
        at most 0.05.
    """
    methods = methods_of(table)
    measures = [measure for measure in _MEASURES if measure in set(table["measure"])]
    if not methods or not measures:
        figure = Figure(figsize=(11, 0.8))
        message(figure.add_subplot(), "Nothing was locked to the task.")
        return figure
    templates = list(dict.fromkeys(table["template"].astype(str)))[:MOST_TEMPLATES]
    conditions = list(dict.fromkeys(table["condition"].astype(str)))
    figure = Figure(figsize=(11, len(measures) * (0.75 + 0.2 * len(templates)) + 1.1))
    panels = figure.subplots(len(measures), len(methods), squeeze=False, sharey=True)
    for index, (line, measure) in enumerate(zip(panels, measures, strict=True)):
        for axes, method in zip(line, methods, strict=True):
            own = table[(table["measure"] == measure) & (table["method"] == method)].astype(
                {"template": str, "condition": str}
            )
            wide = {
                value: own.pivot_table(index="template", columns="condition", values=value, dropna=False)
                .reindex(index=templates, columns=conditions)
                .to_numpy(dtype=float)
                for value in ("r", "p_corrected")
            }
            axes.set_facecolor("#EEEEEE")
            axes.imshow(np.ma.masked_invalid(wide["r"]), cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
            rows, columns = np.nonzero(wide["p_corrected"] <= 0.05)
            axes.plot(columns, rows, "o", color="black", markersize=4)
            axes.set_yticks(range(len(templates)), [shorten(name) for name in templates], fontsize=8)
            names = [shorten(name, 20) for name in conditions] if index == len(measures) - 1 else []
            axes.set_xticks(range(len(names)), names, fontsize=8, rotation=40, ha="right", rotation_mode="anchor")
            axes.set_title(f"{LABELS[method]}: {_MEASURES[measure]}", fontweight="bold")
            axes.tick_params(length=0)
    scale = ScalarMappable(Normalize(-1, 1), "RdBu_r")
    figure.colorbar(scale, ax=list(panels.ravel()), label="r with the predicted response", fraction=0.03, pad=0.01)
    return figure


def region_courses(tables: Mapping[str, pd.DataFrame], repetition_time: float | None = None) -> Figure:
    """Draw the mean network value of every region over time, a heat map per branch."""
    return template_iou(tables, repetition_time, label="mean network value")

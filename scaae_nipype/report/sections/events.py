"""States and task: how scores and states of a run follow the conditions of its events."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from ...derivatives.reading import Run
from ...maps import LABELS
from ...words import first_few
from ..cells import line_by_line, p_value, shown
from ..figures import MOST_TEMPLATES, slanted_names
from ..items import Item, Section
from ..labels import methods_of
from ..page import Cell, Table
from ..style import WIDTH, empty, shorten, styled
from .noise import noise_changes

__all__ = ["RUN_SECTION", "event_sentences", "event_table", "locking"]

MOST_LINES = 25
"""Lines of the table in the page; all are in the file."""

_NO_RESPONSE = (
    "Where events of a condition lie early or late in the run, a small p may be that change, and no response to them."
)
_MEASURES = {"occupancy": "occupancy of the state", "score": "score with the template"}
_COLUMNS = ["method", "measure", "condition", "template", "mean_locked", "mean_elsewhere", "r", "p", "p_corrected"]


def event_sentences(run: Run) -> list[str]:
    """Say what follows the task."""
    table = run.table("events", _COLUMNS)
    warnings = [str(text) for text in run.sidecar("events").get("Warnings", [])]
    if table.empty:
        return ["Nothing was locked to the task.", *warnings]
    sentences, changes = [], noise_changes(run.sidecar("states").get("Stationarity"))
    for method in methods_of(table):
        hits = table[(table["method"] == method) & (table["p_corrected"] <= 0.05)].sort_values("p_corrected")
        named = [f"{row['template']} with {row['condition']} ({row['measure']})" for _, row in hits.iterrows()]
        which = f": {first_few(named, 6)}" if named else ""
        sentences.append(f"{LABELS[method]}: {len(hits)} with corrected p ≤ 0.05{which}.")
    return [
        *sentences,
        "Each condition's events were convolved with the canonical haemodynamic response and correlated with states "
        "and scores over kept volumes; p is the share of all circular shifts of the task that correlate as strongly. "
        "What the volume itself shows too needs no network.",
        *([f"{changes} {_NO_RESPONSE}"] if changes else []),
        *warnings,
    ]


@styled
def locking(table: pd.DataFrame) -> Figure:
    """Draw the correlation of scores and states with every condition: templates by conditions, methods side by side.

    A dot marks a corrected p of at most 0.05.
    """
    methods = methods_of(table)
    measures = [measure for measure in ("score", "occupancy") if measure in set(table["measure"])]
    if not methods or not measures:
        return empty("Nothing was locked to the task.")
    templates = list(dict.fromkeys(table["template"].astype(str)))[:MOST_TEMPLATES]
    conditions = list(dict.fromkeys(table["condition"].astype(str)))
    figure = Figure(figsize=(WIDTH, len(measures) * (0.75 + 0.2 * len(templates)) + 1.1))
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
            slanted_names(axes, names)
            axes.set_title(f"{LABELS[method]}: {measure}", fontweight="bold")
    scale = ScalarMappable(Normalize(-1, 1), "RdBu_r")
    figure.colorbar(scale, ax=list(panels.ravel()), label="r with the predicted response", fraction=0.03, pad=0.01)
    return figure


def event_table(run: Run) -> Table:
    """Tabulate what follows the task most closely."""
    table = run.table("events", _COLUMNS).dropna(subset="p_corrected")
    closest = table.sort_values(["p_corrected", "p"], kind="stable").head(MOST_LINES)
    return line_by_line(
        "Locked to the task",
        closest,
        {
            "Condition": lambda row: Cell(str(row["condition"])),
            "Network": lambda row: Cell(str(row["template"]), _MEASURES.get(str(row["measure"]), str(row["measure"]))),
            "Method": lambda row: Cell(LABELS.get(str(row["method"]), str(row["method"]))),
            "Locked": shown("mean_locked", 3),
            "Elsewhere": shown("mean_elsewhere", 3),
            "r": shown("r"),
            "p": shown("p", 3),
            "p corrected": p_value("p_corrected"),
        },
        "Locked: mean over volumes whose predicted response is above half of its maximum. Corrected by the maximum "
        f"statistic over templates within method, measure and condition. {len(closest)} of {len(table)} lines; all are "
        f"in {run.path('events').name}.",
    )


RUN_SECTION: Section[Run] = Section(
    "events",
    "States and task",
    (
        Item(event_sentences, ("events",), as_list=True),
        Item(
            lambda run: locking(run.table("events", _COLUMNS)),
            ("events",),
            key="locking",
            title="How scores and states follow each condition",
            caption="Correlation with the events convolved with the canonical haemodynamic response. Dots: corrected "
            "p ≤ 0.05. Grey: the state never appears.",
            alt="Heat maps of the correlation of scores and states with every condition, for both branches and for "
            "the volume itself.",
        ),
        Item(event_table, ("events",)),
    ),
    optional=True,
)

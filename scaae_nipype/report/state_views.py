"""From a run of the output dataset to what its states and its task show."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..derivatives.reading import Run
from ..errors import InputError
from ..maps import BRANCHES, LABELS, SCORE_LABELS
from ..words import first_few, number, percent
from . import brains, comparison, event_figures, state_figures
from .findings import branch_sentences
from .page import Cell, Table
from .style import message, shorten, styled

__all__ = [
    "compare_figure",
    "compare_sentences",
    "compare_table",
    "event_figure",
    "event_sentences",
    "event_table",
    "graphs",
    "region_courses",
    "sequence",
    "state_mosaic",
    "state_sentences",
    "state_table",
]

MOST_LINES = 25
"""Lines of a table in the page; all are in the file."""

_SEQUENCE = (*BRANCHES, "volume")


# ---- the paper's Figure 5 ----------------------------------------------------------------------------------------


def _scores(run: Run) -> pd.DataFrame:
    tables = [run.table("overlap", ["method", "template"])]
    if run.has("baselines"):
        tables.append(run.table("baselines", ["method", "template"]))
    return comparison.with_baselines(tables)


def compare_figure(run: Run) -> Figure:
    """Draw all methods' scores with all templates."""
    return comparison.comparison_figure(_scores(run))


def compare_table(run: Run) -> Table:
    """Tabulate all methods' scores."""
    caption = (
        "of 20: expected best of 20 candidates; mean: over all candidates; best: of all candidates, which grows with "
        "their number (the paper's Figure 5 has the best IoU). smoothed²: smoothed, rectified and squared. Bold: the "
        "best method."
    )
    return comparison.comparison_table(_scores(run), caption=caption)


def compare_sentences(run: Run) -> list[str]:
    """Say how the network does against the best baselines, and which could not be computed."""
    missing = [str(text) for text in run.sidecar("baselines").get("Warnings", []) if "leave" in str(text)]
    return [*comparison.comparison_sentences(_scores(run)), *missing]


# ---- states ------------------------------------------------------------------------------------------------------


def _methods(table: pd.DataFrame) -> list[str]:
    return [method for method in _SEQUENCE if method in set(table["method"])]


def _metrics(run: Run) -> pd.DataFrame:
    return run.table("statemetrics", ["method", "state", "n_volumes", "occupancy"])


def state_sentences(run: Run) -> list[str]:
    """Say by which rule states were assigned, how much was, and what never appears."""
    about, metrics = run.sidecar("statemetrics"), _metrics(run)
    score = SCORE_LABELS.get(str(about.get("Score")), str(about.get("Score")))
    cut = about.get("CutOff")
    least = number(cut)
    if isinstance(cut, dict):
        told_cuts = ", ".join(f"{LABELS.get(name, name)} {number(value)}" for name, value in cut.items())
        least = f"what 95 % of the surrogate template sets stay below ({told_cuts}; see Null models)"
    rule = (
        f"A volume has the state of its most similar template by {score}, if that is at least {least}; otherwise it "
        "is unassigned."
    )
    told: dict[str, Any] = about["Methods"] if isinstance(about.get("Methods"), dict) else {}
    sentences = [rule, *branch_sentences(run.branches)]
    for method in _methods(metrics):
        own = metrics[metrics["method"] == method]
        share = float(own["occupancy"].sum())
        if share == 0:
            sentences.append(f"{LABELS[method]}: no volume is above the cut-off, so there are no states.")
            continue
        never = [str(name) for name in own.loc[own["n_volumes"] == 0, "state"]]
        entropy = told.get(method, {}).get("OccupancyEntropyBits")
        rate = told.get(method, {}).get("EntropyRateBits")
        sentences.append(
            f"{LABELS[method]}: {percent(share)} of the kept volumes have a state, {len(own) - len(never)} of "
            f"{len(own)} states appear (entropy {number(entropy)} bits; {number(rate)} bits per step given the present "
            f"state). Never: {', '.join(never) or 'none'}."
        )
    sentences.append(
        "Visiting many states is no evidence of dynamics: a stationary signal without any states visits most of them "
        "too. Compare the volume itself, which needs no network."
    )
    return sentences


def sequence(run: Run) -> Figure:
    """Draw the states over time."""
    table, metrics = run.table("states", ["kept"]), _metrics(run)
    methods = [method for method in _methods(metrics) if f"{method}_state" in table]
    visited = metrics[metrics["n_volumes"] > 0]
    names = [str(name) for name in dict.fromkeys(metrics["state"]) if name in set(visited["state"])]
    if not names:
        return _empty("No volume is above the cut-off: there are no states.")
    kept = table["kept"].to_numpy() == 1
    states = {method: table[f"{method}_state"].tolist() for method in methods}
    return state_figures.state_sequence(states, kept, names, run.repetition_time)


@styled
def _empty(text: str) -> Figure:
    figure = Figure(figsize=(11, 0.8))
    message(figure.add_subplot(), text)
    return figure


def graphs(run: Run) -> Figure:
    """Draw the transitions of both branches and of the volume itself."""
    metrics, transitions = _metrics(run), run.table("transitions", ["method", "from", "to", "count"])
    panels = [
        state_figures.panel_of(
            method,
            LABELS[method],
            transitions[transitions["method"] == method],
            metrics[metrics["method"] == method],
            "occupancy",
        )
        for method in _methods(metrics)
    ]
    return state_figures.transition_graphs(panels)


def state_table(run: Run) -> Table:
    """Tabulate occupancy and dwell times of every state, per method."""
    columns = ["occupancy", "n_visits", "n_visits_truncated", "mean_dwell_seconds", "split_half_r"]
    metrics = run.table("statemetrics", ["method", "state", *columns])
    methods = _methods(metrics)
    cells = metrics.set_index(["state", "method"])
    rows = []
    for state in dict.fromkeys(metrics["state"]):
        row = [Cell(str(state))]
        for method in methods:
            own = cells.loc[(state, method)]
            truncated = int(own["n_visits_truncated"])
            row += [
                Cell(percent(float(own["occupancy"]), 1)),
                Cell(number(own["n_visits"], 0), f"{truncated} cut" if truncated else ""),
                Cell(number(own["mean_dwell_seconds"], 1)),
                Cell(number(own["split_half_r"])),
            ]
        rows.append(row)
    return Table(
        "States",
        ["State", *(["share", "visits", "dwell (s)", "r"] * len(methods))],
        rows,
        "Share of the kept volumes; visits, of which cut by a dropped volume or an end of the run; mean length of a "
        "visit; r: correlation of the state's mean maps in the two halves of the run. Both halves were chosen by the "
        "same template, so compare r with that of the volume itself.",
        [("", 1), *((LABELS[method], 4) for method in methods)],
        narrow=True,
    )


def state_mosaic(run: Run) -> Figure:
    """Draw the mean map of every state that a branch visits."""
    metrics = _metrics(run)
    visited = metrics[(metrics["n_volumes"] > 0) & metrics["method"].isin(BRANCHES)]
    counts = visited.set_index(["method", "state"])["n_volumes"]
    maps = {branch: run.state_maps(branch) for branch in BRANCHES}
    rows = []
    for state in [name for name in dict.fromkeys(metrics["state"]) if name in set(visited["state"])]:
        found, notes = [], []
        for index, branch in enumerate(BRANCHES, start=1):
            seen = (branch, state) in counts.index
            found.append(maps[branch].volumes.get(str(state)) if seen else None)
            notes.append(f"branch {index}: {counts[(branch, state)] if seen else 'no'} volumes")
        rows.append(brains.MosaicRow(f"{shorten(state, 40)} ({', '.join(notes)})", found))
    if not rows:
        return _empty("No volume is above the cut-off: there are no states to average.")
    return brains.state_mosaic(rows, maps[BRANCHES[0]].affine, branches=run.branch_titles)


# ---- the task ----------------------------------------------------------------------------------------------------

_EVENT_COLUMNS = (
    "method",
    "measure",
    "condition",
    "template",
    "mean_locked",
    "mean_elsewhere",
    "r",
    "p",
    "p_corrected",
)
_MEASURES = {"occupancy": "occupancy of the state", "score": "score with the template"}


def event_figure(run: Run) -> Figure:
    """Draw how states and scores follow each condition."""
    return event_figures.locking(run.table("events", _EVENT_COLUMNS))


def event_sentences(run: Run) -> list[str]:
    """Say what follows the task."""
    table = run.table("events", _EVENT_COLUMNS)
    warnings = [str(text) for text in run.sidecar("events").get("Warnings", [])]
    if table.empty:
        return ["Nothing was locked to the task.", *warnings]
    sentences = []
    for method in [name for name in _SEQUENCE if name in set(table["method"])]:
        hits = table[(table["method"] == method) & (table["p_corrected"] <= 0.05)].sort_values("p_corrected")
        named = [f"{row['template']} with {row['condition']} ({row['measure']})" for _, row in hits.iterrows()]
        which = f": {first_few(named, 6)}" if named else ""
        sentences.append(f"{LABELS[method]}: {len(hits)} with corrected p ≤ 0.05{which}.")
    return [
        *sentences,
        "Each condition's events were convolved with the canonical haemodynamic response and correlated with states "
        "and scores over kept volumes; p is the share of all circular shifts of the task that correlate as strongly. "
        "What the volume itself shows too needs no network.",
        *warnings,
    ]


def event_table(run: Run) -> Table:
    """Tabulate what follows the task most closely."""
    table = run.table("events", _EVENT_COLUMNS).dropna(subset="p_corrected")
    shown = table.sort_values(["p_corrected", "p"], kind="stable").head(MOST_LINES)
    rows = [
        [
            Cell(str(row["condition"])),
            Cell(str(row["template"]), _MEASURES.get(str(row["measure"]), str(row["measure"]))),
            Cell(LABELS.get(str(row["method"]), str(row["method"]))),
            Cell(number(row["mean_locked"], 3)),
            Cell(number(row["mean_elsewhere"], 3)),
            Cell(number(row["r"])),
            Cell(number(row["p"], 3)),
            Cell(number(row["p_corrected"], 3), strong=bool(row["p_corrected"] <= 0.05)),
        ]
        for _, row in shown.iterrows()
    ]
    return Table(
        "Locked to the task",
        ["Condition", "Network", "Method", "Locked", "Elsewhere", "r", "p", "p corrected"],
        rows,
        "Locked: mean over volumes whose predicted response is above half of its maximum. Corrected by the maximum "
        f"statistic over templates within method, measure and condition. {len(shown)} of {len(table)} lines; all are "
        f"in {run.path('events').name}.",
    )


def region_courses(run: Run) -> Figure:
    """Draw the mean network value of every atlas region over time."""
    tables = {}
    for branch in BRANCHES:
        table = run.table(f"{branch}regions", ["kept"])
        tables[branch] = table.drop(columns="kept").apply(pd.to_numeric, errors="coerce")
    if not all(np.isfinite(table.to_numpy()).any() for table in tables.values()):
        raise InputError("no region of the atlas lies inside the evaluation region.")
    return event_figures.region_courses(tables, run.repetition_time)

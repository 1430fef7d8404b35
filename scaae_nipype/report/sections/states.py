"""States: which network every volume shows, how states follow each other, what their mean map is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ...derivatives.reading import Group, Run
from ...errors import InputError
from ...maps import BRANCHES, LABELS, SCORE_LABELS
from ...words import counted, few_and_more, number, percent
from .. import brains
from ..cells import abreast, first, most, of_most, shown, spread
from ..figures import stretches, time_axis
from ..items import Item, Section
from ..labels import methods_of, seconds
from ..page import Cell, Table
from ..style import COLOURS, DROPPED, WIDTH, empty, shorten, styled
from .networks import branch_sentences
from .transitions import graphs_of

__all__ = ["GROUP_SECTION", "RUN_SECTION"]


def _metrics(run: Run) -> pd.DataFrame:
    return run.table("state_metrics", ["method", "state", "n_volumes", "occupancy"])


def state_sentences(run: Run) -> list[str]:
    """Say by which rule states were assigned, how much was, and what never appears."""
    about, metrics = run.sidecar("state_metrics"), _metrics(run)
    score = SCORE_LABELS.get(str(about.get("Score")), str(about.get("Score")))
    cut = about.get("CutOff")
    least = number(cut)
    if isinstance(cut, dict):
        told_cuts = ", ".join(f"{LABELS.get(name, name)} {number(value)}" for name, value in cut.items())
        if "NoiseShare" in about:
            at_most = percent(about["NoiseShare"])
            least = f"{told_cuts}, which at most {at_most} of noise volumes as smooth as the maps reach"
        else:
            least = f"what 95 % of the surrogate template sets stay below ({told_cuts}; see Null models)"
    rule = (
        f"A volume has the state of its most similar template by {score}, if that is at least {least}; otherwise it "
        "is unassigned."
    )
    told: dict[str, Any] = about["Methods"] if isinstance(about.get("Methods"), dict) else {}
    sentences = [rule, *branch_sentences(run.branches)]
    for method in methods_of(metrics):
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
    sentences += _spike_sentences(about.get("Spikes"), told)
    sentences.append(
        "Visiting many states is no evidence of dynamics: a stationary signal without any states visits most of them "
        "too. Compare the volume itself, which needs no network."
    )
    return sentences


def _spike_sentences(spikes: object, methods: Mapping[str, Any]) -> list[str]:
    """Name volumes that look like spikes and were not censored, where a state sits on them."""
    found = [
        f"{LABELS.get(method, method)}, {state.get('State')}: {len(state.get('Volumes', []))} of its "
        f"{counted(int(state.get('NumberOfVolumes', 0)), 'volume')} ({few_and_more(state.get('Volumes', []))})"
        for method, own in methods.items()
        for state in (own.get("StatesOnSpikes") or [])
    ]
    if not found or not isinstance(spikes, list):
        return []
    return [
        f"{counted(len(spikes), 'volume')} that {'was' if len(spikes) == 1 else 'were'} not censored "
        f"{'looks' if len(spikes) == 1 else 'look'} like a spike (motion, a pulse), and states sit on them: "
        f"{'; '.join(found)}. Such a state is hardly a network."
    ]


def sequence(run: Run) -> Figure:
    """Draw the states over time."""
    table, metrics = run.table("states", ["kept"]), _metrics(run)
    methods = [method for method in methods_of(metrics) if f"{method}_state" in table]
    visited = metrics[metrics["n_volumes"] > 0]
    names = [str(name) for name in dict.fromkeys(metrics["state"]) if name in set(visited["state"])]
    if not names:
        return empty("No volume is above the cut-off: there are no states.")
    kept = table["kept"].to_numpy() == 1
    states = {method: table[f"{method}_state"].tolist() for method in methods}
    return state_sequence(states, kept, names, run.repetition_time)


@styled
def state_sequence(
    states: Mapping[str, Sequence[object]], kept: np.ndarray, names: Sequence[str], repetition_time: float | None = None
) -> Figure:
    """Draw the state of every volume, a panel per method; gaps are grey, unassigned volumes empty.

    `states` has a name per volume, (T,), for each method; `names` are those that some method visits.
    """
    figure = Figure(figsize=(WIDTH, 0.9 + len(states) * (0.45 + 0.17 * max(len(names), 2))))
    panels = figure.subplots(len(states), 1, squeeze=False)[:, 0]
    for index, (axes, (method, own)) in enumerate(zip(panels, states.items(), strict=True)):
        values = np.array([str(state) for state in own], dtype=object)
        for gap in np.flatnonzero(~kept):
            axes.axvspan(gap - 0.5, gap + 0.5, color=DROPPED, linewidth=0)
        visited = [name for name in names if (kept & (values == name)).any()]
        for row, name in enumerate(names):
            for start, stop in stretches(kept & (values == name)):
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


def graphs(run: Run) -> Figure:
    """Draw the transitions of both branches and of the volume itself."""
    transitions = run.table("transitions", ["method", "from", "to", "count"])
    return graphs_of(_metrics(run), transitions, "occupancy")


def state_table(run: Run) -> Table:
    """Tabulate occupancy and dwell times of every state, per method."""
    columns = ["occupancy", "n_visits", "n_visits_truncated", "mean_dwell_seconds", "split_half_r"]
    metrics = run.table("state_metrics", ["method", "state", *columns])

    def visits(own: pd.Series) -> Cell:
        truncated = number(own["n_visits_truncated"], 0)
        return Cell(number(own["n_visits"], 0), "" if truncated in ("0", "n/a") else f"{truncated} cut")

    return abreast(
        "States",
        metrics,
        "state",
        {"State": first("state")},
        {
            "share": lambda own: Cell(percent(own["occupancy"], 1)),
            "visits": visits,
            "dwell (s)": shown("mean_dwell_seconds", 1),
            "r": shown("split_half_r"),
        },
        "Share of the kept volumes; visits, of which cut by a dropped volume or an end of the run; mean length of a "
        "visit; r: correlation of the state's mean maps in the two halves of the run. Both halves were chosen by the "
        "same template, so compare r with that of the volume itself.",
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
        rows.append((f"{shorten(state, 40)} ({', '.join(notes)})", found))
    if not rows:
        return empty("No volume is above the cut-off: there are no states to average.")
    return brains.state_mosaic(rows, maps[BRANCHES[0]].affine, branches=run.branch_titles)


def _group_graphs(group: Group) -> Figure:
    """Draw the transitions of all participants together."""
    metrics = of_most(group.everybody("states", ["method", "state", "n_participants", "occupancy_mean"]))
    transitions = group.everybody("transitions", ["method", "from", "to", "count"])
    transitions = transitions[transitions["repetition_time"].isin(metrics["repetition_time"])]
    return graphs_of(metrics, transitions, "occupancy_mean", f", TR {seconds(metrics['repetition_time'].iloc[0])} s")


def _group_table(group: Group) -> Table:
    """Tabulate how much of the time each state takes and how long a visit lasts: a line per state, methods abreast."""
    needed = ["method", "state", "n_participants", "occupancy_mean", "occupancy_sd", "mean_dwell_seconds_mean"]
    return abreast(
        "States",
        group.everybody("states", needed),
        ["repetition_time", "state"],
        {
            "State": first("state"),
            "TR (s)": lambda part: Cell(seconds(part["repetition_time"].iloc[0])),
            "n": most("n_participants"),
        },
        {
            "share": lambda own: spread(own, "occupancy", 3),
            "dwell (s)": lambda own: spread(own, "mean_dwell_seconds", 1),
        },
        "Share of used volumes in each state, and length of a visit; mean ± SD over n participants.",
    )


def _group_mosaic(group: Group) -> Figure:
    """Draw the mean map of every state that somebody visits."""
    maps = [group.state_maps(branch) for branch in BRANCHES]
    visitors = [group.sidecar(f"{branch}_states").get("Participants", []) for branch in BRANCHES]
    rows = []
    for name, *counts in zip(maps[0].volumes, *visitors, strict=False):
        if any(counts):
            notes = ", ".join(
                f"branch {branch}: {counted(count, 'participant')}" for branch, count in enumerate(counts, start=1)
            )
            rows.append((f"{shorten(name, 40)} ({notes})", [own.volumes.get(name) for own in maps]))
    if not rows:
        raise InputError("nobody has a volume above the cut-off, so there are no states to average.")
    return brains.state_mosaic(rows, maps[0].affine)


RUN_SECTION: Section[Run] = Section(
    "states",
    "States",
    (
        Item(state_sentences, ("state_metrics",), as_list=True),
        Item(
            sequence,
            ("states", "state_metrics"),
            key="sequence",
            title="State of every volume",
            caption="Grey: volumes that were left out; nothing is counted across them. White: unassigned. Only states "
            "that appear are drawn.",
            alt="Timeline of the state of every volume, for both branches and for the volume itself.",
        ),
        Item(
            graphs,
            ("state_metrics", "transitions"),
            key="transitions",
            title="Transitions between states (the paper's Figure 6)",
            caption="Width of an arrow: how often the state at its end follows the one at its start, on one scale for "
            "all graphs. Size of a circle, and the number: share of the kept volumes. Counted from one volume to the "
            "next, both kept and assigned; staying is not drawn.",
            alt="Graphs of the transitions between states; the same numbers are in the table of transitions.",
        ),
        Item(state_table, ("state_metrics",)),
        Item(
            state_mosaic,
            ("state_metrics", "fbn1_states", "fbn2_states"),
            key="statemaps",
            title="Mean network of each state",
            caption="Mean of the signed maps (before equation 9) of the volumes in each state, in standard deviations "
            "of the map; the 15 % of the voxels furthest from its mean are shown. Volumes were chosen by the "
            "template, so some likeness to it is certain.",
            alt="Axial brain slices of the mean network of each state, one line per state, the branches side by side.",
            vector=False,
        ),
    ),
)

GROUP_SECTION: Section[Group] = Section(
    "states",
    "States",
    (
        Item(
            _group_graphs,
            ("states", "transitions"),
            key="figure1",
            title="Transitions between states (the paper's Figure 6), over all participants",
            caption="Width of an arrow: how often one state follows the other, summed over runs, on one scale for all "
            "graphs. Size of a circle, and the number: mean share of the used volumes. Staying is not drawn.",
            alt="Graphs of the transitions between states; the same numbers are in the table of transitions.",
        ),
        Item(_group_table, ("states",)),
        Item(
            _group_mosaic,
            ("fbn1_states", "fbn2_states"),
            key="figure3",
            title="Mean network of each state, averaged over participants",
            caption="Mean of the signed maps of the volumes in each state, then over runs and participants, in "
            "standard deviations of the map; the 15 % of the voxels furthest from its mean are shown. Volumes were "
            "chosen by the template, so some likeness to it is certain.",
            alt="Axial brain slices of the mean network of each state, one line per state, the branches side by side.",
            vector=False,
        ),
    ),
    otherwise="The runs have no tables of states.",
)

"""Networks of single volumes: spread over the run, at its best matches, and how much they mark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ...derivatives.reading import Run
from ...maps import BRANCHES, LABELS
from ...words import number
from .. import brains
from ..figures import time_axis
from ..items import Item, Section
from ..style import COLOURS, MARKERS, WIDTH, empty, shorten, styled

__all__ = ["RUN_SECTION", "best_mosaic", "branch_sentences", "density_over_time", "spread_mosaic", "spread_volumes"]

N_SPREAD = 6
N_BEST = 4


def branch_sentences(branches: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say what each branch marks where that is known by design, and what follows for its states.

    >>> branch_sentences([{"Marks": "above the mean"}, {"Sign": 1}])
    []
    """
    marks = [str(branch.get("Marks", "")) for branch in branches]
    if not marks or not all(marks):
        return []
    told = ", ".join(f"branch {number} what is {what}" for number, what in enumerate(marks[1:], start=2))
    sentence = f"Branch 1 marks what is {marks[0]}{', ' if told else ''}{told} of a voxel over the run."
    below = [number for number, what in enumerate(marks, start=1) if what.startswith("below")]
    if below:
        sentence += f" A network or state of branch {below[0]} is less active than usual at that moment, not more."
    return [sentence]


def spread_volumes(kept: np.ndarray, n: int = N_SPREAD) -> list[int]:
    """Choose kept volumes spread evenly over the run.

    >>> spread_volumes(np.array([0, 1, 1, 1, 1, 1], bool), 3)
    [1, 3, 5]
    """
    numbers = np.flatnonzero(kept)
    if not len(numbers):
        return []
    chosen = np.linspace(0, len(numbers) - 1, min(n, len(numbers))).round().astype(int)
    return [int(volume) for volume in numbers[chosen]]


def spread_mosaic(run: Run) -> Figure:
    """Draw networks at volumes spread over the run."""
    return _mosaic(run, {volume: _volume_title(run, volume) for volume in spread_volumes(run.kept)})


def best_mosaic(run: Run) -> Figure:
    """Draw networks at the best-matching volume of the templates that are matched best."""
    return _mosaic(run, _best_titles(run))


def _mosaic(run: Run, titles: Mapping[int, str]) -> Figure:
    wanted = {*spread_volumes(run.kept), *_best_titles(run)}  # of both mosaics, so that images are read once
    networks = [run.networks(branch, wanted) for branch in BRANCHES]
    rows = [(title, [n.volumes.get(volume) for n in networks]) for volume, title in titles.items()]
    return brains.fbn_mosaic(rows, networks[0].affine, branches=run.branch_titles)


def _volume_title(run: Run, volume: int) -> str:
    seconds = f" · {volume * run.repetition_time:.1f} s" if run.repetition_time else ""
    return f"volume {volume}{seconds}"


def _best_titles(run: Run) -> dict[int, str]:
    if not run.has("overlap"):
        return {}
    score, where = "best_average_precision", "best_volume_average_precision"
    overlap = run.table("overlap", ["method", "template", score, where])
    candidates = overlap[overlap["method"].isin(BRANCHES)].dropna(subset=[score, where])
    candidates = candidates.sort_values(score, ascending=False, kind="stable").drop_duplicates("template")
    titles: dict[int, str] = {}
    for _, row in candidates.head(N_BEST).iterrows():
        volume = int(row[where])
        note = f"{shorten(row['template'])} AP {number(row[score])}, {LABELS[row['method']].removeprefix('FBN ')}"
        titles[volume] = f"{titles[volume]}; {note}" if volume in titles else f"{_volume_title(run, volume)} · {note}"
    return titles


@styled
def density_over_time(density: Mapping[str, np.ndarray], repetition_time: float | None = None) -> Figure:
    """Draw the share of the region, (T,) in 0 to 1, that each branch marks; NaN where a volume was dropped."""
    if not any(np.isfinite(values).any() for values in density.values()):
        return empty("No volume was kept: there is no density.")
    figure = Figure(figsize=(WIDTH, 2.2))
    axes = figure.subplots()
    for branch, values in density.items():
        marker = MARKERS[branch] if np.isfinite(values).sum() < 30 else None
        axes.plot(100 * values, color=COLOURS[branch], marker=marker, markersize=3, linewidth=1.2, label=LABELS[branch])
    axes.axhline(60, color="#444444", linestyle="--", linewidth=0.9, label="saturated above 60 %")
    axes.set(ylim=(0, 100), ylabel="% of the region")
    time_axis(axes, max(len(values) for values in density.values()), repetition_time)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


RUN_SECTION: Section[Run] = Section(
    "networks",
    "Networks of single volumes",
    (
        Item(lambda run: branch_sentences(run.branches), ("fbn1", "fbn2")),
        Item(
            spread_mosaic,
            ("fbn1", "fbn2", "region", "samples"),
            key="mosaic",
            title="FBNs of volumes spread over the run",
            caption="Axial slices of both branches over the MNI152 template; left is left. Shown where the FBN exceeds "
            "0.3, on one colour scale for all volumes. Volumes count from 0; time counts from the start of the file.",
            alt="Axial brain slices with the functional brain networks of both branches at volumes spread over the "
            "run.",
            vector=False,
        ),
        Item(
            best_mosaic,
            ("fbn1", "fbn2", "region", "samples", "overlap"),
            key="best",
            title="Volumes that match a template best",
            caption="The volumes with the highest average precision (AP) of the whole run, for the templates that are "
            "matched best. The highest of many: some volume matches every template to some degree.",
            alt="Axial brain slices of the volumes whose networks match a template best, one line per template.",
            vector=False,
        ),
        Item(
            lambda run: density_over_time({b: run.networks(b).density for b in BRANCHES}, run.repetition_time),
            ("fbn1", "fbn2", "region"),
            key="density",
            title="How much of the brain each branch marks",
            caption="Share of the evaluation region above 0.3 in every kept volume. Templates of resting-state "
            "networks usually cover 1 to 14 %.",
            alt="Line plot of the share of the brain marked by each branch over time.",
        ),
    ),
)

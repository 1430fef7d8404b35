"""Overlap of a run's maps with known networks: scores per template, over time, and against the threshold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ...derivatives.reading import Run
from ...maps import BRANCHES, DECIDING, LABELS, NO_NETWORK, SCORE_LABELS, THRESHOLD
from ...words import capitalised, number, percent
from ..figures import MOST_TEMPLATES, courses, legend_above, method_handles
from ..items import Item, Section
from ..labels import methods_of, numbers
from ..page import Cell, Table
from ..style import COLOURS, MARKERS, WIDTH, empty, shorten, styled
from .chance import chance_sentences, chance_table, has_chance

__all__ = ["PANEL_TITLES", "RUN_SECTION", "what_was_taken"]

PANEL_TITLES = {score: SCORE_LABELS[score] for score in (*DECIDING, "iou")}
PANEL_TITLES["average_precision"] += " (AP)"
"""Scores that are drawn per template."""

MOST_LISTED, SMALLEST = 24, 8
"""Templates whose voxels are listed one by one; of more, so many of the smallest are."""

_CURVE = ("method", "template", "threshold", "method_density", "best_of_20_iou", "mean_iou")
_KINDS = {
    "labels": "labels of one image",
    "continuous": "continuous maps, each cut at 0.3 of its maximum in the model's brain mask",
    "thresholded": "maps that were thresholded before, of which all above 0 counts",
}


def what_was_taken(verb: str, about: Mapping[str, Any], source: str, kind: str, what: str) -> list[str]:
    """Say what networks were compared with, or averaged over: source, kind and what told it, voxels of each.

    The sentence begins with `verb`. `source` is the key of the table's sidecar that names the image, `kind` and `what`
    are beginnings of those that tell its kind and its parts.
    """
    told = about.get(f"{what}Voxels")
    voxels = {name: count for name, count in (told if isinstance(told, dict) else {}).items() if isinstance(count, int)}
    if not about.get(source) or not voxels:
        return []
    reason = f"; {about[f'{kind}KindReason']}" if about.get(f"{kind}KindReason") else ""
    of_kind = _KINDS.get(str(about.get(f"{kind}Kind")), "of a kind that was not recorded")
    shares = about.get(f"{what}ShareInModelMask")
    shares = shares if isinstance(shares, dict) else {}
    first = f"{verb} {about[source]}: {len(voxels)} {of_kind}{reason}."
    smallest = sorted(voxels, key=lambda name: voxels[name])
    many = len(voxels) > MOST_LISTED
    listed = ", ".join(
        f"{name} {voxels[name]}" + (f" ({percent(shares[name])})" if shares.get(name) is not None else "")
        for name in (smallest[:SMALLEST] if many else voxels)
    )
    span = f"{voxels[smallest[0]]} to {voxels[smallest[-1]]}; the smallest {SMALLEST}: " if many else ""
    note = " (share of its own voxels that the model's brain mask holds)" if shares else ""
    return [first, f"Voxels of each in the evaluation region{note}: {span}{listed}."]


def overlap_sentences(overlap: pd.DataFrame) -> list[str]:
    """Say for how many templates the network's maps beat the volume itself, above chance where that is known."""
    of_chance = "above_" if has_chance(overlap) else ""
    compared = {s: _better(overlap, f"{of_chance}best_of_20_{s}") for s in DECIDING if f"best_of_20_{s}" in overlap}
    compared = {score: table for score, table in compared.items() if len(table)}
    if not compared:
        return ["The table holds no scores to compare the network with the volume itself."]
    parts, majority = [], []
    for score, table in compared.items():
        wins = int((table["network"] > table["volume"]).sum())
        majority.append(wins > len(table) / 2)
        means = f"mean {number(table['network'].mean())} against {number(table['volume'].mean())}"
        parts.append(f"{SCORE_LABELS[score]} for {wins} of {len(table)} templates ({means})")
    if all(majority):
        verdict = "So on this run the network's maps match most templates better than the raw volume does."
    elif any(majority):
        verdict = "The two scores disagree: on this run it is not clear that the network adds anything."
    else:
        verdict = "So on this run the network adds nothing over the raw volume for most templates."
    what = "what best-of-20 values have above chance" if of_chance else "best-of-20 values"
    return [
        f"The FBN beats the volume itself in {' and in '.join(parts)}. {verdict}",
        f"Compared are {what}, the better of two branches against the better of two signs of the volume. It is a "
        "count, not a test; filters and decompositions are a harder comparison.",
    ]


def _better(overlap: pd.DataFrame, column: str) -> pd.DataFrame:
    """Per template, the better branch of the network against the better sign of the volume."""
    wide = overlap.pivot_table(index="template", columns="method", values=column, aggfunc="first")
    wide = wide.reindex(columns=[*BRANCHES, *NO_NETWORK]).astype(float)
    both = pd.DataFrame({"network": wide[list(BRANCHES)].max(axis=1), "volume": wide[list(NO_NETWORK)].max(axis=1)})
    return both.dropna()


@styled
def overlap_scores(overlap: pd.DataFrame) -> Figure:
    """Draw, per template, how well each method's maps match it: best of 20 and mean, three scores side by side."""
    methods = methods_of(overlap)
    scores = [score for score in reversed(PANEL_TITLES) if {f"best_of_20_{score}", f"mean_{score}"} <= set(overlap)]
    ranking = overlap[overlap["method"].isin(BRANCHES)].groupby("template", sort=False)
    if not methods or not scores or not len(ranking):
        return empty("The overlap table holds no scores.")
    order = ranking[f"best_of_20_{scores[-1]}"].max().sort_values(ascending=False, kind="stable").index[:MOST_TEMPLATES]
    figure = Figure(figsize=(WIDTH, 1.5 + 0.46 * len(order)))
    panels = figure.subplots(1, len(scores), squeeze=False, sharey=True)[0]
    offsets = dict(zip(methods, np.linspace(-0.3, 0.3, len(methods)) if len(methods) > 1 else [0.0], strict=True))
    for axes, score in zip(panels, scores, strict=True):
        for row in range(0, len(order), 2):
            axes.axhspan(row - 0.5, row + 0.5, color="#F3F3F3", zorder=0)
        for method in methods:
            table = overlap[overlap["method"] == method].drop_duplicates("template").set_index("template")
            _score_dots(axes, table.reindex(order), score, method, offsets[method])
        branches = overlap[overlap["method"].isin(BRANCHES)].drop_duplicates("template").set_index("template")
        _chance_marks(axes, branches.reindex(order), score)
        axes.set_title(PANEL_TITLES[score], fontweight="bold")
        axes.set_xlim(left=0)
        axes.grid(axis="x", color="#CCCCCC", linewidth=0.5)
        axes.set_axisbelow(True)
    panels[0].set_yticks(range(len(order)), [shorten(label) for label in order])
    panels[0].set_ylim(len(order) - 0.5, -0.5)
    handles = [
        *method_handles(methods, markersize=6),
        Line2D([], [], color="#555555", marker="o", linestyle="", markersize=6, label="best of 20 volumes"),
        Line2D([], [], color="#555555", marker="o", mfc="white", linestyle="", markersize=4, label="mean over volumes"),
        Line2D([], [], color="black", linestyle=":", linewidth=1.2, label="chance (best of 20)"),
    ]
    legend_above(figure, handles, columnspacing=1.2, handletextpad=0.5)
    return figure


def _score_dots(axes: Axes, table: pd.DataFrame, score: str, method: str, offset: float) -> None:
    rows = np.arange(len(table)) + offset
    mean, best = (numbers(table[f"{kind}_{score}"]) for kind in ("mean", "best_of_20"))
    options: dict[str, Any] = {"color": COLOURS[method], "marker": MARKERS[method], "linestyle": ""}
    axes.hlines(rows, mean, best, color=COLOURS[method], linewidth=0.9)
    axes.plot(mean, rows, markersize=3.5, markerfacecolor="white", markeredgewidth=0.9, **options)
    axes.plot(best, rows, markersize=5.5, **options)


def _chance_marks(axes: Axes, table: pd.DataFrame, score: str) -> None:
    """Mark what the better branch scores by chance, best of 20, with surrogate templates."""
    name = f"chance_best_of_20_{score}"
    if name in table:
        rows = np.arange(len(table))
        axes.vlines(numbers(table[name]), rows - 0.45, rows + 0.45, color="black", linestyle=":", linewidth=1.2)


@styled
def threshold_curves(table: pd.DataFrame) -> Figure:
    """Draw IoU, averaged over templates, and the share of the region that a map takes, against the threshold."""
    methods = methods_of(table)
    columns = ["best_of_20_iou", "mean_iou", "method_density"]
    values = table[columns].apply(numbers)
    means = values.groupby([table["method"], table["threshold"]]).mean()
    if not methods or not means["mean_iou"].notna().any():
        return empty("No template has a voxel in the region: there is no overlap at any threshold.")
    figure = Figure(figsize=(WIDTH, 3.2))
    scores, density = figure.subplots(1, 2, width_ratios=(1.6, 1))
    for method in methods:
        own = means.loc[method]
        options: dict[str, Any] = {"color": COLOURS[method], "marker": MARKERS[method]}
        scores.plot(own.index, own["best_of_20_iou"], markersize=5, label=LABELS[method], **options)
        scores.plot(own.index, own["mean_iou"], linestyle="--", markerfacecolor="white", markersize=3.5, **options)
        density.plot(own.index, 100 * own["method_density"], markersize=4, **options)
    scores.set(ylabel="IoU, mean over templates", xlabel="threshold (share of a map's maximum)", ylim=(0, None))
    density.set(ylabel="% of the region above it", xlabel="threshold", ylim=(0, None))
    for axes in (scores, density):
        axes.axvline(THRESHOLD, color="black", linestyle=":", linewidth=1.2)
        axes.grid(color="#E2E2E2", linewidth=0.6)
        axes.set_xlim(0, 1)
    handles, _ = scores.get_legend_handles_labels()
    grey: dict[str, Any] = {"color": "#555555", "marker": "o"}
    handles += [
        Line2D([], [], markersize=5, label="best of 20 volumes", **grey),
        Line2D([], [], linestyle="--", mfc="white", markersize=3.5, label="mean over volumes", **grey),
        Line2D([], [], color="black", linestyle=":", linewidth=1.2, label=f"{THRESHOLD:g}, the paper's"),
    ]
    legend_above(figure, handles, columnspacing=1.2, handletextpad=0.5)
    return figure


def _iou_over_time(run: Run) -> Figure:
    """Draw IoU with every template over time, per branch."""
    table, branches = run.table("template_iou"), {}
    for branch in BRANCHES:
        names = {name: str(name).removeprefix(f"{branch}_") for name in table if str(name).startswith(f"{branch}_")}
        if names:
            branches[branch] = table[list(names)].apply(numbers).rename(columns=names)
    return courses(branches, run.repetition_time)


def overlap_table(run: Run) -> Table:
    """Tabulate all scores per template: best of 20, the mean below it, the best method in bold."""
    overlap = run.table("overlap", ["method", "template"]).drop_duplicates(["method", "template"])
    methods = methods_of(overlap)
    scores = [score for score in SCORE_LABELS if f"best_of_20_{score}" in overlap]
    cells = overlap.set_index(["template", "method"])
    rows = []
    for template in dict.fromkeys(overlap["template"]):
        of_template = cells.loc[template]
        size, covered = _first(of_template, "template_density", 1), _first(of_template, "template_coverage")
        row = [Cell(str(template)), Cell(size, covered)]
        for score in scores:
            values = numbers(of_template[f"best_of_20_{score}"]).reindex(methods)
            means = of_template.get(f"mean_{score}", pd.Series(dtype=float)).reindex(methods)
            row += [Cell(number(values[m]), number(means[m]), bool(values[m] == values.max())) for m in methods]
        rows.append(row)
    short = {"fbn1": "FBN 1", "fbn2": "FBN 2", "volume": "vol.", "volume_negated": "−vol."}
    return Table(
        "Overlap with every template",
        ["Template", "Size", *([short[method] for method in methods] * len(scores))],
        rows,
        caption="Raw: chance is in these scores. Large: best of 20 volumes, bold for the best method; small: mean "
        "over volumes. Size: share of the evaluation region; small: how much of the template the run covers. vol.: the "
        "volume itself; −vol.: with its sign turned.",
        groups=[("", 2), *((capitalised(SCORE_LABELS[score]), len(methods)) for score in scores)],
        narrow=True,
    )


def _first(table: pd.DataFrame, column: str, digits: int = 0) -> str:
    return percent(float(table[column].iloc[0]), digits) if column in table else "n/a"


RUN_SECTION: Section[Run] = Section(
    "templates",
    "Overlap with known networks",
    (
        Item(
            lambda run: what_was_taken("Compared with", run.sidecar("overlap"), "Templates", "Template", "Template"),
            ("overlap",),
        ),
        Item(
            lambda run: chance_sentences(run.table("overlap", ["method", "template"]), run.sidecar("overlap")),
            ("overlap",),
            as_list=True,
        ),
        Item(lambda run: overlap_sentences(run.table("overlap", ["method", "template"])), ("overlap",)),
        Item(
            lambda run: overlap_scores(run.table("overlap", ["method", "template"])),
            ("overlap",),
            key="scores",
            title="Scores per template, network and volume",
            caption="Filled: best of 20 volumes; hollow: mean over volumes. Ordered by the network's AP. Dotted black: "
            "what the better branch scores by chance, best of 20: the same maps with templates that lie elsewhere. IoU "
            "at 0.3 is bounded by the sizes of map and template.",
            alt="Dot plot of IoU, size-matched IoU and average precision with every template for both branches and for "
            "the volume itself; the same numbers stand in the table below.",
        ),
        Item(
            _iou_over_time,
            ("template_iou",),
            key="iou",
            title="IoU with every template over time",
            caption="Both branches on one colour scale; dropped volumes are light grey. A bright row says that the "
            "template is matched at all times; a bright column that one volume matches many templates.",
            alt="Heat maps of the overlap of every volume's networks with every template, templates against time.",
        ),
        Item(
            lambda run: threshold_curves(run.table("threshold_curve", _CURVE)),
            ("threshold_curve",),
            key="thresholds",
            title="How IoU hangs on the threshold",
            caption="Every score of IoU in this report is taken at the dotted line. Where curves cross, which method "
            "is better by IoU is a matter of the threshold: average precision and size-matched IoU have none. Right: "
            "how much a map marks.",
            alt="Line plots of the mean overlap with templates, and of the share of the brain marked, against the "
            "threshold, for both branches and for the volume itself.",
        ),
        Item(lambda run: chance_table(run.table("overlap", ["method", "template"])), ("overlap",)),
        Item(overlap_table, ("overlap",)),
    ),
)

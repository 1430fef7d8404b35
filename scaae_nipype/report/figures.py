"""Figures over time and over templates: arrays and tables in, a matplotlib figure out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from ..maps import BRANCHES, LABELS, SCORE_LABELS
from .style import COLOURS, DROPPED, MARKERS, message, methods_of, shorten, styled

__all__ = [
    "MOST_TEMPLATES",
    "channel_weights",
    "code_over_time",
    "density_over_time",
    "gradual_change",
    "motion",
    "overlap_scores",
    "template_iou",
    "threshold_curves",
    "time_axis",
]

MOST_TEMPLATES = 40
"""More templates than this are not legible in one figure; those with the best scores are drawn."""

SCORE_TITLES = SCORE_LABELS | {"average_precision": "average precision (AP)"}
"""What the scores are called above a panel."""

_WIDTH = 11.0  # of all figures, in inches
_SCORES = ("iou", "size_matched_iou", "average_precision")


def _figure(height: float) -> Figure:
    return Figure(figsize=(_WIDTH, height))


def _empty(text: str) -> Figure:
    figure = _figure(0.8)
    message(figure.add_subplot(), text)
    return figure


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


def _heat(axes: Axes, values: np.ndarray, **options: Any) -> AxesImage:
    axes.set_facecolor(DROPPED)
    return axes.imshow(np.ma.masked_invalid(values), aspect="auto", **options)


def _template_labels(axes: Axes, labels: Sequence[object]) -> None:
    step = max(1, -(-len(labels) // MOST_TEMPLATES))
    axes.set_yticks(range(0, len(labels), step), [shorten(label) for label in labels[::step]], fontsize=8)
    axes.tick_params(axis="y", length=0)


@styled
def template_iou(
    iou: Mapping[str, pd.DataFrame], repetition_time: float | None = None, *, label: str = "IoU"
) -> Figure:
    """Draw the IoU of every volume's FBN with every template: a heat map per branch, one colour scale.

    Parameters
    ----------
    iou : mapping
        Branch to a table (T, n_templates) whose columns are the templates, NaN where a volume was dropped.
    repetition_time : float, optional
        In s.
    label : str
        Of the colour scale.
    """
    values = {branch: table.to_numpy(dtype=float) for branch, table in iou.items()}
    largest = max((float(np.nanmax(v, initial=0)) for v in values.values()), default=0.0)
    if largest == 0:
        return _empty("No kept volume overlaps any template.")
    n_templates = max(table.shape[1] for table in iou.values())
    figure = _figure(0.9 + len(iou) * min(0.19 * n_templates + 0.55, 8))
    panels = figure.subplots(len(iou), 1, squeeze=False)[:, 0]
    for index, (axes, (branch, table)) in enumerate(zip(panels, iou.items(), strict=True)):
        shown = _heat(axes, values[branch].T, cmap="cividis", vmin=0, vmax=largest)
        _template_labels(axes, list(table.columns))
        axes.set_title(LABELS.get(branch, branch), fontweight="bold")
        time_axis(axes, len(table), repetition_time, top=index == 0, bottom=index == len(iou) - 1)
    figure.colorbar(shown, ax=list(panels), label=label, fraction=0.03, pad=0.01, aspect=30)
    return figure


@styled
def overlap_scores(overlap: pd.DataFrame) -> Figure:
    """Draw, per template, how well each method's maps match it: best of 20 and mean, three scores side by side.

    Parameters
    ----------
    overlap : DataFrame
        The overlap table: a row per method and template with columns ``method``, ``template``, ``template_density``,
        ``method_density`` and ``best_of_20_<score>``, ``mean_<score>``.
    """
    methods = methods_of(overlap)
    scores = [score for score in _SCORES if f"best_of_20_{score}" in overlap and f"mean_{score}" in overlap]
    ranking = overlap[overlap["method"].isin(BRANCHES)].groupby("template", sort=False)
    if not methods or not scores or not len(ranking):
        return _empty("The overlap table holds no scores.")
    order = ranking[f"best_of_20_{scores[-1]}"].max().sort_values(ascending=False, kind="stable").index[:MOST_TEMPLATES]
    figure = _figure(1.5 + 0.46 * len(order))
    panels = figure.subplots(1, len(scores), squeeze=False, sharey=True)[0]
    offsets = dict(zip(methods, np.linspace(-0.3, 0.3, len(methods)) if len(methods) > 1 else [0.0], strict=True))
    for axes, score in zip(panels, scores, strict=True):
        for row in range(0, len(order), 2):
            axes.axhspan(row - 0.5, row + 0.5, color="#F3F3F3", zorder=0)
        for method in methods:
            table = overlap[overlap["method"] == method].drop_duplicates("template").set_index("template")
            _score_dots(axes, table.reindex(order), score, method, offsets[method])
        _chance_marks(axes, overlap.drop_duplicates("template").set_index("template").reindex(order), score)
        axes.set_title(SCORE_TITLES[score], fontweight="bold")
        axes.set_xlim(left=0)
        axes.grid(axis="x", color="#CCCCCC", linewidth=0.5)
        axes.set_axisbelow(True)
    panels[0].set_yticks(range(len(order)), [shorten(label) for label in order])
    panels[0].set_ylim(len(order) - 0.5, -0.5)
    handles = [
        Line2D([], [], color=COLOURS[m], marker=MARKERS[m], linewidth=1, markersize=6, label=LABELS[m]) for m in methods
    ]
    handles += [
        Line2D([], [], color="#555555", marker="o", linestyle="", markersize=6, label="best of 20 volumes"),
        Line2D([], [], color="#555555", marker="o", mfc="white", linestyle="", markersize=4, label="mean over volumes"),
        Line2D([], [], color="black", linestyle=":", linewidth=1.2, label="chance"),
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=len(handles), columnspacing=1.2, handletextpad=0.5)
    return figure


def _score_dots(axes: Axes, table: pd.DataFrame, score: str, method: str, offset: float) -> None:
    rows = np.arange(len(table)) + offset
    mean, best = (pd.to_numeric(table[f"{kind}_{score}"], errors="coerce") for kind in ("mean", "best_of_20"))
    options: dict[str, Any] = {"color": COLOURS[method], "marker": MARKERS[method], "linestyle": ""}
    axes.hlines(rows, mean, best, color=COLOURS[method], linewidth=0.9)
    axes.plot(mean, rows, markersize=3.5, markerfacecolor="white", markeredgewidth=0.9, **options)
    axes.plot(best, rows, markersize=5.5, **options)


def _chance_marks(axes: Axes, table: pd.DataFrame, score: str) -> None:
    """Mark what a map unrelated to the template is expected to score: AP p, size-matched IoU p / (2 - p)."""
    if score == "iou" or "template_density" not in table:
        return
    p = pd.to_numeric(table["template_density"], errors="coerce")
    chance = p if score == "average_precision" else p / (2 - p)
    rows = np.arange(len(table))
    axes.vlines(chance, rows - 0.45, rows + 0.45, color="black", linestyle=":", linewidth=1.2)


@styled
def threshold_curves(table: pd.DataFrame, threshold: float) -> Figure:
    """Draw IoU, averaged over templates, and the share of the region that a map takes, against the threshold.

    Parameters
    ----------
    table : DataFrame
        Columns ``method``, ``template``, ``threshold``, ``method_density``, ``best_of_20_iou``, ``mean_iou``.
    threshold : float
        At which all other scores are taken.
    """
    methods = methods_of(table)
    columns = ["best_of_20_iou", "mean_iou", "method_density"]
    values = table[columns].apply(pd.to_numeric, errors="coerce")
    means = values.groupby([table["method"], table["threshold"]]).mean()
    if not methods or not means["mean_iou"].notna().any():
        return _empty("No template has a voxel in the region: there is no overlap at any threshold.")
    figure = _figure(3.2)
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
        axes.axvline(threshold, color="black", linestyle=":", linewidth=1.2)
        axes.grid(color="#E2E2E2", linewidth=0.6)
        axes.set_xlim(0, 1)
    handles, _ = scores.get_legend_handles_labels()
    grey: dict[str, Any] = {"color": "#555555", "marker": "o"}
    handles += [
        Line2D([], [], markersize=5, label="best of 20 volumes", **grey),
        Line2D([], [], linestyle="--", mfc="white", markersize=3.5, label="mean over volumes", **grey),
        Line2D([], [], color="black", linestyle=":", linewidth=1.2, label=f"{threshold:g}, the paper's"),
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=len(handles), columnspacing=1.2, handletextpad=0.5)
    return figure


@styled
def gradual_change(table: pd.DataFrame) -> Figure:
    """Draw the overlap of maps a lag apart against the lag in seconds, with what chance gives.

    Parameters
    ----------
    table : DataFrame
        Columns ``method``, ``lag_seconds``, ``mean_iou``, ``sd_iou``, ``chance_iou``.
    """
    methods = methods_of(table)
    if not methods or not pd.to_numeric(table["mean_iou"], errors="coerce").notna().any():
        return _empty("No two volumes a lag apart were kept.")
    figure = _figure(3.6)
    axes = figure.subplots()
    for method in methods:
        curve = table[table["method"] == method].sort_values("lag_seconds")
        lag, mean, sd, chance = (
            pd.to_numeric(curve[name], errors="coerce").to_numpy(float)
            for name in ("lag_seconds", "mean_iou", "sd_iou", "chance_iou")
        )
        axes.plot(lag, mean, color=COLOURS[method], marker=MARKERS[method], markersize=4, label=LABELS[method])
        axes.fill_between(lag, mean - sd, mean + sd, color=COLOURS[method], alpha=0.12, linewidth=0)
        axes.plot(lag, chance, color=COLOURS[method], linestyle=":", linewidth=1.4)
    handles, _ = axes.get_legend_handles_labels()
    handles.append(Line2D([], [], color="#555555", linestyle=":", label="chance at the same density"))
    handles.append(Patch(color="#555555", alpha=0.15, label="± 1 SD over pairs"))
    axes.set(xlabel="lag (s)", ylabel="mean IoU of two volumes", ylim=(0, None))
    axes.set_xlim(left=0)
    axes.grid(color="#E2E2E2", linewidth=0.6)
    axes.legend(handles=handles, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


@styled
def channel_weights(weights: np.ndarray, repetition_time: float | None = None) -> Figure:
    """Draw channel attention over time, and beside it the range of each channel on the whole scale 0 to 1.

    Parameters
    ----------
    weights : float array, (T, n_channels)
        NaN where a volume was dropped; the first half of the channels belongs to branch 1.
    repetition_time : float, optional
        In s.
    """
    weights = np.asarray(weights, dtype=float)
    if weights.size == 0 or not np.isfinite(weights).any():
        return _empty("No volume was kept: there are no channel weights.")
    n_volumes, n_channels = weights.shape
    figure = _figure(3.9)
    heat, ranges = figure.subplots(1, 2, sharey=True, width_ratios=(4, 1.2))
    shown = _heat(heat, weights.T, cmap="cividis")
    figure.colorbar(shown, ax=heat, label="channel weight", fraction=0.05, pad=0.01, aspect=25)
    ticks = [index for index in range(n_channels) if index == 0 or (index + 1) % 4 == 0]
    heat.set_yticks(ticks, [str(index + 1) for index in ticks])
    heat.set_ylabel("channel (branch 1 above the line, 2 below)")
    time_axis(heat, n_volumes, repetition_time)
    kept = weights[np.isfinite(weights).all(axis=1)]
    low, mean, high = kept.min(axis=0), kept.mean(axis=0), kept.max(axis=0)
    half = n_channels / 2
    for channel in range(n_channels):
        colour = COLOURS[BRANCHES[0] if channel < half else BRANCHES[1]]
        ranges.plot([low[channel], high[channel]], [channel, channel], color=colour, linewidth=3, alpha=0.45)
        ranges.plot(mean[channel], channel, color=colour, marker="o", markersize=3)
    for axes in (heat, ranges):
        axes.axhline(half - 0.5, color="white" if axes is heat else "#666666", linewidth=1.2)
    ranges.set(xlim=(0, 1), xlabel="weight: mean and range", title="on the whole scale")
    ranges.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "0.5", "", "1"])
    ranges.grid(axis="x", color="#E2E2E2", linewidth=0.6)
    return figure


@styled
def code_over_time(code: np.ndarray, repetition_time: float | None = None) -> Figure:
    """Draw the network's code of every volume, each number centred and scaled over the run.

    Parameters
    ----------
    code : float array, (T, n_numbers)
        NaN where a volume was dropped.
    repetition_time : float, optional
        In s.
    """
    code = np.asarray(code, dtype=float)
    kept = np.isfinite(code).all(axis=1) if code.size else np.zeros(0, dtype=bool)
    if not kept.any():
        return _empty("No volume was kept: there is no code.")
    spread = code[kept].std(axis=0)
    scaled = (code - code[kept].mean(axis=0)) / np.where(spread > 0, spread, 1)
    figure = _figure(2.9)
    axes = figure.subplots()
    edges = (-0.5, len(code) - 0.5, code.shape[1] + 0.5, 0.5)  # the numbers count from 1
    shown = _heat(axes, scaled.T, cmap="RdBu_r", vmin=-3, vmax=3, extent=edges)
    figure.colorbar(shown, ax=axes, label="SD over the run", fraction=0.03, pad=0.01, extend="both")
    axes.set_ylabel("number of the code")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    time_axis(axes, len(code), repetition_time)
    return figure


@styled
def density_over_time(density: Mapping[str, np.ndarray], repetition_time: float | None = None) -> Figure:
    """Draw the share of the region that each branch marks in every volume.

    Parameters
    ----------
    density : mapping
        Branch to a float array (T,) in 0 to 1, NaN where a volume was dropped.
    repetition_time : float, optional
        In s.
    """
    if not any(np.isfinite(values).any() for values in density.values()):
        return _empty("No volume was kept: there is no density.")
    figure = _figure(2.2)
    axes = figure.subplots()
    for branch, values in density.items():
        marker = MARKERS[branch] if np.isfinite(values).sum() < 30 else None
        axes.plot(100 * values, color=COLOURS[branch], marker=marker, markersize=3, linewidth=1.2, label=LABELS[branch])
    axes.axhline(60, color="#444444", linestyle="--", linewidth=0.9, label="saturated above 60 %")
    axes.set(ylim=(0, 100), ylabel="% of the region")
    time_axis(axes, max(len(values) for values in density.values()), repetition_time)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


@styled
def motion(samples: pd.DataFrame, repetition_time: float | None = None, threshold: float | None = None) -> Figure:
    """Draw framewise displacement and which volumes were dropped, and why.

    Parameters
    ----------
    samples : DataFrame
        A row per volume, columns ``kept``, ``dummy``, ``censored`` and ``framewise_displacement`` (mm).
    repetition_time : float, optional
        In s.
    threshold : float, optional
        Framewise displacement in mm above which volumes were censored.
    """
    if samples.empty:
        return _empty("The run has no volumes.")
    displacement = pd.to_numeric(samples["framewise_displacement"], errors="coerce").to_numpy(float)
    figure = _figure(2.4)
    axes = figure.subplots()
    dropped = {"dummy scan": ("dummy", "#56B4E9"), "censored for motion": ("censored", "#E69F00")}
    other = (samples["kept"] != 1) & (samples["dummy"] != 1) & (samples["censored"] != 1)
    for label, (column, colour) in dropped.items():
        _bands(axes, (samples[column] == 1).to_numpy(), colour, label)
    _bands(axes, other.to_numpy(), DROPPED, "dropped for another reason")
    if np.isfinite(displacement).any():
        axes.plot(displacement, color="#222222", linewidth=1, marker="." if len(displacement) < 30 else None)
        if threshold is not None:
            axes.axhline(threshold, color="#D55E00", linestyle="--", linewidth=1, label=f"threshold {threshold:g} mm")
        axes.set(ylim=(0, None), ylabel="framewise\ndisplacement (mm)")
    else:
        axes.set_yticks([])
        axes.text(0.5, 0.5, "no framewise displacement known", ha="center", va="center", transform=axes.transAxes)
    time_axis(axes, len(samples), repetition_time)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


def _bands(axes: Axes, where: np.ndarray, colour: str, label: str) -> None:
    """Shade the volumes where `where` is true, and count them in the legend."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], where, [False]]).astype(int)))
    for start, stop in edges.reshape(-1, 2):
        axes.axvspan(start - 0.5, stop - 0.5, color=colour, alpha=0.45, linewidth=0)
    if where.any():
        axes.fill_between([], [], color=colour, alpha=0.45, label=f"{label}: {int(where.sum())}")

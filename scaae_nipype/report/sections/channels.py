"""Channel attention and code: which channels count in a volume, and the numbers between encoder and decoder."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ...derivatives.reading import Run
from ...errors import InputError
from ...maps import BRANCHES
from ...words import number
from ..banners import CHANNEL_RANGE
from ..figures import heat, time_axis
from ..items import Item, Section
from ..labels import numbers
from ..style import COLOURS, WIDTH, empty, styled

__all__ = ["RUN_SECTION", "channel_sentences", "channel_weights", "code_over_time"]

STEADY = 0.01
"""Channel weights whose SD over time stays below this do not follow the data."""


def channel_sentences(weights: np.ndarray) -> list[str]:
    """Say how far the channel weights, (T, n_channels), spread; they are NaN where a volume was dropped.

    >>> channel_sentences(np.array([[0.5, 0.52], [np.nan, np.nan]]))[0][:49]
    'The weights lie between 0.50 and 0.52 (a range of'
    """
    kept = weights[np.isfinite(weights).all(axis=1)]
    if not kept.size:
        return ["No volume was kept."]
    low, high = float(kept.min()), float(kept.max())
    over_time = float(kept.std(axis=0).mean())
    verdict = "so nothing was selected" if high - low < CHANNEL_RANGE else "on a scale from 0 (off) to 1 (fully on)"
    steady = ": the same channels count the same in every volume" if over_time < STEADY else ""
    return [
        f"The weights lie between {number(low)} and {number(high)} (a range of {number(high - low)}), {verdict}; "
        f"within a channel they vary over time by an SD of {number(over_time, 3)} on average{steady}."
    ]


@styled
def channel_weights(weights: np.ndarray, repetition_time: float | None = None) -> Figure:
    """Draw channel attention over time, and beside it the range of each channel on the whole scale 0 to 1.

    `weights`, (T, n_channels), are NaN where a volume was dropped; the first half of the channels belongs to branch 1.
    """
    weights = np.asarray(weights, dtype=float)
    if weights.size == 0 or not np.isfinite(weights).any():
        return empty("No volume was kept: there are no channel weights.")
    n_volumes, n_channels = weights.shape
    figure = Figure(figsize=(WIDTH, 3.9))
    left, ranges = figure.subplots(1, 2, sharey=True, width_ratios=(4, 1.2))
    shown = heat(left, weights.T, cmap="cividis")
    figure.colorbar(shown, ax=left, label="channel weight", fraction=0.05, pad=0.01, aspect=25)
    ticks = [index for index in range(n_channels) if index == 0 or (index + 1) % 4 == 0]
    left.set_yticks(ticks, [str(index + 1) for index in ticks])
    left.set_ylabel("channel (branch 1 above the line, 2 below)")
    time_axis(left, n_volumes, repetition_time)
    kept = weights[np.isfinite(weights).all(axis=1)]
    low, mean, high = kept.min(axis=0), kept.mean(axis=0), kept.max(axis=0)
    half = n_channels / 2
    for channel in range(n_channels):
        colour = COLOURS[BRANCHES[0] if channel < half else BRANCHES[1]]
        ranges.plot([low[channel], high[channel]], [channel, channel], color=colour, linewidth=3, alpha=0.45)
        ranges.plot(mean[channel], channel, color=colour, marker="o", markersize=3)
    for axes in (left, ranges):
        axes.axhline(half - 0.5, color="white" if axes is left else "#666666", linewidth=1.2)
    ranges.set(xlim=(0, 1), xlabel="weight: mean and range", title="on the whole scale")
    ranges.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "0.5", "", "1"])
    ranges.grid(axis="x", color="#E2E2E2", linewidth=0.6)
    return figure


@styled
def code_over_time(code: np.ndarray, repetition_time: float | None = None) -> Figure:
    """Draw the network's code of every volume, (T, n_numbers), each number centred and scaled over the run."""
    code = np.asarray(code, dtype=float)
    kept = np.isfinite(code).all(axis=1) if code.size else np.zeros(0, dtype=bool)
    if not kept.any():
        return empty("No volume was kept: there is no code.")
    spread = code[kept].std(axis=0)
    scaled = (code - code[kept].mean(axis=0)) / np.where(spread > 0, spread, 1)
    figure = Figure(figsize=(WIDTH, 2.9))
    axes = figure.subplots()
    edges = (-0.5, len(code) - 0.5, code.shape[1] + 0.5, 0.5)  # the numbers count from 1
    shown = heat(axes, scaled.T, cmap="RdBu_r", vmin=-3, vmax=3, extent=edges)
    figure.colorbar(shown, ax=axes, label="SD over the run", fraction=0.03, pad=0.01, extend="both")
    axes.set_ylabel("number of the code")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    time_axis(axes, len(code), repetition_time)
    return figure


def _numbered(run: Run, meaning: str, prefix: str) -> np.ndarray:
    table = run.table(meaning)
    columns = [
        column for column in map(str, table) if column.startswith(prefix) and column.removeprefix(prefix).isdigit()
    ]
    if not columns:
        raise InputError(f"{run.path(meaning).name}: has no columns {prefix}01, {prefix}02 …")
    return table[columns].apply(numbers).to_numpy(dtype=float)


RUN_SECTION: Section[Run] = Section(
    "channels",
    "Channel attention and code",
    (
        Item(lambda run: channel_sentences(_numbered(run, "channel_weights", "channel")), ("channel_weights",)),
        Item(
            lambda run: channel_weights(_numbered(run, "channel_weights", "channel"), run.repetition_time),
            ("channel_weights",),
            key="weights",
            title="Channel weights over time",
            caption="Left: the colours span only the range that occurs. Right: mean and range of each channel on the "
            "whole scale from 0 to 1, which shows how much, or how little, is selected.",
            alt="Heat map of the weight of every channel over time, and the range of each channel on the scale 0 to 1.",
        ),
        Item(
            lambda run: code_over_time(_numbered(run, "code", "code"), run.repetition_time),
            ("code",),
            key="code",
            title="The network's code over time",
            caption="Every number of the code, centred and scaled by its SD over the run.",
            alt="Heat map of the numbers of the network's code over time.",
        ),
    ),
)

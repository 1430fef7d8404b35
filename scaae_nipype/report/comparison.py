"""What the network adds over what needs none: the paper's Figure 5 as picture, table and sentences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..maps import BRANCHES, DECIDING, SCORE_LABELS
from ..words import capitalised, listed, number
from .figures import MOST_TEMPLATES
from .methods import OWN_CONTEXT, PER_RUN, UNTRAINED, method_label, ordered_methods
from .page import Cell, Table
from .style import message, shorten, styled

__all__ = ["comparison_figure", "comparison_sentences", "comparison_table"]

_SCORES = {score: capitalised(label) for score, label in SCORE_LABELS.items()}


def _wide(scores: pd.DataFrame, column: str) -> pd.DataFrame:
    """Give a score as (templates × methods), both in order."""
    values = scores.assign(value=pd.to_numeric(scores[column], errors="coerce"))
    wide = values.pivot_table(index="template", columns="method", values="value", aggfunc="first", dropna=False)
    templates = [name for name in dict.fromkeys(scores["template"]) if name in wide.index]
    return wide.reindex(index=templates, columns=ordered_methods(scores["method"]))


@styled
def comparison_figure(scores: pd.DataFrame, suffix: str = "") -> Figure:
    """Draw the scores of every method with every template: templates by methods, the best of a line framed.

    Parameters
    ----------
    scores : DataFrame
        ``method``, ``template`` and ``best_of_20_<score>`` with `suffix` (``_mean`` in the group's table).
    suffix : str
    """
    columns = {score: f"best_of_20_{score}{suffix}" for score in DECIDING}
    columns = {score: column for score, column in columns.items() if column in scores}
    if not columns or scores.empty:
        figure = Figure(figsize=(11, 0.8))
        message(figure.add_subplot(), "There are no scores to compare.")
        return figure
    wides = {score: _wide(scores, column).head(MOST_TEMPLATES) for score, column in columns.items()}
    first = next(iter(wides.values()))
    figure = Figure(figsize=(11, 1.5 + len(wides) * (0.55 + 0.24 * (len(first) + 1))))
    panels = figure.subplots(len(wides), 1, squeeze=False)[:, 0]
    for index, (axes, (score, wide)) in enumerate(zip(panels, wides.items(), strict=True)):
        _heat_map(axes, wide, f"{_SCORES[score]}, best of 20", labels=index == len(wides) - 1)
    return figure


def _heat_map(axes: Axes, wide: pd.DataFrame, title: str, *, labels: bool) -> None:
    shown = pd.concat([wide, pd.DataFrame([wide.mean()], index=["mean"])])
    values = shown.to_numpy(dtype=float)
    largest = np.nanmax(values, initial=0) or 1
    axes.imshow(np.ma.masked_invalid(values), cmap="cividis", vmin=0, vmax=largest, aspect="auto")
    for row, line in enumerate(values):
        best = np.nanmax(line, initial=-np.inf)
        for column, value in enumerate(line):
            if np.isfinite(value):
                colour = "black" if value > 0.6 * largest else "white"
                axes.text(
                    column, row, number(value), ha="center", va="center", fontsize=7, color=colour, in_layout=False
                )  # hundreds of numbers inside the axes move no margin, but measuring them takes time
            if value == best:
                axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor="#D55E00", lw=1.8))
    axes.axhline(len(wide) - 0.5, color="white", linewidth=3)
    n_network = sum(method in BRANCHES for method in wide.columns)
    if n_network:
        axes.axvline(n_network - 0.5, color="white", linewidth=3)
    axes.set_yticks(range(len(shown)), [shorten(name) for name in shown.index], fontsize=8)
    names = [method_label(method) for method in wide.columns] if labels else []
    axes.set_xticks(range(len(names)), names, fontsize=8, rotation=40, ha="right", rotation_mode="anchor")
    axes.tick_params(length=0)
    axes.set_title(title, fontweight="bold")


def comparison_table(scores: pd.DataFrame, suffix: str = "", caption: str = "") -> Table:
    """Tabulate every method's scores, averaged over templates; the best of a column is bold.

    Parameters
    ----------
    scores : DataFrame
        The overlap table with the baselines' below it, or the group's with `suffix`.
    suffix, caption : str
    """
    columns = [
        (f"{kind}_{score}{suffix}", score, heading)
        for score in _SCORES
        for kind, heading in (("best_of_20", "of 20"), ("mean", "mean"), ("best", "best"))
        if f"{kind}_{score}{suffix}" in scores
    ]
    methods = ordered_methods(scores["method"])
    means = scores.groupby("method")[[name for name, *_ in columns]].mean(numeric_only=True).reindex(methods)
    best = means.max()
    maps = scores.groupby("method")["n_volumes"].first() if "n_volumes" in scores else None
    rows = []
    for method in methods:
        what = "maps" if method in PER_RUN else "volumes"
        small = "" if maps is None else f"{number(maps[method], 0)} {what}"
        line = [Cell(method_label(method)), Cell(small)] if maps is not None else [Cell(method_label(method))]
        line += [
            Cell(number(value := means.loc[method, name]), strong=bool(value == best[name])) for name, *_ in columns
        ]
        rows.append(line)
    groups = [("", 1 if maps is None else 2)]
    for score in _SCORES:
        width = sum(own == score for _, own, _ in columns)
        groups += [(_SCORES[score], width)] if width else []
    headings = ["Method", *([] if maps is None else ["Candidates"]), *(heading for *_, heading in columns)]
    return Table("Figure 5 as numbers: means over templates", headings, rows, caption, groups, narrow=True)


def comparison_sentences(scores: pd.DataFrame, suffix: str = "") -> list[str]:
    """Say how the better branch does against the best filter, the context, decompositions and untrained branches.

    Parameters
    ----------
    scores : DataFrame
        ``method``, ``template`` and ``best_of_20_<score>`` with `suffix`.
    suffix : str
    """
    sentences, others = [], (*BRANCHES, *OWN_CONTEXT, *PER_RUN, *UNTRAINED)
    for score in DECIDING:
        column = f"best_of_20_{score}{suffix}"
        if column not in scores:
            continue
        means = _wide(scores, column).mean().dropna()
        network = means[[name for name in means.index if name in BRANCHES]]
        rivals = {
            "the best filter of single volumes": [n for n in means.index if n not in others],
            "the model's own linear context": [n for n in means.index if n in OWN_CONTEXT],
            "the best decomposition of the run": [n for n in means.index if n in PER_RUN],
            "the best branch of the untrained network": [n for n in means.index if n in UNTRAINED],
        }
        if network.empty or not any(rivals.values()):
            continue
        parts = []
        for kind, names in rivals.items():
            if names:
                best = str(means[names].idxmax())
                word = _against(network.max(), means[best])
                parts.append(f"{word} {kind} ({method_label(best)}, {number(means[best])})")
        sentences.append(
            f"{_SCORES[score]}, best of 20, mean over templates: the better branch has {number(network.max())}; that "
            f"is {listed(parts)}."
        )
    if not sentences:
        return ["There are no baselines to compare the network with."]
    return [
        *sentences,
        "Filter and width are the best of those tried on the same data, which favours them a little; so is the branch.",
    ]


def _against(ours: float, theirs: float) -> str:
    if abs(ours - theirs) < 0.01:
        return "level with"
    return "above" if ours > theirs else "below"


def with_baselines(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Put tables of scores one below the other; what is there already is not taken twice."""
    return pd.concat(tables, ignore_index=True).drop_duplicates(["method", "template"])

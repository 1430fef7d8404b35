"""What the network adds over what needs none: the paper's Figure 5 as picture, table and sentences."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ...derivatives.reading import Group, Run
from ...maps import BRANCHES, DECIDING, SCORE_LABELS
from ...words import capitalised, listed, number
from ..cells import of_most
from ..figures import MOST_TEMPLATES, slanted_names
from ..items import Item, Section
from ..labels import GROUP_PCA, OWN_CONTEXT, PER_RUN, UNTRAINED, method_label, numbers, ordered_methods, seconds
from ..page import Cell, Table
from ..style import WIDTH, empty, shorten, styled
from .chance import has_chance

__all__ = ["GROUP_SECTION", "RUN_SECTION"]


_LEVEL = 0.01
"""Difference of mean scores below which two methods are level."""

_SAME_RUNS = "a plain PCA of the same training runs"

_SHARED = {"fbn1": "better FBN", "untrained_fbn1": "untrained, better FBN"}
"""What methods are called of which the better branch is taken."""

_NOTHING_ADDED = (
    "In these scores the networks add nothing to a plain PCA of the runs that the model was fitted to: what they show "
    "can be had more simply."
)


def _wide(scores: pd.DataFrame, column: str) -> pd.DataFrame:
    """Give a score as (templates × methods), both in order."""
    values = scores.assign(value=numbers(scores[column]))
    wide = values.pivot_table(index="template", columns="method", values="value", aggfunc="first", dropna=False)
    templates = [name for name in dict.fromkeys(scores["template"]) if name in wide.index]
    return wide.reindex(index=templates, columns=ordered_methods(scores["method"]))


_CAPTION = (
    "Above chance: the score less the same with surrogate templates, of the better of two branches, or signs; raw: "
    "chance was not measured, and maps of different smoothness cannot be compared."
)


@styled
def comparison_figure(scores: pd.DataFrame, suffix: str = "") -> Figure:
    """Draw the scores of every method with every template: templates by methods, the best of a line framed.

    Names of scores have a `suffix` in the group's table: ``_mean``. Where chance stands beside the scores, what they
    have above it is drawn, which two branches (or signs) share: only the first of them has a column then.
    """
    of_chance = has_chance(scores, suffix)
    kind, word = ("above_best_of_20", "above chance") if of_chance else ("best_of_20", "raw")
    if of_chance:
        scores = scores[~scores["method"].astype(str).str.endswith((BRANCHES[1], "_negated"))]
    columns = {score: f"{kind}_{score}{suffix}" for score in DECIDING}
    columns = {score: column for score, column in columns.items() if column in scores}
    if not columns or scores.empty:
        return empty("There are no scores to compare.")
    wides = {score: _wide(scores, column).head(MOST_TEMPLATES) for score, column in columns.items()}
    first = next(iter(wides.values()))
    figure = Figure(figsize=(WIDTH, 1.5 + len(wides) * (0.55 + 0.24 * (len(first) + 1))))
    panels = figure.subplots(len(wides), 1, squeeze=False)[:, 0]
    for index, (axes, (score, wide)) in enumerate(zip(panels, wides.items(), strict=True)):
        names = [_SHARED.get(name, method_label(name)) if of_chance else method_label(name) for name in map(str, wide)]
        title = f"{capitalised(SCORE_LABELS[score])}, best of 20, {word}"
        _heat_map(axes, wide, title, names if index == len(wides) - 1 else [])
    return figure


def _heat_map(axes: Axes, wide: pd.DataFrame, title: str, names: list[str]) -> None:
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
    slanted_names(axes, names)
    axes.set_title(title, fontweight="bold")


def comparison_table(scores: pd.DataFrame, suffix: str = "", caption: str = "") -> Table:
    """Tabulate every method's scores, averaged over templates; the best of a column is bold."""
    of_chance = has_chance(scores, suffix)  # then that is said in place of the best of all, which tells least
    columns = [
        (f"{kind}_{score}{suffix}", score, word)
        for score in SCORE_LABELS
        for kind, word in (
            *(("best_of_20", "of 20"), ("mean", "mean")),
            ("above_best_of_20", "above") if of_chance and score in DECIDING else ("best", "best"),
        )
        if f"{kind}_{score}{suffix}" in scores
    ]
    methods, names = ordered_methods(scores["method"]), [name for name, *_ in columns]
    means = scores[names].apply(numbers).groupby(scores["method"]).mean().reindex(methods)
    best = means.max()
    counts = scores.groupby("method")["n_volumes"].first() if "n_volumes" in scores else None
    lead, rows = ["Method"] if counts is None else ["Method", "Candidates"], []
    for method in methods:
        row = [Cell(method_label(method))]
        if counts is not None:
            row.append(Cell(f"{number(counts[method], 0)} {'maps' if method in PER_RUN else 'volumes'}"))
        values = means.loc[method]
        rows.append(row + [Cell(number(values[name]), strong=bool(values[name] == best[name])) for name in names])
    widths = Counter(score for _, score, _ in columns)
    groups = [("", len(lead)), *((capitalised(SCORE_LABELS[score]), width) for score, width in widths.items())]
    headings = [*lead, *(word for *_, word in columns)]
    return Table("Figure 5 as numbers: means over templates", headings, rows, caption, groups, narrow=True)


def comparison_sentences(scores: pd.DataFrame, suffix: str = "") -> list[str]:
    """Say how the better branch does against filters, context, group PCA, decompositions, untrained branches."""
    sentences: list[str] = []
    gains: list[float] = []
    others = (*BRANCHES, *OWN_CONTEXT, *GROUP_PCA, *PER_RUN, *UNTRAINED)
    of_chance = has_chance(scores, suffix)
    for score in DECIDING:
        column = f"{'above_' if of_chance else ''}best_of_20_{score}{suffix}"
        if column not in scores:
            continue
        means = _wide(scores, column).mean().dropna()
        network = means[[name for name in means.index if name in BRANCHES]]
        rivals = {
            "the best filter of single volumes": [n for n in means.index if n not in others],
            "the model's own linear context": [n for n in means.index if n in OWN_CONTEXT],
            _SAME_RUNS: [n for n in means.index if n in GROUP_PCA],
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
        if rivals[_SAME_RUNS]:
            gains.append(network.max() - means[rivals[_SAME_RUNS]].max())
        sentences.append(
            f"{capitalised(SCORE_LABELS[score])}, best of 20, {'above chance, ' if of_chance else ''}mean over "
            f"templates: the better branch has {number(network.max())}; that is {listed(parts)}."
        )
    if not sentences:
        return ["There are no baselines to compare the network with."]
    return [
        *sentences,
        *([_NOTHING_ADDED] if gains and max(gains) < _LEVEL else []),
        "Filter and width are the best of those tried on the same data, which favours them a little; so is the branch.",
    ]


def _against(ours: float, theirs: float) -> str:
    if abs(ours - theirs) < _LEVEL:
        return "level with"
    return "above" if ours > theirs else "below"


def _run_scores(run: Run) -> pd.DataFrame:
    """Put the baselines below the network and the volume; what is there already is not taken twice."""
    tables = [run.table(name, ["method", "template"]) for name in ("overlap", "baselines") if run.has(name)]
    return pd.concat(tables, ignore_index=True).drop_duplicates(["method", "template"])


def run_sentences(run: Run) -> list[str]:
    """Say how the network does against the best baselines, and which could not be computed."""
    missing = [str(text) for text in run.sidecar("baselines").get("Warnings", []) if "leave" in str(text)]
    return [*comparison_sentences(_run_scores(run)), *missing]


def _run_table(run: Run) -> Table:
    caption = (
        "of 20: expected best of 20 candidates; mean: over all candidates; above: what best of 20 has above chance "
        "(surrogate templates), of the better of two branches or signs; best: of all candidates, which grows with "
        "their number (the paper's Figure 5 has the best IoU). smoothed²: smoothed, rectified and squared. Bold: the "
        "best method."
    )
    return comparison_table(_run_scores(run), caption=caption)


def _group_scores(group: Group) -> pd.DataFrame:
    return of_most(group.everybody("overlap", ["method", "template", "n_participants"]))


def _group_table(group: Group) -> Table:
    table = _group_scores(group)
    participants, time = number(table["n_participants"].max(), 0), seconds(table["repetition_time"].iloc[0])
    caption = (
        f"Means over templates and {participants} participants with TR {time} s. of 20: expected best of 20 "
        "candidates; mean: over all; above: what best of 20 has above chance; best: of all candidates, which grows "
        "with their number. Bold: the best method."
    )
    return comparison_table(table, "_mean", caption)


RUN_SECTION: Section[Run] = Section(
    "baselines",
    "Beside what needs no trained network",
    (
        Item(run_sentences, ("overlap", "baselines")),
        Item(
            lambda run: comparison_figure(_run_scores(run)),
            ("overlap", "baselines"),
            key="comparison",
            title="Every method with every template (the paper's Figure 5)",
            caption="Expected best of 20 candidates; brighter is better, the best method of a line is framed. "
            f"{_CAPTION} Left of the white line: the network. smoothed²: the volume smoothed with a Gaussian (σ in "
            "mm), rectified and squared. Denoised: projected on the run's components. ICA, dictionary, window ICA, "
            "encoder + LASSO: components of the run, no volumes. Context: the model's linear part alone. Group PCA: "
            "the smoothed volume, projected on principal components of the runs that the model was fitted to. "
            "Untrained: the same network before training.",
            alt="Heat map of average precision and size-matched IoU, templates against methods, with the numbers.",
        ),
        Item(_run_table, ("overlap", "baselines")),
    ),
    optional=True,
)

GROUP_SECTION: Section[Group] = Section(
    "baselines",
    "Beside what needs no trained network",
    (
        Item(lambda group: comparison_sentences(_group_scores(group), "_mean"), ("overlap",)),
        Item(
            lambda group: comparison_figure(_group_scores(group), "_mean"),
            ("overlap",),
            key="figure2",
            title="Every method with every template (the paper's Figure 5), averaged",
            caption="Best of 20 candidates, mean over participants; the best method of a line is framed. "
            f"{_CAPTION} Left of the white line: the network. smoothed²: smoothed (Gaussian, σ in mm), rectified, "
            "squared; σ chosen: the width that is best in the other participants. Untrained: the same network before "
            "training.",
            alt="Heat map of average precision and size-matched IoU, templates against methods, with the numbers.",
        ),
        Item(_group_table, ("overlap",)),
    ),
    otherwise="There is no such table.",
)

"""Comparisons of participants, reliability over repeated runs, and prediction from the code."""

from __future__ import annotations

import pandas as pd

from ...derivatives.names import group_path
from ...derivatives.reading import Group
from ...maps import DECIDING, SCORE_LABELS
from ...words import first_few, number
from ..cells import line_by_line, p_value, shown
from ..items import Item, Section
from ..labels import seconds
from ..page import Cell, Table, Text

__all__ = ["GROUP_SECTIONS", "comparison_sentences", "comparisons", "predictions", "reliability"]

MOST_ROWS = 20
"""Comparisons in the page; all are in the table's file."""

MOST_PARAGRAPHS = 4
"""More sentences than this are a list of points."""


def _in_words(family: object) -> str:
    """Name a family of outcomes without the names of columns."""
    words = str(family)
    for score in DECIDING:
        words = words.replace(score, SCORE_LABELS[score])
    return words


def comparison_sentences(group: Group) -> Text:
    """Say how many outcomes differ after correction, and whether the volume itself differs too."""
    table = group.table("comparisons", ["family", "outcome", "effect", "contrast", "p_corrected"])
    sentences = []
    for family, part in table.groupby("family", sort=False):
        hits = part[part["p_corrected"] <= 0.05]
        which = f": {first_few(hits.sort_values('p_corrected')['outcome'], 4)}" if len(hits) else ""
        sentences.append(f"{_in_words(family)}: {len(hits)} of {len(part)} outcomes with corrected p ≤ 0.05{which}.")
    sentences = [
        f"Participants were compared by {table['effect'].iloc[0]} ({table['contrast'].iloc[0]}).",
        *sentences,
        *_about_chance(table["family"].astype(str)),
        "Families that end in “no network” hold the volume itself: an effect that is there too is not the network's. "
        "Correction is within a family, not over families.",
    ]
    return Text(sentences, "list" if len(sentences) > MOST_PARAGRAPHS else "text")


def _about_chance(families: pd.Series) -> list[str]:
    """Say whether what was compared of the scores with templates is free of chance."""
    if families.str.contains(", above chance").any():
        return [
            "Scores with templates were compared by what they have above chance (surrogate templates), of the better "
            "of two branches, or signs: participants with smoother maps have higher raw scores for that alone."
        ]
    if families.str.contains(", raw").any():
        return [
            "Scores with templates were compared raw, because chance was not measured beside them: participants whose "
            "maps are smoother have higher ones for that alone."
        ]
    return []


def comparisons(group: Group) -> Table:
    """Tabulate the outcomes with the smallest p."""
    needed = ["repetition_time", "family", "outcome", "n_participants", "estimate", "statistic_name", "statistic"]
    table = group.table("comparisons", [*needed, "degrees_of_freedom", "p", "p_corrected"])
    smallest = table.dropna(subset="p").sort_values(["p_corrected", "p"], kind="stable").head(MOST_ROWS)
    return line_by_line(
        "Outcomes with the smallest p",
        smallest,
        {
            "Outcome": lambda row: Cell(str(row["outcome"]), _in_words(row["family"])),
            "TR (s)": lambda row: Cell(seconds(row["repetition_time"])),
            "Participants": shown("n_participants", 0),
            "Estimate": shown("estimate", 3),
            "Statistic": lambda row: Cell(
                f"{row['statistic_name']} = {number(row['statistic'])}", f"df {number(row['degrees_of_freedom'], 0)}"
            ),
            "p": shown("p", 4),
            "p corrected": p_value("p_corrected", 4),
        },
        "Welch's t (of several levels F) under permutation, studentised, residuals permuted after Freedman and Lane; "
        f"corrected by the maximum statistic over the family. {len(smallest)} of {len(table)} outcomes; all are in "
        f"{group_path('comparisons').name}.",
    )


def reliability(group: Group) -> Table:
    """Tabulate intraclass correlations: the median and range over each family's outcomes."""
    needed = ["repetition_time", "task", "family", "n_participants", "n_repeats", "repeats", "icc_2_1", "icc_3_1"]
    table = group.table("reliability", needed)
    rows = []
    for (repetition_time, task, family), part in table.groupby(["repetition_time", "task", "family"], sort=False):
        line = [Cell(_in_words(family), str(part["repeats"].iloc[0])), Cell(seconds(repetition_time)), Cell(str(task))]
        line += [Cell(number(part["n_participants"].max(), 0)), Cell(str(len(part)))]
        for icc in ("icc_2_1", "icc_3_1"):
            values = part[icc].dropna()
            line.append(Cell(number(values.median()), f"{number(values.min())} to {number(values.max())}"))
        rows.append(line)
    return Table(
        "Intraclass correlations over repeated runs",
        ["Measure", "TR (s)", "Task", "Participants", "Outcomes", "ICC(2,1)", "ICC(3,1)"],
        rows,
        "Median and range over outcomes. ICC(2,1): absolute agreement; ICC(3,1): consistency. Limits of every outcome "
        f"are in {group_path('reliability').name}.",
    )


def predictions(group: Group) -> Table:
    """Tabulate how well the column was predicted, from the code and from motion alone."""
    needed = ["repetition_time", "target", "source", "score", "score_name", "second_score", "second_name", "p"]
    table = group.table("predictions", [*needed, "n_participants", "n_folds", "blocked"])
    return line_by_line(
        "Cross-validated prediction",
        table,
        {
            "": lambda row: Cell(f"{row['target']} from {row['source']}"),
            "TR (s)": lambda row: Cell(seconds(row["repetition_time"])),
            "Participants": shown("n_participants", 0),
            "Folds": lambda row: Cell(f"{row['n_folds']} of {row['blocked']}"),
            "Score": lambda row: Cell(
                f"{row['score_name']} = {number(row['score'])}", f"{row['second_name']} = {number(row['second_score'])}"
            ),
            "p": shown("p", 3),
        },
        "For participants that the prediction had not seen; auc 0.5 and r 0 are chance. What motion alone predicts as "
        "well is no finding about networks.",
    )


GROUP_SECTIONS: tuple[Section[Group], ...] = (
    Section(
        "comparisons",
        "Comparisons",
        (Item(comparison_sentences, ("comparisons",)), Item(comparisons, ("comparisons",))),
        otherwise="Nothing was compared: no column to compare by was named, or it could not be tested.",
    ),
    Section(
        "reliability",
        "Reliability",
        (Item(reliability, ("reliability",)),),
        otherwise="No sessions or runs repeat within participants, so nothing is known about reliability.",
    ),
    Section(
        "predictions",
        "Prediction from the code",
        (Item(predictions, ("predictions",)),),
        otherwise="Nothing was predicted: no column to predict was named, or it could not be predicted.",
    ),
)

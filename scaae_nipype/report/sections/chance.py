"""What scores are by chance: templates that lie elsewhere, beside every score of a run and of the group."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import pandas as pd
from scipy.stats import binom

from ...derivatives.reading import Group
from ...maps import BRANCHES, DECIDING, NO_NETWORK, SCORE_LABELS
from ...words import capitalised, counted, listed, number
from ..labels import numbers, seconds
from ..page import Cell, Table

__all__ = ["above_chance", "chance_sentences", "chance_table", "group_sentences", "has_chance"]

LEVEL = 0.05
"""A score lies above chance where no more than this share of the sets of templates reach it."""

_KINDS = {"best_of_20": "best of 20 volumes", "mean": "mean over volumes"}
_NOT_MEASURED = (
    "What these maps score by chance was not measured (no sets of surrogate templates were asked for). Smooth maps "
    "match smooth templates: without chance beside them, raw scores of maps of different smoothness cannot be compared."
)


def has_chance(table: pd.DataFrame, suffix: str = "") -> bool:
    """Tell whether scores of a table, of the group's with a `suffix`, have chance beside them."""
    return any(f"above_best_of_20_{score}{suffix}" in table for score in DECIDING)


def above_chance(overlap: pd.DataFrame, score: str, kind: str, methods: tuple[str, ...] = BRANCHES) -> pd.DataFrame:
    """Give, per template, a score of the better of two methods: ``score``, ``chance``, ``above``, ``p``.

    `kind` is ``best_of_20`` or ``mean``. Templates without such a score are left out.
    """
    name = f"{kind}_{score}"
    columns = {"chance": f"chance_{name}", "above": f"above_{name}", "p": f"chance_p_{name}"}
    if not set(columns.values()) <= set(overlap):
        return pd.DataFrame(columns=["score", *columns])
    rows = overlap[overlap["method"].isin(methods)].drop_duplicates("template").set_index("template")
    found = pd.DataFrame({key: numbers(rows[column]) for key, column in columns.items()}).dropna()
    return found.assign(score=found["chance"] + found["above"])


def chance_sentences(overlap: pd.DataFrame, about: Mapping[str, Any]) -> list[str]:
    """Say for how many templates the better branch lies above chance, by how much, and how much the volume itself."""
    parts, counts = [], []
    for score, kind in product(DECIDING, _KINDS):
        own, volume = above_chance(overlap, score, kind), above_chance(overlap, score, kind, NO_NETWORK)
        if own.empty:
            continue
        hits = int((own["p"] <= LEVEL).sum())
        counts.append((hits, len(own)))
        beside = f"; the volume itself has {number(volume['above'].mean(), 3)} above chance" if len(volume) else ""
        parts.append(
            f"{capitalised(SCORE_LABELS[score])}, {_KINDS[kind]}: the better branch lies above chance for {hits} of "
            f"{len(own)} templates, in the mean by {number(own['above'].mean(), 3)} ({number(own['score'].mean(), 3)}, "
            f"chance {number(own['chance'].mean(), 3)}){beside}."
        )
    if not parts:
        return [_NOT_MEASURED]
    told = about.get("Chance")
    n_sets = f"{number(told.get('NumberOfSets'), 0)} sets" if isinstance(told, dict) else "the sets"
    by_chance = max(int(binom.ppf(1 - LEVEL, n, LEVEL)) for _, n in counts)
    verdict = (
        f"Unrelated maps as smooth would do as much: {counted(by_chance, 'template')} or fewer are within chance."
        if max(hits for hits, _ in counts) <= by_chance
        else "Of unrelated maps as smooth, one template in 20 is expected there."
    )
    return [
        *parts,
        f"Above chance: higher than with each of {n_sets} of surrogate templates, which are as smooth and as large but "
        f"lie elsewhere, the better branch chosen anew for each. {verdict}",
    ]


def chance_table(overlap: pd.DataFrame) -> Table:
    """Tabulate, per template, the score of the better branch, chance, and what it and the volume have above chance."""
    found = {score: above_chance(overlap, score, "best_of_20") for score in DECIDING}
    volume = {score: above_chance(overlap, score, "best_of_20", NO_NETWORK) for score in DECIDING}
    there = [score for score in DECIDING if len(found[score])]
    rows = []
    for template in dict.fromkeys(overlap["template"]) if there else ():
        row = [Cell(str(template))]
        for score in there:
            own, of_volume = (table.reindex([template]).iloc[0] for table in (found[score], volume[score]))
            row += [Cell(number(own["score"])), Cell(number(own["chance"]))]
            row.append(Cell(number(own["above"]), f"p {number(own['p'])}", bool(own["p"] <= LEVEL)))
            row.append(Cell(number(of_volume["above"])))
        rows.append(row)
    return Table(
        "Above chance, with every template",
        ["Template", *(["score", "chance", "above", "volume"] * len(there))],
        rows,
        "Best of 20 volumes. score: of the better branch; chance: mean of the same with surrogate templates; above: "
        "the difference, bold where the score is higher than with each set of them, and p, the share of sets that "
        "reach it; volume: what the volume itself, the better of its signs, has above its own chance.",
        [("", 1), *((capitalised(SCORE_LABELS[score]), 4) for score in there)],
        narrow=True,
    )


def group_sentences(group: Group) -> list[str]:
    """Say how far above chance scores lie over participants, with the interval."""
    table = group.everybody("above_chance", ["method", "measure", "n_participants", "above", "above_low", "above_high"])
    sentences = []
    for repetition_time, part in table.groupby("repetition_time", sort=False):
        for score in DECIDING:
            for kind, words in _KINDS.items():
                own = part[part["measure"] == f"{kind}_{score}"].drop_duplicates("method")
                named = {"fbn1": "the better branch", "volume": "the volume itself"}
                told = [
                    f"{named[str(row['method'])]} {_with_interval(row)}"
                    for _, row in own.iterrows()
                    if row["method"] in named
                ]
                if told:
                    sentences.append(
                        f"{capitalised(SCORE_LABELS[score])}, {words}, TR {seconds(repetition_time)} s: above chance "
                        f"by {listed(told)}."
                    )
    if not sentences:
        return [_NOT_MEASURED]
    return [
        "Mean over templates of the score less that with surrogate templates; in brackets the 95 % interval over "
        "participants (Student's t), where there are several.",
        *sentences,
    ]


def _with_interval(row: pd.Series) -> str:
    limits = f" [{number(row['above_low'], 3)}, {number(row['above_high'], 3)}]" if row["n_participants"] > 1 else ""
    return f"{number(row['above'], 3)}{limits}"

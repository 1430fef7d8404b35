"""What scores are by chance: templates that lie elsewhere, beside every score of a run and of the group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from scipy.stats import binom

from ...derivatives.reading import Group
from ...maps import BRANCHES, DECIDING, NO_NETWORK, SCORE_LABELS
from ...words import capitalised, counted, listed, number
from ..labels import numbers, seconds

__all__ = ["above_chance", "chance_sentences", "group_sentences", "has_chance"]

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
    for kind, words in _KINDS.items():
        for score in DECIDING:
            own = above_chance(overlap, score, kind)
            if own.empty:
                continue
            hits = int((own["p"] <= LEVEL).sum())
            counts.append((hits, len(own)))
            volume = above_chance(overlap, score, kind, NO_NETWORK)
            beside = f"; the volume itself {number(volume['above'].mean(), 3)}" if len(volume) else ""
            parts.append(
                f"{SCORE_LABELS[score]}, {words}: {hits} of {len(own)} templates, above chance by "
                f"{number(own['above'].mean(), 3)} ({number(own['score'].mean(), 3)}, chance "
                f"{number(own['chance'].mean(), 3)}){beside}"
            )
    if not parts:
        return [_NOT_MEASURED]
    told = about.get("Chance")
    n_sets = number(told.get("NumberOfSets"), 0) if isinstance(told, dict) else "the"
    by_chance = max(int(binom.ppf(0.95, n, LEVEL)) for _, n in counts)
    verdict = (
        f"That is what unrelated maps as smooth would do: {counted(by_chance, 'template')} or fewer are within chance."
        if max(hits for hits, _ in counts) <= by_chance
        else "One template in 20 is expected of unrelated maps that are as smooth."
    )
    return [
        f"Above chance, which is a higher score than with each of {n_sets} sets of surrogate templates (as smooth and "
        f"as large, but elsewhere), the better branch lies in {'; in '.join(parts)}. {verdict}"
    ]


def group_sentences(group: Group) -> list[str]:
    """Say how far above chance scores lie over participants, with the interval."""
    table = group.everybody("above_chance", ["method", "measure", "n_participants", "above", "above_low", "above_high"])
    sentences = []
    for repetition_time, part in table.groupby("repetition_time", sort=False):
        for score in DECIDING:
            for kind, words in _KINDS.items():
                own = part[part["measure"] == f"{kind}_{score}"].drop_duplicates("method").set_index("method")
                told = [
                    f"{word} {_with_interval(own.loc[method])}"
                    for method, word in (("fbn1", "the better branch"), ("volume", "the volume itself"))
                    if method in own.index
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

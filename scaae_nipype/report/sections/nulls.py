"""Null models of a run: matches against surrogate templates, dynamics against surrogates of the run."""

from __future__ import annotations

from typing import Any

import pandas as pd

from ...derivatives.reading import Run
from ...maps import LABELS
from ...words import number, percent, plural
from ..cells import abreast, first, line_by_line, p_value, shown
from ..items import Item, Section
from ..labels import methods_of, numbers
from ..page import Cell, Table
from .noise import noise_sentences

__all__ = ["RUN_SECTION", "dynamics_sentences", "dynamics_table", "lag_table", "match_sentences", "match_table"]

_MATCHES = ("method", "template", "best_score", "best_volume", "p_best", "share_matched", "cutoff")
_DYNAMICS = ("method", "family", "statistic", "observed", "surrogate_mean", "z", "p_family", "p_corrected", "in_sample")
_FAMILIES = {
    "clarity": "how clearly one template leads, how rarely each does (tested)",
    "gradual_change": "overlap of maps a lag apart",
    "sequence": "sequence of states",
    "transitions": "transitions between states",
    "dwell": "dwell times",
    "occupancy": "occupancy of states",
}
_IN_SAMPLE = {
    "yes": "In-sample: the model was fitted to this run. It knows the run, not its surrogates, so p may be too small; "
    "a model of other participants (by cross-fitting, or one that was trained elsewhere) removes this.",
    "no": "The model of this test was not fitted to this run.",
    "unknown": "Whether the model was fitted to this run is not known; if it was, p may be too small.",
}


def match_sentences(run: Run) -> list[str]:
    """Say how many templates are matched better than surrogates, from where on there is a state, and what p means."""
    table, about = run.table("matches", _MATCHES), run.sidecar("matches")
    sentences = []
    for method in methods_of(table):
        own = table[table["method"] == method].dropna(subset="p_best")
        hits = own[own["p_best"] <= 0.05]
        names = f": {', '.join(map(str, hits['template']))}" if len(hits) else ""
        sentences.append(
            f"{LABELS[method]}: the best volume of the run matches {len(hits)} of {len(own)} templates with p ≤ 0.05"
            f"{names}. 95 % of the surrogate template sets reach at most {number(own['cutoff'].max(), 3)} with a map."
        )
    n = number(about.get("NumberOfSurrogates"), 0)
    sentences.append(f"{n} sets of surrogate templates, seed {number(about.get('Seed'), 0)}.")
    sentences += [about["Meaning"]] if about.get("Meaning") else []
    if not run.has("dynamics_null"):
        sentences.append(
            "Whether the run is more than a stationary mixture was not tested: no surrogates of runs were asked for."
        )
    return sentences


def match_table(run: Run) -> Table:
    """Tabulate the best match with every template, with its p."""
    return abreast(
        "Matches with templates against surrogate templates",
        run.table("matches", _MATCHES),
        "template",
        {"Template": first("template")},
        {
            "best": lambda own: Cell(number(own["best_score"]), f"volume {number(own['best_volume'], 0)}"),
            "p": p_value("p_best"),
            "share": lambda own: Cell(percent(own["share_matched"])),
        },
        "best: highest score over the run, and its volume; p: against surrogate templates, corrected over templates "
        "and volumes, bold at 0.05 or less; share: of the kept volumes whose own p (corrected over templates) is 0.05 "
        "or less. Maps that match nothing have a share of about 5 % for all templates together.",
    )


def dynamics_sentences(run: Run) -> list[str]:
    """Say the run's p, what a rejection means, and whether the model knew the run."""
    table, about = run.table("dynamics_null", _DYNAMICS), run.sidecar("dynamics_null")
    if table.empty:
        return list(map(str, about.get("Warnings") or ["The temporal null of this run was left out."]))
    p = float(table["p_corrected"].min())
    verdict = (
        "so it is not stationary, linear and Gaussian" if p <= 0.05 else "so it is not told from a stationary mixture"
    )
    known = str(about.get("InSample", table["in_sample"].iloc[0]))
    n, seed = number(about.get("NumberOfSurrogates"), 0), number(about.get("Seed"), 0)
    sentences = [
        f"Against {n} surrogates (seed {seed}) that went through the same network the run has p = {number(p, 3)}, "
        f"{verdict}.",
        _IN_SAMPLE.get(known, _IN_SAMPLE["unknown"]) + _cross_fitted(about.get("ModelOfTest")),
    ]
    sentences += [about["Meaning"]] if about.get("Meaning") else []
    sentences += noise_sentences(about.get("Stationarity"), rejected=p <= 0.05)
    sentences += _lag_sentence(table)
    if not run.has("matches"):
        sentences.append("Whether maps match templates was not tested: no surrogate templates were asked for.")
    return sentences


def _cross_fitted(model: Any) -> str:
    """Say whose model the p is of, where it is not that of the maps."""
    if not isinstance(model, dict) or not model.get("Fold"):
        return ""
    n = model.get("NumberOfTrainingParticipants")
    return (
        f" It is that of fold {number(model['Fold'], 0)} of {number(model.get('NumberOfFolds'), 0)}, "
        f"fitted to {number(n, 0)} {plural(n, 'other participant')} (cross-fitting); the "
        "maps, and everything else, are those of the main model."
    )


def _lag_sentence(table: pd.DataFrame) -> list[str]:
    z = table.loc[table["family"] == "gradual_change", "z"].astype(float).dropna()
    if z.empty:
        return []
    return [
        f"Lag curve: z lies between {number(z.min(), 1)} and {number(z.max(), 1)}, over all lags and both branches. It "
        "is expected near 0 (up to 2 at lag 1 where the signal is slow), because surrogates keep the spectrum: such "
        "values say that gradual change needs no more than the spectrum of the run."
    ]


def dynamics_table(run: Run) -> Table:
    """Tabulate, per branch and family, the statistic that is furthest from its surrogates."""
    table = run.table("dynamics_null", _DYNAMICS).dropna(subset="z")
    furthest = []
    for method in methods_of(table):
        for family in _FAMILIES:
            own = table[(table["method"] == method) & (table["family"] == family)]
            if len(own):
                most = own.iloc[int(own["z"].abs().to_numpy().argmax())]
                furthest.append({**most, "p_family": own["p_family"].min(), "p_corrected": own["p_corrected"].min()})
    return line_by_line(
        "Dynamics against surrogates of the run",
        pd.DataFrame(furthest),
        {
            "Method": lambda row: Cell(LABELS[row["method"]]),
            "Family, and its furthest statistic": lambda row: Cell(
                _FAMILIES[row["family"]], str(row["statistic"]).replace("_", " ")
            ),
            "Run": shown("observed", 3),
            "Surrogates": shown("surrogate_mean", 3),
            "z": shown("z", 1),
            "p family": shown("p_family", 3),
            "p corrected": p_value("p_corrected"),
        },
        "z: distance from the mean of the surrogates, in their SD. p family: of the tested family by the mean of its "
        "members, upward, against the larger of both branches; of the others the smallest by the maximum statistic "
        "over members and branches. p corrected: the larger of that and the p of the tested family, "
        f"because others are looked into only where that one rejects. All statistics are in "
        f"{run.path('dynamics_null').name}.",
    )


def lag_table(run: Run) -> Table:
    """Tabulate the lag curve of the run and its surrogates."""
    table = run.table("dynamics_null", _DYNAMICS)
    curve = table[table["family"] == "gradual_change"].copy()
    curve["lag"] = numbers(curve["statistic"].astype(str).str.removeprefix("iou_lag"))
    curve = curve.dropna(subset="lag").astype({"lag": int}).sort_values("lag", kind="stable")
    seconds = run.repetition_time

    def lag(part: pd.DataFrame) -> Cell:
        volumes = part["lag"].iloc[0]
        return Cell(f"{volumes} ({volumes * seconds:.1f} s)" if seconds else str(volumes))

    return abreast(
        "Lag curve against surrogates",
        curve,
        "lag",
        {"Lag": lag},
        {"run": shown("observed", 3), "surrogates": shown("surrogate_mean", 3), "z": shown("z", 1)},
        "Mean IoU of two maps this many volumes apart. z near 0 is expected, up to 2 at lag 1 of a slow signal.",
    )


RUN_SECTION: Section[Run] = Section(
    "nulls",
    "Null models",
    (
        Item(match_sentences, ("matches",), as_list=True),
        Item(match_table, ("matches",)),
        Item(dynamics_sentences, ("dynamics_null",), as_list=True),
        Item(dynamics_table, ("dynamics_null",)),
        Item(lag_table, ("dynamics_null",)),
    ),
    optional=True,
)

"""The judge's tables at a glance: what lies above chance, class by class, and the networks less the best of theirs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.judge import people
from benchmarks.judge.network import IN_TIME, JUDGED
from benchmarks.judge.report import AS_IT_IS, NAMES, bar_of, complete, frame_of, interval, parts_of, row, scored
from benchmarks.judge.rivals import CLASSES, RIVALS, Sees

__all__ = ["glance"]

PLANTS = {
    "regions exclusive 0.5 alike simulated": "regions, everybody alike",
    "parcels exclusive 0.5 6mm restless": "parcels, people differ by 6 mm",
}
"""Plants that have a line, and what they are called; other plants have none."""

SIZES = (3, 24)
"""Numbers of other runs that have a line, those of the levels; the tables have all."""

SCORE = "average_precision"
AVERAGED = "best_of_20_average_precision"

HEADING = """Average precision: above chance (score). Of planted networks, the best of a class was chosen on tuning
seeds; of people, it is the best on these very people, which favours it."""

SHOWN = (*JUDGED, IN_TIME)

REST = """The rest of the grid, few seeds each: the default network, and less the best rival of its class, above chance,
with the lowest and the highest seed in brackets (an interval of two seeds says little). More is better, in transition
errors too."""

LESS = """The networks less the best of their class (B; with neighbours in time, D), above chance, with 95 % intervals
(planted: Student's t over seeds; people: bootstrap over people, then templates, and the PCA of rank 12). More is
better, in transition errors too."""


def glance(known: Mapping[str, Mapping[str, Any]], of_people: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Give the lines of both tables.

    Parameters
    ----------
    known, of_people : mapping
        Results of planted networks, and of people.
    """
    frame = frame_of(known)
    frame = complete(frame) if not frame.empty else frame
    parts = parts_of(frame) if not frame.empty else []
    cells = [(plant, others) for plant, others in parts if plant in PLANTS and others in SIZES]
    tables = {summary: people.table_of(of_people, summary) for summary in people.SUMMARIES}
    yield f"{HEADING}\n"
    yield row(["data, other runs", *(_short(name) for name in SHOWN), *(f"best of {c[0]}" for c in CLASSES.values())])
    yield row(["---"] * (1 + len(SHOWN) + len(CLASSES)))
    for plant, others in cells:
        yield row([f"{PLANTS[plant]}, {others}", *_levels(scored(frame, plant, others, SCORE))])
    if tables[AVERAGED]:
        yield row(["six people, best of 20 volumes, 3", *_levels_of_people(tables[AVERAGED])])
    yield f"\n{LESS}\n"
    yield row(["data, other runs", "network", *NAMES.values()])
    yield row(["---"] * (2 + len(NAMES)))
    for plant, others in cells:
        scores = {score: scored(frame, plant, others, score) for score in NAMES}
        for name in SHOWN:
            yield row([f"{PLANTS[plant]}, {others}", _short(name), *(_less(scores[s], name, s) for s in NAMES)])
    yield from _people_less(tables)
    rest = [(plant, others) for plant, others in parts if (plant, others) not in cells]
    if rest:
        yield f"\n{REST}\n"
        yield from _rest(frame, rest)


def _rest(frame: pd.DataFrame, parts: Sequence[tuple[str, int]]) -> Iterator[str]:
    """Give the default network in the other cells of the grid."""
    default = JUDGED[-1]
    yield row(["planted, other runs", "seeds", _short(default), "best of B", *NAMES.values()])
    yield row(["---"] * (4 + len(NAMES)))
    for plant, others in parts:
        scores = {score: scored(frame, plant, others, score) for score in NAMES if score in frame}
        means = scores[SCORE].groupby("family")["above"].mean()
        bar = bar_of(scores[SCORE], ("others",), SCORE)
        if default not in means or bar not in means:
            continue
        seeds = scores[SCORE]["seed"].nunique()
        cells = [f"{_called(plant)}, {others}", str(seeds), f"{means[default]:.3f}", f"{bar} {means[bar]:.3f}"]
        yield row([*cells, *(_less_by_seed(scores[score], default, score) for score in NAMES)])


def _called(plant: str) -> str:
    """Say what is planted.

    >>> _called("parcels exclusive 0.5 6mm restless")
    'parcels, exclusive states, SNR 0.5, people differ by 6 mm, restless noise'
    """
    generator, regime, snr, people_are, noise = plant.split()
    differ = {"alike": "everybody alike", "0mm": "people differ in all but place"}
    alike = differ.get(people_are, f"people differ by {people_are.removesuffix('mm')} mm")
    noises = {"simulated": [], "residuals": ["noise of real people"]}
    states = {"exclusive": "exclusive states", "deactivations": "deactivated partners"}.get(regime, regime)
    said = [generator, states, f"SNR {snr}", alike, *noises.get(noise, [f"{noise} noise"])]
    return ", ".join(said)


def _short(name: str) -> str:
    if name == IN_TIME:
        return "`pointwise`, neighbours in time"
    return "`pointwise` (default)" if "pointwise" in name else "`contextual`"


def _levels(scores: pd.DataFrame) -> Iterator[str]:
    means = scores.groupby("family")[["above", "score"]].mean()
    bars = [bar_of(scores, (sees,), SCORE) for sees in CLASSES]
    for name in (*SHOWN, *bars):
        if name is None or name not in means.index:
            yield "–"
        else:
            lead = "" if name in SHOWN else f"{name} "
            yield f"{lead}{means.loc[name, 'above']:.3f} ({means.loc[name, 'score']:.3f})"


def _levels_of_people(table: people.Table) -> Iterator[str]:
    families = {method: method.partition(" | ")[0] for method in table}

    def cell(method: str, lead: str = "") -> str:
        score, chance = table[method]
        return f"{lead}{(score - chance).mean():.3f} ({score.mean():.3f})"

    for name in SHOWN:
        yield next((cell(method) for method, family in families.items() if family == name), "–")
    for sees in CLASSES:
        own = [method for method, family in families.items() if family in _rivals_of(sees)]
        best = max(own, key=lambda method: float(np.subtract(*table[method]).mean()), default=None)
        yield "–" if best is None else cell(best, f"{families[best]} ")


def _rivals_of(sees: Sees) -> Sequence[str]:
    return [rival.name for rival in RIVALS if rival.sees == sees]


def _less(scores: pd.DataFrame, name: str, score: str) -> str:
    return interval(less) if (less := _differences(scores, name, score)) is not None else "–"


def _less_by_seed(scores: pd.DataFrame, name: str, score: str) -> str:
    less = _differences(scores, name, score)
    return "–" if less is None or less.empty else f"{less.mean():+.3f} ({less.min():+.3f}, {less.max():+.3f})"


def _differences(scores: pd.DataFrame, name: str, score: str) -> pd.Series | None:
    """Give a network less the best rival that sees as much, by seed; more is better."""
    bar = bar_of(scores, ("all" if name == IN_TIME else "others",), score)
    column, sign = ("score", -1) if score in AS_IT_IS else ("above", 1)
    wide = scores.pivot_table(index="seed", columns="family", values=column)
    return sign * (wide[name] - wide[bar]).dropna() if {name, bar} <= set(wide) else None


def _people_less(tables: Mapping[str, people.Table]) -> Iterator[str]:
    """Give, of people, the networks less a PCA of the same runs: mean over volumes where a score has no best of 20."""
    shown = {SCORE: AVERAGED, "size_matched_iou": "mean_size_matched_iou", "r": "best_of_20_r"}
    first = tables[AVERAGED]
    pca = next((method for method in first if method.startswith("group PCA | ") and "rank=12" in method), None)
    for name in SHOWN if pca else ():
        own = next((method for method in first if method.partition(" | ")[0] == name), None)
        if own:
            cells = [_difference(tables[shown[s]], own, str(pca)) if s in shown else "–" for s in NAMES]
            yield row(["six people (AP and r best of 20, IoU mean), 3", _short(name), *cells])


def _difference(table: people.Table, one: str, other: str) -> str:
    mean, low, high = people.bootstrap(np.subtract(*table[one]) - np.subtract(*table[other]))
    return f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]"

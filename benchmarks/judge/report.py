"""The judge's tables, in Markdown: ``python -m benchmarks.judge report``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student

from benchmarks.judge.bounds import BOUND_OF_CLASS, share_of_way
from benchmarks.judge.network import IN_TIME, JUDGED, NETWORKS
from benchmarks.judge.rivals import CLASSES, RIVALS, Rival, Sees
from benchmarks.judge.scores import LOWER_IS_BETTER
from benchmarks.judge.search import SEARCH
from benchmarks.judge.seeds import REPORTED, TUNING, choose_settings, require
from scaae_nipype.words import listed

__all__ = [
    "AS_IT_IS",
    "NAMES",
    "bar_of",
    "chosen_scores",
    "complete",
    "frame_of",
    "interval",
    "parts_of",
    "report",
    "row",
    "scored",
]

NAMES = {
    "average_precision": "AP",
    "size_matched_iou": "size-matched IoU",
    "r": "r",
    "state_accuracy": "state accuracy",
    "transition_error": "transition error",
    "amplitude_r": "amplitude r",
}

AS_IT_IS = ("transition_error",)
"""Scores that are compared as they are: by chance, methods that change seldom make few errors, and subtracting that
would punish them for being steady."""

READING = """Each cell: the score, and how far it is above chance (for the transition error: below). Chance is the
same score with surrogates of the planted networks that lie elsewhere, the better branch and the sign chosen for them
too. Every score has the setting that tuning seeds chose for it; the setting shown is that for AP. The way: which part
of the way in AP from the volume itself to the bound of the class was gone, where the bound knows the planted maps.
"""


def frame_of(known: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Lay out what is kept: a row per plant, seed, number of others, family and setting; chance in ``chance_…``.

    >>> frame_of({"p | 20 | 3": {"PCA | rank=2": {"r": 0.5, "chance": {"r": 0.1}}}}).to_dict("records")[0]["chance_r"]
    0.1
    """
    rows = []
    for key, methods in known.items():
        plant, seed, others = key.split(" | ")
        for method, values in methods.items():
            family, _, setting = method.partition(" | ")
            scores = {name: value for name, value in values.items() if name != "chance"}
            chance = {f"chance_{name}": value for name, value in values.get("chance", {}).items()}
            about = {"plant": plant, "seed": int(seed), "others": int(others), "family": family, "setting": setting}
            rows.append(about | scores | chance)
    return pd.DataFrame(rows)


def complete(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep, of each plant and number of others, the reported seeds that have all methods.

    A method of the search, or a network that is fitted to more than the others, counts only where it is there for all
    of these seeds; else it is left out.

    >>> known = {f"p | {seed} | 3": {"group PCA | rank=2": {"r": 0.5}, "SCAAE | ": {"r": 0.6}} for seed in (20, 21)}
    >>> known["p | 22 | 3"] = {"group PCA | rank=2": {"r": 0.4}}
    >>> complete(frame_of(known))["seed"].unique().tolist()
    [20, 21]
    >>> known["p | 20 | 3"] |= {"SCAAE, preset pointwise, of the run itself and others | ": {"r": 0.7}}
    >>> complete(frame_of(known))["seed"].unique().tolist()
    [20, 21]
    """
    parts = []
    extra = {one.name for one in (*SEARCH, *NETWORKS)} - {*JUDGED, IN_TIME}
    for _, part in frame.groupby(["plant", "others"], sort=False):
        reported = part["seed"].isin(REPORTED)
        there = pd.crosstab(part.loc[reported, "seed"], part.loc[reported, "family"]) > 0
        usual = there[[name for name in there if name not in extra]]
        there = there[usual.all(axis=1)]
        kept = [name for name in there if there[name].all()]
        whole = part["seed"].isin(there.index) & part["family"].isin(kept)
        parts.append(part[~reported | whole])
    return pd.concat(parts) if parts else frame


def chosen_scores(part: pd.DataFrame, score: str) -> pd.DataFrame:
    """Give, of one plant and number of others, each family's reported scores with the setting tuning seeds chose.

    Parameters
    ----------
    part : DataFrame
        Rows of `frame_of`.
    score : str

    Returns
    -------
    DataFrame
        Rows of reported seeds: ``seed``, ``family``, ``setting``, ``score``, ``above`` (chance; more is better), and
        ``tuned``: the mean of the score on tuning seeds, NaN for what has no settings to choose.
    """
    lower = score in LOWER_IS_BETTER
    tuning, reported = part[part["seed"].isin(TUNING)], part[~part["seed"].isin(TUNING)]
    require(reported["seed"].unique(), REPORTED, "reporting")
    chosen = choose_settings(tuning, score, lowest=lower)
    tuned = tuning.groupby(["family", "setting"])[score].mean()
    rows = []
    for family, own in reported.groupby("family", sort=False):
        settings = own["setting"].unique()
        setting = chosen.get(str(family), settings[0] if len(settings) == 1 else None)
        own = own[own["setting"] == setting].dropna(subset=[score])
        above = (own[score] - own[f"chance_{score}"]) * (-1 if lower else 1)
        rows.append(
            pd.DataFrame(
                {
                    "seed": own["seed"],
                    "family": family,
                    "setting": setting,
                    "score": own[score],
                    "above": above,
                    "tuned": tuned.get((family, setting), np.nan),
                }
            )
        )
    columns = ["seed", "family", "setting", "score", "above", "tuned"]
    return pd.concat(rows) if rows else pd.DataFrame(columns=columns)


def bar_of(scores: pd.DataFrame, sees: Sequence[Sees], score: str) -> str | None:
    """Name the best rival of some classes, by its score on tuning seeds."""
    names = [rival.name for rival in RIVALS if rival.sees in sees]
    tuned = scores[scores["family"].isin(names)].groupby("family")["tuned"].first().dropna()
    if tuned.empty:
        return None
    return str(tuned.idxmin() if score in LOWER_IS_BETTER else tuned.idxmax())


def interval(differences: pd.Series | np.ndarray) -> str:
    """Write a mean difference with its 95 % interval (Student's t over seeds).

    >>> interval(np.array([0.1, 0.2, 0.3]))
    '+0.200 [-0.048, +0.448]'
    """
    values = np.asarray(differences, dtype=float)
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return f"{values.mean():+.3f} [one seed]" if len(values) else "–"
    half = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():+.3f} [{values.mean() - half:+.3f}, {values.mean() + half:+.3f}]"


def report(known: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Give the lines of all tables: where the network stands, then every method of every class."""
    frame = frame_of(known)
    if not frame.empty:
        require(set(frame["seed"]) - set(TUNING), REPORTED, "reporting")
        frame = complete(frame)
    if frame.empty or not frame["seed"].isin(REPORTED).any():
        yield "Nothing was reported yet."
        return
    cells = parts_of(frame)
    yield "## The network against the best of its class\n"
    yield from _verdict(frame, cells)
    for plant in dict.fromkeys(plant for plant, _ in cells):
        sizes = [others for own, others in cells if own == plant]
        yield f"\n## {plant}\n"
        yield f"Seeds: {'; '.join(_seeds(frame, plant, size) for size in sizes)}.\n"
        if _part(frame, plant, 0, reported=True).empty:
            yield "Methods that see no other runs (classes A and C, bounds) were not scored here.\n"
        yield READING
        yield from _classes(frame, plant, sizes)


def _seeds(frame: pd.DataFrame, plant: str, others: int) -> str:
    """Say which seeds a size of study has, and which its settings were chosen on."""
    reported = sorted(_part(frame, plant, others, reported=True)["seed"].unique())
    tuned = listed(_tuned_on(frame, plant, others))
    return f"{listed(reported)} with {others} other runs (settings chosen on {tuned})"


def _tuned_on(frame: pd.DataFrame, plant: str, others: int) -> list[int]:
    seeds = _part(frame, plant, others)["seed"]
    return sorted(seeds[seeds.isin(TUNING)].unique())


def parts_of(frame: pd.DataFrame) -> list[tuple[str, int]]:
    """Give the plants that have reported seeds, each with its numbers of other runs."""
    return [
        (str(plant), int(others))
        for plant in frame["plant"].unique()
        for others in sorted(frame["others"].unique())
        if others and not _part(frame, plant, others, reported=True).empty
    ]


def _part(frame: pd.DataFrame, plant: str, others: int, *, reported: bool = False) -> pd.DataFrame:
    """Take one plant and number of others; rivals that see none are in all of them."""
    part = frame[(frame["plant"] == plant) & (frame["others"] == others)]
    return part[part["seed"].isin(REPORTED)] if reported else part


def scored(frame: pd.DataFrame, plant: str, others: int, score: str) -> pd.DataFrame:
    """Give what `chosen_scores` does of no other runs and of so many, on the seeds that have both."""
    parts = [chosen_scores(_part(frame, plant, own), score) for own in sorted({0, others})]
    filled = [part for part in parts if not part.empty]
    if not filled:
        return parts[0]
    seeds = set.intersection(*(set(part["seed"]) for part in filled))
    found = pd.concat(filled)
    return found[found["seed"].isin(seeds)]


def _shown(frame: pd.DataFrame, plant: str) -> list[str]:
    own = frame[(frame["plant"] == plant) & frame["seed"].isin(REPORTED)]
    return [score for score in NAMES if score in own and own[score].notna().any()]


def row(cells: Sequence[str]) -> str:
    """Write a line of a table."""
    return f"| {' | '.join(cells)} |"


def _verdict(frame: pd.DataFrame, cells: Sequence[tuple[str, int]]) -> Iterator[str]:
    """Give the networks less the best of their class, and less the best of all classes, for each score."""
    yield "Scores, and differences above chance: mean over seeds [95 % interval, Student's t]. The transition error is"
    yield "compared as it is, fewer errors positive: by chance, methods that change seldom make few, and subtracting"
    yield "that would punish them for being steady. The best of a class is the best on tuning seeds, for each score. In"
    yield "brackets behind a score: the way from the volume itself to the bound of the class that was gone. Seeds:"
    yield "how many were reported, and in brackets how many settings were chosen on.\n"
    heads = ["plant, other runs", "seeds", "score", "network", "best of its class", "less it", "best of all", "less it"]
    yield row(heads)
    yield row(["---"] * len(heads))
    shown_networks = (*JUDGED, IN_TIME, *(one.name for one in SEARCH))
    for plant, others in cells:
        n_tuning = len(_tuned_on(frame, plant, others))
        for score in _shown(frame, plant):
            scores = scored(frame, plant, others, score)
            wide = scores.pivot_table(index="seed", columns="family", values="above")
            if score in AS_IT_IS:
                wide = -scores.pivot_table(index="seed", columns="family", values="score")
            for network in (one for one in (*NETWORKS, *SEARCH) if one.needs_others and one.name in shown_networks):
                if network.name in wide:
                    cells = [f"{plant}, {others}", f"{len(wide)} ({n_tuning})", NAMES[score]]
                    yield row([*cells, *_against(scores, wide, network, score)])


def _against(scores: pd.DataFrame, wide: pd.DataFrame, network: Rival, score: str) -> Iterator[str]:
    """Give the cells that hold a network against the best rival of its class, and of all classes."""
    yield f"{network.name} {_with_way(scores, network.name, network.sees)}"
    for sees in ((network.sees,), tuple(CLASSES)):
        bar = bar_of(scores, sees, score)
        if bar is None or bar not in wide:
            yield from ("–", "–")
            continue
        sees_bar = next(rival.sees for rival in RIVALS if rival.name == bar)
        yield f"{bar} {_with_way(scores, bar, sees_bar)}"
        yield interval((wide[network.name] - wide[bar]).dropna())


def _with_way(scores: pd.DataFrame, family: str, sees: Sees) -> str:
    """Write a mean score, and which part of the way from the volume to the bound of a class it went."""
    means = scores.groupby("family")["score"].mean()
    ends = [means.get("volume", np.nan), means.get(f"bound: {BOUND_OF_CLASS[sees]}", np.nan)]
    way = share_of_way(means[family], *ends)
    return f"{means[family]:.3f} ({way:.0%})" if np.isfinite(way) else f"{means[family]:.3f}"


def _classes(frame: pd.DataFrame, plant: str, sizes: Sequence[int]) -> Iterator[str]:
    """Give the tables of the classes of one plant: every method, every score; bounds at the end."""
    shown = _shown(frame, plant)
    for sees, title in CLASSES.items():
        needs = sees in ("others", "all")
        for others in sizes if needs else [0]:
            if _part(frame, plant, others, reported=True).empty:
                continue
            yield f"### {title}{f', {others} runs' if needs else ''}\n"
            yield row(["method (setting for AP)", *(NAMES[score] for score in shown), "way"])
            yield row(["---"] * (len(shown) + 2))
            families = [rival.name for rival in RIVALS if rival.sees == sees]
            families += [network.name for network in (*NETWORKS, *SEARCH) if network.sees == sees]
            yield from _lines(frame, plant, others, families, shown, BOUND_OF_CLASS[sees])
            yield ""
    if _part(frame, plant, 0, reported=True).empty:
        return
    yield "### Bounds: planted maps known\n"
    yield row(["bound (setting for AP)", *(NAMES[score] for score in shown), "way"])
    yield row(["---"] * (len(shown) + 2))
    bounds = [str(name) for name in frame["family"].unique() if str(name).startswith("bound: ")]
    yield from _lines(frame, plant, 0, bounds, shown, None)


def _lines(
    frame: pd.DataFrame, plant: str, others: int, families: Sequence[str], shown: Sequence[str], bound: str | None
) -> Iterator[str]:
    """Give one line a method, the best in AP first."""
    scores = {score: scored(frame, plant, others, score) for score in shown}
    means = {score: table.groupby("family")[["score", "above"]].mean() for score, table in scores.items()}
    precision = means["average_precision"]
    settings = scores["average_precision"].groupby("family")["setting"].first()
    known = [name for name in families if name in precision.index]
    for name in sorted(known, key=lambda one: -precision.loc[one, "score"]):
        label = f"{name} ({settings[name]})" if settings[name] else name
        cells = [label]
        for score in shown:
            values = means[score]
            there = name in values.index
            cells.append(f"{values.loc[name, 'score']:.3f} / {values.loc[name, 'above']:.3f}" if there else "–")
        way = "–"
        if bound and f"bound: {bound}" in precision.index and "volume" in precision.index:
            ends = [precision.loc[end, "score"] for end in ("volume", f"bound: {bound}")]
            way = f"{share_of_way(precision.loc[name, 'score'], *ends):.0%}"
        yield row([*cells, way])

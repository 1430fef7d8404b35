"""What the numbers say, in plain sentences: warnings before the figures, and one conclusion below each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..derivatives.reading import Run
from ..maps import BRANCHES, DECIDING, LABELS, NO_NETWORK, SCORE_LABELS
from ..words import listed, number, percent
from .page import Banner

__all__ = [
    "CHANNEL_RANGE",
    "DENSE",
    "SIGN_AGREEMENT",
    "STEADY",
    "banners",
    "branch_sentences",
    "channel_limits",
    "channel_sentence",
    "gradual_sentences",
    "is_inverted",
    "overlap_sentences",
    "region_sentences",
    "template_sentences",
]

SIGN_AGREEMENT = 0.9
"""A branch whose sign fewer volumes than this share agree with is flagged."""

DENSE = 0.6
"""A branch that marks more than this share of the region, on average, is saturated."""

CHANNEL_RANGE = 0.1
"""Channel weights that stay within a range narrower than this select nothing."""

STEADY = 0.01
"""Channel weights whose SD over time stays below this do not follow the data."""

MOST_LISTED, SMALLEST = 24, 8
"""Templates whose voxels are listed one by one; of more, so many of the smallest are."""

RECONSTRUCTION = "mean squared error"
"""How the card of a model that was trained to reconstruct its input begins to describe its loss."""

SEEDS_AGREE = (0.22, 0.44)
"""Lowest and highest mean correlation of maps of two such models, among three; ``python -m benchmarks.ablations``."""


def _branches_are(indices: Iterable[int], what: str) -> str:
    which = sorted(set(indices))
    return f"Branch{'es' if len(which) > 1 else ''} {listed(which)} {'are' if len(which) > 1 else 'is'} {what}"


def branch_sentences(branches: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say what each branch marks where that is known by design, and what follows for its states.

    >>> branch_sentences([{"Marks": "above the mean"}, {"Sign": 1}])
    []
    """
    marks = [str(branch.get("Marks", "")) for branch in branches]
    if not marks or not all(marks):
        return []
    told = ", ".join(f"branch {number} what is {what}" for number, what in enumerate(marks[1:], start=2))
    sentence = f"Branch 1 marks what is {marks[0]}{', ' if told else ''}{told} of a voxel over the run."
    below = [number for number, what in enumerate(marks, start=1) if what.startswith("below")]
    if below:
        sentence += f" A network or state of branch {below[0]} is less active than usual at that moment, not more."
    return [sentence]


def _below(value: object, limit: float) -> bool:
    return isinstance(value, int | float) and value < limit


def _above(value: object, limit: float) -> bool:
    return isinstance(value, int | float) and value > limit


def banners(runs: Sequence[Run], cards: Mapping[str, Mapping[str, Any]]) -> list[Banner]:
    """Collect what a reader must know before looking at the figures.

    Parameters
    ----------
    runs : sequence of Run
    cards : mapping
        Model name to model card.
    """
    found = [*_undertrained(runs, cards), *_left_to_the_seed(cards)]
    branches = [(run, index, branch) for run in runs for index, branch in enumerate(run.branches, start=1)]
    flagged = [(r, i, b) for r, i, b in branches if b.get("Flagged") or _below(b.get("SignAgreement"), SIGN_AGREEMENT)]
    if flagged:
        told = [f"branch {i} ({percent(b.get('SignAgreement'))} of the volumes agree)" for _, i, b in flagged]
        found.append(
            Banner(
                f"The sign of {listed(dict.fromkeys(told))} is uncertain",
                "A branch can come out inverted; its sign is judged by its correlation with the input volumes. Here "
                f"fewer than {percent(SIGN_AGREEMENT)} of the volumes agree on it: in part of the volumes this branch "
                "shows deactivation as activation, or nothing that follows the data. Do not interpret its polarity.",
            )
        )
    against = [index for _, index, branch in branches if is_inverted(branch)]
    if against:
        found.append(
            Banner(
                _branches_are(against, "inverted"),
                "It runs against the input volumes, and in paper mode no sign is applied, as in the published code: "
                "what it shows as active is deactivated. The calibrated mode turns such a branch round.",
            )
        )
    dense = [(r, i, b) for r, i, b in branches if _above(b.get("MeanDensity"), DENSE)]
    if dense:
        which = "; ".join(f"{r.title}, branch {i}: {percent(b['MeanDensity'])}" for r, i, b in dense)
        found.append(
            Banner(
                _branches_are((index for _, index, _ in dense), "saturated"),
                f"On average more than {percent(DENSE)} of the brain is marked in a volume ({which}). Such a map is no "
                "network: it overlaps everything, its IoU with any template is bounded by the template's small size, "
                "and its overlap from volume to volume is high whatever the brain does.",
            )
        )
    flat = [(run, limits) for run in runs if (limits := channel_limits(run)) and limits[1] - limits[0] < CHANNEL_RANGE]
    if flat:
        which = "; ".join(f"{run.title}: {number(low)} to {number(high)}" for run, (low, high) in flat)
        found.append(
            Banner(
                "Channel attention selects nothing",
                f"All channel weights of all volumes lie within a range narrower than {CHANNEL_RANGE} ({which}): "
                "every channel enters the network map with nearly the same weight. The maps are then what a fixed "
                "local filter of the volume gives; nothing is chosen automatically.",
            )
        )
    return found


def is_inverted(branch: Mapping[str, Any]) -> bool:
    """Tell whether a branch runs against its volumes and was left so (paper mode)."""
    return "Marks" not in branch and branch.get("Sign") == 1 and branch.get("MeasuredSign") == -1


def _undertrained(runs: Sequence[Run], cards: Mapping[str, Mapping[str, Any]]) -> list[Banner]:
    names = [name for name, card in cards.items() if card.get("Training", {}).get("Undertrained")]
    names += [str(run.model.get("ModelName", "without a name")) for run in runs if run.model.get("Undertrained")]
    if not names:
        return []
    text = (
        "It has seen too few volumes for its maps to have settled: branches may still be inverted or mark most of the "
        "brain. These maps show that the processing works; do not interpret them. Train on more runs or for longer, "
        "or apply a model that was."
    )
    return [Banner(f"The model is undertrained ({listed(dict.fromkeys(names))})", text)]


def _left_to_the_seed(cards: Mapping[str, Mapping[str, Any]]) -> list[Banner]:
    trained = [
        name for name, card in cards.items() if str(card.get("Training", {}).get("Loss", "")).startswith(RECONSTRUCTION)
    ]
    if not trained:
        return []
    low, high = (number(r) for r in SEEDS_AGREE)
    return [
        Banner(
            f"Another seed may give other networks ({listed(dict.fromkeys(trained))})",
            "A network that is trained to reconstruct volumes is free in what its branches mark. On simulated runs, "
            f"maps of trainings that differ in nothing but their seed correlated at {low} to {high} on average. Train "
            "again with another seed, and interpret what stays.",
        )
    ]


def channel_limits(run: Run) -> tuple[float, float] | None:
    """Lowest and highest channel weight of a run, as its sidecars tell; None where they do not."""
    limits = run.model.get("ChannelWeightRange")
    if not isinstance(limits, list) or len(limits) != 2 or not all(isinstance(v, int | float) for v in limits):
        return None
    return float(limits[0]), float(limits[1])


def channel_sentence(weights: np.ndarray) -> str:
    """Say how far the channel weights spread.

    Parameters
    ----------
    weights : float array, (T, n_channels)
        NaN where a volume was dropped.

    >>> channel_sentence(np.array([[0.5, 0.52], [np.nan, np.nan]]))[:49]
    'The weights lie between 0.50 and 0.52 (a range of'
    """
    kept = weights[np.isfinite(weights).all(axis=1)]
    if not kept.size:
        return "No volume was kept."
    low, high = float(kept.min()), float(kept.max())
    over_time = float(kept.std(axis=0).mean())
    verdict = "so nothing was selected" if high - low < CHANNEL_RANGE else "on a scale from 0 (off) to 1 (fully on)"
    steady = ": the same channels count the same in every volume" if over_time < STEADY else ""
    return (
        f"The weights lie between {number(low)} and {number(high)} (a range of {number(high - low)}), {verdict}; "
        f"within a channel they vary over time by an SD of {number(over_time, 3)} on average{steady}."
    )


def _better(overlap: pd.DataFrame, score: str, statistic: str) -> pd.DataFrame:
    """Per template, the better branch of the network against the better sign of the volume."""
    wide = overlap.pivot_table(index="template", columns="method", values=f"{statistic}_{score}", aggfunc="first")
    wide = wide.reindex(columns=[*BRANCHES, *NO_NETWORK]).astype(float)
    both = pd.DataFrame({"network": wide[list(BRANCHES)].max(axis=1), "volume": wide[list(NO_NETWORK)].max(axis=1)})
    return both.dropna()


def template_sentences(about: Mapping[str, Any]) -> list[str]:
    """Say what networks were compared with: source, kind and what told it, voxels of each template.

    Parameters
    ----------
    about : mapping
        Sidecar of the overlap table.
    """
    return _what_was_taken(about, "Templates", "TemplateKind", "Template", "Compared with")


def region_sentences(about: Mapping[str, Any]) -> list[str]:
    """Say what regions networks were averaged over, as `template_sentences`.

    Parameters
    ----------
    about : mapping
        Sidecar of a table of regions.
    """
    return _what_was_taken(about, "Atlas", "AtlasKind", "Region", "Averaged over")


_KINDS = {
    "labels": "labels of one image",
    "continuous": "continuous maps, each cut at 0.3 of its maximum in the model's brain mask",
    "thresholded": "maps that were thresholded before, of which all above 0 counts",
}


def _what_was_taken(about: Mapping[str, Any], source: str, kind: str, what: str, verb: str) -> list[str]:
    told = about.get(f"{what}Voxels")
    voxels = {name: count for name, count in (told if isinstance(told, dict) else {}).items() if isinstance(count, int)}
    if not about.get(source) or not voxels:
        return []
    reason = f"; {about[f'{kind}Reason']}" if about.get(f"{kind}Reason") else ""
    of_kind = _KINDS.get(str(about.get(kind)), "of a kind that was not recorded")
    shares = about.get(f"{what}ShareInModelMask")
    shares = shares if isinstance(shares, dict) else {}
    first = f"{verb} {about[source]}: {len(voxels)} {of_kind}{reason}."
    smallest = sorted(voxels, key=lambda name: voxels[name])
    many = len(voxels) > MOST_LISTED
    listed = ", ".join(
        f"{name} {voxels[name]}" + (f" ({percent(shares[name])})" if shares.get(name) is not None else "")
        for name in (smallest[:SMALLEST] if many else voxels)
    )
    span = f"{voxels[smallest[0]]} to {voxels[smallest[-1]]}; the smallest {SMALLEST}: " if many else ""
    note = " (share of its own voxels that the model's brain mask holds)" if shares else ""
    return [first, f"Voxels of each in the evaluation region{note}: {span}{listed}."]


def overlap_sentences(overlap: pd.DataFrame) -> list[str]:
    """Say for how many templates the network's maps beat the volume itself, in the scores that decide.

    Parameters
    ----------
    overlap : DataFrame
        The overlap table with columns ``method``, ``template`` and ``best_of_20_<score>``.
    """
    compared = {s: _better(overlap, s, "best_of_20") for s in DECIDING if f"best_of_20_{s}" in overlap}
    compared = {score: table for score, table in compared.items() if len(table)}
    if not compared:
        return ["The table holds no scores to compare the network with the volume itself."]
    parts, majority = [], []
    for score, table in compared.items():
        wins = int((table["network"] > table["volume"]).sum())
        majority.append(wins > len(table) / 2)
        means = f"mean {number(table['network'].mean())} against {number(table['volume'].mean())}"
        parts.append(f"{SCORE_LABELS[score]} for {wins} of {len(table)} templates ({means})")
    if all(majority):
        verdict = "So on this run the network's maps match most templates better than the raw volume does."
    elif any(majority):
        verdict = "The two scores disagree: on this run it is not clear that the network adds anything."
    else:
        verdict = "So on this run the network adds nothing over the raw volume for most templates."
    return [
        *_above_chance(overlap),
        f"The FBN beats the volume itself in {' and in '.join(parts)}. {verdict}",
        "Compared are best-of-20 values, the better of two branches against the better of two signs of the volume. It "
        "is a count, not a test; filters and decompositions are a harder comparison.",
    ]


def _above_chance(overlap: pd.DataFrame) -> list[str]:
    """Compare the mean AP over volumes with the template's share of the region, which unrelated maps score."""
    if not {"mean_average_precision", "template_density"} <= set(overlap):
        return []
    table = _better(overlap, "average_precision", "mean")
    table["chance"] = overlap.groupby("template")["template_density"].first().astype(float)
    table = table.dropna()
    if table.empty:
        return []
    wins, mean, chance = (
        int((table["network"] > table["chance"]).sum()),
        table["network"].mean(),
        table["chance"].mean(),
    )
    weak = "; hardly more than unrelated maps would" if mean < 1.2 * chance else ""
    return [
        f"Over all volumes, the better branch scores an average precision of {number(mean)} (chance {number(chance)}) "
        f"and lies above chance for {wins} of {len(table)} templates{weak}."
    ]


def gradual_sentences(table: pd.DataFrame) -> list[str]:
    """Say how much consecutive volumes overlap, and what chance gives at the same density.

    Parameters
    ----------
    table : DataFrame
        Columns ``method``, ``lag``, ``lag_seconds``, ``mean_iou``, ``chance_iou``.
    """
    first = table[table["lag"] == 1].drop_duplicates("method").set_index("method")
    first = first[pd.to_numeric(first["mean_iou"], errors="coerce").notna()]
    if first.empty:
        return ["No two consecutive volumes were kept."]
    parts = [
        f"{LABELS[method]} {number(float(row['mean_iou']))} (chance {number(float(row['chance_iou']))})"
        for method, row in first.iterrows()
        if method in LABELS
    ]
    seconds = number(float(first["lag_seconds"].iloc[0]), 1)
    return [f"Mean IoU of consecutive volumes, {seconds} s apart: {', '.join(parts)}."]

"""What a reader must know about the networks before looking at the figures, of a participant and of the group."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..derivatives.reading import Group, Run, is_inverted
from ..errors import InputError
from ..files import read_json
from ..words import counted, first_few, listed, number, percent
from .labels import numbers
from .page import Banner

__all__ = ["CHANNEL_RANGE", "LINEAR", "banners", "failures", "group_banners"]

SIGN_AGREEMENT = 0.9
"""A branch whose sign fewer volumes than this share agree with is flagged."""

DENSE = 0.6
"""A branch that marks more than this share of the region, on average, is saturated."""

CHANNEL_RANGE = 0.1
"""Channel weights that stay within a range narrower than this select nothing."""

LINEAR = "linear"
"""What the card of a model without attention names as its preset."""

WANDERS = 0.5
"""From this share on (card: ``Context``, ``Linear``, ``Mixed``) a fit says what its runs look like."""

OWN_PCA = 0.5
"""From this strength beside the network on (card: ``Context``, ``Leads``) a run's own PCA leads in its volumes."""

RECONSTRUCTION = "mean squared error"
"""How the card of a model that was trained to reconstruct its input begins to describe its loss."""

SEEDS_AGREE = (0.22, 0.44)
"""Lowest and highest mean correlation of maps of two such models, among three; ``python -m benchmarks.ablations``."""

_DOUBTS = ["undertrained", "channel_weight_range"]
_DOUBTS += [f"{what}_fbn{branch}" for what in ("density", "sign_agreement", "inverted") for branch in (1, 2)]


def banners(runs: Sequence[Run], cards: Mapping[str, Mapping[str, Any]]) -> Iterator[Banner]:
    """Give what a reader must know before looking at the figures of a participant; `cards` go by the model's name."""
    training = {name: card.get("Training", {}) for name, card in cards.items()}
    undertrained = [name for name, told in training.items() if told.get("Undertrained")]
    undertrained += [str(run.model.get("ModelName", "without a name")) for run in runs if run.model.get("Undertrained")]
    if undertrained:
        yield Banner(
            f"The model is undertrained ({listed(dict.fromkeys(undertrained))})",
            "It has seen too few volumes for its maps to have settled: branches may still be inverted or mark most of "
            "the brain. These maps show that the processing works; do not interpret them. Train on more runs or for "
            "longer, or apply a model that was.",
        )
    seeded = [name for name, told in training.items() if str(told.get("Loss", "")).startswith(RECONSTRUCTION)]
    if seeded:
        low, high = (number(r) for r in SEEDS_AGREE)
        yield Banner(
            f"Another seed may give other networks ({listed(dict.fromkeys(seeded))})",
            "A network that is trained to reconstruct volumes is free in what its branches mark. On simulated runs, "
            f"maps of trainings that differ in nothing but their seed correlated at {low} to {high} on average. Train "
            "again with another seed, and interpret what stays.",
        )
    widths = dict.fromkeys(width for run in runs if (width := _number(run.model.get("TimeWidth"))) > 0)
    if widths:
        around = listed(f"{width:g} s" for width in widths)
        yield Banner(
            f"Networks are of a volume and its neighbours in time (σ {around})",
            "That was asked for. Maps of consecutive volumes are alike for that reason already, and a network that "
            "shows for a volume or two is blurred. Context, group PCA and surrogates of the run saw the same; the "
            "volume, filters in space and what is fitted to the run alone did not, so the networks' lead over these "
            "is in part that of a filter in time.",
        )
    branches = [(run, index, branch) for run in runs for index, branch in enumerate(run.branches, start=1)]
    flagged = [(i, b) for _, i, b in branches if b.get("Flagged") or _number(b.get("SignAgreement")) < SIGN_AGREEMENT]
    if flagged:
        told = [f"branch {i} ({percent(b.get('SignAgreement'))} of the volumes agree)" for i, b in flagged]
        yield Banner(
            f"The sign of {listed(dict.fromkeys(told))} is uncertain",
            "A branch can come out inverted; its sign is judged by its correlation with the input volumes. Here "
            f"fewer than {percent(SIGN_AGREEMENT)} of the volumes agree on it: in part of the volumes this branch "
            "shows deactivation as activation, or nothing that follows the data. Do not interpret its polarity.",
        )
    against = [index for _, index, branch in branches if is_inverted(branch)]
    if against:
        yield Banner(
            _branches_are(against, "inverted"),
            "It runs against the input volumes, and in paper mode no sign is applied, as in the published code: "
            "what it shows as active is deactivated. The calibrated mode turns such a branch round.",
        )
    dense = [(r, i, b) for r, i, b in branches if _number(b.get("MeanDensity")) > DENSE]
    if dense:
        which = "; ".join(f"{r.title}, branch {i}: {percent(b['MeanDensity'])}" for r, i, b in dense)
        yield Banner(
            _branches_are([index for _, index, _ in dense], "saturated"),
            f"On average more than {percent(DENSE)} of the brain is marked in a volume ({which}). Such a map is no "
            "network: it overlaps everything, its IoU with any template is bounded by the template's small size, "
            "and its overlap from volume to volume is high whatever the brain does.",
        )
    presets = [cards.get(str(run.model.get("ModelName")), {}).get("Preset") for run in runs]
    if LINEAR in presets:
        yield Banner(
            f"There is no attention (preset {LINEAR})",
            "That was asked for. Each volume, smoothed, was projected on the principal components of the runs that the "
            "model was fitted to; branch 2 is branch 1 upside down. All channel weights are 1, and the baselines "
            "“group PCA” and the networks are the same maps.",
        )
    yield from _led_by_itself(cards)
    yield from _wandering(cards)
    attended = [run for run, preset in zip(runs, presets, strict=True) if preset != LINEAR]
    limited = [(run, limits) for run in attended if (limits := run.channel_limits)]
    flat = [(run, limits) for run, limits in limited if limits[1] - limits[0] < CHANNEL_RANGE]
    if flat:
        which = "; ".join(f"{run.title}: {number(low)} to {number(high)}" for run, (low, high) in flat)
        yield Banner(
            "Channel attention selects nothing",
            f"All channel weights of all volumes lie within a range narrower than {CHANNEL_RANGE} ({which}): "
            "every channel enters the network map with nearly the same weight. The maps are then what a fixed "
            "local filter of the volume gives; nothing is chosen automatically.",
        )


def _led_by_itself(cards: Mapping[str, Mapping[str, Any]]) -> Iterator[Banner]:
    """Say where one short run was fitted alone, and its own principal components lead."""
    context = {name: known for name, card in cards.items() if isinstance(known := card.get("Context"), Mapping)}
    leads = {name: told for name, known in context.items() if isinstance(told := known.get("Leads"), Mapping)}
    led = [name for name, told in leads.items() if _number(told.get("own PCA")) >= OWN_PCA]
    if led:
        yield Banner(
            f"The run's own principal components lead the networks ({listed(led)})",
            "The model was fitted to one short run alone, whose halves hardly agree. In the volumes of that run the "
            "networks follow its eight leading components: they show little that a plain PCA of the run would not (the "
            "baseline “group PCA” is one of the same run). In volumes of other runs nothing of this happens. Fit to "
            "more runs, or longer ones, to get more than that.",
        )


def _wandering(cards: Mapping[str, Mapping[str, Any]]) -> Iterator[Banner]:
    """Say where the runs of a fit look like a Gaussian process or like mixed networks, and what follows."""
    told = {name: known for name, card in cards.items() if isinstance(known := card.get("Context"), Mapping)}
    fits = [name for name, known in told.items() if _number(known.get("Linear")) >= WANDERS]
    mixed = [name for name, known in told.items() if name not in fits and _number(known.get("Mixed")) >= WANDERS]
    if mixed:
        yield Banner(
            f"The runs look as if several networks were active in most volumes ({listed(mixed)})",
            "What the parts of the model contribute to volumes that they were not fitted to is hardly skewed in time. "
            "So independent components of the runs, which may be low as well as high, lead the networks here. This "
            "is no test: see the null models before you speak of states.",
        )
    if fits:
        yield Banner(
            f"The runs look as if networks wandered, not as if they took turns ({listed(fits)})",
            "What the parts of the model contribute to volumes that they were not fitted to is as often low as high, "
            "as in a stationary Gaussian process; of such volumes the best estimate is linear. So the group PCA and "
            "independent components lead the networks here. This is no test: see the null models before you speak of "
            "states.",
        )


def failures(root: Path, participant: str) -> Iterator[Banner]:
    """Say which runs of a participant failed, and why, by their records in a dataset."""
    told = []
    for path in sorted((root / f"sub-{participant}" / "log").glob("sub-*.json")):
        with suppress(InputError):
            record = read_json(path)
            if record.get("status") == "failed":
                told.append(f"{path.stem}: {record.get('message')}")
    if told:
        yield Banner(
            f"{counted(len(told), 'run')} failed",
            f"What this page shows is of the others. {first_few(told, 5, separator=' ')}",
        )


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else np.nan


def _branches_are(indices: Iterable[int], what: str) -> str:
    which = sorted(set(indices))
    return f"Branch{'es' if len(which) > 1 else ''} {listed(which)} {'are' if len(which) > 1 else 'is'} {what}"


def group_banners(group: Group) -> Iterator[Banner]:
    """Give what a reader must know before looking at the figures of the group."""
    with suppress(InputError):
        yield from _of_all_runs(group.table("runs", ["run"]))
    for key, words in (("Missing", "missing"), ("LeftOut", "left out")):
        absent = group.account.get(key)
        if isinstance(absent, dict) and absent:
            named = first_few((f"{run}: {reason}" for run, reason in absent.items()), 5, separator="; ")
            yield Banner(f"{counted(len(absent), 'run')} {words}", named)
    warnings = group.account.get("Warnings")
    if isinstance(warnings, list) and warnings:
        yield Banner("Before you read on", " ".join(map(str, warnings)))


def _of_all_runs(runs: pd.DataFrame) -> Iterator[Banner]:
    """Say in how many runs what the participants' pages warn of occurs."""
    runs = runs.reindex(columns=_DOUBTS).apply(numbers)
    if (runs["undertrained"] > 0).any():
        yield Banner(
            "The model is undertrained",
            "It has seen too few volumes for its maps to have settled: branches may still be inverted or mark most of "
            "the brain. The tables show that the processing works; do not interpret them.",
        )
    for branch in (1, 2):
        density, agreement = runs[f"density_fbn{branch}"], runs[f"sign_agreement_fbn{branch}"].min()
        if (density > DENSE).any():
            yield Banner(
                f"Branch {branch} is saturated",
                f"In {(density > DENSE).sum()} of {len(runs)} runs it marks more than {percent(DENSE)} of the brain in "
                f"a volume, {percent(density.mean())} on average over all runs. Such a map is no network: it overlaps "
                "everything, and its overlap from volume to volume is high whatever the brain does.",
            )
        if agreement < SIGN_AGREEMENT:
            yield Banner(
                f"The sign of branch {branch} is uncertain",
                f"Only {percent(agreement)} of the volumes agree on it: in part of the volumes this branch shows "
                "deactivation as activation, or nothing that follows the data.",
            )
        against = (runs[f"inverted_fbn{branch}"] > 0).sum()
        if against:
            yield Banner(
                f"Branch {branch} is inverted",
                f"In {against} of {len(runs)} runs it runs against the input volumes, and in paper mode no sign is "
                "applied, as in the published code: what it shows as active is deactivated.",
            )
    flat = (runs["channel_weight_range"] < CHANNEL_RANGE).sum()
    if flat:
        yield Banner(
            "Channel attention selects nothing",
            f"In {flat} of {len(runs)} runs all channel weights of all volumes lie within a range narrower than "
            f"{CHANNEL_RANGE}: every channel enters the network map with nearly the same weight. The maps are then "
            "what a fixed local filter of the volume gives; nothing is chosen automatically.",
        )

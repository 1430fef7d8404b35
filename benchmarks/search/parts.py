"""What each part of the shipped default does to its networks: one left out at a time, without training anew.

A network trained without the part would have learned to do without it: what is lost here says how much this network
leans on the part, not how good another would be. Scored on planted networks of tuning seeds (`benchmarks.ablations`).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.judge.plants import LEVELS, Plant
from benchmarks.judge.scores import Target, judge_maps
from benchmarks.judge.seeds import others_of
from benchmarks.search.fitted import (
    Views,
    attention_of,
    fitted_to,
    group_of,
    maps_of,
    planted_run,
    show,
    thinned,
)
from benchmarks.search.trainings import map_r
from scaae_nipype.model import Model
from scaae_nipype.model.network.pointwise import LEADS, VIEWS, PointwiseSCAAE, Seen

__all__ = ["PARTS", "PREFIX", "WHOLE", "Typical", "leave_out", "report_parts", "score_parts", "typical_of"]

PREFIX, WHOLE = "pointwise: ", "as it is"

PLANTS = (*LEVELS["quick"], Plant(regime="mixture"))
SEEDS, SIZES, EVERY = (0, 1, 2), (3, 24), 5
"""What is planted, tuning seeds, other people's runs, and which volumes of a run are scored."""

SAMPLED = 32
"""Volumes of the other runs over which channel weights and strengths are averaged."""

SCORES = ("r", "average_precision", "state_accuracy", "amplitude_r")
MAP_R = "map_r"

OF_OTHERS = ("rank8", "trusted", "above", "below")
"""Views that know other runs."""

NEVER = -1e4
"""Before a sigmoid: a weight of 0."""


@dataclass(frozen=True, eq=False)
class Typical:
    """What a network sees and says on average, to be put in place of what it sees and says of one volume.

    Parameters
    ----------
    strengths : Tensor, (len(VIEWS),)
    weights : Tensor, (2, n_maps)
        Channel weights.
    about : Tensor, (ABOUT,)
        What is known of other runs, mean over several studies.
    """

    strengths: Tensor
    weights: Tensor
    about: Tensor


Part = Callable[[PointwiseSCAAE, Views, Typical], Views]
"""Changes a copy of a network, and gives what it looks at."""


@torch.inference_mode()
def typical_of(model: Model, volumes: np.ndarray, about: Tensor) -> Typical:
    """Average over volumes, (n_volumes, n_voxels); what is known of other runs is given."""
    network, seen = attention_of(model), show(model, volumes).seen
    weights = [network.attend(Seen(*(one[n : n + 1] for one in seen[:3])))[1] for n in range(len(volumes))]
    return Typical(seen.strengths.mean(dim=0), torch.cat(weights).mean(dim=0), about)


def _blind(names: Sequence[str]) -> Part:
    """Leave views empty."""
    numbers = [VIEWS.index(name) for name in names]

    def change(network: PointwiseSCAAE, views: Views, typical: Typical) -> Views:
        seen, strengths = views.seen.views.clone(), views.seen.strengths.clone()
        seen[..., numbers] = 0
        strengths[:, numbers] = float(np.log(0.01))  # as the network measures an empty view
        return Views(Seen(seen, strengths, views.seen.code), views.leads)

    return change


def _silent(learned: bool) -> Part:
    """Give learned maps, or views handed on, a channel weight of 0."""

    def change(network: PointwiseSCAAE, views: Views, typical: Typical) -> Views:
        own = network.preset.branch_features
        _, bias = _channel_rows(network)
        bias[:, slice(None, own) if learned else slice(own, None)] = NEVER
        return views

    return change


def _channel_rows(network: PointwiseSCAAE) -> tuple[Tensor, Tensor]:
    """Give weights and biases of the last layer of channel attention as they lie in it: (2, n_maps, …)."""
    last = network.channel[-2]
    assert isinstance(last, torch.nn.Linear)
    return last.weight.detach().unflatten(0, (2, -1)), last.bias.detach().unflatten(0, (2, -1))


def _constant_channels(network: PointwiseSCAAE, views: Views, typical: Typical) -> Views:
    weight, bias = _channel_rows(network)
    weight.zero_()
    bias.copy_(torch.logit(typical.weights, eps=1e-6))
    return views


def _constant_strengths(network: PointwiseSCAAE, views: Views, typical: Typical) -> Views:
    strengths = typical.strengths.expand_as(views.seen.strengths)
    return Views(Seen(views.seen.views, strengths, views.seen.code), views.leads)


def _constant_about(network: PointwiseSCAAE, views: Views, typical: Typical) -> Views:
    network.about.copy_(typical.about)
    return views


def _without_leads(names: Sequence[str], *, parts: bool = False) -> Part:
    """Take leads away, and that of the non-negative parts too if this is wanted."""

    def change(network: PointwiseSCAAE, views: Views, typical: Typical) -> Views:
        network.leads[[LEADS.index(name) for name in names]] = 0
        if parts:
            network.lead_parts.zero_()
        return views

    return change


def _both(first: Part, second: Part) -> Part:
    return lambda network, views, typical: second(network, first(network, views, typical), typical)


PARTS: dict[str, Part] = {
    WHOLE: lambda network, views, typical: views,
    **{f"no view `{name}`": _blind([name]) for name in VIEWS},
    "no view of other runs, nor their group PCA": _both(_blind(OF_OTHERS), _without_leads(["group PCA"])),
    "no learned maps (views handed on alone)": _silent(learned=True),
    "no views handed on": _silent(learned=False),
    "learned maps alone (no views handed on, no leads)": _both(
        _silent(learned=False), _without_leads(LEADS, parts=True)
    ),
    "channel weights constant": _constant_channels,
    "strengths of views constant": _constant_strengths,
    "what is known of other runs constant": _constant_about,
    "no lead of the group PCA": _without_leads(["group PCA"]),
    "no lead of the filter": _without_leads(["near12"]),
    "no lead of the group ICA": _without_leads(["group ICA"]),
    "no lead but the parts": _without_leads(LEADS),
    "no lead of the parts": _without_leads([], parts=True),
    "no lead at all": _without_leads(LEADS, parts=True),
}
"""What is left out, or held constant at its mean over volumes of the other runs (what is known of other runs: over
two studies of the same size, one of each generator), and how."""


@torch.no_grad()
def leave_out(name: str, network: PointwiseSCAAE, views: Views, typical: Typical) -> np.ndarray:
    """Give the maps of both branches without a part of `PARTS`: (2, n_volumes, n_voxels)."""
    changed = copy.deepcopy(network)
    return maps_of(changed, PARTS[name](changed, views, typical))


@cache
def _fitted(plant: Plant, others: tuple[int, ...]) -> tuple[Model, np.ndarray]:
    """Fit to other people's runs, given by their seeds; give the model and a sample of their volumes."""
    group = group_of(plant, others)
    volumes = np.concatenate([run.volumes for run in group.runs])
    chosen = np.linspace(0, len(volumes) - 1, min(SAMPLED, len(volumes))).round().astype(int)
    return fitted_to(group), volumes[chosen]


def _usual_about(size: int) -> Tensor:
    """Average what is known of other runs over two studies of one size, one of each generator, which it tells apart."""
    models = [_fitted(plant, others_of(SEEDS[0], size))[0] for plant in LEVELS["quick"]]
    return torch.stack([attention_of(model).about for model in models]).mean(dim=0)


def score_parts(known: dict[str, Any]) -> Iterator[str]:
    """Add what results lack; yields a line for each run that was scored, so that the caller may keep them."""
    for (number, seed), size, plant in product(enumerate(SEEDS), SIZES, PLANTS):
        kind = plant.generator if plant.regime == "exclusive" else f"{plant.generator}, {plant.regime}"
        setting = f"{kind}, {size} runs"
        cells = {
            name: known.setdefault(PREFIX + name, {"scores": {}})["scores"].setdefault(setting, {}) for name in PARTS
        }
        missing = [name for name, cell in cells.items() if len(cell.get(MAP_R, [])) <= number]
        if not missing:
            continue
        model, sample = _fitted(plant, others_of(seed, size))
        typical = typical_of(model, sample, _usual_about(size))
        run = thinned(planted_run(plant, seed), EVERY)
        network, views, target = attention_of(model), show(model, run.data), Target(run)
        intact = maps_of(network, views)
        for name in missing:
            maps = leave_out(name, network, views, typical)
            found = judge_maps(maps, target) | {MAP_R: map_r(maps[0], intact[0])}
            for score in (*SCORES, MAP_R):
                cells[name].setdefault(score, []).append(round(float(found[score]), 4))
        yield f"{PREFIX}{setting}, seed {seed}: {len(missing)} parts"


def report_parts(known: Mapping[str, Any]) -> Iterator[str]:
    """Give a table's lines: means over seeds."""
    rows = {name: known[PREFIX + name]["scores"] for name in PARTS if PREFIX + name in known}
    settings = dict.fromkeys(setting for cells in rows.values() for setting, cell in cells.items() if cell)
    if not settings:
        return
    seeds = {
        setting: max(len(cells.get(setting, {}).get(MAP_R, [])) for cells in rows.values()) for setting in settings
    }
    heads = (f"{setting} (seeds: {seeds[setting]})" for setting in settings)
    yield f"\n| `pointwise` (r / AP / state accuracy / amplitude r; map r) | {' | '.join(heads)} |"
    yield "| --- |" + " --- |" * len(settings)
    for name, cells in rows.items():
        values = []
        for setting in settings:
            cell = cells.get(setting, {})
            means = [f"{np.mean(cell[score]):.3f}" for score in SCORES] if cell else []
            values.append(f"{' / '.join(means)}; {np.mean(cell[MAP_R]):.2f}" if cell else "–")
        yield f"| {name} | {' | '.join(values)} |"

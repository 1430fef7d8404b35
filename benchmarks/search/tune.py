"""Fit the shipped attention to people: ``python -m benchmarks.search.tune planted``, then ``people``, or ``report``.

The attention of a fitted default network is trained further on the runs that its views were fitted to: its networks
shall predict the mean of the volumes around a volume, which share its signal and not its thermal noise. A volume's own
neighbours are never shown, so that what comes out is still a network of single volumes. Weights are held towards the
shipped ones. Settings are compared on planted networks of tuning seeds; people are scored with the one chosen there.
Results are kept in ``benchmarks/results/tune.json``; what is known is not computed again.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from benchmarks.judge import people
from benchmarks.judge.plants import LEVELS
from benchmarks.judge.runs import Group
from benchmarks.judge.scores import Target, judge_maps
from benchmarks.judge.seeds import others_of
from benchmarks.planted import grid_of_model
from benchmarks.search.fitted import (
    Views,
    attention_of,
    both_branches,
    fitted_to,
    group_of,
    maps_of,
    planted_run,
    show,
    thinned,
    whole,
)
from scaae_nipype.evaluation.templates.loading import load_templates
from scaae_nipype.files import write_json
from scaae_nipype.model import Model
from scaae_nipype.model.network.pointwise import PointwiseSCAAE

__all__ = ["SETTINGS", "Setting", "best_setting", "neighbours_of", "tuned"]

RESULTS = Path(__file__).parents[1] / "results" / "tune.json"

UNTUNED = "as shipped"
PLANTED, PEOPLE = "planted", "people"
SEEDS, SIZES, EVERY = (0, 1), (3, 24), 3
"""Tuning seeds that are read, other people's runs, and which volumes of a planted run are scored."""

SCORES = ("average_precision", "r", "state_accuracy", "amplitude_r")
N_SPLITS = 2
"""Of the ten splits of people, both ways round."""

MOST_VOLUMES = 360
"""Volumes that one fit may be shown: their views are held in memory."""


@dataclass(frozen=True)
class Setting:
    """How an attention is tuned.

    Parameters
    ----------
    target : {"difference", "branches"}
        Branch 1 less branch 2 against the mean of the volumes around; or branch 1 against what of it is above 0 and
        branch 2 against what is below.
    rate : float
        Of Adam.
    steps : int
    held : float
        Share of the way back to the shipped weights that is gone after every step.
    reach : int
        Volumes on each side that are averaged.
    volumes, voxels : int
        In a step.
    """

    target: Literal["difference", "branches"] = "difference"
    rate: float = 3e-4
    steps: int = 200
    held: float = 0.005
    reach: int = 3
    volumes: int = 8
    voxels: int = 6000


SETTINGS = {f"difference, rate 0.0003, {steps} steps": Setting(steps=steps) for steps in (100, 300)}
"""What is tried on tuning seeds: two looks at one training. With ``branches`` the first seed lost so much (AP -0.06,
r -0.11 after 300 steps) that it was not tried on others."""


def neighbours_of(run: np.ndarray, chosen: np.ndarray, reach: int) -> np.ndarray:
    """Average the volumes around each chosen one, without itself, and z-score over voxels.

    Parameters
    ----------
    run : float array, (n_volumes, n_voxels)
    chosen : int array, (n_chosen,)
    reach : int
        Volumes on each side; at the ends of a run those that there are.

    Returns
    -------
    float32 array, (n_chosen, n_voxels)

    >>> run = np.array([[0.0, 2], [5, 5], [0, 4], [9, 9]])
    >>> neighbours_of(run, np.array([1]), 1)
    array([[-1.,  1.]], dtype=float32)
    """
    found = np.empty((len(chosen), run.shape[1]), dtype=np.float32)
    for row, volume in enumerate(chosen):
        around = [n for n in range(max(0, volume - reach), min(len(run), volume + reach + 1)) if n != volume]
        mean = np.asarray(run[around], dtype=np.float32).mean(axis=0)
        found[row] = (mean - mean.mean()) / max(float(mean.std()), 1e-6)
    return found


def tuning_loss(maps: Tensor, target: Tensor, kind: str) -> Tensor:
    """Give 1 - r, mean over volumes.

    Parameters
    ----------
    maps : Tensor, (n_volumes, 2, n_voxels)
    target : Tensor, (n_volumes, n_voxels)
    kind : str
        As `Setting.target`.
    """
    if kind == "difference":
        return 1 - _r(maps[:, 0] - maps[:, 1], target).mean()
    return 1 - (_r(maps[:, 0], target.clamp(min=0)) + _r(maps[:, 1], (-target).clamp(min=0))).mean() / 2


def _r(a: Tensor, b: Tensor) -> Tensor:
    a, b = a - a.mean(dim=1, keepdim=True), b - b.mean(dim=1, keepdim=True)
    return (a * b).sum(dim=1) / (a.norm(dim=1) * b.norm(dim=1)).clamp(min=1e-9)


def shown_volumes(runs: Sequence[np.ndarray], reach: int) -> tuple[np.ndarray, np.ndarray]:
    """Take volumes evenly from all runs, at most `MOST_VOLUMES`, and the targets of each."""
    per_run = max(1, MOST_VOLUMES // len(runs))
    volumes, targets = [], []
    for run in runs:
        chosen = np.unique(np.linspace(0, len(run) - 1, min(per_run, len(run))).round().astype(int))
        volumes.append(np.asarray(run[chosen], dtype=np.float32))
        targets.append(neighbours_of(run, chosen, reach))
    return np.concatenate(volumes), np.concatenate(targets)


def tuned(model: Model, runs: Sequence[np.ndarray], setting: Setting, *, seed: int = 0) -> tuple[Model, list[float]]:
    """Copy a model and train its attention further on its training runs; what is fitted in closed form stays.

    Parameters
    ----------
    model : Model
        Of the pointwise preset, fitted.
    runs : sequence of float array, (n_volumes, n_voxels)
        In the order of time, on the model's grid.
    setting : Setting
    seed : int
        Of the order of volumes and voxels.

    Returns
    -------
    Model, list of float
        The tuned copy, and the loss of every step.
    """
    network, losses = next(looks(model, runs, setting, (setting.steps,), seed=seed))
    return replace(model, network=network), losses


def looks(
    model: Model, runs: Sequence[np.ndarray], setting: Setting, at: Sequence[int], *, seed: int = 0
) -> Iterator[tuple[PointwiseSCAAE, list[float]]]:
    """Tune as `tuned` does, and give the network as it is after so many steps, in rising order."""
    volumes, targets = shown_volumes(runs, setting.reach)
    views, wanted = show(model, volumes), torch.from_numpy(targets)
    network = copy.deepcopy(attention_of(model))
    weights = [parameter for parameter in network.parameters() if parameter.requires_grad]
    start = [parameter.detach().clone() for parameter in weights]
    optimiser = torch.optim.Adam(weights, lr=setting.rate)
    random = torch.Generator().manual_seed(seed)
    losses: list[float] = []
    for step in range(1, max(at) + 1):
        batch = torch.randperm(len(wanted), generator=random)[: setting.volumes]
        voxels = torch.randperm(wanted.shape[1], generator=random)[: setting.voxels]
        picked = _clones(views.pick(batch, voxels))
        value = tuning_loss(both_branches(network, picked), wanted[batch][:, voxels], setting.target)
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        with torch.no_grad():
            for parameter, shipped in zip(weights, start, strict=True):
                parameter.lerp_(shipped, setting.held)
        losses.append(float(value.detach()))
        if step in at:
            yield copy.deepcopy(network).eval(), list(losses)


def _clones(views: Views) -> Views:
    """Copy tensors that were made in inference mode, so that gradients may pass through what is made of them."""
    seen = type(views.seen)(*(one.clone() for one in views.seen[:3]))
    return Views(seen, views.leads.clone())


def score_planted(known: dict[str, Any], path: Path, sizes: Sequence[int]) -> None:
    """Score all settings, and the network as it is shipped, on planted networks of tuning seeds."""
    for n_runs in sizes:
        for plant in LEVELS["quick"]:
            networks: dict[str, PointwiseSCAAE] = {}
            fitted: tuple[int, ...] = ()
            for seed in SEEDS:
                cell = known.setdefault(PLANTED, {}).setdefault(f"{plant.generator}, {n_runs} runs", {})
                if all(str(seed) in cell.get(name, {}) for name in (UNTUNED, *SETTINGS)):
                    continue
                started = time.monotonic()
                if fitted != others_of(seed, n_runs):  # large groups are the same for all seeds
                    fitted = others_of(seed, n_runs)
                    others = group_of(plant, fitted)
                    model = fitted_to(others)
                    networks = tuned_networks(model, [run.volumes for run in others.runs])
                run = thinned(planted_run(plant, seed), EVERY)
                views, target = show(model, run.data), Target(run)
                for name, network in networks.items():
                    found = judge_maps(maps_of(network, views), target)
                    cell.setdefault(name, {})[str(seed)] = {score: round(found[score], 4) for score in SCORES}
                write_json(known, path)
                took = time.monotonic() - started
                print(f"{plant.generator}, {n_runs} runs, seed {seed}: {took:.0f} s", file=sys.stderr, flush=True)


def tuned_networks(model: Model, runs: Sequence[np.ndarray]) -> dict[str, PointwiseSCAAE]:
    """Give the network as it is fitted, and tuned in every setting."""
    found = {UNTUNED: attention_of(model)}
    for first in {replace(setting, steps=0): None for setting in SETTINGS.values()}:
        own = {setting.steps: name for name, setting in SETTINGS.items() if replace(setting, steps=0) == first}
        for network, losses in looks(model, runs, first, sorted(own)):
            found[own[len(losses)]] = network
    return found


def gains(cells: Mapping[str, Mapping[str, Any]], name: str, score: str) -> list[float]:
    """Give what a setting adds to the shipped network in each cell, mean over seeds."""
    return [
        float(np.mean([cell[name][seed][score] - cell[UNTUNED][seed][score] for seed in cell[name]]))
        for cell in cells.values()
    ]


def best_setting(cells: Mapping[str, Mapping[str, Any]]) -> str:
    """Choose the setting that adds most AP on planted networks, mean over cells; not tuning at all is no choice here.

    >>> cell = {"as shipped": {"0": {"average_precision": 0.5}}}
    >>> cell |= {name: {"0": {"average_precision": 0.1}} for name in SETTINGS}
    >>> cell["difference, rate 0.0003, 300 steps"] = {"0": {"average_precision": 0.2}}
    >>> best_setting({"regions": cell})
    'difference, rate 0.0003, 300 steps'
    """
    return max(SETTINGS, key=lambda name: float(np.mean(gains(cells, name, "average_precision"))))


def score_people(known: dict[str, Any], path: Path) -> None:
    """Score people who were left out, with the setting that planted networks chose and as shipped."""
    chosen = best_setting(known[PLANTED])
    found = people.load_people()
    region = next(iter(found.values())).grid
    templates = load_templates(people.TEMPLATES, grid=grid_of_model())
    inside = templates.inside(region)
    kept = known.setdefault(PEOPLE, {})
    for fitted, scored in people.splits(tuple(found))[: 2 * N_SPLITS]:
        keys = {label: f"{'+'.join(fitted)} > {label}" for label in scored}
        if all({UNTUNED, chosen} <= set(kept.get(key, {})) for key in keys.values()):
            continue
        started = time.monotonic()
        model = fitted_to(Group([found[label] for label in fitted]))
        own, _ = tuned(model, [whole(found[label].volumes, region) for label in fitted], SETTINGS[chosen])
        cut = grid_of_model().vectors(region.mask)
        for label, key in keys.items():
            moved = people._moved_templates(inside, templates, region, people.PEOPLE.index(label))
            views = show(model, whole(found[label].volumes, region))
            for name, one in ((UNTUNED, model), (chosen, own)):
                maps = maps_of(attention_of(one), views)[..., cut]
                scores = people.summaries(maps, inside.values, moved, inside.binary)
                kept.setdefault(key, {})[name] = scores
        write_json(known, path)
        print(f"{'+'.join(fitted)}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)


def report(known: Mapping[str, Any]) -> Iterator[str]:
    """Give the lines of both tables."""
    cells = known.get(PLANTED, {})
    if cells:
        yield f"| planted ({' / '.join(name.replace('_', ' ') for name in SCORES)}) | {' | '.join(cells)} |"
        yield "| --- |" + " --- |" * len(cells)
        for name in (UNTUNED, *SETTINGS):
            means = [
                " / ".join(f"{np.mean([one[score] for one in cell[name].values()]):.3f}" for score in SCORES)
                for cell in cells.values()
            ]
            yield f"| {name} | {' | '.join(means)} |"
        yield f"\nMost AP: {best_setting(cells)}.\n"
    if known.get(PEOPLE):
        yield f"| people, above chance | {' | '.join(people.SUMMARIES)} |\n| --- |{' --- |' * len(people.SUMMARIES)}"
        tables = [people.table_of(known[PEOPLE], summary) for summary in people.SUMMARIES]
        for name in tables[0]:
            yield f"| {name} | {' | '.join(f'{np.subtract(*table[name]).mean():.4f}' for table in tables)} |"
        for name in (name for name in tables[0] if name != UNTUNED):
            less = [people.bootstrap(np.subtract(*t[name]) - np.subtract(*t[UNTUNED])) for t in tables]
            cells_of = (f"{mean:+.4f} [{low:+.4f}, {high:+.4f}]" for mean, low, high in less)
            yield f"| {name}, less as shipped | {' | '.join(cells_of)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=[PLANTED, PEOPLE, "report"])
    parser.add_argument("--runs", type=int, nargs="+", help="other people's runs that planted networks are read with")
    options = parser.parse_args()
    known: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    with threadpool_limits(1):
        if options.what == PLANTED:
            score_planted(known, RESULTS, options.runs or SIZES)
        if options.what == PEOPLE:
            score_people(known, RESULTS)
    print("\n".join(report(known)))


if __name__ == "__main__":
    main()

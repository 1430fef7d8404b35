"""How alike are the maps of two trainings? ``python -m benchmarks.search.trainings``.

Trainings of the same layers that differ in their seed alone, or in more, read the same planted runs of tuning seeds,
each volume without neighbours in time and own parts. Their branches 1 are correlated over voxels: as they come out of
the attention, and with what the shipped default adds to it, as strong beside each training's maps as it is beside the
shipped one's.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from benchmarks.judge.plants import Plant
from benchmarks.judge.runs import Run
from benchmarks.judge.search import WEIGHTS, apply_network, context_of
from benchmarks.judge.seeds import others_of
from benchmarks.planted import grid_of_model
from benchmarks.search.context import Context
from benchmarks.search.fitted import attention_of, fitted_to, group_of, planted_run, show, thinned
from benchmarks.search.score import load_network
from scaae_nipype.model import Model
from scaae_nipype.model.network.pointwise import VIEWS
from scaae_nipype.model.training.fitted_pointwise import lead_shares

__all__ = ["PAIRS", "compare", "map_r", "with_leads"]

Training = tuple[Path, str]
"""A file of weights, and a variant in it."""

FIRST = WEIGHTS.with_name("search_a.npz")
PAIRS: dict[str, tuple[Training, Training]] = {
    "`combine`, another seed": ((FIRST, "combine"), (FIRST, "combine_seed1")),
    "`combine`, another loss": ((FIRST, "combine"), (FIRST, "combine_amplitude")),
    "`combine` and the shipped weights": ((FIRST, "combine"), (WEIGHTS, "chosen")),
}
"""What is compared: only the first pair differs in nothing but the seed."""

SEEDS, SIZES, EVERY = (0, 1), (3, 24), 3
"""Tuning seeds that are read, other people's runs, and which volumes of a run count."""


def map_r(a: np.ndarray, b: np.ndarray) -> float:
    """Correlate maps of the same volumes, (n_volumes, n_voxels) each; mean over volumes.

    >>> one = np.array([[1.0, 2, 3], [3, 1, 2]])
    >>> map_r(one, 5 * one + 1), round(map_r(one, one[::-1]), 3)
    (1.0, -0.5)
    """
    a, b = (x - x.mean(axis=1, keepdims=True) for x in (np.asarray(a, dtype=np.float64), np.asarray(b, np.float64)))
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return round(float(np.mean((a * b).sum(axis=1) / np.maximum(lengths, 1e-12))), 6)


def strength(maps: np.ndarray) -> float:
    """Give the root mean square of maps about each one's mean, over all volumes."""
    return float(np.sqrt(maps.var(axis=-1).mean()))


def with_leads(maps: np.ndarray, leads: Sequence[np.ndarray], shares: Sequence[float]) -> np.ndarray:
    """Add leads to maps, each with a strength beside that of the maps."""
    own = strength(maps)
    return maps + sum(share * own / max(strength(lead), 1e-9) * lead for lead, share in zip(leads, shares, strict=True))


@lru_cache(maxsize=1)
def _fits(plant: Plant, others: tuple[int, ...]) -> tuple[Context, Model]:
    """Fit the search's context and the shipped default to other people's runs, given by their seeds."""
    group = group_of(plant, others)
    return context_of(group, grid_of_model()), fitted_to(group)


def compare(
    plant: Plant, n_runs: int, seed: int, pairs: dict[str, tuple[Training, Training]]
) -> Iterator[tuple[str, float, float]]:
    """Give each pair's correlation of branch 1: as it is, and with what the shipped default adds."""
    run = thinned(planted_run(plant, seed), EVERY)
    context, model = _fits(plant, others_of(seed, n_runs))
    network, views = attention_of(model), show(model, run.data)
    above = views.seen.views[..., VIEWS.index("above")].numpy()
    with torch.inference_mode():
        shipped = network.attend(views.seen)[0][:, 0].numpy()
    parts = float(network.lead_parts)
    share = strength(parts * above) / strength(shipped - parts * above)
    told = model.card["Context"]
    shares = lead_shares(float(np.mean(told["Agreement"])), told["Linear"], told["Mixed"])
    maps: dict[Training, np.ndarray] = {}
    for training in {one: None for pair in pairs.values() for one in pair}:
        own = load_network(*training)
        own.shape = replace(own.shape, lead=0.0)  # it is added below, as strong for every training
        looked = Run(run.data, grid_of_model(), run.repetition_time)
        maps[training] = apply_network(own, context, looked, sigma_time=0.0, own=False)[0]
    led = {
        training: with_leads(with_leads(one, [above], [share]), list(views.leads.numpy().swapaxes(0, 1)), shares)
        for training, one in maps.items()
    }
    for name, (one, other) in pairs.items():
        yield name, map_r(maps[one], maps[other]), map_r(led[one], led[other])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", type=Path, help="weights of another training that has `few` and `few_seed1`")
    options = parser.parse_args()
    pairs = dict(PAIRS)
    if options.short:
        pairs["`few`, another seed (short)"] = (options.short, "few"), (options.short, "few_seed1")
        pairs["`few_seed1` (short) and the shipped weights"] = (options.short, "few_seed1"), (WEIGHTS, "chosen")
    print(
        "| planted, other runs | pair | r of branch 1 | with the shipped default's leads |\n| --- | --- | --- | --- |"
    )
    with threadpool_limits(1):
        for n_runs in SIZES:
            found: dict[str, list[tuple[float, float]]] = {}
            for seed in SEEDS:
                for name, *values in compare(Plant(), n_runs, seed, pairs):
                    found.setdefault(name, []).append((values[0], values[1]))
            for name, both in found.items():
                cells = (", ".join(f"{value:.3f}" for value in column) for column in zip(*both, strict=True))
                print(f"| regions, {n_runs} | {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()

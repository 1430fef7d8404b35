"""Fill and print the judge's tables: ``python -m benchmarks.judge quick``, ``full``, ``people`` or ``report``.

Settings of every rival are tried on tuning seeds; those chosen for any score are scored on reported seeds, with chance
beside them. Results are kept in ``benchmarks/results/judge.json`` after every run of every method, and a second call
goes on where the first stopped. Prepared runs and surrogates are kept in ``benchmarks/results/judge/``: remove both
after a change of what is planted or scored.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.judge import people
from benchmarks.judge.bounds import BOUNDS
from benchmarks.judge.chance import elsewhere, kept_ranks
from benchmarks.judge.network import NETWORKS
from benchmarks.judge.plants import LEVELS, Plant, cached, population
from benchmarks.judge.report import frame_of, report
from benchmarks.judge.rivals import RIVALS, Rival, label_of
from benchmarks.judge.runs import Group, Run
from benchmarks.judge.scores import LOWER_IS_BETTER, Target, judge_maps
from benchmarks.judge.search import SEARCH
from benchmarks.judge.seeds import REPORTED, TUNING, choose_settings, others_of
from benchmarks.planted import PlantedRun, grid_of_model
from scaae_nipype.files import write_json

__all__ = ["CONTEXTS", "RESULTS", "Store", "main"]

RESULTS = Path(__file__).parents[1] / "results" / "judge.json"
CACHE = RESULTS.with_suffix("")

CONTEXTS = (3, 24)
"""Sizes of the studies that methods of other people's runs are fitted to."""

N_SEEDS = {"quick": (2, 3), "full": (4, 8)}
"""Seeds to choose on and seeds to report, at each level."""

SETS, SETS_PER_SEED = 20, 5
"""Sets of surrogates, and how many of them each seed is held against, in turn."""

CHOSEN_FOR = ("average_precision", "size_matched_iou", "r", "state_accuracy", "transition_error", "amplitude_r")
"""Scores that have a setting of their own chosen; what is below the mean takes that of AP."""


class Store:
    """Scores by key and method, in a file that is written after every addition.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path):
        self.path = path
        self.known: dict[str, dict[str, Any]] = json.loads(path.read_text()) if path.exists() else {}

    def has(self, key: str, method: str) -> bool:
        return method in self.known.get(key, {})

    def add(self, key: str, scores: Mapping[str, Any]) -> None:
        self.known.setdefault(key, {}).update({method: _rounded(values) for method, values in scores.items()})
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_json(self.known, self.path)


def _rounded(values: Any) -> Any:
    if isinstance(values, Mapping):
        return {name: _rounded(value) for name, value in values.items()}
    return round(values, 5) if isinstance(values, float) else values


def key_of(plant: Plant, seed: int, n_others: int) -> str:
    return f"{plant.key} | {seed} | {n_others}"


def method_of(family: str, setting: str) -> str:
    return f"{family} | {setting}"


class Judge:
    """Scores one plant's runs.

    Parameters
    ----------
    plant : Plant
    store : Store
    """

    def __init__(self, plant: Plant, store: Store):
        self.plant, self.store = plant, store
        self.grid = grid_of_model()
        self.groups: dict[tuple[int, ...], Group] = {}

    def run(self, seed: int) -> tuple[PlantedRun, Run]:
        planted = cached(self.plant, seed, CACHE)
        return planted, Run(planted.data, self.grid, planted.repetition_time)

    def group(self, seed: int, n_others: int) -> Group | None:
        """Give the other people of a seed; a large group that was asked for before is at hand."""
        if not n_others:
            return None
        seeds = others_of(seed, n_others)
        if seeds not in self.groups:
            self.groups[seeds] = Group([self.run(other)[1] for other in seeds])
        return self.groups[seeds]

    def surrogates(self, planted: PlantedRun, seed: int) -> list[Target]:
        shared = population(self.plant.generator)
        path = CACHE / f"surrogates {self.plant.generator}.npy"
        ranks = kept_ranks(shared.maps, self.grid, n_surrogates=SETS, path=path)
        own = [(seed * SETS_PER_SEED + n) % SETS for n in range(SETS_PER_SEED)]
        return [Target(moved) for moved in elsewhere(planted, ranks[own])]

    def score(
        self, seed: int, n_others: int, wanted: Sequence[tuple[Rival, Mapping[str, Any]]], *, chance: bool
    ) -> None:
        """Add the scores of methods that are not known yet."""
        key = key_of(self.plant, seed, n_others)
        missing = [
            (rival, setting)
            for rival, setting in wanted
            if not self.store.has(key, method_of(rival.name, label_of(setting)))
        ]
        if not missing:
            return
        started, worked = time.monotonic(), time.process_time()
        planted, run = self.run(seed)
        others = self.group(seed, n_others)
        target, surrogates = Target(planted), self.surrogates(planted, seed) if chance else []
        found: dict[str, Any] = {}
        for number, (rival, setting) in enumerate(missing, start=1):
            maps = rival.fit(others, **setting)(run)
            scores = judge_maps(maps, target, surrogates, both_poles=self.plant.regime == "deactivations")
            found[method_of(rival.name, label_of(setting))] = scores
            if len(found) == 10 or number == len(missing):
                self.store.add(key, found)
                found = {}
        took = f"{time.monotonic() - started:.0f} s, {time.process_time() - worked:.0f} s of processor time"
        print(f"{key}: {len(missing)} methods, {took}", file=sys.stderr, flush=True)

    def score_bounds(self, seed: int, *, chance: bool) -> None:
        """Add what knowing the planted maps gives."""
        key = key_of(self.plant, seed, 0)
        wanted = [(name, setting) for name, settings in BOUNDS.items() for setting in settings]
        missing = [(n, s) for n, s in wanted if not self.store.has(key, method_of(f"bound: {n}", s))]
        if missing:
            planted, run = self.run(seed)
            target, surrogates = Target(planted), self.surrogates(planted, seed) if chance else []
            poles = self.plant.regime == "deactivations"
            for name, setting in missing:
                maps = BOUNDS[name][setting](run, planted.networks.maps)
                scores = judge_maps(maps, target, surrogates, both_poles=poles)
                self.store.add(key, {method_of(f"bound: {name}", setting): scores})

    def choose(self, n_others: int, seeds: Sequence[int]) -> dict[str, dict[str, str]]:
        """Give, per score, the setting chosen for every family on tuning seeds."""
        table = frame_of(self.store.known)
        if table.empty:
            return {}
        own = table[(table["plant"] == self.plant.key) & (table["others"] == n_others) & table["seed"].isin(seeds)]
        return {
            score: choose_settings(own, score, lowest=score in LOWER_IS_BETTER)
            for score in CHOSEN_FOR
            if score in own and own[score].notna().any()
        }


def run_plant(plant: Plant, store: Store, *, n_others: int, n_tuning: int, n_reported: int, networks: bool) -> None:
    """Score one plant's methods of no other runs (`n_others` 0, with the bounds), or of so many."""
    judge = Judge(plant, store)
    tuning, reported = TUNING[:n_tuning], REPORTED[:n_reported]
    candidates = (*RIVALS, *SEARCH) if networks else RIVALS
    rivals = [rival for rival in candidates if rival.needs_others == bool(n_others)]
    for seed in tuning:
        if not n_others:
            judge.score_bounds(seed, chance=False)
        judge.score(seed, n_others, [(r, s) for r in rivals for s in r.settings], chance=False)
    chosen = judge.choose(n_others, tuning)
    for seed in reported:
        wanted = [
            (rival, setting)
            for rival in rivals
            for setting in rival.settings
            if any(own.get(rival.name) == label_of(setting) for own in chosen.values())
        ]
        if not n_others:
            judge.score_bounds(seed, chance=True)
        elif networks:
            wanted = [*wanted, *((network, {}) for network in NETWORKS)]
        judge.score(seed, n_others, wanted, chance=True)


def run_level(level: str, store: Store, options: argparse.Namespace) -> None:
    """Add what a level lacks: first all plants with no other runs, then with few, then with many."""
    n_tuning, n_reported = N_SEEDS[level]
    for n_others in (0, *CONTEXTS):
        for plant in LEVELS[level]:
            if plant.noise == "residuals" and not people.SHARED.exists():
                print(f"{plant.key}: left out, the people's data is not at {people.SHARED}", file=sys.stderr)
            elif not options.plants or any(text in plant.key for text in options.plants):
                run_plant(
                    plant,
                    store,
                    n_others=n_others,
                    n_tuning=n_tuning,
                    n_reported=options.seeds or n_reported,
                    networks=not options.without_network,
                )


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.judge", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="?", choices=[*LEVELS, "people", "report"], default="quick")
    parser.add_argument(
        "--plants", nargs="+", default=(), metavar="TEXT", help="only plants whose key has one of these"
    )
    parser.add_argument("--without-network", action="store_true", help="leave out what takes longest")
    parser.add_argument("--seeds", type=int, metavar="N", help="report only the first N seeds")
    parser.add_argument("--splits", type=int, metavar="N", help="judge people in the first N of the ten splits only")
    options = parser.parse_args()
    store = Store(RESULTS)
    if options.what in LEVELS:
        run_level(options.what, store, options)
    if options.what == "people":
        people.judge_people(networks=not options.without_network, n_splits=options.splits)
    print("\n".join(report(store.known)))
    if people.RESULTS.exists():
        print("\n## Real people\n")
        print("\n".join(people.report_people(json.loads(people.RESULTS.read_text()))))

"""Fill and print the judge's tables: ``python -m benchmarks.judge``, with ``quick``, ``full``, ``people``, ``report``.

Settings of every rival are tried on tuning seeds; those chosen for any score are scored on reported seeds, with chance
beside them. Results are kept in ``benchmarks/results/judge.json`` after every few methods of a run, and a second call
goes on where the first stopped. Prepared runs and surrogates are kept in ``benchmarks/results/judge/``: remove both
after a change of what is planted or scored. With ``--jobs 2`` two processes of one thread each share the work.
``--precision fp32`` measures what a processor without bf16 takes.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import multiprocessing
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import torch
from threadpoolctl import threadpool_limits

from benchmarks.judge import people
from benchmarks.judge.bounds import BOUNDS
from benchmarks.judge.chance import elsewhere, kept_ranks
from benchmarks.judge.glance import glance
from benchmarks.judge.network import JUDGED_PRESETS, PRECISIONS, networks
from benchmarks.judge.plants import LEVELS, Plant, cached, population
from benchmarks.judge.report import frame_of, report
from benchmarks.judge.rivals import RIVALS, Rival, label_of
from benchmarks.judge.runs import Group, Run
from benchmarks.judge.scores import LOWER_IS_BETTER, Target, judge_maps
from benchmarks.judge.search import SEARCH
from benchmarks.judge.seeds import REPORTED, TUNING, choose_settings, others_of, require
from benchmarks.planted import PlantedRun, grid_of_model
from scaae_nipype.files import write_json

__all__ = ["CONTEXTS", "RESULTS", "Store", "main", "page"]

RESULTS = Path(__file__).parents[1] / "results" / "judge.json"
CACHE = RESULTS.with_suffix("")

CONTEXTS = (3, 24)
"""Sizes of the studies that methods of other people's runs are fitted to."""

OTHERS = (0, 1, 2, *CONTEXTS)
"""Numbers of other runs that may be asked for; the levels have the first and the last two."""

N_SEEDS = {"quick": (2, 4), "full": (4, 8)}
"""Seeds to choose on and seeds to report, at each level."""

SETS, SETS_PER_SEED = 20, 5
"""Sets of surrogates, and how many of them each seed is held against, in turn."""

CHOSEN_FOR = ("average_precision", "size_matched_iou", "r", "state_accuracy", "transition_error", "amplitude_r")
"""Scores that have a setting of their own chosen; what is below the mean takes that of AP."""


class Store:
    """Scores by key and method, in a file that is written after every addition; several processes may add at once.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path):
        self.path = path
        self.known = self._read()

    def _read(self) -> dict[str, dict[str, Any]]:
        known: dict[str, dict[str, Any]] = json.loads(self.path.read_text()) if self.path.exists() else {}
        return known

    def has(self, key: str, method: str) -> bool:
        return method in self.known.get(key, {})

    def add(self, key: str, scores: Mapping[str, Any]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.known = self._read()
            self.known.setdefault(key, {}).update({method: _rounded(values) for method, values in scores.items()})
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


@dataclass(frozen=True)
class Wanted:
    """What a level is asked for.

    Parameters
    ----------
    tuning, reported : sequences of int
        Seeds to choose settings on, and to report.
    presets : sequence of str
        Which of the product's networks are judged too, of `JUDGED_PRESETS`: they take longest.
    others : sequence of int
        Numbers of other people's runs, 0 for what sees none.
    search : bool
        Whether the network of the search (`benchmarks.search`) is, in every class.
    precision : str
        One of `PRECISIONS`: what the product's networks compute in.
    """

    tuning: Sequence[int]
    reported: Sequence[int]
    presets: Sequence[str] = JUDGED_PRESETS
    others: Sequence[int] = (0, *CONTEXTS)
    search: bool = False
    precision: str = "auto"


def run_plant(unit: tuple[int, Plant], path: Path, wanted: Wanted) -> None:
    """Score one plant's methods of no other runs (with the bounds), or of so many; what is known is left alone."""
    n_others, plant = unit
    judge = Judge(plant, Store(path))
    require(wanted.tuning, TUNING, "choosing settings")
    require(wanted.reported, REPORTED, "reporting")
    rivals = [rival for rival in RIVALS if rival.needs_others == bool(n_others)]
    for seed in wanted.tuning:
        if not n_others:
            judge.score_bounds(seed, chance=False)
        judge.score(seed, n_others, [(r, s) for r in rivals for s in r.settings], chance=False)
    chosen = judge.choose(n_others, wanted.tuning)
    own = networks(wanted.precision, wanted.presets)
    judged = (*own, *(SEARCH if wanted.search else ()))
    for seed in wanted.reported:
        pairs = [
            (rival, setting)
            for rival in rivals
            for setting in rival.settings
            if any(best.get(rival.name) == label_of(setting) for best in chosen.values())
        ]
        pairs += [(one, s) for one in judged if one.needs_others == bool(n_others) for s in one.settings]
        if not n_others:
            judge.score_bounds(seed, chance=True)
        judge.score(seed, n_others, pairs, chance=True)


def run_level(plants: Sequence[Plant], path: Path, wanted: Wanted, *, jobs: int = 1) -> None:
    """Add what a level lacks: all plants with the first number of other runs, then with the next.

    Parameters
    ----------
    plants : sequence of Plant
    path : Path
        Of the results.
    wanted : Wanted
    jobs : int
        Processes; with more than one, each has one thread.
    """
    units = list(product(wanted.others, plants))
    if min(jobs, len(units)) < 2:
        for unit in units:
            run_plant(unit, path, wanted)
        return
    fresh = multiprocessing.get_context("spawn")  # a fork would copy the threads of linear algebra
    with ProcessPoolExecutor(min(jobs, len(units)), mp_context=fresh, initializer=_one_thread) as pool:
        try:
            list(pool.map(partial(run_plant, path=path, wanted=wanted), units))
        except (
            BaseException
        ):  # Ctrl-C, too: leaving would wait for what the workers are at, which is kept in small parts
            for worker in multiprocessing.active_children():
                worker.terminate()
            raise


def _one_thread() -> None:
    threadpool_limits(1)
    torch.set_num_threads(1)


def plants_of(level: str, texts: Sequence[str] = ()) -> list[Plant]:
    """Give the plants of a level whose keys hold one of some texts; what needs people's data that is not there, not."""
    found = []
    for plant in LEVELS[level]:
        if texts and not any(text in plant.key for text in texts):
            continue
        if plant.noise == "residuals" and not people.SHARED.exists():
            print(f"{plant.key}: left out, the people's data is not at {people.SHARED}", file=sys.stderr)
        else:
            found.append(plant)
    return found


HEADING = """# The judge's tables

Made by `python -m benchmarks.judge report > docs/judge_tables.md` from `benchmarks/results/judge.json` and
`judge_people.json`. [judge.md](judge.md) says how methods are judged and what came out. Reported are the seeds on which
every method was scored; what is not there for all of them is left out.
"""


def page(known: Mapping[str, Mapping[str, Any]], of_people: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Give the lines of the page: what is planted, then real people."""
    yield HEADING
    yield "## At a glance\n"
    yield from glance(known, of_people)
    yield ""
    yield from report(known)
    yield "\n## Real people\n"
    yield from people.report_people(of_people)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.judge", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="?", choices=[*LEVELS, "people", "report", "glance"], default="quick")
    parser.add_argument(
        "--plants", nargs="+", default=(), metavar="TEXT", help="only plants whose key has one of these"
    )
    parser.add_argument(
        "--networks", nargs="+", choices=JUDGED_PRESETS, default=JUDGED_PRESETS, help="presets that are judged"
    )
    parser.add_argument("--without-networks", action="store_true", help="leave out what takes longest")
    parser.add_argument(
        "--others",
        type=int,
        nargs="+",
        choices=OTHERS,
        default=(0, *CONTEXTS),
        help="numbers of other people's runs (default: %(default)s)",
    )
    parser.add_argument("--search", action="store_true", help="judge the network of the search, too")
    parser.add_argument("--seeds", type=int, metavar="N", help="report N seeds")
    parser.add_argument("--first-seed", type=int, default=REPORTED[0], metavar="N", help="report seeds from N on")
    parser.add_argument("--tuning-seeds", type=int, metavar="N", help="choose settings on the first N seeds")
    parser.add_argument("--splits", type=int, metavar="N", help="judge people in the first N of the ten splits only")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes of one thread each, if several")
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="auto",
        help="of the product's networks; auto: bf16 where the processor computes in it, else fp32",
    )
    options = parser.parse_args()
    presets = () if options.without_networks else options.networks
    if options.what in LEVELS:
        n_tuning, n_reported = N_SEEDS[options.what]
        wanted = Wanted(
            TUNING[: options.tuning_seeds or n_tuning],
            range(options.first_seed, options.first_seed + (options.seeds or n_reported)),
            presets=presets,
            others=options.others,
            search=options.search,
            precision=options.precision,
        )
        run_level(plants_of(options.what, options.plants), RESULTS, wanted, jobs=options.jobs)
    if options.what == "people":
        people.judge_people(
            networks=networks(options.precision, presets),
            search=options.search,
            n_splits=options.splits,
        )
    of_people = json.loads(people.RESULTS.read_text()) if people.RESULTS.exists() else {}
    made = glance if options.what == "glance" else page
    print("\n".join(made(Store(RESULTS).known, of_people)))

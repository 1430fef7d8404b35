"""Which runs train a model where there are more than it takes: drawn before anything is prepared."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...images import count_volumes
from ...model.presets import RECIPES, preset_named
from ...words import counted
from ..inputs.datasets import participants_of
from ..inputs.participants import first_table
from ..inputs.plan import Inputs, RunInput
from ..settings.settings import Settings
from .memory import FITTED_VOLUMES

__all__ = ["TRAINING_RUNS", "Draw", "draw_runs"]

TRAINING_RUNS = 100
"""Runs that are drawn unless their number is given: a context gains little from more than a few dozen."""


@dataclass(frozen=True)
class Draw:
    """The runs that train a model, and what they were drawn from."""

    runs: tuple[RunInput, ...]  # in the order of those that there are
    n_all: int
    n_sites: int  # 0 where no table tells
    seed: int

    @property
    def is_all(self) -> bool:
        """Whether every run is taken."""
        return len(self.runs) == self.n_all

    @property
    def account(self) -> dict[str, int]:
        """What the model's card says."""
        return {"Runs": self.n_all, "Sites": self.n_sites, "Seed": self.seed}

    def __str__(self) -> str:
        people = counted(len({run.entities["sub"] for run in self.runs}), "participant")
        if self.is_all:
            return counted(len(self.runs), "run")
        sites = f"{counted(self.n_sites, 'site')} and " if self.n_sites else ""
        return (
            f"{counted(len(self.runs), 'run')} of {people}, drawn from {self.n_all} (seed {self.seed}, spread over "
            f"{sites}participants)"
        )


def draw_runs(inputs: Inputs, settings: Settings) -> Draw:
    """Draw the runs that train the model of a job.

    Sites take turns, within a site participants, and a participant's second run comes after the first ones of all.
    Taken are as many runs as were asked for, else `TRAINING_RUNS`, or more until they have the volumes that training
    shows. In paper mode, which shows all, every run is taken.
    """
    runs, seed = inputs.runs, settings.training.seed
    n_runs, n_volumes = _needed(settings)
    if n_runs is None or len(runs) <= n_runs:
        return Draw(runs, len(runs), 0, seed)
    sites = _sites(inputs)
    taken: list[RunInput] = []
    for run in _in_turn(runs, sites, seed):
        if len(taken) >= n_runs and n_volumes <= 0:
            break
        taken.append(run)
        n_volumes -= (count_volumes(run.bold) or 0) if n_volumes > 0 else 0
    places = {run.stem: place for place, run in enumerate(runs)}
    n_sites = len({sites[run.entities["sub"]] for run in runs if run.entities["sub"] in sites})
    return Draw(tuple(sorted(taken, key=lambda run: places[run.stem])), len(runs), n_sites, seed)


def _needed(settings: Settings) -> tuple[int | None, int]:
    """Say how many runs, and at least how many volumes in them, training takes; None: all runs."""
    training, asked = settings.training, settings.train_runs
    if asked != "auto":
        return asked, 0
    if preset_named(training.preset).context:  # fitted in closed form
        return TRAINING_RUNS, FITTED_VOLUMES
    if training.train_volumes != "auto":
        return TRAINING_RUNS, training.train_volumes
    largest = RECIPES[training.mode].largest_budget
    return (None, 0) if largest is None else (TRAINING_RUNS, largest)


def _in_turn(runs: Sequence[RunInput], sites: Mapping[str, str], seed: int) -> list[RunInput]:
    """Put runs in the order in which they are drawn."""
    random = np.random.default_rng(seed)
    by_participant: defaultdict[str, list[RunInput]] = defaultdict(list)
    for run in runs:
        by_participant[run.entities["sub"]].append(run)
    participants = [list(by_participant)[place] for place in random.permutation(len(by_participant))]
    seen: Counter[str] = Counter()
    turns: list[tuple[int, int, int, RunInput]] = []
    for place, participant in enumerate(participants):
        site = sites.get(participant, "")
        own = by_participant[participant]
        for number, chosen in enumerate(random.permutation(len(own))):
            turns.append((number, seen[site], place, own[chosen]))
        seen[site] += 1
    return [run for *_, run in sorted(turns, key=lambda turn: turn[:3])]


def _sites(inputs: Inputs) -> dict[str, str]:
    """Read the sites of participants (label without ``sub-``) where a table has them."""
    roots = list(inputs.roots.values())[::-1]
    found, _ = first_table(roots, participants_of(*roots))
    if found is None or "site" not in found.rows:
        return {}
    labels = found.rows["participant_id"].str.removeprefix("sub-")
    return dict(zip(labels, found.rows["site"].astype(str), strict=True))

"""Which file stands for a run where several do: pipelines, spaces, resolutions, echoes."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ...errors import InputError
from ...images import count_volumes, open_image
from ...words import counted
from .bids_names import NUMBERED, BidsFile, trouble_with
from .datasets import Dataset
from .query import LONG_KEYS, space_of

__all__ = ["Candidate", "Refusal", "choice_notes", "choose", "run_key"]

PREFERRED_SPACES = ("MNI152NLin2009cAsym", "MNI152NLin6Asym")
PREFERRED_DESCRIPTIONS = ("preproc", "denoised", "denoisedSmoothed")
_PROC_FILTER = '{"bold": {"proc": …}}'
LARGEST_VOXEL = 4.0  # mm: the model's grid, finer data are resampled to it anyway


@dataclass(frozen=True)
class Candidate:
    """A BOLD file in MNI space and the dataset it lies in."""

    file: BidsFile
    dataset: Dataset

    @property
    def run(self) -> frozenset[tuple[str, str]]:
        """Entities that tell runs apart."""
        return run_key(self.file)

    @property
    def space(self) -> str:
        """Space with its cohort, as templateflow and fMRIPrep write it: ``MNIPediatricAsym:cohort-2``."""
        space, cohort = space_of(self.file)
        return space + (f":cohort-{cohort}" if cohort else "")

    @cached_property
    def voxel_size(self) -> float:
        """Longest edge of a voxel in mm: from the header, else the number in ``res-``, else infinity."""
        try:
            return float(max(open_image(self.file.path).header.get_zooms()[:3]))
        except InputError:
            number = re.match(r"\d+", self.file.entities.get("res", ""))
            return float(number[0]) if number else math.inf

    @cached_property
    def n_volumes(self) -> int | None:
        """Number of volumes from the header; None where it cannot be read."""
        return None if trouble_with(self.file.path) else count_volumes(self.file.path)

    @property
    def resolution(self) -> str:
        """The label of the resolution, or its voxel size."""
        label = self.file.entities.get("res")
        return f"res-{label}" if label else f"voxels of {self.voxel_size:.3g} mm"


@dataclass(frozen=True)
class Refusal:
    """A file that was not taken, and why."""

    file: BidsFile
    reason: str
    needs_sibling: bool = False  # its run is lost if no other file stands for it


def run_key(file: BidsFile, *also_without: str) -> frozenset[tuple[str, str]]:
    """Give the entities that tell runs apart; the others tell versions of one run apart.

    >>> one, other = (BidsFile.parse(f"sub-01_{labels}_bold.nii") for labels in ("run-01_desc-preproc", "run-1"))
    >>> run_key(one) == run_key(other)
    True
    """
    own = file.without("space", "cohort", "res", "den", "hemi", "desc", "proc", *also_without)
    return frozenset(
        (key, str(int(label)) if key in NUMBERED and label.isdecimal() else label) for key, label in own.items()
    )


def choose(candidates: Collection[Candidate], *, per_space: bool = False) -> tuple[list[Candidate], list[Refusal]]:
    """Take one file per run.

    In this order: a combined series before its echoes; ``desc-preproc`` before ``desc-denoised``;
    MNI152NLin2009cAsym before MNI152NLin6Asym before others; the dataset named first; no ``proc-`` before one; the
    coarsest resolution that is at least as fine as 4 mm, else the finest.

    Parameters
    ----------
    candidates : collection of Candidate
        In the order of preference of their datasets.
    per_space : bool
        Take one file in every space (the user asked for these), not in the preferred one only.
    """
    combined = {candidate.run for candidate in candidates if "echo" not in candidate.file.entities}
    datasets = list(dict.fromkeys(candidate.dataset for candidate in candidates))
    refused: list[Refusal] = []
    pools: defaultdict[Any, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        if "echo" in candidate.file.entities and run_key(candidate.file, "echo") in combined:
            refused.append(Refusal(candidate.file, "single echo; the combined series of the same run is taken"))
        else:
            pools[candidate.run, candidate.space if per_space else None].append(candidate)
    steps: list[tuple[Callable[[Candidate], Any], Callable[[Candidate], str]]] = [
        (
            lambda candidate: _rank(candidate.file.entities.get("desc", ""), PREFERRED_DESCRIPTIONS),
            lambda taken: f"desc-{taken.file.entities.get('desc')} of {taken.dataset.name} is taken",
        ),
        (
            lambda candidate: _rank(candidate.space, PREFERRED_SPACES),
            lambda taken: f"space {taken.space} is taken",
        ),
        (
            lambda candidate: datasets.index(candidate.dataset),
            lambda taken: f"that of {taken.dataset.name} is taken",
        ),
        (
            lambda candidate: candidate.file.entities.get("proc", ""),
            lambda taken: f"{_processing(taken)} is taken (the filter file chooses another: {_PROC_FILTER})",
        ),
        (_rank_resolution, lambda taken: f"{taken.resolution} is taken"),
        (lambda candidate: candidate.file.path, lambda taken: f"{taken.file.path.name} is taken"),
    ]
    chosen = []
    for pool in pools.values():
        for rank, reason in steps:
            if len(pool) == 1:
                break  # spares reading headers where there is nothing to choose
            best = min(pool, key=rank)
            lost = [candidate for candidate in pool if rank(candidate) != rank(best)]
            refused += [Refusal(candidate.file, f"another version of the run: {reason(best)}") for candidate in lost]
            pool = [candidate for candidate in pool if rank(candidate) == rank(best)]
        chosen += pool
    return chosen, refused


def _processing(candidate: Candidate) -> str:
    label = candidate.file.entities.get("proc")
    return f"proc-{label}" if label else "that without proc-"


def _rank(label: str, preferred: tuple[str, ...]) -> tuple[int, str]:
    return (preferred.index(label), "") if label in preferred else (len(preferred), label)


def _rank_resolution(candidate: Candidate) -> tuple[bool, float]:
    size = round(candidate.voxel_size, 2)
    return (False, -size) if size <= LARGEST_VOXEL else (True, size)


def choice_notes(chosen: Collection[Candidate], candidates: Collection[Candidate]) -> list[str]:
    """Say in sentences which spaces, resolutions and pipelines were taken."""
    taken = Counter(" ".join(filter(None, [c.space, c.file.entities.get("res") and c.resolution])) for c in chosen)
    told = [f"{what} ({counted(n, 'run')})" for what, n in taken.most_common()]
    notes = [f"Taken: {', '.join(told)}."]
    by_run = {candidate.run: candidate for candidate in chosen}
    if len({candidate.space for candidate in chosen}) > 1 and len(by_run) == len(chosen):
        notes.append("The runs are not all in one space; --space says which to take.")
    notes += _notes_on_alike(by_run.values())
    others = Counter(
        (_origin(by_run[candidate.run]), _origin(candidate), candidate.file.entities.get("desc", ""))
        for candidate in {(c.run, c.file.entities.get("desc"), c.dataset): c for c in candidates}.values()
        if candidate.run in by_run and _origin(by_run[candidate.run]) != _origin(candidate)
    )
    for (mine, other, description), n in sorted(others.items()):
        hint = f' (a filter file takes the other: {{"bold": {{"desc": "{description}"}}}})'
        same = mine.startswith(f"desc-{description} ")
        notes.append(f"{counted(n, 'run')} with both {mine} and {other}: {mine} is taken{'' if same else hint}.")
    return notes


def _notes_on_alike(chosen: Collection[Candidate]) -> list[str]:
    """Name runs that may be one acquisition: they differ in what is made of it, or in what BIDS does not know."""
    unknown = {key for candidate in chosen for key in candidate.file.entities if key not in LONG_KEYS}
    notes = []
    for key in ("rec", "echo", *sorted(unknown)):
        alike = Counter(run_key(candidate.file, key) for candidate in chosen if key in candidate.file.entities)
        several = sum(count for count in alike.values() if count > 1)
        if several:
            name = LONG_KEYS.get(key)
            how = f'choose with a filter file: {{"bold": {{"{name}": …}}}}' if name else "keep one in the folder"
            notes.append(
                f"{counted(several, 'run')} differ from one another in {key}- alone and are all taken; if they are "
                f"versions of one acquisition, {how}."
            )
    return notes


def _origin(candidate: Candidate) -> str:
    return f"desc-{candidate.file.entities.get('desc')} ({candidate.dataset.name})"

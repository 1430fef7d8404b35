"""Runs that are several others in a row (XCP-D writes them beside their parts), so that no data count twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from ...errors import InputError
from ...files import read_json
from .bids_names import BidsFile
from .choice import Candidate, Refusal, run_key

__all__ = ["JOINED", "Concatenation", "find_concatenations", "without_doubles"]

JOINED = ("run", "dir")
"""Entities that XCP-D leaves out of the name of a concatenation."""


@dataclass(frozen=True)
class Concatenation:
    """A BOLD file that holds several runs one after the other."""

    whole: Candidate
    parts: tuple[Candidate, ...]  # one version of each run in it
    evidence: str  # how it was recognised, or what was assumed

    @property
    def labels(self) -> str:
        """What tells the parts apart."""
        return ", ".join(" ".join(f"{key}-{label}" for key, label in _joined(part)) for part in self.parts)


def find_concatenations(candidates: Iterable[Candidate]) -> tuple[list[Concatenation], list[str]]:
    """Find files named like several others less ``run`` (and ``dir``) that hold the volumes of these.

    The sidecar's ``Sources`` decide, where they name the runs; else the numbers of volumes in the headers. A name alone
    decides nothing: ``task-rest`` beside ``task-rest_run-2`` may be another run.

    Parameters
    ----------
    candidates : iterable of Candidate
        All BOLD files in volumes, whether they were asked for or not.

    Returns
    -------
    concatenations : list of Concatenation
    notes : list of str
        About files that have such a name and were taken for runs of their own.
    """
    families: defaultdict[frozenset[tuple[str, str]], list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        families[run_key(candidate.file, *JOINED)].append(candidate)
    found: list[Concatenation] = []
    notes: list[str] = []
    for family in families.values():
        if len({_joined(candidate) for candidate in family}) < 2:
            continue
        wholes: list[Candidate] = []
        for candidate in sorted(family, key=lambda member: -len(_joined(member))):
            others = [other for other in family if other not in wholes]
            judged = _judge(candidate, _parts_of(candidate, others), others)
            if isinstance(judged, Concatenation):
                found.append(judged)
                wholes.append(candidate)
            elif judged:
                notes.append(judged)
    return found, notes


def without_doubles(
    candidates: Collection[Candidate],
    concatenations: Iterable[Concatenation],
    prefer: Literal["parts", "whole"],
) -> tuple[list[Candidate], list[Refusal]]:
    """Leave out, of the files that could be used, concatenations whose parts are there, or the parts."""
    there, paths = {candidate.run for candidate in candidates}, {candidate.file.path for candidate in candidates}
    reasons: dict[Path, str] = {}
    usable = [one for one in concatenations if one.whole.file.path in paths]
    for one in sorted(usable, key=lambda one: len(_joined(one.whole))):  # the longest first
        parts = {part.run for part in one.parts} & there
        if prefer == "parts" and parts:
            reasons[one.whole.file.path] = (
                f"the concatenation of {one.labels} ({one.evidence}); the parts are taken (--concatenated whole takes "
                "it instead)"
            )
        elif prefer == "whole" and one.whole.file.path not in reasons:
            within = {other.whole.run for other in usable if {part.run for part in other.parts} < parts}
            reason = f"a part of {one.whole.file.path.name}, which is taken ({one.evidence})"
            reasons |= {c.file.path: reason for c in candidates if c.run in parts | within}
    refused = [Refusal(c.file, reasons[c.file.path]) for c in candidates if c.file.path in reasons]
    return [candidate for candidate in candidates if candidate.file.path not in reasons], refused


def _joined(candidate: Candidate) -> tuple[tuple[str, str], ...]:
    return tuple((key, candidate.file.entities[key]) for key in JOINED if key in candidate.file.entities)


def _version(candidate: Candidate) -> tuple[object, ...]:
    entities = candidate.file.entities
    return candidate.dataset, candidate.space, *(entities.get(key) for key in ("res", "den", "desc", "proc"))


def _parts_of(whole: Candidate, family: Iterable[Candidate]) -> list[Candidate]:
    """Give one version of every run whose name says more about run and direction, the same one where there is."""
    mine = dict(_joined(whole))
    more = [
        other for other in family if len(_joined(other)) > len(mine) and mine.items() <= dict(_joined(other)).items()
    ]
    more.sort(key=lambda other: (_version(other) != _version(whole), other.dataset != whole.dataset))
    best = [other for other in more if _version(other) == _version(more[0])]
    return sorted({_joined(other): other for other in reversed(best)}.values(), key=lambda other: other.file.path)


def _judge(whole: Candidate, parts: list[Candidate], family: Iterable[Candidate]) -> Concatenation | str | None:
    """Decide whether a file is the concatenation of others; else give a note, where the name alone would say so."""
    if not parts:
        return None
    named = _named_in_sources(whole)
    if named is not None:
        own = [part for part in parts if _joined(part) in named]
        if own:
            return Concatenation(whole, tuple(own), "its sidecar names them as its Sources")
        return None
    if len(parts) < 2:
        return None
    name, labels = whole.file.path.name, Concatenation(whole, tuple(parts), "").labels
    counts = [part.n_volumes for part in parts]
    if whole.n_volumes is None or None in counts:
        return Concatenation(whole, tuple(parts), "assumed from its name, the headers cannot be read")
    total = sum(count for count in counts if count is not None)
    if whole.n_volumes == total:
        return Concatenation(whole, tuple(parts), f"its {total} volumes are the sum of theirs")
    if parts[0].dataset != whole.dataset and not any(
        other.dataset == parts[0].dataset and other.run == whole.run for other in family
    ):
        reason = f"assumed: {whole.n_volumes} volumes to their {total}, and {parts[0].dataset.name} has no such run"
        return Concatenation(whole, tuple(parts), reason)
    return (
        f"{name} is taken for a run of its own: its {whole.n_volumes} volumes are not those of {labels} together "
        f"({total}), so it is not their concatenation."
    )


def _named_in_sources(whole: Candidate) -> set[tuple[tuple[str, str], ...]] | None:
    """Give run and direction of the BOLD files that the sidecar names as sources; None where it names none."""
    path = whole.file.path
    sources: object = None
    with suppress(InputError):
        sources = read_json(path.with_name(path.name.removesuffix(".gz").removesuffix(".nii") + ".json")).get("Sources")
    files = [BidsFile.parse(PurePosixPath(str(source)).name) for source in sources] if isinstance(sources, list) else []
    bold = [file for file in files if file is not None and file.suffix == "bold"]
    named = {tuple((key, file.entities[key]) for key in JOINED if key in file.entities) for file in bold}
    return named or None

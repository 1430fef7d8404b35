"""Which runs there are: BOLD runs of fMRIPrep-style derivatives, what belongs to them, and why others are skipped."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Literal

from ...errors import InputError, UsageError
from ...words import counted, few_and_more
from .absence import USABLE_SPACE
from .bids_names import BidsFile
from .choice import Candidate, Refusal, choice_notes, choose, run_key
from .companions import Companions, remark_notes
from .concatenation import JOINED, Concatenation, find_concatenations, without_doubles
from .datasets import Datasets, find_datasets, participants_of
from .listing import list_files
from .participants import first_table
from .plan import Inputs, RunInput, Skipped
from .query import EVERYTHING, Query, nearest
from .usable import OTHER_DESCRIPTION, each_once, in_place, in_volumes, usable

__all__ = ["find_inputs"]


def find_inputs(
    bids_dir: str | os.PathLike[str],
    query: Query = EVERYTHING,
    *,
    derivatives: Mapping[str, str | os.PathLike[str]] | None = None,
    database_dir: str | os.PathLike[str] | None = None,
    repetition_time: float | None = None,
    concatenated: Literal["parts", "whole"] = "parts",
    reindex: bool = False,
) -> Inputs:
    """Find the runs to work on; nothing is written into the input.

    Parameters
    ----------
    bids_dir : path
        A derivative root, a raw root with ``derivatives/<pipeline>/`` inside, or a folder of derivative roots.
    query : Query
        Which runs are asked for; each of several spaces is taken.
    derivatives : mapping, optional
        Name to path of further roots.
    database_dir : path, optional
        Folder in which pybids keeps its index between calls.
    repetition_time : float, optional
        Of all runs in s, whatever their sidecars say.
    concatenated : {"parts", "whole"}
        What is taken where a dataset holds several runs and their concatenation.
    reindex : bool
        Whether an index that is there is made anew.

    Raises
    ------
    UsageError
        If a folder or a participant does not exist, or no BOLD file has the labels asked for.
    InputError
        If there are such files, but none can be used.
    """
    datasets = find_datasets(bids_dir, derivatives)
    known = _known_participants(query, datasets)
    listings = {
        dataset: list_files(dataset.root, known if query.participants else (), database_dir, reindex=reindex)
        for dataset in datasets.derivatives
    }
    bold = [
        Candidate(file, dataset)
        for dataset, listing in listings.items()
        for file in listing.files
        if file.suffix == "bold"
    ]
    bold_files = [candidate.file for candidate in bold]
    matching = [candidate for candidate in bold if query.takes(candidate.file)]
    troubles = [Skipped(path, reason, is_fault=True) for found in listings.values() for path, reason in found.troubles]
    if not matching and not troubles:
        places = ", ".join(str(dataset.root) for dataset in datasets.derivatives)
        raise UsageError(f"No BOLD run matches in {places}; looked for {query}. {query.nearest_misses(bold_files)}")

    matching, set_aside = in_place(matching, datasets, query)
    candidates, refused = usable(matching, query)
    candidates, copies = each_once(candidates)
    joined, join_notes = find_concatenations(candidate for candidate in bold if in_volumes(candidate, query))
    single, doubles = without_doubles(candidates, joined, concatenated)
    chosen, lost = choose(single, per_space=query.names_spaces)
    companions = Companions(
        {dataset.root: found.files for dataset, found in listings.items()}, datasets.raw, repetition_time
    )
    runs, broken = _complete(chosen, companions, joined)
    skipped = [*troubles, *set_aside, *broken, *_explained([*refused, *copies, *doubles, *lost], chosen)]
    if not runs:
        raise InputError(_nothing_usable(skipped, candidates or matching))

    missing = _without_run(known, runs, skipped)
    if query.participants:
        of_participants: defaultdict[str | None, list[BidsFile]] = defaultdict(list)
        for file in bold_files:
            of_participants[file.entities.get("sub")].append(file)
        skipped += [_nothing_of(label, datasets, query, of_participants[label]) for label in missing]
    elif missing:
        join_notes.append(f"No BOLD run to use: {few_and_more((f'sub-{label}' for label in missing), 10)}.")
    paths = {run.bold for run in runs}
    taken = [candidate for candidate in chosen if candidate.file.path in paths]
    roots = {dataset.name: dataset.root for dataset in datasets.derivatives}
    roots |= {"raw": datasets.raw} if datasets.raw else {}
    index_notes = [note for found in listings.values() for note in found.notes]
    return Inputs(
        runs=tuple(sorted(runs, key=lambda run: run.stem)),
        skipped=tuple(sorted(skipped, key=lambda skip: skip.path)),
        roots=roots,
        notes=(
            *datasets.notes,
            *index_notes,
            *join_notes,
            *query.unmet(bold_files),
            *choice_notes(taken, single),
            *remark_notes(companions.remarks),
            *first_table(list(roots.values())[::-1], participants_of(*roots.values()))[1],
        ),
    )


def _known_participants(query: Query, datasets: Datasets) -> list[str]:
    """List the participants to look at: those asked for, all of which must exist, or all there are."""
    there = participants_of(*(dataset.root for dataset in datasets.derivatives))
    named = query.participants
    unknown = sorted({*named} - {*there}, key=named.index)
    if unknown:
        near = {other: None for label in unknown for other in nearest(label, there)}
        hint = f"nearest: {', '.join(near)}" if near else f"there are {few_and_more(there, 10)}"
        roots = ", ".join(str(dataset.root) for dataset in datasets.derivatives)
        raise UsageError(f"--participant-label {' '.join(unknown)}: no such participant in {roots} ({hint}).")
    return list(dict.fromkeys(named)) or there


def _complete(
    chosen: Iterable[Candidate], companions: Companions, concatenations: Iterable[Concatenation]
) -> tuple[list[RunInput], list[Skipped]]:
    """Add to every BOLD file what belongs to it; set aside those where that fails."""
    runs, broken = [], []
    wholes = {one.whole.file.path for one in concatenations}
    for candidate in chosen:
        file, dataset = candidate.file, candidate.dataset
        try:
            belongings = companions.of(file, dataset.root, joined=JOINED if file.path in wholes else ())
        except (InputError, OSError) as error:
            broken.append(Skipped(file.path, str(error), is_fault=True))
            continue
        run = RunInput(
            entities=dict(file.entities),
            bold=file.path,
            denoised=file.entities.get("desc", "").startswith("denoised"),
            root=dataset.root,
            source_name=dataset.name,
            **belongings,
        )
        runs.append(run)
    return runs, broken


def _explained(refused: Iterable[Refusal], chosen: Iterable[Candidate]) -> list[Skipped]:
    """Tell files that another one stands for from those whose run is lost."""
    standing = {run_key(candidate.file, "echo") for candidate in chosen}
    return [
        Skipped(
            refusal.file.path,
            refusal.reason,
            is_fault=refusal.needs_sibling and run_key(refusal.file, "echo") not in standing,
        )
        for refusal in refused
    ]


def _nothing_usable(skipped: Collection[Skipped], left: Collection[Candidate]) -> str:
    """Say in one line why no run is left: the first reason, how many files there are of what kind, what would help."""
    faults = [skip for skip in skipped if skip.is_fault] or list(skipped)
    first = faults[0]
    more = f" ({counted(len(faults) - 1, 'more file')} skipped)" if len(faults) > 1 else ""
    reasons = Counter(skip.reason for skip in faults)
    counts = (
        f" In all: {'; '.join(f'{n} {reason}' for reason, n in reasons.most_common(5))}." if len(reasons) > 1 else ""
    )
    spaces = {candidate.space for candidate in left}
    others = sorted(space for space in spaces if space.startswith("MNI") and not space.startswith("MNI152"))
    help_ = ""
    if all(skip.reason == OTHER_DESCRIPTION for skip in faults):
        help_ = ' A --bids-filter-file takes them: {"bold": {"desc": …}}.'
    elif others:
        help_ = f" --space {others[0]} takes what there is."
    elif not any(space.startswith("MNI") for space in spaces):
        help_ = f" {USABLE_SPACE}."
    return f"No BOLD run can be used: {first.path}: {first.reason}{more}.{counts}{help_}"


def _without_run(known: Iterable[str], runs: Iterable[RunInput], skipped: Iterable[Skipped]) -> list[str]:
    """List the participants of whom neither a run nor a fault is told."""
    paths = [run.bold for run in runs] + [skip.path for skip in skipped if skip.is_fault]
    told = {file.entities.get("sub") for file in map(BidsFile.parse, paths) if file}
    return [label for label in known if label not in told]


def _nothing_of(label: str, datasets: Datasets, query: Query, theirs: Iterable[BidsFile]) -> Skipped:
    folder = next(root for dataset in datasets.derivatives if (root := dataset.root / f"sub-{label}").is_dir())
    if not any(folder.iterdir()):
        reason = f"the folder is empty (a DataLad subdataset: `datalad get -n {folder}`)"
    else:
        reason = f"no BOLD run of this participant matches. {query.nearest_misses(theirs)}"
    return Skipped(folder, reason, is_fault=True)

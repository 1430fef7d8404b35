"""Which runs there are: BOLD runs of fMRIPrep-style derivatives, what belongs to them, and why others are skipped."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..errors import InputError, UsageError
from ..names import run_stem
from .choice import Candidate, Refusal, choice_notes, choose, run_key
from .filters import ANY, Criterion, criteria, nearest, nearest_misses, read_filter_file, refused_by
from .layout import Dataset, Datasets, find_datasets, list_files, participant_labels
from .metadata import BidsFile, Companions, absent_content

__all__ = ["Inputs", "RunInput", "Skipped", "find_inputs", "plan_text", "read_filter_file"]

DESCRIPTION = re.compile(r"preproc|denoised\w*")
"""Values of ``desc-`` that are taken unless a filter names others."""


@dataclass(frozen=True)
class RunInput:
    """One BOLD run and the files that belong to it.

    Parameters
    ----------
    entities : mapping
        Short key to label, verbatim (``{"sub": "01", "task": "rest", "run": "01", …}``).
    bold : Path
        4D image in MNI space.
    mask : Path or None
        Brain mask in the same space and resolution.
    confounds : Path or None
        Table of confounds.
    confounds_metadata : Path or None
        Its sidecar.
    sidecars : tuple of Path
        Sidecars of `bold` by inheritance, the strongest first.
    repetition_time : float or None
        In s, as the user or the sidecars say; None where they do not tell.
    denoised : bool
        Whether the run was denoised already (``desc-denoised``, XCP-D).
    root : Path
        Dataset in which the run was found.
    source_name : str
        Name of that dataset: its key in `Inputs.roots` and in ``DatasetLinks``.
    events : Path or None
        Table of events, from the raw dataset or else from `root`.
    """

    entities: Mapping[str, str]
    bold: Path
    mask: Path | None
    confounds: Path | None
    confounds_metadata: Path | None
    sidecars: tuple[Path, ...]
    repetition_time: float | None
    denoised: bool
    root: Path
    source_name: str
    events: Path | None

    @property
    def stem(self) -> str:
        """Beginning of the names of this run's outputs."""
        return run_stem(self.entities)

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that are read for this run."""
        there = (self.bold, self.mask, self.confounds, self.confounds_metadata, self.events, *self.sidecars)
        return tuple(file for file in there if file is not None)


@dataclass(frozen=True)
class Skipped:
    """A file that is not used, and why, in one line.

    Parameters
    ----------
    path : Path
    reason : str
    is_fault : bool
        True where the run was asked for and is missing from the plan because of its input (content not here, no
        MNI space, ambiguous confounds …): the whole job has not succeeded. False where a rule took a sibling.
    """

    path: Path
    reason: str
    is_fault: bool = False


@dataclass(frozen=True)
class Inputs:
    """What a job works on.

    Parameters
    ----------
    runs : tuple of RunInput
        Sorted by name, at least one.
    skipped : tuple of Skipped
        Sorted by name.
    roots : mapping
        Name to path of every dataset that is used; ``raw`` is the one with events, where there is one.
    notes : tuple of str
        What was decided (space, resolution, pipeline) and what was asked for and not found.
    """

    runs: tuple[RunInput, ...]
    skipped: tuple[Skipped, ...]
    roots: Mapping[str, Path]
    notes: tuple[str, ...]


def find_inputs(
    bids_dir: str | os.PathLike,
    *,
    derivatives: Mapping[str, str | os.PathLike] | None = None,
    participants: Collection[str] = (),
    sessions: Collection[str] = (),
    tasks: Collection[str] = (),
    run_labels: Collection[str] = (),
    spaces: Collection[str] = (),
    filters: Mapping[str, Any] | None = None,
    database_dir: str | os.PathLike | None = None,
    repetition_time: float | None = None,
) -> Inputs:
    """Find the runs to work on; nothing is written into the input.

    Parameters
    ----------
    bids_dir : path
        A derivative root, or a raw root with ``derivatives/<pipeline>/`` inside.
    derivatives : mapping, optional
        Name to path of further roots.
    participants, sessions, tasks, run_labels, spaces : collection of str
        Labels, with or without their key (``sub-``); all if empty. Each of several spaces is taken; a space may have
        modifiers (``MNI152NLin6Asym:res-2``).
    filters : mapping, optional
        What `read_filter_file` gives.
    database_dir : path, optional
        Folder in which pybids keeps its index between calls.
    repetition_time : float, optional
        Of all runs in s, whatever their sidecars say.

    Raises
    ------
    UsageError
        If a folder or a participant does not exist, or no BOLD file has the labels asked for.
    InputError
        If there are such files, but none can be used.
    """
    labels = {"sessions": sessions, "tasks": tasks, "run_labels": run_labels, "spaces": spaces}
    asked = criteria(participants=participants, filters=filters, **labels)
    datasets = find_datasets(bids_dir, derivatives)
    known = _known_participants(asked, datasets)
    files, notes = _indexed(datasets, known if participants else (), database_dir)
    bold = [Candidate(file, dataset) for dataset in files for file in files[dataset] if file.suffix == "bold"]
    bold_files = [candidate.file for candidate in bold]
    matching = [candidate for candidate in bold if not refused_by(candidate.file, asked)]
    if not matching:
        raise UsageError(_nothing_matches(datasets, asked, bold_files))

    candidates, refused = _usable(matching, asked)
    chosen, lost = choose(candidates, per_space=_names_spaces(asked))
    companions = Companions({dataset.root: found for dataset, found in files.items()}, datasets.raw, repetition_time)
    runs, broken = _complete(chosen, companions)
    skipped = [*broken, *_explained([*refused, *lost], chosen)]
    if not runs:
        raise InputError(_nothing_usable(skipped))

    missing = _without_run(known, runs, skipped)
    if participants:
        skipped += [_nothing_of(label, datasets, asked, bold_files) for label in missing]
    elif missing:
        notes.append(f"No BOLD run to use: {_listed(f'sub-{label}' for label in missing)}.")
    taken = [candidate for candidate in chosen if candidate.file.path in {run.bold for run in runs}]
    roots = {dataset.name: dataset.root for dataset in datasets.derivatives}
    return Inputs(
        runs=tuple(sorted(runs, key=lambda run: run.stem)),
        skipped=tuple(sorted(skipped, key=lambda skip: skip.path)),
        roots=roots | ({"raw": datasets.raw} if datasets.raw else {}),
        notes=(*notes, *_unmet(asked, bold_files), *choice_notes(taken, candidates)),
    )


def _indexed(
    datasets: Datasets, participants: Collection[str], database_dir: str | os.PathLike | None
) -> tuple[dict[Dataset, list[BidsFile]], list[str]]:
    files, notes = {}, list(datasets.notes)
    for dataset in datasets.derivatives:
        files[dataset], index_notes = list_files(dataset.root, participants, database_dir)
        notes += index_notes
    return files, notes


def _known_participants(asked: Iterable[Criterion], datasets: Datasets) -> list[str]:
    """List the participants to look at: those asked for, all of which must exist, or all there are."""
    there = sorted({label for dataset in datasets.derivatives for label in participant_labels(dataset.root)})
    named = [label for c in asked if c.option == "--participant-label" for label in c.wanted if label]
    unknown = [label for label in named if label not in there]
    if unknown:
        near = {other: None for label in unknown for other in nearest(label, there)}
        hint = f"nearest: {', '.join(near)}" if near else f"there are {_listed(there)}"
        roots = ", ".join(str(dataset.root) for dataset in datasets.derivatives)
        raise UsageError(f"--participant-label {' '.join(unknown)}: no such participant in {roots} ({hint}).")
    return list(dict.fromkeys(named)) or there


def _nothing_matches(datasets: Datasets, asked: Collection[Criterion], files: Collection[BidsFile]) -> str:
    roots = ", ".join(str(dataset.root) for dataset in datasets.derivatives)
    wishes = ", ".join(map(str, asked)) or "any"
    return f"No BOLD run matches in {roots}; looked for {wishes}. {nearest_misses(files, asked)}"


def _usable(matching: Iterable[Candidate], asked: Collection[Criterion]) -> tuple[list[Candidate], list[Refusal]]:
    """Leave out what cannot be used, whatever else there is."""
    any_description = any(criterion.key == "desc" for criterion in asked)
    candidates, refused = [], []
    for candidate in matching:
        file = candidate.file
        space = file.entities.get("space")
        if file.entities.get("part", "mag") != "mag":
            refused.append(Refusal(file, f"part-{file.entities['part']}, not magnitude"))
        elif file.extension not in (".nii", ".nii.gz"):
            refused.append(Refusal(file, f"not in MNI space (surface data, {file.extension})", needs_sibling=True))
        elif not (any_description or DESCRIPTION.fullmatch(file.entities.get("desc", ""))):
            refused.append(Refusal(file, "neither desc-preproc nor desc-denoised"))
        elif not (space or "").startswith("MNI"):
            where = f"space-{space}" if space else "no space in its name: native"
            refused.append(Refusal(file, f"not in MNI space ({where})", needs_sibling=True))
        elif not (candidate.space.startswith("MNI152") or _names_spaces(asked)):
            reason = f"space {candidate.space} is only taken if asked for (--space)"
            refused.append(Refusal(file, reason, needs_sibling=True))
        elif absent_content(file.path):
            reason = f"its content is not here: `datalad get {file.path}`"
            refused.append(Refusal(file, reason, needs_sibling=True))
        else:
            candidates.append(candidate)
    return candidates, refused


def _names_spaces(asked: Iterable[Criterion]) -> bool:
    return any(criterion.key == "space" and ANY not in criterion.wanted for criterion in asked)


def _complete(chosen: Iterable[Candidate], companions: Companions) -> tuple[list[RunInput], list[Skipped]]:
    """Add to every BOLD file what belongs to it; set aside those where that fails."""
    runs, broken = [], []
    for candidate in chosen:
        file, dataset = candidate.file, candidate.dataset
        try:
            belongings = companions.of(file, dataset.root)
        except InputError as error:
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


def _nothing_usable(skipped: Collection[Skipped]) -> str:
    """Say in one line why no run is left: the most frequent reason, and how many others there are."""
    faults = [skip for skip in skipped if skip.is_fault] or list(skipped)
    first = faults[0]
    more = f" ({len(faults) - 1} more file{'s' if len(faults) > 2 else ''} skipped)" if len(faults) > 1 else ""
    return f"No BOLD run can be used: {first.path}: {first.reason}{more}."


def _without_run(known: Iterable[str], runs: Iterable[RunInput], skipped: Iterable[Skipped]) -> list[str]:
    """List the participants of whom neither a run nor a fault is told."""
    paths = [run.bold for run in runs] + [skip.path for skip in skipped if skip.is_fault]
    told = {file.entities.get("sub") for file in map(BidsFile.parse, paths) if file}
    return [label for label in known if label not in told]


def _nothing_of(label: str, datasets: Datasets, asked: Collection[Criterion], files: Iterable[BidsFile]) -> Skipped:
    folder = next(root for dataset in datasets.derivatives if (root := dataset.root / f"sub-{label}").is_dir())
    theirs = [file for file in files if file.entities.get("sub") == label]
    if not any(folder.iterdir()):
        reason = f"the folder is empty (a DataLad subdataset: `datalad get -n {folder}`)"
    else:
        reason = f"no BOLD run of this participant matches. {nearest_misses(theirs, asked)}"
    return Skipped(folder, reason, is_fault=True)


def _unmet(asked: Iterable[Criterion], files: Collection[BidsFile]) -> list[str]:
    """Name labels that were asked for beside others and that no file has."""
    return [
        f"{criterion.key}-{wanted} ({criterion.option}): no BOLD file has it"
        + "".join(f"; {criterion.key}-{near}?" for near in nearest(wanted, criterion.labels(files), 1))
        for criterion in asked
        if criterion.key != "sub"
        for wanted in criterion.wanted
        if wanted not in (None, ANY) and not any(criterion.is_met(wanted, file) for file in files)
    ]


def plan_text(
    inputs: Inputs, finished: Collection[str] = (), *, reasons: Mapping[str, object] = MappingProxyType({})
) -> str:
    """Say what will run, what is finished already, and what is skipped with the reason.

    Parameters
    ----------
    inputs : Inputs
    finished : collection of str
        Stems of runs whose results are there.
    reasons : mapping
        Stem to why a run has to be done, and what of it.

    Returns
    -------
    str
        Several lines.
    """
    due = [run for run in inputs.runs if run.stem not in finished]
    done = len(inputs.runs) - len(due)
    lines = [f"Input: {name} in {root}" for name, root in inputs.roots.items()]
    lines += inputs.notes
    lines.append(
        f"Will run: {_count(len(due), 'run')} of {_count(len({run.entities['sub'] for run in due}), 'participant')}"
    )
    lines += [
        f"  {run.stem} ({_details(run)})" + (f": {reasons[run.stem]}" if run.stem in reasons else "") for run in due
    ]
    if done:
        lines.append(f"Finished before: {_count(done, 'run')}")
    files_by_reason: defaultdict[tuple[bool, str], list[Path]] = defaultdict(list)
    for skip in inputs.skipped:
        files_by_reason[not skip.is_fault, skip.reason].append(skip.path)
    for (by_choice, reason), paths in sorted(files_by_reason.items()):
        files = paths[0].name if len(paths) == 1 else f"{len(paths)} files such as {paths[0].name}"
        lines.append(f"{'Skipped' if by_choice else 'Cannot run'}: {files}: {reason}")
    return "\n".join(lines)


def _details(run: RunInput) -> str:
    confounds = "confounds" if run.confounds else "denoised before" if run.denoised else "no confounds"
    repetition_time = "TR not in its sidecars" if run.repetition_time is None else f"TR {run.repetition_time:g} s"
    return ", ".join(
        [f"desc-{run.entities.get('desc')}", repetition_time, confounds, "mask" if run.mask else "no mask"]
    )


def _count(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def _listed(labels: Iterable[str], most: int = 10) -> str:
    labels = list(labels)
    more = f" and {len(labels) - most} more" if len(labels) > most else ""
    return ", ".join(labels[:most]) + more

"""What a job has found to work on, and the lines that a person reads before anything runs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from ...derivatives.names import run_stem
from ...words import counted

__all__ = ["MANY_RUNS", "Inputs", "RunInput", "Skipped", "plan_text"]

MANY_RUNS = 20
"""From so many on a plan sums up why runs are due, besides saying it of each."""


@dataclass(frozen=True)
class RunInput:
    """One BOLD run and the files that belong to it."""

    entities: Mapping[str, str]  # short key to label, verbatim: {"sub": "01", "task": "rest", "run": "01", …}
    bold: Path  # 4D image in MNI space
    mask: Path | None  # of the brain, in the same space and resolution
    confounds: Path | None
    confounds_metadata: Path | None  # the sidecar of that table
    sidecars: tuple[Path, ...]  # of `bold` by inheritance, the strongest first
    repetition_time: float | None  # in s, as the user or the sidecars say; None where they do not tell
    denoised: bool  # before: desc-denoised, XCP-D
    root: Path  # dataset in which the run was found
    source_name: str  # of that dataset: its key in `Inputs.roots` and in DatasetLinks
    events: Path | None  # from the raw dataset or else from `root`
    planted: tuple[Path, Path] | None = None  # of a simulated run: image of its networks, table of their time courses

    @property
    def stem(self) -> str:
        """Beginning of the names of this run's outputs."""
        return run_stem(self.entities)

    @property
    def beside(self) -> tuple[str, ...]:
        """Parts of its scores that need something beside the run, and have it."""
        found = {"events": self.events, "planted": self.planted}
        return tuple(part for part, what in found.items() if what is not None)

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that are read for this run."""
        there = (self.bold, self.mask, self.confounds, self.confounds_metadata, self.events, *self.sidecars)
        return tuple(file for file in there if file is not None)


@dataclass(frozen=True)
class Skipped:
    """A file that is not used, and why, in one line.

    It is a fault where the run was asked for and is missing from the plan because of its input (content not here, no
    MNI space, ambiguous confounds …): the whole job has not succeeded. It is none where a rule took a sibling.
    """

    path: Path
    reason: str
    is_fault: bool = False


@dataclass(frozen=True)
class Inputs:
    """What a job works on."""

    runs: tuple[RunInput, ...]  # sorted by name
    skipped: tuple[Skipped, ...]  # sorted by name
    roots: Mapping[str, Path]  # name to path of every dataset that is used; "raw": the one with events, if any
    notes: tuple[str, ...]  # what was decided (space, resolution, pipeline), and what was asked for and not found


def plan_text(
    inputs: Inputs, finished: Collection[str] = (), *, reasons: Mapping[str, object] = MappingProxyType({})
) -> str:
    """Say in several lines what will run, what is finished already, and what is skipped with the reason.

    Parameters
    ----------
    inputs : Inputs
    finished : collection of str
        Stems of runs whose results are there.
    reasons : mapping
        Stem to why a run has to be done, and what of it.
    """
    due = [run for run in inputs.runs if run.stem not in finished]
    done = len(inputs.runs) - len(due)
    lines = [f"Input: {name} in {root}" for name, root in inputs.roots.items()]
    lines += inputs.notes
    lines.append(
        f"Will run: {counted(len(due), 'run')} of {counted(len({run.entities['sub'] for run in due}), 'participant')}"
    )
    lines += [
        f"  {run.stem} ({_details(run)})" + (f": {reasons[run.stem]}" if run.stem in reasons else "") for run in due
    ]
    why = Counter(str(reasons[run.stem]) for run in due if run.stem in reasons)
    if len(due) >= MANY_RUNS and why:
        told = [f"{n} × {reason}" for reason, n in why.most_common(5)]
        others = sum(why.values()) - sum(n for _, n in why.most_common(5))
        lines.append(f"Why: {'; '.join(told)}" + (f"; {others} for other reasons" if others else ""))
    if done:
        lines.append(f"Finished before: {counted(done, 'run')}")
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

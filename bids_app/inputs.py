"""Which runs there are: BOLD runs of fMRIPrep-style derivatives, what belongs to them, and why others are skipped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..names import run_stem

__all__ = ["Inputs", "RunInput", "Skipped"]


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
        In s, from the sidecars; None where they do not tell.
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

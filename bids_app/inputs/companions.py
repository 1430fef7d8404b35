"""What belongs to a BOLD run: sidecars, mask, confounds, events; and what nearly does."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ...derivatives.names import run_stem
from ...errors import InputError
from ...images import open_image
from ...simulation.truth_files import courses_path, networks_path
from ...words import counted
from .bids_names import BidsFile, best_match, differences, inherited, list_sidecars, same_label, trouble_with
from .run_timing import read_timing

__all__ = ["Companions", "Remark", "remark_notes"]

GRID = ("space", "cohort", "res", "den")
"""Entities that say on which grid an image lies."""


@dataclass(frozen=True)
class Remark:
    """Something to know about the companions of a run."""

    text: str  # without the names of files, so that runs with the same remark can be told together
    run: str  # name of the BOLD file
    file: str  # name of the file that the remark is about


def remark_notes(remarks: Iterable[Remark]) -> list[str]:
    """Say every remark once, with one example and the number of other runs.

    >>> remark_notes([Remark("nearest brain mask", f"sub-{n}_bold", f"sub-{n}_mask") for n in "12"])
    ['nearest brain mask: sub-1_mask, for sub-1_bold (and 1 more run).']
    """
    alike: defaultdict[str, list[Remark]] = defaultdict(list)
    for remark in remarks:
        alike[remark.text].append(remark)
    return [
        f"{text}: {own[0].file}, for {own[0].run}"
        + (f" (and {counted(len(own) - 1, 'more run')})." if len(own) > 1 else ".")
        for text, own in alike.items()
    ]


class Companions:
    """Find what belongs to BOLD runs, in the indexed files of their datasets and by inheritance.

    Parameters
    ----------
    files : mapping
        Dataset root to its indexed files.
    raw : Path or None
        Root of the raw dataset, for events.
    repetition_time : float, optional
        What the user gave, in s.
    """

    def __init__(
        self, files: Mapping[Path, Sequence[BidsFile]], raw: Path | None, repetition_time: float | None = None
    ) -> None:
        self._raw, self._repetition_time = raw, repetition_time
        self._roots = tuple(files)
        self._files: defaultdict[tuple[Path, str | None], list[BidsFile]] = defaultdict(list)
        for root, found in files.items():
            for file in found:
                self._files[root, file.entities.get("sub")].append(file)
        self._around: dict[tuple[str | Path | None, ...], list[BidsFile]] = {}
        self._listing = cache(list_sidecars)  # roots with many participants are long
        self.remarks: list[Remark] = []

    def of(self, bold: BidsFile, root: Path, *, joined: tuple[str, ...] = ()) -> dict[str, Any]:
        """Give mask, confounds, sidecars, repetition time and events of a run; what is odd goes to `remarks`.

        Parameters
        ----------
        bold : BidsFile
        root : Path
            Dataset that holds it.
        joined : tuple of str
            Entities that a concatenation of several runs lost: files of a single part do not belong to it.

        Raises
        ------
        InputError
            If one of them is ambiguous, unreadable, or its content is not here.
        """
        sidecars = inherited(bold, root, self._listing, suffix="bold", extension=".json")
        if not sidecars:
            self._note_nearest("No sidecar", bold, self._listing(bold.path.parent), suffix="bold", extension=".json")
        mask, confounds = self._mask(bold, root, joined), self._confounds(bold, root, joined)
        metadata = self._sidecar(confounds, root) if confounds else None
        needed = [*sidecars, mask and mask.path, confounds and confounds.path, metadata]
        self._check([path for path in needed if path])
        return {
            "sidecars": sidecars,
            "repetition_time": read_timing(sidecars, image=bold.path, given=self._repetition_time).repetition_time,
            "mask": mask and mask.path,
            "confounds": confounds and confounds.path,
            "confounds_metadata": metadata,
            "events": None if joined else self._events(bold, root),
            "planted": None if joined else _planted(bold, root),
        }

    @staticmethod
    def _check(paths: Iterable[Path]) -> None:
        troubles = {path: trouble for path in paths if (trouble := trouble_with(path))}
        absent = [str(path) for path, trouble in troubles.items() if trouble.remedy]
        if absent:
            raise InputError(f"the content of files that belong to it is not here: `datalad get {' '.join(absent)}`")
        for path, trouble in troubles.items():
            raise InputError(f"{path.name}, which belongs to it, {trouble}")

    def _note_nearest(
        self,
        missing: str,
        bold: BidsFile,
        files: Iterable[BidsFile],
        *,
        suffix: str,
        extension: str = "",
        description: str | None = None,
        but: tuple[str, ...] = (),
    ) -> None:
        """Remark which file of the same participant and task (whatever its case) nearly fits.

        A `description` is what the name should have for ``desc-``; None: anything.
        """
        wanted = replace(bold, entities={**bold.entities, **({"desc": description} if description else {})})
        but = but if description else (*but, "desc")
        near = [
            (differences(file, wanted, but=but), file)
            for file in files
            if file.suffix == suffix
            and file.extension.startswith(extension)
            and file.entities.get("sub", "").lower() == bold.entities.get("sub", "").lower()
            and file.entities.get("task", "").lower() == bold.entities.get("task", "").lower()
        ]
        if near:
            labels, file = min(near, key=lambda miss: (len(miss[0]), miss[1].path))
            what = f" ({'; '.join(labels)})" if labels else ""
            self.remarks.append(Remark(f"{missing} fits; the nearest{what} is", bold.path.name, file.path.name))

    def _sidecar(self, file: BidsFile, root: Path) -> Path | None:
        found = inherited(file, root, self._listing, suffix=file.suffix, extension=".json")
        return found[0] if found else None

    # ---- mask ----------------------------------------------------------------------------------------------------

    def _mask(self, bold: BidsFile, root: Path, joined: tuple[str, ...]) -> BidsFile | None:
        """Look in the run's dataset first, then in the others: XCP-D's runs share the masks of fMRIPrep.

        A name that says less, or something else, about the resolution than that of the run is trusted only if the
        headers say that both lie on one grid.
        """
        places = (root, *(other for other in self._roots if other != root))
        for place in places:
            rivals = self._near(bold, place, "bold")
            for masks in self._brain_masks(bold, place):
                mask = best_match(bold, masks, rivals, strict=(*GRID, *joined), what="mask")
                if mask is not None:
                    return mask
        for place in places:
            rivals = self._near(bold, place, "bold")
            for masks in self._brain_masks(bold, place):
                masks = [mask for mask in masks if _may_share_grid(bold, mask) and _on_one_grid(bold, mask)]
                mask = best_match(bold, masks, rivals, strict=joined, regardless=GRID, what="mask")
                if mask is not None:
                    text = f"Brain mask taken by its grid, its name has {'; '.join(_of_grid(mask, bold))}"
                    self.remarks.append(Remark(text, bold.path.name, mask.path.name))
                    return mask
        near = [mask for place in places for mask in self._near(bold, place, "mask", _nearly_brain)]
        self._note_nearest("No brain mask", bold, near, suffix="mask", description="brain", but=("label",))
        return None

    def _brain_masks(self, bold: BidsFile, place: Path) -> Iterator[list[BidsFile]]:
        """Give masks under their usual name, ``desc-brain``, then those under BIDS' newer one, ``label-brain``."""
        for key in ("desc", "label"):
            masks = self._near(bold, place, "mask")
            yield [mask for mask in masks if mask.entities.get(key) == "brain"]

    # ---- confounds -----------------------------------------------------------------------------------------------

    def _confounds(self, bold: BidsFile, root: Path, joined: tuple[str, ...]) -> BidsFile | None:
        """Look in the run's own dataset only: after XCP-D, fMRIPrep's table may have other rows than the run.

        Confounds have no space: one in the name of their table is no difference.
        """
        rivals = self._near(bold, root, "bold")
        for regardless in ((), GRID):
            for suffix in ("timeseries", "regressors"):
                tables = self._near(bold, root, suffix, lambda file: file.entities.get("desc") == "confounds")
                table = best_match(bold, tables, rivals, strict=joined, regardless=regardless, what="confounds table")
                if table is not None:
                    if regardless:
                        text = f"Confounds table taken, its name has {'; '.join(_of_grid(table, bold))}"
                        self.remarks.append(Remark(text, bold.path.name, table.path.name))
                    return table
        if not bold.entities.get("desc", "").startswith("denoised"):
            for suffix in ("timeseries", "regressors"):
                near = self._near(bold, root, suffix, lambda file: "confounds" in file.entities.get("desc", "").lower())
                self._note_nearest("No confounds table", bold, near, suffix=suffix, description="confounds", but=GRID)
        return None

    def _near(
        self, bold: BidsFile, root: Path, suffix: str, is_kind: Callable[[BidsFile], bool] | None = None
    ) -> list[BidsFile]:
        """List files of a kind that may go with a run: same participant, no other session."""
        participant, session = bold.entities.get("sub"), bold.entities.get("ses")
        key = (root, participant, session, suffix)
        if key not in self._around:
            self._around[key] = [
                file
                for file in self._files[root, participant]
                if file.suffix == suffix and (session is None or file.entities.get("ses", session) == session)
            ]
        return [file for file in self._around[key] if is_kind is None or is_kind(file)]

    # ---- events --------------------------------------------------------------------------------------------------

    def _events(self, bold: BidsFile, root: Path) -> Path | None:
        places = [place for place in (self._raw, root) if place is not None]
        for place in places:
            there = replace(bold, path=place / bold.path.relative_to(root))
            events = inherited(there, place, self._listing, suffix="events", extension=".tsv")
            if events:
                trouble = trouble_with(events[0])
                if trouble is None:
                    return events[0]
                text = f"Events are left out ({trouble.reason})"
                self.remarks.append(Remark(text, bold.path.name, str(events[0])))
                return None
        for place in places:
            participant = place / f"sub-{bold.entities.get('sub')}"
            folders = [participant / "func", *sorted(participant.glob("ses-*/func")), place]
            near = [file for folder in folders for file in self._listing(folder)]
            before = len(self.remarks)
            self._note_nearest("No table of events", bold, near, suffix="events", extension=".tsv", but=GRID)
            if len(self.remarks) > before:
                break
        return None


def _nearly_brain(file: BidsFile) -> bool:
    labels = [file.entities[key].lower() for key in ("desc", "label") if key in file.entities]
    return not labels or any("brain" in label or label == "bold" for label in labels)  # C-PAC's is desc-bold


def _may_share_grid(bold: BidsFile, mask: BidsFile) -> bool:
    """Tell whether the names leave open that both lie in one space."""
    return all(
        key not in mask.entities or key not in bold.entities or same_label(key, mask.entities[key], bold.entities[key])
        for key in ("space", "cohort")
    )


def _on_one_grid(bold: BidsFile, mask: BidsFile) -> bool:
    """Compare shapes and affines of two images; False where a header cannot be read."""
    if trouble_with(bold.path) or trouble_with(mask.path):
        return False
    try:
        one, other = open_image(bold.path), open_image(mask.path)
    except InputError:
        return False
    return one.shape[:3] == other.shape[:3] and bool(np.allclose(one.affine, other.affine, atol=1e-3))


def _of_grid(mask: BidsFile, bold: BidsFile) -> list[str]:
    others = tuple(key for key in (*mask.entities, *bold.entities) if key not in GRID)
    return differences(mask, bold, but=others)


def _planted(bold: BidsFile, root: Path) -> tuple[Path, Path] | None:
    """Give what was planted in a simulated run: the image of its networks, the participant's own or everybody's."""
    stem = run_stem({name: label for name, label in bold.entities.items() if name not in GRID})
    courses = root / courses_path(stem)
    networks = [root / networks_path(bold.entities.get("sub")), root / networks_path()]
    there = [path for path in networks if path.is_file()]
    return (there[0], courses) if there and courses.is_file() else None

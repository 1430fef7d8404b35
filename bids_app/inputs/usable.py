"""Which of the files that were asked for can be used at all, whatever else there is of their runs."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable
from pathlib import Path

from .bids_names import BidsFile, trouble_with, trouble_with_labels
from .choice import Candidate, Refusal
from .datasets import Datasets
from .listing import ignored_by
from .plan import Skipped
from .query import Query

__all__ = ["OTHER_DESCRIPTION", "each_once", "in_place", "in_volumes", "usable"]

VOLUMES = (".nii", ".nii.gz")

DESCRIPTION = re.compile(r"preproc|denoised\w*")
"""Values of ``desc-`` that are taken unless a filter names others."""

OTHER_DESCRIPTION = "neither desc-preproc nor desc-denoised"


def in_place(
    matching: Collection[Candidate], datasets: Datasets, query: Query
) -> tuple[list[Candidate], list[Skipped]]:
    """Leave out what lies in another participant's folder, and what a ``.bidsignore`` lists.

    Participants who were named are taken whatever it says of them as a whole.
    """
    roots = (*(dataset.root for dataset in datasets.derivatives), datasets.raw)
    ignored = {root: ignored_by(root) for root in roots if root is not None}
    left, skipped, named = [], [], {*query.participants}
    for candidate in matching:
        label, root = candidate.file.entities.get("sub", ""), candidate.dataset.root
        misplaced = _misplaced(candidate.file, root)
        lists = [ignored[place] for place in (root, datasets.raw) if place is not None]
        whole = next((one for one in lists if label in one.participants), None)
        line = next(((one, line) for one in lists if (line := one.line_on(candidate.file, root))), None)
        if misplaced:
            skipped.append(Skipped(candidate.file.path, misplaced, is_fault=True))
        elif whole is not None and label not in named:
            reason = f"{whole.path} lists sub-{label}; --participant-label {label} takes it all the same"
            skipped.append(Skipped(candidate.file.path, reason))
        elif line is not None:
            skipped.append(Skipped(candidate.file.path, f"{line[0].path} lists it: {line[1]}"))
        else:
            left.append(candidate)
    return left, skipped


def each_once(candidates: Iterable[Candidate]) -> tuple[list[Candidate], list[Refusal]]:
    """Leave out second names of one file, whose data would count twice."""
    left: dict[str, Candidate] = {}
    refused: list[Refusal] = []
    for candidate in candidates:
        place = os.path.realpath(candidate.file.path)
        first = left.setdefault(place, candidate)
        if first is not candidate:
            if first.dataset == candidate.dataset and first.file.path.is_symlink() > candidate.file.path.is_symlink():
                left[place], first, candidate = candidate, candidate, first
            reason = f"the same file as {first.file.path.name} (a link, or the same content in git-annex)"
            is_another = first.file.entities.get("sub") != candidate.file.entities.get("sub")
            refused.append(Refusal(candidate.file, reason, needs_sibling=is_another))
    return list(left.values()), refused


def in_volumes(candidate: Candidate, query: Query) -> bool:
    file = candidate.file
    has_description = query.names_description or DESCRIPTION.fullmatch(file.entities.get("desc", ""))
    return bool(has_description) and file.extension in VOLUMES and file.entities.get("part", "mag") == "mag"


def usable(matching: Iterable[Candidate], query: Query) -> tuple[list[Candidate], list[Refusal]]:
    """Leave out what cannot be used, whatever else there is."""
    candidates, refused = [], []
    for candidate in matching:
        file = candidate.file
        space = file.entities.get("space")
        trouble: object = trouble_with(file.path)
        if file.entities.get("part", "mag") != "mag":
            refused.append(Refusal(file, f"part-{file.entities['part']}, not magnitude"))
        elif file.extension not in VOLUMES:
            refused.append(Refusal(file, f"not in MNI space (surface data, {file.extension})", needs_sibling=True))
        elif not (query.names_description or DESCRIPTION.fullmatch(file.entities.get("desc", ""))):
            refused.append(Refusal(file, OTHER_DESCRIPTION))
        elif not (space or "").startswith("MNI"):
            where = f"space-{space}" if space else "no space in its name: native"
            refused.append(Refusal(file, f"not in MNI space ({where})", needs_sibling=True))
        elif not (candidate.space.startswith("MNI152") or query.names_spaces):
            reason = f"space {candidate.space} is only taken if asked for (--space {candidate.space})"
            refused.append(Refusal(file, reason, needs_sibling=True))
        elif trouble or (trouble := trouble_with_labels(file)):
            refused.append(Refusal(file, str(trouble), needs_sibling=True))
        else:
            candidates.append(candidate)
    return candidates, refused


def _misplaced(file: BidsFile, root: Path) -> str:
    """Say that a file's name and its folders disagree about participant or session; empty if they agree."""
    folders = dict(part.split("-", 1) for part in file.path.relative_to(root).parts[:-1] if "-" in part)
    for key in ("sub", "ses"):
        place, label = folders.get(key), file.entities.get(key)
        if place != label:
            said = f"{key}-{label}" if label else f"no {key}-"
            return (
                f"its name says {said}, its folder {f'{key}-{place}' if place else f'no {key}-'}; correct one of them"
            )
    return ""

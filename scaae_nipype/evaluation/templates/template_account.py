"""What was taken as templates, in words: for the plan, before anything is computed."""

from __future__ import annotations

import numpy as np

from ...words import percent
from .template_kinds import GIVEN
from .template_set import TemplateSet

__all__ = ["KINDS_IN_WORDS", "template_lines"]

MOST_NAMED, SMALLEST = 24, 8
"""Templates whose voxels are listed one by one; of more, so many of the smallest are."""

KINDS_IN_WORDS = {
    "labels": "labels of one image",
    "continuous": "continuous maps, each cut at 0.3 of its maximum in the brain mask",
    "thresholded": "maps that were thresholded before, of which all above 0 counts",
}


def template_lines(templates: TemplateSet, *, what: str = "template") -> list[str]:
    """Say what templates were taken, how their kind was told, how many voxels each has, and what to check.

    Parameters
    ----------
    templates : TemplateSet
        On the model's whole grid.
    what : str
        "template" or "atlas": whose setting changes the kind.

    Returns
    -------
    list of str
        Lines for people; the first says what it is, the last ones are warnings.
    """
    count = len(templates.names)
    heading = "Templates" if what == "template" else "Atlas"
    told = f" ({templates.reason}; `{what}_kind` says otherwise)" if templates.reason not in ("", GIVEN) else ""
    size = " x ".join(f"{edge:g}" for edge in templates.grid.voxel_sizes)
    order = np.arange(count) if count <= MOST_NAMED else np.argsort(templates.voxels, kind="stable")[:SMALLEST]
    listed = ", ".join(_one(templates, place) for place in order)
    voxels = templates.voxels
    few = "" if count <= MOST_NAMED else f"{voxels.min():,} to {voxels.max():,}; the smallest {SMALLEST}: "
    return [
        f"{heading}: {templates.source}: {count} {KINDS_IN_WORDS[templates.kind]}{told}.",
        f"  Voxels of {size} mm in the model's brain mask (share of its own voxels that lie there): {few}{listed}",
        *(f"  Warning: {text}" for text in templates.warnings),
    ]


def _one(templates: TemplateSet, place: int) -> str:
    text = f"{templates.names[place]} {templates.voxels[place]:,}"
    if templates.share_in_mask is None or not np.isfinite(templates.share_in_mask[place]):
        return text
    return f"{text} ({percent(templates.share_in_mask[place])})"

"""Mean network value of the regions of an atlas over time."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from ...derivatives.reading import Run
from ...errors import InputError
from ...maps import BRANCHES
from ..figures import courses
from ..items import Item, Section
from ..labels import numbers
from .templates import what_was_taken

__all__ = ["RUN_SECTION"]


def _courses_of_regions(run: Run) -> Figure:
    """Draw the mean network value of every atlas region over time."""
    tables = {}
    for branch in BRANCHES:
        table = run.table(f"regions_{branch}", ["kept"])
        tables[branch] = table.drop(columns="kept").apply(numbers)
    if not all(np.isfinite(table.to_numpy()).any() for table in tables.values()):
        raise InputError("no region of the atlas lies inside the evaluation region.")
    return courses(tables, run.repetition_time, label="mean network value")


RUN_SECTION: Section[Run] = Section(
    "regions",
    "Regions of the atlas",
    (
        Item(
            lambda run: what_was_taken("Averaged over", run.sidecar("regions_fbn1"), "Atlas", "Atlas", "Region"),
            ("regions_fbn1",),
        ),
        Item(
            _courses_of_regions,
            ("regions_fbn1", "regions_fbn2"),
            key="courses",
            title="Mean network value of every region over time",
            caption="Both branches on one colour scale; dropped volumes are light grey. The numbers are in the tables "
            "desc-regionsfbn1 and desc-regionsfbn2.",
            alt="Heat maps of the mean network value of every atlas region over time, regions against time.",
        ),
    ),
    optional=True,
)

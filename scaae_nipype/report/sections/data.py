"""What was done to the data of a run: warnings, motion, the evaluation region, settings of the preparation."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ...derivatives.reading import Run
from ...errors import InputError
from ...grid import load_grid
from ...words import percent
from .. import brains
from ..figures import stretches, time_axis
from ..items import Item, Section
from ..labels import numbers
from ..page import Cell, Table
from ..style import DROPPED, WIDTH, empty, styled

__all__ = ["RUN_SECTION", "motion", "settings_table", "warnings"]

_STEPS = (
    *("overlap", "template_iou", "gradual_change", "state_metrics", "baselines"),
    *("regions_fbn1", "events", "matches", "dynamics_null"),
)
"""Outputs whose sidecars hold warnings."""

_SETTINGS = {
    "RepetitionTime": ("Repetition time", "s"),
    "RepetitionTimeSource": ("Repetition time taken from", ""),
    "NumberOfVolumes": ("Volumes in the file", ""),
    "NumberOfVolumesKept": ("Volumes kept", ""),
    "NumberOfDummyScans": ("Dummy scans dropped", ""),
    "NumberOfVolumesCensored": ("Volumes censored for motion", ""),
    "FramewiseDisplacementThreshold": ("Censored above a framewise displacement of", "mm"),
    "SmoothingFWHM": ("Smoothing (FWHM)", "mm"),
    "NuisanceStrategy": ("Nuisance strategy", ""),
    "NuisanceRegressors": ("Nuisance regressors", ""),
    "HighPass": ("High-pass", "Hz"),
    "LowPass": ("Low-pass", "Hz"),
    "Detrend": ("Linear trend removed", ""),
    "ResidualDegreesOfFreedom": ("Degrees of freedom left per time series", ""),
    "NumberOfMaskVoxels": ("Voxels in the run's brain mask", ""),
    "NumberOfMaskVoxelsConstant": ("Of these, constant over time (no data)", ""),
    "NumberOfMaskVoxelsNotFinite": ("Of these, not finite in some volume", ""),
    "NumberOfMaskVoxelsWithGaps": ("Of these, 0 in some volumes", ""),
    "MaskCentreOffset": ("Centre of that mask from the model's (x, y, z)", "mm"),
    "MaskCoverage": ("Coverage of the model's mask", "%"),
    "MaskOutsideModel": ("Part of that mask outside of the model's", "%"),
}
"""What is known of the preparation: what it is called for the reader, and its unit."""


def warnings(run: Run) -> list[str]:
    """List what preparation and evaluation warned of."""
    sources = [run.preparation, *(run.sidecar(output) for output in _STEPS)]
    if not any(sources):
        return ["The sidecars do not tell whether a step had anything to warn of."]
    lists = [source.get("Warnings") for source in sources]
    found = [str(text) for told in lists if isinstance(told, list) for text in told]
    return [f"Warning: {text}" for text in dict.fromkeys(found)] or ["No step had anything to warn of."]


@styled
def motion(samples: pd.DataFrame, repetition_time: float | None = None, threshold: float | None = None) -> Figure:
    """Draw framewise displacement, which volumes were dropped, and why; `threshold`, in mm, is that of censoring."""
    if samples.empty:
        return empty("The run has no volumes.")
    displacement = numbers(samples["framewise_displacement"]).to_numpy(float)
    figure = Figure(figsize=(WIDTH, 2.4))
    axes = figure.subplots()
    dummy, censored = samples["dummy"] == 1, samples["censored"] == 1
    dropped = {
        "dummy scan": (dummy, "#56B4E9"),
        "censored for motion": (censored, "#E69F00"),
        "dropped for another reason": ((samples["kept"] != 1) & ~dummy & ~censored, DROPPED),
    }
    for label, (where, colour) in dropped.items():
        for start, stop in stretches(where.to_numpy()):
            axes.axvspan(start - 0.5, stop - 0.5, color=colour, alpha=0.45, linewidth=0)
        if where.any():
            axes.fill_between([], [], color=colour, alpha=0.45, label=f"{label}: {int(where.sum())}")
    if np.isfinite(displacement).any():
        axes.plot(displacement, color="#222222", linewidth=1, marker="." if len(displacement) < 30 else None)
        if threshold is not None:
            axes.axhline(threshold, color="#D55E00", linestyle="--", linewidth=1, label=f"threshold {threshold:g} mm")
        axes.set(ylim=(0, None), ylabel="framewise\ndisplacement (mm)")
    else:
        axes.set_yticks([])
        axes.text(0.5, 0.5, "no framewise displacement known", ha="center", va="center", transform=axes.transAxes)
    time_axis(axes, len(samples), repetition_time)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


def _motion(run: Run) -> Figure:
    """Draw framewise displacement and dropped volumes."""
    samples = run.table("samples", ["kept", "dummy", "censored", "framewise_displacement"])
    threshold = run.preparation.get("FramewiseDisplacementThreshold")
    known = isinstance(threshold, int | float) and not isinstance(threshold, bool)
    return motion(samples, run.repetition_time, threshold if known else None)


def _region(run: Run) -> Figure:
    """Draw the evaluation region, with the model's mask where the dataset keeps it."""
    mask = run.model_folder / "mask.nii.gz" if run.model_folder else None
    return brains.region_outline(run.region, load_grid(mask) if mask and mask.is_file() else None)


def settings_table(run: Run) -> Table:
    """Tabulate how the run was prepared."""
    known = {key: value for key, value in run.preparation.items() if key not in ("Warnings", "Description")}
    rows = [[Cell(label), Cell(_setting(known[key], unit))] for key, (label, unit) in _SETTINGS.items() if key in known]
    rows += [[Cell(key), Cell(_setting(value, ""))] for key, value in known.items() if key not in _SETTINGS]
    if not rows:
        raise InputError("The sidecars of this run do not say how it was prepared.")
    return Table("Preparation", ["Setting", "Value"], rows, str(run.preparation.get("Description") or ""))


def _setting(value: object, unit: str) -> str:
    if unit == "%":
        return percent(value, 1)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value == []:
        return "none"
    if isinstance(value, list):
        listed = f"{', '.join(map(str, value))} {unit}".strip()
        return f"{len(value)}: {listed}" if len(value) > 3 else listed
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return f"{text} {unit}".strip()


RUN_SECTION: Section[Run] = Section(
    "data",
    "What was done to the data",
    (
        Item(warnings, as_list=True),
        Item(
            _motion,
            ("samples",),
            key="motion",
            title="Motion and dropped volumes",
            caption="Framewise displacement as the confounds give it. Dropped volumes are zero in the images and n/a "
            "in the tables.",
            alt="Line plot of framewise displacement over time with the dropped volumes shaded.",
        ),
        Item(
            _region,
            ("region",),
            key="region",
            title="Evaluation region",
            caption="All scores are computed inside this outline: the model's mask where the run has data.",
            alt="Outline of the evaluation region on axial slices of the MNI152 template.",
            vector=False,
        ),
        Item(settings_table),
    ),
)

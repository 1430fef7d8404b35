"""What was done to a run, in words for a Methods section."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..grid import Grid
from ..words import listed

__all__ = ["describe"]


def describe(metadata: Mapping[str, Any], grid: Grid, *, denoised: bool = False) -> str:
    """Write one or two sentences from the metadata of a prepared run."""
    size = " x ".join(f"{edge:g}" for edge in grid.voxel_sizes)
    width = metadata["SmoothingFWHM"]
    smoothed = f"smoothed with a Gaussian of {width:g} mm FWHM and " if width else ""
    first = f"Volumes were {smoothed}interpolated linearly onto a {size} mm MNI grid."
    if denoised:
        return f"{first} The data had been denoised before; every voxel was z-scored{_dropped(metadata)}."
    steps = []
    if metadata["Detrend"]:
        steps.append("linear detrending")
    if metadata["HighPass"] and metadata["LowPass"]:
        steps.append(f"band-pass filtering ({metadata['HighPass']:g}-{metadata['LowPass']:g} Hz, Butterworth)")
    elif metadata["HighPass"]:
        steps.append(f"high-pass filtering ({metadata['HighPass']:g} Hz, Butterworth)")
    elif metadata["LowPass"]:
        steps.append(f"low-pass filtering ({metadata['LowPass']:g} Hz, Butterworth)")
    n_regressors = len(metadata["NuisanceRegressors"])
    if n_regressors:
        steps.append(f"regression of {n_regressors} confounds ({metadata['NuisanceStrategy']})")
    steps.append("z-scoring")
    return f"{first} Time series were cleaned by {listed(steps)}{_dropped(metadata)}."


def _dropped(metadata: Mapping[str, Any]) -> str:
    clauses = []
    if metadata["NumberOfDummyScans"]:
        clauses.append(f"{metadata['NumberOfDummyScans']} initial volumes")
    if metadata["NumberOfVolumesCensored"]:
        clauses.append(
            f"{metadata['NumberOfVolumesCensored']} volumes with a framewise displacement above "
            f"{metadata['FramewiseDisplacementThreshold']:g} mm"
        )
    return f", without {listed(clauses)}" if clauses else ""

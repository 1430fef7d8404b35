"""Axial slices in MNI space: networks over the template, and the evaluation region.

Everything is sampled at world coordinates through the affines, so an image whose first axis runs right to left is
shown like any other: left on the left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import nibabel as nib
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from scipy.ndimage import map_coordinates

from ..grid import Grid
from ..maps import BRANCHES, LABELS, THRESHOLD
from .style import empty, styled

__all__ = ["FEW_HEIGHTS", "HEIGHTS", "Row", "axial_slices", "fbn_mosaic", "region_outline", "state_mosaic"]

HEIGHTS = (-22, -8, 6, 22, 38, 54)
"""z in mm of the slices of a mosaic."""

FEW_HEIGHTS = (-22, 6, 38)
"""The same where many maps stand side by side."""

REGION_HEIGHTS = (-46, -30, -14, 2, 18, 34, 50, 66)
"""The same of the evaluation region."""

SHOWN = 0.15
"""Share of the voxels of a state's mean map, those furthest from its mean, that are shown."""

_STEP = 2.0  # mm between the points at which images are sampled for display
_X = np.arange(-76, 76.1, _STEP)
_Y = np.arange(-110, 78.1, _STEP)
_TITLES = tuple(LABELS[branch] for branch in BRANCHES)
_NETWORK = ListedColormap(colormaps["plasma"](np.linspace(0.2, 0.97, 256)))


Row = tuple[str, Sequence[np.ndarray | None]]
"""One line of a mosaic: what it shows, and one map (X, Y, Z) per branch (None where there is none)."""


def axial_slices(volume: np.ndarray, affine: np.ndarray, heights: Sequence[float], *, order: int = 1) -> np.ndarray:
    """Sample axial slices.

    Parameters
    ----------
    volume : array, (X, Y, Z)
    affine : float array, (4, 4)
        Voxel to world, in mm.
    heights : sequence of float
        z in mm.
    order : int
        Of the interpolating spline.

    Returns
    -------
    float array, (n_heights, n_y, n_x)
        y runs from back to front, x from left to right.

    >>> volume = np.zeros((49, 58, 47)); volume[10, 30, 20] = 1  # x = 96 - 40 = +56 mm: right
    >>> from scaae_nipype.grid import AFFINE
    >>> from_left = np.argwhere(axial_slices(volume, AFFINE, [10]) == 1)[0, 2]
    >>> int(from_left), len(_X)
    (66, 77)
    """
    x, y, z = np.meshgrid(_X, _Y, np.asarray(heights, dtype=float), indexing="ij")
    voxels = nib.affines.apply_affine(np.linalg.inv(affine), np.stack([x, y, z], axis=-1))
    at = np.moveaxis(voxels, -1, 0)
    samples: np.ndarray = map_coordinates(volume.astype(np.float32), at, order=order, mode="constant")
    return samples.transpose(2, 1, 0)


def _abreast(volume: np.ndarray, affine: np.ndarray, heights: Sequence[float], *, order: int = 1) -> np.ndarray:
    return np.hstack(list(axial_slices(volume, affine, heights, order=order)))


@cache
def _background(heights: tuple[float, ...]) -> np.ma.MaskedArray:
    from nilearn.datasets import load_mni152_template

    image = load_mni152_template(resolution=1)  # as nilearn ships it: other resolutions are resampled in a second
    data = image.get_fdata(dtype=np.float32)
    return np.ma.masked_less(_abreast(data / data.max(), image.affine, heights), 0.02)


def _brain(axes: Axes, heights: tuple[float, ...]) -> None:
    axes.imshow(_background(heights), cmap="gray", vmin=-0.05, vmax=1.15, origin="lower")
    axes.set_axis_off()
    style: dict[str, Any] = {"va": "center", "fontsize": 8, "fontweight": "bold", "color": "#111111"}
    for side, position, align in (("L", 0, "left"), ("R", len(_X) - 1, "right")):
        axes.text(position, 0.55 * len(_Y) + 32, side, in_layout=False, ha=align, **style)


def _slice_labels(axes: Axes, heights: Sequence[float]) -> None:
    for index, height in enumerate(heights):
        label = f"z = {height:+.0f} mm" if index == 0 else f"{height:+.0f}"
        axes.text((index + 0.5) * len(_X) - 0.5, -3, label, ha="center", va="top", fontsize=8, color="#333333")


@styled
def fbn_mosaic(
    rows: Sequence[Row],
    affine: np.ndarray,
    *,
    branches: Sequence[str] = _TITLES,
    heights: tuple[float, ...] = HEIGHTS,
) -> Figure:
    """Draw networks over the MNI template, a line per volume, the `branches` side by side; `affine` is of all maps."""
    if not rows:
        return empty("No volume was kept: there is no network to show.", (11.5, 1))

    def overlay(network: np.ndarray | None) -> np.ndarray | str:
        if network is None:
            return "no image"
        return np.ma.masked_less_equal(_abreast(network, affine, heights), THRESHOLD)

    colours = {"cmap": _NETWORK, "vmin": THRESHOLD, "vmax": 1}
    return _mosaic(rows, overlay, branches, colours, "FBN value (0 to 1, equation 9)", heights)


def _mosaic(
    rows: Sequence[Row],
    overlay: Callable[[np.ndarray | None], np.ndarray | str],
    branches: Sequence[str],
    colours: Mapping[str, Any],
    label: str,
    heights: tuple[float, ...] = HEIGHTS,
) -> Figure:
    """Lay what `overlay` makes of each map over the brains, or write why there is nothing."""
    height = 1.42 * len(rows) + 1.1
    figure = Figure(figsize=(11.5, height))
    room = (0, 0, 1, 1 - 0.22 / height)  # the layout does not see the names of the branches above the first line
    figure.get_layout_engine().set(h_pad=0.01, w_pad=0.05, hspace=0, wspace=0.01, rect=room)  # type: ignore[union-attr,call-arg]
    panels, drawn = figure.subplots(len(rows), len(branches), squeeze=False), None
    for (title, maps), line in zip(rows, panels, strict=True):
        for column, (axes, values) in enumerate(zip(line, maps, strict=True)):
            _brain(axes, heights)
            axes.set_title(" " if column else title, fontsize=9, pad=2)  # the blank keeps the lines level
            shown = overlay(values)
            if isinstance(shown, str):
                box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85}
                axes.text(0.5, 0.5, shown, ha="center", va="center", transform=axes.transAxes, bbox=box)
            else:
                drawn = axes.imshow(shown, origin="lower", **colours)
    for axes, branch in zip(panels[0], branches, strict=True):
        style: dict[str, Any] = {"ha": "center", "fontsize": 11, "fontweight": "bold"}
        axes.annotate(branch, (0.5, 1), (0, 20), xycoords="axes fraction", textcoords="offset points", **style)
    for axes in panels[-1]:
        _slice_labels(axes, heights)
    if drawn is not None:
        bar = figure.colorbar(drawn, ax=panels, location="bottom", fraction=0.02, aspect=50, pad=0.035, shrink=0.5)
        bar.set_label(label)
    return figure


@styled
def state_mosaic(rows: Sequence[Row], affine: np.ndarray, *, branches: Sequence[str] = _TITLES) -> Figure:
    """Draw mean signed maps of states: each in its own standard deviations from its mean, the strongest part of it.

    Maps are 0 outside the evaluation region; `affine` is of all of them.
    """

    def overlay(mean: np.ndarray | None) -> np.ndarray | str:
        if mean is None or not mean.any():
            return "this branch is never in this state"
        inside = mean != 0
        scaled = np.where(inside, (mean - mean[inside].mean()) / (mean[inside].std() or 1), 0)
        cut = np.quantile(np.abs(scaled[inside]), 1 - SHOWN)
        slices = _abreast(scaled, affine, HEIGHTS)
        return np.ma.masked_where(np.abs(slices) < cut, slices)

    colours = {"cmap": "RdBu_r", "vmin": -4, "vmax": 4}
    return _mosaic(rows, overlay, branches, colours, "SD from the mean of the map")


@styled
def region_outline(region: Grid, model: Grid | None = None) -> Figure:
    """Draw the outline of the evaluation region on the MNI template, and what the model's mask has beyond it.

    A mask on another grid is ignored.
    """
    figure = Figure(figsize=(11.5, 2.15))
    axes = figure.subplots()
    _brain(axes, REGION_HEIGHTS)
    handles: list[Line2D | Patch] = [Line2D([], [], color="#0072B2", linewidth=1.5, label="evaluation region")]
    if model is not None and model.shape == region.shape and np.allclose(model.affine, region.affine, atol=1e-3):
        lost = model.mask & ~region.mask
        shown = np.ma.masked_equal(_abreast(lost, region.affine, REGION_HEIGHTS, order=0) > 0, False)
        axes.imshow(shown, cmap=ListedColormap(["#E69F00"]), alpha=0.75, origin="lower")
        if lost.any():
            handles.append(Patch(color="#E69F00", alpha=0.75, label="in the model's mask, without data in this run"))
    outline = _abreast(region.mask, region.affine, REGION_HEIGHTS)
    if outline.min() < 0.5 < outline.max():
        axes.contour(outline, levels=[0.5], colors=["#0072B2"], linewidths=1.2)
    _slice_labels(axes, REGION_HEIGHTS)
    figure.legend(handles=handles, loc="outside upper left", ncols=2)
    return figure

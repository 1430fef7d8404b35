"""Network templates over the mask of a grid: names, maps, and how much of them a region holds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ...errors import InputError
from ...grid import Grid

__all__ = ["Kind", "TemplateSet", "coverage"]

Kind = Literal["continuous", "labels", "thresholded"]


@dataclass(frozen=True, eq=False)
class TemplateSet:
    """Network templates over the mask of a grid."""

    names: tuple[str, ...]
    """One per template, unique."""
    continuous: np.ndarray | None
    """Unthresholded maps, float32, (n_templates, n_voxels); None where the source holds labels or thresholded maps."""
    binary: np.ndarray
    """bool, (n_templates, n_voxels)."""
    source: str
    """What was loaded, in words, for tables and reports."""
    kind: Kind
    grid: Grid
    """The voxels that the arrays hold."""
    warnings: tuple[str, ...] = ()
    """Sentences on what a user should check: templates that cannot be scored, a kind that was hard to tell."""
    reason: str = ""
    """What told the kind."""
    image_voxels: np.ndarray | None = None
    """Voxels of each template in its image, by the same rule: int, (n_templates,)."""
    share_in_mask: np.ndarray | None = None
    """Share of those that lie in the brain mask of the model's whole grid, (n_templates,); NaN without voxels."""

    @property
    def voxels(self) -> np.ndarray:
        """Voxels of each template on the grid, (n_templates,)."""
        return self.binary.sum(axis=1)

    @property
    def values(self) -> np.ndarray:
        """What correlations are taken with: the continuous maps, or the binary ones where there are none."""
        return self.binary if self.continuous is None else self.continuous

    @property
    def density(self) -> np.ndarray:
        """Share of the grid's mask that each template takes, (n_templates,)."""
        return self.binary.mean(axis=1)

    def inside(self, region: Grid) -> TemplateSet:
        """Cut the templates to an evaluation region; thresholds stay those of the whole grid.

        Raises
        ------
        InputError
            If the region is not a part of the templates' grid.
        """
        voxels = _part(region, self.grid)
        outside = ~self.binary[:, voxels].any(axis=1) & self.binary.any(axis=1)
        return replace(
            self,
            continuous=None if self.continuous is None else self.continuous[:, voxels],
            binary=self.binary[:, voxels],
            grid=region,
            warnings=self.warnings
            + tuple(f"Template {self.names[i]} lies outside the run's field of view." for i in np.flatnonzero(outside)),
        )


def coverage(templates: TemplateSet, region: Grid) -> np.ndarray:
    """Share of every template's voxels that lie inside an evaluation region.

    Parameters
    ----------
    templates : TemplateSet
        On the model's whole grid.
    region : Grid
        The evaluation region, a part of that grid.

    Returns
    -------
    float array, (n_templates,)
        NaN for a template without voxels.
    """
    total = templates.voxels
    kept = templates.binary[:, _part(region, templates.grid)].sum(axis=1)
    return np.divide(kept, total, out=np.full(len(total), np.nan), where=total > 0)


def _part(region: Grid, grid: Grid) -> np.ndarray:
    same_space = region.shape == grid.shape and np.allclose(region.affine, grid.affine, atol=1e-3)
    if not same_space or (region.mask & ~grid.mask).any():
        raise InputError("The evaluation region is not a part of the model's brain mask; give the mask of its model.")
    return grid.vectors(region.mask)

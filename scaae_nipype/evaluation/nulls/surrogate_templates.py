"""Surrogate templates as a pipeline makes them: one file for all runs with the same templates and model grid."""

from __future__ import annotations

from pathlib import Path

from ...files import PathLike
from ...grid import load_grid
from ...options import USUAL_SURROGATES, Evaluation
from ...progress import Progress, silent
from ..templates.loading import load_templates
from ..templates.surrogates import (
    give_values,
    read_surrogate_ranks,
    ready_for_surrogates,
    surrogate_ranks,
    write_surrogate_ranks,
)
from .significance import check_number_of_surrogates

__all__ = [
    "give_values",
    "make_surrogate_templates",
    "read_surrogate_ranks",
    "surrogate_ranks",
    "write_surrogate_ranks",
]


def make_surrogate_templates(
    *,
    templates: PathLike = Evaluation.templates,
    template_labels: PathLike | None = None,
    template_kind: str = Evaluation.template_kind,
    grid_mask: PathLike | None = None,
    n_surrogate_templates: int = USUAL_SURROGATES,
    seed: int = Evaluation.seed,
    progress: Progress = silent,
    out_dir: PathLike = ".",
) -> Path:
    """Write surrogate templates on the model's whole grid; one file serves all runs with these templates.

    Parameters
    ----------
    templates, template_labels, template_kind, grid_mask
        As for `score_run`.
    n_surrogate_templates : int
        Sets of surrogate templates, 19 or more.
    seed : int
    progress : Progress
        Counts sets.
    out_dir : path

    Returns
    -------
    Path
        NPY: ranks of the voxels, (n_surrogate_templates, n_templates, n_voxels).

    Raises
    ------
    InputError, UsageError
    """
    check_number_of_surrogates(n_surrogate_templates)
    grid = load_grid(grid_mask)
    loaded = load_templates(templates, grid=grid, labels=template_labels, kind=template_kind)
    with progress("Surrogate templates", n_surrogate_templates, "set") as advance:
        return write_surrogate_ranks(
            ready_for_surrogates(loaded),
            grid,
            Path(out_dir).absolute() / "surrogate_templates.npy",
            n_surrogates=n_surrogate_templates,
            seed=seed,
            progress=advance,
        )

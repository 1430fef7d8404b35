"""The confounds table of a simulated run, with fMRIPrep's columns, computed from the simulated volumes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from .motion import MOTION_PARAMETERS, framewise_displacement
from .tissues import Tissues

__all__ = ["confounds_table", "expand"]

HIGH_PASS = 0.008
"""Cut-off in Hz of the cosine columns (fMRIPrep: 128 s)."""

N_COMPONENTS = 5
"""aCompCor components per mask."""

VOXELS_AT_ONCE = 20_000
"""Voxels whose time courses are copied at a time."""

OUTLIER_DISPLACEMENT, OUTLIER_DVARS = 0.5, 1.5
"""fMRIPrep's thresholds in mm and standardised units for its ``motion_outlier`` columns."""


def confounds_table(
    bold: np.ndarray,
    *,
    tissues: Tissues,
    motion: pd.DataFrame,
    repetition_time: float,
    n_dummies: int = 0,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Compute the confounds table of a run.

    Parameters
    ----------
    bold : float array, (n_volumes, n_voxels)
    tissues : Tissues
        On the same voxels.
    motion : DataFrame, (n_volumes, 6)
    repetition_time : float
        In s.
    n_dummies : int
        Volumes at the start that get a ``non_steady_state_outlier`` column.

    Returns
    -------
    table : DataFrame
        Global, white-matter and CSF signals and six motion parameters, each with derivatives and squares; DVARS;
        framewise displacement; aCompCor; cosines; outlier columns. Missing values (first rows) are NaN.
    metadata : dict
        What fMRIPrep writes beside it: the mask and variance of every aCompCor column.
    """
    columns: dict[str, np.ndarray] = {}
    for name, mask in (
        ("global_signal", slice(None)),
        ("csf", tissues.csf_mask),
        ("white_matter", tissues.white_mask),
    ):
        columns |= expand(name, bold[:, mask].mean(axis=1, dtype=float))
    columns |= _dvars(bold)
    columns["framewise_displacement"] = framewise_displacement(motion)
    cosines = _cosines(len(bold), repetition_time)
    components, metadata = _acompcor(bold, tissues, cosines)
    columns |= components
    columns |= {f"cosine{number:02d}": cosine for number, cosine in enumerate(cosines.T)}
    columns |= _one_volume_columns("non_steady_state_outlier", np.arange(n_dummies), len(bold))
    for name in MOTION_PARAMETERS:
        columns |= expand(name, motion[name].to_numpy())
    moved = columns["framewise_displacement"] > OUTLIER_DISPLACEMENT
    outliers = np.flatnonzero(moved | (columns["std_dvars"] > OUTLIER_DVARS))
    columns |= _one_volume_columns("motion_outlier", outliers[outliers >= n_dummies], len(bold))
    return pd.DataFrame(columns), metadata


def expand(name: str, values: np.ndarray) -> dict[str, np.ndarray]:
    """Give a column with its derivative, its square and its derivative's square, named as in fMRIPrep.

    >>> expand("csf", np.array([1.0, 3.0]))["csf_derivative1_power2"].tolist()
    [nan, 4.0]
    """
    derivative = np.concatenate([[np.nan], np.diff(values)])
    return {
        name: values,
        f"{name}_derivative1": derivative,
        f"{name}_power2": values**2,
        f"{name}_derivative1_power2": derivative**2,
    }


def _dvars(bold: np.ndarray) -> dict[str, np.ndarray]:
    """Give DVARS, and DVARS over what a run with this variance and autocorrelation would have (Nichols 2017)."""
    squares, expected = np.zeros(len(bold) - 1), 0.0
    for first in range(0, bold.shape[1], VOXELS_AT_ONCE):
        part = bold[:, first : first + VOXELS_AT_ONCE]
        squares += (np.diff(part, axis=0) ** 2).sum(axis=1, dtype=float)
        low, high = np.percentile(part, [25, 75], axis=0)
        centred = part - part.mean(axis=0)
        power = np.maximum((centred**2).sum(axis=0), 1e-12)
        ar1 = (centred[1:] * centred[:-1]).sum(axis=0) / power
        expected += float((np.sqrt(np.maximum(2 * (1 - ar1), 0)) * (high - low) / 1.349).sum())
    dvars = np.concatenate([[np.nan], np.sqrt(squares / bold.shape[1])])
    return {"std_dvars": dvars / max(expected / bold.shape[1], 1e-12), "dvars": dvars}


def _cosines(n_volumes: int, repetition_time: float) -> np.ndarray:
    """Give the discrete cosines below the cut-off without the constant, (n_volumes, n_cosines)."""
    from nilearn.glm.first_level.design_matrix import create_cosine_drift

    if n_volumes * repetition_time * 2 * HIGH_PASS < 1:  # shorter than half a period of the slowest cosine
        return np.zeros((n_volumes, 0))
    return create_cosine_drift(HIGH_PASS, np.arange(n_volumes) * repetition_time)[:, :-1]


def _acompcor(bold: np.ndarray, tissues: Tissues, cosines: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Give the leading components of white matter, CSF and both, after removing the cosines (Behzadi 2007)."""
    masks = {
        "c": ("CSF", tissues.csf_mask),
        "w": ("WM", tissues.white_mask),
        "a": ("combined", tissues.csf_mask | tissues.white_mask),
    }
    slow = np.column_stack([np.ones(len(bold)), cosines])
    columns: dict[str, np.ndarray] = {}
    metadata: dict[str, Any] = {}
    for letter, (label, mask) in masks.items():
        data = bold[:, mask].astype(float)
        data -= slow @ np.linalg.lstsq(slow, data, rcond=None)[0]
        data /= np.maximum(data.std(axis=0), 1e-12)
        values, vectors = np.linalg.eigh(data @ data.T)
        values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]
        share = values / max(values.sum(), 1e-12)
        n_components = min(N_COMPONENTS, len(bold) - slow.shape[1], int(mask.sum()))
        for number in range(n_components):
            name = f"{letter}_comp_cor_{number:02d}"
            columns[name] = vectors[:, number]
            metadata[name] = {
                "Mask": label,
                "Method": "aCompCor",
                "Retained": True,
                "SingularValue": np.sqrt(values[number]),
                "VarianceExplained": share[number],
                "CumulativeVarianceExplained": share[: number + 1].sum(),
            }
    return columns, metadata


def _one_volume_columns(name: str, volumes: np.ndarray, n_volumes: int) -> dict[str, np.ndarray]:
    indicators = np.eye(n_volumes, dtype=int)
    return {f"{name}{number:02d}": indicators[volume] for number, volume in enumerate(volumes)}

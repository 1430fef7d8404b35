"""A run's table of confounds: dummy volumes, framewise displacement, and the regressors of a strategy."""

from __future__ import annotations

import difflib
import os
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..errors import InputError
from ..files import read_json, read_table
from .strategies import Strategy

__all__ = ["Nuisance", "choose_nuisance", "count_dummy_scans", "framewise_displacement", "read_confounds"]

N_COMPCOR = 5
"""CompCor components of each tissue (Ciric et al. 2017)."""

MODELS = {
    "basic": ("",),
    "derivatives": ("", "_derivative1"),
    "power2": ("", "_power2"),
    "full": ("", "_derivative1", "_power2", "_derivative1_power2"),
}
"""Endings that fMRIPrep appends to a confound for its expansions, by nilearn's name of the model."""

BASES = {
    "motion": ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z"),
    "wm_csf": ("white_matter", "csf"),
    "global_signal": ("global_signal",),
}

IN_WORDS = {"motion": "head motion", "wm_csf": "white matter and CSF"}

LABELS = {
    ("motion", "full"): "24P",
    ("motion", "derivatives"): "12P",
    ("motion", "power2"): "12P",
    ("motion", "basic"): "6P",
    ("wm_csf", "basic"): "WM + CSF",
    ("global_signal", "basic"): "GSR",
}


@dataclass(frozen=True, eq=False)
class Nuisance:
    """A strategy, applied to the table of one run.

    Parameters
    ----------
    label : str
        The strategy as resolved, such as ``auto: 24P + WM + CSF``.
    regressors : DataFrame
        One row per volume; no column where nothing is regressed.
    warnings : tuple of str
        Sentences for the user.
    """

    label: str
    regressors: pd.DataFrame
    warnings: tuple[str, ...] = ()


def read_confounds(path: str | os.PathLike, n_volumes: int) -> pd.DataFrame:
    """Read a table of confounds and check that it belongs to a run of `n_volumes`.

    Raises
    ------
    InputError
        If it cannot be read, or has another number of rows than the run has volumes.
    """
    table = read_table(path)
    if len(table) != n_volumes:
        raise InputError(
            f"{path}: has {len(table)} rows, but the run has {n_volumes} volumes; use the confounds of this run."
        )
    return table


def count_dummy_scans(table: pd.DataFrame | None) -> int:
    """Count the volumes up to the last one that ``non_steady_state_outlier…`` columns mark.

    >>> count_dummy_scans(pd.DataFrame({"non_steady_state_outlier00": [1, 0, 0], "csf": [1, 2, 3]}))
    1
    """
    if table is None:
        return 0
    columns = [name for name in table.columns if name.startswith("non_steady_state_outlier")]
    marked = np.flatnonzero((table[columns] == 1).any(axis=1))
    return int(marked[-1]) + 1 if marked.size else 0


def framewise_displacement(table: pd.DataFrame | None, n_volumes: int) -> np.ndarray:
    """Give framewise displacement in mm, (n_volumes,); NaN where it is unknown."""
    if table is None or "framewise_displacement" not in table.columns:
        return np.full(n_volumes, np.nan)
    return pd.to_numeric(table["framewise_displacement"], errors="coerce").to_numpy(dtype=float)


def choose_nuisance(
    strategy: Strategy,
    table: pd.DataFrame | None,
    *,
    n_volumes: int,
    confounds_file: str | os.PathLike | None = None,
    confounds_metadata: str | os.PathLike | None = None,
) -> Nuisance:
    """Take the strategy's regressors from the table of a run.

    Parameters
    ----------
    strategy : Strategy
    table : DataFrame or None
        The confounds, one row per volume.
    n_volumes : int
    confounds_file : path, optional
        Where `table` was read from.
    confounds_metadata : path, optional
        The JSON file that describes its columns (CompCor needs it); by default the one beside the table.

    Raises
    ------
    InputError
        If a strategy that was asked for by name needs columns that are not there.
    """
    if table is None and strategy.needs_confounds:
        raise InputError(
            f"The strategy {strategy.name} needs a table of confounds, and the run has none; add it "
            "(desc-confounds_timeseries.tsv) or choose `strategy` auto or none."
        )
    components, notes = dict(strategy.components), []
    if strategy.optional and table is None:
        components, notes = {}, ["No confound was regressed: the run has no table of confounds."]
    elif strategy.optional and table is not None:
        components, notes = _available(strategy, list(table.columns))
    regressors = pd.DataFrame(index=range(n_volumes))
    if table is not None and strategy.columns:
        regressors = table[_matching(strategy, list(table.columns), confounds_file)]
    elif table is not None and components:
        metadata_file = confounds_metadata or Path(os.fspath(confounds_file or "")).with_suffix(".json")
        regressors = _load(strategy.name, components, table, confounds_file, metadata_file)
    label = strategy.name
    if strategy.optional:
        label += ": " + (" + ".join(LABELS[item] for item in components.items()) or "no regressors")
    complete = _complete(regressors, confounds_file)
    lowest = 2 if strategy.detrend else 1  # detrending takes the linear trend
    for order, trend in enumerate(trends(n_volumes, strategy.polynomials).T, start=1):
        if order >= lowest:
            complete[f"polynomial{order}"] = trend
    return Nuisance(label, complete, tuple(notes))


def trends(n_volumes: int, order: int) -> np.ndarray:
    """Give Legendre polynomials of the orders 1 … `order` over a run: (n_volumes, order).

    >>> trends(3, 1).ravel()
    array([-1.,  0.,  1.])
    """
    return np.polynomial.legendre.legvander(np.linspace(-1, 1, n_volumes), order)[:, 1:]


def _columns(component: str, model: str) -> list[str]:
    return [base + ending for base in BASES[component] for ending in MODELS[model]]


def _available(strategy: Strategy, columns: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Reduce optional components to what a table holds, with a sentence for everything that is not there."""
    found, notes = {}, []
    for component, wanted in strategy.components.items():
        model: str | None = wanted
        if component in strategy.optional:
            smaller = [name for name in reversed(MODELS) if len(MODELS[name]) <= len(MODELS[wanted])]
            model = next((name for name in smaller if set(_columns(component, name)) <= set(columns)), None)
        if model is not None:
            found[component] = model
        if model != wanted:
            amount = "no" if model is None else f"only {len(_columns(component, model))}"
            notes.append(
                f"The confounds hold {amount} regressors of {IN_WORDS[component]} (of "
                f"{len(_columns(component, wanted))} wanted), so the data "
                f"{'keep its effects' if model is None else 'may keep some of its effects'}."
            )
    return found, notes


def _matching(strategy: Strategy, columns: Sequence[str], source: Any) -> list[str]:
    chosen: dict[str, None] = {}
    for pattern in strategy.columns:
        matches = [name for name in columns if fnmatchcase(name, pattern)]
        if not matches:
            near = difflib.get_close_matches(pattern, list(columns), n=3, cutoff=0.4)
            hint = f" (near misses: {', '.join(near)})" if near else ""
            raise InputError(f"{source}: no column matches {pattern!r}, which {strategy.name} asks for{hint}.")
        chosen.update(dict.fromkeys(matches))
    return list(chosen)


def _load(
    name: str, components: Mapping[str, str], table: pd.DataFrame, source: Any, metadata_file: str | os.PathLike
) -> pd.DataFrame:
    """Let nilearn choose the columns; it finds files by fMRIPrep's names, so they get such names for the moment."""
    from nilearn.interfaces.fmriprep import load_confounds

    _require(name, components, list(table.columns), source, metadata_file)
    with tempfile.TemporaryDirectory(prefix="confounds-") as folder:
        stem = Path(folder) / "sub-run_task-rest"
        # Only names in small letters: nilearn takes capitals for the sign of a table from before fMRIPrep 1.2.
        small = table[[column for column in table.columns if column == column.lower()]]
        small.to_csv(f"{stem}_desc-confounds_timeseries.tsv", sep="\t", index=False, na_rep="n/a")
        if Path(metadata_file).is_file():
            Path(f"{stem}_desc-confounds_timeseries.json").symlink_to(Path(metadata_file).resolve())
        image = Path(f"{stem}_desc-preproc_bold.nii.gz")
        image.touch()
        try:
            with warnings.catch_warnings():  # on dummy volumes, which are handled elsewhere
                warnings.simplefilter("ignore")
                regressors, _ = load_confounds(
                    str(image),
                    strategy=tuple(components),
                    demean=False,
                    n_compcor=N_COMPCOR,
                    **{key: model for key, model in components.items() if key != "high_pass"},
                )
        except (ValueError, KeyError) as error:
            raise InputError(
                f"{source}: the columns of {name} cannot be taken from it ({' '.join(str(error).split())})."
            ) from error
    return regressors[[column for column in table.columns if column in regressors.columns]]


def _require(
    name: str, components: Mapping[str, str], columns: Sequence[str], source: Any, metadata_file: str | os.PathLike
) -> None:
    missing = [
        column
        for component, model in components.items()
        if component in BASES
        for column in _columns(component, model)
        if column not in columns
    ]
    if "high_pass" in components and not any(column.startswith("cosine") for column in columns):
        missing.append("cosine*")
    if "compcor" in components:
        masks = {entry.get("Mask") for entry in _compcor_metadata(metadata_file, columns)}
        missing += [f"CompCor components of {mask} (by {metadata_file})" for mask in ("WM", "CSF") if mask not in masks]
    if missing:
        there = ", ".join(list(columns)[:12]) + (", …" if len(columns) > 12 else "")
        raise InputError(
            f"{source}: {name} needs columns that are missing: {', '.join(missing)}; there are {there}. Choose another "
            "strategy (`strategy`), or auto, which takes what there is."
        )


def _compcor_metadata(metadata_file: str | os.PathLike, columns: Sequence[str]) -> list[Mapping[str, Any]]:
    if not Path(metadata_file).is_file():
        return []
    return [
        entry
        for key, entry in read_json(metadata_file).items()
        if "_comp_cor_" in key and key in columns and isinstance(entry, Mapping)
    ]


def _complete(regressors: pd.DataFrame, source: Any) -> pd.DataFrame:
    """Fill the first rows, where derivatives do not exist yet; refuse gaps elsewhere."""
    try:
        complete = regressors.astype(float).reset_index(drop=True)
    except ValueError as error:
        raise InputError(f"{source}: a confound is not a number ({error}).") from error
    present = complete.map(np.isfinite)
    gaps = (~present & present.cummax()).any() | ~present.any()
    broken = [str(name) for name in gaps.index[gaps]]
    if broken:
        raise InputError(
            f"{source}: {', '.join(broken)} lack values in the middle of the run; repair the table or choose a "
            "strategy without them (`strategy`)."
        )
    return complete.bfill()

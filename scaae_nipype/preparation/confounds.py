"""A run's table of confounds, and the regressors that a strategy takes from it."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..errors import InputError
from ..files import PathLike, read_json
from ..words import first_few, plural
from .confound_values import empty_columns, numbers, read_cells
from .strategies import Strategy

__all__ = [
    "TABLE",
    "Nuisance",
    "choose_nuisance",
    "other_names",
    "read_confounds",
]

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

SHORT = {"white_matter": "WM", "csf": "CSF", "global_signal": "GSR"}

TISSUES = {"w": "WM", "c": "CSF"}
"""Tissue of a CompCor component whose name tells it (``w_comp_cor_00``, fMRIPrep 22 and later)."""

_OTHERWISE = "Choose another strategy (`strategy`), or auto, which takes what there is."

TABLE = "the table of confounds"
"""What messages call a table that comes without a file."""

COSINES = "cosine"
"""Beginning of the names of the discrete cosines that are fMRIPrep's high-pass filter."""


@dataclass(frozen=True, eq=False)
class Nuisance:
    """A strategy, applied to the table of one run."""

    label: str
    """The strategy as resolved, such as ``auto: 24P + WM + CSF``."""
    regressors: pd.DataFrame
    """One row per volume; no column where nothing is regressed."""
    warnings: tuple[str, ...] = ()
    lacks_cosines: bool = False
    """Whether cosines that the strategy takes for its high-pass filter are not in the table."""


def read_confounds(source: PathLike | pd.DataFrame, n_volumes: int) -> pd.DataFrame:
    """Read a table of confounds, or take one, and check that it belongs to a run of `n_volumes`.

    Raises
    ------
    InputError
        If it cannot be read, or has another number of rows than the run has volumes.
    """
    if isinstance(source, pd.DataFrame):
        table, name = source.reset_index(drop=True), TABLE
    else:
        table, name = read_cells(source), os.fspath(source)
    if len(table) != n_volumes:
        raise InputError(
            f"{name}: has {len(table)} rows, but the run has {n_volumes} volumes; use the confounds of this run."
        )
    return table


def choose_nuisance(
    strategy: Strategy,
    table: pd.DataFrame | None,
    *,
    n_volumes: int,
    confounds_file: PathLike | None = None,
    confounds_metadata: PathLike | None = None,
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
    label, notes, columns, lacks_cosines = strategy.name, [], [], False
    if table is None and strategy.optional:
        label += ": no regressors"
        notes = ["No confound was regressed: the run has no table of confounds."]
    elif table is not None and strategy.columns:
        columns = _matching(strategy, list(table.columns), confounds_file)
        _refuse_empty(strategy.name, [name for name in columns if name in empty_columns(table)], confounds_file)
    elif table is not None and strategy.components:
        metadata_file = confounds_metadata or Path(os.fspath(confounds_file or "")).with_suffix(".json")
        taken = _Taken(strategy, table, confounds_file, metadata_file)
        columns, notes, lacks_cosines = taken.columns(), taken.notes, taken.lacks_cosines
        label += f": {' + '.join(taken.labels) or 'no regressors'}" if strategy.optional else ""
    regressors = pd.DataFrame(index=range(n_volumes))
    if table is not None and columns:
        given = numbers(table, columns, confounds_file)
        regressors = _complete(given, confounds_file)
        notes += [*_about_late(given), *_about_constant(regressors)]
    lowest = 2 if strategy.detrend else 1  # detrending takes the linear trend
    for order, trend in enumerate(trends(n_volumes, strategy.polynomials).T, start=1):
        if order >= lowest:
            regressors[f"polynomial{order}"] = trend
    return Nuisance(label, regressors, tuple(notes), lacks_cosines)


def trends(n_volumes: int, order: int) -> np.ndarray:
    """Give Legendre polynomials of the orders 1 … `order` over a run: (n_volumes, order).

    >>> trends(3, 1).ravel()
    array([-1.,  0.,  1.])
    """
    return np.polynomial.legendre.legvander(np.linspace(-1, 1, n_volumes), order)[:, 1:]


class _Taken:
    """What a strategy of components takes from a table: columns, a label for each component, sentences for the user."""

    def __init__(self, strategy: Strategy, table: pd.DataFrame, source: Any, metadata_file: PathLike):
        self.strategy, self.source, self.metadata_file = strategy, source, metadata_file
        self.all = [str(name) for name in table.columns]
        self.empty = empty_columns(table)
        self.usable = [name for name in self.all if name not in self.empty]
        self.notes: list[str] = []
        self.labels: list[str] = []
        self.lacks_cosines = False

    def columns(self) -> list[str]:
        """Choose the columns, in the order of the table.

        Raises
        ------
        InputError
            If columns that the strategy cannot do without are missing, or hold no values.
        """
        chosen: list[str] = []
        missing: list[str] = []
        for component, model in self.strategy.components.items():
            if component in self.strategy.optional:
                chosen += self._optional(component, model)
            elif component in BASES:
                chosen += _expanded(BASES[component], model)
                self.labels.append(LABELS.get((component, model), component))
            elif component == "compcor":
                chosen += self._compcor(missing)
            elif component == "high_pass":
                cosines = [name for name in self.usable if name.startswith(COSINES)]
                self.lacks_cosines = not cosines
                chosen += cosines
        self._require(chosen, missing)
        return [name for name in self.all if name in chosen]

    def _optional(self, component: str, wanted: str) -> list[str]:
        """Take what there is of a component: the bases that have values, in the largest model that all of them have."""
        bases = [base for base in BASES[component] if base in self.usable]
        all_wanted = _expanded(BASES[component], wanted)
        smaller = [name for name in reversed(MODELS) if len(MODELS[name]) <= len(MODELS[wanted])]
        model = next((name for name in smaller if set(_expanded(bases, name)) <= set(self.usable)), "basic")
        found = _expanded(bases, model)
        if bases:
            self.labels.append(_label(component, bases, model))
        if len(found) < len(all_wanted):
            amount = f"only {len(found)}" if found else "no"
            what = f"{plural(len(found), 'regressor')} of {IN_WORDS[component]}"
            self.notes.append(
                f"The confounds hold {amount} {what} (of {len(all_wanted)} wanted{self._reasons(all_wanted)}), so the "
                f"data {'may keep some of its effects' if found else 'keep its effects'}."
            )
        return found

    def _reasons(self, wanted: Iterable[str]) -> str:
        """Say of columns that are not taken, but seem to be there, why."""
        empty = [name for name in wanted if name in self.empty]
        reasons = [f"; {_some(empty)}: n/a in every row"] if empty else []
        return "".join([*reasons, *(f"; {text}" for text in other_names(wanted, self.all))])

    def _compcor(self, missing: list[str]) -> list[str]:
        """Take the first components of each tissue, by the sidecar or by their names."""
        described = {} if not Path(self.metadata_file).is_file() else read_json(self.metadata_file)
        tissues: dict[str, str] = {}
        for name in self.usable:
            if match := re.fullmatch(r"([acw])_comp_cor_([0-9]+)", name):
                entry = described.get(name)
                by_name = TISSUES.get(match[1], "")
                tissues[name] = str(entry.get("Mask", by_name)) if isinstance(entry, Mapping) else by_name
        chosen: list[str] = []
        for tissue in ("WM", "CSF"):
            components = sorted(name for name, found in tissues.items() if found == tissue)[:N_COMPCOR]
            if not components:
                missing.append(f"CompCor components of {tissue} (by {self.metadata_file})")
            elif len(components) < N_COMPCOR:
                self.notes.append(f"The confounds hold only {len(components)} of {N_COMPCOR} components of {tissue}.")
            chosen += components
        if missing and tissues and not described:
            missing[-1] += ", a file that is not there, and names such as a_comp_cor_00 do not tell the tissue"
        return chosen

    def _require(self, chosen: list[str], missing: list[str]) -> None:
        _refuse_empty(
            self.strategy.name, [name for name in self.all if name in self.empty and name in chosen], self.source
        )
        absent = [name for name in chosen if name not in self.all]
        if missing := [*absent, *missing]:
            near = "".join(f" ({text})" for text in other_names(absent, self.all))
            raise InputError(
                f"{self.source}: {self.strategy.name} needs columns that are missing: {', '.join(missing)}; there are "
                f"{first_few(self.all, 12, end=', …')}{near}. {_OTHERWISE}"
            )


def other_names(wanted: Iterable[str], there: Sequence[str]) -> list[str]:
    """Name a column that differs from a wanted one only in capitals and underscores, as before fMRIPrep 1.2.

    >>> other_names(["trans_x"], ["TransX", "csf"])
    ['there is TransX, which would have to be called trans_x']
    """
    plain = {re.sub("[^a-z0-9]", "", name.lower()): name for name in there}
    found = {name: plain.get(name.replace("_", "")) for name in wanted if name not in there}
    return [f"there is {other}, which would have to be called {name}" for name, other in found.items() if other][:1]


def _expanded(bases: Iterable[str], model: str) -> list[str]:
    return [base + ending for base in bases for ending in MODELS[model]]


def _label(component: str, bases: Sequence[str], model: str) -> str:
    """Name what was taken of a component.

    >>> _label("wm_csf", ["csf"], "basic"), _label("motion", ["trans_x", "trans_y"], "derivatives")
    ('CSF', '4P')
    """
    if list(bases) == list(BASES[component]):
        return LABELS[component, model]
    return f"{len(_expanded(bases, model))}P" if component == "motion" else " + ".join(SHORT[base] for base in bases)


def _some(names: Iterable[str]) -> str:
    return first_few(names, 6, end=", …")


def _refuse_empty(strategy: str, empty: Sequence[str], source: Any) -> None:
    if empty:
        raise InputError(
            f"{source}: {strategy} needs columns that hold no values (n/a in every row): {_some(empty)}. {_OTHERWISE}"
        )


def _about_constant(regressors: pd.DataFrame) -> list[str]:
    """Say which regressors are the same in every volume."""
    constant = [str(name) for name in regressors if regressors[name].nunique() == 1]
    if not constant:
        return []
    verb = "is" if len(constant) == 1 else "are"
    return [f"{_some(constant)} {verb} the same in every volume: regressing that changes nothing."]


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


def _about_late(given: pd.DataFrame) -> list[str]:
    """Say which regressors begin later than in the second volume, where derivatives do."""
    late = {str(name): int(given[name].notna().to_numpy().argmax()) for name in given if given[name][:2].isna().all()}
    if not late:
        return []
    have, their = ("has", "its first one stands") if len(late) == 1 else ("have", "their first ones stand")
    return [f"{_some(list(late))} {have} no value in the first {max(late.values())} volumes; {their} for them."]


def _complete(regressors: pd.DataFrame, source: Any) -> pd.DataFrame:
    """Fill the first rows, where derivatives do not exist yet; refuse gaps elsewhere."""
    present = regressors.map(np.isfinite)
    gaps = ~present & present.cummax()
    broken = [str(name) for name in regressors if gaps[name].any()]
    infinite = [str(name) for name in regressors if np.isinf(regressors[name]).any()]
    if broken or infinite:
        first = (broken or infinite)[0]
        row = int(np.flatnonzero(gaps[first] if broken else np.isinf(regressors[first]))[0])
        value = "n/a" if np.isnan(regressors[first][row]) else f"{regressors[first][row]:g}"
        raise InputError(
            f"{source}: {_some(broken or infinite)} lack values in the middle of the run ({first} is {value} in row "
            f"{row + 1}); repair the table or choose a strategy without them (`strategy`)."
        )
    return regressors.bfill()

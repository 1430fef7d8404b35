"""What a run brings into the tables of the group: its own tables, and a row of facts about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...derivatives.reading import Run, is_inverted
from ...errors import InputError
from ...evaluation.group.group_tables import GroupData
from ...evaluation.group.prediction import CodeSummary, summarise_code
from ...files import as_numbers
from ...maps import BRANCHES

__all__ = ["RunTables"]

_OWN_COLUMNS = ("run", "participant_id", "task", "repeat", "repetition_time", "n_volumes", "n_volumes_kept", "mean_fd")


@dataclass
class RunTables:
    """The tables of runs, gathered run by run: of each kind that of every run which has one."""

    runs: list[dict[str, Any]] = field(default_factory=list)  # a row for every run
    overlap: list[pd.DataFrame] = field(default_factory=list)
    gradualchange: list[pd.DataFrame] = field(default_factory=list)
    states: list[pd.DataFrame] = field(default_factory=list)
    transitions: list[pd.DataFrame] = field(default_factory=list)
    codes: dict[str, CodeSummary] = field(default_factory=dict)
    code_names: Sequence[str] = ()  # what the code's numbers are called
    state_maps: dict[str, dict[str, Path]] = field(default_factory=dict)  # run to its images, by branch
    state_names: tuple[str, ...] = ()  # what their volumes are called

    def add(self, run: Run) -> None:
        """Read one run; nothing of it is kept if one of its tables is damaged.

        Raises
        ------
        InputError
            Which table is damaged, or what is missing.
        """
        participant, others = f"sub-{run.entities['sub']}", {"sub", "task", "space", "res", "desc"}
        samples = run.table("samples", ["kept"])
        overlap = [
            run.table(meaning, ["method", "template"]) for meaning in ("overlap", "baselines") if run.has(meaning)
        ]
        overlap = overlap or [run.table("overlap")]  # says what is missing
        gradual = run.table("gradual_change", ["method", "lag", "lag_seconds", "mean_iou"]).assign(run=run.stem)
        code = _code(run.table("code"), run) if run.has("code") else None
        states = _optional(run, "state_metrics", ["method", "state", "occupancy", "mean_dwell_seconds"])
        transitions = _optional(run, "transitions", ["method", "from", "to", "count"])
        if run.repetition_time is None:
            raise InputError("no sidecar knows its repetition time; do the run again.")
        displacement = as_numbers(samples.get("framewise_displacement", pd.Series(dtype=float)))
        self.runs.append(
            {
                "run": run.stem,
                "participant_id": participant,
                "task": run.entities.get("task", "n/a"),
                "repeat": "_".join(f"{key}-{label}" for key, label in run.entities.items() if key not in others)
                or "once",
                "repetition_time": round(run.repetition_time, 3),
                "n_volumes": len(samples),
                "n_volumes_kept": int((samples["kept"] == 1).sum()),
                "mean_fd": float(displacement.mean()) if len(displacement) else np.nan,
                **_flags(run),
            }
        )
        self.overlap += [table.assign(run=run.stem) for table in overlap]
        self.gradualchange.append(gradual)
        self.states += [] if states is None else [states]
        self.transitions += [] if transitions is None else [transitions]
        if code is not None:
            self.code_names, self.codes[run.stem] = code
        maps = {branch: run.path(f"{branch}_states") for branch in BRANCHES if run.has(f"{branch}_states")}
        names = run.sidecar("state_metrics").get("TemplateLabels")
        if maps and isinstance(names, list):
            self.state_maps[run.stem], self.state_names = maps, tuple(map(str, names))

    def joined(self, people: pd.DataFrame) -> GroupData:
        """Put all runs together, with what is known about the participants (indexed by participant)."""
        columns = [column for column in people if column not in _OWN_COLUMNS]
        runs = pd.DataFrame(self.runs).join(people[columns], on="participant_id")
        return GroupData(
            runs=runs,
            overlap=pd.concat(self.overlap, ignore_index=True),
            gradualchange=pd.concat(self.gradualchange, ignore_index=True),
            states=pd.concat(self.states, ignore_index=True) if self.states else None,
            transitions=pd.concat(self.transitions, ignore_index=True) if self.transitions else None,
            codes=self.codes,
            code_names=self.code_names,
        )


def _flags(run: Run) -> dict[str, float]:
    """Note what makes a run's networks doubtful, as its sidecars tell it."""
    flags = {"undertrained": float(bool(run.model.get("Undertrained")))} if run.model else {}
    for number, branch in enumerate(run.branches, start=1):
        for name, key in (("density", "MeanDensity"), ("sign_agreement", "SignAgreement")):
            value = branch.get(key)
            flags[f"{name}_fbn{number}"] = float(value) if isinstance(value, int | float) else np.nan
        flags[f"inverted_fbn{number}"] = float(is_inverted(branch))
    if run.channel_limits is not None:
        low, high = run.channel_limits
        flags["channel_weight_range"] = high - low
    return flags


def _code(table: pd.DataFrame, run: Run) -> tuple[list[str], CodeSummary]:
    names = [name for name in map(str, table) if name.startswith("code")]
    try:
        return names, summarise_code(table[names].to_numpy(dtype=float))
    except ValueError as error:
        raise InputError(f"{run.path('code').name}: holds something else than numbers ({error}).") from error


def _optional(run: Run, meaning: str, columns: Sequence[str]) -> pd.DataFrame | None:
    """Read a table that a run may lack."""
    return run.table(meaning, columns).assign(run=run.stem) if run.has(meaning) else None

"""What is due: which runs of a job have to be done, why, and what of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..inputs.plan import RunInput
from ..output.dataset_files import wanted_outputs
from ..output.known_files import KnownFiles, named_by_place
from ..output.records import Due, RunRecord, in_current_form, read_record, record_path, whats_new
from ..settings.settings import Settings
from .existing_maps import find_signed_maps
from .model_store import StoredModel
from .models import JobModels

__all__ = ["DueRuns"]


@dataclass(frozen=True)
class DueRuns:
    """What of a job's runs an output dataset has yet to get."""

    settings: Settings
    models: JobModels
    maps: str  # hash of the settings that change the maps
    scores: Mapping[str, Any]  # the settings that change what is computed from them
    known: Mapping[str, Mapping[str, Any]]  # configurations that the output holds and has held, by their hashes
    roots: tuple[Path, ...]  # of the input datasets
    files: KnownFiles

    def find(self, runs: Iterable[RunInput]) -> dict[str, Due]:
        """Say which runs have to be done, why, and what of them, by stem."""
        model = self.models.main
        if self.settings.level == "train":
            wanted = set() if self.models.are_complete else self.models.training_stems
            return {run.stem: Due("for training") for run in runs if run.stem in wanted}
        found, options = {}, self.settings.output_options
        for run in runs:
            inputs = self._inputs_of(run)
            due = whats_new(
                self.record_of(run),
                self.settings.output_dir,
                configuration=self.maps,
                model=None if model is None else model.checksum,
                inputs=inputs,
                known=self.files,
                wanted=wanted_outputs(run, options=options),
                scores=self.scores,
                mode=self.settings.training.mode,
                beside=run.beside,
                events=next((name for name, path in inputs.items() if path == run.events), None),
            )
            if due:
                found[run.stem] = due if model is None else self._with_cost(due, run, model)
        return found

    def is_recorded_since(self, run: RunInput, seconds: float) -> bool:
        """Tell whether the record of a run was written after a point in time (s since the epoch)."""
        path = record_path(self.settings.output_dir, run.entities["sub"], run.stem)
        return path.is_file() and path.stat().st_mtime > seconds

    def record_of(self, run: RunInput) -> RunRecord | None:
        """Give the record of a run, if there is one."""
        path = record_path(self.settings.output_dir, run.entities["sub"], run.stem)
        return in_current_form(read_record(path), self.known)

    def note_times(self, runs: Iterable[RunInput]) -> None:
        """Note of finished runs whose inputs were known by their content when these have changed now."""
        for run in runs:
            inputs, record = self._inputs_of(run), self.record_of(run)
            if record is not None and self.files.by == "content" and self.files.has_other_times(record.inputs, inputs):
                replace(record, inputs=self.files.note_inputs(inputs)).write(self.settings.output_dir)

    def _inputs_of(self, run: RunInput) -> dict[str, Path]:
        return named_by_place(run.files, self.roots)

    def _with_cost(self, due: Due, run: RunInput, model: StoredModel) -> Due:
        """Say it too if scores need maps that were not kept."""
        if not due.parts & {"states", "signed_maps"} or find_signed_maps(
            self.settings, run.entities, run.stem, model, is_certain=False
        ):
            return due
        again = "the maps before equation 9 were not kept: networks are extracted again, with the same model"
        return replace(due, reason=f"{due.reason}; {again}")

"""What a job does to the runs it found: prepare them, get the model, extract, record, report."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ...derivatives.names import node_name, output_path
from ...workflows.model_card import training_sentence
from ..engine.leftovers import tidy
from ..engine.locks import Lock
from ..inputs.plan import Inputs, RunInput
from ..output.citation import METHODS_FILES, write_methods
from ..output.dataset_files import is_whole_page, write_dataset_files, write_participants
from ..output.known_files import KnownFiles
from ..output.logbook import Logbook
from ..output.records import RunRecord, participant_log_dir
from ..output.verdict import Summary
from ..settings.configuration import (
    configuration_hash,
    has_results,
    known_configurations,
    maps_of,
    merged_scores,
    scores_of,
)
from ..settings.console import Console
from ..settings.settings import Settings
from .denoised import denoised_warnings
from .disk import DiskNeeds, disk_needs
from .due import DueRuns
from .existing_maps import output_id
from .model_store import ModelStore, StoredModel, mismatches, model_name
from .models import JobModels

if TYPE_CHECKING:
    from ..engine.nodes import Outcome
    from .stages import PreparedFiles, Stages, Written

__all__ = ["Job"]

ROUNDS_AT_ONCE, LEAST_AT_ONCE = 4, 16
"""Runs for every processor, and at least, that are prepared before they are extracted: what the work folder holds."""


class Job:
    """One call's work on one output dataset, with the configuration `content`."""

    def __init__(self, settings: Settings, inputs: Inputs, content: Mapping[str, Any], console: Console):
        self.settings, self.inputs, self.console = settings, inputs, console
        self.started, self.is_null_told = time.time(), False
        self.prepared: dict[str, PreparedFiles] = {}  # by this call, and still in the work folder
        self.preparations: dict[str, None] = {}  # what the Methods text says of them, and of what came after
        self.descriptions: dict[str, None] = {}
        self.digest, self.maps = configuration_hash(content), configuration_hash(maps_of(content))
        self.scores, known = scores_of(content), known_configurations(settings.output_dir)
        files = KnownFiles(settings.inputs_by, verify=settings.verify)
        self.logbook = Logbook(settings.output_dir, inputs, self.maps, self.scores, console, files)
        name = model_name(settings, self.maps, known)
        self.store = ModelStore(settings.output_dir, name, may_be_damaged=settings.retrain)
        self.models = JobModels(settings, inputs, self.store, self.logbook, lambda: self.stages)
        roots = tuple(inputs.roots.values())
        self.runs_due = DueRuns(settings, self.models, self.maps, self.scores, known, roots, files)
        self.due = self.runs_due.find(inputs.runs)
        if settings.level == "train":
            self.summary.before = self.models.names
        else:
            self.summary.before = {run.stem for run in inputs.runs} - self.due.keys()

    @property
    def summary(self) -> Summary:
        """What became of the runs so far."""
        return self.logbook.summary

    @cached_property
    def stages(self) -> Stages:
        """The workflows; made when there is something to do, because importing them takes a while."""
        from .stages import Stages

        folder = self.settings.work_dir / f"{self.maps}-{output_id(self.settings.output_dir)}"
        return Stages(self.settings, folder, self.logbook.tell, self.inputs.roots)

    # ---- the flow ------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Do everything that is due, some participants at a time, and those last that other jobs are at."""
        due = [run for run in self.inputs.runs if run.stem in self.due]
        if due:
            self._describe_dataset()
        if self.settings.level == "participant":
            self.runs_due.note_times(run for run in self.inputs.runs if run.stem not in self.due)
        by_participant: defaultdict[str, list[RunInput]] = defaultdict(list)
        for run in due:
            by_participant[run.entities["sub"]].append(run)
        is_training = self.settings.level == "train"
        if due and not is_training and self.models.is_to_be_fitted:
            drawn = self.models.training_stems
            labels = [label for label, runs in by_participant.items() if any(run.stem in drawn for run in runs)]
            self._claim(labels, by_participant, self._fit)
        waiting: list[str] = []
        for labels in [list(by_participant)] if is_training else self._groups(by_participant):
            waiting += self._claim(labels, by_participant, self._do)
        for label in sorted(waiting):
            if self.logbook.is_stopped:
                break
            with self._lock(label).acquire(self.console.say):
                self._do(self._still_due(by_participant[label]))
        self._complete_dataset()
        self._report_missing()

    def disk_needs(self) -> DiskNeeds:
        """Estimate what is going to be on the disks."""
        fitted = self.models.is_to_be_fitted or self.settings.level == "train"
        return disk_needs(
            self.settings,
            [run for run in self.inputs.runs if run.stem in self.due],
            n_training=len(self.models.training_stems) if fitted else 0,
            at_once=self._at_once,
        )

    @property
    def _at_once(self) -> int:
        return max(LEAST_AT_ONCE, ROUNDS_AT_ONCE * self.settings.nprocs)

    def _groups(self, by_participant: Mapping[str, list[RunInput]]) -> Iterator[list[str]]:
        """Cut participants into groups of so many runs as are in the work folder at the same time."""
        labels: list[str] = []
        n_runs = 0
        for label, runs in by_participant.items():
            labels.append(label)
            n_runs += len(runs)
            if n_runs >= self._at_once:
                yield labels
                labels, n_runs = [], 0
        if labels:
            yield labels

    def _lock(self, label: str) -> Lock:
        return Lock(self.settings.output_dir / "logs" / ".claims" / f"sub-{label}.lock", f"sub-{label}")

    def _claim(
        self,
        labels: Iterable[str],
        by_participant: Mapping[str, list[RunInput]],
        do: Callable[[list[RunInput]], object],
    ) -> list[str]:
        """Do something with the runs of participants that no other job is at; give the others."""
        if self.logbook.is_stopped:
            return []
        locks = {label: self._lock(label) for label in labels}
        ours = [label for label, lock in locks.items() if lock.try_acquire()]
        try:
            do([run for label in ours for run in self._still_due(by_participant[label])])
        finally:
            for label in ours:
                locks[label].release()
        return [label for label in locks if label not in ours]

    def _still_due(self, runs: list[RunInput]) -> list[RunInput]:
        """Leave out runs that failed before in this call, or that another job has done since it began."""
        if self.settings.level == "train":
            still_due = self.runs_due.find(runs)
            self.summary.before |= self.models.names - self.summary.finished
            return [run for run in runs if run.stem in still_due]
        left = [run for run in runs if run.stem not in self.summary.failed]
        touched = [run for run in left if self.runs_due.is_recorded_since(run, self.started)]
        still_due = self.runs_due.find(touched)
        self.due |= still_due
        self.summary.before |= {run.stem for run in touched} - still_due.keys() - self.summary.finished
        return [run for run in left if run not in touched or run.stem in still_due]

    def write_reports(self, participants: Collection[str]) -> None:
        """Do nothing but write the reports of participants again."""
        self._report(participants)
        failed = self.summary.failed
        self.summary.finished = {f"sub-{label}" for label in participants if f"report of sub-{label}" not in failed}

    def close(self) -> None:
        """Note what was not started, and what the steps needed."""
        if self.settings.level == "participant":
            done = self.summary.finished | self.summary.before | self.summary.failed.keys()
            self.summary.left = self.due.keys() - done
        if self.settings.resource_monitor:
            self.logbook.write_resources()
        tidy(self.settings.output_dir, {run.entities["sub"] for run in self.inputs.runs})  # also of those done before

    def _describe_dataset(self) -> None:
        write_dataset_files(
            self.settings.output_dir,
            self.inputs,
            configuration=self.digest,
            container=os.environ.get("SCAAE_CONTAINER_TAG"),
            work_dir=self.settings.work_dir,
        )

    def _fit(self, runs: list[RunInput]) -> StoredModel | None:
        """Get the model; where it is yet to be fitted, prepare those of the runs that train it."""
        is_training = self.settings.level == "train"
        if self.logbook.is_stopped or not runs or "the model" in self.summary.failed:
            return None
        if not self.models.is_to_be_fitted and not is_training:
            return self.models.main
        drawn = self.models.training_stems
        prepared = self._prepare([run for run in runs if run.stem in drawn] or runs)
        if self.logbook.is_stopped or not (prepared or self.models.main):
            return None
        return self.models.get_main(prepared)

    def _records_of(self, runs: Iterable[RunInput]) -> dict[str, RunRecord]:
        """Give the records of runs whose maps are there, so that only scores are computed."""
        found = {run.stem: self.runs_due.record_of(run) for run in runs if self.due[run.stem].parts}
        return {stem: record for stem, record in found.items() if record is not None}

    def _complete_dataset(self) -> None:
        """Write again what belongs to all runs, where it has gone or an earlier version was ended before it."""
        output_dir = self.settings.output_dir
        if self.settings.level == "train" or self.logbook.is_stopped or not has_results(output_dir):
            return
        if not all((output_dir / name).is_file() for name in ("dataset_description.json", "README", ".bidsignore")):
            self._describe_dataset()
        write_participants(output_dir, self.inputs)
        model = self.models.main
        if model is not None and not all((output_dir / name).is_file() for name in METHODS_FILES):
            from ..output.boilerplate import write_boilerplate

            write_boilerplate(self.settings, self.inputs.runs, model.folder)

    def _do(self, runs: list[RunInput]) -> None:
        """Take runs through all steps; of those with a record, whose maps are there, only scores are computed."""
        if self.logbook.is_stopped or not runs:
            return
        model = self._fit(runs)
        if self.settings.level == "train":
            if model is not None:
                self.models.get_for_nulls([], self.prepared, model)
                self._clear(list(self.prepared))
            return
        if model is None and self.models.is_to_be_fitted:
            return
        prepared = self._prepare([run for run in runs if run.stem not in self.summary.failed])
        records = self._records_of(runs)
        healthy = [run for run in runs if run.stem in prepared]
        if not healthy or self.logbook.is_stopped:
            return
        model = model or self.models.get_main(prepared)
        if model is None:
            return
        tested = [run for run in healthy if run.stem not in records or "dynamics_null" in self.due[run.stem].parts]
        null_models = self.models.get_for_nulls(tested, self.prepared, model)
        if self.logbook.is_stopped:
            return
        if null_models and not self.is_null_told:
            self.is_null_told = True
            times = self.settings.nulls.n_surrogates
            self.console.say(
                f"Temporal null: every run goes through the network {times} times more; how long that takes is "
                "measured and said when it starts."
            )
        whole = [run for run in healthy if run.stem not in records]
        finished, description = self._extract(whole, prepared, model, null_models) if whole else ([], "")
        more = [run for run in healthy if run.stem in records]
        if more and not self.logbook.is_stopped:
            added, further = self._add(more, records, prepared, model, null_models)
            finished = [*finished, *added]
            description += "" if further in description else further
        if finished:
            write_participants(self.settings.output_dir, self.inputs)
            self.descriptions |= {description: None}
            sentences = [*self.preparations, training_sentence(model.card), *self.descriptions]
            write_methods(self.settings.output_dir, sentences)
            self._report({run.entities["sub"] for run in finished})

    # ---- step by step --------------------------------------------------------------------------------------------

    def _prepare(self, runs: list[RunInput]) -> dict[str, PreparedFiles]:
        """Prepare runs, each once; of those whose maps are there, only the same as before will do."""
        missing, records = [run for run in runs if run.stem not in self.prepared], self._records_of(runs)
        if missing:
            grid_mask = None if self.settings.model is None else self.settings.model / "mask.nii.gz"
            prepared, outcome, workflow = self.stages.prepare(missing, grid_mask)
            self.preparations |= {workflow.visit_desc(): None}
            self.logbook.keep(outcome)
            kept = [run for run in missing if run.stem in records]
            new = [run for run in missing if run.stem not in records]
            self.logbook.note_failures([*new, *kept], outcome, workflow.name, records)
            if kept:
                from .rescoring import prepared_as_before

                for run in kept:
                    if run.stem in prepared and (reason := prepared_as_before(self.stages, run, prepared[run.stem])):
                        self.logbook.fail(run.stem, reason)
                        del prepared[run.stem]
            self.prepared |= prepared
        return {run.stem: self.prepared[run.stem] for run in runs if run.stem in self.prepared}

    def _clear(self, stems: Iterable[str]) -> None:
        """Free the place of runs in the work folder."""
        for stem in stems:
            self.stages.clear(node_name(stem))
            self.prepared.pop(stem, None)

    def _extract(
        self,
        runs: list[RunInput],
        prepared: dict[str, PreparedFiles],
        model: StoredModel,
        null_models: dict[str, StoredModel],
    ) -> tuple[list[RunInput], str]:
        """Extract, score and write networks; give the runs that went well, and the words for the Methods text."""
        for run in runs:
            if run.stem not in null_models:
                self._remove_null(run)
        finished: list[RunInput] = []

        def keep(run: RunInput, result: Written, steps: Outcome) -> None:
            """Record a run at once, so that it is done whatever comes, and free its place in the work folder."""
            self.logbook.keep_resources(steps)
            warnings = [*result.warnings, *mismatches(model.card, prepared[run.stem].metadata)]
            warnings += denoised_warnings(self.settings, run)
            self.logbook.finish(run, model=result.model, outputs=result.files, warnings=warnings)
            self._clear([run.stem])
            finished.append(run)

        outcome, workflow = self.stages.extract(runs, prepared, model, null_models, keep=keep)
        self.logbook.keep(outcome)
        self.logbook.note_failures(runs, outcome, workflow.name, model=model.checksum)
        return sorted(finished, key=runs.index), workflow.visit_desc()

    def _add(
        self,
        runs: list[RunInput],
        records: Mapping[str, RunRecord],
        prepared: dict[str, PreparedFiles],
        model: StoredModel,
        null_models: dict[str, StoredModel],
    ) -> tuple[list[RunInput], str]:
        """Compute scores of runs whose maps are there; what is there is replaced when all of a run's are computed."""
        from .rescoring import Addition, add_scores, describe, warnings_there

        additions = []
        for run in runs:
            record, parts = records[run.stem], self.due[run.stem].parts
            self.logbook.begin_addition(record, parts)
            if run.stem not in null_models and "dynamics_null" in parts:  # its model could not be trained
                self._remove_null(run)
                parts -= {"dynamics_null"}
            additions.append(Addition(run, parts, merged_scores(record.scores or {}, self.scores)))
        written, outcome, name = add_scores(self.stages, additions, prepared, model, null_models)
        self.logbook.keep(outcome)
        self.logbook.note_failures(runs, outcome, name, records)
        finished = [addition for addition in additions if addition.run.stem in written]
        for addition in finished:
            run = addition.run
            warnings = warnings_there(self.settings.output_dir, run, prepared[run.stem])
            self.logbook.finish_addition(
                run,
                records[run.stem],
                scores=addition.scores,
                outputs=written[run.stem],
                warnings=[*warnings, *mismatches(model.card, prepared[run.stem].metadata)],
            )
            self._clear([run.stem])
        return [addition.run for addition in finished], describe(self.stages, finished, model)

    def _remove_null(self, run: RunInput) -> None:
        """Remove an earlier temporal null of a run that does not get a new one."""
        self.logbook.remove_outputs([str(output_path(run.entities, "dynamics_null"))])

    def _report(self, participants: Collection[str]) -> None:
        """Write the reports of participants."""
        outcome = self.stages.report(sorted(participants))
        self.logbook.keep_resources(outcome)
        for participant in sorted(participants):
            name = f"reports_wf.{node_name(f'report_sub-{participant}')}"
            if name not in outcome.failures:
                self.summary.reports.add(participant)
            else:
                folder = participant_log_dir(self.settings.output_dir, participant)
                self.logbook.fail(f"report of sub-{participant}", outcome.failures[name].kept_in(folder).message)

    def _report_missing(self) -> None:
        """Write reports that an earlier call did not get to."""
        if self.settings.level == "train" or self.logbook.is_stopped:
            return
        output_dir, failed = self.settings.output_dir, self.summary.failed
        missing = {
            label
            for label in {run.entities["sub"] for run in self.inputs.runs if run.stem not in failed}
            if not is_whole_page(output_dir / f"sub-{label}.html")
            and has_results(output_dir, label)
            and f"report of sub-{label}" not in failed
        }
        if missing:
            self._report(missing)

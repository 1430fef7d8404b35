"""What a job does to the runs it found: prepare them, get the model, extract, record, report."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ...derivatives.names import node_name, output_path
from ...workflows.model_card import training_sentence
from ..engine.locks import Lock
from ..inputs.plan import Inputs, RunInput
from ..output.citation import write_methods
from ..output.dataset_files import write_dataset_files, write_participants
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
from .due import DueRuns
from .existing_maps import output_id
from .model_store import ModelStore, StoredModel, mismatches, model_name
from .models import JobModels

if TYPE_CHECKING:
    from .stages import PreparedFiles, Stages

__all__ = ["Job"]


class Job:
    """One call's work on one output dataset, with the configuration `content`."""

    def __init__(self, settings: Settings, inputs: Inputs, content: Mapping[str, Any], console: Console):
        self.settings, self.inputs, self.console = settings, inputs, console
        self.digest, self.maps = configuration_hash(content), configuration_hash(maps_of(content))
        self.scores, known = scores_of(content), known_configurations(settings.output_dir)
        self.logbook = Logbook(settings.output_dir, inputs, self.maps, self.scores, console)
        name = model_name(settings, self.maps, known)
        self.store = ModelStore(settings.output_dir, name, may_be_damaged=settings.retrain)
        self.models = JobModels(settings, inputs, self.store, self.logbook, lambda: self.stages)
        self.runs_due = DueRuns(settings, self.models, self.maps, self.scores, known)
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
        """Do everything that is due, those participants last that other jobs are at."""
        due = [run for run in self.inputs.runs if run.stem in self.due]
        if due:
            self._describe_dataset()
        by_participant: defaultdict[str, list[RunInput]] = defaultdict(list)
        for run in due:
            by_participant[run.entities["sub"]].append(run)
        claims = self.settings.output_dir / "logs" / ".claims"
        locks = {label: Lock(claims / f"sub-{label}.lock", f"sub-{label}") for label in by_participant}
        ours = [label for label, lock in locks.items() if lock.try_acquire()]
        try:
            self._do([run for label in ours for run in by_participant[label]])
        finally:
            for label in ours:
                locks[label].release()
        for label in sorted(by_participant.keys() - set(ours)):
            with locks[label].acquire(self.console.say):
                runs = by_participant[label]
                still_due = self.runs_due.find(runs)
                self.due |= still_due
                self.summary.before |= {run.stem for run in runs} - still_due.keys() - {self.store.name}
                self._do([run for run in runs if run.stem in still_due])
        self._report_missing()

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

    def _describe_dataset(self) -> None:
        write_dataset_files(
            self.settings.output_dir,
            self.inputs,
            configuration=self.digest,
            container=os.environ.get("SCAAE_CONTAINER_TAG"),
            work_dir=self.settings.work_dir,
        )

    def _do(self, runs: list[RunInput]) -> None:
        """Take runs through all steps; of those with a record, whose maps are there, only scores are computed."""
        if self.logbook.is_stopped or not runs:
            return
        of_runs = {run.stem: self.runs_due.record_of(run) for run in runs if self.due[run.stem].parts}
        records = {stem: record for stem, record in of_runs.items() if record is not None}
        prepared, preparation = self._prepare(runs, records)
        healthy = [run for run in runs if run.stem in prepared]
        model = self.models.get_main(prepared) if healthy and not self.logbook.is_stopped else None
        if model is None:
            return
        tested = [run for run in healthy if run.stem not in records or "dynamics_null" in self.due[run.stem].parts]
        null_models = self.models.get_for_nulls(tested, prepared, model)
        if self.logbook.is_stopped or self.settings.level == "train":
            return
        if null_models:
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
            write_methods(self.settings.output_dir, [preparation, training_sentence(model.card), description])
            self._report({run.entities["sub"] for run in finished})

    # ---- step by step --------------------------------------------------------------------------------------------

    def _prepare(self, runs: list[RunInput], records: Mapping[str, RunRecord]) -> tuple[dict[str, PreparedFiles], str]:
        """Prepare runs; of those with a record, whose maps are there, only the same as before will do."""
        grid_mask = None if self.settings.model is None else self.settings.model / "mask.nii.gz"
        prepared, outcome, workflow = self.stages.prepare(runs, grid_mask)
        self.logbook.keep(outcome)
        kept = [run for run in runs if run.stem in records]
        new = [run for run in runs if run.stem not in records]
        self.logbook.note_failures([*new, *kept], outcome, workflow.name, records)
        if kept:
            from .rescoring import prepared_as_before

            for run in kept:
                if run.stem in prepared and (reason := prepared_as_before(self.stages, run, prepared[run.stem])):
                    self.logbook.fail(run.stem, reason)
                    del prepared[run.stem]
        return prepared, workflow.visit_desc()

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
        written, outcome, workflow = self.stages.extract(runs, prepared, model, null_models)
        self.logbook.keep(outcome)
        self.logbook.note_failures(runs, outcome, workflow.name, model=model.checksum)
        finished = [run for run in runs if run.stem in written]
        for run in finished:
            result = written[run.stem]
            warnings = [*result.warnings, *mismatches(model.card, prepared[run.stem].metadata)]
            warnings += denoised_warnings(self.settings, run)
            self.logbook.finish(run, model=result.model, outputs=result.files, warnings=warnings)
        return finished, workflow.visit_desc()

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
            if name in outcome.failures:
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
            if not (output_dir / f"sub-{label}.html").exists()
            and has_results(output_dir, label)
            and f"report of sub-{label}" not in failed
        }
        if missing:
            self._report(missing)

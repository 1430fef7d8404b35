"""What a job does to the runs it found: prepare them, get the model, extract, record, report."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...derivatives.names import output_path, participant_of
from ...errors import ScaaeError, UsageError
from ...words import counted
from ..engine.locks import Claim
from ..inputs.find import Inputs, RunInput
from ..output.citation import training_sentence, write_methods
from ..output.dataset_files import has_results, wanted_outputs, write_dataset_files, write_participants
from ..output.logbook import Logbook
from ..output.records import (
    Due,
    RunRecord,
    fingerprints,
    participant_log_dir,
    read_record,
    record_path,
    understood,
    whats_new,
)
from ..output.verdict import Tally
from ..settings.checks import denoised_warnings
from ..settings.configuration import configuration_hash, known_configurations, maps_of, merged_scores, scores_of
from ..settings.console import Console
from ..settings.settings import Settings
from .crossfit import Fold, FoldModels, check_participants, check_training_runs, checksums_of_folds, fit_missing
from .kept_maps import kept_signed_maps, place_of
from .shelf import ModelShelf, ShelvedModel, mismatches, model_name

if TYPE_CHECKING:
    from .stages import PreparedFiles, Stages

__all__ = ["FEW_VOLUMES", "Job"]

FEW_VOLUMES = 500
"""Distinct training volumes below which a warning says that the training set is very small."""


class Job:
    """One call's work on one output dataset.

    Parameters
    ----------
    settings : Settings
    inputs : Inputs
    content : mapping
        The configuration.
    console : Console
    """

    def __init__(self, settings: Settings, inputs: Inputs, content: Mapping[str, Any], console: Console):
        self.settings, self.inputs, self.console = settings, inputs, console
        self.digest, self.maps = configuration_hash(content), configuration_hash(maps_of(content))
        self.scores, self.known = scores_of(content), known_configurations(settings.output_dir)
        self.logbook = Logbook(settings.output_dir, inputs, self.maps, self.scores, console)
        self.shelf = ModelShelf(settings.output_dir, self._model_name(), may_be_damaged=settings.retrain)
        there = self.shelf.find()
        self.unwanted = there.checksum if there is not None and settings.retrain else None
        self.unwanted_folds = checksums_of_folds(self.shelf) if settings.retrain else {}
        self.is_stopped = False
        self.due = self.find_due(inputs.runs)
        if settings.level == "train":
            self.tally.before = self._models_there()
        else:
            self.tally.before = {run.stem for run in inputs.runs} - self.due.keys()

    def _model_name(self) -> str:
        """Name the model by the settings that change the maps; earlier versions took all settings."""
        same = [digest for digest, content in self.known.items() if configuration_hash(maps_of(content)) == self.maps]
        names = [model_name(self.settings, digest) for digest in (self.maps, *same)]
        models = self.settings.output_dir / "models"
        return next((name for name in names if (models / name / "card.json").is_file()), names[0])

    @property
    def tally(self) -> Tally:
        """What became of the runs so far."""
        return self.logbook.tally

    @property
    def model(self) -> ShelvedModel | None:
        """The model as it is now; one that is to be replaced does not count."""
        there = self.shelf.find()
        return None if there is None or there.checksum == self.unwanted else there

    def _models_there(self) -> set[str]:
        """Name the models of this configuration that are there: the main one, and those of the folds."""
        model = self.model
        if model is None:
            return set()
        if not self.settings.cross_fit:
            return {self.shelf.name}
        folds = self._fold_models(model)
        return {self.shelf.name, *(there.folder.name for there in folds.there().values())}

    def _fold_models(self, main: ShelvedModel) -> FoldModels:
        return FoldModels(main, self.shelf, self.settings.cross_fit, self.unwanted_folds)

    def check_cross_fit(self) -> None:
        """Refuse more folds than participants before anything runs; once there is a model, its card decides."""
        if self.settings.cross_fit and self.model is None:
            check_participants({run.entities["sub"] for run in self.inputs.runs}, self.settings.cross_fit)

    def find_due(self, runs: Iterable[RunInput]) -> dict[str, Due]:
        """Say which runs have to be done, why, and what of them, by stem."""
        model = self.model
        if self.settings.level == "train":
            complete = len(self._models_there()) == 1 + self.settings.cross_fit
            return {} if complete else {run.stem: Due("for training") for run in runs}
        found = {}
        for run in runs:
            due = whats_new(
                self._record_of(run),
                self.settings.output_dir,
                configuration=self.maps,
                model=None if model is None else model.checksum,
                inputs=fingerprints(run.files),
                wanted=wanted_outputs(run, options=self.settings.output_options),
                scores=self.scores,
                mode=self.settings.mode,
                events=run.events,
            )
            if due:
                found[run.stem] = due if model is None else self._with_cost(due, run, model)
        return found

    def _record_of(self, run: RunInput) -> RunRecord | None:
        path = record_path(self.settings.output_dir, run.entities["sub"], run.stem)
        return understood(read_record(path), self.known)

    def _with_cost(self, due: Due, run: RunInput, model: ShelvedModel) -> Due:
        """Say it too if scores need maps that were not kept."""
        if not due.parts & {"states", "signed_maps"} or kept_signed_maps(
            self.settings, run.entities, run.stem, model, is_certain=False
        ):
            return due
        again = "the maps before equation 9 were not kept: networks are extracted again, with the same model"
        return replace(due, reason=f"{due.reason}; {again}")

    # ---- the flow ------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Do everything that is due, those participants last that other jobs are at."""
        due = [run for run in self.inputs.runs if run.stem in self.due]
        if due:
            self._describe_dataset()
        by_participant: defaultdict[str, list[RunInput]] = defaultdict(list)
        for run in due:
            by_participant[run.entities["sub"]].append(run)
        claims = {label: self._claim(label) for label in by_participant}
        ours = [label for label, claim in claims.items() if claim.try_acquire()]
        try:
            self._do([run for label in ours for run in by_participant[label]])
        finally:
            for label in ours:
                claims[label].release()
        for label in sorted(by_participant.keys() - set(ours)):
            claims[label].acquire(self.console.say)
            try:
                runs = by_participant[label]
                still_due = self.find_due(runs)
                self.due |= still_due
                self.tally.before |= {run.stem for run in runs} - still_due.keys() - {self.shelf.name}
                self._do([run for run in runs if run.stem in still_due])
            finally:
                claims[label].release()
        self._report_missing()

    def close(self) -> None:
        """Note what was not started, and what the steps needed."""
        if self.settings.level == "participant":
            done = self.tally.finished | self.tally.before | self.tally.failed.keys()
            self.tally.left = self.due.keys() - done
        if self.settings.resource_monitor:
            self.logbook.write_resources()

    def _claim(self, participant: str) -> Claim:
        return Claim(self.settings.output_dir / "logs" / ".claims" / f"sub-{participant}.lock", f"sub-{participant}")

    def _do(self, runs: list[RunInput]) -> None:
        """Take runs through all steps."""
        if self.is_stopped or not runs:
            return
        records = {run.stem: record for run in runs if self.due[run.stem].parts and (record := self._record_of(run))}
        prepared, preparation = self._prepare(runs, records)
        healthy = [run for run in runs if run.stem in prepared]
        model = self._get_model(prepared) if healthy and not self.is_stopped else None
        if model is None:
            return
        tested = [run for run in healthy if run.stem not in records or "dynamics_null" in self.due[run.stem].parts]
        null_models = self._get_null_models(tested, prepared, model)
        if self.is_stopped or self.settings.level == "train":
            return
        if null_models:
            self.console.say(
                f"Temporal null: every run goes through the network {self.settings.surrogates} times more; how long "
                "that takes is measured and said when it starts."
            )
        whole = [run for run in healthy if run.stem not in records]
        finished, description = self._extract(whole, prepared, model, null_models) if whole else ([], "")
        more = [run for run in healthy if run.stem in records]
        if more and not self.is_stopped:
            added, further = self._add(more, records, prepared, model, null_models)
            finished = [*finished, *added]
            description += "" if further in description else further
        if finished:
            write_participants(self.settings.output_dir, self.inputs)
            write_methods(self.settings.output_dir, [preparation, training_sentence(model.card), description])
            self.report({run.entities["sub"] for run in finished})

    # ---- step by step --------------------------------------------------------------------------------------------

    @cached_property
    def stages(self) -> Stages:
        """The workflows; made when there is something to do, because importing them takes a while."""
        from .stages import Stages

        folder = self.settings.work_dir / f"{self.maps}-{place_of(self.settings.output_dir)}"
        return Stages(self.settings, folder, self.logbook.tell, self.inputs.roots)

    def _describe_dataset(self) -> None:
        write_dataset_files(
            self.settings.output_dir,
            self.inputs,
            configuration=self.digest,
            container=os.environ.get("SCAAE_CONTAINER_TAG"),
            work_dir=self.settings.work_dir,
        )

    def _prepare(self, runs: list[RunInput], records: Mapping[str, RunRecord]) -> tuple[dict[str, PreparedFiles], str]:
        """Prepare runs; of those with a record, whose maps are there, only the same as before will do."""
        grid_mask = None if self.settings.model is None else self.settings.model / "mask.nii.gz"
        prepared, outcome, workflow = self.stages.prepare(runs, grid_mask)
        self.logbook.keep_resources(outcome)
        self.logbook.note([run for run in runs if run.stem not in records], outcome, workflow.name)
        kept = [run for run in runs if run.stem in records]
        self.logbook.note_kept(kept, outcome, workflow.name, records)
        self.is_stopped |= outcome.is_stopped
        if kept:
            from .rescoring import prepared_as_before

            for run in kept:
                if run.stem in prepared and (reason := prepared_as_before(self.stages, run, prepared[run.stem])):
                    self.logbook.fail(run.stem, reason)
                    del prepared[run.stem]
        return prepared, workflow.visit_desc()

    def _get_model(self, prepared: dict[str, PreparedFiles]) -> ShelvedModel | None:
        """Give the model: there already, given by the user, or fitted now to all runs that were prepared."""
        was_there = self.model is not None
        try:
            model = self.shelf.get(
                lambda: self.settings.model or self._train_main(prepared), replacing=self.unwanted, say=self.console.say
            )
        except UsageError:
            raise
        except ScaaeError as error:
            self.logbook.fail("the model", str(error))
            return None
        if not was_there:
            self._introduce(model)
        if self.settings.level == "train":
            self.tally.finished |= {self.shelf.name} - self.tally.before
        return model

    def _train_main(self, prepared: dict[str, PreparedFiles]) -> Path:
        n_folds = self.settings.cross_fit
        if n_folds:  # before anything is trained, so that another number can still be given for this output
            check_participants({participant_of(stem) for stem in prepared}, n_folds)
        then = f" Then {n_folds} more for --cross-fit, each without one part of the participants." if n_folds else ""
        self.console.say(f"Fitting a model to {counted(len(prepared), 'run')}.{then}")
        return self._train(prepared)

    def _train(self, prepared: dict[str, PreparedFiles], name: str = "training_wf") -> Path:
        folder, outcome = self.stages.train(prepared, anew=self.settings.retrain, name=name)
        self.logbook.keep_resources(outcome)
        self.is_stopped |= outcome.is_stopped
        if folder is None:
            failure = outcome.failure_within(name)
            assert failure is not None
            raise ScaaeError(failure.kept_in(self.settings.output_dir / "logs").message)
        return folder

    def _introduce(self, model: ShelvedModel) -> None:
        training = model.card.get("Training", {})
        seen = f", {training['VolumesSeen']} volumes seen" if "VolumesSeen" in training else ""
        self.console.say(f"Model: {model.folder} ({model.card.get('Preset')}, {model.card.get('Precision')}{seen})")
        if model.is_undertrained:
            self.tally.notes.append(
                f"The model is undertrained ({training.get('VolumesSeen')} volumes seen): its networks are not to be "
                "interpreted. Train on more data or give --train-volumes."
            )
        if self.settings.model is None and training.get("Volumes", FEW_VOLUMES) < FEW_VOLUMES:
            self.tally.notes.append(
                f"The model was fitted to {training['Volumes']} different volumes only, which is very little data."
            )

    def _get_null_models(
        self, runs: list[RunInput], prepared: dict[str, PreparedFiles], model: ShelvedModel
    ) -> dict[str, ShelvedModel]:
        """Give every run the model of its temporal null: the main one, or the one that has not seen its participant."""
        settings = self.settings
        if not settings.surrogates or not settings.cross_fit:
            return {run.stem: model for run in runs} if settings.surrogates else {}
        models = self._fold_models(model)
        folds = models.needed(None if settings.level == "train" else {run.entities["sub"] for run in runs})
        due = [fold for fold in folds if fold not in models.there()]
        if due:
            self.console.say(models.cost_sentence(due))
        by_participant = fit_missing(
            models,
            folds,
            make=lambda fold: self._train_fold(fold, prepared),
            fail=self.logbook.fail,
            say=self.console.say,
        )
        if settings.level == "train":
            self.tally.finished |= {there.folder.name for there in models.there().values()} - self.tally.before
        in_folds = {label for fold in models.folds for label in fold.participants}
        by_participant |= {run.entities["sub"]: model for run in runs if run.entities["sub"] not in in_folds}
        return {run.stem: by_participant[sub] for run in runs if (sub := run.entities["sub"]) in by_participant}

    def _train_fold(self, fold: Fold, prepared: dict[str, PreparedFiles]) -> Path:
        """Train the model of a fold; runs that this call has not prepared yet are prepared for it."""
        if self.is_stopped:
            raise ScaaeError("Not started, because something failed before.")
        here = {run.stem: run for run in self.inputs.runs}
        check_training_runs(fold, here)
        missing = [here[stem] for stem in fold.training_runs if stem not in prepared]
        if missing:  # in a place of its own: another job may be at work on these participants
            more, outcome, _ = self.stages.prepare(missing, None, name=f"preparation_{fold.label}_wf")
            self.logbook.keep_resources(outcome)
            prepared = prepared | more
            if outcome.failures:
                reason = next(iter(outcome.failures.values())).message
                raise ScaaeError(f"A run that trained the main model cannot be prepared any more: {reason}")
        return self._train({stem: prepared[stem] for stem in fold.training_runs}, f"training_{fold.label}_wf")

    def _extract(
        self,
        runs: list[RunInput],
        prepared: dict[str, PreparedFiles],
        model: ShelvedModel,
        null_models: dict[str, ShelvedModel],
    ) -> tuple[list[RunInput], str]:
        for run in runs:
            if run.stem not in null_models:
                self.logbook.forget_outputs([str(output_path(run.entities, "dynamics_null"))])
        written, outcome, workflow = self.stages.extract(runs, prepared, model, null_models)
        self.logbook.keep_resources(outcome)
        self.logbook.note(runs, outcome, workflow.name, model=model.checksum)
        self.is_stopped |= outcome.is_stopped
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
        model: ShelvedModel,
        null_models: dict[str, ShelvedModel],
    ) -> tuple[list[RunInput], str]:
        """Compute scores of runs whose maps are there; what is there is replaced when all of a run's are computed."""
        from .rescoring import Addition, add_scores, describe, warnings_there

        output_dir = self.settings.output_dir
        additions = []
        for run in runs:
            record, parts = records[run.stem], self.due[run.stem].parts
            self.logbook.begin_addition(record, parts)
            if run.stem not in null_models and "dynamics_null" in parts:  # its model could not be trained
                self.logbook.forget_outputs([str(output_path(run.entities, "dynamics_null"))])
                parts -= {"dynamics_null"}
            additions.append(Addition(run, parts, merged_scores(record.scores or {}, self.scores)))
        written, outcome, name = add_scores(self.stages, additions, prepared, model, null_models)
        self.logbook.keep_resources(outcome)
        self.logbook.note_kept(runs, outcome, name, records)
        self.is_stopped |= outcome.is_stopped
        finished = [addition for addition in additions if addition.run.stem in written]
        for addition in finished:
            run = addition.run
            warnings = warnings_there(output_dir, run, prepared[run.stem])
            self.logbook.finish_addition(
                run,
                records[run.stem],
                scores=addition.scores,
                outputs=written[run.stem],
                warnings=[*warnings, *mismatches(model.card, prepared[run.stem].metadata)],
            )
        return [addition.run for addition in finished], describe(self.stages, finished, model)

    def report(self, participants: Collection[str]) -> None:
        """Write the reports of participants."""
        outcome = self.stages.report(sorted(participants))
        self.logbook.keep_resources(outcome)
        for participant in sorted(participants):
            name = f"reports_wf.report_sub_{participant}"
            if name in outcome.failures:
                folder = participant_log_dir(self.settings.output_dir, participant)
                self.logbook.fail(f"report of sub-{participant}", outcome.failures[name].kept_in(folder).message)

    def _report_missing(self) -> None:
        """Write reports that an earlier call did not get to."""
        if self.settings.level == "train" or self.is_stopped:
            return
        output_dir, failed = self.settings.output_dir, self.tally.failed
        labels = {run.entities["sub"] for run in self.inputs.runs if run.stem not in failed}
        missing = {
            label
            for label in labels
            if not (output_dir / f"sub-{label}.html").exists()
            and has_results(output_dir, label)
            and f"report of sub-{label}" not in failed
        }
        if missing:
            self.report(missing)

"""The models of a job: the main one and those of the folds, found in the output dataset or fitted now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ...derivatives.names import participant_of
from ...errors import ScaaeError, UsageError
from ...files import read_json, write_json
from ...words import counted
from ..engine.late_files import appears
from ..engine.machine import was_sent_by_scheduler
from ..inputs.datasets import has_bold, participants_of
from ..inputs.plan import Inputs, RunInput
from ..output.logbook import Logbook
from ..settings.settings import Settings
from .crossfit import Fold, FoldModels, check_participants, check_training_runs, checksums_of_folds, fit_missing
from .draw import Draw, draw_runs
from .model_store import ModelStore, StoredModel

if TYPE_CHECKING:
    from .stages import PreparedFiles, Stages

__all__ = ["FEW_VOLUMES", "JobModels"]

FEW_VOLUMES = 500
"""Distinct training volumes below which a warning says that the training set is very small."""


class JobModels:
    """The models of one job; `store` is the place of the main one, `stages` gives the workflows."""

    def __init__(
        self, settings: Settings, inputs: Inputs, store: ModelStore, logbook: Logbook, stages: Callable[[], Stages]
    ):
        self.settings, self.inputs, self.store, self.logbook, self.stages = settings, inputs, store, logbook, stages
        there = store.find()
        self.unwanted = there.checksum if there is not None and settings.retrain else None
        self.unwanted_folds = checksums_of_folds(store) if settings.retrain else {}

    @property
    def main(self) -> StoredModel | None:
        """The main model as it is now; one that is to be replaced does not count."""
        there = self.store.find()
        return None if there is None or there.checksum == self.unwanted else there

    @cached_property
    def drawn(self) -> Draw:
        """The runs of this call that a model is, or would be, fitted to."""
        return draw_runs(self.inputs, self.settings)

    @property
    def training_stems(self) -> set[str]:
        """Stems of the runs that trained the main model, or will."""
        main = self.main
        return {*main.training_runs} if main is not None else {run.stem for run in self.drawn.runs}

    @property
    def is_to_be_fitted(self) -> bool:
        """Whether no model is given and none is there."""
        return self.settings.model is None and self.main is None

    @property
    def plan(self) -> str:
        """What a model will be fitted to, where that is not everything; empty where it is, or where there is one."""
        return f"A model will be fitted to {self.drawn}." if self.is_to_be_fitted and not self.drawn.is_all else ""

    @property
    def names(self) -> set[str]:
        """Names of the models of this configuration that are there: the main one, and those of the folds."""
        model = self.main
        if model is None:
            return set()
        folds = self._of_folds(model).there().values() if self.settings.nulls.n_folds else ()
        return {self.store.name, *(there.folder.name for there in folds)}

    @property
    def are_complete(self) -> bool:
        """Whether all models that the settings ask for are there."""
        return len(self.names) == 1 + self.settings.nulls.n_folds

    def _of_folds(self, main: StoredModel) -> FoldModels:
        return FoldModels(main, self.store, self.settings.nulls.n_folds, self.unwanted_folds)

    def check_cross_fit(self) -> None:
        """Refuse more folds than participants before anything runs; once there is a model, its card decides.

        Raises
        ------
        UsageError
        """
        if self.settings.nulls.n_folds and self.main is None:
            check_participants({run.entities["sub"] for run in self.inputs.runs}, self.settings.nulls.n_folds)

    def check_selection(self) -> None:
        """Refuse to fit the model of an output dataset to some of its participants, unless that was asked for.

        Jobs on one participant each would all take the model of the one that comes first.

        Raises
        ------
        UsageError
        """
        settings = self.settings
        is_given = settings.model is not None or settings.fit_selection or settings.level == "train"
        if is_given or self.main is not None:
            return
        named, roots = {run.entities["sub"] for run in self.inputs.runs}, {run.root for run in self.inputs.runs}
        asked = {*self.settings.query().named_participants}
        if was_sent_by_scheduler() and appears(lambda: self.main is not None, say=self.logbook.console.say):
            return
        others = [label for label in participants_of(*roots) if label not in named | asked] if asked else []
        if any(has_bold(root, label) for label in others for root in roots):
            raise UsageError(
                f"{settings.output_dir}: holds no model yet, and one fitted to {counted(len(named), 'participant')} of "
                f"{len(named) + len(others)} would be everybody's: run `scaae-bids BIDS_DIR OUTPUT_DIR train` with "
                "the same options and all participants first, give a finished model with --model, or say "
                "--fit-selection if these participants are all that is meant."
            )

    # ---- the main model ------------------------------------------------------------------------------------------

    def get_main(self, prepared: Mapping[str, PreparedFiles]) -> StoredModel | None:
        """Give the model: there already, given by the user, or fitted now to all runs that were prepared."""
        was_there, summary = self.main is not None, self.logbook.summary
        try:
            model = self.store.get(
                lambda: self.settings.model or self._train_main(prepared),
                replacing=self.unwanted,
                say=self.logbook.console.say,
            )
        except UsageError:
            raise
        except ScaaeError as error:
            self.logbook.fail("the model", str(error))
            return None
        if not was_there:
            self._introduce(model)
            self.stages().clear("training_wf")
        if self.settings.level == "train":
            summary.finished |= {self.store.name} - summary.before
        return model

    def _train_main(self, prepared: Mapping[str, PreparedFiles]) -> Path:
        n_folds = self.settings.nulls.n_folds
        if n_folds:  # before anything is trained, so that another number can still be given for this output
            check_participants({participant_of(stem) for stem in prepared}, n_folds)
        then = f" Then {n_folds} more for --cross-fit, each without one part of the participants." if n_folds else ""
        drawn = self.drawn
        what = counted(len(prepared), "run") if drawn.is_all or len(prepared) < len(drawn.runs) else str(drawn)
        self.logbook.console.say(f"Fitting a model to {what}.{then}")
        folder = self._train(prepared)
        if not drawn.is_all:
            card = read_json(folder / "card.json")
            card["Training"] = {**card.get("Training", {}), "DrawnFrom": drawn.account}
            write_json(card, folder / "card.json")
        return folder

    def _train(self, prepared: Mapping[str, PreparedFiles], name: str = "training_wf") -> Path:
        folder, outcome = self.stages().train(prepared, anew=self.settings.retrain, name=name)
        self.logbook.keep(outcome)
        if folder is None:
            failure = outcome.failure_within(name)
            assert failure is not None
            raise ScaaeError(failure.kept_in(self.settings.output_dir / "logs").message)
        return folder

    def _introduce(self, model: StoredModel) -> None:
        """Say what model it is, and what its reader has to know."""
        training, notes = model.card.get("Training", {}), self.logbook.summary.notes
        seen = f", {training['VolumesSeen']} volumes seen" if "VolumesSeen" in training else ""
        kind = f"{model.card.get('Preset')}, {model.card.get('Precision')}"
        self.logbook.console.say(f"Model: {model.folder} ({kind}{seen})")
        if model.is_undertrained:
            notes.append(
                f"The model is undertrained ({training.get('VolumesSeen')} volumes seen): its networks are not to be "
                "interpreted. Train on more data or give --train-volumes."
            )
        if self.settings.model is None and training.get("Volumes", FEW_VOLUMES) < FEW_VOLUMES:
            notes.append(
                f"The model was fitted to {training['Volumes']} different volumes only, which is very little data."
            )

    # ---- the models of temporal nulls ----------------------------------------------------------------------------

    def get_for_nulls(
        self, runs: list[RunInput], prepared: Mapping[str, PreparedFiles], main: StoredModel
    ) -> dict[str, StoredModel]:
        """Give every run the model of its temporal null: the main one, or the one that has not seen its participant."""
        settings, say = self.settings, self.logbook.console.say
        if not settings.nulls.n_surrogates or not settings.nulls.n_folds:
            return {run.stem: main for run in runs} if settings.nulls.n_surrogates else {}
        models = self._of_folds(main)
        folds = models.needed(None if settings.level == "train" else {run.entities["sub"] for run in runs})
        due = [fold for fold in folds if fold not in models.there()]
        if due:
            say(models.cost_sentence(due))
        by_participant = fit_missing(
            models, folds, make=lambda fold: self._train_fold(fold, prepared), fail=self.logbook.fail, say=say
        )
        for fold in due:
            self.stages().clear(f"training_{fold.label}_wf", f"preparation_{fold.label}_wf")
        if settings.level == "train":
            summary = self.logbook.summary
            summary.finished |= {there.folder.name for there in models.there().values()} - summary.before
        in_folds = {label for fold in models.folds for label in fold.participants}
        by_participant |= {run.entities["sub"]: main for run in runs if run.entities["sub"] not in in_folds}
        return {run.stem: by_participant[sub] for run in runs if (sub := run.entities["sub"]) in by_participant}

    def _train_fold(self, fold: Fold, prepared: Mapping[str, PreparedFiles]) -> Path:
        """Train the model of a fold; runs that this call has not prepared yet are prepared for it."""
        if self.logbook.is_stopped:
            raise ScaaeError("Not started, because something failed before.")
        here = {run.stem: run for run in self.inputs.runs}
        check_training_runs(fold, here)
        missing = [here[stem] for stem in fold.training_runs if stem not in prepared]
        more: Mapping[str, PreparedFiles] = {}
        if missing:  # in a place of its own: another job may be at work on these participants
            more, outcome, _ = self.stages().prepare(missing, None, name=f"preparation_{fold.label}_wf")
            self.logbook.keep_resources(outcome)
            if outcome.failures:
                reason = next(iter(outcome.failures.values())).message
                raise ScaaeError(f"A run that trained the main model cannot be prepared any more: {reason}")
        files = {**prepared, **more}
        return self._train({stem: files[stem] for stem in fold.training_runs}, f"training_{fold.label}_wf")

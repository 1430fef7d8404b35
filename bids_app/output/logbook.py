"""What a job notes while it goes on: said to the user, counted for the verdict, recorded beside the outputs."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import pandas as pd

from ...derivatives.names import node_name
from ...files import write_table
from ..engine.nodes import Outcome
from ..inputs.plan import Inputs, RunInput
from ..settings.console import Console
from .dataset_files import all_outputs
from .known_files import KnownFiles, named_by_place
from .records import RunRecord, participant_log_dir
from .verdict import Summary

__all__ = ["Logbook"]

_SAID = {
    "prepare": "prepared",
    "train": "fitted",
    "make_surrogates": "surrogates made",
    "extract": "networks extracted",
    "check_dynamics": "temporal null done",
    "save": "results written",
    "report": "report written",
}
"""What is said when a step has ended; of other steps only with ``-v``."""


class Logbook:
    """What became of the runs of one call, and what their steps needed.

    `maps` is the hash of the settings that change the maps, `scores` are those that change what is computed from them.
    """

    def __init__(
        self,
        output_dir: Path,
        inputs: Inputs,
        maps: str,
        scores: Mapping[str, Any],
        console: Console,
        known: KnownFiles | None = None,
    ):
        self.output_dir, self.console = output_dir, console
        self.known, self.roots = known or KnownFiles(), tuple(inputs.roots.values())
        self.maps, self.scores = maps, scores
        self._stems = {node_name(run.stem): run.stem for run in inputs.runs}
        people = (run.entities["sub"] for run in inputs.runs)
        self._stems |= {node_name(f"report_sub-{label}"): f"sub-{label}" for label in people}
        self.summary = Summary(
            missed={skip.path.name.partition("_desc-")[0]: skip.reason for skip in inputs.skipped if skip.is_fault},
            participants={run.stem: run.entities["sub"] for run in inputs.runs},
        )
        self._kept: set[str] = set()  # nodes whose steps are among them
        self.is_stopped = False

    # ---- steps ---------------------------------------------------------------------------------------------------

    def tell(self, node: str, status: str) -> None:
        """Say that a step starts or has ended, as far as the user wants to know."""
        step, subject = _step_of(node), self._subject_of(node)
        if status == "end":
            self.console.say(f"{subject}: {_SAID.get(step, f'{step} done')}", level=0 if step in _SAID else 1)
        elif status == "start":
            self.console.say(f"{subject}: {step} starts", level=1)
        self.summary.stages[subject] = {"start": step, "end": f"{step} done"}.get(status, f"{step} failed")
        self.summary.tell()

    def keep(self, outcome: Outcome) -> None:
        """Keep what the steps of a workflow needed, and whether nothing is to be started after it."""
        self.keep_resources(outcome)
        self.is_stopped |= outcome.is_stopped

    def keep_resources(self, outcome: Outcome) -> None:
        """Keep what the steps of a workflow needed."""
        for node in [node for node in outcome.steps if node not in self._kept]:
            self._kept.add(node)
            told = {"run": self._subject_of(node), "step": _step_of(node), **outcome.steps[node]}
            failure = outcome.failures.get(node)
            self.summary.steps.append(told if failure is None else {**told, "message": failure.message})

    def write_resources(self) -> None:
        """Write what the steps of this call needed, if any ran."""
        if self.summary.steps:
            table = pd.DataFrame(self.summary.steps).drop(columns="message", errors="ignore")
            write_table(table, self.output_dir / "logs" / "resources.tsv")

    # ---- runs ----------------------------------------------------------------------------------------------------

    def note_failures(
        self,
        runs: Iterable[RunInput],
        outcome: Outcome,
        workflow: str,
        records: Mapping[str, RunRecord] = MappingProxyType({}),
        *,
        model: str = "",
    ) -> None:
        """Note which runs failed in a workflow, and remove what an earlier call wrote for them.

        Parameters
        ----------
        runs : iterable of RunInput
            Those that went in.
        outcome : Outcome
        workflow : str
            Its name.
        records : mapping
            Stem to the record of a run whose maps and scores are there, and stay unless it was the writing that failed.
        model : str
            Checksum of the model that it applied, if it did.
        """
        for run in runs:
            name = f"{workflow}.{node_name(run.stem)}"
            failure = outcome.failure_within(name)
            if failure is None:
                continue
            message = failure.kept_in(participant_log_dir(self.output_dir, run.entities["sub"])).message
            if run.stem not in records:
                self.remove_outputs(all_outputs(run))
                self._remove_report(run)
                self._record(run, "failed", message=message, model=model)
                self.fail(run.stem, message)
                continue
            if f"{name}.derivatives_wf.save" not in outcome.failures:
                records[run.stem].write(self.output_dir)
            self.fail(run.stem, f"{message} What was there before is unchanged.")

    def finish(self, run: RunInput, *, model: str, outputs: Sequence[str], warnings: Sequence[str]) -> None:
        """Record a run that is done, and say what its reader has to know."""
        for warning in warnings:
            self.console.say(f"{run.stem}: note: {warning}")
        self._remove_report(run)
        self._record(run, "finished", model=model, outputs=outputs, warnings=warnings)
        self.summary.finished.add(run.stem)

    # ---- scores that are added to a run --------------------------------------------------------------------------

    def begin_addition(self, record: RunRecord, parts: Collection[str]) -> None:
        """Record that parts of a run's scores may from now on be of the settings before or of those now."""
        replace(record, pending=sorted({*record.pending, *parts})).write(self.output_dir)

    def finish_addition(
        self,
        run: RunInput,
        record: RunRecord,
        *,
        scores: Mapping[str, Any],
        outputs: Sequence[str],
        warnings: Sequence[str],
    ) -> None:
        """Record that the scores of a run are those of other settings now, and say what is new to its reader."""
        for warning in warnings:
            if warning not in record.warnings:
                self.console.say(f"{run.stem}: note: {warning}")
        self._remove_report(run)
        kept = {name: about for name, about in record.outputs.items() if (self.output_dir / name).is_file()}
        replace(
            record,
            scores=scores,
            pending=(),
            inputs=self._inputs_of(run),
            outputs={**kept, **self.known.note_outputs(self.output_dir, outputs)},
            warnings=warnings,
            steps=[*record.steps, *self._steps_of(run)],
            finished_at=_now(),
        ).write(self.output_dir)
        self.summary.finished.add(run.stem)

    def _remove_report(self, run: RunInput) -> None:
        """Remove a report that does not tell what the record is going to: should the call end, it is made anew."""
        (self.output_dir / f"sub-{run.entities['sub']}.html").unlink(missing_ok=True)

    def fail(self, name: str, message: str) -> None:
        """Note that a run, or something else, failed, and say so."""
        self.summary.failed[name] = message
        self.console.say(f"{name}: FAILED: {message}")

    def remove_outputs(self, names: Iterable[str]) -> None:
        """Remove what an earlier call wrote for a run whose input, model or settings have changed since."""
        for name in names:
            for file in (name, name.removesuffix(".gz").rpartition(".")[0] + ".json"):
                (self.output_dir / file).unlink(missing_ok=True)

    def _record(
        self,
        run: RunInput,
        status: Literal["finished", "failed"],
        *,
        model: str,
        message: str = "",
        outputs: Sequence[str] = (),
        warnings: Sequence[str] = (),
    ) -> None:
        RunRecord(
            run=run.stem,
            participant=run.entities["sub"],
            status=status,
            message=message,
            configuration=self.maps,
            scores=self.scores,
            model=model,
            inputs=self._inputs_of(run),
            finished_at=_now(),
            steps=self._steps_of(run),
            outputs=self.known.note_outputs(self.output_dir, outputs),
            warnings=warnings,
        ).write(self.output_dir)

    def _inputs_of(self, run: RunInput) -> dict[str, dict[str, Any]]:
        return self.known.note_inputs(named_by_place(run.files, self.roots))

    def _steps_of(self, run: RunInput) -> list[dict[str, Any]]:
        return [step for step in self.summary.steps if step["run"] == run.stem]

    def _subject_of(self, node: str) -> str:
        """Give the stem of the run that a node belongs to, or what else it is about."""
        workflow, part = node.split(".")[:2]
        shared = {"train": " ".join(["model", *re.findall(r"fold\d+of\d+", workflow)]), "make_surrogates": "templates"}
        return self._stems.get(part) or shared.get(part) or part.replace("report_sub_", "sub-")


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")


def _step_of(node: str) -> str:
    """Name the step that a node does.

    >>> _step_of("reports_wf.report_sub_01")
    'report'
    """
    return node.rpartition(".")[2].partition("_sub_")[0]

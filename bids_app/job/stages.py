"""The steps of a job as Nipype workflows over many runs: prepare, train, extract, report."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from niworkflows.engine.workflows import LiterateWorkflow

from ...derivatives.names import node_name
from ...errors import ScaaeError
from ...files import read_json
from ...options import Nulls
from ...workflows import (
    Resources,
    init_derivatives_wf,
    init_networks_wf,
    init_prepare_run_wf,
    init_reports_wf,
    init_surrogate_templates_wf,
    init_training_wf,
)
from ...workflows.evaluation import EVALUATION_STEPS
from ...workflows.networks import NETWORKS
from ...workflows.nulls import NULL_STEPS
from ..engine.locks import Lock
from ..engine.nodes import Outcome, run_workflow
from ..engine.workers import log_to_file
from ..inputs.plan import RunInput
from ..inputs.run_timing import read_timing
from ..output.dataset_files import sources_of
from ..settings.configuration import configuration
from ..settings.settings import Settings
from .memory import baselines_gb, memory_gb, training_gb
from .model_store import StoredModel

__all__ = ["PreparedFiles", "Stages", "SurrogateFiles", "Written"]


@dataclass(frozen=True)
class PreparedFiles:
    """A prepared run."""

    out_file: str
    out_mask: str
    out_samples: str
    out_metadata: str

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """What was done to it."""
        return read_json(self.out_metadata)


@dataclass(frozen=True)
class Written:
    """A run whose results are in the output dataset."""

    files: tuple[str, ...]  # below the output dataset
    model: str  # checksum of the weights that were applied
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class SurrogateFiles:
    """Surrogate templates of a job, None where they are not asked for."""

    tested: str | None  # what matches are tested against
    chance: str | None  # what says what scores are by chance


@dataclass(frozen=True)
class Stages:
    """The steps of one job."""

    settings: Settings
    folder: Path  # working folder of this output dataset and configuration
    tell: Callable[[str, str], None]  # gets the name of every step and what happened to it (start, end, exception)
    roots: Mapping[str, Path]  # name to folder of the input datasets

    def prepare(
        self, runs: Iterable[RunInput], grid_mask: Path | None, *, name: str = "preparation_wf"
    ) -> tuple[dict[str, PreparedFiles], Outcome, LiterateWorkflow]:
        """Prepare runs; give the files of those that went well, by stem."""
        settings, runs = self.settings, list(runs)
        workflow = self.workflow(name)
        for run in runs:
            prepare = init_prepare_run_wf(
                settings.preparation.of_denoised() if run.denoised else settings.preparation,
                denoised=run.denoised,
                grid_mask=None if grid_mask is None else str(grid_mask),
                mem_gb=memory_gb("prepare", run.bold),
                name=node_name(run.stem),
            )
            timing = read_timing(run.sidecars, given=settings.repetition_time)
            given = {
                "in_file": run.bold,
                "in_mask": run.mask,
                "confounds_file": run.confounds,
                "confounds_metadata": run.confounds_metadata,
                "repetition_time": timing.repetition_time,
                "repetition_time_source": timing.source or None,
                "known": list(timing.notes) or None,
            }
            for field, value in given.items():
                if value is not None:
                    setattr(prepare.inputs.inputnode, field, str(value) if isinstance(value, Path) else value)
            workflow.add_nodes([prepare])
        outcome = self.run(workflow)
        prepared = {}
        for run in runs:
            node = f"{name}.{node_name(run.stem)}.prepare"
            if node in outcome.finished:
                files = outcome.outputs(node)
                prepared[run.stem] = PreparedFiles(
                    files.out_file, files.out_mask, files.out_samples, files.out_metadata
                )
        return prepared, outcome, workflow

    def train(
        self, prepared: Mapping[str, PreparedFiles], *, anew: bool, name: str = "training_wf"
    ) -> tuple[Path | None, Outcome]:
        """Train a model on prepared runs; give its folder, or None where that failed."""
        settings = self.settings
        checkpoints = self.folder / f"training-{_fingerprint(prepared)}"
        if anew:
            shutil.rmtree(checkpoints, ignore_errors=True)
            shutil.rmtree(self.folder / name, ignore_errors=True)
        files = list(prepared.values())
        wanted = settings.training
        training = init_training_wf(
            wanted,
            run_names=list(prepared),
            checkpoint_dir=str(checkpoints),
            n_procs=max(settings.omp_nthreads, wanted.processes),
            mem_gb=wanted.processes * training_gb(wanted.preset, [run.out_file for run in files]),
            name=name,
        )
        training.inputs.inputnode.in_files = [run.out_file for run in files]
        training.inputs.inputnode.in_samples = [run.out_samples for run in files]
        training.inputs.inputnode.in_metadata = [run.out_metadata for run in files]
        training.base_dir = str(self.folder)
        outcome = self.run(training)
        if f"{name}.train" not in outcome.finished:
            return None, outcome
        model = Path(outcome.outputs(f"{name}.train").model_dir)
        with suppress(OSError):
            shutil.copyfile(checkpoints / "csv" / "metrics.csv", model / "training_log.csv")
        shutil.rmtree(checkpoints, ignore_errors=True)
        return model, outcome

    def extract(
        self,
        runs: Iterable[RunInput],
        prepared: Mapping[str, PreparedFiles],
        model: StoredModel,
        null_models: Mapping[str, StoredModel],
        *,
        keep: Callable[[RunInput, Written, Outcome], None],
    ) -> tuple[Outcome, LiterateWorkflow]:
        """Extract, score and write networks; `keep` gets every run that went well, and its steps, when it is done.

        Temporal nulls are of `null_models` (stem to model); a run that has none goes without.
        """
        runs = list(runs)
        surrogates = self.surrogates(model)
        workflow = self.workflow(f"networks_{model.checksum[:8]}_wf")
        for run in runs:
            null_model = null_models.get(run.stem)
            workflow.add_nodes([self._networks_of(run, prepared[run.stem], model, surrogates, null_model)])
        waiting = {f"{workflow.name}.{node_name(run.stem)}.derivatives_wf.save": run for run in runs}

        def ended(node: str, so_far: Outcome) -> None:
            if node in waiting:
                run, name = waiting[node], node.removesuffix(".derivatives_wf.save")
                keep(run, self._written(name, prepared[run.stem], so_far), so_far.within(name))
                del waiting[node]

        def try_ended(node: str, so_far: Outcome) -> None:
            with suppress(Exception):  # Nipype would take it for the node's; it comes again below
                ended(node, so_far)

        outcome = self.run(workflow, try_ended)
        for node in [node for node in waiting if node in outcome.finished]:
            ended(node, outcome)
        return outcome, workflow

    def _written(self, name: str, prepared: PreparedFiles, outcome: Outcome) -> Written:
        """Collect what a run's nodes (below `name`) have written and said."""
        files = outcome.outputs(f"{name}.derivatives_wf.save").out_files
        account = read_json(outcome.outputs(f"{name}.networks_wf.extract").out_metadata)
        steps = [f"{name}.networks_wf.evaluation_wf.{step}" for step in EVALUATION_STEPS]
        steps += [f"{name}.networks_wf.nulls_wf.{step}" for step in NULL_STEPS]
        accounts = [read_json(outcome.outputs(step).out_metadata) for step in steps if step in outcome.finished]
        said = [*prepared.metadata["Warnings"], *(text for a in accounts for text in a["Warnings"])]
        return Written(
            files=tuple(str(Path(file).relative_to(self.settings.output_dir)) for file in files),
            model=account["ModelChecksum"],
            warnings=tuple(dict.fromkeys(said)),
        )

    def clear(self, *names: str) -> None:
        """Remove what workflows and runs of these names left in the work folder, unless it is to be kept."""
        if self.settings.keep_work:
            return
        for name in names:
            for folder in (self.folder / name, *self.folder.glob(f"*_wf/{name}")):
                if not folder.parent.name.startswith("preparation_fold"):  # another job may train on these
                    shutil.rmtree(folder, ignore_errors=True)

    def surrogates(self, model: StoredModel, *, of_matches: bool = True, of_scores: bool = True) -> SurrogateFiles:
        """Make what matches are tested against, and what scores are held against, as far as it is asked for."""
        n_tested = self.settings.nulls.n_surrogate_templates if of_matches else 0
        n_chance = self.settings.evaluation.n_chance_templates if of_scores else 0
        tested = self.surrogate_templates(model, n_tested) if n_tested else None
        if not n_chance or n_chance <= n_tested:  # the first sets of a file are those of a smaller one
            return SurrogateFiles(tested, tested if n_chance else None)
        return SurrogateFiles(tested, self.surrogate_templates(model, n_chance))

    def surrogate_templates(self, model: StoredModel, number: int) -> str:
        """Make sets of surrogate templates, once for all runs; they stay in the work folder, for other outputs too."""
        settings, told = self.settings, configuration(self.settings)  # which knows files by their content
        kind = settings.evaluation.template_kind
        asked: tuple[Any, ...] = (
            told["Templates"],
            told["TemplateLabels"],
            number,
            settings.evaluation.seed,
            model.mask.read_bytes(),
        )
        asked += () if kind == "auto" else (kind,)
        folder = settings.work_dir / f"surrogates-{hashlib.sha256(repr(asked).encode()).hexdigest()[:8]}"
        workflow = init_surrogate_templates_wf(
            settings.evaluation,
            n_surrogate_templates=number,
            mem_gb=memory_gb("surrogates"),
        )
        workflow.inputs.inputnode.grid_mask = str(model.mask)
        workflow.base_dir = str(folder)
        with Lock(folder / ".lock", "the surrogate templates"):
            outcome = self.run(workflow)
        failure = outcome.failure_within(workflow.name)
        if failure is not None:
            raise ScaaeError(failure.kept_in(settings.output_dir / "logs").message)
        return outcome.outputs(f"{workflow.name}.make_surrogates").surrogate_templates

    def _networks_of(
        self,
        run: RunInput,
        prepared: PreparedFiles,
        model: StoredModel,
        surrogates: SurrogateFiles,
        null_model: StoredModel | None,
    ) -> LiterateWorkflow:
        one = LiterateWorkflow(name=node_name(run.stem))
        networks = init_networks_wf(
            self.settings.evaluation.of_model(model.lacking),
            self.nulls_of(null_model),
            with_events=run.events is not None,
            with_planted=run.planted is not None,
            save_signed=self.settings.save_signed,
            resources=self.resources_of(run, self.settings.evaluation.baselines),
        )
        self.give(networks, run, prepared, model, surrogates, null_model)
        derivatives = self.derivatives_of(run, model, null_model)
        derivatives.inputs.inputnode.trait_set(
            region=prepared.out_mask, samples=prepared.out_samples, preparation_metadata=prepared.out_metadata
        )
        one.connect([(networks, derivatives, [(f"outputnode.{field}", f"inputnode.{field}") for field in NETWORKS])])
        return one

    def nulls_of(self, null_model: StoredModel | None) -> Nulls:
        """Give the null models of a run; without a model for it, there is no temporal one."""
        nulls = self.settings.nulls
        return nulls if null_model is not None else replace(nulls, n_surrogates=0)

    def resources_of(self, run: RunInput, baselines: Sequence[str]) -> Resources:
        """Say what the nodes that extract or score the networks of a run may take."""
        return Resources(
            device=self.settings.training.device,
            n_procs=self.settings.omp_nthreads,
            extraction_mem_gb=memory_gb("extract", run.bold),
            evaluation_mem_gb=memory_gb("evaluate", run.bold),
            baselines_mem_gb=baselines_gb(baselines, run.bold),
            spatial_null_mem_gb=memory_gb("spatial_null", run.bold),
            temporal_null_mem_gb=memory_gb("temporal_null", run.bold),
        )

    def give(
        self,
        networks: LiterateWorkflow,
        run: RunInput,
        prepared: PreparedFiles,
        model: StoredModel,
        surrogates: SurrogateFiles,
        null_model: StoredModel | None,
    ) -> None:
        """Give such a workflow what all of them need."""
        networks.inputs.inputnode.trait_set(
            in_file=prepared.out_file,
            in_mask=prepared.out_mask,
            in_samples=prepared.out_samples,
            model_dir=str(model.folder),
            grid_mask=str(model.mask),
            run_name=run.stem,
        )
        if null_model is not None:
            networks.inputs.inputnode.null_model_dir = str(null_model.folder)
        if surrogates.tested is not None:
            networks.inputs.inputnode.surrogate_templates = surrogates.tested
        if surrogates.chance is not None:
            networks.inputs.inputnode.chance_templates = surrogates.chance
        if run.planted is not None:
            planted_networks, planted_courses = map(str, run.planted)
            networks.inputs.inputnode.trait_set(planted_networks=planted_networks, planted_courses=planted_courses)
        if run.events is not None:
            networks.inputs.inputnode.trait_set(
                events=str(run.events),
                repetition_time=prepared.metadata["RepetitionTime"],
                start_time=read_timing(run.sidecars, given=self.settings.repetition_time).start_time,
            )

    def derivatives_of(self, run: RunInput, model: StoredModel, null_model: StoredModel | None) -> LiterateWorkflow:
        """Build what writes results of a run."""
        return init_derivatives_wf(
            output_dir=str(self.settings.output_dir),
            entities=run.entities,
            sources=sources_of(run, model.folder.name, self.roots),
            own_sources={}
            if null_model is None
            else {"dynamics_null": sources_of(run, null_model.folder.name, self.roots)},
            spatial_reference=f"bids::models/{model.folder.name}/mask.nii.gz",
            model_metadata={
                "ModelName": model.folder.name,
                "Seed": model.card.get("Seed"),
                "Undertrained": model.is_undertrained,
            },
        )

    def report(self, participants: Iterable[str]) -> Outcome:
        """Write the reports of participants."""
        workflow = init_reports_wf(
            output_dir=str(self.settings.output_dir), participants=list(participants), mem_gb=memory_gb("report")
        )
        workflow.base_dir = str(self.folder)
        return self.run(workflow)

    def workflow(self, name: str) -> LiterateWorkflow:
        """Make an empty workflow in the working folder."""
        return LiterateWorkflow(name=name, base_dir=str(self.folder))

    def run(
        self, workflow: LiterateWorkflow, ended: Callable[[str, Outcome], None] = lambda node, so_far: None
    ) -> Outcome:
        """Run a workflow as the settings say; `ended` gets the name of every node that went well, and all so far."""
        settings, log_file = self.settings, self.folder / "nipype.log"
        self.folder.mkdir(parents=True, exist_ok=True)
        echo = settings.verbosity > 1
        log_to_file(log_file, echo=echo)
        if settings.write_graph:
            _draw(workflow, settings.output_dir / "logs")
        return run_workflow(
            workflow,
            nprocs=settings.nprocs,
            memory_gb=settings.memory_gb,
            log_file=log_file,
            plugin_file=settings.plugin_file,
            stop_on_first_crash=settings.stop_on_first_crash,
            echo=echo,
            tell=self.tell,
            ended=ended,
        )


def _fingerprint(prepared: Mapping[str, PreparedFiles]) -> str:
    """Tell training sets apart: an interrupted training goes on with the same data only."""
    files = {stem: ((about := Path(run.out_file).stat()).st_size, about.st_mtime_ns) for stem, run in prepared.items()}
    return hashlib.sha256(repr(files).encode()).hexdigest()[:8]


def _draw(workflow: LiterateWorkflow, folder: Path) -> None:
    """Write the graph of a workflow as ``.dot``, and as ``.svg`` where Graphviz is installed."""
    kind = "svg" if shutil.which("dot") else "dot"
    graph = folder / f"{workflow.name}.{kind}"
    folder.mkdir(parents=True, exist_ok=True)
    workflow.write_graph(graph2use="colored", dotfilename=str(graph.with_suffix(".dot")), format=kind)

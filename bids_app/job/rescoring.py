"""Scores that are added to runs whose maps are there: which files of the output dataset go into which steps."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from niworkflows.engine.workflows import LiterateWorkflow

from ...derivatives.names import node_name, output_path, outputs
from ...errors import InputError
from ...files import read_json
from ...options import Evaluation
from ...workflows import init_additions_wf, init_networks_wf
from ...workflows.additions import ADDED
from ..engine.nodes import Outcome
from ..inputs.plan import RunInput
from ..settings.option_table import PARTS
from .existing_maps import check_same_run, fbn_paths, find_signed_maps, restore_metadata
from .model_store import StoredModel
from .stages import PreparedFiles, Stages, SurrogateFiles

__all__ = ["Addition", "add_scores", "describe", "prepared_as_before", "warnings_there"]

_NEEDS_SIGNED = {"states", "signed_maps"}


@dataclass(frozen=True)
class Addition:
    """What is to be computed for a run whose maps are there."""

    run: RunInput
    parts: frozenset[str]  # of PARTS, or "signed_maps"
    scores: Mapping[str, Any]  # the settings (scores_of) that the run's scores are of afterwards


def prepared_as_before(stages: Stages, run: RunInput, prepared: PreparedFiles) -> str:
    """Say why a run, as it was prepared now, is not that of the maps that are there; empty where it is."""
    try:
        output_dir = stages.settings.output_dir
        check_same_run(output_dir, run.entities, region=prepared.out_mask, samples=prepared.out_samples)
        restore_metadata(output_dir, run.entities, _folder(stages))
    except (InputError, OSError) as error:
        return str(error)
    return ""


def add_scores(
    stages: Stages,
    additions: Collection[Addition],
    prepared: Mapping[str, PreparedFiles],
    model: StoredModel,
    null_models: Mapping[str, StoredModel],
) -> tuple[dict[str, tuple[str, ...]], Outcome, str]:
    """Compute and write scores; give the files of those runs that went well, by stem, and the workflow's name.

    Temporal nulls are of `null_models` (stem to model). A run of which no part is left to compute has gone well.
    """
    written: dict[str, tuple[str, ...]] = {addition.run.stem: () for addition in additions if not addition.parts}
    additions = [addition for addition in additions if addition.parts]
    due = {part for addition in additions for part in addition.parts}
    of_scores = bool(due & {"evaluation", "baselines"})
    surrogates = stages.surrogates(model, of_matches="matches" in due, of_scores=of_scores)
    workflow = stages.workflow(f"additions_{model.checksum[:8]}_wf")
    for addition in additions:
        null_model = null_models.get(addition.run.stem) if "dynamics_null" in addition.parts else None
        one = _scores_of(stages, addition, prepared[addition.run.stem], model, surrogates, null_model)
        workflow.add_nodes([one])
    outcome = stages.run(workflow) if additions else Outcome()
    for addition in additions:
        save = f"{workflow.name}.{node_name(addition.run.stem)}.derivatives_wf.save"
        if save in outcome.finished:
            root = stages.settings.output_dir
            files = outcome.outputs(save).out_files
            written[addition.run.stem] = tuple(str(Path(file).relative_to(root)) for file in files)
    return written, outcome, workflow.name


def _scores_of(
    stages: Stages,
    addition: Addition,
    prepared: PreparedFiles,
    model: StoredModel,
    surrogates: SurrogateFiles,
    null_model: StoredModel | None,
) -> LiterateWorkflow:
    settings, run, parts = stages.settings, addition.run, addition.parts
    signed = find_signed_maps(settings, run.entities, run.stem, model) if parts & _NEEDS_SIGNED else None
    one = LiterateWorkflow(name=node_name(run.stem))
    scored = init_additions_wf(
        _evaluation_of(stages, addition, model),
        stages.nulls_of(null_model),
        parts=parts,
        with_extraction=signed is None and bool(parts & _NEEDS_SIGNED),
        with_events=run.events is not None,
        with_planted=run.planted is not None,
        save_signed="signed_maps" in parts,
        resources=stages.resources_of(run, addition.scores["Baselines"]),
    )
    if "matches" not in parts:
        surrogates = replace(surrogates, tested=None)
    stages.give(scored, run, prepared, model, surrogates, null_model)
    there = {
        meaning: str(path)
        for meaning in ("code", "template_scores", "states")
        if (path := settings.output_dir / output_path(run.entities, meaning)).is_file()
    }
    scored.inputs.inputnode.trait_set(
        fbn_maps=[str(path) for path in fbn_paths(settings.output_dir, run.entities)], **there
    )
    if signed is not None:
        scored.inputs.inputnode.signed_maps = [str(path) for path in signed]
    derivatives = stages.derivatives_of(run, model, null_model)
    derivatives.inputs.inputnode.trait_set(
        preparation_metadata=prepared.out_metadata,
        networks_metadata=str(restore_metadata(settings.output_dir, run.entities, _folder(stages))),
    )
    one.connect([(scored, derivatives, [(f"outputnode.{field}", f"inputnode.{field}") for field in ADDED])])
    return one


def describe(stages: Stages, additions: Iterable[Addition], model: StoredModel) -> str:
    """Say for the Methods text how these runs were extracted and scored in all, whenever that was."""
    texts = []
    for addition in additions:
        evaluation = _evaluation_of(stages, addition, model)
        nulls = replace(
            stages.settings.nulls,
            n_surrogate_templates=addition.scores["SurrogateTemplates"],
            n_surrogates=addition.scores["Surrogates"],
        )
        texts.append(init_networks_wf(evaluation, nulls, with_events=addition.run.events is not None).visit_desc())
    return "".join(dict.fromkeys(texts))


def _evaluation_of(stages: Stages, addition: Addition, model: StoredModel) -> Evaluation:
    """Say what the networks of a run are held against, baselines that are there already included."""
    wanted = replace(stages.settings.evaluation, baselines=tuple(addition.scores["Baselines"]))
    return wanted.of_model(model.lacking)


def warnings_there(output_dir: Path, run: RunInput, prepared: PreparedFiles) -> list[str]:
    """Collect what preparation and every part of the scores warn of, as their sidecars have it."""
    said = list(prepared.metadata["Warnings"])
    for part in PARTS:
        meaning = next(meaning for meaning, entry in outputs().items() if entry["step"] == part)
        if (output_dir / output_path(run.entities, meaning)).is_file():
            said += read_json(output_dir / output_path(run.entities, meaning, ".json")).get("Warnings", [])
    return list(dict.fromkeys(said))


def _folder(stages: Stages) -> Path:
    folder = stages.folder / "accounts"
    folder.mkdir(parents=True, exist_ok=True)
    return folder

"""A run from the preprocessed image to its networks, with a finished model."""

from __future__ import annotations

from pathlib import Path

from niworkflows.engine.workflows import LiterateWorkflow

from ..model.folder import MASK, check_model_folder, read_card
from ..options import Evaluation, Nulls, Preparation
from .connections import PLANTED, PREPARED_RUN, begin, into, out_of
from .model_card import training_sentence
from .networks import NETWORKS, init_networks_wf
from .preparation import PREPARED, init_prepare_run_wf
from .resources import Resources, in_groups

__all__ = ["init_scaae_wf"]


@in_groups
def init_scaae_wf(
    model_dir: str,
    *,
    preparation: Preparation = Preparation(),
    evaluation: Evaluation = Evaluation(),
    nulls: Nulls = Nulls(),
    denoised: bool = False,
    repetition_time: float | None = None,
    with_events: bool = False,
    with_planted: bool = False,
    save_signed: bool = False,
    resources: Resources = Resources(),
    name: str = "scaae_wf",
) -> LiterateWorkflow:
    """Build everything that happens to one run, for use inside another pipeline.

    Parameters
    ----------
    model_dir : str
        Model folder; the run is prepared on its grid.
    preparation, denoised, repetition_time
        As for `init_prepare_run_wf`.
    evaluation, nulls, with_events, with_planted, save_signed, resources
        As for `init_networks_wf`.
    name : str

    Inputs
    ------
    in_file, in_mask, confounds_file, confounds_metadata, repetition_time
        Only the first is required.
    run_name, surrogate_templates, chance_templates, null_model_dir
        For the null models; see `init_networks_wf`.
    events, start_time
        Of the task, for ``with_events``.
    planted_networks, planted_courses
        Of a simulated run, for ``with_planted``.

    Outputs
    -------
    prepared_file, region, samples, preparation_metadata
        The prepared run.
    fbn_maps, signed_maps, channel_weights, code, networks_metadata
    template_iou … planted_metadata
        Of `init_evaluation_wf`.
    match_p … dynamics_null_metadata
        Of `init_nulls_wf`.

    Raises
    ------
    TraitError, UsageError, ModelError
        At once, where an argument cannot be, two contradict each other, or the folder holds no model.
    """
    model_dir = str(Path(model_dir).absolute())  # nodes run in folders of their own
    check_model_folder(model_dir)
    grid_mask = str(Path(model_dir) / MASK)
    prepare = init_prepare_run_wf(preparation, denoised=denoised, repetition_time=repetition_time, grid_mask=grid_mask)
    networks = init_networks_wf(
        evaluation,
        nulls,
        with_events=with_events,
        with_planted=with_planted,
        save_signed=save_signed,
        resources=resources,
    )
    networks.__desc__ = f"{training_sentence(read_card(model_dir))} {networks.__desc__}"
    networks.inputs.inputnode.model_dir = model_dir
    networks.inputs.inputnode.grid_mask = grid_mask
    fields = ["in_file", "in_mask", "confounds_file", "confounds_metadata", "repetition_time"]
    prepared = dict(zip(PREPARED, ("prepared_file", "region", "samples", "preparation_metadata"), strict=True))
    handed_on = zip(PREPARED, PREPARED_RUN, strict=False)  # the account of the preparation is not
    more = ["run_name", "surrogate_templates", "chance_templates", "null_model_dir", "events", "start_time", *PLANTED]
    workflow, inputnode, outputnode = begin(name, [*fields, *more], [*prepared.values(), *NETWORKS])
    workflow.connect(
        [
            (inputnode, prepare, into(*fields)),
            (inputnode, networks, into(*more, "repetition_time")),
            (prepare, networks, [(f"outputnode.{made}", f"inputnode.{name}") for made, name in handed_on]),
            (prepare, outputnode, [(f"outputnode.{field}", name) for field, name in prepared.items()]),
            (networks, outputnode, out_of(*NETWORKS)),
        ]
    )
    return workflow

"""A prepared run and a model become networks and their scores, held against null models where that is asked for."""

from __future__ import annotations

from nipype.interfaces.utility import IdentityInterface
from nipype.pipeline import engine as pe
from niworkflows.engine.workflows import LiterateWorkflow

from ..derivatives.names import results_of
from ..interfaces.model import ExtractNetworks
from ..options import Evaluation, Nulls
from .connections import into, out_of, results, same
from .evaluation import EVALUATED, init_evaluation_wf
from .nulls import NULLS, init_nulls_wf
from .resources import Resources, in_groups

__all__ = ["NETWORKS", "cuts_by_null", "init_networks_wf"]

NETWORKS = (*results_of("networks"), *EVALUATED, *NULLS)
"""What comes out; of the null models only as far as they were asked for."""


@in_groups
def init_networks_wf(
    evaluation: Evaluation = Evaluation(),
    nulls: Nulls = Nulls(),
    *,
    with_events: bool = False,
    save_signed: bool = False,
    resources: Resources = Resources(),
    name: str = "networks_wf",
) -> LiterateWorkflow:
    """Build the extraction of one run's networks, and how they are scored.

    Parameters
    ----------
    evaluation : Evaluation
        What the networks are held against.
    nulls : Nulls
        Where there are surrogate templates, matches are held against those that the input ``surrogate_templates``
        names; in calibrated mode their 95th percentile is then the least score of a state. Surrogates of the run go
        through the network too; with folds, through the one that the input ``null_model_dir`` names.
    with_events : bool
        Whether the run has a task, whose table is given to the input ``events``.
    save_signed : bool
        Whether maps before equation 9 come out too; the mean maps of states are made of them in any case.
    resources : Resources
    name : str

    Inputs
    ------
    in_file, in_mask, in_samples
        A prepared run.
    model_dir
        Model folder.
    null_model_dir
        Folder of a model of other participants, for cross-fitting.
    grid_mask
        Mask of the model's grid.
    run_name
        The run's name in model cards, and what the progress bar calls it.
    surrogate_templates
        From `init_surrogate_templates_wf`, for the spatial null.
    events, repetition_time, start_time
        Of the task, for ``with_events``.

    Outputs
    -------
    fbn_maps, signed_maps, channel_weights, code, networks_metadata
    template_iou … events_metadata
        Of `init_evaluation_wf`.
    match_p … dynamics_null_metadata
        Of `init_nulls_wf`.
    """
    workflow = LiterateWorkflow(name=name)
    workflow.__desc__ = (
        "For every volume, the channel-weighted sum of each spatial-attention branch's logits gave a functional brain "
        "network (FBN; equations 7 to 9 of @scaae). "
    )
    extract = pe.Node(
        ExtractNetworks(save_signed=True, device=resources.device),
        name="extract",
        n_procs=resources.n_procs,
        mem_gb=resources.extraction_mem_gb,
    )
    by_null = cuts_by_null(evaluation, nulls)
    evaluate = init_evaluation_wf(evaluation, cutoffs_given=by_null, with_events=with_events, resources=resources)
    prepared, task = ["in_file", "in_mask", "in_samples"], ["events", "repetition_time", "start_time"]
    given = [*prepared, "model_dir", "grid_mask", "run_name", "surrogate_templates"]
    inputnode = pe.Node(IdentityInterface(fields=[*given, "null_model_dir", *task]), name="inputnode")
    outputnode = pe.Node(IdentityInterface(fields=list(NETWORKS)), name="outputnode")
    extracted = results("networks", without="" if save_signed else "signed_maps")
    workflow.connect(
        [
            (inputnode, extract, same(*prepared, "model_dir", "run_name")),
            (inputnode, evaluate, into(*prepared, "model_dir", "grid_mask", *task)),
            (extract, evaluate, into("fbn_maps", "signed_maps", "code")),
            (extract, outputnode, extracted),
            (evaluate, outputnode, out_of(*EVALUATED)),
        ]
    )
    if nulls.n_surrogate_templates or nulls.n_surrogates:
        tested = init_nulls_wf(evaluation, nulls, resources=resources)
        model = {"model_dir": "null_model_dir"} if nulls.n_folds else {}
        workflow.connect(
            [
                (inputnode, tested, [(model.get(field, field), f"inputnode.{field}") for field in given]),
                (extract, tested, into("fbn_maps")),
                (tested, outputnode, out_of(*NULLS)),
            ]
        )
        if by_null:
            workflow.connect([(tested, evaluate, [("outputnode.matches_metadata", "inputnode.state_cutoffs")])])
    return workflow


def cuts_by_null(evaluation: Evaluation, nulls: Nulls) -> bool:
    """Tell whether the spatial null says what the least score of a state is."""
    return nulls.n_surrogate_templates > 0 and evaluation.mode != "paper" and evaluation.state_cutoff is None

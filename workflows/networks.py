"""A prepared run and a model become networks and their scores, held against null models where that is asked for."""

from __future__ import annotations

from collections.abc import Collection

from nipype.pipeline import engine as pe
from niworkflows.engine.workflows import LiterateWorkflow

from ..derivatives.names import results_of
from ..interfaces.model import ExtractNetworks
from ..options import Evaluation, Nulls
from .connections import PLANTED, PREPARED_RUN, TASK, begin, into, out_of, results, same
from .evaluation import EVALUATED, init_evaluation_wf
from .nulls import NULLS, init_nulls_wf
from .resources import Resources, in_groups

__all__ = ["NETWORKS", "OF_RUN", "connect_scores", "extraction", "init_networks_wf"]

NETWORKS = (*results_of("networks"), *EVALUATED, *NULLS)
"""What comes out; of the null models only as far as they were asked for."""

OF_RUN = (*PREPARED_RUN, "model_dir", "grid_mask", "run_name", "surrogate_templates", "chance_templates")
"""What goes in, beside the task and a model of other participants."""


@in_groups
def init_networks_wf(
    evaluation: Evaluation = Evaluation(),
    nulls: Nulls = Nulls(),
    *,
    with_events: bool = False,
    with_planted: bool = False,
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
    with_planted : bool
        Whether the run is simulated, and what was planted in it is given.
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
    chance_templates
        The same, of `n_chance_templates` sets or more, for what scores are by chance; made for every run if not given.
    events, repetition_time, start_time
        Of the task, for ``with_events``.
    planted_networks, planted_courses
        Of a simulated run, for ``with_planted``.

    Outputs
    -------
    fbn_maps, signed_maps, channel_weights, code, networks_metadata
    template_iou … planted_metadata
        Of `init_evaluation_wf`.
    match_p … dynamics_null_metadata
        Of `init_nulls_wf`.
    """
    inputs = [*OF_RUN, "null_model_dir", *TASK, *PLANTED]
    description = (
        "Every volume gave one functional brain network (FBN) a branch: where there is attention, the channel-weighted "
        "sum of that branch's spatial logits (equations 7 and 8 of @scaae); scaled by equation 9. "
    )
    workflow, inputnode, outputnode = begin(name, inputs, NETWORKS, description)
    extract = extraction(resources)
    workflow.connect(
        [
            (inputnode, extract, same(*PREPARED_RUN, "model_dir", "run_name")),
            (extract, outputnode, results("networks", without="" if save_signed else "signed_maps")),
        ]
    )
    evaluate = connect_scores(
        workflow,
        inputnode,
        outputnode,
        evaluation,
        nulls,
        maps=extract,
        with_events=with_events,
        with_planted=with_planted,
        resources=resources,
    )
    workflow.connect([(extract, evaluate, into("signed_maps", "code"))])
    return workflow


def extraction(resources: Resources) -> pe.Node:
    """Make the node that turns a prepared run into networks."""
    return pe.Node(
        ExtractNetworks(save_signed=True, device=resources.device),
        name="extract",
        n_procs=resources.n_procs,
        mem_gb=resources.extraction_mem_gb,
    )


def connect_scores(
    workflow: LiterateWorkflow,
    inputnode: pe.Node,
    outputnode: pe.Node,
    evaluation: Evaluation,
    nulls: Nulls,
    *,
    maps: pe.Node,
    with_events: bool,
    with_planted: bool,
    resources: Resources,
    parts: Collection[str] | None = None,
) -> LiterateWorkflow:
    """Score the networks that come from the node `maps`, and hold them against null models where that is asked for.

    Gives the evaluation, whose inputs ``signed_maps`` and ``code`` are still open.
    """
    by_null = nulls.n_surrogate_templates > 0 and evaluation.mode != "paper" and evaluation.state_cutoff is None
    evaluate = init_evaluation_wf(
        evaluation,
        cutoffs_given=by_null,
        with_events=with_events,
        with_planted=with_planted,
        resources=resources,
        parts=parts,
    )
    workflow.connect(
        [
            (inputnode, evaluate, into(*PREPARED_RUN, "model_dir", "grid_mask", "chance_templates", *TASK, *PLANTED)),
            (maps, evaluate, into("fbn_maps")),
            (evaluate, outputnode, out_of(*EVALUATED)),
        ]
    )
    if nulls.n_surrogate_templates or nulls.n_surrogates:
        tested = init_nulls_wf(evaluation, nulls, resources=resources)
        model = {"model_dir": "null_model_dir"} if nulls.n_folds else {}
        of_null = [field for field in OF_RUN if field != "chance_templates"]
        workflow.connect(
            [
                (inputnode, tested, [(model.get(field, field), f"inputnode.{field}") for field in of_null]),
                (maps, tested, into("fbn_maps")),
                (tested, outputnode, out_of(*NULLS)),
            ]
        )
        if by_null:
            workflow.connect([(tested, evaluate, [("outputnode.matches_metadata", "inputnode.state_cutoffs")])])
    return evaluate

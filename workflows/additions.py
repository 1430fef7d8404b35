"""Scores of a run whose networks are there already: of what was not scored yet, or against other templates."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from nipype.interfaces.utility import IdentityInterface
from nipype.pipeline import engine as pe
from niworkflows.engine.workflows import LiterateWorkflow

from ..interfaces.model import ConfirmNetworks, ExtractNetworks
from ..options import Evaluation, Nulls
from .connections import into, out_of, same
from .evaluation import EVALUATED, init_evaluation_wf
from .networks import cuts_by_null
from .nulls import NULLS, init_nulls_wf
from .resources import Resources, in_groups

__all__ = ["ADDED", "init_additions_wf"]

ADDED = ("signed_maps", *EVALUATED, *NULLS)
"""What comes out, as far as it was asked for."""


@in_groups
def init_additions_wf(
    evaluation: Evaluation = Evaluation(),
    nulls: Nulls = Nulls(),
    *,
    parts: Collection[str],
    with_extraction: bool = False,
    with_events: bool = False,
    save_signed: bool = False,
    resources: Resources = Resources(),
    name: str = "networks_wf",
) -> LiterateWorkflow:
    """Build what computes parts of the scores of a run from its networks.

    Parameters
    ----------
    evaluation, nulls
        As for `init_networks_wf`.
    parts : collection of str
        What is computed: ``evaluation``, ``states``, ``baselines``, ``regions``, ``events``, ``matches``,
        ``dynamics_null``.
    with_extraction : bool
        Whether the networks have to be extracted once more, because the maps before equation 9 are needed and were not
        kept; what comes out has to be what is there, and what is there is scored.
    with_events : bool
    save_signed : bool
        Whether the maps before equation 9 come out.
    resources : Resources
    name : str

    Inputs
    ------
    in_file, in_mask, in_samples, model_dir, null_model_dir, grid_mask, run_name, surrogate_templates
    events, repetition_time, start_time
        As for `init_networks_wf`.
    fbn_maps, code
        The run's networks.
    signed_maps
        The same before equation 9, where states or these maps are asked for and `with_extraction` is not.
    template_scores, states
        As for `init_evaluation_wf`.

    Outputs
    -------
    signed_maps, template_iou … dynamics_null_metadata
        What was computed.
    """
    workflow = LiterateWorkflow(name=name)
    prepared, task = ["in_file", "in_mask", "in_samples"], ["events", "repetition_time", "start_time"]
    of_network = [*prepared, "model_dir", "grid_mask", "run_name", "surrogate_templates"]
    there = ["fbn_maps", "signed_maps", "code", "template_scores", "states"]
    inputnode = pe.Node(IdentityInterface(fields=[*of_network, "null_model_dir", *task, *there]), name="inputnode")
    outputnode = pe.Node(IdentityInterface(fields=list(ADDED)), name="outputnode")
    nulls = replace(
        nulls,
        n_surrogate_templates=nulls.n_surrogate_templates if "matches" in parts else 0,
        n_surrogates=nulls.n_surrogates if "dynamics_null" in parts else 0,
    )
    by_null = cuts_by_null(evaluation, nulls)
    evaluate = init_evaluation_wf(
        evaluation, cutoffs_given=by_null, with_events=with_events, resources=resources, parts=parts
    )
    signed = inputnode
    if with_extraction:
        extract = pe.Node(
            ExtractNetworks(save_signed=True, device=resources.device),
            name="extract",
            n_procs=resources.n_procs,
            mem_gb=resources.extraction_mem_gb,
        )
        signed = pe.Node(ConfirmNetworks(), name="confirm", n_procs=1, mem_gb=resources.extraction_mem_gb / 3)
        workflow.connect(
            [
                (inputnode, extract, same(*prepared, "model_dir", "run_name")),
                (extract, signed, same("fbn_maps", "signed_maps")),
                (inputnode, signed, [("fbn_maps", "fbn_maps_there")]),
            ]
        )
    given = [*prepared, "model_dir", "grid_mask", *task, "fbn_maps", "code", "template_scores", "states"]
    workflow.connect(
        [
            (inputnode, evaluate, into(*given)),
            (signed, evaluate, into("signed_maps")),
            (evaluate, outputnode, out_of(*EVALUATED)),
        ]
    )
    if save_signed:
        workflow.connect([(signed, outputnode, same("signed_maps"))])
    if nulls.n_surrogate_templates or nulls.n_surrogates:
        tested = init_nulls_wf(evaluation, nulls, resources=resources)
        model = {"model_dir": "null_model_dir"} if nulls.n_folds else {}
        workflow.connect(
            [
                (inputnode, tested, [(model.get(field, field), f"inputnode.{field}") for field in of_network]),
                (inputnode, tested, into("fbn_maps")),
                (tested, outputnode, out_of(*NULLS)),
            ]
        )
        if by_null:
            workflow.connect([(tested, evaluate, [("outputnode.matches_metadata", "inputnode.state_cutoffs")])])
    return workflow

"""Scores of a run whose networks are there already: of what was not scored yet, or against other templates."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from nipype.pipeline import engine as pe
from niworkflows.engine.workflows import LiterateWorkflow

from ..interfaces.model import ConfirmNetworks
from ..options import Evaluation, Nulls
from .connections import PLANTED, PREPARED_RUN, TASK, begin, into, same
from .evaluation import EVALUATED
from .networks import OF_RUN, connect_scores, extraction
from .nulls import NULLS
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
    with_planted: bool = False,
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
        What is computed: ``evaluation``, ``states``, ``baselines``, ``regions``, ``events``, ``planted``,
        ``matches``, ``dynamics_null``.
    with_extraction : bool
        Whether the networks have to be extracted once more, because the maps before equation 9 are needed and were not
        kept; what comes out has to be what is there, and what is there is scored.
    with_events, with_planted : bool
    save_signed : bool
        Whether the maps before equation 9 come out.
    resources : Resources
    name : str

    Inputs
    ------
    in_file, in_mask, in_samples, model_dir, null_model_dir, grid_mask, run_name, surrogate_templates
    chance_templates
    events, repetition_time, start_time, planted_networks, planted_courses
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
    there = ["fbn_maps", "signed_maps", "code", "template_scores", "states"]
    workflow, inputnode, outputnode = begin(name, [*OF_RUN, "null_model_dir", *TASK, *PLANTED, *there], ADDED)
    nulls = replace(
        nulls,
        n_surrogate_templates=nulls.n_surrogate_templates if "matches" in parts else 0,
        n_surrogates=nulls.n_surrogates if "dynamics_null" in parts else 0,
    )
    signed = inputnode
    if with_extraction:
        extract = extraction(resources)
        signed = pe.Node(ConfirmNetworks(), name="confirm", n_procs=1, mem_gb=resources.extraction_mem_gb / 3)
        workflow.connect(
            [
                (inputnode, extract, same(*PREPARED_RUN, "model_dir", "run_name")),
                (extract, signed, same("fbn_maps", "signed_maps")),
                (inputnode, signed, [("fbn_maps", "fbn_maps_there")]),
            ]
        )
    evaluate = connect_scores(
        workflow,
        inputnode,
        outputnode,
        evaluation,
        nulls,
        maps=inputnode,
        with_events=with_events,
        with_planted=with_planted,
        resources=resources,
        parts=parts,
    )
    workflow.connect(
        [
            (inputnode, evaluate, into("code", "template_scores", "states")),
            (signed, evaluate, into("signed_maps")),
        ]
    )
    if save_signed:
        workflow.connect([(signed, outputnode, same("signed_maps"))])
    return workflow

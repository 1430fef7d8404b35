"""Scores of a run whose networks are there already: of what was not scored yet, or against other templates."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from nipype.interfaces.utility import IdentityInterface
from nipype.pipeline import engine as pe
from niworkflows.engine.workflows import LiterateWorkflow

from ..interfaces.model import ConfirmNetworks, ExtractNetworks
from .evaluation import EVALUATED, init_evaluation_wf
from .networks import cuts_by_null, init_nulls_of_networks
from .nulls import NULLS

__all__ = ["ADDED", "init_additions_wf"]

ADDED = ("signed_maps", *EVALUATED, *NULLS)
"""What comes out, as far as it was asked for."""


def init_additions_wf(
    *,
    parts: Collection[str],
    with_extraction: bool = False,
    save_signed: bool = False,
    spatial_null: bool = False,
    n_surrogates: int = 0,
    n_folds: int = 0,
    device: str = "auto",
    n_procs: int = 1,
    extraction_mem_gb: float = 3.0,
    evaluation_mem_gb: float = 1.0,
    spatial_null_mem_gb: float = 2.0,
    temporal_null_mem_gb: float = 4.0,
    name: str = "networks_wf",
    **evaluation: Any,
) -> LiterateWorkflow:
    """Build what computes parts of the scores of a run from its networks.

    Parameters
    ----------
    parts : collection of str
        What is computed: ``evaluation``, ``states``, ``baselines``, ``regions``, ``events``, ``matches``,
        ``dynamics_null``.
    with_extraction : bool
        Whether the networks have to be extracted once more, because the maps before equation 9 are needed and were not
        kept; what comes out has to be what is there, and what is there is scored.
    save_signed : bool
        Whether the maps before equation 9 come out.
    spatial_null, n_surrogates, n_folds, device, n_procs
        As for `init_networks_wf`.
    extraction_mem_gb, evaluation_mem_gb, spatial_null_mem_gb, temporal_null_mem_gb : float
    name : str
    **evaluation
        Arguments of `init_evaluation_wf`.

    Inputs
    ------
    in_file, in_mask, in_samples, model_dir, null_model_dir, grid_mask, run_name, surrogate_templates
    events, repetition_time, start_time
        As for `init_networks_wf`.
    fbn_maps, codes
        The run's networks.
    signed_maps
        The same before equation 9, where states or these maps are asked for and `with_extraction` is not.
    scores, state_sequence
        As for `init_evaluation_wf`.

    Outputs
    -------
    signed_maps, template_iou … dynamics_null_metadata
        What was computed.
    """
    workflow = LiterateWorkflow(name=name)
    prepared, task = ["in_file", "in_mask", "in_samples"], ["events", "repetition_time", "start_time"]
    of_network = [*prepared, "model_dir", "grid_mask", "run_name", "surrogate_templates"]
    there = ["fbn_maps", "signed_maps", "codes", "scores", "state_sequence"]
    inputnode = pe.Node(IdentityInterface(fields=[*of_network, "null_model_dir", *task, *there]), name="inputnode")
    outputnode = pe.Node(IdentityInterface(fields=list(ADDED)), name="outputnode")
    by_null = cuts_by_null(spatial_null, **evaluation)
    evaluate = init_evaluation_wf(
        mem_gb=evaluation_mem_gb,
        cutoffs_given=by_null,
        device=device,
        n_procs=n_procs,
        parts=parts,
        **evaluation,
    )
    signed = inputnode
    if with_extraction:
        extract = pe.Node(
            ExtractNetworks(save_signed=True, device=device), name="extract", n_procs=n_procs, mem_gb=extraction_mem_gb
        )
        signed = pe.Node(ConfirmNetworks(), name="confirm", n_procs=1, mem_gb=extraction_mem_gb / 3)
        workflow.connect(
            [
                (inputnode, extract, [(field, field) for field in (*prepared, "model_dir", "run_name")]),
                (extract, signed, [("fbn_maps", "fbn_maps"), ("signed_maps", "signed_maps")]),
                (inputnode, signed, [("fbn_maps", "fbn_maps_there")]),
            ]
        )
    given = [*prepared, "model_dir", "grid_mask", *task, "fbn_maps", "codes", "scores", "state_sequence"]
    workflow.connect(
        [
            (inputnode, evaluate, [(field, f"inputnode.{field}") for field in given]),
            (signed, evaluate, [("signed_maps", "inputnode.signed_maps")]),
            (evaluate, outputnode, [(f"outputnode.{field}", field) for field in EVALUATED]),
        ]
    )
    if save_signed:
        workflow.connect([(signed, outputnode, [("signed_maps", "signed_maps")])])
    spatial_null, n_surrogates = spatial_null and "matches" in parts, n_surrogates if "dynamics_null" in parts else 0
    if spatial_null or n_surrogates:
        nulls = init_nulls_of_networks(
            spatial_null=spatial_null,
            n_surrogates=n_surrogates,
            n_folds=n_folds,
            device=device,
            n_procs=n_procs,
            spatial_mem_gb=spatial_null_mem_gb,
            temporal_mem_gb=temporal_null_mem_gb,
            **evaluation,
        )
        model = {"model_dir": "null_model_dir"} if n_folds else {}
        workflow.connect(
            [
                (inputnode, nulls, [(model.get(field, field), f"inputnode.{field}") for field in of_network]),
                (inputnode, nulls, [("fbn_maps", "inputnode.fbn_maps")]),
                (nulls, outputnode, [(f"outputnode.{field}", field) for field in NULLS]),
            ]
        )
        if by_null and spatial_null:
            workflow.connect([(nulls, evaluate, [("outputnode.matches_metadata", "inputnode.state_cutoffs")])])
    return workflow

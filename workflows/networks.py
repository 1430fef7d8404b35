"""A prepared run and a model become networks and their scores, held against null models where that is asked for."""

from __future__ import annotations

from typing import Any

from nipype.interfaces.utility import IdentityInterface
from nipype.pipeline import engine as pe
from niworkflows.engine.workflows import LiterateWorkflow

from ..interfaces.model import ExtractNetworks
from .arguments import check_folds, check_resources
from .evaluation import EVALUATED, init_evaluation_wf
from .nulls import NULLS, init_nulls_wf

__all__ = ["NETWORKS", "cuts_by_null", "init_networks_wf", "init_nulls_of_networks"]

_EXTRACTED = ("fbn_maps", "signed_maps", "channel_weights", "codes", "networks_metadata")

_SHARED = ("templates", "template_labels", "template_kind", "mode", "seed")
"""What evaluation and null models have to agree on."""

_OF_EVALUATION = ("state_cutoff", "baselines", "atlas", "atlas_labels", "atlas_kind", "with_events", "baselines_mem_gb")
"""What null models do not need to know."""

NETWORKS = (*_EXTRACTED, *EVALUATED, *NULLS)
"""What comes out; of the null models only as far as they were asked for."""


def init_networks_wf(
    *,
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
    """Build the extraction of one run's networks, and how they are scored.

    Parameters
    ----------
    save_signed : bool
        Whether maps before equation 9 come out too; the mean maps of states are made of them in any case.
    spatial_null : bool
        Whether matches are held against the surrogate templates that the input ``surrogate_templates`` names; in
        calibrated mode their 95th percentile is then the least score of a state.
    n_surrogates : int
        Surrogates of the run that go through the network too (temporal null); 0 for none, else 19 or more.
    n_folds : int
        Of cross-fitting: if not 0, the temporal null is of the model that the input ``null_model_dir`` names.
    device : str
    n_procs : int
        CPU threads of the network.
    extraction_mem_gb, evaluation_mem_gb, spatial_null_mem_gb, temporal_null_mem_gb : float
    name : str
    **evaluation
        Arguments of `init_evaluation_wf`: templates, baselines, atlas …

    Inputs
    ------
    in_file, in_mask, in_samples
        A prepared run.
    model_dir
        Model folder.
    null_model_dir
        Folder of a model of other participants, for ``n_folds``.
    grid_mask
        Mask of the model's grid.
    run_name
        The run's name in model cards, and what the progress bar calls it.
    surrogate_templates
        From `init_surrogate_templates_wf`, for ``spatial_null``.
    events, repetition_time, start_time
        Of the task, for ``with_events``.

    Outputs
    -------
    fbn_maps, signed_maps, channel_weights, codes, networks_metadata
    template_iou … events_metadata
        Of `init_evaluation_wf`.
    match_p … dynamics_null_metadata
        Of `init_nulls_wf`.
    """
    check_folds(n_folds)
    check_resources(
        device=device,
        n_procs=n_procs,
        extraction_mem_gb=extraction_mem_gb,
        spatial_null_mem_gb=spatial_null_mem_gb,
        temporal_null_mem_gb=temporal_null_mem_gb,
    )
    workflow = LiterateWorkflow(name=name)
    workflow.__desc__ = (
        "For every volume, the channel-weighted sum of each spatial-attention branch's logits gave a functional brain "
        "network (FBN; equations 7 to 9 of @scaae). "
    )
    extract = pe.Node(
        ExtractNetworks(save_signed=True, device=device),
        name="extract",
        n_procs=n_procs,
        mem_gb=extraction_mem_gb,
    )
    by_null = cuts_by_null(spatial_null, **evaluation)
    evaluate = init_evaluation_wf(
        mem_gb=evaluation_mem_gb,
        cutoffs_given=by_null,
        device=device,
        n_procs=n_procs,
        **evaluation,
    )
    prepared, task = ["in_file", "in_mask", "in_samples"], ["events", "repetition_time", "start_time"]
    given = [*prepared, "model_dir", "grid_mask", "run_name", "surrogate_templates"]
    inputnode = pe.Node(IdentityInterface(fields=[*given, "null_model_dir", *task]), name="inputnode")
    outputnode = pe.Node(IdentityInterface(fields=list(NETWORKS)), name="outputnode")
    maps = [(field, field) for field in ("fbn_maps", "channel_weights", "codes")]
    maps += [("signed_maps", "signed_maps")] if save_signed else []
    workflow.connect(
        [
            (inputnode, extract, [(field, field) for field in (*prepared, "model_dir", "run_name")]),
            (inputnode, evaluate, [(f, f"inputnode.{f}") for f in (*prepared, "model_dir", "grid_mask", *task)]),
            (extract, evaluate, [(field, f"inputnode.{field}") for field in ("fbn_maps", "signed_maps", "codes")]),
            (extract, outputnode, [*maps, ("out_metadata", "networks_metadata")]),
            (evaluate, outputnode, [(f"outputnode.{field}", field) for field in EVALUATED]),
        ]
    )
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
        workflow.connect(
            [
                (
                    inputnode,
                    nulls,
                    [
                        ("null_model_dir" if n_folds and field == "model_dir" else field, f"inputnode.{field}")
                        for field in given
                    ],
                ),
                (extract, nulls, [("fbn_maps", "inputnode.fbn_maps")]),
                (nulls, outputnode, [(f"outputnode.{field}", field) for field in NULLS]),
            ]
        )
        if by_null:
            workflow.connect([(nulls, evaluate, [("outputnode.matches_metadata", "inputnode.state_cutoffs")])])
    return workflow


def cuts_by_null(spatial_null: bool, *, mode: str = "calibrated", state_cutoff: float | None = None, **_: Any) -> bool:
    """Tell whether the spatial null says what the least score of a state is."""
    return spatial_null and mode != "paper" and state_cutoff is None


def init_nulls_of_networks(*, spatial_null: bool, **arguments: Any) -> LiterateWorkflow:
    """Build the null models of a run from what its evaluation was asked for: both have to agree."""
    own = {name: value for name, value in arguments.items() if name in _SHARED or name not in _OF_EVALUATION}
    return init_nulls_wf(spatial=spatial_null, **own)

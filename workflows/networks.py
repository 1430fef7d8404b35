"""A prepared run and a model become networks and their scores."""

from __future__ import annotations

from typing import Any

from nipype.interfaces.utility import IdentityInterface
from nipype.pipeline import engine as pe
from niworkflows.engine.workflows import LiterateWorkflow

from ..interfaces.model import ExtractNetworks
from .evaluation import EVALUATED, init_evaluation_wf

__all__ = ["NETWORKS", "init_networks_wf"]

_EXTRACTED = ("fbn_maps", "signed_maps", "channel_weights", "codes", "networks_metadata")

NETWORKS = (*_EXTRACTED, *EVALUATED)
"""What comes out."""


def init_networks_wf(
    *,
    save_signed: bool = False,
    device: str = "auto",
    n_procs: int = 1,
    extraction_mem_gb: float = 3.0,
    evaluation_mem_gb: float = 1.0,
    name: str = "networks_wf",
    **evaluation: Any,
) -> LiterateWorkflow:
    """Build the extraction of one run's networks, and how they are scored.

    Parameters
    ----------
    save_signed : bool
        Whether maps before equation 9 come out too; the mean maps of states are made of them in any case.
    device : str
    n_procs : int
        CPU threads of the extraction.
    extraction_mem_gb, evaluation_mem_gb : float
    name : str
    **evaluation
        Arguments of `init_evaluation_wf`: templates, baselines, atlas …

    Inputs
    ------
    in_file, in_mask, in_samples
        A prepared run.
    model_dir
        Model folder.
    grid_mask
        Mask of the model's grid.
    run_name
        What the progress bar calls the run.
    events, repetition_time, start_time
        Of the task, for ``with_events``.

    Outputs
    -------
    fbn_maps, signed_maps, channel_weights, codes, networks_metadata
    template_iou … events_metadata
        Of `init_evaluation_wf`.
    """
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
    evaluate = init_evaluation_wf(mem_gb=evaluation_mem_gb, **evaluation)
    prepared, task = ["in_file", "in_mask", "in_samples"], ["events", "repetition_time", "start_time"]
    inputnode = pe.Node(
        IdentityInterface(fields=[*prepared, "model_dir", "grid_mask", "run_name", *task]), name="inputnode"
    )
    outputnode = pe.Node(IdentityInterface(fields=list(NETWORKS)), name="outputnode")
    maps = [(field, field) for field in ("fbn_maps", "channel_weights", "codes")]
    maps += [("signed_maps", "signed_maps")] if save_signed else []
    workflow.connect(
        [
            (inputnode, extract, [(field, field) for field in (*prepared, "model_dir", "run_name")]),
            (inputnode, evaluate, [(field, f"inputnode.{field}") for field in (*prepared, "grid_mask", *task)]),
            (extract, evaluate, [(field, f"inputnode.{field}") for field in ("fbn_maps", "signed_maps", "codes")]),
            (extract, outputnode, [*maps, ("out_metadata", "networks_metadata")]),
            (evaluate, outputnode, [(f"outputnode.{field}", field) for field in EVALUATED]),
        ]
    )
    return workflow

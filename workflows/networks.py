"""A prepared run and a model become networks and their scores."""

from __future__ import annotations

from pathlib import Path

from nipype.interfaces.utility import IdentityInterface
from nipype.pipeline import engine as pe
from niworkflows.engine.workflows import LiterateWorkflow

from ..interfaces.evaluation import GradualChange, MatchTemplates
from ..interfaces.model import ExtractNetworks

__all__ = ["NETWORKS", "init_networks_wf"]

NETWORKS = (
    *("fbn_maps", "signed_maps", "channel_weights", "codes", "networks_metadata"),
    *("template_iou", "overlap", "evaluation_metadata", "gradual_change"),
)
"""What comes out."""


def init_networks_wf(
    *,
    templates: str = "default",
    template_labels: str | None = None,
    save_signed: bool = False,
    device: str = "auto",
    n_procs: int = 1,
    extraction_mem_gb: float = 3.0,
    evaluation_mem_gb: float = 1.0,
    name: str = "networks_wf",
) -> LiterateWorkflow:
    """Build the extraction of one run's networks, and how they are scored.

    Parameters
    ----------
    templates : str
        ``default``, ``smith2009`` or an image.
    template_labels : str, optional
        Table with their names.
    save_signed : bool
        Whether maps before equation 9 are written too.
    device : str
    n_procs : int
        CPU threads of the extraction.
    extraction_mem_gb, evaluation_mem_gb : float
    name : str

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

    Outputs
    -------
    fbn_maps, signed_maps, channel_weights, codes, networks_metadata
    template_iou, overlap, evaluation_metadata, gradual_change
    """
    workflow = LiterateWorkflow(name=name)
    known = {"default": "networks of @seitzman2020", "smith2009": "networks of @smith2009"}
    workflow.__desc__ = (
        "For every volume, the channel-weighted sum of each spatial-attention branch's logits gave a functional brain "
        "network (FBN; equations 7 to 9 of @scaae). FBNs were binarised at 0.3 of their range within the evaluation "
        "region, the part of the model's brain mask where the run has data, and compared by intersection over union "
        f"with templates ({known.get(templates, Path(templates).name)}) and with the FBNs of later volumes; the "
        "prepared volumes themselves, which need no network, were scored the same way. "
    )
    extract = pe.Node(
        ExtractNetworks(save_signed=save_signed, device=device),
        name="extract",
        n_procs=n_procs,
        mem_gb=extraction_mem_gb,
    )
    labels = {"template_labels": template_labels} if template_labels else {}
    match = pe.Node(
        MatchTemplates(templates=templates, **labels), name="match_templates", n_procs=1, mem_gb=evaluation_mem_gb
    )
    change = pe.Node(GradualChange(), name="gradual_change", n_procs=1, mem_gb=evaluation_mem_gb)
    prepared = ["in_file", "in_mask", "in_samples"]
    inputnode = pe.Node(IdentityInterface(fields=[*prepared, "model_dir", "grid_mask", "run_name"]), name="inputnode")
    outputnode = pe.Node(IdentityInterface(fields=list(NETWORKS)), name="outputnode")
    as_they_are = [(field, field) for field in prepared]
    workflow.connect(
        [
            (inputnode, extract, [*as_they_are, ("model_dir", "model_dir"), ("run_name", "run_name")]),
            (inputnode, match, [*as_they_are, ("grid_mask", "grid_mask")]),
            (inputnode, change, as_they_are),
            (extract, match, [("fbn_maps", "fbn_maps")]),
            (extract, change, [("fbn_maps", "fbn_maps")]),
            (
                extract,
                outputnode,
                [
                    *((field, field) for field in ("fbn_maps", "signed_maps", "channel_weights", "codes")),
                    ("out_metadata", "networks_metadata"),
                ],
            ),
            (
                match,
                outputnode,
                [("out_iou", "template_iou"), ("out_overlap", "overlap"), ("out_metadata", "evaluation_metadata")],
            ),
            (change, outputnode, [("out_table", "gradual_change")]),
        ]
    )
    return workflow

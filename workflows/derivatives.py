"""Results of runs go into the output dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nipype.interfaces.utility import IdentityInterface
from nipype.pipeline import engine as pe
from niworkflows.engine.workflows import LiterateWorkflow

from ..interfaces.derivatives import SaveDerivatives
from ..interfaces.report import ParticipantReport
from .networks import NETWORKS
from .preparation import PREPARED

__all__ = ["init_derivatives_wf", "init_reports_wf"]

_FIELDS = {
    "out_mask": "region",
    "out_samples": "samples",
    "out_metadata": "preparation_metadata",
    "channel_weights": "channelweights",
    "codes": "code",
    "template_iou": "templateiou",
    "gradual_change": "gradualchange",
    "template_scores": "templatescores",
    "threshold_curve": "thresholdcurve",
    "state_metrics": "statemetrics",
    "event_locking": "events",
    "match_p": "matchp",
    "dynamics_null": "dynamicsnull",
}
"""What the steps before call it, and what the registry of names does."""


def init_derivatives_wf(
    *,
    output_dir: str,
    entities: Mapping[str, str],
    sources: Sequence[str] = (),
    spatial_reference: str = "n/a",
    model_metadata: Mapping[str, Any] | None = None,
    own_sources: Mapping[str, Sequence[str]] | None = None,
    name: str = "derivatives_wf",
) -> LiterateWorkflow:
    """Build what writes one run's results, with sidecars.

    Parameters
    ----------
    output_dir : str
    entities : mapping
        Of the input run.
    sources : sequence of str
        BIDS URIs of the run's input files and of the model.
    spatial_reference : str
        BIDS URI of the image whose grid the outputs lie on.
    model_metadata : mapping, optional
        More about the model, for the sidecars.
    own_sources : mapping, optional
        Sources of single outputs, by their meaning, in place of `sources`.
    name : str

    Inputs
    ------
    out_mask, out_samples, out_metadata
        Of the prepared run.
    fbn_maps, signed_maps, channel_weights, codes, networks_metadata
    template_iou … dynamics_null_metadata
        Of `init_networks_wf`.

    Outputs
    -------
    out_files
    """
    workflow = LiterateWorkflow(name=name)
    fields = [field for field in (*PREPARED, *NETWORKS) if field != "out_file"]
    inputnode = pe.Node(IdentityInterface(fields=fields), name="inputnode")
    save = pe.Node(
        SaveDerivatives(
            base_directory=output_dir,
            entities=dict(entities),
            sources=list(sources),
            spatial_reference=spatial_reference,
            model_metadata=dict(model_metadata or {}),
            own_sources={meaning: list(uris) for meaning, uris in (own_sources or {}).items()},
        ),
        name="save",
        n_procs=1,
        mem_gb=0.3,
    )
    outputnode = pe.Node(IdentityInterface(fields=["out_files"]), name="outputnode")
    workflow.connect(
        [
            (inputnode, save, [(field, _FIELDS.get(field, field)) for field in fields]),
            (save, outputnode, [("out_files", "out_files")]),
        ]
    )
    return workflow


def init_reports_wf(
    *, output_dir: str, participants: Sequence[str], mem_gb: float = 1.0, name: str = "reports_wf"
) -> LiterateWorkflow:
    """Build the reports of participants whose results are in the output dataset; a node for each.

    Parameters
    ----------
    output_dir : str
    participants : sequence of str
        Labels, without ``sub-``.
    mem_gb : float
    name : str
    """
    workflow = LiterateWorkflow(name=name)
    for participant in participants:
        report = ParticipantReport(output_dir=output_dir, participant=participant)
        workflow.add_nodes([pe.Node(report, name=f"report_sub_{participant}", n_procs=1, mem_gb=mem_gb)])
    return workflow

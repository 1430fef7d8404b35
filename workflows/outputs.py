"""Results of runs go into the output dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nipype.pipeline import engine as pe
from niworkflows.engine.workflows import LiterateWorkflow

from ..derivatives.names import node_name, results_of, steps
from ..interfaces.outputs import ParticipantReport, SaveDerivatives
from .connections import begin, same

__all__ = ["init_derivatives_wf", "init_reports_wf"]


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
    region, samples, preparation_metadata
        Of the prepared run.
    fbn_maps … dynamics_null_metadata
        Of `init_networks_wf`.

    Outputs
    -------
    out_files
    """
    fields = results_of(*steps())
    workflow, inputnode, outputnode = begin(name, fields, ["out_files"])
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
    workflow.connect([(inputnode, save, same(*fields)), (save, outputnode, same("out_files"))])
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
        workflow.add_nodes([pe.Node(report, name=node_name(f"report_sub-{participant}"), n_procs=1, mem_gb=mem_gb)])
    return workflow

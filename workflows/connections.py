"""A workflow with its inputs and outputs, and lists of connections between nodes, by names that both ends share."""

from __future__ import annotations

from collections.abc import Iterable

from nipype.interfaces.utility import IdentityInterface
from nipype.pipeline import engine as pe
from niworkflows.engine.workflows import LiterateWorkflow

from ..derivatives.names import results_of

__all__ = ["PLANTED", "PREPARED_RUN", "TASK", "begin", "into", "out_of", "results", "same"]

PREPARED_RUN = ("in_file", "in_mask", "in_samples")
"""Inputs that a prepared run makes."""

TASK = ("events", "repetition_time", "start_time")
"""Inputs that the task of a run makes."""

PLANTED = ("planted_networks", "planted_courses")
"""Inputs that the truth of a simulated run makes."""

Connections = list[tuple[str, str]]


def begin(
    name: str, inputs: Iterable[str], outputs: Iterable[str], description: str | None = None
) -> tuple[LiterateWorkflow, pe.Node, pe.Node]:
    """Make a workflow, and the nodes for its inputs and outputs; `description` is for the Methods text."""
    workflow = LiterateWorkflow(name=name)
    workflow.__desc__ = description
    inputnode = pe.Node(IdentityInterface(fields=list(inputs)), name="inputnode")
    outputnode = pe.Node(IdentityInterface(fields=list(outputs)), name="outputnode")
    return workflow, inputnode, outputnode


def same(*names: str) -> Connections:
    """Connect fields of nodes.

    >>> same("in_file", "in_mask")
    [('in_file', 'in_file'), ('in_mask', 'in_mask')]
    """
    return [(name, name) for name in names]


def into(*names: str) -> Connections:
    """Connect fields of a node with inputs of a workflow."""
    return [(name, f"inputnode.{name}") for name in names]


def out_of(*names: str) -> Connections:
    """Connect outputs of a workflow with fields of a node."""
    return [(f"outputnode.{name}", name) for name in names]


def results(step: str, *, without: str = "") -> Connections:
    """Connect what the node of a step gives with outputs of the workflow.

    >>> results("baselines")
    [('baselines', 'baselines'), ('out_metadata', 'baselines_metadata')]
    """
    account = f"{step}_metadata"
    return [("out_metadata" if name == account else name, name) for name in results_of(step) if name != without]

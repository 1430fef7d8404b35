"""Lists of connections between nodes, by names that both ends share."""

from __future__ import annotations

from ..derivatives.names import results_of

__all__ = ["into", "out_of", "results", "same"]

Connections = list[tuple[str, str]]


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

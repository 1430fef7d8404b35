"""Workflows of settings by their names, and what is in them once they are expanded."""

from dataclasses import fields
from inspect import signature

from nipype.pipeline.engine.utils import generate_expanded_graph

from scaae_nipype.options import Evaluation, Nulls, Preparation, Training
from scaae_nipype.workflows import (
    Resources,
    init_networks_wf,
)

GROUPS = {"preparation": Preparation, "training": Training, "evaluation": Evaluation, "nulls": Nulls}
GROUPS |= {"resources": Resources}


def built(build, **settings):
    """Build a workflow, each setting in its group; baselines only where they are asked for."""
    for name, group in GROUPS.items():
        if name in signature(build).parameters:
            own = {field.name for field in fields(group)} & {*settings}
            given = {field: settings.pop(field) for field in own}
            settings[name] = group(**({"baselines": ()} if group is Evaluation else {}) | given)
    return build(**settings)


def networks(**settings):
    return built(init_networks_wf, **settings)


def edges(workflow):
    """Expand a workflow as Nipype does before it runs: {(node, output, node, input)} of the nodes that compute."""
    graph = generate_expanded_graph(workflow._create_flat_graph())
    return {
        (start.name, out if isinstance(out, str) else out[0], end.name, into)
        for start, end, data in graph.edges(data=True)
        for out, into in data["connect"]
    }


def nodes(workflow):
    return {node.name: node for node in generate_expanded_graph(workflow._create_flat_graph()).nodes()}

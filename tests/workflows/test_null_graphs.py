"""The workflows of the null models are built, connected and expanded; no data, no computation."""

import pytest
from nipype.pipeline.engine.utils import generate_expanded_graph

from scaae_nipype.workflows import init_networks_wf, init_nulls_wf, init_surrogate_templates_wf


def nodes(workflow):
    return {node.name: node for node in generate_expanded_graph(workflow._create_flat_graph()).nodes()}


def test_both_nulls_take_their_settings():
    found = nodes(init_nulls_wf(templates="smith2009", mode="paper", n_surrogates=49, seed=3, n_procs=2))
    assert set(found) == {"check_matches", "check_dynamics"}
    dynamics = found["check_dynamics"]
    assert (dynamics.inputs.n_surrogates, dynamics.inputs.seed, dynamics.inputs.num_threads) == (49, 3, 2)
    assert dynamics.n_procs == 2
    assert {node.inputs.templates for node in found.values()} == {"smith2009"}
    assert {node.inputs.mode for node in found.values()} == {"paper"}


def test_surrogates_are_made_of_templates_of_the_same_kind(tmp_path):
    maps = tmp_path / "maps.nii.gz"
    maps.touch()
    (made,) = nodes(init_surrogate_templates_wf(templates=str(maps), template_kind="continuous")).values()
    assert made.inputs.template_kind == "continuous"


def test_either_null_can_be_left_out():
    assert set(nodes(init_nulls_wf(n_surrogates=0))) == {"check_matches"}
    assert set(nodes(init_nulls_wf(spatial=False))) == {"check_dynamics"}


def test_hardware_does_not_change_a_nodes_hash():
    hashes = {
        nodes(init_nulls_wf(device=device, n_procs=n))["check_dynamics"].inputs.get_hashval()[1]
        for device, n in (("cpu", 1), ("cuda", 4))
    }
    assert len(hashes) == 1


def test_surrogate_templates_reach_the_matches():
    made = init_surrogate_templates_wf(n_surrogates=99, seed=2)
    node = nodes(made)["make_surrogates"]
    assert (node.inputs.n_surrogates, node.inputs.seed) == (99, 2)
    workflow = init_nulls_wf()
    graph = workflow._create_flat_graph()
    connected = [data["connect"] for start, end, data in graph.edges(data=True) if end.name == "check_matches"]
    assert any(("surrogate_templates", "surrogates") in pairs for pairs in connected)


@pytest.mark.parametrize(("n_folds", "expected"), [(0, "model_dir"), (3, "null_model_dir")])
def test_with_folds_the_temporal_null_alone_is_of_the_other_model(n_folds, expected):
    workflow = init_networks_wf(n_surrogates=19, n_folds=n_folds, baselines=())
    nulls, extract = workflow.get_node("nulls_wf"), workflow.get_node("extract")
    inputnode = workflow.get_node("inputnode")
    into_nulls = dict(workflow._graph.get_edge_data(inputnode, nulls)["connect"])
    assert {source for source, target in into_nulls.items() if target == "inputnode.model_dir"} == {expected}
    assert dict(workflow._graph.get_edge_data(inputnode, extract)["connect"])["model_dir"] == "model_dir"
    text = workflow.visit_desc()
    assert ("3-fold cross-fitting over participants" in text) == bool(n_folds)
    assert ("passed through the same network" in text) == (not n_folds)


def test_the_description_says_what_a_rejection_means():
    text = init_nulls_wf(n_surrogates=99).visit_desc()
    assert "99 surrogates" in text
    assert "not stationary, linear and Gaussian" in text
    assert "@prichard1994" in text
    assert "surrogates of the run" not in init_nulls_wf(n_surrogates=0).visit_desc()

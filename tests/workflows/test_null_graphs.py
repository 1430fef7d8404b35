"""Null models in the workflows: what they are given, and what they decide."""

import pytest
from graphs import edges, networks, nodes
from nipype.pipeline import engine as pe

from scaae_nipype.options import Evaluation, Nulls
from scaae_nipype.workflows import (
    Resources,
    init_additions_wf,
    init_derivatives_wf,
    init_networks_wf,
    init_nulls_wf,
    init_surrogate_templates_wf,
)

BOTH = Nulls(n_surrogate_templates=19, n_surrogates=99)


@pytest.fixture
def with_nulls(tmp_path):
    """Give a maker of the workflow with null models, its files given."""

    def make(**options):
        workflow = networks(n_surrogate_templates=19, n_surrogates=19, seed=4, **options)
        (tmp_path / "surrogates.npy").touch()
        workflow.inputs.inputnode.trait_set(
            surrogate_templates=str(tmp_path / "surrogates.npy"), run_name="sub-01_task-rest"
        )
        return workflow

    return make


def test_null_models_get_the_networks_and_decide_from_where_on_there_is_a_state(with_nulls):
    found, made = edges(with_nulls(templates="smith2009")), nodes(with_nulls(templates="smith2009"))
    assert ("extract", "fbn_maps", "check_matches", "fbn_maps") in found
    assert ("check_matches", "out_metadata", "states", "state_cutoffs") in found
    assert made["check_matches"].inputs.surrogates.endswith("surrogates.npy")
    assert made["check_matches"].inputs.templates == made["check_dynamics"].inputs.templates == "smith2009"
    assert made["check_dynamics"].inputs.run_name == "sub-01_task-rest"
    assert made["check_dynamics"].inputs.seed == made["check_matches"].inputs.seed == 4
    text = with_nulls().visit_desc()
    assert "none below the 95th percentile" in text and "19 surrogates of the run" in text


@pytest.mark.parametrize("options", [{"mode": "paper"}, {"state_cutoff": 0.25}])
def test_a_cutoff_that_is_given_stays(with_nulls, options):
    found = edges(with_nulls(**options))
    assert ("extract", "fbn_maps", "check_matches", "fbn_maps") in found
    assert not any(into == "state_cutoffs" for *_, into in found)


def test_results_of_the_null_models_are_saved(with_nulls, tmp_path):
    from scaae_nipype.workflows.networks import NETWORKS

    whole = pe.Workflow("whole")
    save = init_derivatives_wf(output_dir=str(tmp_path), entities={"sub": "01"})
    whole.connect([(with_nulls(), save, [(f"outputnode.{field}", f"inputnode.{field}") for field in NETWORKS])])
    assert {
        ("check_matches", "match_p", "save", "match_p"),
        ("check_matches", "matches", "save", "matches"),
        ("check_matches", "out_metadata", "save", "matches_metadata"),
        ("check_dynamics", "dynamics_null", "save", "dynamics_null"),
        ("check_dynamics", "out_metadata", "save", "dynamics_null_metadata"),
    } <= edges(whole)


def test_both_nulls_take_their_settings():
    asked = Evaluation("smith2009", mode="paper", seed=3)
    found = nodes(
        init_nulls_wf(asked, Nulls(n_surrogate_templates=19, n_surrogates=49), resources=Resources(n_procs=2))
    )
    assert set(found) == {"check_matches", "check_dynamics"}
    dynamics = found["check_dynamics"]
    assert (dynamics.inputs.n_surrogates, dynamics.inputs.seed, dynamics.inputs.num_threads) == (49, 3, 2)
    assert dynamics.n_procs == 2
    assert {node.inputs.templates for node in found.values()} == {"smith2009"}
    assert {node.inputs.mode for node in found.values()} == {"paper"}


def test_surrogates_are_made_of_templates_of_the_same_kind(tmp_path):
    maps = tmp_path / "maps.nii.gz"
    maps.touch()
    (made,) = nodes(init_surrogate_templates_wf(Evaluation(str(maps), template_kind="continuous"))).values()
    assert made.inputs.template_kind == "continuous"


def test_either_null_can_be_left_out():
    assert set(nodes(init_nulls_wf(nulls=Nulls(n_surrogate_templates=19)))) == {"check_matches"}
    assert set(nodes(init_nulls_wf(nulls=Nulls(n_surrogates=19)))) == {"check_dynamics"}


def test_surrogate_templates_reach_the_matches():
    made = init_surrogate_templates_wf(Evaluation(seed=2), n_surrogate_templates=99)
    node = nodes(made)["make_surrogates"]
    assert (node.inputs.n_surrogate_templates, node.inputs.seed) == (99, 2)
    workflow = init_nulls_wf(nulls=BOTH)
    graph = workflow._create_flat_graph()
    connected = [data["connect"] for start, end, data in graph.edges(data=True) if end.name == "check_matches"]
    assert any(("surrogate_templates", "surrogates") in pairs for pairs in connected)


@pytest.mark.parametrize(("n_folds", "expected"), [(0, "model_dir"), (3, "null_model_dir")])
def test_with_folds_the_temporal_null_alone_is_of_the_other_model(n_folds, expected):
    workflow = init_networks_wf(nulls=Nulls(n_surrogates=19, n_folds=n_folds))
    nulls, extract = workflow.get_node("nulls_wf"), workflow.get_node("extract")
    inputnode = workflow.get_node("inputnode")
    into_nulls = dict(workflow._graph.get_edge_data(inputnode, nulls)["connect"])
    assert {source for source, target in into_nulls.items() if target == "inputnode.model_dir"} == {expected}
    assert dict(workflow._graph.get_edge_data(inputnode, extract)["connect"])["model_dir"] == "model_dir"
    text = workflow.visit_desc()
    assert ("3-fold cross-fitting over participants" in text) == bool(n_folds)
    assert ("passed through the same network" in text) == (not n_folds)


def test_the_description_says_what_a_rejection_means():
    text = init_nulls_wf(nulls=Nulls(n_surrogates=99)).visit_desc()
    assert "99 surrogates" in text
    assert "not stationary, linear and Gaussian" in text
    assert "@prichard1994" in text
    assert "surrogates of the run" not in init_nulls_wf(nulls=Nulls(n_surrogate_templates=19)).visit_desc()


@pytest.mark.parametrize("part", ["matches", "dynamics_null"])
def test_a_null_model_can_be_all_that_is_added(part):
    evaluation = Evaluation(baselines=())
    workflow = init_additions_wf(evaluation, BOTH, parts={part}, with_extraction=False)
    name = {"matches": "check_matches", "dynamics_null": "check_dynamics"}[part]
    assert name in nodes(workflow)
    assert not {"match_templates", "states"} & set(nodes(workflow))

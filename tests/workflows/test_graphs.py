"""Every workflow is built, connected and expanded; no data, no computation."""

import importlib.util
import re
from dataclasses import fields
from inspect import signature
from pathlib import Path

import pytest
from nipype.interfaces.base import TraitError, isdefined
from nipype.interfaces.utility import IdentityInterface
from nipype.pipeline import engine as pe
from nipype.pipeline.engine.utils import generate_expanded_graph

from scaae_nipype.errors import ScaaeError, UsageError
from scaae_nipype.files import write_json
from scaae_nipype.grid import load_grid
from scaae_nipype.options import Evaluation, Nulls, Preparation, Training
from scaae_nipype.workflows import (
    Resources,
    init_derivatives_wf,
    init_evaluation_wf,
    init_networks_wf,
    init_nulls_wf,
    init_prepare_run_wf,
    init_reports_wf,
    init_scaae_wf,
    init_surrogate_templates_wf,
    init_training_wf,
)

EXAMPLES = Path(__file__).parents[2] / "examples"
DOCUMENT = Path(__file__).parents[2] / "docs" / "pipelines.md"


@pytest.fixture
def model_dir(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    load_grid().save(folder / "mask.nii.gz")
    (folder / "weights.safetensors").touch()
    write_json({"Preset": "tiny", "Mode": "calibrated"}, folder / "card.json")
    return str(folder)


@pytest.fixture
def bold(tmp_path):
    path = tmp_path / "bold.nii.gz"
    path.touch()
    return str(path)


KINDS = ("auto", "continuous", "labels", "thresholded")


BOTH = Nulls(n_surrogate_templates=19, n_surrogates=99)

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


def test_preparation_hands_its_arguments_to_the_node(bold):
    asked = Preparation("athena", smoothing_fwhm=4.0, high_pass=0.0, low_pass=0.1, fd_threshold=0.2, dummy_scans=3)
    workflow = init_prepare_run_wf(asked, mem_gb=2.5)
    workflow.inputs.inputnode.in_file = bold
    prepare = nodes(workflow)["prepare"]
    assert (prepare.inputs.strategy, prepare.inputs.smoothing_fwhm, prepare.inputs.dummy_scans) == ("athena", 4.0, 3)
    assert (prepare.inputs.high_pass, prepare.inputs.low_pass, prepare.inputs.fd_threshold) == (0.0, 0.1, 0.2)
    assert prepare.mem_gb == 2.5


def test_preparation_leaves_to_the_strategy_what_is_not_given():
    prepare = nodes(init_prepare_run_wf())["prepare"]
    assert not any(isdefined(getattr(prepare.inputs, name)) for name in ("high_pass", "low_pass", "fd_threshold"))


@pytest.mark.parametrize(("build", "name"), [(init_networks_wf, "extract"), (init_nulls_wf, "check_dynamics")])
def test_hardware_does_not_change_a_nodes_hash(build, name):
    hashes = {
        nodes(build(nulls=BOTH, resources=Resources(device, threads)))[name].inputs.get_hashval()[1]
        for device in ("auto", "cpu", "cuda")
        for threads in (1, 8)
    }
    assert len(hashes) == 1


def test_networks_are_scored_on_what_was_extracted():
    found = edges(networks())
    assert ("extract", "fbn_maps", "match_templates", "fbn_maps") in found
    assert ("extract", "fbn_maps", "gradual_change", "fbn_maps") in found


def test_states_reuse_the_scores_and_average_the_signed_maps():
    found = edges(networks(mode="paper", state_cutoff=0.25))
    assert ("match_templates", "template_scores", "states", "scores") in found
    assert ("extract", "signed_maps", "states", "signed_maps") in found
    made = nodes(networks(mode="paper", state_cutoff=0.25))
    assert made["states"].inputs.mode == made["match_templates"].inputs.mode == "paper"
    assert made["states"].inputs.state_cutoff == 0.25
    assert "by IoU, or none below 0.25" in networks(mode="paper", state_cutoff=0.25).visit_desc()
    assert "by size-matched IoU, or none below 0.2" in networks().visit_desc()


def test_kinds_reach_every_node_that_reads_templates(tmp_path):
    maps = tmp_path / "maps.nii.gz"
    maps.touch()
    asked = {"templates": str(maps), "template_kind": "thresholded", "atlas": "default", "atlas_kind": "labels"}
    made = nodes(networks(**asked, baselines=("smoothed",), n_surrogate_templates=19, n_surrogates=19))
    read_templates = {"match_templates", "states", "baselines", "check_matches", "check_dynamics"}
    assert {made[name].inputs.template_kind for name in read_templates} == {"thresholded"}
    assert made["regions"].inputs.atlas_kind == "labels"
    hashes = {nodes(networks(template_kind=k))["match_templates"].inputs.get_hashval()[1] for k in KINDS}
    assert len(hashes) == 4


def test_what_was_not_asked_for_is_not_computed(tmp_path):
    unasked = {"baselines", "regions", "events", "check_matches", "check_dynamics"}
    assert not unasked & set(nodes(networks()))
    asked = {"baselines": ("smoothed",), "atlas": "default", "with_events": True, "seed": 4}
    workflow = networks(**asked)
    (tmp_path / "events.tsv").touch()
    workflow.inputs.inputnode.events = str(tmp_path / "events.tsv")
    found, made = edges(workflow), nodes(workflow)
    assert (made["baselines"].inputs.baselines, made["baselines"].inputs.seed) == (["smoothed"], 4)
    assert made["regions"].inputs.atlas == "default"
    assert made["events"].inputs.events == str(tmp_path / "events.tsv")
    assert ("extract", "code", "baselines", "code") in found
    assert {
        ("match_templates", "template_scores", "events", "scores"),
        ("states", "states", "events", "states"),
    } <= found
    assert "circular shifts" in workflow.visit_desc() and "smoothed" in workflow.visit_desc()


def test_the_untrained_network_is_drawn_from_the_model_where_it_is_asked_for(model_dir):
    workflow = networks(baselines=("pca", "untrained"), device="cpu", n_procs=2, baselines_mem_gb=2.5)
    workflow.inputs.inputnode.model_dir = model_dir
    scored = nodes(workflow)["baselines"]
    assert scored.inputs.model_dir == model_dir
    assert scored.n_procs == scored.inputs.num_threads == 2
    plain = networks(baselines=("pca",), n_procs=2)
    plain.inputs.inputnode.model_dir = model_dir
    assert not isdefined(nodes(plain)["baselines"].inputs.model_dir)
    assert nodes(plain)["baselines"].n_procs == 1
    assert scored.mem_gb == 2.5


def test_the_context_is_taken_from_the_model_and_needs_one_processor(model_dir):
    workflow = networks(baselines=("smoothed", "context"), n_procs=2)
    workflow.inputs.inputnode.model_dir = model_dir
    scored = nodes(workflow)["baselines"]
    assert (scored.inputs.model_dir, scored.n_procs) == (model_dir, 1)


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


def test_training_threads_follow_the_nodes_processors():
    made = built(init_training_wf, run_names=["a"], n_procs=3, processes=2, preset="tiny", mode="paper", seed=7)
    train = nodes(made)["train"]
    assert train.n_procs == train.inputs.num_threads == 3
    assert train.inputs.processes == 2
    assert (train.inputs.preset, train.inputs.mode, train.inputs.seed) == ("tiny", "paper", 7)


def test_one_run_from_bold_to_networks(model_dir, bold):
    workflow = init_scaae_wf(model_dir, evaluation=Evaluation(baselines=()))
    workflow.inputs.inputnode.in_file = bold
    assert set(nodes(workflow)) == {"prepare", "extract", "match_templates", "gradual_change", "states"}
    found = edges(workflow)
    for output, field in (("out_file", "in_file"), ("out_mask", "in_mask"), ("out_samples", "in_samples")):
        assert {("prepare", output, node, field) for node in ("extract", "match_templates", "states")} <= found
    assert nodes(workflow)["prepare"].inputs.grid_mask == f"{model_dir}/mask.nii.gz"


def test_one_run_with_null_models(model_dir, bold):
    workflow = built(init_scaae_wf, model_dir=model_dir, n_surrogate_templates=19, n_surrogates=19)
    workflow.inputs.inputnode.trait_set(in_file=bold, run_name="sub-01_task-rest", surrogate_templates=bold)
    made = nodes(workflow)
    assert made["check_matches"].inputs.surrogates == bold
    assert made["check_dynamics"].inputs.run_name == "sub-01_task-rest"
    assert ("prepare", "out_samples", "check_dynamics", "in_samples") in edges(workflow)


def test_the_description_names_what_was_asked_for(model_dir):
    asked = Preparation("36P", smoothing_fwhm=5.0, high_pass=0.01, fd_threshold=0.3)
    text = init_scaae_wf(model_dir, preparation=asked, evaluation=Evaluation("smith2009")).visit_desc()
    for words in ("5 mm FWHM", "*36P*", "high-pass 0.01 Hz", "above 0.3 mm", "@smith2009", "@scaae", "@nilearn"):
        assert words in text
    assert "smoothed" not in init_prepare_run_wf(Preparation(smoothing_fwhm=0)).visit_desc()
    assert "denoised before" in init_prepare_run_wf(denoised=True).visit_desc()


@pytest.mark.parametrize(
    ("build", "arguments", "words"),
    [
        (init_prepare_run_wf, {"strategy": "36PP"}, "`strategy` 36PP: no nuisance strategy"),
        (init_prepare_run_wf, {"smoothing_fwhm": -3}, "`smoothing_fwhm` -3: must be 0 or larger"),
        (init_prepare_run_wf, {"repetition_time": 2000}, "`repetition_time` must be a number above 0 and at most 60"),
        (init_prepare_run_wf, {"denoised": True, "strategy": "24P"}, "`strategy` has no effect"),
        (init_prepare_run_wf, {"mem_gb": -1}, "`mem_gb` must be a number of gigabytes"),
        (init_networks_wf, {"device": "gpu"}, "`device` gpu: must be auto"),
        (init_networks_wf, {"n_procs": 0}, "`n_procs` must be a whole number, 1 or larger, not 0"),
        (init_networks_wf, {"n_surrogates": 5}, "`n_surrogates` 5: must be 0 .*, or 19 or larger"),
        (init_networks_wf, {"n_surrogates": 19, "n_folds": 1}, "`n_folds` 1: must be 0 .*, or 2 or larger"),
        (init_networks_wf, {"templates": "smith"}, "neither a file nor one of default"),
        (init_networks_wf, {"mode": "papr"}, "`mode` papr: must be one of calibrated, paper"),
        (init_networks_wf, {"baselines": ["smooth"]}, "`baselines` smooth: unknown; choose from smoothed"),
        (init_networks_wf, {"state_cutoff": 7}, "`state_cutoff` 7: must be at most 1"),
        (init_networks_wf, {"atlas_labels": "names.tsv"}, "`atlas_labels` has no effect without `atlas`"),
        (init_evaluation_wf, {"cutoffs_given": True, "state_cutoff": 0.2}, "`state_cutoff` has no effect with"),
        (init_evaluation_wf, {"device": "gpu"}, "`device` gpu: must be auto"),
        (init_training_wf, {"run_names": ["a"], "preset": "tinyy"}, "'preset' .*'tiny'"),
        (init_training_wf, {"run_names": "sub-01"}, "`run_names` must be a list"),
        (init_scaae_wf, {"model_dir": "missing"}, "missing: is not a model folder"),
        (init_derivatives_wf, {"output_dir": "missing", "entities": {"sub": "01"}}, "existing directory"),
        (init_reports_wf, {"output_dir": ".", "participants": ["sub-01"]}, "`participant` sub-01: must be a label"),
    ],
)
def test_builders_refuse_at_once_what_cannot_be(build, arguments, words):
    with pytest.raises((TraitError, ScaaeError), match=words):
        built(build, **arguments)


def test_a_setting_without_its_group_is_told_where_it_belongs(model_dir):
    with pytest.raises(UsageError, match=r"give preparation=Preparation\(smoothing_fwhm=4\)"):
        init_scaae_wf(model_dir, smoothing_fwhm=4)
    with pytest.raises(UsageError, match=r"init_networks_wf takes `device` in a group: give resources=Resources\("):
        init_networks_wf(device="cpu")
    with pytest.raises(UsageError, match=r"`evaluation` must be Evaluation\(…\), not \{'templates'"):
        init_networks_wf({"templates": "default"})
    with pytest.raises(TypeError, match="unexpected keyword argument 'nonsense'"):
        init_networks_wf(nonsense=1)


def test_one_baseline_may_be_given_by_its_name_alone():
    assert nodes(networks(baselines="smoothed"))["baselines"].inputs.baselines == ["smoothed"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            {},
            ["smoothed with a Gaussian kernel of 6 mm FWHM", "*auto*", "24 motion parameters", "white matter and CSF"],
        ),
        ({}, ["Butterworth filter with high-pass 0.008 Hz", "above 0.5 mm", "mark as non-steady state were left out"]),
        ({"strategy": "athena"}, ["high-pass 0.009 Hz and low-pass 0.08 Hz", "order 3", "none was censored"]),
        ({"strategy": "athena", "fd_threshold": 0.3, "dummy_scans": 4}, ["above 0.3 mm", "The first 4 volumes"]),
        ({"strategy": "auto+gsr", "low_pass": 0.1}, ["the global signal", "high-pass 0.008 Hz and low-pass 0.1 Hz"]),
        ({"strategy": "none", "dummy_scans": 0}, ["z-scoring alone", "No volume was left out at the beginning"]),
        ({"repetition_time": 0.8}, ["at a repetition time of 0.8 s"]),
        ({"denoised": True}, ["denoised before", "above 0.5 mm"]),
    ],
)
def test_the_description_says_what_a_strategy_means(arguments, words):
    text = built(init_prepare_run_wf, **arguments).visit_desc()
    assert [word for word in words if word not in text] == []


def test_the_description_is_the_same_where_the_strategys_values_are_spelled_out():
    """The command line gives every number; a builder may leave it to the strategy."""
    spelled = init_prepare_run_wf(Preparation("auto", high_pass=0.008, low_pass=0.0, fd_threshold=0.5))
    assert spelled.visit_desc() == init_prepare_run_wf().visit_desc()
    assert "filter" not in init_prepare_run_wf(Preparation(high_pass=0.0)).visit_desc()
    assert "filter" not in init_prepare_run_wf(denoised=True).visit_desc()


def test_the_description_of_a_strategy_file_says_what_is_in_it(tmp_path):
    write_json({"columns": ["csf", "rot_*"], "high_pass": None, "fd_threshold": 0.2}, tmp_path / "mine.json")
    text = init_prepare_run_wf(Preparation(str(tmp_path / "mine.json"))).visit_desc()
    assert "*mine.json*" in text and "the columns csf, rot_* of the confounds" in text and "above 0.2 mm" in text
    assert "filter" not in text


def test_the_description_names_the_model(model_dir):
    text = init_scaae_wf(model_dir=model_dir).visit_desc()
    assert "preset *tiny*, mode *calibrated*" in text


def test_derivatives_and_reports(tmp_path):
    save = nodes(init_derivatives_wf(output_dir=str(tmp_path), entities={"sub": "01"}, sources=["bids::a"]))["save"]
    assert save.inputs.entities == {"sub": "01"}
    assert set(nodes(init_reports_wf(output_dir=str(tmp_path), participants=["01", "b"]))) == {
        "report_sub_01",
        "report_sub_b",
    }


def test_the_ten_lines_of_the_documentation(model_dir, bold):
    code = re.search(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)[1]
    yours = pe.Node(IdentityInterface(fields=["bold", "confounds"]), name="yours")
    yours.inputs.trait_set(bold=bold, confounds=bold)
    sink = pe.Node(IdentityInterface(fields=["maps", "tables"]), name="sink")
    pipeline = pe.Workflow("pipeline")
    exec(code.replace("/models/mine", model_dir), {"pipeline": pipeline, "yours": yours, "sink": sink})
    made = nodes(pipeline)
    assert (made["prepare"].inputs.strategy, made["prepare"].inputs.smoothing_fwhm) == ("36P", 4)
    assert (made["baselines"].inputs.templates, made["baselines"].inputs.baselines) == ("smith2009", ["smoothed"])
    assert made["prepare"].inputs.in_file == bold and made["extract"].n_procs == 4


def test_the_example_for_other_pipelines(model_dir, bold, tmp_path):
    specification = importlib.util.spec_from_file_location("in_a_pipeline", EXAMPLES / "in_a_pipeline.py")
    example = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(example)
    found = edges(example.build(bold, bold, bold, model_dir, str(tmp_path)))
    assert ("extract", "fbn_maps", "yours", "maps") in found
    assert ("match_templates", "overlap", "yours", "tables") in found

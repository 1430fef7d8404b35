"""Every workflow is built, connected and expanded; no data, no computation."""

import importlib.util
import re
from pathlib import Path

import pytest
from graphs import built, edges, networks, nodes
from nipype.interfaces.base import TraitError, isdefined
from nipype.interfaces.utility import IdentityInterface
from nipype.pipeline import engine as pe

from scaae_nipype.errors import ScaaeError, UsageError
from scaae_nipype.files import write_json
from scaae_nipype.options import Evaluation, Nulls, Preparation
from scaae_nipype.workflows import (
    Resources,
    init_derivatives_wf,
    init_evaluation_wf,
    init_networks_wf,
    init_nulls_wf,
    init_prepare_run_wf,
    init_reports_wf,
    init_scaae_wf,
    init_training_wf,
)

EXAMPLES = Path(__file__).parents[2] / "examples"
DOCUMENT = Path(__file__).parents[2] / "docs" / "pipelines.md"


KINDS = ("auto", "continuous", "labels", "thresholded")


BOTH = Nulls(n_surrogate_templates=19, n_surrogates=99)


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
    assert "by size-matched IoU, or none below what at most 5 % of noise volumes as" in networks().visit_desc()
    assert "19 sets of surrogate templates" in networks().visit_desc()
    assert "surrogate templates" not in networks(n_chance_templates=0).visit_desc()


def test_kinds_reach_every_node_that_reads_templates(tmp_path):
    maps = tmp_path / "maps.nii.gz"
    maps.touch()
    asked = {"templates": str(maps), "template_kind": "thresholded", "atlas": str(maps), "atlas_kind": "labels"}
    made = nodes(networks(**asked, baselines=("smoothed",), n_surrogate_templates=19, n_surrogates=19))
    read_templates = {"match_templates", "states", "baselines", "check_matches", "check_dynamics"}
    assert {made[name].inputs.template_kind for name in read_templates} == {"thresholded"}
    assert made["regions"].inputs.atlas_kind == "labels"
    asked = [networks(templates=str(maps), template_kind=kind) for kind in KINDS]
    hashes = {nodes(made)["match_templates"].inputs.get_hashval()[1] for made in asked}
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


def test_what_was_planted_in_a_simulated_run_is_held_against_its_networks(model_dir, tmp_path):
    workflow = networks(with_planted=True)
    truth = {"planted_networks": tmp_path / "networks.nii.gz", "planted_courses": tmp_path / "timecourses.tsv"}
    for path in truth.values():
        path.touch()
    workflow.inputs.inputnode.trait_set(model_dir=model_dir, **{name: str(path) for name, path in truth.items()})
    made = nodes(workflow)["planted"]
    assert {name: getattr(made.inputs, name) for name in truth} == {name: str(path) for name, path in truth.items()}
    assert made.inputs.model_dir == model_dir
    assert {("extract", name, "planted", name) for name in ("fbn_maps", "signed_maps")} <= edges(workflow)
    assert "planted" not in nodes(networks())


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

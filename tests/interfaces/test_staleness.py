"""A node runs again when what it reads has changed, and only then: real Nipype workflows, run twice."""

import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nipype.interfaces.utility import Function, IdentityInterface
from nipype.pipeline import engine as pe

from scaae_nipype.files import write_json
from scaae_nipype.interfaces.evaluation import CheckDynamics, MatchTemplates, ScoreBaselines
from scaae_nipype.interfaces.model import ExtractNetworks, TrainModel
from scaae_nipype.interfaces.preparation import PrepareRun


def maps_of(paths):
    return np.stack([np.asanyarray(nib.load(path).dataobj) for path in paths])


def checksum_by_stranger(model_dir):
    import json
    from pathlib import Path

    return json.loads((Path(model_dir) / "card.json").read_text())["WeightsSHA256"]


@pytest.fixture
def run_pipeline(tmp_path, grid_mask):
    """Train on runs, extract networks of the first in a node and of all in a MapNode, ask a node of somebody else."""

    def run(runs, *, seed):
        train = pe.Node(
            TrainModel(preset="tiny", train_volumes=16, device="cpu", precision="fp32", num_threads=1), "train"
        )
        train.inputs.trait_set(
            in_files=[one["in_file"] for one in runs],
            in_samples=[one["in_samples"] for one in runs],
            grid_mask=grid_mask,
            seed=seed,
        )
        extract = pe.Node(ExtractNetworks(**runs[0], num_threads=1), "extract")
        extract_all = pe.MapNode(ExtractNetworks(num_threads=1), name="extract_all", iterfield=list(runs[0]))
        for field in runs[0]:
            setattr(extract_all.inputs, field, [one[field] for one in runs])
        between = pe.Node(IdentityInterface(fields=["model_dir"]), "between")
        stranger = pe.Node(Function(function=checksum_by_stranger, output_names=["checksum"]), "stranger")
        workflow = pe.Workflow("pipeline", base_dir=str(tmp_path / "work"))
        workflow.config["execution"] = {"crashdump_dir": str(tmp_path)}
        workflow.connect(
            [
                (train, between, [("model_dir", "model_dir")]),
                (between, extract, [("model_dir", "model_dir")]),
                (train, extract_all, [("model_dir", "model_dir")]),
                (train, stranger, [("model_dir", "model_dir")]),
            ]
        )
        done = {node.name: node for node in workflow.run().nodes()}
        return {
            "one": maps_of(done["extract"].result.outputs.fbn_maps),
            "all": np.stack([maps_of(paths) for paths in done["extract_all"].result.outputs.fbn_maps]),
            "stranger": done["stranger"].result.outputs.checksum,
            "model": Path(done["train"].result.outputs.model_dir),
            "when": Path(done["extract"].result.outputs.fbn_maps[0]).stat().st_mtime_ns,
        }

    return run


def test_networks_follow_the_model_when_seed_or_data_change(run_pipeline, runs, write_run):
    first = run_pipeline(runs, seed=1)
    again = run_pipeline(runs, seed=1)
    assert again["when"] == first["when"]  # nothing changed, nothing ran
    assert first["model"].name.endswith(first["stranger"][:12])
    other_seed = run_pipeline(runs, seed=2)
    assert other_seed["stranger"] != first["stranger"]
    for what in ("one", "all"):
        assert not np.array_equal(other_seed[what], first[what])
    assert np.array_equal(other_seed["one"], other_seed["all"][0])
    write_run("run2", seed=7)  # in place; the network that reads run1 is another now, run1 is not
    other_data = run_pipeline(runs, seed=2)
    assert other_data["stranger"] != other_seed["stranger"]
    assert not np.array_equal(other_data["one"], other_seed["one"])


@pytest.mark.parametrize("method", ["content", "timestamp"])
def test_a_model_folder_counts_by_its_files_in_every_interface(make_model, runs, templates, method):
    folder = str(make_model(seed=1))
    inputs = {
        "extract": ExtractNetworks(**runs[0], model_dir=folder).inputs,
        "dynamics": CheckDynamics(**runs[0], model_dir=folder).inputs,
        "baselines": ScoreBaselines(**runs[0], model_dir=folder, baselines=["untrained"]).inputs,
    }
    first = {name: one.get_hashval(method)[1] for name, one in inputs.items()}
    assert first == {name: one.get_hashval(method)[1] for name, one in inputs.items()}
    make_model(seed=2)
    second = {name: one.get_hashval(method)[1] for name, one in inputs.items()}
    assert not set(first.values()) & set(second.values())
    listed = dict(inputs["extract"].get_hashval(method)[0])
    assert any("weights.safetensors" in str(content) for name, content in listed.items() if "model_dir" in name)


def test_a_mapnode_over_models_runs_again_for_the_one_that_changed(make_model, runs, tmp_path):
    def run():
        extract = ExtractNetworks(**runs[0], num_threads=1)
        node = pe.MapNode(extract, name="extract", iterfield=["model_dir"], base_dir=str(tmp_path))
        node.inputs.model_dir = folders
        return [maps_of(paths) for paths in node.run().outputs.fbn_maps]

    folders = [str(make_model("a", seed=1)), str(make_model("b", seed=2))]
    before = run()
    make_model("b", seed=3)
    after = run()
    assert np.array_equal(after[0], before[0])
    assert not np.array_equal(after[1], before[1])


@pytest.mark.parametrize("method", ["content", "timestamp"])
def test_lists_of_files_count_by_what_each_holds(runs, write_run, templates, method):
    inputs = MatchTemplates(**runs[0], fbn_maps=[runs[0]["in_file"], runs[1]["in_file"]], templates=templates).inputs
    before = inputs.get_hashval(method)[1]
    write_run("run2", seed=9)
    os.utime(runs[1]["in_file"], (1, 1))
    assert inputs.get_hashval(method)[1] != before


def test_what_is_read_because_it_lies_beside_an_input_counts(bold, runs, templates, tmp_path):
    prepare = PrepareRun(**bold).inputs
    match = MatchTemplates(**runs[0], fbn_maps=[runs[0]["in_file"]], templates=templates).inputs
    before = prepare.get_hashval("content")[1], match.get_hashval("content")[1]
    write_json({"trans_x": {"Method": "other"}}, tmp_path / "confounds.json")
    (tmp_path / "templates.tsv").write_text("index\tname\n1\tA\n2\tB\n3\tC\n")
    assert prepare.get_hashval("content")[1] != before[0]
    assert match.get_hashval("content")[1] != before[1]


def test_where_and_how_fast_does_not_count_what_does(runs, make_model):
    folder = str(make_model())

    def hash_of(**inputs):
        return ExtractNetworks(**{**runs[0], "model_dir": folder, **inputs}).inputs.get_hashval("content")[1]

    plain = hash_of()
    assert plain == hash_of(device="cpu") == hash_of(num_threads=3) == hash_of(run_name="sub-01")
    assert plain != hash_of(save_signed=True)
    assert plain != hash_of(in_samples=runs[1]["in_file"])


def test_a_folder_for_checkpoints_serves_training_after_training(runs, write_run, grid_mask, tmp_path, monkeypatch):
    """The first leaves nothing that the second, on other data, would go on from or stumble over."""
    monkeypatch.setattr("scaae_nipype.model.training.trainer.CHECKPOINT_EVERY", 8)

    def train(name, **more):
        (tmp_path / name).mkdir()
        made = TrainModel(preset="tiny", train_volumes=16, device="cpu", precision="fp32", grid_mask=grid_mask)
        made.inputs.trait_set(
            in_files=[one["in_file"] for one in runs],
            in_samples=[one["in_samples"] for one in runs],
            **more,
        )
        return checksum_by_stranger(made.run(cwd=str(tmp_path / name)).outputs.model_dir)

    shared = {"checkpoint_dir": str(tmp_path / "checkpoints")}
    first = train("a", **shared)
    write_run("run2", seed=11)
    assert train("b", **shared) == train("c") != first

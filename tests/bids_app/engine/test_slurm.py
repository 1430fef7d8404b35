"""What Nipype's plugin for Slurm asks for on behalf of a node, and what is said of a job that Slurm refuses."""

import os

import pytest
from nipype.interfaces.utility import Function
from nipype.pipeline import engine as pe

from scaae_nipype.bids_app.engine.endings import ending_of
from scaae_nipype.bids_app.engine.nodes import run_workflow
from scaae_nipype.bids_app.engine.slurm import node_arguments


def same(value):
    return value


@pytest.fixture
def node():
    function = Function(input_names=["value"], output_names=["result"], function=same)
    made = pe.Node(function, name="step", mem_gb=4, n_procs=3)
    made.inputs.value = 1
    return made


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("", ["--mem=4400M", "--cpus-per-task=3"]),
        ("--partition=long --mem=8G", ["--partition=long", "--mem=8G", "--cpus-per-task=3"]),
        ("-c 2 --mem-per-cpu 3G", ["-c", "2", "--mem-per-cpu", "3G"]),
        ("--comment='a-e and -c' --account=neuro-one", ["--comment=a-e and -c", "--account=neuro-one"]),
    ],
)
def test_a_node_asks_for_what_it_declares_unless_the_user_says(node, given, words):
    asked = node_arguments(node, given)
    assert asked[: len(words)] == words
    assert sum(word.startswith("--mem") for word in asked) == 1
    assert len([word for word in asked if word.startswith(("--cpus-per-task", "-c"))]) == 1


def test_the_words_of_a_node_are_added_or_stand_alone(node):
    node.plugin_args = {"sbatch_args": "--mem=1G"}
    assert node_arguments(node, "--partition=long") == ["--partition=long", "--mem=1G", "--cpus-per-task=3"]
    node.plugin_args = {"sbatch_args": "--mem=1G", "overwrite": True}
    assert node_arguments(node, "--partition=long") == ["--mem=1G", "--cpus-per-task=3"]


def test_python_itself_needs_memory_too(node):
    node._mem_gb = 0.1
    assert "--mem=1000M" in node_arguments(node, "")


def test_a_job_that_is_refused_is_one_line(node, tmp_path, monkeypatch):
    """A program with the name and the words of Slurm's refuses."""
    (tmp_path / "bin").mkdir()
    for name, words in (
        ("sbatch", "echo 'sbatch: error: invalid partition specified: nowhere' >&2; exit 1"),
        ("squeue", ""),
    ):
        (tmp_path / "bin" / name).write_text(f"#!/bin/bash\n{words}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    (tmp_path / "p.yml").write_text("plugin: SLURM\nplugin_args: {sbatch_args: -p nowhere, max_tries: 0}\n")
    workflow = pe.Workflow("all_wf", base_dir=str(tmp_path))
    workflow.add_nodes([node])
    outcome = run_workflow(workflow, nprocs=1, memory_gb=2, log_file=tmp_path / "log", plugin_file=tmp_path / "p.yml")
    assert outcome.failures["all_wf.step"].message == (
        "step step: Slurm took no job for it: sbatch: error: invalid partition specified: nowhere"
    )


def test_the_last_words_of_a_log_count(tmp_path):
    log = tmp_path / "slurm-1.out"
    assert ending_of(log) == "never"
    log.write_text("All done.\n")
    assert ending_of(log) == "unknown"
    log.write_text("slurmstepd: error: *** JOB 14 ON node7 CANCELLED AT 2026-11-26T18:28:53 DUE TO TIME LIMIT ***\n")
    assert ending_of(log) == "time"

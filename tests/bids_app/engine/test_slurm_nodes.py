"""Nipype's SLURM plugin: what a job asks for, and what is said of one that is lost; at the end on a real Slurm."""

import subprocess
import sys
from pathlib import Path

import pytest
from nipype.interfaces.utility import Function
from nipype.pipeline import engine as pe

from scaae_nipype.bids_app.engine.nodes import run_workflow
from scaae_nipype.bids_app.engine.slurm_nodes import arguments_of

LOG = Path("/w/a folder/slurm.out")


def node_of(function, name="work", **needs):
    return pe.Node(Function(function=function, output_names=["out"]), name=name, **needs)


def quick():
    return 1


def sleep():
    import time

    time.sleep(600)


def fill():
    import time

    full = bytearray(2_000_000_000)
    time.sleep(600)
    return len(full)


def test_memory_and_processors_of_a_node_become_those_of_its_job():
    node = node_of(quick, mem_gb=2.0, n_procs=3)
    assert arguments_of(node, "", LOG) == [
        "--mem=2500M",
        "--cpus-per-task=3",
        "--output=/w/a folder/slurm.out",
        "--error=/w/a folder/slurm.out",
    ]


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ("--mem=8G -p long", ["--cpus-per-task=1", "--output", "--error"]),
        ("--mem-per-cpu 8G", ["--cpus-per-task=1", "--output", "--error"]),
        ("-c 4 --exclusive --open-mode=append", ["--mem=1000M", "--output", "--error"]),
        ("-o x.log", ["--mem=1000M", "--cpus-per-task=1"]),
    ],
)
def test_what_the_user_says_counts(given, left):
    """Of `--exclusive` and `--open-mode` Nipype's own plugin believes that they name a log."""
    words = arguments_of(node_of(quick, mem_gb=0.2), given, LOG)
    assert [word.partition("=")[0] if "put" in word or "err" in word else word for word in words] == left


@pytest.fixture
def on_slurm(cluster, tmp_path):
    """Run nodes beside each other on the real Slurm; `meanwhile` is called with the numbers of their jobs."""

    def run(*nodes, arguments=""):
        folder = tmp_path / "a folder"
        folder.mkdir(exist_ok=True)
        (tmp_path / "plugin.yml").write_text(f"plugin: SLURM\nplugin_args: {{sbatch_args: '{arguments}'}}\n")
        workflow = pe.Workflow("all_wf", base_dir=str(folder))
        workflow.add_nodes(list(nodes))
        return run_workflow(
            workflow, nprocs=1, memory_gb=1, log_file=tmp_path / "log", plugin_file=tmp_path / "plugin.yml"
        )

    return run


CANCEL = """
import subprocess, sys, time
while True:
    asked = ["squeue", "--me", "--noheader", "--states=RUNNING", "--format=%A %j"]
    for line in subprocess.run(asked, capture_output=True, text=True).stdout.splitlines():
        number, name = line.split()
        if "cancelled" in name:
            subprocess.run(["scancel", number])
            sys.exit()
    time.sleep(0.2)
"""


@pytest.mark.slow
def test_a_cancelled_node_and_one_out_of_memory_are_explained_and_the_others_finish(on_slurm):
    with subprocess.Popen([sys.executable, "-c", CANCEL]) as canceller:
        try:
            outcome = on_slurm(
                node_of(quick, "healthy", mem_gb=0.4),
                node_of(sleep, "cancelled", mem_gb=0.4),
                node_of(fill, "greedy", mem_gb=0.4),
            )
        finally:
            canceller.kill()
    messages = {name.partition(".")[2]: failure.message for name, failure in outcome.failures.items()}
    assert set(outcome.finished) == {"all_wf.healthy"}
    assert set(messages) == {"cancelled", "greedy"}
    assert messages["cancelled"].startswith("step cancelled: its job ")
    assert " was cancelled (log: " in messages["cancelled"]
    assert " was killed for want of memory: give more in sbatch_args (--mem=8G) (log: " in messages["greedy"]
    for message in messages.values():
        assert Path(message.partition("(log: ")[2].removesuffix(").")).name.startswith("slurm-batchscript")


@pytest.mark.slow
def test_a_partition_that_is_not_there_is_said_in_a_line(on_slurm):
    outcome = on_slurm(node_of(quick, "work"), arguments="--partition=nowhere")
    message = outcome.failures["all_wf.work"].message
    assert message.startswith("step work: its job was refused by sbatch: ")
    assert "nvalid partition" in message

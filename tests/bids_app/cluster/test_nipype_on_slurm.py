"""Nipype's own plugin on a real Slurm: every node a job that asks for its own, and a lost one says why."""

import re
import threading

import pytest
from nipype.interfaces.utility import Function
from nipype.pipeline import engine as pe

from scaae_nipype.bids_app.engine.nodes import run_workflow

pytestmark = pytest.mark.slow


def tell(value):
    import os

    return os.environ["SLURM_MEM_PER_NODE"], os.environ["SLURM_CPUS_PER_TASK"]


def wait(value):
    import time

    time.sleep(600)


def fill(value):
    import time

    held = bytearray(3_000_000_000)
    held[::4096] = b"x" * len(held[::4096])
    time.sleep(600)


def node(name, function, **needs):
    made = pe.Node(Function(input_names=["value"], output_names=["result"], function=function), name=name, **needs)
    made.inputs.value = 1
    return made


def test_nodes_ask_for_their_own_and_lost_ones_say_why(cluster, tmp_path):
    """One tells what it got, one is cancelled while it runs, one takes more memory than it declared."""
    workflow = pe.Workflow("all_wf", base_dir=str(tmp_path))
    nodes = (node("small", tell, mem_gb=0.2), node("large", tell, mem_gb=2, n_procs=2))
    workflow.add_nodes([*nodes, node("slow", wait, mem_gb=0.2), node("hungry", fill, mem_gb=0.2)])
    (tmp_path / "p.yml").write_text("plugin: SLURM\nplugin_args: {sbatch_args: --time=20}\n")

    def cancel():
        running = ["squeue", "--noheader", "--me", "--states=RUNNING", "--format=%i %j"]
        cluster.wait_for("the slow node to run", lambda: ".slow." in cluster.ask(*running))
        (job,) = re.findall(r"^(\d+) \S*\.slow\.", cluster.ask(*running), re.MULTILINE)
        cluster.ask("scancel", job)
        cancelled.append(job)

    cancelled: list[str] = []
    helper = threading.Thread(target=cancel)
    helper.start()
    outcome = run_workflow(workflow, nprocs=2, memory_gb=4, log_file=tmp_path / "log", plugin_file=tmp_path / "p.yml")
    helper.join()
    assert outcome.outputs("all_wf.small").result == ("1000", "1")
    assert outcome.outputs("all_wf.large").result == ("2200", "2")
    slow, hungry = (outcome.failures[f"all_wf.{name}"].message for name in ("slow", "hungry"))
    assert re.match(rf"step slow: job {cancelled[0]} on \S+ was cancelled: the same command goes on where it st", slow)
    assert "Slurm says CANCELLED" in slow
    assert re.match(r"step hungry: job \d+ on \S+ was killed for want of memory: give more in sbatch_args", hungry)

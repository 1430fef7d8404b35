"""Whatever ends the main process, no process that it started goes on without it."""

import os
import signal
import subprocess
import sys
import time

PROGRAM = """
import sys
from pathlib import Path
from nipype import Function, Node
from niworkflows.engine.workflows import LiterateWorkflow
from scaae_nipype.bids_app.engine.nodes import run_workflow
from scaae_nipype.signals import handle_stop_signals

def sleep(folder, name):
    import signal, time
    from pathlib import Path
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as one that saves for minutes before it ends
    Path(folder, name).touch()
    time.sleep(600)

if __name__ == "__main__":
    handle_stop_signals()
    workflow = LiterateWorkflow(name="w", base_dir=sys.argv[1])
    for name in "ab":
        node = Node(Function(function=sleep), name=name)
        node.inputs.trait_set(folder=sys.argv[1], name=name)
        workflow.add_nodes([node])
    run_workflow(workflow, nprocs=2, memory_gb=2, log_file=Path(sys.argv[1], "log"))
"""

CHILD = """
import subprocess, sys
from scaae_nipype.orphans import end_with_parent
if len(sys.argv) == 1:
    child = subprocess.Popen([sys.executable, __file__, "child"], stdout=subprocess.PIPE)
    print(child.stdout.readline().decode(), end="", flush=True)
else:
    end_with_parent()
    print("ready", flush=True)
import time
time.sleep(600)
"""


def members(group: int) -> list[int]:
    """List the living processes of a group."""
    found = subprocess.run(["ps", "-eo", "pid=,pgid=,stat="], capture_output=True, text=True, check=True).stdout
    lines = [line.split() for line in found.splitlines()]
    return [int(process) for process, own, state in lines if int(own) == group and not state.startswith("Z")]


def wait_for(condition, what: str) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def start(tmp_path, text: str, *arguments) -> subprocess.Popen:
    program = tmp_path / "program.py"
    program.write_text(text)
    return subprocess.Popen(
        [sys.executable, program, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=_hear_control_c,
    )


def _hear_control_c() -> None:
    """What runs in the background of a shell ignores Ctrl-C, and so does all that it starts; the suite may be there."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_workers_end_with_a_main_process_that_is_killed(tmp_path):
    job = start(tmp_path, PROGRAM, tmp_path)
    wait_for(lambda: all((tmp_path / name).exists() for name in "ab"), "both workers are at work")
    assert len(members(job.pid)) >= 4, "main process, fork server, two workers"
    job.kill()
    job.wait()
    wait_for(lambda: not members(job.pid), "a worker was left behind")


def test_control_c_twice_ends_at_once_and_leaves_nobody(tmp_path):
    job = start(tmp_path, PROGRAM, tmp_path)
    wait_for(lambda: all((tmp_path / name).exists() for name in "ab"), "both workers are at work")
    for _ in range(2):
        os.kill(job.pid, signal.SIGINT)
        time.sleep(2)  # two that come at once are one
    assert job.wait(timeout=60) == 1
    assert "Interrupted twice: ended at once." in job.stderr.read()
    wait_for(lambda: not members(job.pid), "a worker was left behind")


def test_a_child_ends_with_its_parent(tmp_path):
    parent = start(tmp_path, CHILD)
    assert parent.stdout.readline() == "ready\n"
    parent.kill()
    parent.wait()
    wait_for(lambda: not members(parent.pid), "the child was left behind")

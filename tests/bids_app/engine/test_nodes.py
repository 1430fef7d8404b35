"""What becomes of nodes that fail, are killed, or never start."""

import os
import time
from pathlib import Path

import pytest
from nipype.interfaces.utility import Function
from nipype.pipeline import engine as pe

from scaae_nipype.bids_app.engine.nodes import run_workflow
from scaae_nipype.errors import Interrupted, UsageError

pytestmark = pytest.mark.xdist_group("nodes")  # workers of one process share a fork server


def double(value):
    return 2 * value


def rest(value):
    import time

    time.sleep(0.2)
    return value


def refuse(value):
    from scaae_nipype.errors import InputError

    raise InputError(f"run.nii.gz: volume {value} is empty; repair the image.")


def break_down(value):
    raise ZeroDivisionError("nobody expected this")


def fill_the_disk(value):
    from pathlib import Path

    Path("/dev/full").write_bytes(b"something")


def die(value):
    import os
    import signal

    os.kill(os.getpid(), signal.SIGKILL)


def be_interrupted(value):
    from scaae_nipype.errors import Interrupted

    raise Interrupted("Training interrupted by SIGUSR1 after 3 of 9 steps.")


def press_control_c(value):
    raise KeyboardInterrupt


def node(function, name, value=None, **keywords):
    made = pe.Node(Function(input_names=["value"], output_names=["result"], function=function), name=name, **keywords)
    if value is not None:
        made.inputs.value = value
    return made


def chain(tmp_path, **first):
    """One branch of two nodes for every function: `first` maps a branch to its first node's function."""
    workflow = pe.Workflow("all_wf", base_dir=str(tmp_path))
    for branch, function in first.items():
        one = pe.Workflow(branch)
        one.connect([(node(function, "begin", 4, mem_gb=0.1), node(double, "go_on"), [("result", "value")])])
        workflow.add_nodes([one])
    return workflow


@pytest.fixture(params=[1, 2], ids=["linear", "multiproc"])
def run(request, tmp_path):
    def run(workflow, **keywords):
        told = []
        outcome = run_workflow(
            workflow,
            nprocs=request.param,
            memory_gb=2.0,
            log_file=tmp_path / "nipype.log",
            tell=lambda name, status: told.append((name, status)),
            **keywords,
        )
        return outcome, told

    return run


def test_one_failure_leaves_the_other_branches_alone(tmp_path, run, capfd):
    outcome, told = run(chain(tmp_path, healthy=double, refused=refuse, broken=break_down))
    assert outcome.outputs("all_wf.healthy.go_on").result == 16
    assert set(outcome.failures) == {"all_wf.refused.begin", "all_wf.broken.begin"}
    assert not {name for name in outcome.finished if "healthy" not in name}
    assert not outcome.is_stopped
    assert ("all_wf.refused.go_on", "end") not in told
    console = capfd.readouterr()
    assert "nipype" not in console.out + console.err


def test_our_errors_become_their_line_and_others_keep_a_crash_file(tmp_path, run):
    outcome, _ = run(chain(tmp_path, refused=refuse, broken=break_down))
    refused = outcome.failure_within("all_wf.refused")
    assert refused.message == "run.nii.gz: volume 4 is empty; repair the image."
    assert refused.kept_in(tmp_path / "log") == refused
    broken = outcome.failure_within("all_wf.broken").kept_in(tmp_path / "log")
    assert "step begin failed unexpectedly: ZeroDivisionError: nobody expected this" in broken.message
    assert str(broken.crash_file) in broken.message
    assert "ZeroDivisionError" in broken.crash_file.read_text()
    assert not list(Path.cwd().glob("crash-*"))


def test_peak_memory_and_time_of_every_step_are_kept(tmp_path, run):
    began = time.monotonic()
    outcome, _ = run(chain(tmp_path, healthy=rest))
    step = outcome.steps["all_wf.healthy.begin"]
    assert 0 < step["peak_memory_gb"] < 4
    assert 0.2 <= step["seconds"] <= time.monotonic() - began
    assert step["declared_memory_gb"] == 0.1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_named(tmp_path, run):
    outcome, _ = run(chain(tmp_path, full=fill_the_disk))
    message = outcome.failures["all_wf.full.begin"].kept_in(tmp_path).message
    assert message.startswith("step begin: the disk is full (No space left on device); make room for output and ")


@pytest.mark.parametrize(
    ("function", "words"), [(be_interrupted, r"^Training interrupted by SIGUSR1 after 3 of 9"), (press_control_c, "^$")]
)
def test_an_interruption_in_this_process_is_no_nodes_failure(tmp_path, function, words):
    with pytest.raises(Interrupted, match=words):
        run_workflow(chain(tmp_path, one=function), nprocs=1, memory_gb=2.0, log_file=tmp_path / "nipype.log")


def test_a_second_run_takes_results_that_are_there(tmp_path, run):
    run(chain(tmp_path, healthy=double))
    outcome, _ = run(chain(tmp_path, healthy=double))
    assert outcome.outputs("all_wf.healthy.go_on").result == 16


def test_stop_on_first_crash(tmp_path, run):
    outcome, _ = run(chain(tmp_path, refused=refuse), stop_on_first_crash=True)
    assert outcome.is_stopped
    assert outcome.failure_within("all_wf.refused")


def test_a_killed_worker_ends_the_run_and_is_named(tmp_path):
    workflow = chain(tmp_path, killed=die)
    outcome = run_workflow(workflow, nprocs=2, memory_gb=2.0, log_file=tmp_path / "nipype.log")
    assert outcome.is_stopped
    message = outcome.failure_within("all_wf.killed").message
    assert message.startswith("step begin was killed, most likely for want of memory (expected: 0.1 GB, limit: 2.0 GB)")
    assert not outcome.finished


@pytest.mark.parametrize(
    "content",
    [
        "plugin: MultiProc\nplugin_args: {n_procs: 1, memory_gb: 1}\n",
        "plugin: MultiProc\nplugin_args: {n_procs: 1, memory_gb: 0.01, mp_context: nonsense}\n",
        "plugin: LegacyMultiProc\nplugin_args: {n_procs: 1, maxtasksperchild: 1}\n",
        "plugin: Linear\n",
    ],
)
def test_plugin_file(tmp_path, content):
    settings = tmp_path / "plugin.yml"
    settings.write_text(content)
    outcome = run_workflow(
        chain(tmp_path, healthy=double), nprocs=2, memory_gb=2, log_file=tmp_path / "log", plugin_file=settings
    )
    assert outcome.outputs("all_wf.healthy.go_on").result == 16


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("plugin: SLURMGraph", "SLURMGraph is no Nipype plugin that waits"),
        ("plugin: Nonsense", "Nonsense is no Nipype plugin"),
        ("nothing: here", "must hold `plugin: NAME`"),
        ("[", "must hold `plugin: NAME`"),
        ("plugin: 7", "must hold `plugin: NAME`"),
        ("plugin: [SLURM]", "must hold `plugin: NAME`"),
        ("plugin: multiproc", r"did you mean MultiProc\?"),
        ("plugin: SomaFlow", "SomaFlow is no Nipype plugin that waits"),
        ("plugin: Debug", "Debug is no Nipype plugin that waits"),
        ("plugin: MultiProc\nplugin_args: 4", "plugin_args must hold names and values, not 4"),
        ("plugin: MultiProc\nplugin_args: {n_procs: two}", "n_procs must be a whole number above 0, not 'two'"),
        ("plugin: LegacyMultiProc\nplugin_args: {n_procs: 0}", "n_procs must be a whole number above 0, not 0"),
        ("plugin: MultiProc\nplugin_args: {memory_gb: 8G}", "memory_gb must be a number above 0, not '8G'"),
        ("plugin: MultiProc\nplugin_args: {max_jobs: 0}", "max_jobs must be a whole number above 0, not 0"),
        ("plugin: MultiProc\nplugin_args: {scheduler: fifo}", "scheduler must be tsort or mem_thread, not 'fifo'"),
        ("plugin: OAR", "OAR needs the program oarsub, which is not on this machine"),
        ("plugin: Condor", "Condor needs the program condor_qsub"),
        ("plugin: IPython", "IPython needs the Python package (IPython|ipyparallel)"),
    ],
)
def test_unusable_plugin_file(tmp_path, content, words):
    settings = tmp_path / "plugin.yml"
    settings.write_text(content)
    with pytest.raises(UsageError, match=words):
        run_workflow(
            chain(tmp_path, healthy=double), nprocs=2, memory_gb=2, log_file=tmp_path / "log", plugin_file=settings
        )


def test_a_failure_under_a_linear_plugin_file_ends_nothing_that_never_started(tmp_path):
    settings = tmp_path / "plugin.yml"
    settings.write_text("plugin: Linear")
    outcome = run_workflow(
        chain(tmp_path, refused=refuse), nprocs=2, memory_gb=2, log_file=tmp_path / "log", plugin_file=settings
    )
    assert set(outcome.failures) == {"all_wf.refused.begin"}
    assert not outcome.finished


def test_a_killed_worker_of_the_legacy_plugin_ends_the_run_too(tmp_path):
    settings = tmp_path / "plugin.yml"
    settings.write_text("plugin: LegacyMultiProc\nplugin_args: {n_procs: 2}")
    outcome = run_workflow(
        chain(tmp_path, killed=die), nprocs=1, memory_gb=2, log_file=tmp_path / "log", plugin_file=settings
    )
    assert outcome.is_stopped
    assert outcome.failure_within("all_wf.killed").message.startswith("step begin was killed")


def test_a_batch_system_runs_nodes_of_a_user_without_a_name(tmp_path, monkeypatch):
    """Programs with the names and the words of Slurm's run the jobs here; LOGNAME is missing, as in a container."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "sbatch").write_text('#!/bin/bash\nbash "${@: -1}" > /dev/null 2>&1\necho "Submitted batch job 7"\n')
    (programs / "squeue").write_text("#!/bin/bash\n")
    for program in programs.iterdir():
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.delenv("LOGNAME", raising=False)
    settings = tmp_path / "plugin.yml"
    settings.write_text("plugin: SLURM")
    outcome = run_workflow(
        chain(tmp_path, healthy=double), nprocs=2, memory_gb=2, log_file=tmp_path / "log", plugin_file=settings
    )
    assert outcome.outputs("all_wf.healthy.go_on").result == 16

"""What all tests share: reference material beside the checkout, the BIDS validator, a Slurm, and one thread each."""

import gc
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

sys.path.append(str(Path(__file__).resolve().parents[1]))  # for benchmarks/ and tools/, which are not installed
os.environ["OMP_NUM_THREADS"] = "1"  # tests, and what they start, run side by side: more threads would only wait

# A slow machine is no fault: examples have no deadline.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

gc.disable()  # until all tests are known: modules that are only just imported are no garbage


class WholeGroups(LoadScopeScheduling):
    """Gives the files of an ``xdist_group`` to one process: what they share is made once.

    The plugin's own scheduler finds groups in the tests' ids, where pytest 9.2 and later let no plugin write them, and
    silently gives out every test for itself.
    """

    def _split_scope(self, nodeid: str) -> str:
        return group_of(self.config.rootpath / nodeid.partition("::")[0]) or nodeid


@cache
def group_of(file: Path) -> str:
    """Give the group that a file of tests names."""
    found = re.search(r'\bxdist_group\("(\w+)"\)', file.read_text(encoding="utf-8"))
    return found[1] if found else ""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling | None:
    """Keep groups together with ``--dist loadgroup``."""
    return WholeGroups(config, log) if config.getoption("dist") == "loadgroup" else None


def pytest_collection_finish() -> None:
    """Keep what is known now out of every search for garbage, of which Nipype makes one between any two nodes."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def shared() -> Path:
    """Give the folder with reference data beside the checkout; skip where it is missing."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("the reference material (../shared) is not beside this checkout")
    return folder


@pytest.fixture(scope="session")
def validator_errors() -> Callable[[Path], list[dict[str, Any]]]:
    """Give a caller of the BIDS validator: the errors that it finds in a dataset."""

    def errors(dataset: Path) -> list[dict[str, Any]]:
        program = Path(sys.executable).with_name("bids-validator-deno")
        report = subprocess.run([program, dataset, "--format", "json"], capture_output=True, text=True, timeout=120)
        found = [issue for issue in json.loads(report.stdout)["issues"]["issues"] if issue.get("severity") == "error"]
        assert (report.returncode == 0) == (not found), report.stderr
        return found

    return errors


class Slurm:
    """Jobs on a real Slurm, by its own commands."""

    LONGEST = 600
    """Seconds to wait for anything."""

    def __init__(self):
        self.submitted: list[str] = []

    def ask(self, *command: str | Path) -> str:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def submit(self, script: Path, log: Path, *arguments: str | Path) -> str:
        """Queue a batch script; the job's number."""
        job = self.ask("sbatch", "--parsable", f"--output={log}", script, *arguments)
        self.submitted.append(job)
        return job

    def warn(self, job: str) -> None:
        """Send SIGUSR1 to the batch shell alone, as ``--signal=B:USR1@…`` does when the time comes."""
        self.ask("scancel", "--batch", "--signal=USR1", job)

    def start_again(self, job: str) -> None:
        """Start a job that was queued again without the two minutes that Slurm itself would wait.

        Not at once: a credential made in the second in which the job's last one was revoked counts as revoked too,
        and the job would fail before its script begins.
        """
        self.ask("scontrol", "update", f"JobId={job}", "StartTime=now+2")

    def see_through(self, job: str, log: Path) -> None:
        """Wait for a job's end, and see that it completed; if it did not, its log is shown."""
        self.wait_for("the job to end", lambda: self.state(job) in ("COMPLETED", "FAILED"))
        assert self.state(job) == "COMPLETED", log.read_text()

    def state(self, job: str) -> str:
        return self.ask("squeue", "--noheader", "--format=%T", f"--jobs={job}", "--states=all")

    def wait_for(self, what: str, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + self.LONGEST
        while not condition():
            assert time.monotonic() < deadline, f"waited in vain for {what}"
            time.sleep(0.1)

    def cancel(self) -> None:
        """End what is still running; a job that has ended is no error."""
        for job in self.submitted:
            subprocess.run(["scancel", job], capture_output=True, check=False)


@pytest.fixture
def cluster() -> Iterator[Slurm]:
    """Give a Slurm, and leave no job behind; skip where there is none that would take a job."""
    if shutil.which("sbatch") is None:
        pytest.skip("Slurm is not installed (Debian: slurm-wlm, slurm-client, munge)")
    if subprocess.run(["sinfo", "--noheader"], capture_output=True, check=False).returncode:
        pytest.skip("no Slurm controller answers (is SLURM_CONF set?)")
    slurm = Slurm()
    yield slurm
    slurm.cancel()

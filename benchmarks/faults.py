"""Kill calls at chosen and at random moments, take their workers, disk, clock and readers away, and compare the ends.

``python -m benchmarks.faults [FOLDER] [--chains N] [--seed S] [--only WHAT …]`` makes a reference that nobody
disturbs, then datasets that are disturbed again and again and begun again each time. In the end each has to be what the
reference is: images, tables, sidecars, model, dataset files, reports but for times. It prints how many faults there
were, and exits with 1 if any dataset differs.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.same_outputs import compare
from scaae_nipype.bids_app.simulate_cli import main as simulate

__all__ = ["Study", "main"]

OPTIONS = ("--preset", "tiny", "--train-volumes", "16", "--precision", "fp32", "--baselines", "none", "--mem", "4G")
OPTIONS += ("--omp-nthreads", "1", "--device", "cpu")
CHAINS = ("participant-level", "group-level", "random-times")
SCENARIOS = ("dead-worker", "dead-parent", "full-disk", "two-jobs", "clock-set-back", "broken-pipe", "control-c-twice")
MOST_CALLS = 40
"""Of one chain; after so many it is undisturbed."""


@dataclass
class Study:
    """A simulated dataset, its undisturbed results, and what has been done to others."""

    folder: Path
    seed: int = 0
    volumes: int = 40
    faults: Counter[str] = field(default_factory=Counter)
    differences: dict[str, list[str]] = field(default_factory=dict)
    moments: dict[str, int] = field(default_factory=dict)  # level to files that an undisturbed call moves into place
    seconds: float = 0.0  # of the undisturbed call

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def prepare(self) -> None:
        """Simulate, and make the reference."""
        simulate(
            [str(self.folder / "data"), "--participants", "2", "--volumes", str(self.volumes), "--voxel-size", "8"]
        )
        started = time.monotonic()
        for level in ("participant", "group"):
            code = self.call("reference", level)
            if code:
                raise RuntimeError(f"the undisturbed call ended with {code}; see {self.folder / 'reference.log'}")
            self.seconds = self.seconds or time.monotonic() - started

    # ---- calls ---------------------------------------------------------------------------------------------------

    def command(self, name: str, level: str, what: str, number: int, nprocs: int) -> list[str]:
        """Give the command of a call that is hit at its `number`-th moment."""
        driver = [
            sys.executable,
            "-m",
            "benchmarks.fault_driver",
            what,
            str(number),
            str(self.folder / f"{name}.moments"),
        ]
        options = ("--permutations", "20") if level == "group" else OPTIONS
        call = [str(self.folder / "data"), str(self.folder / name), level, *options, "--nprocs", str(nprocs)]
        return [*driver, *call, "--work-dir", str(self.folder / "work" / name)]

    def start(
        self, name: str, level: str = "participant", *, what="none", number=0, nprocs=1
    ) -> subprocess.Popen[bytes]:
        """Start a call; what it says goes into a log."""
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                self.command(name, level, what, number, nprocs),
                stdout=log,
                stderr=log,
                env=self.environment,
                start_new_session=True,
            )

    def call(self, name: str, level: str = "participant", **how) -> int:
        """Make a call and wait for its end."""
        code = self.start(name, level, **how).wait()
        place = self.folder / f"{name}.moments"
        if place.is_file():
            self.moments.setdefault(level, int(place.read_text()))
            place.unlink()
        return code

    def end(self, name: str, level: str = "participant") -> None:
        """Resume without a fault, and compare with the reference."""
        code = self.call(name, level)
        found = [f"the resumed call ended with {code}"] if code else []
        if level == "participant":
            (self.folder / name / "group.html").unlink(missing_ok=True)
        found += [line for line in compare(self.folder / "reference", self.folder / name) if self.counts(line, level)]
        found += self.differences_in_logs(name)
        self.differences[name] = found
        print(f"{name}: {'; '.join(found[:5]) or 'as the reference'}", flush=True)
        if not found:
            shutil.rmtree(self.folder / "work" / name, ignore_errors=True)

    def differences_in_logs(self, name: str) -> list[str]:
        """Say which texts differ, and what killed calls have left."""
        logs, others = (self.folder / dataset / "logs" for dataset in ("reference", name))
        texts = ("CITATION.md", "CITATION.bib", "configuration.json")
        found = [f"differs: logs/{text}" for text in texts if _content(logs / text) != _content(others / text)]
        return found + [f"left: {path.name}" for path in others.glob(".*")]

    @staticmethod
    def counts(line: str, level: str) -> bool:
        """Tell whether a difference is one: records and the log of the training tell when and how often, not what."""
        file = line.partition(": ")[2]
        if level == "participant" and file.startswith(("group.html", "group/")):
            return False
        return "/log/" not in file and not file.endswith("training_log.csv")

    # ---- faults --------------------------------------------------------------------------------------------------

    def chain(self, name: str, level: str = "participant") -> None:
        """Kill a call at chosen moments, again and again, until one gets through."""
        if level == "group":
            shutil.copytree(self.folder / "reference", self.folder / name)
            for path in (self.folder / name).glob("group*"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        longest = max(2, self.moments[level] // 2)
        for _ in range(MOST_CALLS):
            what = self.chance.choice(["SIGKILL", "SIGTERM"])
            code = self.call(name, level, what=what, number=self.chance.randint(1, longest))
            if code == 0:
                break
            self.faults[f"{what} at a chosen moment, {level} level"] += 1
        self.end(name, level)

    def at_random_times(self, name: str, kills: int) -> None:
        """Kill calls that have workers, after random times."""
        for _ in range(kills):
            number = self.chance.choice([signal.SIGKILL, signal.SIGTERM])
            job = self.start(name, nprocs=2)
            self.hit_after(job, lambda job, number=number: job.send_signal(number), f"{number.name} at a random time")
        self.end(name)

    def hit_after(
        self, job: subprocess.Popen[bytes], hit: Callable[[subprocess.Popen[bytes]], object], what: str
    ) -> None:
        """Wait for a random part of the time of an undisturbed call, then hit; one that has ended is not counted."""
        time.sleep(self.chance.uniform(0.2, 1.0) * self.seconds)
        if job.poll() is None:
            hit(job)
            self.faults[what] += 1
        job.wait()

    def hit_at_work(
        self, job: subprocess.Popen[bytes], hit: Callable[[subprocess.Popen[bytes]], object], what: str
    ) -> None:
        """Hit a call that has workers as soon as it has; it has not ended by then."""
        while job.poll() is None and not workers_of(job.pid):
            time.sleep(0.1)
        if job.poll() is not None:
            raise RuntimeError(f"{what}: the call ended with {job.returncode} before it was hit")
        hit(job)
        self.faults[what] += 1
        job.wait()

    def dead_worker(self, name: str) -> None:
        """Kill a worker of a call."""

        def kill_one(job: subprocess.Popen[bytes]) -> None:
            os.kill(self.chance.choice(workers_of(job.pid)), signal.SIGKILL)

        self.hit_at_work(self.start(name, nprocs=2), kill_one, "dead worker")
        self.end(name)

    def dead_parent(self, name: str) -> None:
        """Kill the main process of a call that has workers; none of them may be left."""
        job = self.start(name, nprocs=2)
        self.hit_at_work(job, lambda job: job.kill(), "dead parent")
        deadline = time.monotonic() + 60
        while members_of(job.pid) and time.monotonic() < deadline:
            time.sleep(0.2)
        left = members_of(job.pid)
        self.end(name)
        self.differences[name] += [f"{len(left)} processes were left"] if left else []

    def full_disk(self, name: str) -> None:
        """Let no file get into its place from some moment on."""
        self.call(name, what="full", number=self.chance.randint(10, max(11, self.moments["participant"] // 2)))
        self.faults["disk full"] += 1
        self.end(name)

    def two_jobs(self, name: str) -> None:
        """Start two calls at once."""
        for job in [self.start(name), self.start(name)]:
            job.wait()
        self.faults["two jobs"] += 1
        self.end(name)

    def clock_set_back(self, name: str) -> None:
        """Kill a call, and let everything that it wrote be of tomorrow."""
        self.call(name, what="SIGKILL", number=self.moments["participant"] // 3)
        tomorrow = time.time() + 86400
        for root in (self.folder / name, self.folder / "work" / name):
            for path in root.rglob("*"):
                os.utime(path, (tomorrow, tomorrow), follow_symlinks=False)
        self.faults["clock set back"] += 1
        self.end(name)

    def broken_pipe(self, name: str) -> None:
        """Read the first line of what a call says, and leave."""
        command = self.command(name, "participant", "none", 0, 1)
        job = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=self.environment)
        assert job.stdout is not None
        job.stdout.readline()
        job.stdout.close()
        code = job.wait()
        self.faults["broken pipe"] += 1
        self.end(name)
        self.differences[name] += [f"the call whose reader left ended with {code}"] if code else []

    def control_c_twice(self, name: str) -> None:
        """Interrupt a call, and interrupt its end."""

        def twice(job: subprocess.Popen[bytes]) -> None:
            for pause in (0.5, 0.0):
                job.send_signal(signal.SIGINT)
                time.sleep(pause)

        signal.signal(signal.SIGINT, signal.default_int_handler)  # what is started in the background would ignore it
        self.hit_at_work(self.start(name, nprocs=2), twice, "Ctrl-C twice")
        self.end(name)


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def members_of(group: int) -> list[int]:
    """List the living processes of a group."""
    found = subprocess.run(["ps", "-eo", "pid=,pgid=,stat="], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in found.splitlines()]
    return [int(process) for process, own, state in rows if int(own) == group and not state.startswith("Z")]


def workers_of(main_process: int) -> list[int]:
    """List the workers of a call: what its fork server has forked."""
    found = subprocess.run(["ps", "-eo", "pid=,ppid=,pgid="], capture_output=True, text=True, check=True).stdout
    rows = [tuple(map(int, line.split())) for line in found.splitlines()]
    helpers = {process for process, parent, _ in rows if parent == main_process}
    return [process for process, parent, _ in rows if parent in helpers]


def main(arguments: Sequence[str] | None = None) -> int:
    """Do all that, and say how often."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="new folder, kept; without it, a temporary one")
    parser.add_argument("--chains", type=int, default=6, help="datasets that are killed until they are done")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--only", nargs="+", choices=[*CHAINS, *SCENARIOS], default=[*CHAINS, *SCENARIOS], help="default: all of these"
    )
    options = parser.parse_args(arguments)
    with TemporaryDirectory(prefix="scaae-faults-") as scratch:
        study = Study((options.folder or Path(scratch)).absolute(), options.seed)
        study.folder.mkdir(parents=True, exist_ok=True)
        study.prepare()
        print(f"Undisturbed: {study.seconds:.0f} s, files moved into place: {study.moments}", flush=True)
        for number in range(options.chains if "participant-level" in options.only else 0):
            study.chain(f"chain-{number}")
        if "group-level" in options.only:
            study.chain("group-level", "group")
        if "random-times" in options.only:
            study.at_random_times("random-times", 12)
        for fault in SCENARIOS:
            if fault in options.only:
                getattr(study, fault.replace("-", "_"))(fault)
    for what, times in sorted(study.faults.items()):
        print(f"{times:4d}  {what}")
    kills = sum(times for what, times in study.faults.items() if what.startswith("SIG"))
    different = [name for name, found in study.differences.items() if found]
    others, datasets = study.faults.total() - kills, len(study.differences)
    print(f"{kills} kills, {others} other faults; {datasets - len(different)} of {datasets} datasets as the reference")
    return int(bool(different))


if __name__ == "__main__":
    sys.exit(main())

"""What was handed to a scheduler: a folder for each time, with its list of participants, and how their tasks ended."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..engine.job_endings import kind_of_ending

__all__ = ["Ending", "QueuedJob", "Submission", "last_task_of", "not_seen_yet", "read_labels", "submissions"]

FOLDER = Path("logs", "jobs")
"""Where an output dataset keeps them, a folder for each time."""

PARTICIPANTS, EXPECTED, QUEUED = "participants.txt", "expected.txt", "queued.txt"
"""In such a folder: labels of the array's tasks, labels of all participants, and the numbers of the jobs."""

_WORDS = {
    "memory": "was killed for want of memory: give --mem more",
    "time": "ran out of time: give --time-limit more",
    "node": "was lost with its node",
    "preemption": "had to give way to another job",
    "cancelled": "was cancelled",
    "done": "ended well, but what it wrote is not here: removed, or not seen yet by this machine",
    "unknown": "ended without results",
    "never": "never started, or left no log",
}


@dataclass(frozen=True)
class Ending:
    """How a task ended that left no results."""

    kind: str  # as `kind_of_ending` gives it
    task: str  # as the scheduler calls it: 13_4
    log: Path

    @property
    def what(self) -> str:
        """What became of it, and what to do."""
        return f"its task {_WORDS[self.kind]}"

    @property
    def where(self) -> str:
        """Which task it was, and where to read more."""
        return f"task {self.task}, log: {self.log}" if self.kind != "never" else f"task {self.task}"

    def __str__(self) -> str:
        return f"{self.what} ({self.where})"


@dataclass(frozen=True)
class QueuedJob:
    """A job of a submission, as the scheduler knows it."""

    name: str  # train, participants, group
    number: str
    offset: int = 0  # of an array: how many lines of the list stand before its first task's


@dataclass(frozen=True)
class Submission:
    """What was written, and perhaps queued, at one time."""

    folder: Path

    @property
    def labels(self) -> list[str]:
        """Participants, in the order of the tasks."""
        return read_labels(self.folder / PARTICIPANTS)

    @property
    def jobs(self) -> list[QueuedJob]:
        """What the scheduler took; nothing if it was only written."""
        with suppress(OSError):
            lines = [line.split() for line in (self.folder / QUEUED).read_text(encoding="utf-8").splitlines()]
            return [QueuedJob(words[0], words[1], int((words[2:] or ["0"])[0])) for words in lines if len(words) > 1]
        return []

    def tasks(self) -> Iterator[tuple[str, str, int]]:
        """Give every participant's label, the number of its array and that of its task."""
        arrays = sorted((job for job in self.jobs if job.name == "participants"), key=lambda job: job.offset)
        for line, label in enumerate(self.labels, start=1):
            array = next((job for job in reversed(arrays) if job.offset < line), None)
            if array is not None:
                yield label, array.number, line - array.offset

    def ending(self, array: str, task: int) -> Ending:
        """Say how a task ended, from the last words of its log."""
        names = [f"participants_{array}_{task}.log", f"participants.{array}.{task}.log"]
        log = next((path for name in names if (path := self.folder / name).is_file()), self.folder / names[0])
        return Ending(kind_of_ending(log), f"{array}_{task}", log)


def submissions(output_dir: Path) -> list[Submission]:
    """List what was written for a scheduler, the newest first."""
    folders = sorted((path.parent for path in (output_dir / FOLDER).glob(f"*/{PARTICIPANTS}")), reverse=True)
    return [Submission(folder) for folder in folders]


def last_task_of(output_dir: Path, labels: Collection[str]) -> dict[str, Ending]:
    """Say of participants how their last task ended, as far as they had one."""
    endings: dict[str, Ending] = {}
    for submission in submissions(output_dir):
        for label, array, task in submission.tasks():
            if label in labels and label not in endings:
                endings[label] = submission.ending(array, task)
    return endings


def not_seen_yet(output_dir: Path) -> list[str]:
    """List the participants whose last task ended well, and of whom this machine sees no record."""
    labels = {label for submission in submissions(output_dir) for label in submission.labels}
    unseen = {label for label in labels if not any(output_dir.glob(f"sub-{label}/log/sub-*.json"))}
    return sorted(label for label, ending in last_task_of(output_dir, unseen).items() if ending.kind == "done")


def read_labels(path: Path) -> list[str]:
    """Read labels, one a line, with or without sub-; lines that begin with # do not count."""
    words = (line.strip().removeprefix("sub-") for line in path.read_text(encoding="utf-8-sig").splitlines())
    return list(dict.fromkeys(word for word in words if word and not word.startswith("#")))

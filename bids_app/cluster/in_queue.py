"""What of earlier submissions still waits or runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..output.submissions import submissions
from .schedulers import Scheduler

__all__ = ["InQueue", "in_queue"]


@dataclass(frozen=True)
class InQueue:
    """Jobs that an earlier call has queued and that have not ended."""

    labels: frozenset[str] = frozenset()  # participants with a task
    numbers: Mapping[str, list[str]] = field(default_factory=dict)  # of jobs, by their names


def in_queue(output_dir: Path, scheduler: Scheduler) -> InQueue:
    """Ask the scheduler for the jobs of earlier submissions.

    Raises
    ------
    ScaaeError
        If it does not answer: whether participants would be sent twice is not known then.
    """
    earlier = [one for one in submissions(output_dir) if one.jobs]
    if not earlier:
        return InQueue()
    queued = scheduler.in_queue()
    there = {number for number, _ in queued}
    numbers: defaultdict[str, list[str]] = defaultdict(list)
    labels: set[str] = set()
    for submission in earlier:
        for job in submission.jobs:
            if job.number in there:
                numbers[job.name].append(job.number)
        labels |= {label for label, array, task in submission.tasks() if (array, task) in queued}
    return InQueue(frozenset(labels), dict(numbers))

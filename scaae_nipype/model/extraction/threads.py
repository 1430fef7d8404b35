"""Volumes are independent: threads that each work on their own do not wait for one another."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

__all__ = ["MOST_AT_ONCE", "map_in_threads", "one_thread"]

MOST_AT_ONCE = 8
"""Items that are worked on side by side: bounds memory; where there are more threads, several share an item."""

Item = TypeVar("Item")
Result = TypeVar("Result")


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute in one thread, so that sums have one order, however many threads there are."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def map_in_threads(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Apply a function to items side by side; results come in order, and few are made ahead.

    Torch's threads are shared out: one for each item at once, more where there are more than `MOST_AT_ONCE`.
    """
    threads = torch.get_num_threads()
    share = -(-threads // MOST_AT_ONCE)
    at_once = threads // share
    if at_once == 1:
        yield from map(function, items)
        return
    waiting: deque[Future[Result]] = deque()
    try:
        with ThreadPoolExecutor(at_once, initializer=torch.set_num_threads, initargs=(share,)) as pool:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > at_once:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
    finally:
        torch.set_num_threads(threads)  # what one thread sets, threads that start later inherit

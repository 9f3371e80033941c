"""Share the work on one slide among threads."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import cv2

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def thread_count(threads: int) -> int:
    """The number of worker threads for a setting; 0 = one per CPU core, at most 8."""
    if threads > 0:
        return threads
    # in a container or a job, fewer than the machine has
    granted = (
        os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    )
    return max(1, min(8, len(granted)))


def in_threads(
    work: Callable[[_Item], _Result], items: Iterable[_Item], threads: int
) -> Iterator[_Result]:
    """Results in the order of ``items``, with only a few of them waiting at any time.

    One thread is the caller's own: each item is then done before the next one is asked for.
    """
    count = thread_count(threads)
    if count == 1:
        with _opencv_threads(1):
            for item in items:
                yield work(item)
        return
    waiting: deque[Future[_Result]] = deque()
    with ThreadPoolExecutor(count) as pool, _opencv_threads(1):
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) >= 2 * count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


@contextmanager
def in_background(work: Callable[[], _Result], threads: int) -> Iterator[Callable[[], _Result]]:
    """Do ``work`` while the block does its own; what is given waits for its result.

    With one thread the work is done when its result is asked for.
    """
    if thread_count(threads) == 1:
        yield work
        return
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(work).result


@contextmanager
def _opencv_threads(count: int) -> Iterator[None]:
    """OpenCV's own threads would fight with ours for the same cores."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(count)
    try:
        yield
    finally:
        cv2.setNumThreads(before)

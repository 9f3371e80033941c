"""A slide takes no more threads than a job or container has cores."""

import os

import pytest
from fibrovol.histology.tiles.threads import thread_count


@pytest.mark.parametrize(("cores", "threads"), [({3}, 1), (set(range(96)), 8)])
def test_threads_follow_the_cores_that_were_given(monkeypatch, cores, threads) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: cores, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 96)
    assert thread_count(0) == threads
    assert thread_count(5) == 5

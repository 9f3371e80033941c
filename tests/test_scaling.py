"""The simulation behind docs/concepts/scaling.md agrees with what can be reckoned by hand."""

from __future__ import annotations

import pytest
from fibrovol.scripts.benchmark.scaling import START_SECONDS, simulate

HOUR = 3600.0


def test_one_worker_takes_the_sum():
    hours = simulate([10.0], 100, 1, 0.5)
    assert hours * HOUR == pytest.approx(100 * 10.5 + START_SECONDS)


def test_workers_share_the_cases_until_the_driver_is_busy_all_the_time():
    few = simulate([10.0], 10_000, 10, 0.01) * HOUR
    assert few == pytest.approx(10_000 * 10.0 / 10, rel=0.02)
    # at 10 s a case and 10 ms of the driver no more than 1,000 workers are fed
    fed = simulate([10.0], 20_000, 1_000, 0.01) * HOUR
    assert simulate([10.0], 20_000, 4_000, 0.01) * HOUR == pytest.approx(20_000 * 0.01, rel=0.1)
    assert fed < 1.2 * 20_000 * 0.01


def test_a_store_that_serves_one_after_the_other_is_a_limit_too():
    hours = simulate([10.0], 10_000, 256, 0.001, read_seconds=0.1)
    assert hours * HOUR == pytest.approx(10_000 * 0.1, rel=0.05)
    unlimited = simulate([10.0], 10_000, 256, 0.001)
    assert unlimited < 0.5 * hours

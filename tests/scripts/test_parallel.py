"""Tests that must not run beside each other are told so in a way that pytest-xdist understands."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(scope="module")
def shared_by_the_module() -> str:
    return "made once"


def group_of(item: pytest.Item) -> str:
    """The group that pytest-xdist read; it writes it behind the test's id."""
    if "PYTEST_XDIST_WORKER" not in os.environ or not item.config.option.loadgroup:
        pytest.skip("not run by `pytest -n 2 --dist loadgroup`, which scripts/test does")
    return item.nodeid.rpartition("@")[2]


@pytest.mark.xdist_group("serial")
def test_what_disturbs_others_runs_one_after_another(request) -> None:
    assert group_of(request.node) == "serial"


def test_what_shares_a_fixture_runs_in_one_process(request, shared_by_the_module) -> None:
    assert group_of(request.node) == "tests/scripts/test_parallel.py"

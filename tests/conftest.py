"""Fixtures that every test may use."""

from __future__ import annotations

from pathlib import Path

import hypothesis
import pytest

REPOSITORY = Path(__file__).resolve().parents[1]

# The same examples each time, so that a red run can be repeated; no deadline, because a busy
# machine is no failure.
hypothesis.settings.register_profile("fibrovol", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("fibrovol")


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checked-out project, which is also the package."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real scans and slides that lies beside the checkout and is never committed.

    Tests that need it are skipped, with the reason, where it is missing.
    """
    path = REPOSITORY.parent / "shared" / "data"
    if not (path / "README.md").is_file():
        pytest.skip(f"the real scans and slides are not at {path}")
    return path

"""Chromium for the page's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ..report.chromium import Chromium, find_chromium


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    program = find_chromium()
    if program is None:
        pytest.skip("no Chromium on this machine")
    if not (Path(__file__).resolve().parents[2] / "review" / "static").is_dir():
        pytest.fail("the page is not built: .venv/bin/python -m fibrovol.scripts.build_page")
    with Chromium(program) as running:
        yield running

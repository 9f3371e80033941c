"""What the browser tests of the report share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .chromium import Browser, Chromium, find_chromium


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    program = find_chromium()
    assert program is not None
    with Chromium(program) as running:
        yield running


@pytest.fixture
def browser(chromium: Chromium) -> Iterator[Browser]:
    with Browser(chromium) as page:
        yield page

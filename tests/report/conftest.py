"""What the browser tests of the report share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .chromium import Browser, find_chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = find_chromium()
    assert program is not None
    with Browser(program) as opened:
        yield opened

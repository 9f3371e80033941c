"""The page's own tests of painting, run by Node: brush, locks, undo, interpolation, fill."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from fibrovol.scripts import build_page


def test_painting_keeps_its_promises(repository: Path) -> None:
    try:
        node = build_page.node()
    except build_page.PageError as error:
        pytest.skip(str(error))
    tests = sorted((repository / "review" / "page" / "test").glob("*.ts"))
    assert tests
    done = subprocess.run(
        [node, "--test", *tests], check=False, capture_output=True, text=True, cwd=repository
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert "fail 0" in done.stdout

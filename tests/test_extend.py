"""docs/how-to/extend.md does what it says: each example is applied to a copy and tried."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fibrovol.scripts import rules

PAGE = rules.ROOT / "docs" / "how-to" / "extend.md"
BLOCK = re.compile(r"^```(\w+) ([^\n]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NOT_COPIED = ("tests/", "docs/", "scripts/", "models/liver/", ".")
PROMISED_FILES = {
    "A slide reader": 2,
    "A scan reader": 2,
    "An engine": 2,
    "A stain": 1,
    "A column": 2,
    "A measure": 3,
    "A statistic": 2,
    "A clinical score": 2,
    "An engine setting": 3,
}


def sections() -> dict[str, str]:
    _, *parts = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {part.partition("\n")[0]: part for part in parts}


def apply(root: Path, kind: str, name: str, text: str) -> None:
    """Write a new file, or change one: the old lines must be there exactly once."""
    path = root / name
    if kind == "python":
        assert not path.exists(), f"{name} is there already"
        path.write_text(text, encoding="utf-8")
        return
    hunks: list[list[str]] = [[]]
    for line in text.splitlines():
        if line[:1] != "+" and hunks[-1] and hunks[-1][-1][:1] == "+":
            hunks.append([])  # what follows stands somewhere further down
        hunks[-1].append(line)
    for hunk in hunks:
        old = "".join(line[1:] + "\n" for line in hunk if line[:1] in "- ")
        new = "".join(line[1:] + "\n" for line in hunk if line[:1] in "+ ")
        content = path.read_text(encoding="utf-8")
        assert old, f"a change of {name} does not say where"
        assert content.count(old) == 1, f"{name} has {content.count(old)} times:\n{old}"
        path.write_text(content.replace(old, new), encoding="utf-8")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    root = tmp_path / "fibrovol"
    for name in rules.tracked_files():
        if not name.startswith(NOT_COPIED):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(rules.ROOT / name, root / name)
    return root


def test_every_promise_has_an_example() -> None:
    assert sections().keys() == PROMISED_FILES.keys()


@pytest.mark.parametrize("title", PROMISED_FILES)
def test_the_example_works_and_touches_no_more_files_than_promised(
    package: Path, tmp_path: Path, title: str
) -> None:
    blocks = BLOCK.findall(sections()[title])
    changes = [block for block in blocks if block[1] != "try it"]
    assert len({name for _, name, _ in changes}) == PROMISED_FILES[title]
    (trial,) = [text for _, name, text in blocks if name == "try it"]
    where = tmp_path / "elsewhere"
    where.mkdir()

    def run() -> subprocess.CompletedProcess[str]:
        find = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        return subprocess.run(
            [sys.executable, "-P", "-c", find + trial], check=False, capture_output=True, text=True,
            cwd=where, env=dict(os.environ, OMP_NUM_THREADS="1"),
        )  # fmt: skip

    assert run().returncode != 0, "works without the change: the example shows nothing"
    for kind, name, text in changes:
        apply(package, kind, name, text)
    done = run()
    assert done.returncode == 0, done.stderr

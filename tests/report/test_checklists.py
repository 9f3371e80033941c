"""The checklists of the paper name places that there are, and leave no item open."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "how-to" / "write-the-paper.md").read_text(encoding="utf-8")
ITEMS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith(("| item", "| topic", "| ---"))
]


def test_every_strobe_item_is_there_once() -> None:
    numbers = [n for item in ITEMS for n in re.findall(r"\d+", item[0])]
    assert sorted(map(int, numbers)) == list(range(1, 23))


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item[0])
def test_item_says_where_or_that_it_must_be_added(item: list[str]) -> None:
    assert len(item) == 3
    where = item[2]
    parts = re.findall(r"\*([^*]+)\*", where)
    files = re.findall(r"`([\w.]+\.(?:csv|json|bib))`", where)
    assert parts or files or "you must add" in where or "](" in where
    report = (DOCS / "reference" / "report.md").read_text(encoding="utf-8")
    folder = (DOCS / "reference" / "results-folder.md").read_text(encoding="utf-8")
    # a part's name stands in the first column of the page on the report
    named = " ".join(line.split("|")[1] for line in report.splitlines() if line.startswith("| "))
    assert [part for part in parts if part not in named] == []
    assert [file for file in files if f"`{file}`" not in folder] == []

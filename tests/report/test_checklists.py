"""The checklists of the paper name places that there are, and leave no item open."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from fibrovol.report.checklists import (
    CHECKLISTS,
    CONSORT,
    FILENAME,
    STROBE,
    Checklist,
)
from fibrovol.report.page import build_report

from .cohort import write_directory
from .html_page import Page

DOCS = Path(__file__).parents[2] / "docs"
ITEMS = {f"{one.name} {item[0]}": item for one in CHECKLISTS for item in one.items}


@pytest.mark.parametrize(("checklist", "last"), [(STROBE, 22), (CONSORT, 25)])
def test_every_numbered_item_is_there_once(checklist: Checklist, last: int) -> None:
    numbers = [n for item in checklist.items for n in re.findall(r"\d+", item[0])]
    assert sorted(map(int, numbers)) == list(range(1, last + 1))


@pytest.mark.parametrize("arms", [False, True])
def test_the_page_beside_the_report_links_to_the_parts_that_there_are(
    tmp_path: Path, *, arms: bool
) -> None:
    directory = write_directory(tmp_path, 7)
    study = json.loads((directory / "study.json").read_text(encoding="utf-8"))
    for index, entry in enumerate(study["subjects"]):
        entry["group"] = "cells" if arms and index % 2 else "control"
    (directory / "study.json").write_text(json.dumps(study), encoding="utf-8")
    report = Page(build_report(directory).read_text(encoding="utf-8"))
    page = Page((directory / FILENAME).read_text(encoding="utf-8"))
    assert ("CONSORT" in " ".join(page.text)) is arms
    assert ("CONSORT" in " ".join(report.text)) is arms
    assert FILENAME in [values.get("href") for _, values in report.attributes]
    places = [values["href"].split("#") for tag, values in page.attributes if tag == "a"]
    assert {file for file, *_ in places} == {"report.html"}
    anchors = {anchor for _, *rest in places for anchor in rest}
    assert anchors <= set(report.ids)
    assert {"summary", "methods", "limits"} <= anchors
    assert ("arms" in anchors) is arms
    assert not [text for text in page.text if re.search(r"\*\w|`", text) and "{" not in text]


@pytest.mark.parametrize("item", ITEMS.values(), ids=ITEMS)
def test_item_says_where_or_that_it_must_be_added(item: tuple[str, str, str]) -> None:
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

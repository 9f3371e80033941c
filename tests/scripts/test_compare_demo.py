"""The comparison of the demo's tables finds what differs, and nothing that is listed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fibrovol.scripts.compare_demo import CHANGES, differences, findings


@pytest.fixture
def results(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("base", "here"):
        (tmp_path / name / "phantoms").mkdir(parents=True)
        (tmp_path / name / "volumes.csv").write_text("case_id,volume_ml\na,1200.00\n", "utf-8")
        (tmp_path / name / "phantoms" / "truth.csv").write_text("path,value\nb,3\n", "utf-8")
    return tmp_path / "base", tmp_path / "here"


def test_equal_tables_have_no_difference(results: tuple[Path, Path]) -> None:
    assert differences(*results) == set()


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("volumes.csv", "case_id,volume_ml\na,1200.01\n", {"volumes.csv: volume_ml"}),
        ("volumes.csv", "case_id,volume_ml,reader\na,1200.00,\n", {"volumes.csv: reader"}),
        ("volumes.csv", "volume_ml,case_id\n1200.00,a\n", {"volumes.csv"}),
        ("volumes.csv", "case_id,volume_ml\r\na,1200.00\r\n", {"volumes.csv"}),
        ("phantoms/truth.csv", "path,value\nb,4\n", {"phantoms/truth.csv: value"}),
        ("paired.csv", "subject\nS1\n", {"paired.csv"}),
    ],
)
def test_what_differs_is_named(
    results: tuple[Path, Path], name: str, text: str, found: set[str]
) -> None:
    (results[1] / name).write_bytes(text.encode())
    assert differences(*results) == found


def test_only_what_is_listed_may_differ_and_the_list_stays_true() -> None:
    assert findings({"a.csv: x"}, {"a.csv: x": "mended"}) == []
    assert "not in" in findings({"a.csv: y"}, {})[0]
    assert "no longer" in findings(set(), {"a.csv: x": "mended"})[0]


def test_every_listed_difference_has_a_reason() -> None:
    changes = json.loads(CHANGES.read_text(encoding="utf-8"))
    assert len(changes["base"]) == 40
    assert all(len(reason) > 20 for reason in changes["differences"].values())

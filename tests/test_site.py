"""The documentation builds into a site whose links lead somewhere; it asks no other server."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mkdocs", reason="mkdocs is not installed (scripts/install --dev)")
    pytest.importorskip("material", reason="mkdocs-material is not installed")
    target = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(target)],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "NO_COLOR": "1"},
    )
    assert done.returncode == 0, done.stderr
    return target


def test_every_page_is_in_the_site(site: Path) -> None:
    pages = {path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")}
    assert len(pages) > 20
    missing = [str(page) for page in pages if not (site / page.with_suffix(".html")).is_file()]
    assert missing == []


def test_a_page_loads_nothing_from_another_server(site: Path) -> None:
    loading = re.compile(r"""<(?:script|img|iframe|source)[^>]*\bsrc=["']?(?:https?:)?//""")
    styles = re.compile(r"""<link[^>]*\bhref=["']?(?:https?:)?//[^>]*>""")
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert loading.findall(text) == [], page.name
        assert [link for link in styles.findall(text) if "canonical" not in link] == [], page.name
        assert 'class="mermaid"' not in text  # its script would come from unpkg.com


def test_words_of_the_pages_are_found(site: Path) -> None:
    index = (site / "search" / "search_index.json").read_text(encoding="utf-8")
    for word in ("orientation_doubtful", "TotalSegmentator", "telemetry"):
        assert word in index


def test_a_code_block_keeps_its_title_and_the_headings_after_it(site: Path) -> None:
    text = (site / "how-to" / "extend.html").read_text(encoding="utf-8")
    assert "imaging/readers/npz.py" in text
    assert 'id="an-engine-setting"' in text

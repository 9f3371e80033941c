"""The documentation builds into a site whose links lead somewhere; it asks no other server."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]


def run(folder: Path, *words: str) -> str:
    programs = os.pathsep.join([str(folder / "bin"), os.environ.get("PATH", "")])
    done = subprocess.run(
        words,
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": programs, "NO_MKDOCS_2_WARNING": "1", "NO_COLOR": "1"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `mike deploy` and `set-default` put on the branch gh-pages of a new repository."""
    for needed in ("mkdocs", "material", "mike"):
        pytest.importorskip(needed, reason=f"{needed} is not installed (scripts/install --dev)")
    folder = tmp_path_factory.mktemp("repository")
    shutil.copytree(ROOT / "docs", folder / "docs")
    for name in ("scripts", "bin"):
        (folder / name).mkdir()
    shim = folder / "bin" / "mkdocs"  # mike starts it by its name: this environment's
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mkdocs "$@"\n', encoding="utf-8")
    shim.chmod(0o755)
    for name in ("mkdocs.yml", "scripts/site_hooks.py"):
        shutil.copyfile(ROOT / name, folder / name)
    run(folder, "git", "init", "-q")
    for name, value in (("user.name", "Fibrovol"), ("user.email", "fibrovol@example.org")):
        run(folder, "git", "config", name, value)
    run(folder, "git", "commit", "-q", "--allow-empty", "-m", "as main")
    mike = str(Path(sys.executable).parent / "mike")
    run(folder, mike, "deploy", "--update-aliases", "0.2.0", "latest")
    run(folder, mike, "set-default", "latest")
    run(folder, "git", "worktree", "add", "-q", "site", "gh-pages")
    return folder / "site"


@pytest.fixture(scope="module")
def site(versions: Path) -> Path:
    return versions / "0.2.0"


def test_the_site_has_versions(versions: Path) -> None:
    (found,) = json.loads((versions / "versions.json").read_text(encoding="utf-8"))
    assert (found["version"], found["aliases"]) == ("0.2.0", ["latest"])
    assert "0.2.0" in (versions / "latest" / "index.html").read_text(encoding="utf-8")
    assert "latest" in (versions / "index.html").read_text(encoding="utf-8")
    page = (versions / "0.2.0" / "how-to" / "pacs.html").read_text(encoding="utf-8")
    assert '"provider":"mike"' in page.replace(" ", "")


def test_a_link_that_leads_nowhere_ends_the_build() -> None:
    config = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), yaml.BaseLoader)
    assert config["strict"] == "true"
    assert set(config["validation"].values()) == {"warn"}  # and strict makes errors of them


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

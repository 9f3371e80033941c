"""The documentation is complete, its links lead somewhere, and it says what the code says."""

from __future__ import annotations

import re
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
from fibrovol.intake import cases
from fibrovol.intake import study as manifest
from fibrovol.scripts import make_reference, rules

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "models").rglob("*.md")]
)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The headings of a page as the anchors that GitHub makes of them."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings
    }


def test_there_are_pages_to_check() -> None:
    assert {"README.md", "tutorial.md", "limitations.md"} <= {page.name for page in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_inside_the_project_resolves(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    broken = []
    for link in LINK.findall(text):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert not broken


def test_every_page_of_docs_is_reached_from_the_index() -> None:
    seen: set[Path] = set()
    waiting = [ROOT / "docs" / "index.md"]
    while waiting:
        page = waiting.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        links = LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8")))
        waiting += [
            (page.parent / link.partition("#")[0]).resolve()
            for link in links
            if "://" not in link and link.partition("#")[0]
        ]
    assert set((ROOT / "docs").rglob("*.md")) <= seen


def test_every_interface_of_the_design_page_exists() -> None:
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| (`[a-z_]+\.[^|]*) \|", text, re.MULTILINE)
    interfaces = [
        name.partition("(")[0].partition("[")[0]
        for cell in named
        for name in re.findall(r"`([a-z_]+\.[^`]*)`", cell)
        if not name.endswith((".py", ".csv", ".yaml"))
    ]
    assert len(interfaces) > 20
    missing = []
    for interface in interfaces:
        module, _, name = f"fibrovol.{interface}".rpartition(".")
        try:
            getattr(import_module(module), name)
        except (ImportError, AttributeError):
            try:
                import_module(f"{module}.{name}")
            except ImportError:
                missing.append(interface)
    assert missing == []


@pytest.mark.parametrize("name", sorted(make_reference.PAGES))
def test_reference_page_says_what_the_code_says(name: str) -> None:
    written = (make_reference.REFERENCE / name).read_text(encoding="utf-8")
    assert written == make_reference.PAGES[name](), (
        "behind the code: run .venv/bin/python scripts/make_reference.py"
    )


@pytest.mark.parametrize(
    "word",
    [
        *cases.REQUIRED_COLUMNS,
        *cases.OPTIONAL_COLUMNS,
        *manifest.YAML_KEYS,
    ],
)
def test_every_name_a_user_may_write_in_a_study_is_documented(word: str) -> None:
    page = ROOT / "docs" / "reference" / "study-files.md"
    assert f"`{word}`" in page.read_text(encoding="utf-8")


def test_commands_in_the_documentation_exist_with_their_options() -> None:
    known = (make_reference.REFERENCE / "commands.md").read_text(encoding="utf-8")
    sections = {
        section.split("\n", 1)[0].strip(): section
        for section in re.split(r"^## fibrovol ?", known, flags=re.MULTILINE)[1:]
    }
    unknown = []
    hand_written = set(PAGES)
    for page in sorted(hand_written):
        for block in FENCE.findall(page.read_text(encoding="utf-8")):
            for command, rest in re.findall(
                r"^(?:\S*/)?fibrovol ([a-z]+)((?: .*)?)$", block, re.MULTILINE
            ):
                options = re.findall(r"(?<!\S)(--?[a-z][a-z-]*)", rest)
                section = sections.get(command, "")
                unknown += [
                    f"{page.name}: fibrovol {command} {option}"
                    for option in options
                    if f"`{option}`" not in section
                ]
                if not section:
                    unknown.append(f"{page.name}: fibrovol {command}")
    assert not unknown


def test_commands_that_messages_name_exist() -> None:
    commands = (make_reference.REFERENCE / "commands.md").read_text(encoding="utf-8")
    unknown = []
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).parts
        if parts[0] in {"tests", "scripts", "build"} or any(p.startswith(".") for p in parts):
            continue
        named = re.findall(r"`fibrovol ([a-z]+)", path.read_text(encoding="utf-8"))
        unknown += [
            f"{path.name}: {name}" for name in named if f"## fibrovol {name}" not in commands
        ]
    assert unknown == []


def test_extras_are_installed_from_the_projects_folder() -> None:
    """Fibrovol is not on PyPI; scripts/install has an option for each extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    code = (ROOT / name for name in rules.tracked_files() if name.endswith(".py"))
    for path in (*PAGES, *(path for path in code if "tests" not in path.parts)):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"pip install [^\n]*\bfibrovol\[", text), path
    installs = (ROOT / "scripts" / "tasks.py").read_text(encoding="utf-8")
    assert all(f'"--{extra}"' in installs for extra in project["optional-dependencies"])

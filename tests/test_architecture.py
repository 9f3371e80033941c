"""The package keeps its shape: no room grows too big, and imports go round in no circle."""

from __future__ import annotations

import graphlib
from pathlib import Path

import grimp
import pytest
from fibrovol.scripts import rules

LARGEST_PART_PERCENT = 18
SPLIT = {"imaging", "histology"}  # rooms whose folders count one by one


@pytest.fixture(scope="module")
def modules() -> dict[str, int]:
    """The lines of each packaged module by its path."""
    outside = {"tests", "scripts", "docs"}
    return {
        name: len((rules.ROOT / name).read_text(encoding="utf-8").splitlines())
        for name in rules.tracked_files()
        if name.endswith(".py") and name.partition("/")[0] not in outside
    }


def room(name: str) -> str:
    """The room of a module; of a split room the folder."""
    parts = Path(name).parts
    depth = 2 if parts[0] in SPLIT else 1
    return "/".join(parts[:-1][:depth]) or "shelves"


def test_no_room_holds_more_than_its_share(modules: dict[str, int]) -> None:
    sizes: dict[str, int] = {}
    for name, lines in modules.items():
        sizes[room(name)] = sizes.get(room(name), 0) + lines
    assert len(sizes) > 12
    limit = sum(modules.values()) * LARGEST_PART_PERCENT / 100
    assert {name: size for name, size in sizes.items() if size > limit} == {}


def test_imports_go_round_in_no_circle() -> None:
    """Imports for types alone and imports inside functions count as well."""
    graph = grimp.build_graph("fibrovol", cache_dir=None)
    own = {m for m in graph.modules if not m.startswith(("fibrovol.tests", "fibrovol.scripts"))}
    imports = {module: graph.find_modules_directly_imported_by(module) & own for module in own}
    assert sum(len(found) for found in imports.values()) > 300
    graphlib.TopologicalSorter(imports).prepare()  # raises CycleError and names the circle


def test_any_module_can_be_the_first_to_be_imported() -> None:
    """Importing a.b.c runs a and a.b before it: `Volume.from_array` once failed for that alone."""
    graph = grimp.build_graph("fibrovol", cache_dir=None, exclude_type_checking_imports=True)
    own = {m for m in graph.modules if not m.startswith(("fibrovol.tests", "fibrovol.scripts"))}

    def packages_of(module: str) -> set[str]:
        parts = module.split(".")
        return {".".join(parts[:count]) for count in range(1, len(parts))}

    runs = {}
    for module in own:
        found = graph.find_modules_directly_imported_by(module) & own
        above = {package for target in found for package in packages_of(target)}
        runs[module] = found | (above - packages_of(module) - {module})
    graphlib.TopologicalSorter(runs).prepare()

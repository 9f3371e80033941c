"""Hash the code behind a number, found by following imports from one module.

A result is measured again when a module changes that it runs through, and only then. Nobody keeps
a list of such modules: imports are read from the source, those inside functions and those by name
included, and with them the data files that the modules name. What imports nothing of a measurement
(the pool, the journal, the report) cannot change its hash.
"""

from __future__ import annotations

import ast
import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

PACKAGE = __name__.rpartition(".")[0]

_NOT_FOLLOWED = ("__init__", "settings", "code_hash", "notebook")
"""Modules of the package's root that decide no result, though others import them: settings, whose
values stand in the hash of the parameters, ``notebook``, which only shows, and ``__init__``, which
names all front doors."""
_WORDINGS = ("errors", "flags")
"""Those that hold sentences: they decide what a report says, but no number."""
_DATA_SUFFIXES = (".yaml", ".json", ".pt", ".ts", ".j2", ".css", ".js")
_BINARY_SUFFIXES = (".pt", ".ts")
_NAME = re.compile(r"[A-Za-z0-9_*][A-Za-z0-9_.*/-]*")
_QUOTED = re.compile(rb"[\"']([A-Za-z0-9_./-]+)[\"']")
_MODULE = re.compile(r"(\.*)([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)(?::\w+)?")
_LEAVES = (ast.Name, ast.expr_context, ast.operator)
"""Parts of a module's text, half of them all, in which nothing is named that counts here."""


@dataclass(frozen=True)
class _Source:
    """What a module's text names."""

    imports: frozenset[tuple[int, str]]
    """Dots before the name, and the name, of every import in it."""
    texts: frozenset[str]
    """Its strings, apart from docstrings; ``*`` stands for what is filled in."""


@lru_cache(maxsize=64)
def code_sha256(module: str, package: Path | None = None, *, wordings: bool = False) -> str:
    """SHA-256 of a module, of all it imports from this package, and of the data files they name.

    Args:
        module: its name below the package, such as "kinds.scan", or in full.
        package: the package's folder; the one that runs if not given.
        wordings: whether the sentences of errors and flags are part of the result.
    """
    root = package or Path(__file__).resolve().parent
    digest = hashlib.sha256()
    for file in code_files(module, root, wordings=wordings):
        content = file.read_bytes()
        if file.suffix not in _BINARY_SUFFIXES:
            # line ends differ between checkouts of one version on Windows and elsewhere
            content = content.replace(b"\r\n", b"\n")
        name = file.relative_to(root).as_posix()
        digest.update(name.encode() + b"\0" + hashlib.sha256(content).digest())
    return digest.hexdigest()


def code_files(module: str, root: Path, *, wordings: bool = False) -> list[Path]:
    """The files that :func:`code_sha256` hashes, sorted.

    Args:
        module: as there.
        root: the package's folder.
        wordings: as there.

    Raises:
        LookupError: there is no such module.
    """
    start = _find(root, module.removeprefix(f"{PACKAGE}."))
    if start is None:
        raise LookupError(f"{module} is not a module of {root}")
    waiting, seen = [start], {start}
    data: set[Path] = set()
    left_out = _NOT_FOLLOWED if wordings else (*_NOT_FOLLOWED, *_WORDINGS)
    left = {root / f"{name}.py" for name in left_out}
    found: dict[str, Path | None] = {}  # files stay for the time of this call
    while waiting:
        file = waiting.pop()
        source = _read(file, file.stat().st_mtime_ns)
        data.update(_data_files(root, file, source.texts))
        for name in _modules(root, file, source):
            if name not in found:
                found[name] = _find(root, name)
            other = found[name]
            if other is not None and other not in seen and other not in left:
                seen.add(other)
                waiting.append(other)
    return sorted(seen | data)


@lru_cache(maxsize=512)
def _read(file: Path, changed_ns: int) -> _Source:
    del changed_ns  # part of the key: an edited file is read again
    tree = ast.parse(file.read_bytes())
    imports: set[tuple[int, str]] = set()
    texts: set[str] = set()
    docstrings = set()
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and _is_for_types_only(node.test):
            waiting += node.orelse
            continue
        if isinstance(node, ast.ImportFrom):
            base = node.module or ""
            imports.add((node.level, base))
            # what is imported may be a module itself
            imports |= {(node.level, f"{base}.{name.name}".strip(".")) for name in node.names}
        elif isinstance(node, ast.Import):
            imports |= {(0, name.name) for name in node.names}
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            docstrings.add(node.value)
        elif isinstance(node, ast.JoinedStr):
            parts = [getattr(part, "value", "*") for part in node.values]
            texts.add("".join(part if isinstance(part, str) else "*" for part in parts))
        elif isinstance(node, ast.Constant) and node not in docstrings:
            texts.update([node.value] if isinstance(node.value, str) else [])
        # ast.iter_child_nodes would take half of a run's start
        for field in node._fields:
            value = getattr(node, field, None)
            if isinstance(value, list):
                waiting += [part for part in value if isinstance(part, ast.AST)]
            elif isinstance(value, ast.AST) and not isinstance(value, _LEAVES):
                waiting.append(value)
    return _Source(frozenset(imports), frozenset(texts))


def _is_for_types_only(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")
    return name == "TYPE_CHECKING"


def _modules(root: Path, file: Path, source: _Source) -> set[str]:
    """Names of the package's modules that a module may import, with the packages on the way."""
    names = set(source.imports)
    for text in source.texts:  # modules that are imported by name, such as ".liver_net:liver_net"
        found = _MODULE.fullmatch(text)
        if found and (found[1] or text.startswith(f"{PACKAGE}.")):
            names.add((len(found[1]), found[2]))
    here = file.parent.relative_to(root).parts
    modules = set()
    for dots, name in names:
        if dots == 0:
            if name != PACKAGE and not name.startswith(f"{PACKAGE}."):
                continue
            full = name.removeprefix(PACKAGE).removeprefix(".")
        else:
            above = here[: len(here) - (dots - 1)]
            full = ".".join((*above, name)).strip(".")
        parts = full.split(".")
        modules |= {".".join(parts[:length]) for length in range(1, len(parts) + 1)}
    return modules


def _find(root: Path, name: str) -> Path | None:
    """The file of a module, None if there is none."""
    place = f"{root}/{name.replace('.', '/')}"
    for file in (f"{place}.py", f"{place}/__init__.py"):
        if os.path.isfile(file):  # noqa: PTH113 - thousands are asked for: start-up time
            return Path(file)
    return None


def _data_files(root: Path, file: Path, texts: frozenset[str]) -> Iterator[Path]:
    """Data files that a module names: next to it, or in a package that it names.

    A folder without Python code in it is data as a whole, such as the network's bundle.
    """
    names = {text for text in texts if _NAME.fullmatch(text)}
    folders = [file.parent]
    for name in names:
        if name.startswith(f"{PACKAGE}."):
            folders.append(root.joinpath(*name.split(".")[1:]))
        elif os.path.isfile(f"{root}/{name}/__init__.py"):  # noqa: PTH113
            folders.append(root / name)
    for folder in folders:
        for name in names:
            if name.endswith(_DATA_SUFFIXES):
                for found in folder.glob(name):
                    yield found
                    yield from _included(found)
            elif folder != root and os.path.isdir(f"{folder}/{name}"):  # noqa: PTH112
                path = folder / name
                if not any(path.glob("*.py")):
                    yield from (p for p in path.rglob("*") if p.suffix in _DATA_SUFFIXES)


def _included(file: Path) -> Iterator[Path]:
    """The templates that a template names."""
    if file.suffix == ".j2":
        for name in _QUOTED.findall(file.read_bytes()):
            for folder in (file.parent, file.parent.parent):  # a template's or its loader's
                path = folder / name.decode()
                if path.suffix == ".j2" and path.is_file():
                    yield path

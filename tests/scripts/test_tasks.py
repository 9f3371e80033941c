"""What developers run: the view of the root as a package, the pins, the changelog, pre-commit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fibrovol.scripts import gather_changelog
from fibrovol.scripts.package_link import show_root_as_package
from fibrovol.scripts.pins import renewed_constraints


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small repository whose root is the package: one module is wrong for mypy."""
    for name, text in {
        "__init__.py": "",
        "py.typed": "",
        "errors.py": "code: int = 3\n",
        "imaging/__init__.py": "",
        "imaging/volume.py": "from ..errors import code\n\nname: str = code\n",
        "build/lib/stray.py": "",
        ".venv/lib/library.py": "",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def _refuse(*_: object, **__: object) -> None:
    raise OSError(1314, "A required privilege is not held by the client")


def _types(root: Path) -> str:
    words = [
        "-m",
        "mypy",
        "-p",
        "fibrovol",
        "--strict",
        "--config-file=",
        "--cache-dir",
        os.devnull,
    ]
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, check=False, cwd=root,
        env=dict(os.environ, MYPYPATH=str(root / ".cache")),
    )  # fmt: skip
    return done.stdout


def test_mypy_sees_the_root_through_a_link(root: Path) -> None:
    package = show_root_as_package(root)
    assert package.is_symlink()
    assert (package / "imaging" / "volume.py").samefile(root / "imaging" / "volume.py")


def test_where_links_are_refused_mypy_finds_the_same(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    show_root_as_package(root)
    linked = _types(root).splitlines()[:-1]  # the last line counts files: a link shows build/ too
    assert ["volume.py:3: error: Incompatible types" in line for line in linked] == [True]
    (root / ".cache" / "fibrovol").unlink()
    monkeypatch.setattr(Path, "symlink_to", _refuse)
    package = show_root_as_package(root)
    assert not package.is_symlink()
    assert _types(root).splitlines()[:-1] == linked
    assert not (package / "build").exists()
    assert not (package / ".venv").exists()


def test_the_copies_follow_the_modules(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "symlink_to", _refuse)
    package = show_root_as_package(root)
    unchanged = (package / "errors.py").stat().st_mtime_ns
    (root / "imaging" / "volume.py").rename(root / "imaging" / "grid.py")
    (root / "imaging" / "grid.py").write_text("name = 1\n", encoding="utf-8")
    show_root_as_package(root)
    names = {path.relative_to(package).as_posix() for path in package.rglob("*.py")}
    assert names == {"__init__.py", "errors.py", "imaging/__init__.py", "imaging/grid.py"}
    assert (package / "imaging" / "grid.py").read_text(encoding="utf-8") == "name = 1\n"
    assert (package / "errors.py").stat().st_mtime_ns == unchanged  # mypy's cache stays good


def test_renewed_pins_keep_the_comments_and_drop_what_one_machine_needs() -> None:
    names = {"torch": "2.14.0+cpu", "numpy": "2.5.0", "nvidia-cublas-cu12": "12.8", "fibrovol": "1",
             "Jinja2": "3.2", "triton": "3.7"}  # fmt: skip
    report = {"install": [{"metadata": {"name": n, "version": v}} for n, v in names.items()]}
    assert renewed_constraints("# tested\nnumpy==2.4.0\nold==1\n", report) == (
        "# tested\nJinja2==3.2\nnumpy==2.5.0\ntorch==2.14.0\n"
    )


def test_pieces_go_under_the_newest_version_in_the_issues_order(tmp_path: Path) -> None:
    (tmp_path / "changelog.d").mkdir()
    for name, text in {
        "README.md": "How.\n",
        "15-rooms.md": "- Rooms.\n  Really.\n",
        "9-old.md": "- Old.\n",
        "15-checks.md": "- Checks.\n",
    }.items():
        (tmp_path / "changelog.d" / name).write_text(text, encoding="utf-8")
    changelog = tmp_path / "CHANGELOG.md"
    changelog.write_text("# Changes\n\n## 0.2.0\n\n- New.\n\n## 0.1.0\n\n- First.\n", "utf-8")
    gather_changelog.main(tmp_path)
    assert changelog.read_text(encoding="utf-8") == (
        "# Changes\n\n## 0.2.0\n\n- New.\n- Old.\n- Checks.\n- Rooms.\n  Really.\n\n"
        "## 0.1.0\n\n- First.\n"
    )
    assert [path.name for path in (tmp_path / "changelog.d").iterdir()] == ["README.md"]
    before = changelog.read_bytes()
    gather_changelog.main(tmp_path)
    assert changelog.read_bytes() == before


def test_a_changelog_without_a_version_is_refused() -> None:
    with pytest.raises(ValueError, match="no heading"):
        gather_changelog.gathered("# Changes\n", ["- New."])


def test_pre_commit_checks_the_files_of_the_commit_without_a_network(
    repository: Path, tmp_path: Path
) -> None:
    """The tools are run with a proxy that leads nowhere, and with nothing but two files."""
    good = repository / "errors.py"
    bad = tmp_path / "bad.py"
    bad.write_text("import os\n", encoding="utf-8")
    environment = Path(sys.prefix)
    nowhere = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "PIP_INDEX_URL"), "http://127.0.0.1:9")

    def check(*files: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(repository / "scripts" / "check"), *map(str, files)],
            capture_output=True, text=True, check=False, cwd=repository,
            env={**os.environ, **nowhere, "FIBROVOL_VENV": str(environment)},
        )  # fmt: skip

    done = check(good)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "mypy" not in done.stdout
    assert "pip-audit" not in done.stdout
    done = check(good, bad)
    assert done.returncode == 1
    assert "F401" in done.stdout


def test_the_editors_configuration_names_the_view_of_the_root(repository: Path) -> None:
    settings = json.loads((repository / ".vscode" / "settings.json").read_text(encoding="utf-8"))
    assert settings["python.analysis.extraPaths"] == [".cache"]
    assert settings["python.testing.pytestEnabled"]

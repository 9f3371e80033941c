"""The container's files: not root, no network while it is built, nothing of the user's packages."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "scripts" / "container"


@pytest.fixture(scope="module")
def steps() -> list[tuple[str, str]]:
    """Instructions of the Containerfile, continued lines joined."""
    text = re.sub(r"^#.*\n", "", (FOLDER / "Containerfile").read_text(encoding="utf-8"), flags=re.M)
    lines = re.sub(r"\s*\\\n\s*", " ", text).strip().splitlines()
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines if line.strip()]


@pytest.fixture(scope="module")
def environment(steps) -> dict[str, str]:
    (words,) = (rest for word, rest in steps if word == "ENV")
    return dict(word.split("=", 1) for word in shlex.split(words))


def test_it_does_not_run_as_root(steps) -> None:
    users = [rest for word, rest in steps if word == "USER"]
    assert users
    assert all(int(part) > 0 for part in users[-1].split(":"))
    last = [word for word, _ in steps].index("USER")
    assert "RUN" not in [word for word, _ in steps[last:]]


def test_nothing_is_fetched_while_it_is_built(steps) -> None:
    commands = [rest for word, rest in steps if word == "RUN"]
    assert commands
    for command in commands:
        assert not re.search(r"\b(curl|wget|apt-get|git)\b|https?://", command)
        for install in re.findall(r"pip install[^&]*", command):
            assert "--no-index" in install
            assert "--find-links /wheels" in install


def test_a_package_in_the_users_home_is_not_the_images(tmp_path: Path, environment) -> None:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    fake = tmp_path / "lib" / version / "site-packages" / "numpy"
    fake.mkdir(parents=True)
    (fake / "__init__.py").write_text("raise SystemExit('the fake one')", encoding="utf-8")
    own = {name: value for name, value in environment.items() if name != "PATH"}
    done = subprocess.run(
        [sys.executable, "-c", "import numpy; print(numpy.__file__)"],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, **own, "PYTHONUSERBASE": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    assert str(tmp_path) not in done.stdout


def test_what_libraries_write_goes_to_the_one_folder_that_can_be_written(environment) -> None:
    for name in ("HOME", "MPLCONFIGDIR", "XDG_CACHE_HOME"):
        assert environment[name].startswith("/tmp")
    assert environment["PYTHONDONTWRITEBYTECODE"] == "1"


def test_the_page_and_the_recipe_name_the_same_files() -> None:
    page = (ROOT / "docs" / "how-to" / "containers.md").read_text(encoding="utf-8")
    recipe = (FOLDER / "fibrovol.def").read_text(encoding="utf-8")
    assert "scripts/container/Containerfile" in page
    assert "scripts/container/fibrovol.def" in page
    assert "Bootstrap: oci-archive" in recipe
    assert "exec fibrovol" in recipe

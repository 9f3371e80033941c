"""What is packaged: the right folders, the right versions, and a wheel that works elsewhere."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from fibrovol.scripts import rules

ROOT = Path(__file__).resolve().parents[1]
RUN_EXAMPLES = """
import doctest, importlib, pathlib, tempfile
modules = "fibrovol.imaging.readers fibrovol.imaging.measure fibrovol.histology.measure".split()
for name in modules:
    known = {"folder": pathlib.Path(tempfile.mkdtemp())}  # that the examples write to
    done = doctest.testmod(importlib.import_module(name), extraglobs=known)
    assert done.attempted >= 3, f"{name} has no examples"
    assert not done.failed
"""
NOT_PACKAGED = {"tests", "scripts", "docs", "build", "dist", "runs", "venv"}


@pytest.fixture(scope="module")
def pyproject() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line.partition(";")[0].strip() for line in lines if line and not line.startswith("#")]
    return {normalised(name): version for name, _, version in (pin.partition("==") for pin in pins)}


def package_folders() -> set[str]:
    """Every folder of Python files under the root, as a package name."""
    found = set()
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).parts[:-1]
        if any(part.startswith(".") or part == "node_modules" for part in parts):
            continue
        if parts and parts[0] in NOT_PACKAGED:
            continue
        found.add(".".join(("fibrovol", *parts)))
    return found


def test_pyproject_lists_every_folder_with_code(pyproject: dict) -> None:
    listed = pyproject["tool"]["setuptools"]["packages"]
    assert sorted(listed) == sorted(package_folders())


def test_every_package_has_an_init_file(pyproject: dict) -> None:
    folders = [
        ROOT.joinpath(*name.split(".")[1:]) for name in pyproject["tool"]["setuptools"]["packages"]
    ]
    assert [str(folder) for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_constraints_hold_a_tested_version_of_every_dependency(pyproject: dict) -> None:
    project = pyproject["project"]
    requirements = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {normalised(re.split(r"[^\w.-]", requirement)[0]) for requirement in requirements}
    assert names - constraints().keys() == set()
    assert constraints()["torch"] == "2.13.0"


def imported_modules() -> set[str]:
    """Top-level names of what the packaged code imports, anywhere in a file."""
    names: set[str] = set()
    for package in package_folders():
        for path in ROOT.joinpath(*package.split(".")[1:]).glob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    names |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    names.add(str(node.module).partition(".")[0])
    return names - sys.stdlib_module_names


def test_everything_imported_is_a_declared_dependency(pyproject: dict) -> None:
    """What another library happens to bring today may be gone with its next version."""
    project = pyproject["project"]
    requirements = [*project["dependencies"]]
    for name, extra in project["optional-dependencies"].items():
        requirements += extra if name != "dev" else []
    declared = {normalised(re.split(r"[^\w.-]", requirement)[0]) for requirement in requirements}
    providers = metadata.packages_distributions()
    undeclared = {
        module
        for module in imported_modules()
        if not declared & {normalised(name) for name in [module, *providers.get(module, [])]}
    }
    assert undeclared == set()


def test_installed_versions_are_the_tested_ones() -> None:
    installed: dict[str, str] = {}
    for found in metadata.distributions():
        if found.name:
            # the first is the one imported; once loaded, setuptools adds the copies it carries
            installed.setdefault(normalised(found.name), found.version.partition("+")[0])
    other = {
        name: (installed[name], version)
        for name, version in constraints().items()
        if installed.get(name, version) != version
    }
    if other and "CI" not in os.environ:
        pytest.skip(f"this environment was not made by scripts/install: {other}")
    assert other == {}


def test_a_plain_installation_pulls_no_dask_and_the_extra_does() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    dask = {"dask", "distributed"}
    names = {
        extra: {re.split(r"[^\w.-]", requirement)[0] for requirement in requirements}
        for extra, requirements in project["optional-dependencies"].items()
    }
    plain = {re.split(r"[^\w.-]", requirement)[0] for requirement in project["dependencies"]}
    assert not plain & dask
    assert dask <= names["cluster"]
    assert dask <= names["dev"]  # the scheduler tests need it


def test_a_run_on_this_machine_needs_no_dask(tmp_path: Path) -> None:
    """What a run imports, where importing Dask fails."""
    code = (
        "import sys, fibrovol\n"
        "sys.modules['dask'] = sys.modules['distributed'] = None\n"
        "from fibrovol.batch import executor, runner, cluster\n"
        "from fibrovol.commands import measuring\n"
        "from fibrovol.settings import load_settings\n"
        "print(type(executor.make_executor(load_settings({'run': {'workers': 2}}).run)).__name__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.strip() == "PoolExecutor"


def test_importing_fibrovol_loads_nothing_heavy() -> None:
    code = (
        "import sys, fibrovol; heavy = {'torch', 'monai', 'pandas', 'matplotlib', 'scipy', 'cv2',"
        " 'skimage', 'SimpleITK', 'nibabel', 'dask', 'highdicom', 'pydicom', 'tifffile'};"
        " print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT.anchor
    )
    assert done.stdout.strip() == "[]"


@pytest.fixture(scope="module")
def clean_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what git tracks (or would): as in a fresh clone, with nothing built in it."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    source = tmp_path_factory.mktemp("source")
    for name in rules.tracked_files():
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target)
    return source


@pytest.fixture(scope="module")
def distributions(clean_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source archive and the wheel made from it.

    Built with this environment's setuptools: an isolated build would load it from the network.
    """
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", out, clean_source],
        check=True,
        capture_output=True,
    )
    return out


@pytest.fixture(scope="module")
def wheel_names(distributions: Path) -> list[str]:
    (wheel,) = distributions.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


@pytest.mark.slow
def test_wheel_holds_the_package_and_nothing_else(wheel_names: list[str]) -> None:
    code = {name for name in rules.tracked_files() if name.endswith(".py")}
    code = {f"fibrovol/{name}" for name in code if name.split("/")[0] not in NOT_PACKAGED}
    assert code <= set(wheel_names)
    assert {name.split("/")[0].split("-")[0] for name in wheel_names} == {"fibrovol"}
    stray = ("/tests/", "/scripts/", "docs/index", ".cache/", ".ci/", "fibrovol/README.md", ".pyc")
    assert [name for name in wheel_names if any(part in name for part in stray)] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "fibrovol/py.typed",
        "fibrovol/configs/default.yaml",
        "fibrovol/models/liver/models/model.pt",
        "fibrovol/models/liver/models/model_mr.pt",
        "fibrovol/models/liver/models/border.pt",
        "fibrovol/models/liver/configs/metadata.json",
        "fibrovol/models/liver/configs/inference.yaml",
        "fibrovol/models/liver/LICENSE",
        "fibrovol/models/liver/docs/data_license.txt",
        "fibrovol/report/template.html.j2",
        "fibrovol/review/static/worklist.html",
        "fibrovol/review/static/scan.js",
        "fibrovol/review/static/openseadragon.LICENSE.txt",
    ],
)
def test_wheel_holds_what_the_program_reads(wheel_names: list[str], name: str) -> None:
    assert name in wheel_names


@pytest.mark.slow
def test_wheel_carries_the_licences(wheel_names: list[str]) -> None:
    licences = [name for name in wheel_names if ".dist-info/licenses/" in name]
    assert {name.split("/licenses/")[1] for name in licences} == {
        "LICENSE",
        "models/liver/LICENSE",
        "models/liver/docs/data_license.txt",
    }


@pytest.mark.slow
def test_source_archive_holds_tests_and_docs(distributions: Path) -> None:
    (archive,) = distributions.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
    assert {"pyproject.toml", "docs/index.md", "tests/test_packaging.py", "scripts/test"} <= names
    assert [name for name in names if name.startswith((".cache", ".git/", ".venv"))] == []


@pytest.mark.slow
def test_wheel_in_an_empty_environment_runs_the_demo_from_another_folder(
    distributions: Path, tmp_path: Path
) -> None:
    """The environment sees this one's libraries, but not this checkout's fibrovol."""
    (wheel,) = distributions.glob("*.whl")
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=False)
    paths = {"base": str(environment), "platbase": str(environment)}
    site_packages = Path(sysconfig.get_path("purelib", "venv", vars=paths))
    python = Path(sysconfig.get_path("scripts", "venv", vars=paths)) / (
        "python.exe" if os.name == "nt" else "python"
    )
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", wheel],
        check=True,
    )
    # A plain line of a .pth file adds a folder without running the .pth files in it, so the
    # editable install of this checkout stays out of sight.
    (site_packages / "libraries.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    where = tmp_path / "elsewhere"
    where.mkdir()
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    told = subprocess.run(
        [python, "-c", "import fibrovol; print(fibrovol.__file__)"],
        check=True, capture_output=True, text=True, cwd=where, env=clean,
    )  # fmt: skip
    assert str(site_packages) in told.stdout
    demo = subprocess.run(
        [python, "-m", "fibrovol", "demo", "-o", "demo", "--small", "--subjects", "3"],
        check=False, capture_output=True, text=True, cwd=where, env=clean,
    )  # fmt: skip
    assert demo.returncode in (0, 3), demo.stderr
    assert (where / "demo" / "report.html").stat().st_size > 10_000
    assert (where / "demo" / "statistics.csv").is_file()
    examples = subprocess.run(
        [python, "-c", RUN_EXAMPLES],
        check=False, capture_output=True, text=True, cwd=where, env=clean,
    )  # fmt: skip
    assert examples.returncode == 0, examples.stdout + examples.stderr

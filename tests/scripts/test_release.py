"""A release: the same bytes from two builds, no licence that cannot be shipped, honest files."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import sys
import tarfile
import tomllib
import zipfile
from email.message import Message
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))  # they are started there, not imported from a package

import licences  # noqa: E402
import release_tool  # noqa: E402
from reproducible import normalise  # noqa: E402

CONTENT = {"a/__init__.py": b"", "a/run.sh": b"#!/bin/sh\n", "a-1.dist-info/RECORD": b"x"}
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def write_zip(path: Path, names: list[str], year: int, mode: int) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            entry = zipfile.ZipInfo(name, (year, 1, 1, 0, 0, 0))
            entry.external_attr = (mode | (0o100 if name.endswith(".sh") else 0)) << 16
            archive.writestr(entry, CONTENT[name])


def write_tar(path: Path, names: list[str], year: int, mode: int) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime, entry.uid = len(CONTENT[name]), year * 10**6, year
            entry.mode, entry.uname = mode | (0o100 if name.endswith(".sh") else 0), f"user{year}"
            archive.addfile(entry, io.BytesIO(CONTENT[name]))


@pytest.mark.parametrize(("write", "name"), [(write_zip, "a.whl"), (write_tar, "a.tar.gz")])
def test_time_rights_owner_and_order_leave_no_trace(tmp_path: Path, write, name: str) -> None:
    names = list(CONTENT)
    for folder, order, year, mode in (("1", names, 1999, 0o644), ("2", names[::-1], 2026, 0o600)):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder / name, order, year, mode)
        normalise(tmp_path / folder / name, 1_700_000_000)
    first, second = (tmp_path / folder / name for folder in "12")
    assert first.read_bytes() == second.read_bytes()
    if name.endswith(".whl"):
        with zipfile.ZipFile(first) as archive:
            assert {entry: archive.read(entry) for entry in archive.namelist()} == CONTENT
            assert archive.namelist()[-1].endswith("RECORD")
            assert archive.getinfo("a/run.sh").external_attr >> 16 & 0o777 == 0o755
    else:
        with tarfile.open(first) as archive:
            assert {m.name: archive.extractfile(m).read() for m in archive} == CONTENT
            assert archive.getmember("a/__init__.py").mode == 0o644
        assert gzip.GzipFile(first).read(1)
    with pytest.raises(ValueError, match="neither"):
        normalise(tmp_path / "1", 0)


@pytest.mark.parametrize(
    ("licence", "may"),
    [
        ("MIT", True),
        ("BSD-3-Clause OR GPL-2.0-only", True),
        ("BSD-3-Clause AND GPL-2.0-only", False),
        ("LGPL-2.1-only AND (BSD-3-Clause OR GPL-2.0-only)", True),
        ("GPL-3.0-or-later", False),
        ("AGPL-3.0-only", False),
        ("GNU General Public License v3 (GPLv3)", False),
        ("GNU Lesser General Public License v3 (LGPLv3)", True),
        ("BSD License OR Apache Software License", True),
        ("", False),
    ],
)
def test_which_licences_may_be_shipped(licence: str, may: bool) -> None:
    assert (not licences.Package("a", "1", licence).refused) is may


def test_a_licence_is_found_where_packages_state_it() -> None:
    stated = Message()
    stated["Classifier"] = "License :: OSI Approved"
    stated["Classifier"] = "License :: OSI Approved :: MIT License"
    stated["License"] = "The long text\nof it"
    assert licences.licence_of("a", stated) == "MIT License"
    del stated["Classifier"]
    assert licences.licence_of("a", stated) == "The long text"
    stated["License-Expression"] = "MIT"
    assert licences.licence_of("a", stated) == "MIT"


def test_what_a_plain_installation_brings_may_be_shipped(tmp_path: Path) -> None:
    packages = licences.installed()
    assert [(p.name, p.refused) for p in packages if p.refused] == []
    names = {package.name for package in packages}
    assert {"numpy", "torch", "pydicom"} <= names
    assert "pytest" not in names  # the extras are not in it
    paths = [tmp_path / "1.json", tmp_path / "2.json"]
    for path in paths:
        licences.write_sbom(packages, path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    listed = json.loads(paths[0].read_text(encoding="utf-8"))
    assert (listed["bomFormat"], listed["specVersion"]) == ("CycloneDX", "1.6")
    assert {part["name"] for part in listed["components"]} == names - {"fibrovol"}
    assert listed["metadata"]["component"]["name"] == "fibrovol"
    assert all(part["purl"].startswith("pkg:pypi/") for part in listed["components"])


def test_a_version_goes_to_every_place_that_states_it(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "CITATION.cff"):
        (tmp_path / name).write_text((ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")
    changelog = "# Changes\n\n## 0.1.0 (not yet released)\n\n- new\n\n## 0.0.1 (2020-01-01)\n"
    (tmp_path / "CHANGELOG.md").write_text(changelog, encoding="utf-8")
    release_tool.write_version(tmp_path, "0.2.0", "2026-12-01")
    text = (tmp_path / "pyproject.toml").read_text(encoding="utf-8")
    assert release_tool.stated_version(text) == "0.2.0"
    assert "\nversion: 0.2.0\n" in (tmp_path / "CITATION.cff").read_text(encoding="utf-8")
    assert "## 0.2.0 (2026-12-01)\n" in (tmp_path / "CHANGELOG.md").read_text(encoding="utf-8")
    with pytest.raises(release_tool.ReleaseError, match="not yet released"):
        release_tool.write_version(tmp_path, "0.3.0", "2026-12-02")


@pytest.mark.parametrize(("version", "why"), [("0.0.9", "older"), ("1.0", "three numbers")])
def test_a_wrong_version_is_refused(version: str, why: str) -> None:
    with pytest.raises(release_tool.ReleaseError, match=why):
        release_tool.raised(version, "0.1.0")
    assert release_tool.raised("0.1.0", "0.1.0") == "0.1.0"


def test_the_workflow_runs_what_is_here_on_every_python_we_name() -> None:
    path = ROOT / ".github" / "workflows" / "ci.yml"
    jobs = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]
    matrix = jobs["test"]["strategy"]["matrix"]
    named = [
        text.rpartition(" ")[2]
        for text in PYPROJECT["project"]["classifiers"]
        if re.fullmatch(r"Programming Language :: Python :: 3\.\d+", text)
    ]
    assert matrix["python"] == named
    systems = {system.partition("-")[0] for system in matrix["system"]}
    assert systems == {"ubuntu", "windows", "macos"}
    commands = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    started = [re.fullmatch(r"python (scripts/\w+).*", command) for command in commands]
    assert all(match and (ROOT / match[1]).is_file() for match in started)


CONDA_NAMES = {
    "torch": "pytorch",
    "opencv-python-headless": "py-opencv",
    "python-gdcm": "gdcm",
    "openslide-bin": "openslide",
}


def test_the_conda_recipe_asks_for_what_pyproject_asks_for() -> None:
    text = (ROOT / "scripts" / "conda" / "meta.yaml").read_text(encoding="utf-8")
    run = text.partition("  run:\n")[2].partition("\ntest:")[0]
    listed = {line.split()[1].lower() for line in run.splitlines() if line.strip().startswith("- ")}
    wanted = {
        CONDA_NAMES.get(name, name)
        for line in PYPROJECT["project"]["dependencies"]
        for name in [Requirement(line.partition("#")[0]).name.lower()]
    }
    assert listed - {"python"} == wanted
    assert f'{{% set version = "{PYPROJECT["project"]["version"]}" %}}' in text


def test_the_scripts_are_executable_and_named_in_the_task_table() -> None:
    path = ROOT / "scripts" / "release"
    assert os.name == "nt" or path.stat().st_mode & 0o100
    assert 'tasks.main("release")' in path.read_text(encoding="utf-8")

"""scripts/check tells "no known vulnerability" from "nobody was asked"."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from fibrovol.scripts import audit


def answer(*dependencies: dict) -> str:
    return json.dumps({"dependencies": list(dependencies), "fixes": []})


FINE = {"name": "numpy", "version": "2.0", "vulns": []}
UNKNOWN = {"name": "torch", "skip_reason": "Dependency not found on PyPI"}
BROKEN = {
    "name": "jinja2",
    "version": "2.4.1",
    "vulns": [{"id": "PYSEC-2019-217", "aliases": ["CVE-2014-1402"], "fix_versions": ["2.7.2"]}],
}


def test_a_clean_answer_and_what_it_does_not_cover():
    found = audit.read_answer(answer(FINE, UNKNOWN))
    assert found == audit.Audit(True, (), ("torch",))


@pytest.mark.parametrize("text", ["", "[]", "{}", answer(), answer(UNKNOWN, UNKNOWN)])
def test_an_answer_without_a_single_library_is_no_clean_answer(text):
    found = audit.read_answer(text)
    assert not found.checked
    assert found.reason


def test_an_advisory_is_named_unless_it_is_argued(monkeypatch):
    found = audit.read_answer(answer(FINE, BROKEN))
    assert found.vulnerable == ("jinja2 2.4.1: PYSEC-2019-217, corrected in 2.7.2",)
    monkeypatch.setattr(audit, "ARGUED", {"CVE-2014-1402": "no sandbox is used"})
    assert audit.read_answer(answer(FINE, BROKEN)).vulnerable == ()


def test_without_network_nothing_is_called_checked(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    found = audit.audit(Path(sys.executable))
    assert not found.checked
    assert "no route to host" in found.reason


def test_a_build_is_asked_about_as_its_release():
    installed = json.dumps(
        [{"name": "torch", "version": "2.13.0+cpu"}, {"name": "fibrovol", "version": "0.1.0"}]
    )
    assert audit.requirements(installed) == "torch==2.13.0\n"

"""The rules for files find what they are made to find."""

from __future__ import annotations

import hashlib

import pytest
from fibrovol.scripts import rules

LONG = b"x = 1\n" * (rules.MAX_LINES + 1)


def found(name: str, content: bytes) -> list[str]:
    return [finding for rule in rules.RULES for finding in rule(name, content)]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("imaging/a.py", LONG, "401 lines"),
        ("docs/film.bin", b"\0" * (rules.MAX_BYTES + 1), "bytes, the limit"),
        ("models/liver/models/model.pt", b"\0" * (rules.MAX_WEIGHTS_BYTES + 1), "bytes, the limit"),
        ("tests/data/case.NII.GZ", b"\x1f\0", "not committed"),
        ("tests/data/slice", b"\0" * 128 + b"DICM", "DICOM"),
        ("docs/page.md", b"one\r\ntwo\r\n", "CRLF"),
        ("docs/page.md", b"caf\xe9\n", "UTF-8"),
        ("changelog.d/rooms.md", b"- Rooms.\n", "ISSUE-word.md"),
        ("changelog.d/15_rooms.md", b"- Rooms.\n", "ISSUE-word.md"),
        ("changelog.d/15-rooms.md", b"Rooms.\n", "starts with"),
        ("changelog.d/15-rooms.md", b"- Rooms,\nmany of them.\n", "two spaces"),
        ("changelog.d/15-rooms.md", b"", "starts with"),
    ],
)
def test_a_broken_rule_is_found(name: str, content: bytes, words: str) -> None:
    (finding,) = found(name, content)
    assert words in finding


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("imaging/a.py", b"# Long because the table is one table\n" + LONG),
        ("docs/page.md", "µm\n".encode()),
        ("changelog.d/15-rooms.md", b"- Rooms,\n  many of them.\n- Arrows.\n"),
        ("changelog.d/README.md", b"One file a change.\n"),
        ("models/liver/models/model.pt", b"\0" * (rules.MAX_BYTES + 1)),
    ],
)
def test_what_is_allowed_is_not_found(name: str, content: bytes) -> None:
    assert found(name, content) == []


def test_the_projects_own_files_are_as_they_should_be() -> None:
    assert rules.findings() == []


def test_a_copy_of_the_development_data_is_found(shared_data, monkeypatch) -> None:
    original = (shared_data / "README.md").read_bytes()
    hashes = rules.shared_hashes()
    assert hashes[hashlib.sha256(original).hexdigest()] == "README.md"
    monkeypatch.setattr(rules, "tracked_files", lambda: ["pyproject.toml"])
    own = hashlib.sha256((rules.ROOT / "pyproject.toml").read_bytes()).hexdigest()
    monkeypatch.setattr(rules, "shared_hashes", lambda: {own: "scan.nii.gz"})
    assert rules.findings() == ["pyproject.toml: is a copy of the development data's scan.nii.gz"]

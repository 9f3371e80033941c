"""Decide whether a report must be written again: drawing a thousand pictures takes a minute.

What it was made from and what was written stand in the run's work folder. Pictures are told by
their sizes and times, as the inputs of finished cases are; tables by what is in them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path

from ..code_hash import code_sha256
from ..files import sha256_file, write_text
from ..provenance import input_state, software_versions

_READ = (
    *("study.json", "volumes.csv", "collagen.csv", "fragments.csv"),
    *("clinical.csv", "outcomes.csv", "reviews.csv"),
)
_WRITTEN = ("report.html", "paired.csv", "statistics.csv")
_LIBRARIES = ("numpy", "scipy", "matplotlib", "pillow", "jinja2")
_NOTE_NAME = "report.json"


def made_from(directory: Path) -> str:
    """SHA-256 of everything that the report of an output directory depends on."""
    digest = hashlib.sha256()
    for name in _READ:
        path = directory / name
        digest.update(f"{name} {sha256_file(path) if path.is_file() else ''}\n".encode())
    overlays = directory / "overlays"
    pictures = input_state(overlays).stat_sha256 if overlays.is_dir() else ""
    code = code_sha256("report.page", wordings=True)
    digest.update(f"{pictures}\n{code}\n".encode())
    versions = software_versions(_LIBRARIES)
    digest.update(json.dumps([versions[name] for name in _LIBRARIES]).encode())
    return digest.hexdigest()


def still_holds(directory: Path, work: Path, made: str) -> bool:
    """Whether the report is what it was when :func:`note` was called, and would be made alike.

    Args:
        directory: a run's output directory.
        work: its work folder.
        made: :func:`made_from` now.
    """
    try:
        known = json.loads((work / _NOTE_NAME).read_text(encoding="utf-8"))
        return bool(known == _note(directory, made))
    except (OSError, ValueError):
        return False


def note(directory: Path, work: Path, made: str) -> None:
    """Remember a report that was just written.

    Args:
        directory: a run's output directory.
        work: its work folder.
        made: :func:`made_from` before it was written, so that a change meanwhile is not missed.
    """
    with contextlib.suppress(OSError):  # without it the report is written again next time
        write_text(work / _NOTE_NAME, json.dumps(_note(directory, made), indent=1) + "\n")


def _note(directory: Path, made: str) -> dict[str, object]:
    written = {name: sha256_file(directory / name) for name in _WRITTEN}
    return {"made_from": made, "written": written}

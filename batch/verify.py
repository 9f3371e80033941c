"""Check that inputs and results are still what was measured and written."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import FibrovolError, OutputError
from ..files import sha256_file
from ..intake.remote import Url, is_url, remote_content_sha256
from ..kinds.table import KINDS
from ..provenance import content_sha256, input_state
from .corrections import orphans
from .journal import JOURNAL_NAME, read_records
from .output import WORK_NAME
from .record import Record
from .task import combined


@dataclass(frozen=True)
class Mismatch:
    """Something that is not as the run left it."""

    what: str
    """One of "input", "output" and "table"."""
    name: str
    """The case_id, or the file relative to the results folder."""
    problem: str
    """What is different, a clause."""


@dataclass(frozen=True)
class Verification:
    """What was compared, and what differs."""

    n_inputs: int
    """Inputs hashed again."""
    n_outputs: int
    """Masks, pictures and logs hashed again."""
    n_tables: int
    """Tables hashed again."""
    mismatches: tuple[Mismatch, ...]


def verify(directory: Path, tell: Callable[[int, int], None] | None = None) -> Verification:
    """Hash the inputs and outputs of a results folder again.

    Args:
        directory: a results folder.
        tell: called with (cases done, cases in all).

    Raises:
        OutputError: ``not_a_result``, it contains no finished results.
    """
    directory = Path(directory)
    try:
        provenance = json.loads((directory / "provenance.json").read_text(encoding="utf-8"))
        package = json.loads((directory / "datapackage.json").read_text(encoding="utf-8"))
        cases: dict[str, Any] = provenance["cases"]
    except (OSError, ValueError, KeyError):
        raise OutputError(
            "not_a_result",
            "This folder contains no finished results",
            found=f"no usable provenance.json and datapackage.json in {directory}",
            do="give the folder that was given to -o, or finish its run first",
        ) from None
    inputs = {
        record.case_id: record for record in read_records(directory / WORK_NAME / JOURNAL_NAME)
    }
    found: list[Mismatch] = []
    n_inputs = n_outputs = 0
    for number, (case_id, case) in enumerate(cases.items(), start=1):
        if tell is not None:
            tell(number, len(cases))
        if case["input"]["content_sha256"]:
            n_inputs += 1
            problem = _input_problem(inputs.get(case_id), case["input"]["content_sha256"])
            if problem:
                found.append(Mismatch("input", case_id, problem))
        for name, sha256 in case["outputs"].items():
            if sha256:  # the log of a process that died has none
                n_outputs += 1
                found += _file_mismatch(directory, "output", name, sha256)
    found += [Mismatch("output", name, why) for name, why in orphans(directory, set(cases))]
    for resource in package["resources"]:
        found += _file_mismatch(
            directory, "table", resource["path"], resource["hash"].removeprefix("sha256:")
        )
    return Verification(n_inputs, n_outputs, len(package["resources"]), tuple(found))


def _input_problem(record: Record | None, expected: str) -> str:
    if record is None:
        return f"its place is not known any more ({WORK_NAME}/{JOURNAL_NAME} is missing)"
    try:
        content = combined(_contents(record))
    except FibrovolError as error:
        return f"it cannot be read any more: {error.found or error.what}"
    return "" if content == expected else "it is not the content that was measured"


def _contents(record: Record) -> list[str]:
    """What is in each input now, in the order of the measurement: a slide's other files last."""
    contents, companions = [], []
    for number, place in enumerate(record.inputs):
        if is_url(place):
            own, *others = remote_content_sha256(Url(place))
        else:
            path = Path(place)
            parts = [path, *(KINDS[record.kind].companions(path) if number == 0 else ())]
            own, *others = [content_sha256(input_state(part)) for part in parts]
        contents.append(own)
        companions += others
    return contents + companions


def _file_mismatch(directory: Path, what: str, name: str, sha256: str) -> list[Mismatch]:
    path = directory / name
    if not path.resolve().is_relative_to(directory.resolve()):
        return [Mismatch(what, name, "it is outside the results folder")]
    try:
        same = sha256_file(path) == sha256
    except OSError as error:
        return [Mismatch(what, name, f"it cannot be read: {error.strerror}")]
    return [] if same else [Mismatch(what, name, "it was changed after it was written")]

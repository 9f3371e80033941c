"""Pictures for a blinded reader, who must not know whose they are or which visit came first."""

from __future__ import annotations

import csv
import io
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..analysis.inputs import Inputs
from ..files import write_text
from .pictures import embed, inside, share_bytes


@dataclass(frozen=True)
class BlindPicture:
    """A picture under a code that says nothing."""

    code: str
    """Four figures."""
    kind: str
    """Scan or slide."""
    uri: str
    """The embedded picture, free of any metadata of the file."""
    width_px: int
    """Of the embedded picture."""
    height_px: int
    """Of the embedded picture."""


def blind_pictures(inputs: Inputs, seed: int = 0) -> tuple[list[BlindPicture], str]:
    """Give every picture a code and shuffle them.

    Args:
        inputs: the output directory.
        seed: of the shuffling; the same seed gives the same codes.

    Returns:
        The pictures in the order of their codes, and the key as CSV text
        (``code,subject,timepoint,case_id,kind``).
    """
    cases: list[tuple[str, dict[str, Any]]] = [
        (kind, dict(row))
        for kind, rows in (("scan", inputs.volumes), ("slide", inputs.collagen))
        for row in rows
        if row["overlay_path"]
    ]
    cases.sort(key=lambda case: (case[0], str(case[1]["case_id"])))
    generator = random.Random(seed)  # hides from a reader, not from an attacker
    codes = generator.sample(range(1000, 10_000), len(cases))
    budget = share_bytes(len(cases))
    pictures, key = [], []
    for code, (kind, row) in sorted(zip(codes, cases, strict=True), key=lambda item: item[0]):
        path = inside(inputs.directory, str(row["overlay_path"]))
        picture = embed(path, budget) if path else None
        if picture is None:
            continue
        pictures.append(
            BlindPicture(str(code), kind, picture.uri, picture.width_px, picture.height_px)
        )
        key.append([str(code), row["subject"], row["timepoint"], row["case_id"], kind])
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["code", "subject", "timepoint", "case_id", "kind"])
    writer.writerows(key)
    return pictures, stream.getvalue()


def write_key(directory: Path, text: str) -> Path:
    """Write the key next to the blinded page; keep it from whoever reads the pictures."""
    path = directory / "report_blind_key.csv"
    write_text(path, text)
    return path

"""Pictures and arms for those who must not know: whose a picture is, or which arm is which."""

from __future__ import annotations

import csv
import hashlib
import io
import random
from dataclasses import dataclass, replace
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


def blind_arms(inputs: Inputs, seed: int = 0) -> tuple[Inputs, str]:
    """Call the arms A, B, ... in an order that the page does not give away.

    Which arm is A follows from the seed together with the hashes of all scans and slides: whoever
    has the blinded page alone cannot work it out.

    Args:
        inputs: the output directory.
        seed: of the shuffling; the same seed and files give the same letters.

    Returns:
        The inputs with letters for arms, and the key as CSV text (``code,arm``); an empty text if
        the study has no arms.
    """
    names = inputs.design.group_names
    if not names:
        return inputs, ""
    rows = (*inputs.volumes, *inputs.collagen)
    secret = "\n".join([str(seed), *names, *sorted(str(row["input_sha256"]) for row in rows)])
    shuffled = list(names)
    generator = random.Random(hashlib.sha256(secret.encode("utf-8")).hexdigest())
    generator.shuffle(shuffled)
    codes = {name: f"Arm {chr(ord('A') + index)}" for index, name in enumerate(shuffled)}
    groups = {subject: codes[name] for subject, name in inputs.design.groups.items()}
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["code", "arm"])
    writer.writerows((code, name) for name, code in codes.items())
    clinical = [{**row, "group": codes.get(str(row.get("group")), "")} for row in inputs.clinical]
    design = replace(inputs.design, groups=groups)
    return replace(inputs, design=design, clinical=clinical), stream.getvalue()


def write_key(directory: Path, text: str, name: str = "report_blind_key.csv") -> Path:
    """Write a key next to a blinded page; keep it from whoever reads that page."""
    path = directory / name
    write_text(path, text)
    return path

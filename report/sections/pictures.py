"""Every case's picture, one subject's visits side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ...analysis.inputs import Inputs
from .. import words
from ..pictures import Picture, embed, inside, share_bytes, widths_at_one_scale
from ..section import Entry, Section, Source

_LATE_FROM = 200
"""Cases from which on a picture is decoded when it is scrolled to: 2,000 take half a minute."""


def entries(source: Source) -> Sequence[Entry]:
    """Always there."""
    inputs = source.analysis.inputs
    late = len(inputs.volumes) + len(inputs.collagen) > _LATE_FROM
    rows = gallery(inputs)
    shown = [row for row in rows if any(shot.uri for _, shots in row.visits for shot in shots)]
    bare = [row for row in rows if row not in shown]
    return [Entry("gallery", "Pictures", {"rows": shown, "bare": bare, "late": late})]


SECTION = Section("pictures", entries)


@dataclass(frozen=True)
class Shot:
    """One overlay picture of the gallery."""

    caption: str
    """What was measured."""
    alt: str
    """The picture in words."""
    uri: str
    """The picture itself, "" if there is none."""
    width_px: int
    """Of the embedded picture."""
    height_px: int
    """Of the embedded picture."""
    missing: str
    """Why there is no picture."""
    flags: tuple[str, ...] = ()
    """Of the case."""
    mm_per_px: float | None = None
    """Of the embedded picture, None if the file does not state it."""
    width_percent: float | None = None
    """Of its column, so that all pictures of the row have one scale; None if the picture does
    not state its scale."""
    scale_note: str = ""
    """What to know about its scale."""


@dataclass(frozen=True)
class GalleryRow:
    """One subject's pictures of one kind, visits side by side."""

    subject: str
    """The code."""
    kind: str
    """Scan or Slide."""
    visits: list[tuple[str, list[Shot]]] = field(default_factory=list)
    """Each visit with its pictures."""


def gallery(inputs: Inputs) -> list[GalleryRow]:
    """Every case's picture, one subject's visits side by side."""
    cases = [
        ("Scan", row, "volume_ml", "mL", 0, "outline of the liver") for row in inputs.volumes
    ] + [
        ("Slide", row, "caf_percent", "% collagen", 2, "collagen marked") for row in inputs.collagen
    ]
    budget = share_bytes(sum(bool(row["overlay_path"]) for _, row, *_ in cases))
    rows: dict[tuple[str, str], GalleryRow] = {}
    visits = list(inputs.design.timepoints) or [""]
    for subject in [*inputs.design.subjects, ""]:
        for kind in ("Scan", "Slide"):
            rows[subject, kind] = GalleryRow(subject, kind, [(visit, []) for visit in visits])
    for kind, row, value, unit, digits, what in cases:
        subject, visit = str(row["subject"] or ""), str(row["timepoint"] or "")
        number = row[value]
        measured = isinstance(number, (int, float))
        text = (
            f"{words.number(float(number), digits)} {unit}"  # type: ignore[arg-type]
            if measured
            else "failed: " + str(row["error"] or "no value")
        )
        detail = str(row.get("modality") or row.get("stain_title") or row.get("stain") or "")
        path = inside(inputs.directory, _plain_and_marked(inputs, str(row["overlay_path"] or "")))
        picture = embed(path, budget) if path else None
        missing = ""
        if picture is None:
            missing = (
                "no picture was written"
                if not row["overlay_path"]
                else f"the picture {row['overlay_path']} is missing or unreadable"
            )
            if not measured:
                missing = "not measured"
        shot = Shot(
            caption=f"{detail}: {text}" if detail and measured else text,
            alt=f"{kind} of {subject or row['case_id']}, {visit or 'single visit'}: {what}, {text}",
            uri=picture.uri if picture else "",
            width_px=picture.width_px if picture else 0,
            height_px=picture.height_px if picture else 0,
            mm_per_px=picture.mm_per_px if picture else None,
            missing=missing,
            flags=tuple(flag for flag in str(row["flags"] or "").split(";") if flag),
        )
        target = rows.setdefault(
            (subject, kind), GalleryRow(subject, kind, [(name, []) for name in visits])
        )
        for name, shots in target.visits:
            if name == visit or visit not in visits:
                shots.append(shot)
                break
    shown = [row for row in rows.values() if any(shots for _, shots in row.visits)]
    return [_at_one_scale(row) for row in shown]


def _plain_and_marked(inputs: Inputs, overlay: str) -> str:
    """A slide's picture next to its marked one, where the run wrote both."""
    both = overlay.removesuffix("_overlay.png") + "_pair.png"
    found = overlay.endswith("_overlay.png") and inside(inputs.directory, both)
    return both if found else overlay


def _at_one_scale(row: GalleryRow) -> GalleryRow:
    """Give each picture of a row the width at which all have the same mm per displayed pixel."""
    ours = [
        Picture(shot.uri, shot.width_px, shot.height_px, shot.mm_per_px)
        for _, shots in row.visits
        for shot in shots
        if shot.uri
    ]
    widths = iter(widths_at_one_scale(ours))

    def sized(shot: Shot) -> Shot:
        width = next(widths) if shot.uri else None
        unknown = bool(shot.uri) and width is None and len(ours) > 1
        note = "Scale not stated: not at the scale of the others." if unknown else ""
        return replace(shot, width_percent=width, scale_note=note)

    visits = [(visit, [sized(shot) for shot in shots]) for visit, shots in row.visits]
    return replace(row, visits=visits)

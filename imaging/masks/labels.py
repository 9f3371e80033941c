"""Which of a mask's labels is the liver: pure. Labels are summed only where that is asked for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ...errors import RegionError

_LIVER_CODES = {("10200004", "SCT"), ("T-62000", "SRT"), ("T-62000", "SNM3")}
"""SNOMED CT, and SNOMED RT that older files use."""
_LIVER_NAMES = {
    "liver", "liver mask", "whole liver", "leber", "foie", "higado", "hígado", "fegato", "figado",
    "fígado", "hepar", "печень", "肝", "肝臓", "肝脏", "肝臟", "간", "간장",
}  # fmt: skip
_OTHER_WORDS = (
    "spleen", "kidney", "pancreas", "stomach", "gallbladder", "gall bladder", "lung", "heart",
    "aorta", "bowel", "colon", "bladder", "spine", "vertebra", "rib", "muscle", "fat", "body",
    "tumor", "tumour", "lesion", "metasta", "cyst", "vessel", "vein", "artery", "background",
    "milz", "niere", "rate", "bazo", "milza", "baço", "脾", "비장", "селез",
)  # fmt: skip
_LISTED = 20
_MANY = 60
"""More values than any list of organs that people draw without naming them: grey values."""


@dataclass(frozen=True)
class Label:
    """One label, segment or region of interest of a mask file."""

    number: int
    name: str = ""
    code: tuple[str, str] = ("", "")
    """Value and coding scheme of what it is, where the file says it."""
    volume_ml: float | None = None
    layer: int = 0
    """Of the array in which it lies, where a file has several because labels overlap."""

    @property
    def is_liver(self) -> bool:
        """Whether the file calls or codes it liver."""
        return self.code in _LIVER_CODES or _plain(self.name) in _LIVER_NAMES

    def __str__(self) -> str:
        size = "" if self.volume_ml is None else f" ({self.volume_ml:,.0f} mL)"
        return f"{self.number}{' ' + self.name if self.name else ''}{size}"


def choose_labels(labels: Sequence[Label], wanted: str, name: str) -> tuple[Label, ...]:
    """The labels that make the liver.

    Args:
        labels: all that the file contains.
        wanted: numbers, ranges of numbers or names, separated by commas (``5``, ``liver``,
            ``1,2,3``, ``1-8``); "" takes the only label, or the one that is the liver by its name
            or code.
        name: of the file, for messages.

    Raises:
        RegionError: ``bad_region``: it is not clear which, with the labels and their volumes.
    """
    if not labels:
        raise RegionError(
            "bad_region",
            f"The mask {name} is empty",
            found="no voxel, frame or contour in it",
            do="check that the right mask was given and that it was saved",
        )
    if wanted.strip():
        return _asked_for(labels, wanted.strip(), name)
    if len(labels) == 1:
        return (_only(labels[0], name),)
    livers = [label for label in labels if label.is_liver]
    named = [label for label in livers if _plain(label.name) in _LIVER_NAMES]
    if len(livers) == 1 or len(named) == 1:
        return (livers[0] if len(livers) == 1 else named[0],)
    if len(labels) > _MANY and not any(label.name for label in labels):
        raise RegionError(
            "bad_region",
            f"The mask {name} contains grey values or probabilities, not a drawn organ",
            found=f"{len(labels)} different values from {min(one.number for one in labels)} to "
            f"{max(one.number for one in labels)}",
            do="save a mask of two values, or say from which value on it is liver with "
            "--mask-threshold",
        )
    raise RegionError(
        "bad_region",
        f"The mask {name} contains several labels"
        + (", and more than one of them is liver" if livers else ", and none of them says liver"),
        found=_listed(labels),
        do="name the liver by its number or name with --mask-segment; several together as 1,2,3 "
        "or 1-8",
    )


def _only(label: Label, name: str) -> Label:
    """The only label, unless the file says that it is something else than a liver."""
    words = _plain(label.name)
    foreign = next((word for word in _OTHER_WORDS if re.search(rf"\b{word}", words)), "")
    if foreign and not label.is_liver:
        raise RegionError(
            "bad_region",
            f"The only label of the mask {name} is not the liver",
            found=str(label),
            do="give a mask of the liver; if it is one, ask for it with --mask-segment "
            f"{label.number}",
        )
    return label


def _asked_for(labels: Sequence[Label], wanted: str, name: str) -> tuple[Label, ...]:
    whole = _by_name(labels, wanted, exact=True)
    if len(whole) == 1:
        return tuple(whole)
    found: list[Label] = []
    for part in (piece.strip() for piece in wanted.split(",")):
        span = re.fullmatch(r"(\d+)\s*[-–]\s*(\d+)", part)
        if span:
            low, high = int(span[1]), int(span[2])
            members = [label for label in labels if low <= label.number <= high]
            missing = len({label.number for label in members}) < high - low + 1
        else:
            members = [label for label in labels if str(label.number) == part]
            members = members or _by_name(labels, part, exact=True)
            members = members or _by_name(labels, part, exact=False)
            missing = len(members) != 1
        if missing:
            raise RegionError(
                "bad_region",
                f"The mask {name} has no single label {part!r}",
                found=_listed(labels),
                do="name labels that the mask contains, by number or name, with --mask-segment",
            )
        found += [label for label in members if label not in found]
    return tuple(found)


def _by_name(labels: Sequence[Label], wanted: str, *, exact: bool) -> list[Label]:
    word = _plain(wanted)
    if not word:
        return []
    if exact:
        return [label for label in labels if _plain(label.name) == word]
    return [label for label in labels if word in _plain(label.name)]


def _plain(name: str) -> str:
    return re.sub(r"[\s_\-]+", " ", name).strip().casefold()


def _listed(labels: Sequence[Label]) -> str:
    more = f" and {len(labels) - _LISTED} more" if len(labels) > _LISTED else ""
    return "labels " + ", ".join(str(label) for label in labels[:_LISTED]) + more

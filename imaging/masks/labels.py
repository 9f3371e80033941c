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
_NO_LIVER_WORDS = (
    # organs and tissues, by how a word begins
    "spleen", "kidney", "renal", "pan[ck]rea", "stomach", "gallbladder", "gall bladder", "lung",
    "heart", "aort", "bowel", "colon", "duoden", r"o?esoph", "bladder", "prostat", "adrenal",
    "spin[ea]", "vertebra", "rib", r"hip\b", "femur", "muscle", r"fat\b", "body", "skin",
    "external",
    "vessel", "vein", "artery", "ascites", "background", "non? liver", "not liver",
    "milz", "niere", "gallen", "magen", "herz", "darm", "wirbel", "rippe", "muskel", "blase",
    "pfortader", "körper", r"rate\b", r"reins?\b", "estomac", "c(?:oe|œ)ur", "poumon",
    "v[eé]sicule", "veine", "bazo", "ri[nñ][oó]n", "est[oóô]mago", "coraz[oó]n", "pulm[oóõ]",
    "ves[ií]cula",
    "p[aá]ncreas", r"vena\b", r"veia\b", "baço", r"rim\b", r"rins\b", "coração", "milza",
    r"ren[ei]\b", "cuore", "polmon", "stomaco", "colecist", "селез", "почк", "желуд", "поджелуд",
    "сердц", "л[её]гк", "желч", "сосуд",
    # a part of the liver, and what radiotherapy aims at
    "lobe", "liver segment", r"[gcpi]tv",
)  # fmt: skip
_NO_LIVER_PARTS = (
    "gefäß", "gefäss", "lappen",
    "脾", "腎", "肾", "胃", "膵", "胰", "肺", "胆", "膽", "心臓", "心脏", "心臟", "血管", "静脉",
    "静脈", "門脈", "门脉",
    "비장", "신장", "콩팥", "위장", "췌장", "심장", "폐", "담낭", "혈관", "정맥", "문맥",
)  # fmt: skip
"""Anywhere in a name: German and the scripts without blanks join words."""
_GROWTHS = (
    r"\bnodule", r"\bhcc", r"\babscess", r"\bquiste", r"\bcist[io]", r"\bкист", r"\bl[eé]sion",
    r"\blesión", r"\blesão", "tumor", "tumour", "tumeur", "lesion", "läsion", "laesion", "metasta",
    "métasta", "cyst", "zyste", "kyste", "опухол", "метаста", "腫瘍", "肿瘤", "腫瘤", "囊肿",
    "嚢胞", "病灶", "結節", "종양", "낭종", "병변",
)  # fmt: skip
"""What grows in a liver, as patterns: no liver, and yet of its volume."""
_SNOMED = {"SCT", "SRT", "SNM3"}
_ANY_TISSUE = {
    "85756007", "T-D0050", "113343008", "T-D0060", "T-D000A", "91723000", "123037004", "T-D0010",
}  # fmt: skip
"""Tissue, organ, anatomical or body structure: what programs write if nobody chose a code."""
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


def choose_labels(
    labels: Sequence[Label], wanted: str, name: str, empty: Sequence[Label] = ()
) -> tuple[Label, ...]:
    """The labels that make the liver.

    Args:
        labels: all that the file contains.
        wanted: numbers, ranges of numbers or names, separated by commas (``5``, ``liver``,
            ``1,2,3``, ``1-8``); "" takes the only label, or the one that is the liver by its name
            or code.
        name: of the file, for messages.
        empty: labels that the file names and that nothing is drawn of.

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
    unfilled = [label for label in empty if label.is_liver]
    if unfilled and not any(label.is_liver for label in labels):
        raise RegionError(
            "bad_region",
            f"The mask {name} has a label called liver, and nothing is drawn of it",
            found=f"{unfilled[0].number} {unfilled[0].name} is empty; {_listed(labels)}",
            do="give the mask in which the liver was saved; if another label is the liver, ask for "
            "it with --mask-segment",
        )
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
    """The only label, unless the file names or codes it as something else than a liver."""
    foreign = _is_of_elsewhere(label.name) or _is_growth(label.name)
    value, scheme = label.code
    coded = scheme in _SNOMED and value not in _ANY_TISSUE and label.code not in _LIVER_CODES
    if (foreign or coded) and not label.is_liver:
        raise RegionError(
            "bad_region",
            f"The only label of the mask {name} is not the liver",
            found=f"{label}" + (f", coded {value} {scheme}" if coded else ""),
            do="give a mask of the liver; if it is one, ask for it with --mask-segment "
            f"{label.number}",
        )
    return label


def _is_of_elsewhere(name: str) -> bool:
    """Whether a name says another organ, or a part of this one."""
    words = _plain(name)
    return any(re.search(rf"\b{word}", words) for word in _NO_LIVER_WORDS) or any(
        part in words for part in _NO_LIVER_PARTS
    )


def _is_growth(name: str) -> bool:
    words = _plain(name)
    return any(re.search(pattern, words) for pattern in _GROWTHS)


def refuse_growths_apart(labels: Sequence[Label], liver: Sequence[Label], name: str) -> None:
    """Refuse a liver whose tumours or cysts are labels of their own: they are holes in it.

    For files in which a voxel has one label alone; where labels may overlap, people draw the
    tumour in the liver.

    Args:
        labels: all that the file contains.
        liver: those that were chosen by their name.
        name: of the file, for messages.

    Raises:
        RegionError: ``bad_region``, with what to ask for.
    """
    layers = {label.layer for label in liver}
    apart = [
        label
        for label in labels
        if label not in liver
        and label.layer in layers
        and _is_growth(label.name)
        and not _is_of_elsewhere(label.name)
    ]
    if not apart:
        return
    without = ",".join(str(label.number) for label in liver)
    whole = ",".join(str(label.number) for label in (*liver, *apart))
    raise RegionError(
        "bad_region",
        f"In the mask {name}, what grows in the liver has labels of its own",
        found=_listed([*liver, *apart]),
        do=f"ask for the whole liver with --mask-segment {whole}, or for what is left of it "
        f"without them with --mask-segment {without}; the same at every visit",
    )


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

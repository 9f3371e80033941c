"""Tell the contrast phase of a CT or the sequence of an MR from its headers. Pure."""

from __future__ import annotations

import re
import unicodedata

from ...flags import NO_AGENT
from .dicom_headers import SliceHeader
from .dicom_kind import virtual_kind

UNKNOWN_PHASE = "contrast, phase unknown"
UNENHANCED = "unenhanced"

# Words are bounded by what is neither letter nor digit; the text is in small letters, without
# accents. English, German, French, Spanish, Portuguese, Italian, Korean, Japanese, Chinese and
# Russian.
_AGENT = r"(?:i ?v ?)?(?:contrast\w*|con|cm|km|kontrast\w*|civ|cte|mdc|mezzo\w*|pdc|inj\w*|ce|c)"
_BOTH = (
    r"w ?/? ?(?:and|&|/)? ?w ?/? ?o|with ?(?:and|&|/|\+) ?without|with ?out ?(?:and|&|/) ?with|"
    r"mit (?:und|u) ohne|ohne (?:und|u) mit|avec et sans|sans et avec|con y sin|sin y con|"
    r"con e senza|senza e con|com e sem|sem e com|c ?[-+] ?/ ?[-+]|pre (?:and|&|/|\+) ?post|"
    r"без и с|с и без"
)
_BOTH_PARTS = r"平[扫掃] ?[+及和与與、,] ?增[强強]|単純 ?[+・と] ?造影|조영 ?전 ?후"
_S = r"(?:s|sec\w*|sek\w*|seg\w*|с|сек\w*|초|秒)"
"""Seconds."""
_PHASES: tuple[tuple[str, str, str], ...] = (
    (
        "arterial",
        r"art|hap|lap|eap|arteri\w*|\w+arteri\w*|arter|артериал\w*|"
        rf"(?:2[05]|3[05]|40) ?{_S}",
        r"动脉|動脈|동맥",
    ),
    (
        "portal venous",
        r"port|portal\w*|porta|porto\w*|porte|pv|pvp|pvc|ven|venous|venoes\w*|venos\w*|veineu\w*|"
        r"\w*(?<!ara)venos\w*|pfort\w*|портал\w*|порто\w*|венозн\w*|"
        rf"(?:60|65|70|75|80|85|90) ?{_S}",
        r"门静脉|門靜脈|门脉|門脈|静脉期|靜脈期|静脈相|문맥|정맥",
    ),
    (
        "delayed",
        r"delay\w*|late|equil\w*|spat\w*|tardi\w*|excret\w*|exkret\w*|ausscheid\w*|отсроч\w*|"
        rf"равновес\w*|поздн\w*|экскрет\w*|(?:1[2-9]0|[2-6]\d0) ?{_S}|(?:3|5|10) ?(?:min|мин)\w*",
        r"平衡|延迟|延遲|遅延|排泄|지연",
    ),
)  # fmt: skip
_PLAIN = (
    rf"non? ?{_AGENT}|non ?enh\w*|noncon\w*|unenh\w*|without {_AGENT}|w ?/? ?o {_AGENT}|"
    r"(?:w/o|w/out|wo|without)(?= *(?:$|\d))|plain|ncct|nect|nativ\w*|pre ?contrast|pre|"
    rf"(?:no|without|w/?o|ohne|sans|sin|sem|senza) i ?v|o\. ?km|nc|tnc|spc|dirett[ao]|-c|"
    rf"ohne {_AGENT}|sans {_AGENT}|non inj\w*|spontan\w*|sin {_AGENT}|simple|sem {_AGENT}|"
    rf"s/ ?{_AGENT}|senza {_AGENT}|basale|c ?-|нативн\w*|бес?з? ?контраст\w*|без ку",
    r"平扫|平掃|単純|造影前|非造影|非增强|非增強|造影なし|造影せず|조영 ?전|비조영|조영제 ?없이",
)
_ENHANCED = (
    rf"with {_AGENT}|with i ?v|w ?/ ?{_AGENT}|w contrast\w*|m\. ?km|mit {_AGENT}|"
    rf"avec {_AGENT}|con {_AGENT}|com {_AGENT}|inject\w*|"
    r"post ?(?:contrast\w*|km|inj\w*|gd)|c ?\+|\+ ?c|cect|ce|enhanced|nephrog\w*|с контраст\w*|"
    r"контраст\w*",
    r"造影|조영|增强|增強",
)
_NO_AGENT_WORDS = re.compile(
    r"^(?:no|none|nein|non|without|ohne|n/?a|0|-|keine?|sans)?$|oral|rectal"
)
_DELAYS_S = ((15, 45, "arterial"), (50, 110, "portal venous"), (140, 1200, "delayed"))
_FIELDS = (
    "ContrastBolusAgent",
    "ContrastBolusVolume",
    "ContrastBolusIngredient",
    "ContrastBolusTotalDose",
)

_MR_WORDS = (
    ("diffusion", r"dwi\w*|\w*diff\w*|trace\w*|ep2d\w*|b ?value\w*"),
    ("in phase", r"in ?phase|in(?= *$)|ip"),
    ("opposed phase", r"opp\w*|out ?(?:of ?)?phase|op|oop"),
    ("water", r"w|water|wasser|eau|agua|acqua"),
    ("fat", r"f|fat(?! ?(?:sat|sup))|fett|graisse|grasa"),
    ("T1 hepatobiliary", r"hepatobil\w*|hbp|hb ?phase|(?:15|20) ?min\w*"),
)  # fmt: skip
_MR_SEQUENCES = (
    ("T1", r"t1\w*|vibe|lava|thrive|e ?thrive|flash\w*|f?spgr|mdixon|dixon"),
    ("T2", r"t2\w*|haste|ssfse|tse|fse|spir|blade|propeller"),
    ("balanced", r"trufi\w*|fiesta|b ?ffe|ssfp"),
)  # fmt: skip


def contrast_name(header: SliceHeader, label: str = "") -> str:
    """Contrast phase of a CT or sequence of an MR, as far as the headers tell; "" if they do not.

    The series' own description comes before the protocol, which is often one for all phases. A
    guess for people, for the choice of a series and to flag visits that differ; no measurement
    depends on it.
    """
    own, _, protocol = header.description.partition(" | ")
    texts = [_plain_text(f"{own} {label}"), _plain_text(" ".join(header.image_type))]
    if header.modality == "CT":
        names = [ct_phase(text) for text in (texts[0], _plain_text(protocol))]
        name = virtual_kind(header.image_type, own) or next(filter(None, names), "")
        if name in ("", UNKNOWN_PHASE):
            name = _by_delay(header) or name
        return name or (UNKNOWN_PHASE if _has_agent(header) else NO_AGENT)
    if header.modality == "MR":
        found = [_mr_name(text) for text in (*texts, _plain_text(protocol))]
        return next(filter(None, found), "") or _sequence_name(header)
    return ""


def ct_phase(text: str) -> str:
    """The phase that a description names; "" if it names none, or both native and another one.

    Args:
        text: in small letters, without accents; see :func:`_plain_text`.
    """
    text = re.sub(rf"(\d ?{_S}\.?) delay\w*|delay\w* (?=\d+ ?{_S}(?![^\W_]))", r"\1", text)
    rest = re.sub(_BOTH_PARTS, " ", _without(text, _BOTH))
    both = rest != text
    found = [name for name, words, parts in _PHASES if _word(rest, words, parts)]
    if "arterial" in found and _word(
        rest, r"(?:late|tardi\w*) art\w*|art\w* (?:late|tardi\w*)|spatart\w*", ""
    ):
        found = [name for name in found if name != "delayed"]
    if both and not found:
        return ""
    native = not both and _word(rest, *_PLAIN)
    if native:
        return UNENHANCED if not found else ""
    if len(found) == 1:
        return found[0]
    if found or _word(rest, *_ENHANCED):
        return UNKNOWN_PHASE
    return ""


def _plain_text(text: str) -> str:
    """Small letters without accents, underscores and hyphens in words as blanks.

    Other scripts stay as they are.
    """
    parts = unicodedata.normalize("NFD", text.lower().replace("ß", "ss").replace("_", " "))
    bare = "".join(c for c in parts if unicodedata.category(c) != "Mn" or ord(c) > 0x2FF + 0x70)
    joined = re.sub(r"(?<=[^\W\d_])-(?=[^\W\d_])", " ", unicodedata.normalize("NFC", bare))
    return re.sub(r"\s+", " ", joined).strip()


def _word(text: str, words: str, parts: str) -> bool:
    """Whether a text contains one of the words whole, or one of the parts anywhere."""
    if parts and re.search(parts, text):
        return True
    return re.search(rf"(?<![^\W_])(?:{words})(?![^\W_])", text) is not None


def _without(text: str, words: str) -> str:
    return re.sub(rf"(?<![^\W_])(?:{words})(?![^\W_])", " ", text)


def _has_agent(header: SliceHeader) -> bool:
    """Whether an agent was given into a vein, by any of the fields that would say so."""
    for keyword in _FIELDS:
        value = header.technical.get(keyword, "")
        if isinstance(value, float):
            if value > 0:
                return True
        elif value.strip() and not _NO_AGENT_WORDS.search(value.strip().lower()):
            return True
    return False


def _by_delay(header: SliceHeader) -> str:
    """The phase by the seconds from injection to acquisition, where both times are stated."""
    start = _seconds(header.split.get("ContrastBolusStartTime"))
    taken = _seconds(header.split.get("AcquisitionTime"))
    if start is None or taken is None:
        return ""
    return next((name for low, high, name in _DELAYS_S if low <= taken - start <= high), "")


def _seconds(time: object) -> float | None:
    """Seconds after midnight of a DICOM time."""
    if isinstance(time, float):
        time = f"{time:013.6f}"
    match = re.fullmatch(r"(\d{2})(\d{2})(\d{2}(?:\.\d*)?)", str(time or "").strip())
    return None if match is None else int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3])


def _mr_name(text: str) -> str:
    for name, words in _MR_WORDS:
        if _word(text, words, ""):
            return name
    for name, words, parts in _PHASES:
        if _word(text, words, parts):
            return f"T1 {name}"
    return next((name for name, words in _MR_SEQUENCES if _word(text, words, "")), "")


def _sequence_name(header: SliceHeader) -> str:
    """T1 or T2 from TE and TR, with the bounds that textbooks use for spin and gradient echo."""
    echo, repetition = header.technical.get("EchoTime"), header.technical.get("RepetitionTime")
    if not isinstance(echo, float) or not isinstance(repetition, float):
        return ""
    if echo >= 60:
        return "T2"
    if echo <= 25 and repetition <= 900:
        return "T1"
    return ""

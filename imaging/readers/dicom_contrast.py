"""The contrast phase of a CT or the sequence of an MR, as far as its headers tell."""

from __future__ import annotations

import re

from .dicom_headers import SliceHeader

# The first pattern that fits names the phase; English, German, French, Spanish and Italian words.
_CT_WORDS = (
    (
        "unenhanced",
        r"nativ|non.?contr|without|unenh|plain|\bncct\b|sans|senza|sin contr|w/?o\b|ohne",
    ),
    ("portal venous", r"port|venous|ven(?:o|oe|ö)s|veineu|venos|\bpv[pc]?\b|\bven\b|70 ?s"),
    ("arterial", r"arter|\bart\b|\bhap\b|30 ?s|35 ?s"),
    ("delayed", r"delay|late|sp[aä]t|equil|tardi|tardiv|excret|180 ?s"),
)  # fmt: skip
_MR_WORDS = (
    ("diffusion", r"dwi|diff|trace|ep2d|\badc\b"),
    ("in phase", r"in.?phase|_in\b|\bip\b"),
    ("opposed phase", r"opp|out.?(of.?)?phase|_opp\b|\bop\b"),
    ("water", r"_w\b|water|\bwater_"),
    ("fat", r"_f\b|\bfat only"),
    ("T1 hepatobiliary", r"hepatobil|hbp|20 ?min"),
    ("T1 arterial", r"arter|\bart\b"),
    ("T1 portal venous", r"port|venous|\bpv\b"),
    ("T1 delayed", r"delay|late|equil"),
    ("T1", r"\bt1|vibe|lava|thrive|flash|spgr|fspgr"),
    ("T2", r"\bt2|haste|ssfse|\btse\b|\bfse\b|spir|blade|propeller"),
    ("balanced", r"trufi|fiesta|bffe|b-ffe|ssfp"),
)  # fmt: skip


def contrast_name(header: SliceHeader, label: str = "") -> str:
    """Contrast phase of a CT or sequence of an MR, as far as the headers tell; "" if they do not.

    A guess for people, for the choice of a series and to flag visits that differ; no measurement
    depends on it.
    """
    text = f"{header.description} {label}".lower().replace("_", " _")
    if header.modality == "CT":
        agent = str(header.technical.get("ContrastBolusAgent", "")).strip()
        for name, pattern in _CT_WORDS:
            if re.search(pattern, text):
                return name
        return "contrast, phase unknown" if agent else ""
    if header.modality == "MR":
        for name, pattern in _MR_WORDS:
            if re.search(pattern, text):
                return name
        return _sequence_name(header)
    return ""


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

"""What an image is, by the names that scanners and workstations give it: one classifier. Pure.

A projection, a material map or a subtraction has the geometry of a scan and no longer its grey
values: measured as it stands it gives a number that looks right.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .dicom_headers import SliceHeader

_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_LOCALIZER_WORDS = {"LOCALIZER", "LOCALISER", "SCOUT", "TOPOGRAM", "SURVIEW", "REF_SURVIEW"}
_CAPTURE_WORDS = {"SCREEN SAVE", "SCREENSAVE", "DOSE_INFO", "PATIENT_INFO", "SCREEN CAPTURE"}
_PARAMETRIC_MAP = "1.2.840.10008.5.1.4.1.1.30"
_CT_UNITS = {"", "HU", "HU_MOD", "US"}
_UNIT_NAMES = {
    "MGML": "material map (mg/mL)",
    "Z_EFF": "material map (effective atomic number)",
    "ED": "material map (electron density)",
    "EDW": "material map (electron density)",
    "PCT": "material map (per cent)",
}
_SLAB_MM, _SLAB_RATIO = 8.0, 3.0
"""Derived images this thick and this much thicker than their distance are a sliding slab."""

# Each: the name, then patterns for the values of ImageType and for words of the description. In a
# value or description all separators are one blank, and a word stands between blanks.
_DERIVED = (
    (
        "projection",
        r"\w*MIP\w{0,5}|MINIP|MIN IP|MNIP|MAX ?IP|AIP|AVG ?IP|AVE ?IP|AVERAGE IP|RAY ?SUM|VRT|"
        r"VOLREN|VR|SSD|PROJECTION(?: IMAG\w*)?|(?:MAX|MIN|AVERAGE|MEAN)\w* INTENS\w*|THICK SLAB|"
        r"VOLUME RENDER\w*|MAXIMUM|MINIMUM",
        r"\w*MIP\w{0,5}|MINIP|MIN IP|MNIP|MAX ?IP|AIP|AV[EG]? ?IP|AVERAGE IP|THICK ?SLAB|VRT|3D VR|"
        r"(?:MAX|MIN|AVERAGE|MEAN)\w* INTENS\w*|VOLUME RENDER\w*|CINEMATIC\w*|МИП|"
        r"\w*最[大小](?:値|密度|強度)投影\w*|\w*최[대소] ?강도 ?투[사영]\w*",
    ),
    (
        "material map (iodine)",
        r"IODINE\w*|WATER IODINE|IODINE WATER|PBV|PERFUSED BLOOD VOLUME",
        r"IODINE\w*|IOD(?: ?MAP| ?KARTE)|JOD(?: ?KARTE)?|IODE|YODO|IODI?O|\w*PBV|"
        r"碘\w*|ヨード\w*|요오드\w*|ИОД\w*|ЙОД\w*",
    ),
    (
        "material map",
        r"MATERIAL DENSITY|MD|ZEFF|Z EFF\w*|EFFECTIVE Z|EFF Z|ELECTRON DENSITY|URIC ACID|CALCIUM|"
        r"BASIS MATERIAL",
        r"MATERIAL DENSITY|Z ?EFF\w*|EFFECTIVE Z|VNCA|EFF Z|ELECTRON DENSITY|URIC ACID|RHO Z|"
        r"ECV MAP|VIRTUAL CALCIUM|CALCIUM SUPPRESS\w*|GSI (?:WATER|FAT|CALCIUM|HAP|BLOOD|IRON)",
    ),
    (
        "subtraction",
        r"SUB|SUBTRACT\w*|DIFFERENCE",
        r"SUB(?! (?:ACUTE|CAPSULAR|HEPATIC|DIAPHRAG\w*|XIPHOID|STUDY))|SUBS|SUB\d+|SUBTR\w*|"
        r"SOUSTRACTION|SUSTRACC?I[OÓ]N|SOTTRAZIONE|DIFFERENZ\w*|减影|減影|減算\w*|差分\w*|"
        r"サブトラクション|감산|ВЫЧИТАНИ\w*|СУБТРАКЦ\w*",
    ),
    (
        "fat fraction map",
        r"(?:FAT|WATER) ?FRAC\w*|PDFF|FF|FAT PERCENT\w*|FAT ?MAP",
        r"(?:FAT|WATER) ?FRAC\w*|PDFF|FF|FAT PERCENT\w*|FAT ?MAP|FATT?FRAKTION|"
        r"FETT ?(?:ANTEIL|FRAKTION)\w*|"
        r"FRACTION (?:DE )?GRAISS\w*|FRACCI[OÓ]N (?:DE )?GRAS\w*|FRA[CÇ][AÃ]O (?:DE )?GORD\w*|"
        r"FRAZIONE (?:DI )?GRASS\w*|脂肪分[数數率]\w*|脂肪含量\w*|지방 ?분율\w*|ЖИРОВ\w* ФРАКЦ\w*|"
        r"ФРАКЦ\w* ЖИР\w*",
    ),
    (
        "relaxation or diffusion map",
        r"R2 ?STAR ?(?:MAP)?|R2\*|R2|T[12] ?(?:STAR|\*)? ?MAP|T1RHO MAP|ADC\w*|EADC|"
        r"PARAMETRIC\w*|QSM|SUSCEPTIBILITY(?: MAP)?|B1\+? ?MAP|ECV(?: ?MAP)?",
        r"R2 ?STAR|R2\*(?: MAP)?|T[12]\*? ?MAP(?:PING)?|T2 ?STAR MAP|[DE]?ADC|PARAMETRIC MAP|"
        r"T1RHO MAP|QSM|SUSCEPTIBILITY MAP|B1\+? ?MAP|"
        r"APPARENT DIFFUSION COEFF\w*|MAP[AE]? T[12]\*?|CARTE T[12]\*?",
    ),
    (
        "phase image",
        r"(?<=^ )PHASE(?= $)|PHASE (?:MAP|IMAGE|DIFFERENCE)|VELOCITY\w*|B0 MAP|FIELD MAP|REAL|"
        r"IMAGINARY",
        r"PHASE MAP|B0 MAP|FIELD ?MAP",
    ),
    (
        "error map",
        r"ERROR(?: MAP)?|STD? ?DEV\w*|STD DEVIATION|GOODNESS\w*|RESIDUALS?|CONFIDENCE(?: MAP)?",
        r"ERROR MAP|CONF(?:IDENCE)? MAP",
    ),
    (
        "elastography map",
        r"STIFFNESS\w*|ELASTO\w*|WAVE IMAGES?",
        r"STIFFNESS\w*|ELASTO\w*|WAVE IMAGES?|弹性\w*|탄성\w*",
    ),
    ("label map", r"LABEL ?MAP|SEGMENTATION|MASK", r"LABEL ?MAP"),
    (
        "perfusion map",
        r"CBF|CBV|BF|BV|MTT|TTP|TMAX|KTRANS\w*|KEP|I?AUC\w*|WASH ?IN|PEI|PERFUSION MAP|"
        r"PERMEABILITY\w*|BLOOD FLOW|BLOOD VOLUME",
        r"PERFUSION (?:MAP|INDEX|AF|BF|BV|ALP|HPI|PVP)|BLOOD FLOW|BLOOD VOLUME|PERMEABILITY\w*|"
        r"K ?TRANS|KEP|I?AUC\d*|TTP|TIME TO PEAK|MTT|TMAX|WASH ?IN|POSITIVE ENHANCEMENT\w*",
    ),
    ("mosaic, several slices tiled in one image", r"MOSAIC", r""),
)  # fmt: skip
_VIRTUAL = (
    (
        "virtual non-contrast",
        r"VNC|VUE|VIRTUAL (?:NON ?CONTRAST|UNENHANCED|NATIVE?)",
        r"\w*VNC|VUE|VIRTUAL (?:NON ?CONTRAST|UNENHANCED|NATIVE?)|VIRTUELL NATIV\w*|"
        r"(?:SIN|SANS|SEM|SENZA) \w+ VIRTU\w+|VIRTU\w+ (?:SIN|SANS|SEM|SENZA) \w+|"
        r"\w*(?:虚拟平扫|虛擬平掃|仮想単純|가상 ?비조영)\w*|ВИРТУАЛЬН\w* (?:НАТИВ|БЕС?З?КОНТР)\w*",
    ),
    (
        "mono-energetic",
        r"MONO\w*|VMI|VMC",
        r"MONO ?E\w*|MONO\+?|VMI|\d{2,3} ?KEV",
    ),
)  # fmt: skip
VIRTUAL_NAMES = tuple(name for name, _, _ in _VIRTUAL)
_ALSO_ORIGINAL = {"projection", "perfusion map", "error map"}
"""What original images may be named after."""
_PARTS_OF_MR = {"P", "R", "I"}
"""Third value of an MR's ImageType: phase, real and imaginary part (PS3.3 C.8.3.1.1.1)."""


def _words(text: str) -> str:
    """Capitals, one blank between words, so that words can be asked for whole."""
    return f" {re.sub(r'[^0-9A-Za-zÀ-ɏͰ-鿿가-힣*+]+', ' ', text).strip().upper()} "


def _holds(text: str, pattern: str) -> bool:
    return bool(pattern) and re.search(rf" (?:{pattern}) ", text) is not None


def derived_kind(
    image_type: Sequence[str],
    description: str,
    *,
    modality: str,
    rescale_type: str = "",
    sop_class_uid: str = "",
) -> str:
    """The name of a derived image that is not measured, "" for a plain image.

    Args:
        image_type: ImageType, or FrameType and ComplexImageComponent of a frame.
        description: SeriesDescription.
        modality: of the image.
        rescale_type: RescaleType, the unit of the values.
        sop_class_uid: SOPClassUID.
    """
    if sop_class_uid == _PARAMETRIC_MAP:
        return "parametric map"
    unit = rescale_type.upper()
    if modality == "CT" and unit not in _CT_UNITS:
        return _UNIT_NAMES.get(unit, f"map in {unit}, not in HU")
    values = [_words(value) for value in image_type]
    part = image_type[2].split("_")[0] if len(image_type) > 2 else ""  # Philips: R_FFE
    if modality == "MR" and part in _PARTS_OF_MR:
        return "phase image"
    text = _words(description)
    acquired = {"ORIGINAL", "PRIMARY"} <= set(image_type)
    for name, in_type, in_text in _DERIVED:
        if any(_holds(value, in_type) for value in values):
            return name
        # thin slices to make a MIP of are named after it, too: they are original
        if _holds(text, in_text) and not (acquired and name in _ALSO_ORIGINAL):
            return name
    return ""


def virtual_kind(image_type: Sequence[str], description: str) -> str:
    """What a CT in Hounsfield units was computed as: "" for a plain one."""
    values, text = [_words(value) for value in image_type], _words(description)
    for name, in_type, in_text in _VIRTUAL:
        if any(_holds(value, in_type) for value in values) or _holds(text, in_text):
            return name
    return ""


def is_slab(image_type: Sequence[str], thickness_mm: float | None, distance_mm: float) -> bool:
    """Whether derived images are so much thicker than their distance that they are projections."""
    return (
        "DERIVED" in image_type
        and thickness_mm is not None
        and thickness_mm >= _SLAB_MM
        and thickness_mm >= _SLAB_RATIO * distance_mm
    )


def why_left_out(header: SliceHeader) -> str:
    """Why an image is not a slice of a CT or MR volume; empty when it may be one."""
    words = set(header.image_type)
    colour = header.samples_per_pixel != 1 or not header.photometric.startswith("MONOCHROME")
    capture = header.sop_class_uid.startswith(_SECONDARY_CAPTURE) or bool(words & _CAPTURE_WORDS)
    tests = (
        (header.rows is None or header.columns is None, "no image"),
        (header.modality not in {"CT", "MR", ""}, f"modality {header.modality}, not CT or MR"),
        (bool(words & _LOCALIZER_WORDS), "localizer"),
        (capture, "colour screen capture" if colour else "screen capture"),
        (colour, "colour image"),
    )
    reason = next((reason for applies, reason in tests if applies), "")
    return reason or derived_kind(
        header.image_type,
        header.description.split(" | ")[0],
        modality=header.modality,
        rescale_type=header.rescale_type,
        sop_class_uid=header.sop_class_uid,
    )

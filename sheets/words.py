"""Words of clinical tables as grades, in the languages of the clinics that fill them in.

A word that is not in a table here is refused where it is read, never passed over: the score of that
patient would vanish, and with it the patient.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import date, timedelta

#: What people write for "not known".
NOT_KNOWN = (
    *("", "na", "n/a", "n.a.", "n.a", "nd", "n.d.", "n.d", "nk", "n.k.", "-", "--", "–", "—", "."),
    *("?", "unknown", "null", "nan", "missing", "not done", "not known", "not available", "nm"),
    *("unbekannt", "k.a.", "k. a.", "inconnu", "desconocido", "sconosciuto", "#n/a", "#nv"),
)

_NONE = (
    *("none", "no", "n", "absent", "nil", "0", "false", "negative", "neg", "without", "grade 0"),
    *("keine", "keiner", "kein", "nein", "ohne", "aucun", "aucune", "non", "absente", "ninguno"),
    *("ninguna", "ausente", "nessuna", "nessuno", "assente", "geen", "ingen", "无", "なし", "없음"),
)
_ASCITES = {
    1: _NONE,
    2: (
        *("mild", "slight", "small", "trace", "minimal", "controlled", "diuretic-controlled"),
        *("diuretic controlled", "medically controlled", "1", "i", "1+", "+", "grade 1"),
        *("grade i", "gering", "leicht", "wenig", "léger", "légère", "discrète", "leve", "lieve"),
    ),
    3: (
        *("moderate", "severe", "large", "massive", "gross", "tense", "refractory", "marked"),
        *("moderate-severe", "moderate to severe", "poorly controlled", "2", "3", "ii", "iii"),
        *(
            "2+",
            "3+",
            "++",
            "+++",
            "grade 2",
            "grade 3",
            "grade ii",
            "grade iii",
            "mäßig",
            "mässig",
        ),
        *("schwer", "viel", "modéré", "modérée", "sévère", "moderada", "grave", "moderata"),
    ),
}
_ENCEPHALOPATHY = {
    1: _NONE,
    2: (
        *("1", "2", "i", "ii", "1-2", "i-ii", "1/2", "1 or 2", "grade 1", "grade 2", "grade i"),
        *("grade ii", "grade 1-2", "mild", "minimal", "leicht", "léger", "légère", "leve", "lieve"),
    ),
    3: (
        *("3", "4", "iii", "iv", "3-4", "iii-iv", "3/4", "3 or 4", "grade 3", "grade 4"),
        *("grade iii", "grade iv", "grade 3-4", "severe", "coma", "schwer", "sévère", "grave"),
    ),
}
_FEMALE = (
    *("f", "female", "w", "woman", "weiblich", "frau", "femme", "féminin", "feminin", "mujer"),
    *(
        "femenino",
        "femmina",
        "donna",
        "vrouw",
        "kvinna",
        "kvinde",
        "kvinne",
        "女",
        "女性",
        "여",
        "여성",
    ),
)
_MALE = (
    *("m", "male", "man", "männlich", "maennlich", "mann", "homme", "masculin", "hombre"),
    *("masculino", "maschio", "uomo", "man", "mand", "男", "男性", "남", "남성"),
)
_TRUE = ("yes", "y", "true", "1", "ja", "j", "oui", "sí", "si", "sì", "sim", "是", "はい", "예",
         "hd", "haemodialysis", "hemodialysis", "crrt")  # fmt: skip
_FALSE = (*_NONE, "no dialysis", "não", "nao", "否", "いいえ", "아니오")
_OFTEN = re.compile(r"\d+\s*x?\s*(/|per|a|pro|par)?\s*(week|wk|w|woche|semaine|semana)")

_EXCEL_EPOCH = date(1899, 12, 30)
_MONTHS = {
    name: number
    for number, names in enumerate(
        ("jan", "feb", "mar mär mrz", "apr avr", "may mai", "jun", "jul", "aug", "sep", "oct okt",
         "nov", "dec dez"), start=1,
    )
    for name in names.split()
}  # fmt: skip


def plain_word(text: str) -> str:
    """Lower case, one blank between words, no underscores."""
    text = unicodedata.normalize("NFKC", text).replace("_", " ")
    text = re.sub("[\u2010-\u2015\u2212]", "-", text).replace("\u00b0", "")  # 1\u20132, II\u00b0
    return " ".join(text.strip().casefold().split())


def is_unknown(text: str) -> bool:
    """Whether a cell says that nothing is known."""
    return plain_word(text) in NOT_KNOWN


def ascites_points(text: str) -> int | None:
    """Child-Pugh points of a word for ascites: none 1, mild 2, moderate or worse 3."""
    return _points(text.removesuffix(".0"), _ASCITES)


def encephalopathy_points(text: str) -> int | None:
    """Child-Pugh points of a West Haven grade: 0 gives 1, 1 or 2 gives 2, 3 or 4 gives 3.

    ``1-2`` that a spreadsheet turned into the second of January is read as what it was.
    """
    return _points(grade_range(text.removesuffix(".0")), _ENCEPHALOPATHY)


def grade_range(text: str) -> str:
    """``1-2`` or ``3-4`` where a spreadsheet made it a day of a month; else the text itself."""
    word = plain_word(text)
    parts: tuple[int, ...] = ()
    if re.fullmatch(r"[2-6]\d{4}", word):
        day = _EXCEL_EPOCH + timedelta(days=int(word))
        parts = (day.month, day.day)
    elif found := re.fullmatch(r"(\d{1,2})[-. ]+([a-zä]{3})[a-z]*\.?", word):
        parts = (int(found[1]), _MONTHS.get(found[2], 0))
    elif found := re.fullmatch(r"([a-zä]{3})[a-z]*\.?[-. ]+(\d{1,2})", word):
        parts = (_MONTHS.get(found[1], 0), int(found[2]))
    elif found := re.fullmatch(r"(?:19|20)\d\d-(\d\d)-(\d\d)(?: 00:00:00)?", word):
        parts = (int(found[1]), int(found[2]))
    grades = tuple(sorted(parts))
    return f"{grades[0]}-{grades[1]}" if grades in ((1, 2), (3, 4)) else text


def _points(text: str, table: Mapping[int, Sequence[str]]) -> int | None:
    word = plain_word(text)
    for points, words in table.items():
        if word in words:
            return points
    return None


def is_female(text: str) -> bool | None:
    """Sex as given: None if it is neither word."""
    word = plain_word(text)
    return True if word in _FEMALE else False if word in _MALE else None


def yes_or_no(text: str) -> bool | None:
    """A yes or no as given; None if it is neither or empty."""
    word = plain_word(text)
    if word in _TRUE or _OFTEN.fullmatch(word):
        return True
    return False if word in _FALSE else None


_EVENTS = {
    "none": ("none", "alive", "censored", "no event", "lebt", "vivant", "vivo", "event free"),
    "death": ("death", "dead", "died", "deceased", "exitus", "tod", "verstorben", "tot", "décès",
              "décédé", "muerte", "fallecido", "morte", "deceduto"),
    "transplant": ("transplant", "transplantation", "liver transplant", "liver transplantation",
                   "lt", "olt", "ltx", "ldlt", "ddlt", "transplanted", "lebertransplantation"),
    "hcc": ("hcc", "hepatocellular carcinoma", "hepatoma"),
    "other_cancer": ("other cancer", "cancer", "other malignancy", "malignancy", "lymphoma"),
    "decompensation": ("decompensation", "decompensated", "hepatic decompensation"),
    "bleeding": ("bleeding", "variceal bleeding", "variceal haemorrhage", "variceal hemorrhage",
                 "variceal bleed", "gi bleeding"),
    "lost": ("lost", "lost to follow-up", "lost to follow up", "ltfu", "lfu", "dropout",
             "drop-out", "withdrawn", "perdu de vue"),
}  # fmt: skip


def event_of(text: str) -> str | None:
    """The event of the vocabulary that a word means, None if it is not known.

    ``LT`` is a liver transplantation. A bare ``1`` or ``0`` says nothing and is not known.
    """
    word = plain_word(text)
    return next((event for event, words in _EVENTS.items() if word in words), None)


_STAGES = {"metavir": 4, "ishak": 6}
_STAGE = re.compile(r"(?:metavir|ishak|stage)? ?f? ?(\d)")


def stage_of(text: str, system: str) -> int | None:
    """A fibrosis stage as a number: METAVIR 0 to 4, Ishak 0 to 6; None if it is neither."""
    found = _STAGE.fullmatch(plain_word(text).removesuffix(".0"))
    stage = int(found[1]) if found else None
    return stage if stage is not None and stage <= _STAGES[system] else None

"""What can be compared between two visits: one table, a line a measure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["scan", "slide", "clinical"]


@dataclass(frozen=True)
class Measure:
    """A number that is compared between visits.

    Attributes:
        key: as in the ``measure`` column of paired.csv and statistics.csv.
        title: for people, starting a sentence.
        unit: as printed after a number, "" for none.
        kind: which table it comes from.
        digits: decimals printed.
        ratio_scale: whether zero means none, so that a per cent change means something.
        column: the value's column in its table.
        low: the column of the lower limit, "" for none.
        high: the column of the upper limit, "" for none.
    """

    key: str
    title: str
    unit: str
    kind: Kind
    digits: int
    ratio_scale: bool = True
    column: str = ""
    low: str = ""
    high: str = ""

    @property
    def inside(self) -> str:
        """The title inside a sentence: names and abbreviations keep their capitals."""
        named = self.title.startswith(("Child-Pugh", "MELD", "ALBI", "INR"))
        return self.title if named else self.title[0].lower() + self.title[1:]


def _clinical(key: str, title: str, unit: str, digits: int, ratio_scale: bool = True) -> Measure:
    return Measure(key, title, unit, "clinical", digits, ratio_scale, key)


MEASURES: dict[str, Measure] = {
    measure.key: measure
    for measure in (
        Measure(
            "liver_volume_ml",
            "Liver volume",
            "mL",
            "scan",
            0,
            column="volume_ml",
            low="volume_ml_low",
            high="volume_ml_high",
        ),
        Measure(
            "caf_percent",
            "Collagen area fraction",
            "%",
            "slide",
            2,
            column="caf_percent",
            low="caf_percent_low",
            high="caf_percent_high",
        ),
        Measure("spleen_volume_ml", "Spleen volume", "mL", "scan", 0, column="spleen_volume_ml"),
        Measure(
            "liver_spleen_ratio",
            "Liver to spleen volume ratio",
            "",
            "scan",
            2,
            column="liver_spleen_ratio",
        ),
        _clinical("child_pugh_score", "Child-Pugh score", "points", 0, False),
        _clinical("meld", "MELD", "points", 0, False),
        _clinical("meld_na", "MELD-Na", "points", 0, False),
        _clinical("meld_3", "MELD 3.0", "points", 0, False),
        _clinical("albi", "ALBI score", "", 2, False),
        _clinical("albumin_g_dl", "Albumin", "g/dL", 1),
        _clinical("bilirubin_mg_dl", "Bilirubin", "mg/dL", 1),
        _clinical("inr", "INR", "", 2),
        _clinical("creatinine_mg_dl", "Creatinine", "mg/dL", 2),
        _clinical("sodium_mmol_l", "Sodium", "mmol/L", 0),
        _clinical("weight_kg", "Weight", "kg", 1),
    )
}

IMAGE_MEASURES = tuple(key for key, measure in MEASURES.items() if measure.kind != "clinical")
PRIMARY_MEASURES = ("liver_volume_ml", "caf_percent")

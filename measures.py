"""What can be compared between two visits: one table, one line per measure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["scan", "slide", "clinical"]


@dataclass(frozen=True)
class Measure:
    """A number that is compared between visits."""

    key: str
    """As in the ``measure`` column of paired.csv and statistics.csv."""
    title: str
    """For people, starting a sentence."""
    unit: str
    """As printed after a number, "" for none."""
    kind: Kind
    """Which table it comes from."""
    digits: int
    """Decimals printed."""
    ratio_scale: bool = True
    """Whether zero means none, so that a per cent change means something."""
    column: str = ""
    """The value's column in its table."""
    low: str = ""
    """The column of the lower limit, "" for none."""
    high: str = ""
    """The column of the upper limit, "" for none."""
    compared: bool = True
    """Whether its change says something; what only describes a subject appears in Table 1 alone."""

    source: str = ""
    """A score's name and where its formula is from, for the methods; "" for what is measured."""
    reference: str = ""
    """The publication of that formula, as in a list of references."""
    important: float | None = None
    """The smallest change that is said to matter, None if no source states one."""
    important_source: str = ""
    """Who says so, and of what."""

    @property
    def mean_digits(self) -> int:
        """Decimals of a mean or a change: at least one, except for whole millilitres."""
        return self.digits if self.unit == "mL" else max(1, self.digits)

    @property
    def label(self) -> str:
        """The title with its unit, as the first cell of a row."""
        return self.title + (f", {self.unit}" if self.unit not in ("", "points") else "")

    @property
    def inside(self) -> str:
        """The title inside a sentence: names and abbreviations keep their capitals."""
        named = self.title[:2].isupper() or self.title.startswith(("Child-Pugh", "Ishak"))
        return self.title if named else self.title[0].lower() + self.title[1:]


def _clinical(key: str, title: str, unit: str, digits: int, ratio_scale: bool = True) -> Measure:
    return Measure(key, title, unit, "clinical", digits, ratio_scale, key)


def _score(
    key: str, title: str, unit: str, digits: int, source: str, reference: str = ""
) -> Measure:
    return replace(
        _clinical(key, title, unit, digits, ratio_scale=False), source=source, reference=reference
    )


def _stage(key: str, title: str) -> Measure:
    return replace(
        _clinical(key, title, "", 0, ratio_scale=False),
        important=1.0,
        important_source="one stage is the improvement that the FDA's guidance for trials in "
        "steatohepatitis with fibrosis asks for (2018)",
    )


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
        Measure("age_years", "Age", "years", "clinical", 0, column="age_years", compared=False),
        _score(
            "child_pugh_score",
            "Child-Pugh score",
            "points",
            0,
            "Child-Pugh (Pugh 1973, with INR)",
            "Pugh RNH, et al. Transection of the oesophagus for bleeding oesophageal varices. Br J "
            "Surg 1973;60:646-649.",
        ),
        replace(
            _score(
                "meld",
                "MELD",
                "points",
                0,
                "MELD (Kamath 2001, bounds of 2002)",
                "Kamath PS, et al. A model to predict survival in patients with end-stage liver "
                "disease. Hepatology 2001;33:464-470.",
            ),
            important=6.0,
            important_source="a rise of more than 5 points within 30 days went with three times "
            "the deaths on the waiting list (Merion 2003, doi:10.1053/jlts.2003.50009)",
        ),
        _score("meld_na", "MELD-Na", "points", 0, "MELD-Na (OPTN 2016)"),
        _score(
            "meld_3",
            "MELD 3.0",
            "points",
            0,
            "MELD 3.0 (Kim 2021)",
            "Kim WR, et al. MELD 3.0: the model for end-stage liver disease updated for the modern "
            "era. Gastroenterology 2021;161:1887-1895.",
        ),
        _score(
            "albi",
            "ALBI score",
            "",
            2,
            "ALBI (Johnson 2015)",
            "Johnson PJ, et al. Assessment of liver function in patients with hepatocellular "
            "carcinoma: the ALBI grade. J Clin Oncol 2015;33:550-558.",
        ),
        _score(
            "fib4",
            "FIB-4",
            "",
            2,
            "FIB-4 (Sterling 2006)",
            "Sterling RK, et al. Development of a simple noninvasive index to predict significant "
            "fibrosis in patients with HIV/HCV coinfection. Hepatology 2006;43:1317-1325.",
        ),
        _score(
            "apri",
            "APRI",
            "",
            2,
            "APRI (Wai 2003, upper limit of AST 40 U/L)",
            "Wai CT, et al. A simple noninvasive index can predict both significant fibrosis and "
            "cirrhosis in patients with chronic hepatitis C. Hepatology 2003;38:518-526.",
        ),
        _stage("fibrosis_metavir", "METAVIR fibrosis stage"),
        _stage("fibrosis_ishak", "Ishak fibrosis stage"),
        _clinical("albumin_g_dl", "Albumin", "g/dL", 1),
        _clinical("bilirubin_mg_dl", "Bilirubin", "mg/dL", 1),
        _clinical("inr", "INR", "", 2),
        _clinical("creatinine_mg_dl", "Creatinine", "mg/dL", 2),
        _clinical("sodium_mmol_l", "Sodium", "mmol/L", 0),
        _clinical("platelets_10e9_l", "Platelets", "10⁹/L", 0),
        _clinical("ast_u_l", "AST", "U/L", 0),
        _clinical("alt_u_l", "ALT", "U/L", 0),
        _clinical("weight_kg", "Weight", "kg", 1),
    )
}

COMPARED = {key: measure for key, measure in MEASURES.items() if measure.compared}
IMPORTANT = {key: one.important for key, one in COMPARED.items() if one.important is not None}
"""By measure, the smallest change that is said to matter, in its unit."""
PRIMARY_MEASURES = ("liver_volume_ml", "caf_percent")

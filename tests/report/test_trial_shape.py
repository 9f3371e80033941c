"""A trial of the shape of the first one: 19 patients, two visits, 5 years of outcomes.

Every kind of sentence that such a trial's abstract needs is read out of the report and the CSV, and
the numbers are those of R (tests/data/r/trial_shape.R).
"""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fibrovol.report.page import build_report
from fibrovol.tables import read_table, write_table

OUTCOMES = (
    "T01,72,none T02,75,none T03,70,none T04,81,none T05,68,none T01,50,other_cancer,colon "
    "T06,14,transplant T06,66,none T07,27,transplant T07,66,none T08,40,transplant T08,74,none "
    "T09,52,transplant T09,69,none T10,58,transplant T10,90,none T06,9,hcc T07,20,hcc T11,22,lost "
    "T12,31,lost T13,33,lost T14,13,death,infection T15,29,death,infection T16,35,death,infection "
    "T17,47,death,infection T18,4,death,infection T14,8,hcc T15,29,hcc "
    "T17,18,other_cancer,lymphoma T19,44,hcc T19,67,none"
)
NAMES = [f"T{number:02d}" for number in range(1, 20)]


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.parts.append(data)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("trial")
    volumes, collagen, clinical = [], [], []
    for number, name in enumerate(NAMES):
        for visit in ("baseline", "month6"):
            late = visit == "month6"
            if late and name == "T18":
                continue
            shared = {"subject": name, "timepoint": visit, "status": "measured"}
            volume = 1000 + 11 * number + (60 + 3 * (number % 7)) * late
            volumes.append(
                shared
                | {"case_id": f"{name}_{visit}_scan", "modality": "CT", "volume_ml": volume,
                   "volume_ml_low": volume - 30, "volume_ml_high": volume + 30}
            )  # fmt: skip
            if number < 11:
                caf = 18 + 0.5 * number - (2 + 0.3 * (number % 5)) * late
                collagen.append(
                    shared
                    | {"case_id": f"{name}_{visit}_slide", "stain": "psr", "tissue_mm2": 12.0,
                       "caf_percent": caf, "caf_percent_low": caf - 1, "caf_percent_high": caf + 1}
                )  # fmt: skip
        good = {"albumin_g_dl": 3.9, "bilirubin_mg_dl": 1.0, "inr": 1.2, "ascites": "none"}
        poor = {"albumin_g_dl": 2.5, "bilirubin_mg_dl": 2.5, "inr": 1.5, "ascites": "mild"}
        later = {11: "month20", 12: "month30", 13: "month32", 19: "month60"}
        visits = [("baseline", poor | {"fibrosis_stage_metavir": "F4"})]
        if name != "T18":
            middle = {"albumin_g_dl": 3.0, "bilirubin_mg_dl": 1.5 + 0.1 * (number % 4)}
            visits.append(("month12", poor | middle | {"fibrosis_stage_metavir": "F4"}))
        if number < 5:
            visits.append(("month60", good))
        elif number + 1 in later:
            visits.append((later[number + 1], poor if number == 18 else good))
        clinical += [
            {"subject": name, "timepoint": visit, "encephalopathy_grade": "0"} | values
            for visit, values in visits
        ]
    outcomes = []
    for row in OUTCOMES.split():
        subject, months, event, *cause = row.split(",")
        outcomes.append({"subject": subject, "followup_months": float(months), "event": event,
                         "cause": "".join(cause)})  # fmt: skip
    for table, rows in (("volumes", volumes), ("collagen", collagen), ("clinical", clinical),
                        ("outcomes", outcomes)):  # fmt: skip
        write_table(where, table, rows)
    study = {"timepoints": ["baseline", "month6"], "subjects": [{"subject": n} for n in NAMES]}
    (where / "study.json").write_text(json.dumps(study), encoding="utf-8")
    build_report(where)
    return where


@pytest.fixture(scope="module")
def text(directory: Path) -> str:
    reader = _Text()
    reader.feed((directory / "report.html").read_text(encoding="utf-8"))
    return " ".join(" ".join(reader.parts).split())


@pytest.mark.parametrize(
    "sentence",
    [
        "19 enrolled subjects",
        "Liver volume changed by a mean of +68 mL from baseline to month6 in 18 of 19 enrolled",
        "Collagen area fraction changed by a mean of −2.55 percentage points from baseline to "
        "month6 in 11 of 19 enrolled",
        "Median follow-up: 66 months (range 4 to 90); by the reverse Kaplan-Meier method 69 months "
        "(95 % CI 66 to 74)",
        "without transplantation: 52 months (95 % CI 29 to not reached)",
        "death in 5 (26.3 %: infection 5)",
        "transplantation in 5 (26.3 %)",
        "hepatocellular carcinoma in 5 (26.3 %)",
        "another cancer in 2 (10.5 %: colon 1, lymphoma 1)",
        "5 of 19 (26.3 %) were in Child-Pugh class A at 60 months without transplantation or death",
        "3 (15.8 %) were lost to follow-up, in months and with the last Child-Pugh class known: "
        "T11 at 22 (class A), T12 at 31 (class A), T13 at 33 (class A)",
    ],
)
def test_the_abstracts_sentences_stand_in_the_report(text: str, sentence: str) -> None:
    assert sentence in text


def test_cirrhosis_was_sustained_and_laboratory_values_improved(directory: Path) -> None:
    rows = {(r["measure"], r["quantity"]): r for r in read_table(directory, "statistics")}
    assert rows["fibrosis_metavir@month12", "n_unchanged"]["value"] == 18
    assert rows["albumin_g_dl@month12", "mean_change"]["value"] == pytest.approx(0.5)
    assert float(rows["child_pugh_score@month12", "mean_change"]["value"] or 0) < 0


@pytest.mark.parametrize(
    ("measure", "value", "low", "high", "at_risk"),
    [
        ("overall_survival", 0.709767206477733, 0.433218057730194, 0.868929774811664, 11),
        ("transplant_free_survival", 0.398086124401914, 0.16861357477224, 0.620896544274148, 6),
        ("incidence_transplant", 0.307814992025518, 0.111006103020428, 0.531758769380946, 6),
        ("incidence_death", 0.294098883572568, 0.105147049864330, 0.514287342275733, 6),
        ("incidence_hcc", 0.280929596719070, 0.100542065643704, 0.495723789700308, 5),
    ],
)
def test_survival_and_incidences_equal_r(
    directory: Path, measure: str, value: float, low: float, high: float, at_risk: int
) -> None:
    rows = {(r["measure"], r["quantity"]): r for r in read_table(directory, "statistics")}
    row = rows[measure, "at_60_months"]
    assert (row["value"], row["low"], row["high"]) == pytest.approx((value, low, high), rel=5e-6)
    assert rows[measure, "at_risk_at_60_months"]["value"] == at_risk
    share = rows["status_at_60_months", "percent, class A"]
    assert (share["low"], share["high"]) == pytest.approx((9.14657849, 51.2029345), rel=1e-5)

"""Generate clinical courses: decompensated cirrhosis that improves a little, and what follows.

The numbers are drawn, in the ranges that such patients have. They are nobody's.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

Row = dict[str, object]

VISITS = (("baseline", 0.0), ("month6", 0.6), ("month12", 1.0))
"""Clinical visits, and the share of the improvement that is reached."""

_ASCITES = ("none", "mild", "moderate")


def clinical_rows(subjects: Sequence[str], completed: Collection[str], seed: int) -> list[Row]:
    """The rows of clinical.csv.

    Args:
        subjects: all codes.
        completed: those who came to month 6; the others have a baseline only.
        seed: the source of all variation.
    """
    rng = np.random.default_rng([seed, 71])
    rows: list[Row] = []
    for subject in subjects:
        age = float(rng.uniform(38.0, 68.0))
        male = bool(rng.random() < 0.65)
        height = float(rng.normal(170.0 if male else 158.0, 6.0))
        weight = float(np.clip(rng.normal(66.0 if male else 57.0, 8.0), 42.0, 95.0))
        albumin = float(np.clip(rng.normal(2.8, 0.35), 2.0, 3.6))
        bilirubin = float(np.clip(rng.lognormal(0.75, 0.4), 0.9, 6.5))
        inr = float(np.clip(rng.normal(1.48, 0.17), 1.15, 2.1))
        creatinine = float(np.clip(rng.normal(0.92, 0.2), 0.5, 1.6))
        sodium = float(np.clip(rng.normal(136.0, 3.2), 127.0, 143.0))
        ascites = int(rng.choice([0, 1, 2], p=[0.2, 0.5, 0.3]))
        brain = int(rng.random() < 0.25)
        # how much this one improves; a few do not
        gain = float(rng.normal(1.0, 0.6))
        for timepoint, reached in VISITS:
            if reached and subject not in completed:
                continue
            better = gain * reached
            wobble = rng.normal(size=5)
            steps = int(better > 0.45) + int(better > 1.2)
            rows.append(
                {
                    "subject": subject,
                    "timepoint": timepoint,
                    "age_years": f"{age + {'month6': 0.5, 'month12': 1.0}.get(timepoint, 0.0):.1f}",
                    "sex": "male" if male else "female",
                    "height_cm": f"{height:.0f}",
                    "weight_kg": f"{weight - 1.0 * better + 0.8 * wobble[0]:.1f}",
                    "albumin_g_dl": f"{max(1.8, albumin + 0.35 * better + 0.1 * wobble[1]):.1f}",
                    "bilirubin_mg_dl": _positive(
                        bilirubin * (1.0 - 0.14 * better + 0.08 * wobble[2])
                    ),
                    "inr": f"{max(1.0, inr - 0.09 * better + 0.03 * wobble[3]):.2f}",
                    "creatinine_mg_dl": f"{max(0.4, creatinine + 0.05 * wobble[4]):.2f}",
                    "sodium_mmol_l": f"{min(145.0, sodium + 1.0 * better + wobble[0]):.0f}",
                    "ascites": _ASCITES[max(0, ascites - steps)],
                    "encephalopathy_grade": str(max(0, brain - int(better > 0.5))),
                    "dialysis": "no",
                }
            )
    return rows


def _positive(bilirubin: float) -> str:
    return f"{max(0.3, bilirubin):.1f}"


def outcome_rows(subjects: Sequence[str], completed: Collection[str], seed: int) -> list[Row]:
    """The rows of outcomes.csv: up to about seven years, one last event each, cancers before it.

    Args:
        subjects: all codes.
        completed: those who came to month 6; what happened to the others came earlier.
        seed: the source of all variation.
    """
    rng = np.random.default_rng([seed, 66])
    share = {"none": 0.34, "transplant": 0.26, "death": 0.24, "lost": 0.16}
    stay = [subject for subject in subjects if subject in completed]
    counts = {event: round(part * len(stay)) for event, part in share.items()}
    counts["none"] += len(stay) - sum(counts.values())
    last = [event for event, count in counts.items() for _ in range(count)]
    rng.shuffle(last)
    course = dict(zip(stay, last, strict=True))
    rows: list[Row] = []
    cancers = 0
    for subject in subjects:
        if subject not in completed:
            event = "transplant" if rng.random() < 0.5 else "lost"
            rows.append(_outcome(subject, float(rng.uniform(2.0, 5.0)), event, ""))
            continue
        event = course[subject]
        months = float(rng.uniform(62.0, 84.0) if event == "none" else rng.uniform(14.0, 60.0))
        # liver cancer comes before a transplantation or a death in some
        if event in ("transplant", "death") and months > 20.0 and rng.random() < 0.5:
            rows.append(_outcome(subject, months - float(rng.uniform(4, 14)), "hcc", ""))
        elif cancers < 2 and event == "none" and rng.random() < 0.5:
            cancers += 1
            kind = ("lymphoma", "colon")[cancers - 1]
            rows.append(
                _outcome(subject, months - float(rng.uniform(10, 40)), "other_cancer", kind)
            )
        cause = "infection" if event == "death" else ""
        rows.append(_outcome(subject, months, event, cause))
    return rows


def _outcome(subject: str, months: float, event: str, cause: str) -> Row:
    return {
        "subject": subject,
        "followup_months": f"{months:.1f}",
        "event": event,
        "cause": cause,
    }

"""A hand-made output directory: 12 subjects with gaps, failures, ties and awkward codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from fibrovol.tables import write_table
from PIL import Image, ImageDraw, PngImagePlugin

VISITS = ("baseline", "month6")
NO_SCALE = "S05_baseline"  # its slide's picture does not state its scale
AWKWARD = "P<b>&7$"  # must come out as text, in HTML and in SVG


def write_directory(
    directory: Path,
    subjects: int = 12,
    seed: int = 0,
    visits: tuple[str, ...] = VISITS,
    *,
    shrink: int = 4,
    images_only: bool = False,
) -> Path:
    """Write tables and pictures as a run would; without clinical tables a report takes a third.

    The pictures show the same millimetres on a quarter of the pixels, which are quick to encode;
    ``shrink=1`` gives those of a real run, for tests about size.

    The last subject has no second visit; the one before failed at the second; the third from the
    end has a slide of another stain at the second.
    """
    rng = np.random.default_rng(seed)

    def picture(case: str, width_px: int, height_px: int, mm_per_px: float | None) -> str:
        size = (width_px // shrink, height_px // shrink)
        return _picture(directory, case, rng, size, mm_per_px and mm_per_px * shrink)

    names = [f"P{number:02d}" for number in range(1, subjects + 1)]
    if subjects > 6:
        names[6] = AWKWARD
    volumes: list[dict[str, Any]] = []
    collagen: list[dict[str, Any]] = []
    for index, subject in enumerate(names):
        liver, caf = rng.normal(1150, 220), rng.uniform(9, 24)
        for number, visit in enumerate(visits):
            if number and index == subjects - 1:
                continue
            case = f"S{index + 1:02d}_{visit}"
            shared: dict[str, Any] = {
                "subject": subject,
                "timepoint": visit,
                "input_sha256": "0" * 64,
            }
            if number and index == subjects - 2:
                error = "slice_gap_too_large: Two slices are 20 mm apart. Do: export it again."
                volumes.append(
                    shared | {"case_id": case + "_scan", "status": "failed", "error": error}
                )
                collagen.append(
                    shared
                    | {
                        "case_id": case + "_slide",
                        "status": "failed",
                        "stain": "psr",
                        "error": "no_pixel_size: The slide states no pixel size.",
                    }
                )
                continue
            volume = round(liver * (1 + number * rng.normal(0.14, 0.09)), 2)
            fraction = round(caf * (1 - number * rng.uniform(0.0, 0.4)), 3)
            volumes.append(
                shared
                | {
                    "case_id": case + "_scan",
                    "status": "measured",
                    "modality": "CT",
                    "n_slices": 80,
                    "spacing_mm": "0.8x0.8x5",
                    "volume_ml": volume,
                    "volume_ml_low": volume * 0.97,
                    "volume_ml_high": volume * 1.03,
                    "engine": "liver_net",
                    "flags": "thick_slices" if index == 2 else "",
                    "overlay_path": picture(case + "_scan", 900, 320, 1.4),
                }
            )
            collagen.append(
                shared
                | {
                    "case_id": case + "_slide",
                    "status": "measured",
                    "stain": "masson" if number and index == subjects - 3 else "psr",
                    "mpp_um": 1.0,
                    "tissue_mm2": 14.2,
                    "collagen_mm2": 0.142 * fraction,
                    "caf_percent": fraction,
                    "caf_percent_low": fraction - 1.0,
                    "caf_percent_high": fraction + 1.2,
                    "n_fragments": 2,
                    "length_mm": 18.0,
                    "overlay_path": picture(
                        case + "_slide",
                        600,
                        400 + 300 * number,
                        None if case == NO_SCALE else 0.016 / (number + 1),
                    ),
                }
            )
    write_table(directory, "volumes", volumes)
    write_table(directory, "collagen", collagen)
    masks = {row["case_id"]: {} for row in (*volumes, *collagen)}
    (directory / "provenance.json").write_text(json.dumps({"cases": masks}), encoding="utf-8")
    if not images_only:
        write_table(directory, "clinical", _clinical(names, visits, rng))
        write_table(directory, "outcomes", _outcomes(names, rng))
    study = {
        "title": "A trial of <nothing>",
        "subjects": [{"subject": name, "timepoints": list(visits)} for name in names],
        "timepoints": list(visits),
        "primary_measures": ["liver_volume_ml", "caf_percent"],
        "biological_variation_percent": {"liver_volume_ml": 16.0},
        "versions": {"fibrovol": "0.1.0", "numpy": "2"},
    }
    (directory / "study.json").write_text(json.dumps(study), encoding="utf-8")
    return directory


def _clinical(
    names: list[str], visits: tuple[str, ...], rng: np.random.Generator
) -> list[dict[str, Any]]:
    """A row a subject and visit, a visit after the last scan; the fourth bilirubin is umol/L."""
    rows: list[dict[str, Any]] = []
    for index, name in enumerate(names):
        for number, visit in enumerate((*visits, "month24")):
            if number and index == len(names) - 1:
                continue
            rows.append(
                {
                    "subject": name,
                    "timepoint": visit,
                    "age_years": 48 + index,
                    "sex": "F" if index % 3 == 0 else "M",
                    "height_cm": 160 + index,
                    "weight_kg": 60 + 2 * index,
                    "albumin_g_dl": round(rng.normal(3.0 + 0.2 * number, 0.3), 1),
                    "bilirubin_mg_dl": 44.0
                    if index == 3 and not number
                    else round(rng.uniform(1.0, 4.0), 1),
                    "inr": round(rng.uniform(1.1, 2.0), 2),
                    "creatinine_mg_dl": round(rng.uniform(0.6, 1.6), 2),
                    "sodium_mmol_l": round(rng.normal(136, 3)),
                    "ascites": ("none", "mild", "moderate")[(index + number) % 3],
                    "encephalopathy_grade": str(index % 2),
                    "dialysis": "no",
                }
            )
    return rows


def _outcomes(names: list[str], rng: np.random.Generator) -> list[dict[str, Any]]:
    events = ("none", "death", "transplant", "hcc", "lost", "none", "other_cancer")
    rows: list[dict[str, Any]] = []
    for index, name in enumerate(names[:-1]):
        months = float(rng.integers(8, 72))
        rows.append(
            {"subject": name, "followup_months": months, "event": events[index % len(events)]}
        )
        if events[index % len(events)] == "hcc":
            rows.append({"subject": name, "followup_months": months + 9, "event": "death"})
    return rows


def _picture(
    directory: Path,
    name: str,
    rng: np.random.Generator,
    size: tuple[int, int],
    mm_per_px: float | None,
) -> str:
    """A picture that compresses like a real one, with a contour and, if known, its scale."""
    small = rng.integers(40, 200, size=(size[1] // 8, size[0] // 8), dtype=np.uint8)
    image = Image.fromarray(small).resize(size, Image.Resampling.BICUBIC).convert("RGB")
    box = (size[0] // 10, size[1] // 8, size[0] // 3, size[1] - size[1] // 8)
    ImageDraw.Draw(image).ellipse(box, outline=(255, 40, 40))
    path = directory / "overlays" / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = PngImagePlugin.PngInfo()
    if mm_per_px is not None:
        text.add_text("mm_per_px", str(mm_per_px))
    image.save(path, pnginfo=text, compress_level=1)
    return f"overlays/{name}.png"

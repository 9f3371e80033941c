"""From pairs and quantities to what the template prints. No numbers are computed here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..analysis.design import Design, Pair
from ..analysis.flow import Flow, flow_of
from ..analysis.statistics_table import Quantity
from ..errors import ERROR_CODES
from ..flags import FLAGS
from ..measures import MEASURES, Measure
from . import figures, words
from .inputs import Inputs
from .pictures import Picture, embed, inside, share_bytes, widths_at_one_scale

QUANTITIES = {
    "mean_change_sign_flip": "Mean change, sign-flip interval",
    "mean_change": "Mean change, bootstrap interval (approximate)",
    "mean_change_t": "Mean change, t interval",
    "mean_percent_change_sign_flip": "Mean change, % of baseline, sign-flip interval",
    "mean_percent_change": "Mean change, % of baseline, bootstrap interval (approximate)",
    "median_change": "Median change",
    "hodges_lehmann": "Hodges-Lehmann estimate",
    "cohen_dz": "Effect size, Cohen's dz",
    "rank_biserial": "Effect size, matched rank-biserial",
    "paired_t": "Paired t test",
    "sign_flip": "Exact sign-flip test of the mean",
    "wilcoxon": "Wilcoxon signed-rank test",
    "shapiro_wilk": "Shapiro-Wilk look at normality",
    "detectable_change": "Mean change detectable with this n (80 % power)",
}
_TEST_ROWS = ("paired_t", "sign_flip", "wilcoxon", "shapiro_wilk")
_CLINICAL_SHOWN = ("child_pugh_score", "meld")  # the laboratory values stand in paired.csv
_INTERVAL_FROM = 6  # pairs; with fewer the interval of a mean fills the figure and says nothing
_UNITLESS = ("cohen_dz", "rank_biserial")


@dataclass(frozen=True)
class Drawn:
    """A figure and what it shows; both empty where there is nothing to draw."""

    svg: str = ""
    caption: str = ""


@dataclass(frozen=True)
class Section:
    """One measure at one later visit, ready to print."""

    key: str
    title: str
    anchor: str
    primary: bool
    sentence: str
    flow: Flow
    flow_svg: str
    spaghetti: Drawn
    forest: Drawn
    rows: list[dict[str, str]]
    comment: str


@dataclass(frozen=True)
class Shot:
    """One overlay picture of the gallery.

    Attributes:
        mm_per_px: of the embedded picture, None where the file does not state it.
        width_percent: of its column, so that all pictures of the row have one scale; None where
            the picture does not state its scale.
    """

    caption: str
    alt: str
    uri: str
    width_px: int
    height_px: int
    missing: str
    flags: tuple[str, ...] = ()
    mm_per_px: float | None = None
    width_percent: float | None = None
    scale_note: str = ""


@dataclass(frozen=True)
class GalleryRow:
    """One subject's pictures of one kind, visits side by side."""

    subject: str
    kind: str
    visits: list[tuple[str, list[Shot]]] = field(default_factory=list)


def anchor(measure: str, later: str) -> str:
    """An id for a section: letters, digits and dashes only."""
    text = f"{measure}-{later}".lower()
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in text)


def quantity_rows(measure: Measure, found: Mapping[str, Quantity]) -> list[dict[str, str]]:
    """The printed result table of one measure."""
    rows = _visit_rows(measure, found)
    for name, label in QUANTITIES.items():
        quantity = found.get(name)
        bootstrap = name in ("mean_change", "mean_percent_change")
        if quantity is None or (bootstrap and quantity.low is None):
            continue  # the same mean stands in the rows beside it
        digits = words.change_digits(measure)
        value = words.number(quantity.value, digits, signed=True)
        limits = words.interval(quantity.low, quantity.high, digits)
        if name.startswith("mean_percent_change"):
            value = words.number(quantity.value, 1, signed=True) + " %"
            limits = words.interval(quantity.low, quantity.high, 1)
        elif name in _TEST_ROWS:
            value = _statistic(quantity)
        elif name in _UNITLESS:
            value = words.number(quantity.value, 2, signed=True)
            limits = words.interval(quantity.low, quantity.high, 2)
        elif name == "detectable_change":
            value = words.change_with_unit(words.number(quantity.value, digits), measure)
        else:
            value = words.change_with_unit(value, measure)
        rows.append(
            {
                "label": label,
                "n": str(quantity.n),
                "value": value,
                "interval": limits,
                "p": words.p_value(quantity.p_value),
                "holm": words.p_value(quantity.p_value_holm),
                "method": quantity.method,
            }
        )
    return rows


def _visit_rows(measure: Measure, found: Mapping[str, Quantity]) -> list[dict[str, str]]:
    """Mean, SD, median and quartiles of the paired subjects at both visits."""
    rows = []
    digits = max(1, measure.digits) if measure.unit != "mL" else 0
    for when, label in (("baseline", "First visit"), ("followup", "Later visit")):
        mean, middle = found.get(f"mean_{when}"), found.get(f"median_{when}")
        sd = found.get(f"sd_{when}")
        if mean is None or middle is None:
            continue
        value = words.number(mean.value, digits)
        if sd is not None:
            value += f" ({words.number(sd.value, digits)})"
        rows.append(
            {
                "label": f"{label}, mean (SD)",
                "n": str(mean.n),
                "value": words.with_unit(value, measure),
                "interval": words.interval(mean.low, mean.high, digits),
                "p": words.NOT_KNOWN,
                "holm": words.NOT_KNOWN,
                "method": f"{mean.method}; median {words.number(middle.value, digits)}, "
                f"quartiles {words.interval(middle.low, middle.high, digits)}",
            }
        )
    return rows


def _statistic(quantity: Quantity) -> str:
    symbol = {"paired_t": "t", "wilcoxon": "W+", "shapiro_wilk": "W"}.get(quantity.name)
    if symbol is None:
        return words.NOT_KNOWN
    return f"{symbol} = {words.number(quantity.value, 2)}"


def _comment(found: Mapping[str, Quantity]) -> str:
    """What the reader should know about this sample's tests."""
    n = int(found["n_paired"].value or 0)
    parts = []
    if 0 < n < 6:
        parts.append(
            f"With {words.count(n, 'pair')} no exact test can reach p < 0.05 and no exact 95 % "
            "interval exists: read the changes one by one."
        )
    shapiro = found.get("shapiro_wilk")
    if shapiro is not None and shapiro.p_value is not None and shapiro.p_value < 0.05:
        parts.append(
            "The changes do not look normal: rely on the exact tests and the Hodges-Lehmann "
            "estimate rather than on the t test."
        )
    p_values = [
        found[name].p_value for name in ("paired_t", "sign_flip", "wilcoxon") if name in found
    ]
    known = [p for p in p_values if p is not None]
    if known and min(known) < 0.05 <= max(known):
        parts.append(
            "The tests fall on both sides of 0.05: none of them should carry a claim alone."
        )
    return " ".join(parts)


def flow_figure(flow: Flow, measure: Measure, design: Design, name: str) -> str:
    """The flow diagram of one measure."""
    what = "slide" if measure.kind == "slide" else "scan" if measure.kind == "scan" else "value"
    first, later = design.timepoints[0], flow.timepoint

    def both(counts: tuple[int, int, int]) -> str:
        return f"{counts[2]} at both ({counts[0]} {first}, {counts[1]} {later})"

    steps = [("Enrolled", str(flow.enrolled))]
    if measure.kind != "clinical":
        steps.append((f"With a {what}", both(flow.imaged)))
    steps.append(("Measured", both(flow.measured)))
    steps.append(("Paired and analysed", str(flow.paired)))
    return figures.flow(name, measure.title, steps, dict(flow.reasons))


def make_sections(
    design: Design,
    pairs: Sequence[Pair],
    found: Mapping[tuple[str, str], Mapping[str, Quantity]],
) -> list[Section]:
    """A section for each measure and later visit, primary measures first."""
    sections = []
    order = sorted(found, key=lambda key: key[0] not in design.primary_measures)
    for key, later in order:
        if MEASURES[key].kind == "clinical":
            continue  # one table of their own: see clinical_section
        measure, by_name = MEASURES[key], found[key, later]
        chosen = [p for p in pairs if p.measure == key and p.timepoint == later]
        name = anchor(key, later)
        flow = flow_of(chosen)
        spaghetti, forest = _figures(design, measure, later, pairs, by_name, name)
        sections.append(
            Section(
                key=key,
                title=measure.title + (f": {later}" if len(design.timepoints) > 2 else ""),
                anchor=name,
                primary=key in design.primary_measures,
                sentence=words.summary_sentence(design, measure, later, by_name),
                flow=flow,
                flow_svg=flow_figure(flow, measure, design, f"flow-{name}"),
                spaghetti=spaghetti,
                forest=forest,
                rows=quantity_rows(measure, by_name),
                comment=_comment(by_name),
            )
        )
    return sections


def _figures(
    design: Design,
    measure: Measure,
    later: str,
    pairs: Sequence[Pair],
    found: Mapping[str, Quantity],
    name: str,
) -> tuple[Drawn, Drawn]:
    """The spaghetti and the forest plot; the first shows all visits."""
    ours = [p for p in pairs if p.measure == measure.key]
    chosen = [p for p in ours if p.timepoint == later]
    by_visit = {(p.subject, p.timepoint): p for p in ours}
    lines = [
        figures.Line(
            pair.subject,
            (
                pair.baseline.value,
                *(by_visit[pair.subject, visit].followup.value for visit in design.timepoints[1:]),
            ),
            pair.call if pair.paired else "not paired",
        )
        for pair in chosen
    ]
    means: list[tuple[float, float | None, float | None]] = []
    if len(design.timepoints) == 2 and "mean_baseline" in found and found["mean_baseline"].n > 1:
        enough = found["mean_baseline"].n >= _INTERVAL_FROM
        for when in ("mean_baseline", "mean_followup"):
            quantity = found[when]
            assert quantity.value is not None
            low, high = (quantity.low, quantity.high) if enough else (None, None)
            means.append((quantity.value, low, high))
    spaghetti = Drawn(
        figures.spaghetti(
            f"lines-{name}", measure.title, measure.unit, design.timepoints, lines, means
        ),
        words.lines_caption(bool(means), any(low is not None for _, low, _ in means)),
    )
    changes = [
        figures.Change(p.subject, p.change, p.change_low, p.change_high, p.call)
        for p in chosen
        if p.change is not None
    ]
    if not changes:
        return spaghetti, Drawn()
    mean = words.headline(found)
    several = len(changes) > 1 and mean.value is not None
    summary = (mean.value, mean.low, mean.high) if several and mean.value is not None else None
    caption = words.changes_caption(
        any(p.change_low is not None for p in chosen), several, mean.low is not None
    )
    svg = figures.forest(f"forest-{name}", measure.title, measure.unit, changes, summary)
    return spaghetti, Drawn(svg, caption)


def patient_rows(pairs: Sequence[Pair]) -> list[dict[str, Any]]:
    """The per-patient table: printed text beside the plain number that it sorts by."""
    rows = []
    for pair in pairs:
        measure = MEASURES[pair.measure]
        if measure.kind == "clinical" and measure.key not in _CLINICAL_SHOWN:
            continue
        digits, change_digits = measure.digits, max(measure.digits, words.change_digits(measure))
        if measure.kind == "clinical":
            change_digits = digits
        rows.append(
            {
                "subject": pair.subject,
                "measure": measure.title
                + (f" ({measure.unit})" if measure.unit not in ("", "points") else ""),
                "timepoint": pair.timepoint,
                "cells": [
                    (words.number(pair.baseline.value, digits), pair.baseline.value),
                    (words.number(pair.followup.value, digits), pair.followup.value),
                    (words.number(pair.change, change_digits, signed=True), pair.change),
                    (
                        words.interval(pair.change_low, pair.change_high, change_digits),
                        pair.change_low,
                    ),
                    (words.number(pair.percent_change, 1, signed=True), pair.percent_change),
                ],
                "call": pair.call or ("not called" if measure.kind != "clinical" else ""),
                "reason": pair.brief,
                "flags": pair.flags,
            }
        )
    return rows


def status_matrix(inputs: Inputs) -> tuple[list[str], list[dict[str, Any]]]:
    """Every enrolled subject and what became of each visit's scan and slide."""
    columns, kinds = [], []
    for kind, rows, value in (
        ("Scan", inputs.volumes, "volume_ml"),
        ("Slide", inputs.collagen, "caf_percent"),
    ):
        if rows:
            for timepoint in inputs.design.timepoints:
                columns.append(f"{kind}, {timepoint}")
                kinds.append((rows, value, timepoint))
    table = []
    for subject in inputs.design.subjects:
        cells = []
        for rows, value, timepoint in kinds:
            ours = [r for r in rows if r["subject"] == subject and r["timepoint"] == timepoint]
            measured = sum(r[value] is not None for r in ours)
            if not ours:
                cells.append(("none", "absent"))
            elif rejected := sum(map(inputs.rejected, ours)):
                several = f"{rejected} of {len(ours)} rejected"
                cells.append(("rejected" if len(ours) == 1 else several, "bad"))
            elif measured == len(ours):
                cells.append(("measured" if measured == 1 else f"{measured} measured", "good"))
            elif measured:
                cells.append((f"{measured} of {len(ours)} measured", "part"))
            else:
                cells.append(("failed", "bad"))
        table.append({"subject": subject, "cells": cells})
    return columns, table


def excluded_rows(design: Design, measured: Sequence[Section]) -> list[tuple[str, str, str]]:
    """Subject, measures and reason of each exclusion; one row where the reason is the same."""
    found: dict[tuple[str, str], list[str]] = {}
    for section in measured:
        for subject, reason in section.flow.excluded:
            found.setdefault((subject, reason), []).append(section.title)
    order = {subject: index for index, subject in enumerate(design.subjects)}
    rows = [(subject, "; ".join(titles), reason) for (subject, reason), titles in found.items()]
    return sorted(rows, key=lambda row: order[row[0]])


def failed_rows(inputs: Inputs) -> list[dict[str, str]]:
    """Every case that failed, with its reason."""
    rows = []
    for kind, table in (("scan", inputs.volumes), ("slide", inputs.collagen)):
        for row in table:
            if row["status"] != "failed":
                continue
            code, _, sentence = str(row["error"]).partition(":")
            code = code.strip()
            rows.append(
                {
                    "subject": str(row["subject"]),
                    "timepoint": str(row["timepoint"]),
                    "kind": kind,
                    "case": str(row["case_id"]),
                    "code": code,
                    "sentence": sentence.strip() or ERROR_CODES.get(code, ""),
                }
            )
    return rows


def flag_rows(inputs: Inputs, pairs: Sequence[Pair]) -> list[tuple[str, str, str]]:
    """The flags that occur: code, sentence, subjects."""
    subjects: dict[str, list[str]] = {}
    for pair in pairs:
        for flag in pair.flags:
            subjects.setdefault(flag, []).append(pair.subject)
    for row in [*inputs.volumes, *inputs.collagen]:
        for flag in str(row["flags"] or "").split(";"):
            if flag:
                subjects.setdefault(flag, []).append(str(row["subject"] or row["case_id"]))
    order = {subject: index for index, subject in enumerate(inputs.design.subjects)}

    def who(flag: str) -> str:
        names = sorted(set(subjects[flag]), key=lambda name: (order.get(name, len(order)), name))
        return ", ".join(names)

    known = [flag for flag in FLAGS if flag in subjects]
    unknown = sorted(set(subjects) - set(FLAGS))
    return [
        *((flag, FLAGS[flag].sentence, who(flag)) for flag in known),
        *((flag, "A flag of another version of the program.", who(flag)) for flag in unknown),
    ]


def gallery(inputs: Inputs) -> list[GalleryRow]:
    """Every case's picture, one subject's visits side by side."""
    cases = [
        ("Scan", row, "volume_ml", "mL", 0, "outline of the liver") for row in inputs.volumes
    ] + [
        ("Slide", row, "caf_percent", "% collagen", 2, "collagen marked") for row in inputs.collagen
    ]
    budget = share_bytes(sum(bool(row["overlay_path"]) for _, row, *_ in cases))
    rows: dict[tuple[str, str], GalleryRow] = {}
    visits = list(inputs.design.timepoints) or [""]
    for subject in [*inputs.design.subjects, ""]:
        for kind in ("Scan", "Slide"):
            rows[subject, kind] = GalleryRow(subject, kind, [(visit, []) for visit in visits])
    for kind, row, value, unit, digits, what in cases:
        subject, visit = str(row["subject"] or ""), str(row["timepoint"] or "")
        number = row[value]
        measured = isinstance(number, (int, float))
        text = (
            f"{words.number(float(number), digits)} {unit}"  # type: ignore[arg-type]
            if measured
            else "failed: " + str(row["error"] or "no value")
        )
        detail = str(row.get("modality") or row.get("stain") or "")
        path = inside(inputs.directory, str(row["overlay_path"] or ""))
        picture = embed(path, budget) if path else None
        missing = ""
        if picture is None:
            missing = (
                "no picture was written"
                if not row["overlay_path"]
                else f"the picture {row['overlay_path']} is missing or unreadable"
            )
            if not measured:
                missing = "not measured"
        shot = Shot(
            caption=f"{detail}: {text}" if detail and measured else text,
            alt=f"{kind} of {subject or row['case_id']}, {visit or 'single visit'}: {what}, {text}",
            uri=picture.uri if picture else "",
            width_px=picture.width_px if picture else 0,
            height_px=picture.height_px if picture else 0,
            mm_per_px=picture.mm_per_px if picture else None,
            missing=missing,
            flags=tuple(flag for flag in str(row["flags"] or "").split(";") if flag),
        )
        target = rows.setdefault(
            (subject, kind), GalleryRow(subject, kind, [(name, []) for name in visits])
        )
        for name, shots in target.visits:
            if name == visit or visit not in visits:
                shots.append(shot)
                break
    shown = [row for row in rows.values() if any(shots for _, shots in row.visits)]
    return [_at_one_scale(row) for row in shown]


def _at_one_scale(row: GalleryRow) -> GalleryRow:
    """Give each picture of a row the width at which all have the same mm per displayed pixel."""
    ours = [
        Picture(shot.uri, shot.width_px, shot.height_px, shot.mm_per_px)
        for _, shots in row.visits
        for shot in shots
        if shot.uri
    ]
    widths = iter(widths_at_one_scale(ours))

    def sized(shot: Shot) -> Shot:
        width = next(widths) if shot.uri else None
        unknown = bool(shot.uri) and width is None and len(ours) > 1
        note = "Scale not stated: not at the scale of the others." if unknown else ""
        return replace(shot, width_percent=width, scale_note=note)

    visits = [(visit, [sized(shot) for shot in shots]) for visit, shots in row.visits]
    return replace(row, visits=visits)

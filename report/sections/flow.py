"""Who was compared: the flow of subjects, who was left out and why, and which cases failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...analysis.analyse import Analysis
from ...analysis.design import Design
from ...analysis.flow import Flow
from ...analysis.inputs import Inputs
from ...errors import ERROR_CODES
from ...measures import MEASURES, Measure
from ...vocabulary import Status
from .. import figures
from ..section import Entry, Section, Source
from .measures import anchor, image_comparisons, title_of


@dataclass(frozen=True)
class Compared:
    """One measure at one later visit."""

    title: str
    """The measure, and the visit where there are several later ones."""
    primary: bool
    """Whether its flow is drawn."""
    flow: Flow
    """The counts."""
    flow_svg: str
    """The diagram."""


def entries(source: Source) -> Sequence[Entry]:
    """Always there."""
    analysis = source.analysis
    measures = _compared(analysis)
    columns, matrix = status_matrix(analysis.inputs)
    content = {
        "measures": measures,
        "excluded": excluded_rows(analysis.design, measures),
        "failed": failed_rows(analysis.inputs),
        "columns": columns,
        "matrix": matrix,
        "notes": analysis.inputs.notes,
        "left_out": left_out(analysis),
    }
    return [Entry("flow", "Who was compared", content)]


SECTION = Section("flow", entries)


def left_out(analysis: Analysis) -> list[str]:
    """Clinical values that were measured and may not be compared, in words."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for pair in analysis.pairs:
        measured = pair.baseline.value is not None and pair.followup.value is not None
        if MEASURES[pair.measure].kind == "clinical" and measured and not pair.paired:
            key = (pair.subject, pair.reason)
            reasons.setdefault(key, []).append(MEASURES[pair.measure].title)
    return [f"{who}: {reason}; {', '.join(what)}" for (who, reason), what in reasons.items()]


def _compared(analysis: Analysis) -> list[Compared]:
    found = []
    for key, later in image_comparisons(analysis):
        flow = analysis.flows[key, later]
        measure = MEASURES[key]
        svg = flow_figure(flow, measure, analysis.design, f"flow-{anchor(key, later)}")
        primary = key in analysis.design.primary_measures
        found.append(Compared(title_of(analysis.design, key, later), primary, flow, svg))
    return found


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


def excluded_rows(design: Design, measures: Sequence[Compared]) -> list[tuple[str, str, str]]:
    """Subject, measures and reason of each exclusion; one row where the reason is the same."""
    found: dict[tuple[str, str], list[str]] = {}
    for item in measures:
        for subject, reason in item.flow.excluded:
            found.setdefault((subject, reason), []).append(item.title)
    order = {subject: index for index, subject in enumerate(design.subjects)}
    rows = [(subject, "; ".join(titles), reason) for (subject, reason), titles in found.items()]
    return sorted(rows, key=lambda row: order[row[0]])


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
                cells.append(
                    (str(Status.MEASURED) if measured == 1 else f"{measured} measured", "good")
                )
            elif measured:
                cells.append((f"{measured} of {len(ours)} measured", "part"))
            else:
                cells.append((str(Status.FAILED), "bad"))
        table.append({"subject": subject, "cells": cells})
    return columns, table


def failed_rows(inputs: Inputs) -> list[dict[str, str]]:
    """Every case that failed, with its reason."""
    rows = []
    for kind, table in (("scan", inputs.volumes), ("slide", inputs.collagen)):
        for row in table:
            if row["status"] != Status.FAILED:
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

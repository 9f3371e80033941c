"""Verdicts in the report: flow, statistics, methods and pictures follow what readers said."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from html import unescape
from pathlib import Path

import pytest
from fibrovol.analysis.reviews import Read, make_review
from fibrovol.report.page import build_report
from fibrovol.tables import read_table, write_table

from .cohort import write_directory

AT = datetime(2026, 11, 27, 13, 0, tzinfo=UTC)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Twelve subjects, each measured case with a mask that provenance.json knows."""
    write_directory(tmp_path, images_only=True)
    cases = {}
    for name in ("volumes", "collagen"):
        rows = read_table(tmp_path, name)
        for row in rows:
            row["mask_path"] = f"masks/{row['case_id']}" if row["status"] == "measured" else ""
            mask = {row["mask_path"]: f"sha of {row['case_id']}"} if row["mask_path"] else {}
            cases[row["case_id"]] = {"outputs": mask}
        write_table(tmp_path, name, rows)
    (tmp_path / "provenance.json").write_text(json.dumps({"cases": cases}), encoding="utf-8")
    return tmp_path


def give(directory: Path, *answers: tuple[str, str, str]) -> None:
    """Write reviews.csv with (case_id, verdict, reader) of each line."""
    rows = {r["case_id"]: r["volume_ml"] for r in read_table(directory, "volumes")}
    lines = []
    for number, (case_id, verdict, reader) in enumerate(answers, start=1):
        read = Read(case_id, 0, f"sha of {case_id}", rows[case_id])
        answer = {"verdict": verdict, "reader": reader, "reason": "breathing"}
        line = make_review(read, answer, at=AT, version="1")
        lines.append({"review": number, **line})
    write_table(directory, "reviews", lines)


def paired(directory: Path) -> set[str]:
    rows = read_table(directory, "paired")
    return {str(r["subject"]) for r in rows if r["measure"] == "liver_volume_ml" and r["change"]}


def text_of(path: Path) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", path.read_text(encoding="utf-8"))).split())


def test_a_rejection_reaches_flow_statistics_methods_and_the_matrix(directory: Path) -> None:
    build_report(directory)
    before = paired(directory)
    n_before = {(r["measure"], r["quantity"]): r["n"] for r in read_table(directory, "statistics")}
    give(directory, ("S02_month6_scan", "reject", "r1"), ("S03_month6_scan", "accept", "r1"))
    page = text_of(build_report(directory))
    assert before - paired(directory) == {"P02"}
    n_now = {(r["measure"], r["quantity"]): r["n"] for r in read_table(directory, "statistics")}
    key = ("liver_volume_ml", "mean_change")
    assert n_now[key] == n_before[key] - 1
    assert "a reader rejected the scan of month6 (breathing)" in page
    assert "2 of 46 cases were read by 1 reader: 1 accepted, 1 rejected" in page
    assert ">rejected</td>" in (directory / "report.html").read_text(encoding="utf-8")


def test_reading_may_be_required_for_one_report_or_for_the_study(directory: Path) -> None:
    both = ("S03_baseline_scan", "S03_month6_scan")
    give(directory, *((case, "accept", "r1") for case in both))
    build_report(directory)
    assert len(paired(directory)) > 5
    build_report(directory, require_review=True)
    assert paired(directory) == {"P03"}
    study = json.loads((directory / "study.json").read_text(encoding="utf-8"))
    study["require_review"] = True
    (directory / "study.json").write_text(json.dumps(study), encoding="utf-8")
    page = text_of(build_report(directory))
    assert paired(directory) == {"P03"}
    assert "no reader has accepted the scan of baseline" in page


def test_a_verdict_does_not_outlive_its_mask(directory: Path) -> None:
    give(directory, ("S02_month6_scan", "reject", "r1"))
    build_report(directory)
    assert "P02" not in paired(directory)
    provenance = json.loads((directory / "provenance.json").read_text(encoding="utf-8"))
    provenance["cases"]["S02_month6_scan"]["outputs"]["masks/S02_month6_scan"] = "another"
    (directory / "provenance.json").write_text(json.dumps(provenance), encoding="utf-8")
    build_report(directory)
    assert "P02" in paired(directory)


def test_two_readers_are_compared_in_the_methods(directory: Path) -> None:
    cases = [f"S{n:02d}_baseline_scan" for n in range(1, 9)]
    answers = [(case, "accept" if n % 2 else "reject", "r1") for n, case in enumerate(cases)]
    answers += [(case, "accept" if n % 2 else "reject", "r2") for n, case in enumerate(cases)]
    answers[-1] = (cases[-1], "reject", "r2")
    give(directory, *answers)
    page = text_of(build_report(directory))
    assert "Readers r1 and r2 gave the same verdict on 7 of 8 cases (Cohen's kappa 0.75" in page

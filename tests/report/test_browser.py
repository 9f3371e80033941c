"""The report in a real browser: quiet, complete, offline, usable, printable."""

from __future__ import annotations

import csv
import importlib.util
import re
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fibrovol import read_scan
from fibrovol.batch.runner import run_study
from fibrovol.imaging.export.nifti import write_mask
from fibrovol.intake.draft import draft_study
from fibrovol.intake.study import read_study
from fibrovol.report.page import build_report
from fibrovol.report.sections import pictures

from .. import dicom_writer
from .chromium import Browser, find_chromium
from .cohort import write_directory

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find_chromium() is None, reason="Chromium is not installed"),
    pytest.mark.skipif(sys.platform == "win32", reason="drives Chromium over POSIX descriptors"),
]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_report(write_directory(tmp_path_factory.mktemp("run"), 10, shrink=1))


def test_page_is_quiet_complete_and_offline(browser: Browser, report: Path) -> None:
    seconds = browser.open(report)
    assert browser.complaints() == []
    outside = [u for u in browser.requests() if not u.startswith(("data:", report.as_uri()))]
    assert outside == []
    pictures: Any = browser.ask(
        "Array.from(document.images, i => [i.complete, i.naturalWidth, i.alt.length])"
    )
    assert len(pictures) == 36
    assert all(complete and width > 0 and words > 0 for complete, width, words in pictures)
    boxes: Any = browser.ask(
        "Array.from(document.querySelectorAll('svg.figure'),"
        " s => [s.getBoundingClientRect().width, s.getBoundingClientRect().height])"
    )
    assert len(boxes) >= 10
    assert all(width > 100 and height > 60 for width, height in boxes)
    assert seconds < 10  # 2 s on an idle machine; this one may be busy


def test_a_page_of_many_pictures_shows_them_when_scrolled_to_and_prints_all(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "_LATE_FROM", 0)
    browser.open(build_report(write_directory(tmp_path, 10, images_only=True)))
    shown = "Array.from(document.images, i => i.complete && i.naturalWidth > 0)"
    assert {*browser.ask("Array.from(document.images, i => i.loading)")} == {"lazy"}
    browser.ask("document.images[20].scrollIntoView({behavior: 'instant'})")
    deadline = time.monotonic() + 30
    while not browser.ask(shown)[20]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    browser.pdf(tmp_path / "report.pdf")
    printed = (tmp_path / "report.pdf").read_bytes().count(b"/Subtype /Image")
    assert printed == len(browser.ask(shown))


@pytest.mark.parametrize("width", [380, 1200])
def test_page_itself_never_scrolls_sideways(browser: Browser, report: Path, width: int) -> None:
    browser.call(
        "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1,
        mobile=False,
    )  # fmt: skip
    browser.open(report)
    assert browser.ask("document.documentElement.scrollWidth") <= width
    browser.call("Emulation.clearDeviceMetricsOverride")


@pytest.mark.parametrize("width", [380, 800, 1400])
def test_a_millimetre_is_as_long_in_both_visits(browser: Browser, report: Path, width: int) -> None:
    browser.call(
        "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1,
        mobile=False,
    )  # fmt: skip
    browser.open(report)
    shown: Any = browser.ask(
        "Array.from(document.querySelectorAll('.shots img[alt^=\"Slide of P01\"]'),"
        " i => i.getBoundingClientRect()).map(r => [r.width, r.height])"
    )
    browser.call("Emulation.clearDeviceMetricsOverride")
    (wide, high), (narrow, low) = shown
    assert wide / narrow == pytest.approx(2, rel=0.01)  # 600 pixels of 16 um beside 600 of 8
    assert high / low == pytest.approx(400 * 16 / (700 * 8), rel=0.02)
    assert wide > 150


def fill(name: str, value: str) -> str:
    """JavaScript that enters a value as a user would."""
    return (
        f"{{const e = document.getElementById('{name}'); e.value = '{value}';"
        " e.dispatchEvent(new Event('input')); true}"
    )


def test_table_sorts_and_filters(browser: Browser, report: Path) -> None:
    browser.open(report)
    column = (
        "Array.from(document.querySelectorAll('#patients tbody tr:not([hidden])'),"
        " r => r.cells[5].dataset.value)"
    )
    click = "document.querySelectorAll('#patients thead button')[5].click()"
    browser.ask(fill("filter-measure", "Liver volume (mL)"))
    browser.ask(click)
    rising = [float(text) if text else None for text in browser.ask(column)]
    known = [value for value in rising if value is not None]
    assert len(rising) == 10
    assert known == sorted(known)
    assert rising[: len(known)] == known  # the unknown come last, both ways
    browser.ask(click)
    falling = [float(text) if text else None for text in browser.ask(column)]
    assert falling[: len(known)] == known[::-1]
    heads = browser.ask(
        "Array.from(document.querySelectorAll('#patients th[aria-sort]'), h => h.ariaSort)"
    )
    assert heads == ["descending"]
    browser.ask(fill("filter-text", "P03"))
    assert len(browser.ask(column)) == 1
    assert browser.ask("document.getElementById('patients-status').textContent").startswith("1 of")
    assert browser.complaints() == []


@pytest.mark.parametrize("dark", [False, True])
def test_no_serious_accessibility_violation(browser: Browser, report: Path, dark: bool) -> None:
    found = importlib.util.find_spec("axe_core_python")
    if found is None or found.origin is None:
        pytest.skip("axe-core-python is not installed")
    axe = (Path(found.origin).parent / "axe.min.js").read_text(encoding="utf-8")
    browser.dark(dark)
    browser.open(report)
    browser.ask(axe + "; true")  # a debugger's script: the page's policy does not hold it
    # what is not of colours was looked at in the light page
    options = "{resultTypes: ['violations']" + (
        ", runOnly: ['color-contrast', 'link-in-text-block']}" if dark else "}"
    )
    result: Any = browser.ask(
        f"axe.run({options}).then(r => [r.passes.length, r.violations.map(v =>"
        " [v.impact, v.id, v.nodes.slice(0, 3).map(n => n.html)])])"
    )
    browser.dark(False)
    assert result[0] > (0 if dark else 15)  # it did look
    assert [v for v in result[1] if v[0] in ("serious", "critical")] == []


def test_figures_follow_light_and_dark(browser: Browser, report: Path) -> None:
    browser.open(report)
    ask = (
        "[getComputedStyle(document.body).backgroundColor,"
        " getComputedStyle(document.querySelector('svg.figure text')).fill]"
    )
    browser.dark(False)
    light = browser.ask(ask)
    browser.dark(True)
    dark = browser.ask(ask)
    browser.dark(False)
    assert light[0] != dark[0]
    assert light[1] != dark[1]


def test_prints_to_a4(browser: Browser, report: Path, tmp_path: Path) -> None:
    browser.open(report)
    path = tmp_path / "report.pdf"
    browser.pdf(path)
    data = path.read_bytes()
    boxes = {
        tuple(round(float(value)) for value in match.split())
        for match in re.findall(rb"/MediaBox\s*\[([^\]]+)\]", data)
    }
    assert boxes == {(0, 0, 595, 842)}
    pages = len(re.findall(rb"/Type\s*/Page\b", data))
    assert 6 <= pages <= 60


SCRIPT = "<script>window.pwned=1</script>"
PICTURE = "<img src=x onerror=window.pwned=2>"


def write_hostile_study(folder: Path) -> None:
    """Two CT scans whose PatientID is a program, drafted, measured by masks, and reported."""
    small = {"rows": 60, "columns": 70, "spacing_mm": (2.5, 2.25)}
    for date in ("20200101", "20200701"):

        def dated(_number: int, image: Any, date: str = date) -> None:
            image.PatientID = image.PatientName = SCRIPT
            image.StudyDate = image.SeriesDate = date
            image.SeriesDescription = PICTURE

        dicom_writer.write_series(folder / "scans" / date, change=dated, **small)
    draft_study(folder / "scans", None, folder / "study")
    table = folder / "study" / "study.csv"
    with table.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["subject"] for row in rows] == [SCRIPT, SCRIPT]  # as the headers say it
    with table.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, [*rows[0], "mask"])
        writer.writeheader()
        for row in rows:
            scan = read_scan(table.parent / row["path"])
            inside = replace(scan, array=scan.array > scan.array.min() + 500)
            write_mask(inside, folder / "study" / f"{row['timepoint']}.nii.gz")
            writer.writerow({**row, "mask": f"{row['timepoint']}.nii.gz"})
    (folder / "study" / "study.yaml").write_text(f"title: '{SCRIPT}{PICTURE}'\n", encoding="utf-8")
    (folder / "study" / "outcomes.csv").write_text(
        f"subject,followup_months,event,cause\n{SCRIPT},60,death,{PICTURE}\n", encoding="utf-8"
    )
    summary = run_study(read_study(folder / "study"), folder / "results")
    assert summary.failures == ()


def test_a_patient_id_that_is_a_program_is_shown_as_text(browser: Browser, tmp_path: Path) -> None:
    write_hostile_study(tmp_path)
    page = build_report(tmp_path / "results")
    assert SCRIPT not in page.read_text(encoding="utf-8")
    browser.open(page)
    assert browser.complaints() == []  # not even stopped by the page's policy: there is no program
    assert browser.ask("typeof window.pwned") == "undefined"
    text = browser.ask("document.body.innerText")
    assert text.count(SCRIPT) > 1
    assert browser.ask("document.title").startswith(SCRIPT)
    assert browser.ask("document.querySelectorAll('img[src=x]').length") == 0
    # as a patient, too, when the table is sorted and filtered by the page's own program
    browser.ask(fill("filter-text", SCRIPT))
    assert browser.ask("typeof window.pwned") == "undefined"

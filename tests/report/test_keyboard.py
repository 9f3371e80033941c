"""The report by keyboard alone: pictures opened large, the table sorted and filtered."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest
from fibrovol.report.page import build_report

from .chromium import Browser, find_chromium
from .cohort import write_directory

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find_chromium() is None, reason="Chromium is not installed"),
    pytest.mark.skipif(sys.platform == "win32", reason="drives Chromium over POSIX descriptors"),
]
CODES = {
    "Enter": 13, "Escape": 27, "ArrowLeft": 37, "ArrowRight": 39, "Tab": 9, "+": 187, "-": 189,
}  # fmt: skip
SLIDES = "document.querySelectorAll('.zoom img[alt^=\"Slide of P01\"]')"
SHOWN = "document.querySelector('dialog.large .stage img')"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_report(write_directory(tmp_path_factory.mktemp("run"), 3, shrink=1))


def press(browser: Browser, key: str) -> None:
    text = {"text": "\r" if key == "Enter" else key} if key in ("Enter", "+", "-") else {}
    common = {"key": key, "windowsVirtualKeyCode": CODES[key]}
    browser.call("Input.dispatchKeyEvent", type="keyDown", **common, **text)
    browser.call("Input.dispatchKeyEvent", type="keyUp", **common)


def size(browser: Browser) -> tuple[float, float]:
    ask = f"(r => [r.width, r.height])({SHOWN}.getBoundingClientRect())"
    wide, high = browser.ask(ask)
    return wide, high


def test_pictures_open_large_at_one_scale_by_keyboard(browser: Browser, report: Path) -> None:
    browser.open(report)
    small = browser.ask(f"{SLIDES}[0].getBoundingClientRect().width")
    browser.ask(f"{SLIDES}[0].closest('button').focus()")
    press(browser, "Enter")
    assert browser.ask(f"{SHOWN}.alt").startswith("Slide of P01")
    assert browser.ask(f"{SHOWN}.decode().then(() => true)")
    wide, high = size(browser)
    assert wide > 1.5 * small
    stage: Any = browser.ask(
        "(s => [s.clientWidth, s.clientHeight])(document.querySelector('.stage'))"
    )
    assert wide <= stage[0]
    assert high <= stage[1]
    press(browser, "ArrowRight")
    assert browser.ask(f"{SHOWN}.alt") == browser.ask(f"{SLIDES}[1].alt")
    assert browser.ask(f"{SHOWN}.decode().then(() => true)")
    narrow, low = size(browser)
    # 600 x 400 pixels of 16 um beside 600 x 700 of 8: twice the magnification, one scale
    assert wide / narrow == pytest.approx(2, rel=0.01)
    assert high / low == pytest.approx(400 * 16 / (700 * 8), rel=0.02)
    press(browser, "+")
    assert size(browser)[0] == pytest.approx(1.5 * narrow, rel=0.01)
    press(browser, "-")
    press(browser, "ArrowLeft")
    assert size(browser)[0] == pytest.approx(wide, rel=0.01)
    assert browser.ask("document.querySelector('dialog .bar p').textContent").endswith("(1 of 2)")
    press(browser, "Escape")
    gone = (
        "new Promise(done => setTimeout(() => done(document.querySelector('dialog') === null), {}))"
    )
    # the browser tells the page of a closed dialog in its own time
    assert any(browser.ask(gone.format(milliseconds)) for milliseconds in (0, 200, 2000, 8000))
    assert browser.ask(f"document.activeElement === {SLIDES}[0].closest('button')")
    assert browser.complaints() == []


@pytest.mark.parametrize("dark", [False, True])
def test_the_large_picture_is_accessible(browser: Browser, report: Path, dark: bool) -> None:
    found = importlib.util.find_spec("axe_core_python")
    if found is None or found.origin is None:
        pytest.skip("axe-core-python is not installed")
    axe = (Path(found.origin).parent / "axe.min.js").read_text(encoding="utf-8")
    browser.dark(dark)
    browser.open(report)
    browser.ask(f"{SLIDES}[0].closest('button').click()")
    browser.ask(axe + "; true")
    violations: Any = browser.ask(
        "axe.run('dialog', {resultTypes: ['violations']})"
        ".then(r => r.violations.map(v => [v.impact, v.id]))"
    )
    browser.dark(False)
    assert [v for v in violations if v[0] in ("serious", "critical")] == []


def test_the_table_sorts_and_filters_by_keyboard(browser: Browser, report: Path) -> None:
    browser.open(report)
    column = (
        "Array.from(document.querySelectorAll('#patients tbody tr:not([hidden])'),"
        " r => r.cells[0].textContent)"
    )
    browser.ask("document.querySelector('#patients thead button').focus()")
    press(browser, "Enter")
    press(browser, "Enter")
    shown = browser.ask(column)
    assert shown == sorted(shown, reverse=True)
    assert len(set(shown)) == 3
    press(browser, "Tab")
    assert browser.ask("document.activeElement.textContent") == "Measure"
    browser.ask("document.getElementById('filter-text').focus()")
    browser.call("Input.insertText", text="p02")
    assert set(browser.ask(column)) == {"P02"}
    assert "rows shown" in browser.ask("document.getElementById('patients-status').textContent")

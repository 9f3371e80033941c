"""What a reader sees and does, in headless Chromium."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from fibrovol.tables import read_table

from ..report.chromium import Chromium
from .folder import SHAPE, VOXEL_ML, bodies, write_results
from .reader import Reader, served, waits

pytestmark = pytest.mark.browser
CASE = "Kim-01_baseline_scan"
SHIFT, CTRL = 8, 2


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return write_results(tmp_path)


@pytest.fixture
def page(chromium: Chromium, results: Path) -> Iterator[Reader]:
    """A reader who has signed in as r1."""
    with served(results) as url, Reader(chromium) as reader:
        reader.size(1280, 900)
        reader.visit(url)
        reader.sign("r1")
        reader.base = url.partition("/?")[0]
        yield reader


def open_scan(page: Reader, case: str = CASE) -> None:
    page.visit(f"{page.base}/scan?case={case}")
    page.until("document.getElementById('live').textContent.includes('mL')")


def row_of(results: Path, case: str = CASE) -> dict[str, Any]:
    return next(r for r in read_table(results, "volumes") if r["case_id"] == case)


def live_ml(page: Reader) -> float:
    return float(
        page.ask("document.getElementById('live').textContent").split()[0].replace(",", "")
    )


def middle(page: Reader, which: str = "axial") -> tuple[float, float]:
    box = page.ask(
        f"(b => [b.left, b.top, b.width, b.height])"
        f"(document.getElementById('{which}').getBoundingClientRect())"
    )
    return box[0] + box[2] / 2, box[1] + box[3] / 2


def colours(which: str) -> str:
    """JavaScript: how many different colours a canvas shows."""
    return (
        f"(() => {{ const c = document.getElementById('{which}');"
        "const d = new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data"
        ".buffer); return new Set(d).size; })()"
    )


def test_brush_save_report_undo_and_the_table_is_as_it_was(page: Reader, results: Path) -> None:
    table = results / "volumes.csv"
    before, bytes_before = row_of(results), table.read_bytes()
    open_scan(page)
    page.until("document.querySelector('#planes.two') && document.querySelector('#other')")
    for which in ("axial", "coronal", "sagittal", "other"):
        assert page.until(f"{colours(which)} > 50"), which
    page.ask("document.getElementById('axial').focus()")
    page.key("b")
    page.ask(
        "(r => { r.value = '0.5'; r.dispatchEvent(new Event('input')); })"
        "(document.getElementById('radius'))"
    )
    x, y = middle(page)
    page.drag((x - 60, y - 130), (x, y - 130), (x + 60, y - 130))
    painted = round((live_ml(page) - before["volume_ml"]) / VOXEL_ML)
    assert painted > 5
    page.key("s", CTRL)
    page.until("document.getElementById('message').textContent.startsWith('Saved')")
    row = row_of(results)
    assert row["volume_ml"] == pytest.approx(before["volume_ml"] + painted * VOXEL_ML, abs=5e-3)
    assert (row["reader"], row["corrected_from_ml"]) == ("r1", before["volume_ml"])
    assert row["spleen_volume_ml"] == before["spleen_volume_ml"]
    assert row["volume_ml_low"] < row["volume_ml"] < row["volume_ml_high"]
    report = results / "report.html"
    assert waits(lambda: report.exists() and "corrected_by_reader" in report.read_text("utf-8"), 90)
    assert "The outline of 1 scan was corrected" in report.read_text("utf-8")
    page.key("z", CTRL)
    page.key("s", CTRL)
    page.until("document.getElementById('message').textContent.includes('measured one again')")
    assert table.read_bytes() == bytes_before
    assert page.complaints() == []


def test_both_visits_scroll_in_step_and_never_leave_the_scan(page: Reader) -> None:
    open_scan(page)
    page.until("document.querySelector('#other')")
    assert "Not registered" in page.ask("document.getElementById('step').textContent")
    page.ask("document.getElementById('axial').focus()")
    for _ in range(SHAPE[2] + 5):
        page.key("ArrowUp")
    assert page.ask("document.getElementById('slice').value") == str(SHAPE[2] - 1)
    first = page.ask("document.getElementById('axial').toDataURL()")
    for _ in range(2 * SHAPE[2]):
        page.key("ArrowDown")
    page.until("document.getElementById('slice').value === '0'")
    assert page.ask("document.getElementById('axial').toDataURL()") != first


def test_verdicts_by_keys_reach_the_table_and_the_worklist(page: Reader, results: Path) -> None:
    open_scan(page)
    page.until("!document.querySelector('button.accept').disabled")
    page.key("a")
    page.until("document.getElementById('message').textContent === 'Accepted.'")
    page.key("n")
    page.until("location.search.includes('month6') && !!document.querySelector('button.reject')")
    page.until("!document.querySelector('button.reject').disabled")
    page.until("document.getElementById('live').textContent.includes('mL')")
    page.key("r")
    page.until("document.getElementById('message').textContent.includes('Say why')")
    assert page.ask("document.activeElement.name") == "reason"
    page.ask(
        "document.activeElement.value = 'motion or other artefacts'; document.activeElement.blur()"
    )
    page.key("r")
    page.until("document.getElementById('message').textContent === 'Rejected.'")
    one, two = read_table(results, "reviews")
    assert (one["case_id"], one["verdict"]) == (CASE, "accept")
    assert one["value"] == pytest.approx(row_of(results)["volume_ml"], rel=1e-5)
    assert (two["verdict"], two["reason"]) == ("reject", "motion or other artefacts")
    report = results / "report.html"
    assert waits(
        lambda: report.exists() and "a reader rejected the scan" in report.read_text("utf-8"), 90
    )
    page.key("w")
    page.until("document.getElementById('left') && document.querySelectorAll('#rows tr').length")
    left = page.ask("document.getElementById('left').textContent")
    assert left == "2 of 5 read, 3 left; 1 failed"
    states = page.ask("[...document.querySelectorAll('td.verdict')].map(td => td.textContent)")
    assert states == ["accepted", "rejected", "unread", "unread", "unread", "unread"]


def test_the_other_visit_that_comes_late_takes_no_message_away(page: Reader) -> None:
    held = "/api/scans/Kim-01_month6_scan/voxels"
    script = page.call(
        "Page.addScriptToEvaluateOnNewDocument",
        source=(
            "const own = fetch; window.fetch = async (...all) => {"
            f"if (String(all[0]) === '{held}') {{ window.asked = true;"
            "await new Promise(done => { window.letGo = done; }); } return own(...all); };"
        ),
    )
    open_scan(page)
    page.until("!document.querySelector('button.accept').disabled && window.asked")
    page.key("a")
    page.until("document.getElementById('message').textContent === 'Accepted.'")
    assert "Loading month6" in page.ask("document.getElementById('step').textContent")
    page.ask("letGo(); true")
    page.until("document.querySelector('#planes.two')")
    assert "Not registered" in page.ask("document.getElementById('step').textContent")
    assert page.ask("document.getElementById('message').textContent") == "Accepted."
    page.call("Page.removeScriptToEvaluateOnNewDocument", identifier=script["identifier"])


def test_no_verdict_while_the_outline_did_not_load_or_is_not_saved(
    page: Reader, results: Path
) -> None:
    (results / "masks" / f"{CASE}_liver.nii.gz").rename(results / "gone.nii.gz")
    page.visit(f"{page.base}/scan?case={CASE}")
    page.until("document.getElementById('message').className === 'error'")
    assert page.ask("document.querySelector('button.accept').disabled")
    assert page.ask("document.querySelector('button.reject').disabled")
    assert page.ask("document.getElementById('tools').hidden")
    (results / "gone.nii.gz").rename(results / "masks" / f"{CASE}_liver.nii.gz")
    open_scan(page)
    page.until("!document.querySelector('button.accept').disabled")
    page.key("e")
    page.drag(middle(page), middle(page))
    page.drag((middle(page)[0] - 90, middle(page)[1] - 20), middle(page))
    page.until("document.querySelector('button.accept').disabled")
    page.key("a")
    assert not (results / "reviews.csv").exists()


def test_a_closed_tab_loses_nothing_the_draft_is_offered(page: Reader, results: Path) -> None:
    open_scan(page)
    loaded = live_ml(page)
    page.key("e")
    x, y = middle(page)
    page.drag((x - 120, y - 20), (x - 60, y))
    changed = live_ml(page)
    assert changed != loaded
    page.until("document.getElementById('draft').textContent === 'Draft kept.'")
    page.visit(f"{page.base}/scan?case=Kim-02_baseline_scan")
    page.until("document.getElementById('live').textContent.includes('mL')")
    assert page.ask("document.getElementById('offer').childElementCount") == 0
    open_scan(page)
    page.until("document.getElementById('restore')")
    assert live_ml(page) == loaded
    page.ask("document.getElementById('restore').click()")
    assert live_ml(page) == changed
    page.key("s", CTRL)
    page.until("document.getElementById('message').textContent.startsWith('Saved')")
    assert row_of(results)["volume_ml"] == pytest.approx(changed, abs=0.06)
    assert list((results / ".fibrovol" / "drafts").iterdir()) == []


def test_a_dab_grows_to_the_edge_and_one_undo_takes_it_back(page: Reader, results: Path) -> None:
    open_scan(page, "Kim-03_month6_scan")
    page.ask("document.getElementById('axial').focus()")
    page.key("g")
    page.until("document.getElementById('message').textContent.includes('Paint a part')")
    page.key("b")
    page.ask(
        "(r => { r.value = '45'; r.dispatchEvent(new Event('input')); })"
        "(document.getElementById('radius'))"
    )
    for _ in range(7):  # from the middle of the body to that of the liver
        page.key("ArrowLeft", SHIFT)
    page.key("Enter")
    dab = live_ml(page)
    page.key("g")
    page.until("document.getElementById('message').textContent.includes('Grown to the edge')")
    truth = bodies(1.14, shift=1)[1][:, :, SHAPE[2] // 2].sum() * VOXEL_ML
    assert dab < 0.5 * truth
    assert live_ml(page) == pytest.approx(truth, rel=0.15)
    page.key("z", CTRL)
    assert live_ml(page) == dab


def test_a_failed_case_is_drawn_from_nothing_by_keys_alone(page: Reader, results: Path) -> None:
    open_scan(page, "Kim-03_month6_scan")
    assert "no liver in" in page.ask("document.getElementById('error').textContent")
    page.ask("document.getElementById('axial').focus()")
    page.key("b")
    for _ in range(52):
        page.key("]")
    for slices in (0, 4):
        for _ in range(slices):
            page.key("ArrowUp")
        page.key("ArrowLeft", SHIFT)
        page.key("Enter")
    page.key("i")
    page.until("document.getElementById('message').textContent.includes('3 slices drawn')")
    page.key("s", CTRL)
    page.until("document.getElementById('message').textContent.startsWith('Saved')")
    row = row_of(results, "Kim-03_month6_scan")
    assert row["volume_ml"] == pytest.approx(5 * 3.1416 * 60**2 * 8 / 1000, rel=0.05)
    assert row["engine"] == "drawn by a reader"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_serious_and_nothing_leaves_this_machine(
    page: Reader, dark: bool
) -> None:
    page.dark(dark)
    for where in ("/", f"/scan?case={CASE}"):
        page.visit(page.base + where)
        page.until("document.querySelectorAll('#rows tr, #verdict-form').length > 0")
        requests = page.requests()
        assert page.serious_violations() == []
        assert {urlsplit(url).hostname for url in requests if not url.startswith("data:")} == {
            "127.0.0.1"
        }


def test_the_key_is_gone_from_the_address_and_dropping_a_file_does_nothing(page: Reader) -> None:
    assert page.ask("location.href") == f"{page.base}/"
    assert not re.search("token", page.ask("document.documentElement.outerHTML"))
    open_scan(page)
    prevented = page.ask(
        "(e => { window.dispatchEvent(e); return e.defaultPrevented; })"
        "(new Event('drop', {cancelable: true}))"
    )
    assert prevented is True

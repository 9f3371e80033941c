"""Photograph the reader's page on a phantom study: each view, at two sizes, light and dark.

    .venv/bin/python scripts/page_pictures.py FOLDER [--docs]

Draws two patients with two CTs and two slides each, measures them, opens the page in headless
Chromium and writes 13 PNGs into FOLDER, to be looked at. ``--docs`` also renews the pictures of
docs/how-to/review.md.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import cv2
from fibrovol.batch.runner import run_study
from fibrovol.files import write_text
from fibrovol.intake.study import read_study
from fibrovol.phantoms.scans import draw_anatomy, write_ct_series, write_truth_mask
from fibrovol.phantoms.slides import write_slide
from fibrovol.tests.report.chromium import Chromium, find_chromium
from fibrovol.tests.review.reader import Reader, served_apart
from PIL import Image

CTRL = 2
SIZES = ((1280, 900), (1920, 1080))
DOCS = Path(__file__).resolve().parents[1] / "docs" / "how-to"
_READY = "!document.querySelector('button.accept').disabled"
_BOTH = "document.getElementById('planes').classList.contains('two')"


def write_study(folder: Path) -> Path:
    """Two patients with two visits, scans with their true masks and slides; the results folder."""
    lines = ["subject,timepoint,kind,path,mask,engine,stain"]
    for patient in (1, 2):
        for number, visit in enumerate(("baseline", "month6")):
            stem = f"P{patient}-{visit}"
            anatomy = draw_anatomy(seed=patient)
            truth = write_ct_series(folder / stem, anatomy, seed=10 * patient + number)
            write_truth_mask(truth, folder / f"{stem}-mask.nii.gz")
            lines.append(f"P{patient},{visit},scan,{stem},{stem}-mask.nii.gz,existing_mask,")
            write_slide(
                folder / f"{stem}.tif",
                caf_percent=18.0 - 6 * number,
                seed=10 * patient + number,
                size_px=(3000, 1800),
            )
            lines.append(f"P{patient},{visit},slide,{stem}.tif,,,psr")
    write_text(folder / "study.csv", "\n".join(lines) + "\n")
    run_study(read_study(folder / "study.csv"), folder / "results")
    return folder / "results"


class Photographer:
    """Opens views of the page and keeps a picture of each.

    Args:
        page: a reader who has signed in.
        folder: where the pictures go.
    """

    def __init__(self, page: Reader, base: str, folder: Path) -> None:
        self._page, self._base, self._folder = page, base, folder

    def worklist(self, name: str) -> None:
        """Every case, with its picture loaded."""
        self._page.visit(f"{self._base}/")
        self._page.until("document.querySelectorAll('#rows tr').length > 0")
        self._page.until("[...document.images].slice(0, 2).every(i => i.complete)")
        self._keep(name)

    def scan(self, case: str, name: str, *, both: bool = True) -> None:
        """A scan, with its other visit unless readers are blinded."""
        self._page.visit(f"{self._base}/scan?case={case}")
        self._page.until(_READY)
        if both:
            self._page.until(_BOTH)
        self._keep(name)

    def slide(self, case: str, name: str) -> None:
        """Both visits' slides at one scale, with an area drawn round the middle."""
        page = self._page
        page.visit(f"{self._base}/slide?case={case}")
        page.until(_READY)
        page.ask("document.querySelector('#visits button')?.click(); true")
        page.until("document.querySelectorAll('#slide-other canvas').length > 0")
        time.sleep(3)  # the picture glides to its place, and tiles of the masks come last
        self._keep(name)

    def correction(self, case: str, name: str) -> None:
        """A scan with a stroke that is not saved."""
        page = self._page
        page.visit(f"{self._base}/scan?case={case}")
        page.until(_READY)
        page.until(_BOTH)
        page.key("b")
        left, top, wide, high = page.ask(
            "(b => [b.left, b.top, b.width, b.height])"
            "(document.getElementById('axial').getBoundingClientRect())"
        )
        x, y = left + wide / 2 - 0.27 * high, top + 0.45 * high  # the liver's inner border
        page.drag((x, y), (x + 0.07 * high, y + 0.05 * high), (x + 0.13 * high, y + 0.05 * high))
        page.until("!document.getElementById('save').disabled")
        self._keep(name)
        page.key("z", CTRL)

    def _keep(self, name: str) -> None:
        self._page.shot(self._folder / f"{name}.png")


def take(results: Path, folder: Path) -> None:
    """Write the 13 pictures."""
    program = find_chromium()
    if program is None:
        raise SystemExit("No Chromium on this machine.")
    scan, slide = "P1_baseline_scan", "P1_baseline_slide"
    for blind in (False, True):
        options = ("--blind", "--seed", "3") if blind else ()
        with (
            served_apart(results, *options) as url,
            Chromium(program) as chromium,
            Reader(chromium) as page,
        ):
            base = url.partition("/?")[0]
            page.visit(url)
            page.sign("r1")
            views = Photographer(page, base, folder)
            for width, height in SIZES:
                page.size(width, height)
                if blind:
                    page.visit(f"{base}/")
                    page.until("document.querySelectorAll('#rows tr').length > 0")
                    case = page.ask(
                        "[...document.querySelectorAll('#rows a')].find("
                        "a => a.href.includes('/scan?')).href.split('case=')[1]"
                    )
                    views.scan(case, f"blinded-{width}", both=False)
                    continue
                views.worklist(f"worklist-{width}")
                views.scan(scan, f"scan-{width}")
                views.slide(slide, f"slide-{width}")
                views.correction(scan, f"correction-{width}")
            if not blind:
                page.size(*SIZES[0])
                page.dark(True)
                views.worklist("worklist-dark")
                views.scan(scan, "scan-dark")
                views.slide(slide, "slide-dark")


def renew_docs(folder: Path) -> None:
    """Pictures of the documentation from those of 1,280 pixels, a little smaller."""
    for name in ("worklist", "scan", "slide", "correction"):
        picture = cv2.imread(str(folder / f"{name}-{SIZES[0][0]}.png"))
        small = cv2.resize(picture, None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA)
        few = Image.fromarray(cv2.cvtColor(small, cv2.COLOR_BGR2RGB)).quantize(96)
        few.save(DOCS / f"review-{name}.png", optimize=True)


def main() -> None:
    """Draw, measure, photograph."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--docs", action="store_true", help="renew the documentation's pictures")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fibrovol-pictures-") as name:
        take(write_study(Path(name)), arguments.folder)
    if arguments.docs:
        renew_docs(arguments.folder)


if __name__ == "__main__":
    main()

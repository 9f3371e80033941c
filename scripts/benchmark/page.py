"""How soon the reader's page shows a scan and a slide, and what memory it takes.

    .venv/bin/python scripts/benchmark/page.py [--slices 280 1500] [--slide 20480]

Draws a 512 x 512 CT as .nii.gz with a mask and a JPEG slide, measures them, and opens them in
headless Chromium: seconds by the clock from the click until the first picture, and until a verdict
can be given. With them, how long it takes to unpack the file alone at that time: the load of the
machine matters. One JSON line each.
"""

from __future__ import annotations

import argparse
import gzip
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import nibabel
import numpy as np
import psutil
import tifffile
from fibrovol.batch.runner import run_study
from fibrovol.intake.study import read_study
from fibrovol.tests.report.chromium import Chromium, find_chromium
from fibrovol.tests.review.reader import Reader, served_apart

SIZE = 512
HEADER = "subject,timepoint,kind,path,mask,engine,stain,mpp_um\n"


def write_ct(folder: Path, slices: int) -> str:
    """A noisy body of a given length and the mask of its liver; the study's line."""
    rng, (i, j) = np.random.default_rng(0), np.indices((SIZE, SIZE))
    body = ((i - 256) / 200) ** 2 + ((j - 256) / 150) ** 2 <= 1
    noise = rng.normal(0, 12, (SIZE, SIZE, 16))
    hu = np.empty((SIZE, SIZE, slices), np.int16, order="F")
    mask = np.zeros(hu.shape, np.uint8, order="F")
    for k in range(slices):
        here = np.roll(noise[:, :, k % 16], 37 * k, axis=0) * np.where(body, 1, 0.3)
        hu[:, :, k] = np.where(body, 40, -1000) + here
        reach = 1 - ((k - slices / 2) / (slices / 3)) ** 2
        mask[:, :, k] = ((i - 330) / 90) ** 2 + ((j - 270) / 80) ** 2 <= reach
    for name, array in (("scan", hu), ("mask", mask)):
        image = nibabel.Nifti1Image(array, np.diag([0.75, 0.75, 300 / slices, 1.0]))
        image.header.set_xyzt_units("mm")
        nibabel.save(image, folder / f"{name}{slices}.nii.gz")
    return f"S{slices},v1,scan,scan{slices}.nii.gz,mask{slices}.nii.gz,existing_mask,,\n"


def write_slide(folder: Path, edge: int) -> str:
    """Tissue-coloured tiles, JPEG, with a pyramid; the study's line."""
    rng = np.random.default_rng(0)
    block = cv2.resize(rng.integers(120, 240, (64, 64, 3), np.uint8), (1024, 1024))
    block[:, :, 1] //= 2
    whole = np.tile(block, (edge // 1024, edge // 1024, 1))
    whole[: edge // 8] = 245
    options: dict[str, Any] = {"tile": (512, 512), "compression": "jpeg", "photometric": "rgb"}
    with tifffile.TiffWriter(folder / "slide.tif", bigtiff=True) as tiff:
        for number in range(4):
            level = np.ascontiguousarray(whole[:: 2**number, :: 2**number])
            tiff.write(
                level,
                **options,
                subifds=3 if not number else None,
                subfiletype=1 if number else 0,
                resolution=(20000 / 2**number, 20000 / 2**number),
                resolutionunit="CENTIMETER",
            )
    return "P1,v1,slide,slide.tif,,,psr,0.5\n"


def seconds_of(work: Callable[[], object]) -> float:
    """By the clock."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def peak_mb(program: str) -> float:
    """The largest resident memory of any of our children of a name, MB."""
    found = [p for p in psutil.Process().children(recursive=True) if program in p.name().lower()]
    return max((p.memory_info().rss / 1e6 for p in found), default=0.0)


def open_scan(page: Reader, base: str, slices: int, folder: Path) -> dict[str, Any]:
    """Seconds until a scan is shown and can be judged."""
    packed = (folder / f"scan{slices}.nii.gz").read_bytes()
    alone = seconds_of(lambda: gzip.decompress(packed))
    started = time.perf_counter()
    page.visit(f"{base}/scan?case=S{slices}_v1_scan")
    page.until(
        "(c => c && new Set(new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width,"
        "c.height).data.buffer)).size > 20)(document.getElementById('axial'))"
    )
    first = time.perf_counter() - started
    page.until("!document.querySelector('button.accept').disabled")
    return {
        "slices": slices,
        "first_s": round(first, 2),
        "whole_s": round(time.perf_counter() - started, 2),
        "unpack_alone_s": round(alone, 2),
        "server_mb": round(peak_mb("python")),
        "browser_mb": round(peak_mb("chrom")),
    }


def open_slide(page: Reader, base: str, edge: int) -> dict[str, Any]:
    """Seconds until a slide is seen, and of its tiles while it is panned."""
    started = time.perf_counter()
    page.visit(f"{base}/slide?case=P1_v1_slide")
    page.until(
        "performance.getEntriesByType('resource').filter(e => e.name.includes('/picture/')"
        " && e.responseEnd > 0).length > 0 && document.querySelector('#slide canvas')"
    )
    first = time.perf_counter() - started
    page.until("!document.querySelector('button.accept').disabled")
    page.ask("performance.setResourceTimingBufferSize(5000); true")
    for key in "+++++":
        page.key(key)
    for _ in range(8):
        page.key("ArrowRight")
        time.sleep(0.3)  # as a reader looks
    spans = page.ask(
        "JSON.stringify(performance.getEntriesByType('resource').filter("
        "e => /\\/(picture|collagen)\\//.test(e.name)).map(e => e.responseEnd - e.requestStart))"
    )
    tiles = json.loads(spans)
    return {
        "edge_px": edge,
        "first_s": round(first, 2),
        "tiles": len(tiles),
        "tile_median_ms": round(float(np.median(tiles)), 1),
        "tile_95_ms": round(float(np.percentile(tiles, 95)), 1),
    }


@contextmanager
def opened(results: Path, program: str) -> Iterator[tuple[str, Reader]]:
    """A server and a browser in processes of their own, with nothing in their memory yet."""
    with served_apart(results) as url, Chromium(program) as chromium, Reader(chromium) as page:
        yield url, page


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, nargs="*", default=[280])
    parser.add_argument("--slide", type=int, default=20480, help="edge in pixels; 0 leaves it out")
    arguments = parser.parse_args()
    program = find_chromium()
    if program is None:
        raise SystemExit("No Chromium on this machine.")
    with tempfile.TemporaryDirectory(prefix="fibrovol-page-") as name:
        folder = Path(name)
        lines = [write_ct(folder, slices) for slices in arguments.slices]
        if arguments.slide:
            lines.append(write_slide(folder, arguments.slide))
        (folder / "study.csv").write_text(HEADER + "".join(lines), encoding="utf-8")
        run_study(read_study(folder / "study.csv"), folder / "results")
        for slices in arguments.slices:
            with opened(folder / "results", program) as (url, page):
                page.size(1280, 900)
                page.visit(url)
                page.sign("r1")
                base = url.partition("/?")[0]
                print(json.dumps(open_scan(page, base, slices, folder)), flush=True)
        if arguments.slide:
            with opened(folder / "results", program) as (url, page):
                page.size(1280, 900)
                page.visit(url)
                page.sign("r1")
                base = url.partition("/?")[0]
                print(json.dumps(open_slide(page, base, arguments.slide)), flush=True)


if __name__ == "__main__":
    main()

"""A study of a thousand small scans and a thousand small slides: made, measured, and its cost told.

    .venv/bin/python scripts/benchmark/thousand.py make FOLDER [--pairs 1000]
    .venv/bin/python scripts/benchmark/thousand.py run FOLDER/study.csv RESULTS --workers 2
    .venv/bin/python scripts/benchmark/thousand.py report RESULTS

``make`` draws 25 bodies and gives each scan its own noise and slices; every slide is drawn anew.
study.csv gives the livers as masks, which is quick and shows what the run itself costs; network.csv
has the shipped network find them. ``run`` does what ``fibrovol run`` does and notes the driver's
processor time and memory on the way, its children's apart. A stopped run continues where it was.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
from fibrovol.batch.executor import make_executor
from fibrovol.batch.progress import Progress
from fibrovol.batch.runner import run_study
from fibrovol.intake.study import read_study
from fibrovol.settings import load_settings

SPACING_MM = (6.0, 6.0, 12.0)
SLIDE_PX, SLIDE_MPP_UM = (600, 400), 2.0
BODIES = 25


def make(folder: Path, pairs: int) -> None:
    """Write the study: two visits a subject, a scan and a slide each. Goes on where it stopped."""
    # late: the driver's memory is measured, and it needs none of these
    import nibabel as nib  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415
    from fibrovol.imaging.readers import read_scan  # noqa: PLC0415
    from fibrovol.phantoms.anatomy import draw_anatomy  # noqa: PLC0415
    from fibrovol.phantoms.contrasts import CT_PORTAL_VENOUS  # noqa: PLC0415
    from fibrovol.phantoms.dicom_series import SeriesIdentity, write_series  # noqa: PLC0415
    from fibrovol.phantoms.scans import render_scan  # noqa: PLC0415
    from fibrovol.phantoms.slides import write_slide  # noqa: PLC0415

    for name in ("scans", "slides", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    bodies = []
    for seed in range(min(BODIES, pairs)):
        body = render_scan(draw_anatomy(seed), CT_PORTAL_VENOUS, spacing_mm=SPACING_MM, seed=0)
        bodies.append(body)
    lines = ["subject,timepoint,kind,path,stain,mask"]
    for number in range(pairs):
        subject, visit = f"S{number // 2 + 1:04d}", ("baseline", "month6")[number % 2]
        body, name = bodies[number % len(bodies)], f"{subject}_{visit}"
        scan, slide = folder / "scans" / name, folder / "slides" / f"{name}.tif"
        mask = folder / "masks" / f"body{number % len(bodies)}.nii.gz"
        if not slide.exists():
            noise = np.random.default_rng(number).normal(0.0, 4.0, body.image.shape)
            identity = SeriesIdentity(subject, "2017-01-01", number, number, "small phantom")
            noisy = (body.image + noise).astype(np.float32)
            write_series(scan, noisy, body.grid, "CT", identity)
            percent = 8.0 + number % 20
            write_slide(
                slide, caf_percent=percent, seed=number, size_px=SLIDE_PX, mpp_um=SLIDE_MPP_UM
            )
        if number < len(bodies):
            liver = (body.liver_fraction >= 0.5).transpose(2, 1, 0).astype(np.uint8)
            nib.save(nib.Nifti1Image(liver, read_scan(scan).affine), mask)
        lines.append(f"{subject},{visit},scan,scans/{name},,masks/{mask.name}")
        lines.append(f"{subject},{visit},slide,slides/{name}.tif,psr,")
    text = "\n".join(lines) + "\n"
    (folder / "study.csv").write_text(text, encoding="utf-8")
    # the same without masks: the network finds the livers
    plain = "\n".join(line.rpartition(",")[0] for line in lines) + "\n"
    (folder / "network.csv").write_text(plain, encoding="utf-8")


def _family_seconds() -> Iterator[float]:
    """Processor seconds of the processes that measure, of those that ended, too."""
    ended = psutil.Process().cpu_times()
    yield ended.children_user + ended.children_system
    for child in psutil.Process().children(recursive=True):
        try:
            times = child.cpu_times()
        except psutil.Error:
            continue
        yield times.user + times.system


def run(source: Path, results: Path, workers: int) -> None:
    """Measure the study; a line of JSON at 100 cases and then every 250."""

    study = read_study(source)
    settings = load_settings({"run": {"workers": workers}})
    me, started, before = psutil.Process(), time.monotonic(), time.process_time()

    def note(event: Progress) -> None:
        fresh = event.done - event.n_reused
        if event.event in ("start", "reused") or (
            fresh not in (1, 100) and event.done % 250 and event.event != "end"
        ):
            return
        driver = time.process_time() - before
        line = {
            "done": event.done,
            "measured_now": fresh,
            "failed": event.n_failed,
            "wall_seconds": round(time.monotonic() - started, 1),
            "driver_cpu_ms_a_case": round(1000 * driver / max(1, fresh), 2),
            "measuring_cpu_seconds": round(sum(_family_seconds()), 1),
            "driver_mib": round(me.memory_info().rss / 2**20, 1),
            "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        }
        print(json.dumps(line), flush=True)

    executor = make_executor(settings.run)
    summary = run_study(study, results, settings=settings, executor=executor, progress=note)
    print(f"{summary.n_measured} of {summary.n_cases} measured in {summary.seconds:.0f} s")


def report(results: Path) -> None:
    """Build the report and say what it took."""
    from fibrovol.report.page import build_report  # noqa: PLC0415

    before = time.process_time()
    path = build_report(results)
    peak = psutil.Process().memory_info().rss / 2**20
    seconds = time.process_time() - before
    size = path.stat().st_size / 1e6
    print(f"{path}: {size:.1f} MB, {seconds:.1f} s of processor time, {peak:.0f} MiB at the end")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    tasks = parser.add_subparsers(dest="task", required=True)
    making = tasks.add_parser("make")
    making.add_argument("folder", type=Path)
    making.add_argument("--pairs", type=int, default=1000)
    running = tasks.add_parser("run")
    running.add_argument("source", type=Path, help="study.csv or network.csv")
    running.add_argument("results", type=Path)
    running.add_argument("--workers", type=int, default=2)
    tasks.add_parser("report").add_argument("results", type=Path)
    words = parser.parse_args()
    if words.task == "make":
        make(words.folder, words.pairs)
    elif words.task == "run":
        run(words.source, words.results, words.workers)
    else:
        report(words.results)
    sys.stdout.flush()


if __name__ == "__main__":
    main()

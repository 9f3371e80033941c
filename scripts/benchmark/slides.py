"""Time and memory of measuring a whole slide, and of merely decoding its tiles.

    python scripts/benchmark/slides.py [--sizes 10240 20480] [--threads 2] [--mpp 0.5] [--step 2]
        [--tile FILE] [--liverquant PYTHON]

A JPEG pyramid (256-pixel tiles, 4:2:0) with the texture of a real picrosirius red tile where it
is next to the checkout, of a phantom slide elsewhere. Each level is ``--step`` times smaller along
a side than the one before: 2, or 4 as in most Aperio files. In one run on one machine, each with
the same number of threads: decoding every tile of the finest level with imagecodecs, and every tile
of the level that Fibrovol reads; and the whole job without polygons (measuring; mask pyramid and
both pictures written) in a process of its own, so that the peak memory is its own; and
scikit-image's ``separate_stains`` on a part of the slide. Seconds are of the clock and of the
processor: on a machine with other work only the second kind can be compared. Linux only.

Which level Fibrovol reads is told: the coarsest that is not coarser than 1 um. With pixels of
0.5 um and levels of halves that is the second one, a quarter of the finest level's pixels, and the
finest is not decoded at all. With ``--step 4`` it is the finest, decoded at half its size; with
pixels of 1 um it is the finest as it is.

``--liverquant`` names the Python of an environment of its own with liverquant 0.0.4, matplotlib,
scikit-learn and openslide-bin; Fibrovol does not need them. Its ``segment_fibrosis_wsi`` (tissue,
collagen outlines, the proportionate area) is then run in the same run with as many processes
as the others have threads, on a slide of 8,192 pixels of the same texture and levels as it takes
long: once on the finest level, and once on pixels of 1 um, which Fibrovol classifies as well.
Rates are megapixels of the finest level a second. Without the option only the rate of 8.1 MPix/s
that was measured earlier is compared with.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import tifffile
from fibrovol.phantoms.slides import render_slide
from skimage.color import hed_from_rgb, separate_stains

ROOT = Path(__file__).resolve().parents[2]
TILE_PX = 256
#: Levels of a pyramid by its step, and of one that OpenSlide reads, down to about 1/32.
LEVELS, FLAT_LEVELS = {2: 4, 4: 3}, {2: 6, 4: 4}
LIVERQUANT_MPIX_S, LIVERQUANT_PX = 8.1, 8192

JOB = """
import json, sys, tempfile, time
from pathlib import Path
from fibrovol.histology.measure import measure_collagen, write_outputs
from fibrovol.histology.settings import Tuning
tuning = Tuning(threads=int(sys.argv[2]))
start, cpu = time.perf_counter(), time.process_time()
measured = measure_collagen(sys.argv[1], stain="psr", tuning=tuning)
with tempfile.TemporaryDirectory() as folder:
    write_outputs(measured, folder, "slide", polygons=False)
seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
# not getrusage's peak, which begins with that of the process that started this one
status = Path("/proc/self/status").read_text(encoding="utf-8")
peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
answer = {"seconds": seconds, "cpu": cpu, "peak_mb": peak, "caf_percent": measured.caf_percent}
answer["read"] = measured.parameters["level_read"]
print(json.dumps(answer))
"""

LIVERQUANT_JOB = """
import json, os, sys, time
import openslide
from liverquant import segment_fibrosis_wsi
if __name__ == "__main__":
    slide = openslide.OpenSlide(sys.argv[1])
    def processor():
        times = os.times()
        return times.user + times.system + times.children_user + times.children_system
    start, cpu = time.perf_counter(), processor()
    cpa, _, _ = segment_fibrosis_wsi(
        slide, "PSR", downsample=int(sys.argv[3]), cores_num=int(sys.argv[2])
    )
    answer = {"seconds": time.perf_counter() - start, "cpu": processor() - cpu, "cpa": float(cpa)}
    print(json.dumps(answer))
"""


def texture(path: Path) -> np.ndarray:
    """A field of 2,048 pixels to repeat."""
    if path.is_file():
        return np.ascontiguousarray(cv2.imread(str(path))[:2048, :2048, ::-1])
    return render_slide(stain="psr", caf_percent=15, seed=0, size_px=(2048, 2048)).rgb


def tiles(field: np.ndarray, size: int, step: int) -> Iterator[np.ndarray]:
    small = cv2.resize(field, None, fx=1 / step, fy=1 / step, interpolation=cv2.INTER_AREA)
    period = small.shape[0]
    for top in range(0, size // step, TILE_PX):
        for left in range(0, size // step, TILE_PX):
            rows = np.arange(top, top + TILE_PX) % period
            columns = np.arange(left, left + TILE_PX) % period
            yield np.ascontiguousarray(small[np.ix_(rows, columns)])


def write_pyramid(
    path: Path, field: np.ndarray, size: int, mpp_um: float, *, step: int, flat: bool = False
) -> None:
    """Write the slide; ``flat`` as OpenSlide reads a pyramid, page after page."""
    levels = (FLAT_LEVELS if flat else LEVELS)[step]
    with tifffile.TiffWriter(path, bigtiff=True) as tiff:
        for level in range(levels):
            times = step**level
            scale = 1e4 / (mpp_um * times)
            tiff.write(
                tiles(field, size, times),
                shape=(size // times, size // times, 3),
                dtype=np.uint8,
                tile=(TILE_PX, TILE_PX),
                compression="jpeg",
                compressionargs={"level": 85},
                photometric="rgb",
                subsampling=(2, 2),
                resolution=(scale, scale),
                resolutionunit="CENTIMETER",
                subifds=levels - 1 if level == 0 and not flat else None,
                subfiletype=1 if level else 0,
                metadata=None if flat else {},
            )


def decode_seconds(path: Path, threads: int, level: int = 0) -> tuple[float, float]:
    """Clock and processor seconds of reading and decoding every tile of a level, nothing kept."""
    with tifffile.TiffFile(path) as tiff:
        page = tiff.series[0].levels[level].pages[0]
        start, cpu = time.perf_counter(), time.process_time()
        with ThreadPoolExecutor(threads) as pool:
            segments = tiff.filehandle.read_segments(page.dataoffsets, page.databytecounts)
            for _ in pool.map(lambda s: page.decode(*s, jpegtables=page.jpegtables)[1], segments):
                pass
        return time.perf_counter() - start, time.process_time() - cpu


def separate_stains_seconds(field: np.ndarray) -> float:
    """Processor seconds a megapixel of scikit-image's stain separation and a threshold."""
    seconds = []
    for _ in range(6):
        cpu = time.process_time()
        _ = separate_stains(field, hed_from_rgb)[..., 1] > 0.1
        seconds.append(time.process_time() - cpu)
    # the first use loads libraries and takes up to eight times as long
    return float(np.median(seconds[1:])) / (field.shape[0] * field.shape[1] / 1e6)


def liverquant_rates(
    python: Path, folder: Path, field: np.ndarray, mpp_um: float, threads: int, pyramid: int
) -> dict[str, tuple[float, float]]:
    """liverquant's megapixels a second, by the clock and by the processor, at two resolutions."""
    path, script = folder / "liverquant.tif", folder / "liverquant_job.py"
    write_pyramid(path, field, LIVERQUANT_PX, mpp_um, step=pyramid, flat=True)
    script.write_text(LIVERQUANT_JOB, encoding="utf-8")
    rates = {}
    for name, step in (("finest level", 1), ("pixels of 1 um", max(1, round(1.0 / mpp_um)))):
        run = subprocess.run(
            [str(python), str(script), str(path), str(threads), str(step)],
            capture_output=True,
            text=True,
            check=True,
        )
        found = json.loads(run.stdout.splitlines()[-1])
        mega = LIVERQUANT_PX**2 / 1e6
        rates[name] = mega / found["seconds"], mega / found["cpu"]
        print(
            f"liverquant, {name}: {rates[name][0]:.1f} MPix/s by the clock, "
            f"{rates[name][1]:.1f} by the processor; CPA {found['cpa']:.2f} %",
            flush=True,
        )
    path.unlink()
    return rates


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10240, 20480])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--mpp", type=float, default=0.5, help="um per pixel of level 0")
    parser.add_argument("--step", type=int, choices=sorted(LEVELS), default=2, help="of the levels")
    default = ROOT.parent / "shared/data/slides/liver/psr_human_liver_tile.jpg"
    parser.add_argument("--tile", type=Path, default=default)
    parser.add_argument("--liverquant", type=Path, help="a Python that has liverquant")
    options = parser.parse_args()
    field = texture(options.tile)
    separate = separate_stains_seconds(field)
    print(f"scikit-image separate_stains: {1 / separate:.1f} MPix a processor second")
    with tempfile.TemporaryDirectory() as folder:
        rivals = {}
        if options.liverquant is not None:
            rivals = liverquant_rates(
                options.liverquant,
                Path(folder),
                field,
                options.mpp,
                options.threads,
                options.step,
            )
        for size in options.sizes:
            path = Path(folder) / f"{size}.tif"
            write_pyramid(path, field, size, options.mpp, step=options.step)
            mega = size * size / 1e6
            decode, decode_cpu = decode_seconds(path, options.threads)
            run = subprocess.run(
                [sys.executable, "-c", JOB, str(path), str(options.threads)],
                capture_output=True,
                text=True,
                check=True,
            )
            job = json.loads(run.stdout)
            kept = job["read"]["downsample"] / job["read"]["reduction"]  # of the level in the file
            level = round(math.log(kept, options.step))
            read, read_cpu = decode_seconds(path, options.threads, level)
            print(
                f"{size} px at {options.mpp:g} um, levels in steps of {options.step}: decoding the "
                f"finest level {decode:.2f} s, processor {decode_cpu:.2f} s; the level that is "
                f"read, {options.mpp * kept:g} um (at 1/{job['read']['reduction']} of its size), "
                f"whole tiles {read:.2f} s, processor {read_cpu:.2f} s; whole job "
                f"{job['seconds']:.2f} s, processor {job['cpu']:.2f} s",
                flush=True,
            )
            print(
                f"  {100 * decode / job['seconds']:.0f} % of decoding the finest level by the "
                f"clock, {100 * decode_cpu / job['cpu']:.0f} % by the processor; "
                f"{separate * mega / job['cpu']:.1f} x separate_stains of the finest level, "
                f"{(separate * mega + decode_cpu) / job['cpu']:.1f} x with its decoding; "
                f"{mega / job['seconds'] / LIVERQUANT_MPIX_S:.0f} x liverquant's earlier rate; "
                f"peak {job['peak_mb']:.0f} MB; fraction {job['caf_percent']:.2f} %",
                flush=True,
            )
            for name, (clock, processor) in rivals.items():
                print(
                    f"  beside liverquant, {name}: {mega / job['seconds'] / clock:.1f} x by the "
                    f"clock, {mega / job['cpu'] / processor:.1f} x by the processor",
                    flush=True,
                )
            path.unlink()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""Seconds and megabytes of measuring a whole slide, beside the bare decoding of its tiles.

    python scripts/benchmark/slides.py [--sizes 10240 20480] [--threads 2] [--tile FILE]

A JPEG pyramid (0.5 um per pixel, 256-pixel tiles, 4:2:0) with the texture of a real picrosirius red
tile where it lies beside the checkout, of a phantom slide elsewhere. In one run on one machine:
decoding every tile of level 0 with imagecodecs and as many threads, the whole job without polygons
in a process of its own (so that the peak memory is its own), and scikit-image's ``separate_stains``
on a part of the slide. liverquant is not run here; its published rate is 8.1 MPix/s.
"""

from __future__ import annotations

import argparse
import json
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
TILE_PX, LEVELS, MPP_UM = 256, 4, 0.5
LIVERQUANT_MPIX_S = 8.1

JOB = """
import json, resource, sys, time
from dataclasses import replace
from fibrovol.histology.measure import measure_collagen
from fibrovol.histology.settings import default_settings
settings = replace(default_settings(), threads=int(sys.argv[2]))
start = time.perf_counter()
measured = measure_collagen(sys.argv[1], stain="psr", settings=settings)
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"seconds": seconds, "peak_mb": peak, "caf_percent": measured.caf_percent}))
"""


def texture(path: Path) -> np.ndarray:
    """A field of 2,048 pixels to repeat."""
    if path.is_file():
        return np.ascontiguousarray(cv2.imread(str(path))[:2048, :2048, ::-1])
    return render_slide(stain="psr", caf_percent=15, seed=0, size_px=(2048, 2048)).rgb


def tiles(field: np.ndarray, size: int, level: int) -> Iterator[np.ndarray]:
    step = 2**level
    small = cv2.resize(field, None, fx=1 / step, fy=1 / step, interpolation=cv2.INTER_AREA)
    period = small.shape[0]
    for top in range(0, size // step, TILE_PX):
        for left in range(0, size // step, TILE_PX):
            rows = np.arange(top, top + TILE_PX) % period
            columns = np.arange(left, left + TILE_PX) % period
            yield np.ascontiguousarray(small[np.ix_(rows, columns)])


def write_pyramid(path: Path, field: np.ndarray, size: int) -> None:
    with tifffile.TiffWriter(path, bigtiff=True) as tiff:
        for level in range(LEVELS):
            scale = 1e4 / (MPP_UM * 2**level)
            tiff.write(
                tiles(field, size, level),
                shape=(size // 2**level, size // 2**level, 3),
                dtype=np.uint8,
                tile=(TILE_PX, TILE_PX),
                compression="jpeg",
                compressionargs={"level": 85},
                photometric="rgb",
                subsampling=(2, 2),
                resolution=(scale, scale),
                resolutionunit="CENTIMETER",
                subifds=LEVELS - 1 if level == 0 else None,
                subfiletype=1 if level else 0,
            )


def decode_seconds(path: Path, threads: int) -> float:
    """Every tile of level 0 read and decoded, nothing kept."""
    with tifffile.TiffFile(path) as tiff:
        page = tiff.series[0].levels[0].pages[0]
        start = time.perf_counter()
        with ThreadPoolExecutor(threads) as pool:
            segments = tiff.filehandle.read_segments(page.dataoffsets, page.databytecounts)
            for _ in pool.map(lambda s: page.decode(*s, jpegtables=page.jpegtables)[1], segments):
                pass
        return time.perf_counter() - start


def separate_stains_rate(field: np.ndarray) -> float:
    """Megapixels a second of scikit-image's stain separation and a threshold."""
    start = time.perf_counter()
    _ = separate_stains(field, hed_from_rgb)[..., 1] > 0.1
    return field.shape[0] * field.shape[1] / 1e6 / (time.perf_counter() - start)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10240, 20480])
    parser.add_argument("--threads", type=int, default=2)
    default = ROOT.parent / "shared/data/slides/liver/psr_human_liver_tile.jpg"
    parser.add_argument("--tile", type=Path, default=default)
    options = parser.parse_args()
    field = texture(options.tile)
    separate = separate_stains_rate(field)
    print(f"scikit-image separate_stains: {separate:.1f} MPix/s")
    with tempfile.TemporaryDirectory() as folder:
        for size in options.sizes:
            path = Path(folder) / f"{size}.tif"
            write_pyramid(path, field, size)
            mega = size * size / 1e6
            decode = decode_seconds(path, options.threads)
            run = subprocess.run(
                [sys.executable, "-c", JOB, str(path), str(options.threads)],
                capture_output=True,
                text=True,
                check=True,
            )
            job = json.loads(run.stdout)
            rate = mega / job["seconds"]
            print(
                f"{size} px: decode {decode:.2f} s ({mega / decode:.0f} MPix/s), "
                f"whole job {job['seconds']:.2f} s ({rate:.0f} MPix/s, "
                f"{100 * decode / job['seconds']:.0f} % of decoding, {rate / separate:.1f} x "
                f"separate_stains, {rate / LIVERQUANT_MPIX_S:.0f} x liverquant's published rate), "
                f"peak {job['peak_mb']:.0f} MB, fraction {job['caf_percent']:.2f} %"
            )
            path.unlink()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

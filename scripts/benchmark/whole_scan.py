"""The whole scan job, from the command to the files on disk, and its parts alone.

    .venv/bin/python scripts/benchmark/whole_scan.py [--slices 280 1500] [--threads 2] [--dicom]

Writes a 512 x 512 DICOM CT of the phantom's body, 0.75 x 0.75 mm, and times `fibrovol volume` on it
in a process of its own, with the peak memory of its case's process; with it the start of the
program alone, reading alone and the network alone. One JSON line a length.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil
from fibrovol.phantoms.anatomy import draw_anatomy
from fibrovol.phantoms.scans import write_ct_series
from pydicom import dcmread
from pydicom.uid import generate_uid

SIZE, SPACING_MM = 512, 0.75

PARTS = """
import json, resource, sys, time
from pathlib import Path
import torch
torch.set_num_threads(int(sys.argv[2]))
start = time.perf_counter()
from fibrovol.imaging.readers import read_scan
from fibrovol.imaging.engines.liver_net import _network
from fibrovol.models.inference import predict
network, _ = _network(is_ct=True)
imported = time.perf_counter()
scan = read_scan(Path(sys.argv[1]))
read = time.perf_counter()
predict(network, scan.array, scan.affine, is_ct=True)
done = time.perf_counter()
print(json.dumps({"import_s": imported - start, "read_s": read - imported, "network_s": done - read,
                  "parts_peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""


def write_long_ct(folder: Path, slices: int) -> None:
    """The phantom's CT interpolated to 512 x 512 and to `slices` slices over its own height."""
    with tempfile.TemporaryDirectory() as place:
        write_ct_series(Path(place), draw_anatomy(3, liver_volume_ml=1400), seed=1, subject="P1")
        parts = [dcmread(file) for file in Path(place).iterdir()]
        parts.sort(key=lambda one: float(one.ImagePositionPatient[2]))
        stack = np.stack([one.pixel_array for one in parts]).astype(np.float32)
    head = parts[0]
    x, y, z = map(float, head.ImagePositionPatient)
    old_mm = float(head.PixelSpacing[0])
    step = 5.0 * (len(stack) - 1) / (slices - 1)
    rows = np.clip(np.arange(SIZE) * SPACING_MM / old_mm, 0, stack.shape[1] - 1).astype(int)
    columns = np.clip(np.arange(SIZE) * SPACING_MM / old_mm, 0, stack.shape[2] - 1).astype(int)
    random = np.random.default_rng(0)
    head.Rows = head.Columns = SIZE
    head.PixelSpacing, head.SliceThickness = [SPACING_MM, SPACING_MM], round(step, 3)
    head.SeriesInstanceUID = generate_uid()
    folder.mkdir(parents=True)
    for number in range(slices):
        height = number * step / 5.0
        low = min(int(height), len(stack) - 2)
        plane = stack[low] * (1 - height + low) + stack[low + 1] * (height - low)
        plane = plane[rows][:, columns] + random.normal(0, 10, (SIZE, SIZE))
        head.SOPInstanceUID = head.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        head.ImagePositionPatient = [x, y, round(z + number * step, 3)]
        head.InstanceNumber = number + 1
        head.PixelData = np.clip(plane, 0, 4095).astype(np.uint16).tobytes()
        head.save_as(folder / f"I{number:05d}")


def whole(folder: Path, work: Path, threads: int, *, dicom: bool) -> dict[str, float]:
    """Seconds of the command and the most memory of any of its processes."""
    command = [sys.executable, "-m", "fibrovol", "volume", str(folder), "-o", str(work), "--json"]
    command += ["--dicom"] if dicom else []
    start = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": str(threads)}
    )
    peak = 0

    def watch() -> None:
        nonlocal peak
        own = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                for one in (own, *own.children(recursive=True)):
                    peak = max(peak, one.memory_info().rss)
            except psutil.Error:
                pass
            time.sleep(0.05)

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = process.wait()
    seconds = time.perf_counter() - start
    watcher.join()
    if code:
        raise SystemExit(f"fibrovol volume ended with {code}")
    return {"whole_s": seconds, "whole_peak_mb": peak / 2**20}


def main() -> int:
    """Time each length."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--slices", type=int, nargs="+", default=[280, 1500])
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--dicom", action="store_true")
    arguments = parser.parse_args()
    for slices in arguments.slices:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "ct"
            write_long_ct(folder, slices)
            start = time.perf_counter()
            subprocess.run(
                [sys.executable, "-m", "fibrovol", "--version"], check=True, capture_output=True
            )
            found = {"slices": slices, "start_s": time.perf_counter() - start}
            parts = subprocess.run(
                [sys.executable, "-c", PARTS, str(folder), str(arguments.threads)],
                check=True, capture_output=True, text=True,
            )  # fmt: skip
            found |= json.loads(parts.stdout.strip().splitlines()[-1])
            found |= whole(folder, Path(place) / "out", arguments.threads, dicom=arguments.dicom)
            found["load"] = os.getloadavg()[0]
            rest = found["whole_s"] - found["start_s"] - found["import_s"]
            found["ratio"] = rest / (found["read_s"] + found["network_s"])
            print(json.dumps({key: round(value, 2) for key, value in found.items()}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What a run costs besides the measuring: cases that measure nothing, counted in the driver.

    .venv/bin/python -m fibrovol.scripts.benchmark.driver [--cases 1000] [--workers 2]

The driver is the process of `fibrovol run`; the processes that measure are its children and are not
counted. Processor time, so that other work on the machine matters little.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import psutil
from fibrovol.batch.isolation import Limits
from fibrovol.batch.pool import Plan, PoolExecutor
from fibrovol.batch.progress import Progress
from fibrovol.batch.runner import run_study
from fibrovol.intake.study import read_study
from fibrovol.tests.batch import cases_for_tests

LIMITS = Limits(600.0, 1 << 30)


def measure(folder: Path, cases: int, workers: int) -> None:
    """Run such a study twice; a line of JSON at 100 cases, at the end, and for the second run."""
    words = [str(1000 + number) for number in range(cases)]
    study = read_study(cases_for_tests.write_texts(folder / "in", words))
    executor = PoolExecutor(Plan(workers, 1, LIMITS))
    me, started, first = psutil.Process(), time.process_time(), 0.0

    def note(event: Progress) -> None:
        nonlocal first
        if event.done == 1 and event.event == "measured":
            first = time.process_time()  # everything is running by now
        if event.done == 100 or event.event == "end":
            spent = time.process_time() - first
            print(
                json.dumps(
                    {
                        "done": event.done,
                        "start_seconds": round(first - started, 2),
                        "ms_a_case": round(1000 * spent / max(1, event.done - 1), 2),
                        "driver_mib": round(me.memory_info().rss / 2**20, 1),
                        "wall_seconds": round(event.seconds, 1),
                    }
                ),
                flush=True,
            )

    options = {"measure": cases_for_tests.measure_text, "executor": executor}
    run_study(study, folder / "out", progress=note, **options)
    begun, wall = time.process_time(), time.monotonic()
    again = run_study(study, folder / "out", **options)
    print(
        json.dumps(
            {
                "reused": again.n_reused,
                "cpu_seconds": round(time.process_time() - begun, 2),
                "wall_seconds": round(time.monotonic() - wall, 2),
            }
        )
    )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="kept; a temporary one if not given")
    words = parser.parse_args()
    if words.folder:
        measure(words.folder, words.cases, words.workers)
    else:
        with tempfile.TemporaryDirectory() as folder:
            measure(Path(folder), words.cases, words.workers)


if __name__ == "__main__":
    main()

"""What a study of many thousand cases would take: measured seconds, a simulated crowd of workers.

    .venv/bin/python scripts/benchmark/scaling.py RESULTS [--cases 100000 --workers 16]

Takes the seconds of each case from RESULTS/provenance.json, draws as many cases from them as asked,
and hands them to workers the way a run does: one driver starts and files away one case at a time,
each worker measures one case at a time and loads the network once.
"""

from __future__ import annotations

import argparse
import heapq
import json
import random
from collections.abc import Sequence
from pathlib import Path

DRIVER_SECONDS = 0.0073  # CPU time of the driver a case through Dask, docs/scaling.md
START_SECONDS = 15.0  # a worker's first case waits for torch, MONAI and the weights


def simulate(
    seconds: Sequence[float], n_cases: int, n_workers: int, driver_seconds: float, seed: int = 0
) -> float:
    """Hours until the last case is filed away.

    Args:
        seconds: measured durations of cases, drawn from with replacement.
        n_cases: how many cases.
        n_workers: cases at the same time.
        driver_seconds: the driver's own time a case.
        seed: of the draw.
    """
    rng = random.Random(seed)
    driver_free = 0.0
    finishing: list[float] = []
    for case in range(n_cases):
        ready = heapq.heappop(finishing) if len(finishing) >= n_workers else 0.0
        # the driver files the finished case away and sends the next one
        driver_free = max(driver_free, ready) + driver_seconds
        first = START_SECONDS if case < n_workers else 0.0
        heapq.heappush(finishing, driver_free + first + rng.choice(seconds))
    return max(*finishing, driver_free) / 3600.0


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, help="a results folder")
    parser.add_argument("--cases", type=int, nargs="+", default=[1_000, 100_000, 1_000_000])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 16, 256])
    parser.add_argument("--driver-seconds", type=float, default=DRIVER_SECONDS)
    arguments = parser.parse_args()
    text = (arguments.results / "provenance.json").read_text(encoding="utf-8")
    cases = json.loads(text)["cases"].values()
    for kind in ("scan", "slide"):
        seconds = [
            case["seconds"]["total"]
            for case in cases
            if case["kind"] == kind and case["status"] == "measured"
        ]
        if not seconds:
            continue
        print(f"{kind}: {len(seconds)} measured, {sum(seconds) / len(seconds):.1f} s each")
        for n_cases in arguments.cases:
            for n_workers in arguments.workers:
                hours = simulate(seconds, n_cases, n_workers, arguments.driver_seconds)
                print(f"  {n_cases:>9,} cases, {n_workers:>4} workers: {hours:>10,.1f} h")


if __name__ == "__main__":
    main()

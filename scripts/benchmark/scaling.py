"""What a study of many thousand cases would take: measured seconds, a simulated crowd of workers.

    .venv/bin/python scripts/benchmark/scaling.py RESULTS [--cases 100000 --workers 16]
    .venv/bin/python scripts/benchmark/scaling.py --seconds 7 --mb-a-case 100 --mb-a-second 1000

Takes the seconds of each case from RESULTS/provenance.json (or one number), draws as many cases
from them as asked, and hands them to workers the way a run does: one driver starts and files away
one case at a time, each worker measures one case at a time and loads the network once. All workers
read their cases from one store, which gives no more than so many megabytes a second.
"""

from __future__ import annotations

import argparse
import heapq
import json
import random
from collections.abc import Sequence
from pathlib import Path

DRIVER_SECONDS = 0.016  # CPU time of the driver a case through Dask; benchmark/thousand.py
START_SECONDS = 5.0  # a worker's first case waits for torch, MONAI and the weights


def simulate(
    seconds: Sequence[float],
    n_cases: int,
    n_workers: int,
    driver_seconds: float,
    *,
    read_seconds: float = 0.0,
    seed: int = 0,
) -> float:
    """Hours until the last case is filed away.

    Args:
        seconds: measured durations of cases, drawn from with replacement.
        n_cases: how many cases.
        n_workers: cases at the same time.
        driver_seconds: the driver's own time a case.
        read_seconds: what the shared store needs for one case; it serves one after the other.
        seed: of the draw.
    """
    rng = random.Random(seed)
    driver_free = store_free = 0.0
    finishing: list[float] = []
    for case in range(n_cases):
        ready = heapq.heappop(finishing) if len(finishing) >= n_workers else 0.0
        # the driver files the finished case away and sends the next one
        driver_free = max(driver_free, ready) + driver_seconds
        store_free = max(driver_free, store_free) + read_seconds
        first = START_SECONDS if case < n_workers else 0.0
        heapq.heappush(finishing, store_free + first + rng.choice(seconds))
    return max(*finishing, driver_free) / 3600.0


def _measured(results: Path) -> dict[str, list[float]]:
    text = (results / "provenance.json").read_text(encoding="utf-8")
    seconds: dict[str, list[float]] = {}
    for case in json.loads(text)["cases"].values():
        if case["status"] == "measured":
            seconds.setdefault(case["kind"], []).append(case["seconds"]["total"])
    return seconds


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, nargs="?", help="a results folder")
    parser.add_argument("--seconds", type=float, help="of each case, instead of a results folder")
    parser.add_argument("--cases", type=int, nargs="+", default=[1_000, 100_000, 1_000_000])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 16, 256])
    parser.add_argument("--driver-seconds", type=float, default=DRIVER_SECONDS)
    parser.add_argument("--mb-a-case", type=float, default=0.0, help="that a worker reads")
    parser.add_argument("--mb-a-second", type=float, default=0.0, help="of the store; 0: no limit")
    words = parser.parse_args()
    if (words.results is None) == (words.seconds is None):
        parser.error("give a results folder or --seconds")
    measured = {"case": [words.seconds]} if words.seconds else _measured(words.results)
    read_seconds = words.mb_a_case / words.mb_a_second if words.mb_a_second else 0.0
    for kind, seconds in measured.items():
        print(f"{kind}: {len(seconds)} measured, {sum(seconds) / len(seconds):.1f} s each")
        for n_cases in words.cases:
            for n_workers in words.workers:
                hours = simulate(
                    seconds, n_cases, n_workers, words.driver_seconds, read_seconds=read_seconds
                )
                print(f"  {n_cases:>9,} cases, {n_workers:>4} workers: {hours:>10,.1f} h")


if __name__ == "__main__":
    main()

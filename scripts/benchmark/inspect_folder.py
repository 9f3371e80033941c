"""Headers a second that `fibrovol inspect` reads: inspect_folder.py FOLDER.

The folder is read once to warm the cache; the best of three passes counts.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from fibrovol.imaging.series.find import find_series


def main() -> None:
    """Time the folder given."""
    folder = Path(sys.argv[1])
    files = sum(1 for path in folder.rglob("*") if path.is_file())
    find_series(folder)
    rates = []
    for _ in range(3):
        wall, processor = time.perf_counter(), time.process_time()
        find_series(folder)
        rates.append(
            (files / (time.perf_counter() - wall), files / (time.process_time() - processor))
        )
    wall_rate, processor_rate = max(rates)
    print(f"{files} files: {wall_rate:.0f} a second, {processor_rate:.0f} a processor second")


if __name__ == "__main__":
    main()

"""Compare the tables of the demo with those of an earlier commit: a move must change no number.

    .venv/bin/python scripts/compare_demo.py

Runs ``fibrovol demo --small --seed 0`` twice on this machine, from the earlier commit and from the
checkout, and compares the SHA-256 of every CSV. A list of hashes would not do: the network's last
bits depend on the processor. Where a table differs, every differing column must be in
``demo_changes.json`` with the reason, and every entry there must still be true.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path

from fibrovol.scripts.rules import tracked_files

ROOT = Path(__file__).resolve().parents[1]
CHANGES = ROOT / "scripts" / "demo_changes.json"
SOME_CASES_FAILED = 3  # one case of the demo is meant to fail
RUN = "import sys; sys.path.insert(0, sys.argv.pop(1)); from fibrovol.cli import main; main()"

Table = dict[str, list[str]]
"""The cells of a table by column."""


def tables_of(folder: Path) -> dict[str, Path]:
    """Every CSV under a folder by its path in it."""
    return {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*.csv"))}


def read_columns(path: Path) -> Table:
    """A table by columns."""
    with path.open(encoding="utf-8", newline="") as stream:
        header, *rows = csv.reader(stream)
    return {name: [row[at] for row in rows] for at, name in enumerate(header)}


def differences(base: Path, here: Path) -> set[str]:
    """What differs between two results folders.

    Args:
        base: the earlier commit's results.
        here: those of the checkout.

    Returns:
        ``table`` for a table that only one has or whose bytes differ without a differing cell
        (the order of columns, line ends), else ``table: column`` for each differing column.
    """
    first, second = tables_of(base), tables_of(here)
    found = first.keys() ^ second.keys()
    for name in first.keys() & second.keys():
        hashes = {hashlib.sha256(t[name].read_bytes()).digest() for t in (first, second)}
        if len(hashes) == 1:
            continue
        old, new = read_columns(first[name]), read_columns(second[name])
        columns = {column for column in {*old, *new} if old.get(column) != new.get(column)}
        found |= {f"{name}: {column}" for column in columns} or {name}
    return found


def findings(found: set[str], listed: dict[str, str]) -> list[str]:
    """What is wrong with the differences.

    Args:
        found: as :func:`differences` gives them.
        listed: the expected ones, each with its reason.
    """
    return [
        f"{name} differs and is not in {CHANGES.name}" for name in sorted(found - {*listed})
    ] + [f"{name} is in {CHANGES.name} but no longer differs" for name in sorted({*listed} - found)]


def unpack(commit: str, folder: Path) -> bool:
    """Lay a commit's files into a folder; False where the clone does not have the commit."""
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["git", "archive", commit], cwd=ROOT, check=False, capture_output=True)
    if done.returncode:
        return False
    with tarfile.open(fileobj=BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return True


def copy_checkout(folder: Path) -> None:
    """Copy what git tracks or would, so that an edit meanwhile changes nothing."""
    for name in tracked_files():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)


def start_demo(package_parent: Path, output: Path) -> subprocess.Popen[bytes]:
    """Run the demo with the package ``fibrovol`` in a folder, before any that is installed."""
    command = [sys.executable, "-P", "-c", RUN, str(package_parent), "demo", "--small"]
    log = output.with_suffix(".log").open("wb")
    return subprocess.Popen(
        [*command, "--seed", "0", "-o", str(output)], stdout=log, stderr=log,
        env=dict(os.environ, PYTHONPATH=str(package_parent), OMP_NUM_THREADS="1"),
    )  # fmt: skip


def main() -> int:
    """Run both, compare; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--keep", type=Path, help="leave both results in this folder")
    parser.add_argument(
        "--base", type=Path, help="results of the base, made on this machine before"
    )
    arguments = parser.parse_args()
    changes = json.loads(CHANGES.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as temporary:
        work = arguments.keep or Path(temporary)
        outputs = {name: work / f"demo-{name}" for name in ("base", "here")}
        copy_checkout(work / "here" / "fibrovol")
        if arguments.base:
            outputs["base"] = arguments.base
        elif not unpack(changes["base"], work / "base" / "fibrovol"):
            print(f"NOT COMPARED: this clone does not have commit {changes['base']}.")
            return 0
        runs = {
            name: start_demo(work / name, outputs[name])
            for name in outputs
            if name == "here" or not arguments.base
        }
        for name, run in runs.items():
            if run.wait() not in (0, SOME_CASES_FAILED):
                print(outputs[name].with_suffix(".log").read_text(encoding="utf-8")[-3000:])
                print(f"The demo of {name} stopped with {run.returncode}.")
                return 1
        found = findings(differences(outputs["base"], outputs["here"]), changes["differences"])
        count = len(tables_of(outputs["here"]))
    for finding in found:
        print(finding)
    print(
        f"{count} tables compared with {changes['base']}: "
        + (f"{len(found)} findings" if found else "only what is listed differs")
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

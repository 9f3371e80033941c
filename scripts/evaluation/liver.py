"""Evaluate the shipped network on altered and sick versions of labelled scans, in one command.

    python -m fibrovol.scripts.evaluation.liver refusal ../shared/data/scans -o OUT
    python -m fibrovol.scripts.evaluation.liver sick ../shared/data/scans -o OUT
    python -m fibrovol.scripts.evaluation.liver limits ../shared/data/scans -o OUT

``refusal``: scans as they are, cut, flipped, with other grey values, blanked, or of something else:
how many are refused, kept out of comparisons, or flagged. Flags that every MR has, or that say how
wide the limits are, do not count. ``sick``: livers of known volume with tumours, cysts, ascites or
parts missing drawn in, and drawn bodies with and without fluid. ``limits``: how many true volumes
lie inside the limits, and how wide these are, by modality and slice thickness.

Each result is a line of OUT/scans.jsonl; what is there already is not measured again, so name
another folder for other weights.
"""

from __future__ import annotations

import argparse
import json
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fibrovol.errors import FibrovolError
from fibrovol.files import sha256_file
from fibrovol.flags import FLAGS, questioned
from fibrovol.imaging import agreement
from fibrovol.imaging.engines.liver_net import shipped_weights
from fibrovol.imaging.grid_limits import THICK_MM
from fibrovol.imaging.measure import LiverMeasurement, measure_liver
from fibrovol.imaging.volume import Volume
from fibrovol.phantoms.anatomy import draw_anatomy
from fibrovol.phantoms.contrasts import CT_PORTAL_VENOUS, MR_T1_WATER, MR_T2_FAT_SUPPRESSED
from fibrovol.phantoms.scans import render_scan
from fibrovol.scripts.evaluation.alterations import alterations
from fibrovol.scripts.evaluation.sick_livers import KINDS, Body
from fibrovol.training.dataset import find_pairs, load_labelled
from fibrovol.training.organs import LIVER

LIVER_NUMBERS = {"CT": LIVER, "MR": 1}
"""The liver's number in the label maps of labelled_ct and labelled_mr."""

NOT_COUNTED = {"mr_unvalidated", "low_confidence", "thick_slices", "device_fallback"}
"""Flags that say nothing about this scan's being wrong."""

PHANTOM_SEEDS = (501, 502, 503, 504, 505)

Row = dict[str, Any]


class Store:
    """Lines of JSON that are there already, by key, and the file that more are added to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        self.rows: dict[str, Row] = {row["key"]: row for row in map(json.loads, lines)}

    def get(self, key: str, make: Callable[[], Row]) -> Row:
        """The row of a key, made where it is missing."""
        if key not in self.rows:
            self.rows[key] = {"key": key, **make()}
            with self.path.open("a", encoding="utf-8", newline="\n") as stream:
                stream.write(json.dumps(self.rows[key]) + "\n")
        return self.rows[key]


def labelled(folder: Path, only: tuple[str, ...] = ()) -> Iterator[tuple[str, Volume, np.ndarray]]:
    """Name, scan and organ numbers of the labelled CT and MR, axes along R, A, S."""
    for part, modality in (("labelled_ct", "CT"), ("labelled_mr", "MR")):
        for name, scan, labels in find_pairs(folder / part):
            if not only or name in only:
                array, organs, image = load_labelled(scan, labels)
                yield name, Volume(array, image.affine, modality), organs


def outcome(scan: Volume, true: np.ndarray | None = None) -> Row:
    """Measure a scan: refused and why, or volume, limits, flags and, with a label, Dice."""
    try:
        found = measure_liver(scan)
    except FibrovolError as error:
        return {"refused": error.code, "found": error.found}
    return _row(found, true)


def _row(found: LiverMeasurement, true: np.ndarray | None) -> Row:
    row: Row = {
        "ml": round(found.volume_ml, 2),
        "low": found.volume_ml_low,
        "high": found.volume_ml_high,
        "flags": list(found.flags),
        "spacing_mm": round(max(found.volume.spacing_mm), 2),
    }
    if true is not None:
        row["dice"] = round(agreement.dice(found.mask.array, true), 5)
        row["true_ml"] = float(np.count_nonzero(true)) * found.volume.voxel_volume_ml
    return row


def verdict(row: Row) -> str:
    """refused, not compared (a flag that keeps the volume out), flagged, or passed."""
    if "refused" in row:
        return "refused"
    if questioned(row["flags"]):
        return "not compared"
    return "flagged" if set(row["flags"]) - NOT_COUNTED else "passed"


def as_they_are(
    folder: Path, store: Store, names: tuple[str, ...] = ()
) -> Iterator[tuple[str, Row]]:
    """Modality and result of each labelled scan."""
    for case, scan, organs in labelled(folder, names):
        true = organs == LIVER_NUMBERS[scan.modality]
        row = store.get(case, partial(outcome, scan, true))
        yield scan.modality, row


def refusal(
    folder: Path, store: Store, names: tuple[str, ...], altered_names: tuple[str, ...] = ()
) -> None:
    """Measure scans as they are and altered; print the table and what passed."""
    good = [row for _, row in as_they_are(folder, store, names)]
    bad: list[tuple[str, str, Row]] = []
    for case, scan, organs in labelled(folder, altered_names or names):
        liver = organs == LIVER_NUMBERS[scan.modality]
        for altered in alterations(scan, liver, zlib.crc32(case.encode())):
            key = f"{case}: {altered.group}, {altered.name}"
            row = store.get(key, partial(outcome, altered.scan))
            bad.append((altered.group, f"{altered.group}: {altered.name}", row))
    columns = ("refused", "not compared", "flagged", "passed")
    print("| scans | n | " + " | ".join(columns) + " |\n|---|" + "---|" * 5)
    _print_row("as they are", good, columns)
    for name in dict.fromkeys(name for _, name, _ in bad):
        _print_row(name, [row for _, other, row in bad if other == name], columns)
    for row in good:
        if verdict(row) != "passed":
            print("good scan:", row["key"], row.get("refused") or row["flags"])
    for _, _, row in bad:
        if verdict(row) in ("passed", "flagged"):
            print(f"{verdict(row)}:", row["key"], f"{row['ml']:.0f} mL", *row["flags"])


def _print_row(name: str, rows: list[Row], columns: tuple[str, ...]) -> None:
    counts = [sum(verdict(row) == column for row in rows) for column in columns]
    print(f"| {name} | {len(rows)} | " + " | ".join(map(str, counts)) + " |")


def sick(folder: Path, store: Store, names: tuple[str, ...]) -> None:
    """Measure drawn diseases; print the volume errors by kind."""
    rows: dict[str, list[Row]] = {}
    for case, scan, organs in labelled(folder, names):
        if scan.modality == "MR":
            continue
        body = Body(scan.array.astype(np.float32), organs, scan.spacing_mm)
        for kind, draw in KINDS.items():
            key = f"{case}: {kind}"
            if key not in store.rows:
                drawn = draw(body, np.random.default_rng(zlib.crc32(key.encode())))
                altered = Volume(drawn.hu, scan.affine, "CT")
                store.get(key, partial(outcome, altered, drawn.liver))
            rows.setdefault(kind, []).append(store.rows[key])
    for name, contrast in _PHANTOMS.items():
        for ascites_mm in (0.0, 12.0):
            kind = f"drawn body, {name}, {'ascites' if ascites_mm else 'no ascites'}"
            for seed in PHANTOM_SEEDS:
                make = partial(_phantom, seed, contrast, ascites_mm)
                rows.setdefault(kind, []).append(store.get(f"{kind}, {seed}", make))
    print("| liver | n | refused | error median, % | absolute, % | worst, % | Dice | flags |")
    print("|---|---|---|---|---|---|---|---|")
    for kind, found in rows.items():
        _print_errors(kind, found)


_PHANTOMS = {"CT": CT_PORTAL_VENOUS, "T1": MR_T1_WATER, "T2": MR_T2_FAT_SUPPRESSED}


def _phantom(seed: int, contrast: Any, ascites_mm: float) -> Row:
    """A drawn body: its exact volume is that of the fractions, not of voxels."""
    spacing = (2.5, 2.5, 5.0) if contrast.modality == "CT" else (1.6, 1.6, 7.0)
    anatomy = draw_anatomy(seed, ascites_mm=ascites_mm)
    scan = render_scan(anatomy, contrast, spacing_mm=spacing, seed=0)
    array = np.ascontiguousarray(scan.image.transpose(2, 1, 0))
    mask = np.ascontiguousarray((scan.liver_fraction >= 0.5).transpose(2, 1, 0))
    row = outcome(Volume(array, scan.grid.affine, contrast.modality), mask)
    return {**row, "true_ml": scan.liver_volume_ml}


def _print_errors(kind: str, rows: list[Row]) -> None:
    measured = [row for row in rows if "refused" not in row]
    refused = len(rows) - len(measured)
    if not measured:
        print(f"| {kind} | {len(rows)} | {refused} | - | - | - | - | - |")
        return
    errors = np.array([100 * (row["ml"] / row["true_ml"] - 1) for row in measured])
    worst = errors[np.abs(errors).argmax()]
    flags = [flag for row in measured for flag in row["flags"] if flag not in NOT_COUNTED]
    said = ", ".join(f"{flags.count(flag)} {flag}" for flag in FLAGS if flag in flags)
    print(
        f"| {kind} | {len(rows)} | {refused} | {np.median(errors):+.1f} "
        f"| {np.median(np.abs(errors)):.1f} | {worst:+.1f} "
        f"| {np.median([row['dice'] for row in measured]):.3f} | {said} |"
    )


def limits(folder: Path, store: Store, names: tuple[str, ...]) -> None:
    """Measure labelled scans; print how many limits hold, and how wide they are."""
    groups: dict[str, list[Row]] = {}
    for modality, row in as_they_are(folder, store, names):
        groups.setdefault(modality, []).append(row)
        thick = "over" if row.get("spacing_mm", 0) > THICK_MM else "up to"
        groups.setdefault(f"{modality}, slices {thick} {THICK_MM:.0f} mm", []).append(row)
    print("| scans | n | refused | hold | median width, % | widest, % | median Dice | worst |")
    print("|---|---|---|---|---|---|---|---|")
    for group, rows in groups.items():
        measured = [row for row in rows if "refused" not in row]
        if not measured:
            print(f"| {group} | {len(rows)} | {len(rows)} | - | - | - | - | - |")
            continue
        held = sum(row["low"] <= row["true_ml"] <= row["high"] for row in measured)
        widths = [100 * (row["high"] - row["low"]) / row["ml"] for row in measured]
        dice = [row["dice"] for row in measured]
        print(
            f"| {group} | {len(rows)} | {len(rows) - len(measured)} | {held} "
            f"| {np.median(widths):.1f} | {max(widths):.1f} | {np.median(dice):.4f} "
            f"| {min(dice):.4f} |"
        )


COMMANDS = {"sick": sick, "limits": limits}


def main() -> None:
    """Run one of the three."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=["refusal", *COMMANDS])
    parser.add_argument("folder", type=Path, help="contains labelled_ct and labelled_mr")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--only", nargs="+", default=(), help="cases (default: all)")
    alter = "refusal: which of them are altered as well (default: all)"
    parser.add_argument("--alter", nargs="+", default=(), help=alter)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    store = Store(arguments.output / "scans.jsonl")
    weights = [sha256_file(shipped_weights(is_ct=is_ct))[:12] for is_ct in (True, False)]
    print(f"weights {weights[0]} (CT), {weights[1]} (MR), results in {store.path}")
    if arguments.command == "refusal":
        refusal(arguments.folder, store, tuple(arguments.only), tuple(arguments.alter))
    else:
        COMMANDS[arguments.command](arguments.folder, store, tuple(arguments.only))


if __name__ == "__main__":
    main()

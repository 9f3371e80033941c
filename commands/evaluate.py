"""evaluate: compare an engine with manual labels."""

from __future__ import annotations

import argparse
import csv
import io
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ..files import write_text
from .console import counting, give, say
from .options import positive
from .scan_options import add_bundle_options, add_device

if TYPE_CHECKING:
    from ..training.evaluate import CaseResult


DESCRIPTION = """\
Segments every labelled scan of a folder (NAME_ct.nii.gz or NAME_mr.nii.gz next to
NAME_organs.nii.gz or NAME_liver.nii.gz) and compares: Dice, HD95, volume error.

Takes a few seconds per scan.
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = DESCRIPTION
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the labelled scans")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="DIR",
        help="folder for evaluation.csv and a picture of each case with both contours",
    )
    parser.add_argument("--engine", default="liver_net", metavar="NAME", help="what is compared")
    add_device(parser)
    add_bundle_options(parser)
    parser.add_argument(
        "--liver-label",
        type=positive,
        required=True,
        metavar="N",
        help="the liver's number in the label maps (6 in BTCV)",
    )
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", help="names of the cases to compare (default: all)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    from ..imaging.engines import EngineOptions  # noqa: PLC0415 - start-up time
    from ..training.evaluate import evaluate as compare_cases  # noqa: PLC0415
    from ..training.evaluate import summarise  # noqa: PLC0415

    changes = {"bundle": str(arguments.bundle or ""), "bundle_label": arguments.bundle_label}
    changes["device"] = arguments.device
    options = EngineOptions.of(
        trust_bundle=arguments.trust_bundle,
        **{name: value for name, value in changes.items() if value},
    )
    results = []
    with counting("cases", quiet=arguments.json) as show:
        for result in compare_cases(
            arguments.folder,
            engine="monai_bundle" if arguments.bundle else arguments.engine,
            options=options,
            liver_label=arguments.liver_label,
            only=arguments.only or (),
            pictures=arguments.output / "overlays" if arguments.output else None,
            tell=show,
        ):
            results.append(result)
            if not arguments.json:
                print(_line(result), flush=True)
    if not results:
        say("No case of that name in the folder.")
        return 1
    summary = summarise(results)
    if arguments.output:
        _write(arguments.output, results)
    if arguments.json:
        give({"command": "evaluate", "cases": [asdict(r) for r in results], **asdict(summary)})
    else:
        print(
            f"{summary.n} cases: Dice median {summary.median_dice:.4f}, worst "
            f"{summary.worst_dice:.4f}; volume error mean absolute "
            f"{summary.mean_absolute_error_percent:.2f} %, signed "
            f"{summary.mean_signed_error_percent:+.2f} %"
        )
    return 0


def _line(result: CaseResult) -> str:
    distance = "-" if result.hd95_mm is None else f"{result.hd95_mm:.1f} mm"
    dice = f"{result.dice:.4f}"
    if result.dice_off_doubled_slices is not None:
        dice += f" ({result.dice_off_doubled_slices:.4f} off the label's doubled slices)"
    return (
        f"{result.case}: Dice {dice}, HD95 {distance}, "
        f"{result.measured_ml:.0f} mL for {result.true_ml:.0f} mL "
        f"({result.volume_error_percent:+.1f} %), {result.seconds:.1f} s"
    )


def _write(output: Path, results: list[CaseResult]) -> None:
    write_text(output / "evaluation.csv", _table(results))
    say(
        f"Wrote {output / 'evaluation.csv'} and a picture of each case in {output / 'overlays'}: "
        "red as measured, blue as drawn."
    )


def _table(results: list[CaseResult]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        [
            "case",
            "true_ml",
            "measured_ml",
            "volume_error_percent",
            "dice",
            "hd95_mm",
            "dice_off_doubled_slices",
        ]
    )
    for r in results:
        off_doubled = r.dice_off_doubled_slices
        writer.writerow(
            [
                r.case,
                f"{r.true_ml:.2f}",
                f"{r.measured_ml:.2f}",
                f"{r.volume_error_percent:.3f}",
                f"{r.dice:.5f}",
                "" if r.hd95_mm is None else f"{r.hd95_mm:.2f}",
                "" if off_doubled is None else f"{off_doubled:.5f}",
            ]
        )
    return text.getvalue()

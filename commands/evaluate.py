"""evaluate: how well an engine agrees with labels drawn by people."""

from __future__ import annotations

import argparse
import csv
import io
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import MeasurementError
from ..files import write_text
from .console import give, say


def evaluate(arguments: argparse.Namespace) -> int:
    """``fibrovol evaluate``."""
    from ..imaging import agreement  # noqa: PLC0415 - start-up time
    from ..imaging.engines import EngineOptions  # noqa: PLC0415
    from ..imaging.measure import measure_liver  # noqa: PLC0415
    from ..imaging.overlay import write_overlay  # noqa: PLC0415
    from ..imaging.volume import Volume  # noqa: PLC0415
    from ..training.evaluate import CaseResult, summarise  # noqa: PLC0415
    from ..training.evaluate import evaluate as compare_cases  # noqa: PLC0415

    engine = "monai_bundle" if arguments.bundle else arguments.engine
    options = EngineOptions(
        bundle_path=arguments.bundle,
        bundle_label=arguments.bundle_label or "liver",
        trust_bundle=arguments.trust_bundle,
    )

    def segment(array: NDArray[Any], affine: NDArray[np.float64], is_ct: bool) -> NDArray[np.bool_]:
        volume = Volume(array, affine, "CT" if is_ct else "MR")
        try:
            found = measure_liver(volume, engine=engine, options=options)
        except MeasurementError:  # counts as a Dice of 0, not as a case that does not exist
            return np.zeros(array.shape, dtype=bool)
        return found.mask.array

    def compare(
        found: NDArray[np.bool_], true: NDArray[np.bool_], spacing_mm: tuple[float, float, float]
    ) -> tuple[float, float]:
        return agreement.dice(found, true), agreement.hd95_mm(found, true, spacing_mm)

    def draw(
        name: str,
        array: NDArray[Any],
        affine: NDArray[np.float64],
        is_ct: bool,
        found: NDArray[np.bool_],
        true: NDArray[np.bool_],
    ) -> None:
        write_overlay(
            Volume(array, affine, "CT" if is_ct else "MR"),
            Volume(found, affine),
            arguments.output / "overlays" / f"{name}.png",
            second=Volume(true, affine),
        )

    results: list[CaseResult] = []
    for result in compare_cases(
        arguments.folder,
        segment,
        compare,
        liver_label=arguments.liver_label,
        only=arguments.only or (),
        draw=draw if arguments.output else None,
    ):
        results.append(result)
        if not arguments.json:
            distance = "-" if result.hd95_mm is None else f"{result.hd95_mm:.1f} mm"
            print(
                f"{result.case}: Dice {result.dice:.4f}, HD95 {distance}, "
                f"{result.measured_ml:.0f} mL for {result.true_ml:.0f} mL "
                f"({result.volume_error_percent:+.1f} %), {result.seconds:.1f} s",
                flush=True,
            )
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


def _write(output: Path, results: list[Any]) -> None:
    write_text(output / "evaluation.csv", _table(results))
    say(
        f"Wrote {output / 'evaluation.csv'} and a picture of each case in {output / 'overlays'}: "
        "red as measured, blue as drawn."
    )


def _table(results: list[Any]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["case", "true_ml", "measured_ml", "volume_error_percent", "dice", "hd95_mm"])
    for r in results:
        writer.writerow(
            [
                r.case,
                f"{r.true_ml:.2f}",
                f"{r.measured_ml:.2f}",
                f"{r.volume_error_percent:.3f}",
                f"{r.dice:.5f}",
                "" if r.hd95_mm is None else f"{r.hd95_mm:.2f}",
            ]
        )
    return text.getvalue()

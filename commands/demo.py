"""demo: generate a phantom study, measure it, report it and compare it with its truth."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from ..batch.executor import make_executor
from ..batch.pool import available_cores
from ..batch.runner import run_study
from ..intake.study import read_study
from ..settings import load_settings
from ..tables import read_table
from .console import as_result, give, progress, say, summarise
from .measuring import EXIT_ALL_MEASURED, EXIT_SOME_FAILED
from .options import at_least_3, positive

if TYPE_CHECKING:
    from ..phantoms.cohort import CaseTruth

PHANTOMS = "phantoms"


DESCRIPTION = """\
Makes a study of phantoms (drawn scans and slides whose true values are known, in the
shape of a clinical trial), measures it, writes the report and says how far the results
lie from the truth. One scan is broken on purpose, so the exit status is 3. No person's
data are in it.

Takes about four minutes on an ordinary computer.
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = DESCRIPTION
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("fibrovol-demo"),
        metavar="DIR",
        help="folder for the phantoms and the results (default: fibrovol-demo)",
    )
    parser.add_argument(
        "--subjects",
        type=at_least_3,
        metavar="N",
        help="patients in the study (default: 19); 3 show whether an installation works",
    )
    parser.add_argument(
        "--small", action="store_true", help="coarser scans and smaller slides: quicker"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="random seed (default: 0)")
    parser.add_argument(
        "--workers",
        type=positive,
        metavar="N",
        help="cases measured at the same time (default: one for each processor core)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    from ..phantoms.cohort import write_cohort  # noqa: PLC0415 - start-up time
    from ..report.page import build_report  # noqa: PLC0415

    output: Path = arguments.output
    if not arguments.json:
        say(f"Making phantom scans and slides in {output / PHANTOMS} ...")
    settings = load_settings({"run": {"workers": arguments.workers or available_cores()}})
    truth = write_cohort(
        output / PHANTOMS,
        seed=arguments.seed,
        subjects=arguments.subjects,
        small=arguments.small,
        workers=settings.run.workers,
        progress=None if arguments.json else _making(),
    )
    if not arguments.json:
        say("Measuring them ...")
    with progress(as_json=arguments.json) as show:
        summary = run_study(
            read_study(output / PHANTOMS),
            output,
            settings=settings,
            executor=make_executor(settings.run),
            progress=show,
        )
    report = build_report(summary.output_dir)
    errors = against_truth(summary.output_dir, truth.cases)
    if arguments.json:
        give({**as_result("demo", summary), "report": str(report), "against_truth": errors})
    else:
        summarise(summary)
        say("One scan of the demo is broken on purpose: a failed case looks like this.")
        say(_sentence(errors))
        say(f"Open the report in a browser: {report}")
    return EXIT_SOME_FAILED if summary.failures else EXIT_ALL_MEASURED


def against_truth(directory: Path, cases: Sequence[CaseTruth]) -> dict[str, Any]:
    """How far the measured values lie from the phantoms' true ones.

    Args:
        directory: the results.
        cases: the truth.

    Returns:
        Numbers of cases, and median and largest absolute errors: of volumes in per cent, of
        collagen area fractions in percentage points.
    """
    true = {(c.subject, c.timepoint, c.kind): c for c in cases}
    volume, collagen = [], []
    for row in read_table(directory, "volumes"):
        expected = true[str(row["subject"]), str(row["timepoint"]), "scan"].liver_volume_ml
        if isinstance(row["volume_ml"], float) and expected:
            volume.append(100.0 * abs(row["volume_ml"] / expected - 1.0))
    for row in read_table(directory, "collagen"):
        caf = true[str(row["subject"]), str(row["timepoint"]), "slide"].caf_percent
        if isinstance(row["caf_percent"], float) and caf is not None:
            collagen.append(abs(row["caf_percent"] - caf))
    return {
        "n_scans": len(volume),
        "volume_error_percent_median": round(median(volume), 3) if volume else None,
        "volume_error_percent_max": round(max(volume), 3) if volume else None,
        "n_slides": len(collagen),
        "caf_error_points_median": round(median(collagen), 3) if collagen else None,
        "caf_error_points_max": round(max(collagen), 3) if collagen else None,
    }


def _sentence(errors: dict[str, Any]) -> str:
    if not errors["n_scans"] or not errors["n_slides"]:
        return "Nothing could be held against the phantoms' true values."
    return (
        "Against the phantoms' true values: liver volume off by "
        f"{errors['volume_error_percent_median']:.1f} % (median of {errors['n_scans']} scans, at "
        f"most {errors['volume_error_percent_max']:.1f} %), collagen by "
        f"{errors['caf_error_points_median']:.2f} percentage points (median of "
        f"{errors['n_slides']} slides, at most {errors['caf_error_points_max']:.2f})."
    )


def _making() -> Any:
    """Say how far the phantoms are: one line on a terminal, a line in ten elsewhere."""

    def show(done: int, total: int, what: str) -> None:
        if sys.stderr.isatty():
            print(f"\r[{done}/{total}] {what:<40}", end="", file=sys.stderr, flush=True)
            if done == total:
                print(file=sys.stderr)
        elif done % 10 == 0 or done == total:
            say(f"[{done}/{total}] {what}")

    return show

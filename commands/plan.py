"""plan: say how many subjects the next trial needs, from this study's variation."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import ManifestError
from ..measures import COMPARED, PRIMARY_MEASURES
from ..tables import read_table
from .console import give

DESCRIPTION = """\
Reads the standard deviation of the changes from statistics.csv of a results folder and
says how many subjects a trial needs to find a given mean change (one arm) or a given
difference between two arms, and what fewer or more would find.
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = DESCRIPTION
    parser.add_argument("directory", type=Path, metavar="DIR", help="the results folder")
    parser.add_argument(
        "--measure",
        choices=list(COMPARED),
        default=PRIMARY_MEASURES[0],
        metavar="MEASURE",
        help="the measure that is to change, as in statistics.csv (%(default)s)",
    )
    parser.add_argument(
        "--difference",
        type=float,
        required=True,
        metavar="NUMBER",
        help="the smallest mean change, or difference between arms, that must be found, in the "
        "unit of the measure",
    )
    parser.add_argument(
        "--arms", type=int, choices=(1, 2), default=1, help="arms of the trial (%(default)s)"
    )
    parser.add_argument(
        "--power", type=float, default=0.8, metavar="SHARE", help="wanted power (%(default)s)"
    )
    parser.add_argument(
        "--dropout",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="share of the enrolled who will not be compared (%(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Say how many subjects are needed."""
    from ..analysis.planning import (  # noqa: PLC0415 - SciPy takes a second
        enrolled_for,
        power_of,
        subjects_needed,
    )

    n, sd = _spread(arguments.directory, arguments.measure)
    difference, arms = arguments.difference, arguments.arms
    try:
        needed = subjects_needed(difference, sd, power=arguments.power, arms=arms)
        enrolled = enrolled_for(needed, arguments.dropout)
    except ValueError as error:
        raise ManifestError(
            "bad_manifest", "This cannot be planned", found=str(error), do="change the options"
        ) from None
    around = sorted({max(2, round(needed * share)) for share in (0.25, 0.5, 0.75, 1, 1.5, 2, 3)})
    curve = [(size, power_of(size, difference, sd, arms=arms)) for size in around]
    if arguments.json:
        give(
            {
                "command": "plan",
                "measure": arguments.measure,
                "sd_change": sd,
                "n_of_sd": n,
                "arms": arms,
                "compared_per_arm": needed,
                "enrolled_per_arm": enrolled,
                "curve": [{"compared_per_arm": size, "power": power} for size, power in curve],
            }
        )
        return 0
    measure = COMPARED[arguments.measure]
    what = "a mean change" if arms == 1 else "a difference between the arms"
    each = "" if arms == 1 else " in each arm"
    print(
        f"SD of the changes of {measure.inside} in this study: {sd:.4g} {measure.unit} (n = {n})."
    )
    print(
        f"To find {what} of {difference:g} {measure.unit} with {100 * arguments.power:g} % power "
        f"(two-sided t test, 5 %): {needed} compared{each}, {enrolled} enrolled{each}."
    )
    for size, power in curve:
        print(f"  {size:5d} compared{each}: power {100 * power:5.1f} %  {'#' * round(40 * power)}")
    if n < 20:
        print(
            f"The SD of {n} subjects is itself uncertain: it may well be a third larger. Plan for "
            "that, too."
        )
    return 0


def _spread(directory: Path, measure: str) -> tuple[int, float]:
    """Pairs and standard deviation of the changes, from statistics.csv."""
    for row in read_table(directory, "statistics"):
        if row["measure"] == measure and row["quantity"] == "sd_change" and row["value"]:
            return int(row["n"] or 0), float(row["value"])
    raise ManifestError(
        "bad_manifest",
        "The study does not say how much the changes vary",
        found=f"no sd_change of {measure} in {directory / 'statistics.csv'}",
        do="give the results folder of a study with at least 2 pairs of that measure",
    )

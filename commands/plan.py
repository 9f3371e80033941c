"""plan: say how many subjects the next trial needs, from this study's variation."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from ..errors import ManifestError
from ..measures import COMPARED, PRIMARY_MEASURES
from ..tables import read_table
from .console import give

DESCRIPTION = """\
Reads the standard deviation of the changes from statistics.csv of a results folder and
says how many subjects a trial needs to find a given mean change (one arm) or a given
difference between two arms, and what fewer or more would find.

Takes a second.
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
    parser.add_argument(
        "--figure",
        type=Path,
        metavar="FILE",
        help="also draw the curve of power by number of subjects, as SVG",
    )


def run(arguments: argparse.Namespace) -> int:
    """Say how many subjects are needed."""
    from ..analysis.planning import (  # noqa: PLC0415 - SciPy takes a second
        enrolled_for,
        power_of,
        spread_high,
        subjects_needed,
    )

    n, df, sd = _spread(arguments.directory, arguments.measure)
    difference, arms, high = arguments.difference, arguments.arms, spread_high(sd, df + 1)
    try:
        needed, cautious = (
            subjects_needed(difference, one, power=arguments.power, arms=arms) for one in (sd, high)
        )
        enrolled = [enrolled_for(one, arguments.dropout) for one in (needed, cautious)]
    except ValueError as error:
        raise ManifestError(
            "bad_manifest", "This cannot be planned", found=str(error), do="change the options"
        ) from None
    around = sorted({max(2, round(needed * share)) for share in (0.25, 0.5, 0.75, 1, 1.5, 2, 3)})
    curve = [(size, power_of(size, difference, sd, arms=arms)) for size in around]
    if arguments.figure is not None:
        _draw(arguments, (sd, high), needed)
    if arguments.json:
        give(
            {
                "command": "plan",
                "measure": arguments.measure,
                "sd_change": sd,
                "n_of_sd": n,
                "sd_change_high": high,
                "arms": arms,
                "compared_per_arm": needed,
                "enrolled_per_arm": enrolled[0],
                "compared_per_arm_cautious": cautious,
                "enrolled_per_arm_cautious": enrolled[1],
                "curve": [{"compared_per_arm": size, "power": power} for size, power in curve],
            }
        )
        return 0
    measure = COMPARED[arguments.measure]
    each = "" if arms == 1 else " in each arm"
    print(
        f"SD of the changes of {measure.inside} in this study: {sd:.4g} {measure.unit} (n = {n}"
        f"{', within its arms' if df < n - 1 else ''})."
    )
    print(
        f"To find {_aim(arguments)} with {100 * arguments.power:g} % power (two-sided t test, "
        f"5 %): {needed} compared{each}, {enrolled[0]} enrolled{each}."
    )
    for size, power in curve:
        print(f"  {size:5d} compared{each}: power {100 * power:5.1f} %  {'#' * round(40 * power)}")
    print(
        f"With the upper 95 % limit of the SD ({high:.4g} {measure.unit}): {cautious} "
        f"compared{each}, {enrolled[1]} enrolled{each}."
    )
    return 0


def _aim(arguments: argparse.Namespace) -> str:
    """What is to be found, in words."""
    what = "a mean change" if arguments.arms == 1 else "a difference between the arms"
    return f"{what} of {arguments.difference:g} {COMPARED[arguments.measure].unit}"


def _draw(arguments: argparse.Namespace, spreads: tuple[float, float], needed: int) -> None:
    """Write the curve for the SD found and for its upper limit."""
    from ..analysis.planning import power_of  # noqa: PLC0415
    from ..files import write_text  # noqa: PLC0415
    from ..report.figures_planning import power_curve  # noqa: PLC0415

    sizes = sorted({2 + round((3 * needed - 2) * step / 40) for step in range(41)})
    found, cautious = (
        [(size, power_of(size, arguments.difference, sd, arms=arguments.arms)) for size in sizes]
        for sd in spreads
    )
    title = f"Power to find {_aim(arguments)} in {COMPARED[arguments.measure].inside}"
    write_text(arguments.figure, power_curve(title, found, cautious, needed, arguments.power))


def _spread(directory: Path, measure: str) -> tuple[int, int, float]:
    """Pairs, degrees of freedom and standard deviation of the changes, from statistics.csv.

    Where the study had arms, their variances are pooled: a standard deviation of all together
    would count the difference between the arms as spread.
    """
    found = [
        (str(row["measure"]), int(row["n"] or 0), float(row["value"]))
        for row in read_table(directory, "statistics")
        if row["quantity"] == "sd_change" and row["value"]
    ]
    within = [(n, sd) for name, n, sd in found if name.startswith(f"{measure}[") and n > 1]
    for some in (within, [(n, sd) for name, n, sd in found if name == measure]):
        if some:
            df = sum(n - 1 for n, _ in some)
            pooled = math.sqrt(sum((n - 1) * sd**2 for n, sd in some) / df)
            return sum(n for n, _ in some), df, pooled
    raise ManifestError(
        "bad_manifest",
        "The study does not say how much the changes vary",
        found=f"no sd_change of {measure} in {directory / 'statistics.csv'}",
        do="give the results folder of a study with at least 2 pairs of that measure",
    )

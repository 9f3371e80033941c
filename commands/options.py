"""Options and types of arguments that several commands share."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add the results folder."""
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder for the results; made where it is missing. Nothing is written elsewhere",
    )


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add what commands that measure share."""
    parser.add_argument(
        "--workers",
        type=positive,
        metavar="N",
        help="cases measured at the same time; each needs memory of its own (default: 1)",
    )
    parser.add_argument(
        "--settings",
        type=Path,
        metavar="FILE.yaml",
        help="settings that differ from the defaults, in the shape of configs/default.yaml",
    )


def add_comparison(parser: argparse.ArgumentParser) -> None:
    """Add how strictly visits are compared."""
    parser.add_argument(
        "--require-review",
        action="store_true",
        help="compare only cases that a reader has accepted",
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="refuse tables in which entries have to be reinterpreted",
    )


def positive(text: str) -> int:
    """A whole number from 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def minutes(text: str) -> float:
    """A time that is not zero."""
    number = float(text)
    if not 0 < number <= 100_000:
        raise argparse.ArgumentTypeError("must be a number of minutes above 0")
    return number


def at_least_3(text: str) -> int:
    """Subjects of the demo: one has an unreadable scan, and two pairs must be left."""
    number = int(text)
    if number < 3:
        raise argparse.ArgumentTypeError("must be 3 or more")
    return number


def micrometres(text: str) -> float:
    """The size of a pixel; a decimal comma is taken, too."""
    number = float(text.replace(",", "."))
    if not 0 < number < 1000:
        raise argparse.ArgumentTypeError("must be the size of one pixel in um, such as 0.5")
    return number

"""Number types for the argument parser, with messages that say what is expected."""

from __future__ import annotations

import argparse


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


def at_least_6(text: str) -> int:
    """Subjects of the demo: fewer than 6 cannot reach p < 0.05."""
    number = int(text)
    if number < 6:
        raise argparse.ArgumentTypeError("must be 6 or more")
    return number


def micrometres(text: str) -> float:
    """The size of a pixel; a decimal comma is taken, too."""
    number = float(text.replace(",", "."))
    if not 0 < number < 1000:
        raise argparse.ArgumentTypeError("must be the size of one pixel in um, such as 0.5")
    return number

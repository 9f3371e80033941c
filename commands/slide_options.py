"""Command-line options about one slide, and what they say of its case."""

from __future__ import annotations

import argparse
from typing import Any


def add_slide_choices(parser: argparse.ArgumentParser) -> None:
    """Add them to a command."""
    group = parser.add_argument_group("what the files leave open")
    group.add_argument(
        "--image",
        type=_image,
        metavar="N",
        help="number of the picture in a file that contains several, as `fibrovol inspect` lists "
        "them; all: each picture that may be a slide, by itself",
    )
    group.add_argument(
        "--white",
        type=_white,
        metavar="R,G,B",
        help="colour of empty glass, where none is seen; or X,Y,WIDTH,HEIGHT: a rectangle of it in "
        "pixels at full resolution",
    )
    group.add_argument(
        "--region-label",
        metavar="LABEL",
        help="labels or colours (#RRGGBB) of a mask picture that are inside; several joined by ;",
    )
    for what, says in (("include", "may be measured"), ("exclude", "are left out")):
        group.add_argument(
            f"--{what}-class",
            action="append",
            metavar="NAME",
            help=f"class of the annotations that {says}; may be given more than once",
        )


def slide_choices(arguments: argparse.Namespace) -> dict[str, Any]:
    """The fields of a case that they fill."""
    return {
        "image": arguments.image or None,
        "white": arguments.white or (),
        "region_label": arguments.region_label or "",
        "include_class": ";".join(arguments.include_class or []),
        "exclude_class": ";".join(arguments.exclude_class or []),
    }


ALL_IMAGES = 0
"""What ``--image all`` stands for."""


def _image(text: str) -> int:
    if text.lower() == "all":
        return ALL_IMAGES
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number from 1 nor all")
    return int(text)


def _white(text: str) -> tuple[float, ...]:
    from ..intake.cases import read_white  # noqa: PLC0415 - start-up time

    try:
        return read_white(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None

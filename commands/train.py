"""train: train the liver network on the user's own labelled CTs."""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..batch.pool import available_cores
from ..errors import ConfigError, suggest
from ..training.organs import ORGANS
from .console import counting, give, say
from .options import add_output, minutes
from .scan_options import add_device

if TYPE_CHECKING:
    from ..training.train import TrainSettings


def parse_labels(text: str) -> dict[int, int]:
    """Read ``liver=1,spleen=2``: what the numbers in the user's label maps mean.

    Args:
        text: organ=number, joined by commas.

    Returns:
        BTCV's number by the user's.

    Raises:
        ConfigError: an organ that is not known, no number, a number twice, or no liver.
    """
    labels: dict[int, int] = {}
    for part in text.split(","):
        organ, _, number = part.strip().partition("=")
        if organ not in ORGANS:
            raise _wrong(part, suggest(organ, ORGANS))
        if not number.strip().isdigit() or not 0 < int(number) < 256:
            raise _wrong(part, "write ORGAN=NUMBER with a number from 1 to 255")
        if int(number) in labels:
            raise _wrong(part, "give each number once")
        labels[int(number)] = ORGANS[organ]
    if ORGANS["liver"] not in labels.values():
        raise _wrong(text, "name the liver, such as liver=1")
    return labels


def _wrong(found: str, do: str) -> ConfigError:
    return ConfigError("bad_config", "--labels is not valid", found=found, do=do)


DESCRIPTION = """\
Trains the liver network on a folder of CTs (NAME_ct.nii.gz with NAME_organs.nii.gz)
for a given time, from the start or, with --from-shipped, from Fibrovol's own. Without
a graphics card it takes hours; stopped and started again it continues. Writes a bundle
for --bundle. Keep some cases out with --hold-out and judge the bundle on them with
`fibrovol evaluate --bundle`.
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = DESCRIPTION
    parser.add_argument("folder", type=Path, nargs="?", metavar="FOLDER", help="the labelled CTs")
    parser.add_argument(
        "--from-reviews",
        type=Path,
        metavar="RESULTS",
        help="instead of FOLDER: learn from the outlines that readers corrected in this results "
        "folder; their scans are copied to OUT/reviews",
    )
    add_output(parser)
    parser.add_argument("--minutes", type=minutes, metavar="N", help="training time (default: 90)")
    made = (
        "YAML that says how to train; `liver` and `liver_mr` are how the shipped weights for CT "
        "and MR are made"
    )
    parser.add_argument("--recipe", metavar="FILE", help=made)
    parser.add_argument(
        "--labels",
        metavar="ORGAN=N,…",
        help="what the numbers in your label maps mean, such as liver=1,spleen=2 "
        "(default: BTCV's, liver=6)",
    )
    parser.add_argument(
        "--hold-out", nargs="+", metavar="NAME", help="cases to leave out of training"
    )
    shipped = "start from the network that Fibrovol ships, not from random weights"
    parser.add_argument("--from-shipped", action="store_true", help=shipped)
    add_device(parser)
    parser.add_argument("--seed", type=int, metavar="N", help="random seed (default: 0)")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    labels = parse_labels(arguments.labels) if arguments.labels else None
    folder = _folder(arguments)

    from ..imaging.engines.liver_net import shipped_weights  # noqa: PLC0415 - start-up time
    from ..training.bundle import bundle_of_training  # noqa: PLC0415
    from ..training.recipe import SHIPPED, Recipe, read_train_settings  # noqa: PLC0415
    from ..training.train import TrainProgress, TrainSettings  # noqa: PLC0415
    from ..training.train import train as train_network  # noqa: PLC0415

    if arguments.recipe:
        recipe = read_train_settings(SHIPPED.get(arguments.recipe, Path(arguments.recipe)))
    else:
        recipe = Recipe(replace(TrainSettings(), threads=available_cores()))
    settings = recipe.settings
    if arguments.minutes is not None:
        settings = replace(settings, minutes=arguments.minutes)
    if arguments.device is not None:
        settings = replace(settings, device=arguments.device)
    if arguments.seed is not None:
        settings = replace(settings, seed=arguments.seed)
    if not arguments.json:
        say(
            f"Training for {_span(settings)}; stopping and starting again continues from "
            f"{arguments.output / 'checkpoint'}. Progress: {arguments.output / 'log.jsonl'}"
        )
    by_clock = settings.minutes is not None
    with counting("minutes of training" if by_clock else "steps of training") as count:

        def show(now: TrainProgress) -> None:
            if arguments.json:
                print(json.dumps({"event": "step", **asdict(now)}), file=sys.stderr, flush=True)
            elif settings.minutes is not None:
                count(int(now.minutes), math.ceil(settings.minutes))
            else:
                count(now.step, settings.steps or now.step)

        weights = train_network(
            folder,
            arguments.output,
            settings,
            hold_out=(*recipe.hold_out, *(arguments.hold_out or ())),
            only=recipe.only,
            label_map=labels,
            initial=shipped_weights() if arguments.from_shipped or recipe.from_shipped else None,
            progress=show,
        )
    bundle = bundle_of_training(arguments.output)
    if arguments.json:
        give({"command": "train", "weights": str(weights), "bundle": str(bundle)})
    else:
        say(f"Bundle: {bundle}")
        say(f"Use it: fibrovol volume SCAN --bundle {bundle} --trust-bundle -o OUT")
    return 0


def _folder(arguments: argparse.Namespace) -> Path:
    """The folder of labelled CTs: as given, or written from readers' corrections.

    Raises:
        ConfigError: neither or both were given.
        InputError: there is no correction to learn from.
    """
    if (arguments.folder is None) == (arguments.from_reviews is None):
        raise ConfigError(
            "bad_config",
            "What to train on is not clear",
            found="a folder and --from-reviews" if arguments.folder else "no folder",
            do="give a folder of labelled CTs, or --from-reviews with a results folder",
        )
    if arguments.folder is not None:
        return Path(arguments.folder)
    if arguments.labels:
        raise _wrong(arguments.labels, "leave it out: corrected outlines say what they are")
    from ..review.training_cases import write_training_cases  # noqa: PLC0415 - start-up time

    folder = Path(arguments.output) / "reviews"
    listed = write_training_cases(arguments.from_reviews, folder)
    for name, reason in listed.left_out:
        say(f"{name} is left out: {reason}")
    say(f"Learning from {len(listed.taken)} corrected CTs, copied to {folder}")
    return folder


def _span(settings: TrainSettings) -> str:
    spans = []
    if settings.minutes is not None:
        spans.append(f"{settings.minutes:g} minutes")
    if settings.steps is not None:
        spans.append(f"{settings.steps} steps")
    return " or ".join(spans)

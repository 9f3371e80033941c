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


def train(arguments: argparse.Namespace) -> int:
    """``fibrovol train``."""
    labels = parse_labels(arguments.labels) if arguments.labels else None

    from ..imaging.engines.liver_net import shipped_weights  # noqa: PLC0415 - start-up time
    from ..training.bundle import bundle_of_training  # noqa: PLC0415
    from ..training.recipe import SHIPPED, Recipe, read_train_settings  # noqa: PLC0415
    from ..training.train import TrainProgress, TrainSettings  # noqa: PLC0415
    from ..training.train import train as train_network  # noqa: PLC0415

    if arguments.recipe:
        recipe = read_train_settings(
            SHIPPED if arguments.recipe == "liver" else Path(arguments.recipe)
        )
    else:
        recipe = Recipe(replace(TrainSettings(), threads=available_cores()))
    settings = recipe.settings
    if arguments.minutes is not None:
        settings = replace(settings, minutes=arguments.minutes)
    if arguments.seed is not None:
        settings = replace(settings, seed=arguments.seed)
    if not arguments.json:
        say(
            f"Training for {_span(settings)}; stopping and starting again goes on from "
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
            arguments.folder,
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


def _span(settings: TrainSettings) -> str:
    spans = []
    if settings.minutes is not None:
        spans.append(f"{settings.minutes:g} minutes")
    if settings.steps is not None:
        spans.append(f"{settings.steps} steps")
    return " or ".join(spans)

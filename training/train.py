"""Train the liver network on labelled CT; stops by the clock, resumes after a kill."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ..errors import ManifestError
from ..files import atomic_path, write_text
from ..models.inference import load_weights
from ..models.network import build_network
from .dataset import WindowStream, find_pairs, load_case
from .synthesis import Case, SynthesisSettings

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainSettings:
    """How the network is trained.

    Attributes:
        minutes: wall-clock budget; the learning rate falls to zero over it.
        learning_rate: peak of the one-cycle schedule (AdamW).
        contrasts: contrasts drawn for each geometry (the batch).
        workers: processes that draw windows.
        threads: torch threads of the training process.
        checkpoint_minutes: how often a resumable checkpoint is saved.
        ema: decay of the weights' moving average, which is what is shipped.
        seed: seed of the windows.
    """

    minutes: float = 90.0
    learning_rate: float = 1.5e-3
    contrasts: int = 2
    workers: int = 2
    threads: int = 2
    checkpoint_minutes: float = 4.0
    ema: float = 0.999
    seed: int = 0


def segmentation_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy plus soft Dice over the classes present; the liver counts three times.

    Args:
        logits: (n, classes, x, y, z).
        target: (n, 1, x, y, z), class numbers.
    """
    log_probability = logits.float().contiguous().log_softmax(1)
    onehot = torch.zeros_like(log_probability).scatter_(1, target, 1.0)
    axes = (0, 2, 3, 4)
    entropy = -(log_probability * onehot).sum(axes).sum() / target.numel()
    probability = log_probability.exp()
    overlap = (probability * onehot).sum(axes)
    total = probability.sum(axes) + onehot.sum(axes)
    dice = 1 - (2 * overlap + 50.0) / (total + 50.0)
    importance = torch.tensor([0.5, 3.0, 1.0, 0.5])
    return entropy + (dice * importance).sum() / importance.sum()


@dataclass(frozen=True)
class TrainProgress:
    """How far a training is.

    Attributes:
        step: optimiser steps so far.
        minutes: spent so far, earlier tries counted in.
        loss: running mean of the loss; 0 is perfect.
    """

    step: int
    minutes: float
    loss: float


@dataclass
class _State:
    """What a checkpoint holds."""

    network: nn.Module
    optimiser: torch.optim.Optimizer
    average: dict[str, Tensor]
    step: int = 0
    seconds: float = 0.0


def train(
    folder: Path,
    output: Path,
    settings: TrainSettings | None = None,
    *,
    hold_out: tuple[str, ...] = (),
    label_map: dict[int, int] | None = None,
    only: tuple[str, ...] = (),
    initial: Path | None = None,
    progress: Callable[[TrainProgress], None] | None = None,
) -> Path:
    """Train on a folder of labelled CTs.

    Args:
        folder: scans and label maps as :func:`find_pairs` wants them.
        output: folder for ``checkpoint.pt`` (resumable), ``model.pt`` (weights) and ``log.jsonl``.
        settings: how to train.
        hold_out: case names never trained on.
        label_map: the label maps' numbers to BTCV's.
        only: case names to train on; all (but ``hold_out``) where empty.
        initial: weights to start from, random ones where None.
        progress: told every 50 steps and at the end.

    Returns:
        the path of ``model.pt``.

    Raises:
        ManifestError: no labelled scans, or some that cannot be used, or none left to train on.
    """
    settings = settings or TrainSettings()
    output.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(settings.seed)
    torch.set_num_threads(settings.threads)
    pairs = [p for p in find_pairs(folder) if p[0] not in hold_out and (not only or p[0] in only)]
    if not pairs:
        raise ManifestError(
            "bad_manifest",
            "no case is left to train on",
            found=f"all of {folder} are held out",
            do="hold out fewer cases",
        )
    cases = [load_case(scan, labels, label_map) for _, scan, labels in pairs]
    state = _begin(output, settings, initial)
    loader = _windows(cases, settings, seed=settings.seed + state.step)
    began = saved_at = time.monotonic()
    seconds_before, running = state.seconds, float("nan")
    state.network.train()
    for images, targets in loader:
        state.seconds = seconds_before + time.monotonic() - began
        done = state.seconds / (60 * settings.minutes)
        if done >= 1:
            break
        loss = _step(state, images, targets, settings, rate=_schedule(done))
        running = loss if math.isnan(running) else 0.98 * running + 0.02 * loss
        if state.step % 50 == 0:
            _log(output, state, running, progress)
        if time.monotonic() - saved_at > 60 * settings.checkpoint_minutes:
            _save(output, state)
            saved_at = time.monotonic()
    if not math.isnan(running):
        _log(output, state, running, progress)
    state.seconds = 60 * settings.minutes
    _save(output, state)
    facts = {**asdict(settings), "cases": [p[0] for p in pairs], "steps": state.step}
    write_text(output / "settings.json", json.dumps(facts))
    return output / "model.pt"


def _begin(output: Path, settings: TrainSettings, initial: Path | None) -> _State:
    """A new network, or the one that an earlier try left in ``checkpoint.pt``."""
    network = build_network().to(memory_format=torch.channels_last_3d)
    if initial is not None:
        load_weights(network, str(initial))
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=settings.learning_rate, weight_decay=1e-4, betas=(0.9, 0.99)
    )
    average = {k: v.detach().clone() for k, v in network.state_dict().items()}
    state = _State(network, optimiser, average)
    checkpoint = output / "checkpoint.pt"
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(saved["network"])
        optimiser.load_state_dict(saved["optimiser"])
        state.average, state.step, state.seconds = saved["average"], saved["step"], saved["seconds"]
        logger.info("resumed at step %d after %.0f s", state.step, state.seconds)
    return state


def _windows(cases: Sequence[Case], settings: TrainSettings, *, seed: int) -> DataLoader[Any]:
    stream = WindowStream(cases, SynthesisSettings(), seed=seed, contrasts=settings.contrasts)
    return DataLoader(
        stream,
        batch_size=None,
        num_workers=settings.workers,
        prefetch_factor=4 if settings.workers else None,
    )


def _step(
    state: _State, images: Tensor, targets: Tensor, settings: TrainSettings, *, rate: float
) -> float:
    """One optimiser step at a share of the peak learning rate; returns the loss."""
    for group in state.optimiser.param_groups:
        group["lr"] = settings.learning_rate * rate
    with torch.autocast("cpu", torch.bfloat16):
        logits = state.network(images.to(memory_format=torch.channels_last_3d))
    loss = segmentation_loss(logits, targets)
    state.optimiser.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(state.network.parameters(), 1.0)
    state.optimiser.step()
    state.step += 1
    decay = min(settings.ema, state.step / (state.step + 20))
    for name, value in state.network.state_dict().items():
        state.average[name].lerp_(value, 1 - decay)
    return float(loss.item())


def _schedule(done: float) -> float:
    """One cycle: a short rise, then half a cosine to zero."""
    if done < 0.02:
        return 0.05 + 0.95 * done / 0.02
    return float(0.5 * (1 + torch.cos(torch.tensor((done - 0.02) / 0.98 * torch.pi))))


def _log(
    output: Path,
    state: _State,
    loss: float,
    progress: Callable[[TrainProgress], None] | None,
) -> None:
    now = TrainProgress(state.step, round(state.seconds / 60, 2), round(loss, 4))
    with (output / "log.jsonl").open("a", encoding="utf-8", newline="\n") as stream:
        stream.write(json.dumps(asdict(now)) + "\n")
    if progress is not None:
        progress(now)


def _save(output: Path, state: _State) -> None:
    with atomic_path(output / "checkpoint.pt") as temporary:
        torch.save(
            {
                "network": state.network.state_dict(),
                "optimiser": state.optimiser.state_dict(),
                "average": state.average,
                "step": state.step,
                "seconds": state.seconds,
            },
            temporary,
        )
    with atomic_path(output / "model.pt") as temporary:
        torch.save({k: v.contiguous() for k, v in state.average.items()}, temporary)

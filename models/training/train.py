"""Train the liver network on labelled CT; stops by the clock, resumes after a kill."""

from __future__ import annotations

import json
import logging
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ...files import atomic_path
from ..network import build_network
from .dataset import WindowStream, find_pairs, load_case
from .synthesis import SynthesisSettings

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
    ema: float = 0.998
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


def train(
    folder: Path,
    output: Path,
    settings: TrainSettings | None = None,
    *,
    hold_out: tuple[str, ...] = (),
    label_map: dict[int, int] | None = None,
    only: tuple[str, ...] = (),
) -> Path:
    """Train on a folder of labelled CTs.

    Args:
        folder: scans and label maps as :func:`find_pairs` wants them.
        output: folder for ``checkpoint.pt`` (resumable), ``model.pt`` (weights) and ``log.jsonl``.
        settings: how to train.
        hold_out: case names never trained on.
        label_map: the label maps' numbers to BTCV's.
        only: case names to train on; all (but ``hold_out``) where empty.

    Returns:
        the path of ``model.pt``.
    """
    settings = settings or TrainSettings()
    output.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(settings.seed)
    torch.set_num_threads(settings.threads)
    pairs = [p for p in find_pairs(folder) if p[0] not in hold_out and (not only or p[0] in only)]
    logger.info("training on %d cases: %s", len(pairs), " ".join(p[0] for p in pairs))
    cases = [load_case(scan, labels, label_map) for _, scan, labels in pairs]

    network = build_network().to(memory_format=torch.channels_last_3d)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=settings.learning_rate, weight_decay=1e-4, betas=(0.9, 0.99)
    )
    average = {k: v.detach().clone() for k, v in network.state_dict().items()}
    step, seconds_before = 0, 0.0
    checkpoint = output / "checkpoint.pt"
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(saved["network"])
        optimiser.load_state_dict(saved["optimiser"])
        average, step, seconds_before = saved["average"], saved["step"], saved["seconds"]
        logger.info("resumed at step %d after %.0f s", step, seconds_before)

    stream = WindowStream(
        cases, SynthesisSettings(), seed=settings.seed + step, contrasts=settings.contrasts
    )
    loader: DataLoader[Any] = DataLoader(
        stream,
        batch_size=None,
        num_workers=settings.workers,
        prefetch_factor=4 if settings.workers else None,
    )
    began = time.monotonic()
    saved_at, running = began, float("nan")
    network.train()
    for images, targets in loader:
        elapsed = seconds_before + time.monotonic() - began
        done = elapsed / (60 * settings.minutes)
        if done >= 1:
            break
        for group in optimiser.param_groups:
            group["lr"] = settings.learning_rate * _schedule(done)
        batch = images.to(memory_format=torch.channels_last_3d)
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(batch)
        loss = segmentation_loss(logits, targets)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        step += 1
        decay = min(settings.ema, step / (step + 20))
        for name, value in network.state_dict().items():
            average[name].lerp_(value, 1 - decay)
        running = loss.item() if math.isnan(running) else 0.98 * running + 0.02 * loss.item()
        if step % 50 == 0:
            _log(
                output, {"step": step, "minutes": round(elapsed / 60, 2), "loss": round(running, 4)}
            )
        if time.monotonic() - saved_at > 60 * settings.checkpoint_minutes:
            _save(output, network, optimiser, average, step, elapsed)
            saved_at = time.monotonic()
    _save(output, network, optimiser, average, step, 60 * settings.minutes)
    with (output / "settings.json").open("w", encoding="utf-8") as stream_out:
        json.dump({**asdict(settings), "cases": [p[0] for p in pairs], "steps": step}, stream_out)
    return output / "model.pt"


def _schedule(done: float) -> float:
    """One cycle: a short rise, then half a cosine to zero."""
    if done < 0.02:
        return 0.05 + 0.95 * done / 0.02
    return float(0.5 * (1 + torch.cos(torch.tensor((done - 0.02) / 0.98 * torch.pi))))


def _log(output: Path, row: dict[str, float]) -> None:
    with (output / "log.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(row) + "\n")
    logger.info("%s", row)


def _save(
    output: Path,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    average: dict[str, Tensor],
    step: int,
    seconds: float,
) -> None:
    with atomic_path(output / "checkpoint.pt") as temporary:
        torch.save(
            {
                "network": network.state_dict(),
                "optimiser": optimiser.state_dict(),
                "average": average,
                "step": step,
                "seconds": seconds,
            },
            temporary,
        )
    with atomic_path(output / "model.pt") as temporary:
        torch.save({k: v.contiguous() for k, v in average.items()}, temporary)

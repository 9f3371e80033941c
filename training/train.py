"""Train the liver network on labelled CT, on a GPU or the CPU, by steps or by the clock.

A training that is stopped continues from its checkpoint, and since each step draws its windows from
its own seed, one that was killed five times follows the same curve as one that was not.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ManifestError
from ..files import atomic_path, write_text
from ..models.device import choose_device
from ..models.inference import load_weights
from ..models.network import build_network
from .checkpoint import read_checkpoint, write_checkpoint
from .dataset import find_pairs, load_case
from .synthesis import Batch, Synthesis, SynthesisSettings

logger = logging.getLogger(__name__)

_WEIGHTS = (0.5, 2.0, 1.0, 0.5)  # of the classes in the Dice part of the loss
_LOG_STEPS = 10
_SYNTHESIS = SynthesisSettings()


@dataclass(frozen=True)
class TrainSettings:
    """How the network is trained; the learning rate falls to zero over steps or minutes."""

    steps: int | None = None
    """Optimiser steps; None trains by the clock."""

    minutes: float | None = 90.0
    """Wall-clock budget, earlier tries counted in; None trains by steps."""

    batch: int = 2
    """Windows a step."""

    learning_rate: float = 1.5e-3
    """Peak of the one-cycle schedule (AdamW)."""

    warm_up: float = 0.02
    """Share of the training in which the rate rises."""

    constant: float = 0.0
    """Share of the training after the rise in which the rate stays, before it falls."""

    ema: float = 0.999
    """Decay of the weights' moving average, which is what is shipped."""

    seed: int = 0
    """Of the windows and of new weights."""

    device: str = "auto"
    """``cpu``, ``cuda``, ``mps``, or ``auto``: a CUDA card where there is one."""

    threads: int = 2
    """Torch threads on the CPU."""

    checkpoint_minutes: float = 4.0
    """How often a resumable checkpoint and the weights so far are saved."""

    synthesis: SynthesisSettings = _SYNTHESIS
    """How windows are drawn."""


@dataclass(frozen=True)
class TrainProgress:
    """How far a training is."""

    step: int
    """Optimiser steps so far."""

    minutes: float
    """Spent so far, earlier tries counted in."""

    loss: float
    """Running mean of the loss; 0 is perfect."""


@dataclass
class _State:
    network: nn.Module
    optimiser: torch.optim.Optimizer
    average: dict[str, Tensor]
    step: int = 0
    seconds: float = 0.0
    loss: float = math.nan


def segmentation_loss(logits: Tensor, target: Tensor, only_liver: Tensor) -> Tensor:
    """Cross-entropy plus soft Dice of the classes plus soft Dice of each window's liver.

    Args:
        logits: (n, classes, x, y, z).
        target: (n, 1, x, y, z), class numbers.
        only_liver: bool (n,), windows in which all but the liver is one class.
    """
    log_probability = logits.float().contiguous().log_softmax(1)
    probability = log_probability.exp()
    onehot = torch.zeros_like(log_probability).scatter_(1, target, 1.0)
    entropy = -(onehot * log_probability).sum(1)
    liver, true_liver = probability[:, 1], onehot[:, 1]
    if only_liver.any():
        rest = torch.log1p(-liver.clamp(max=1 - 1e-5))
        two_classes = -(true_liver * log_probability[:, 1] + (1 - true_liver) * rest)
        entropy = torch.where(only_liver.view(-1, 1, 1, 1), two_classes, entropy)
    space = (1, 2, 3)
    overlap = (liver * true_liver).sum(space)
    total = (liver + true_liver).sum(space)
    liver_dice = (1 - (2 * overlap + 100) / (total + 100)).mean()
    counted = (~only_liver).float().view(-1, 1, 1, 1, 1)
    axes = (0, 2, 3, 4)
    overlap = (probability * onehot * counted).sum(axes)
    total = ((probability + onehot) * counted).sum(axes)
    dice = 1 - (2 * overlap + 50) / (total + 50)
    weights = torch.tensor(_WEIGHTS, device=logits.device)
    loss: Tensor = entropy.mean() + 0.5 * (dice * weights).sum() / weights.sum() + 0.5 * liver_dice
    return loss


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
    """Train on a folder of labelled CTs; continues where an earlier try in ``output`` stopped.

    Args:
        folder: scans and label maps as :func:`find_pairs` wants them.
        output: folder for ``checkpoint`` (resumable), ``model.pt`` (the averaged weights so far, in
            half precision) and ``log.jsonl``.
        settings: how to train.
        hold_out: case names never trained on.
        label_map: the label maps' numbers to BTCV's.
        only: case names to train on; all (but ``hold_out``) where empty.
        initial: weights to start from, random ones where None.
        progress: told every ten steps and at the end.

    Returns:
        the path of ``model.pt``.

    Raises:
        ManifestError: no labelled scans, or some that cannot be used, or none left to train on.
    """
    settings = settings or TrainSettings()
    output.mkdir(parents=True, exist_ok=True)
    pairs = [p for p in find_pairs(folder) if p[0] not in hold_out and (not only or p[0] in only)]
    if not pairs:
        raise ManifestError(
            "bad_manifest",
            "no case is left to train on",
            found=f"all of {folder} are held out",
            do="hold out fewer cases",
        )
    with _threads(settings.threads):
        return _train(
            pairs, output, settings, label_map=label_map, initial=initial, progress=progress
        )


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Let torch use this many threads, and as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _train(
    pairs: list[tuple[str, Path, Path]],
    output: Path,
    settings: TrainSettings,
    *,
    label_map: dict[int, int] | None,
    initial: Path | None,
    progress: Callable[[TrainProgress], None] | None,
) -> Path:
    device = choose_device(settings.device)
    cases = [load_case(scan, labels, label_map) for _, scan, labels in pairs]
    synthesis = Synthesis(cases, settings.synthesis, device)
    state = _begin(output, settings, initial, device)
    _forget_later_lines(output / "log.jsonl", state.step)
    began = saved_at = time.monotonic()
    seconds_before = state.seconds
    state.network.train()
    while (done := _done(state, settings)) < 1:
        batch = synthesis.batch([settings.seed, state.step], settings.batch)
        loss = _step(state, batch, settings, rate=_schedule(done, settings))
        state.loss = loss if math.isnan(state.loss) else 0.98 * state.loss + 0.02 * loss
        state.seconds = seconds_before + time.monotonic() - began
        if state.step % _LOG_STEPS == 0:
            _log(output, state, progress)
        if time.monotonic() - saved_at > 60 * settings.checkpoint_minutes:
            _save(output, state)
            saved_at = time.monotonic()
    if state.step % _LOG_STEPS:
        _log(output, state, progress)
    _save(output, state)
    facts = {
        **asdict(settings),
        "device": device,
        "cases": [p[0] for p in pairs],
        "steps": state.step,
        "minutes": round(state.seconds / 60, 1),
        "initial": "" if initial is None else initial.name,
    }
    write_text(output / "settings.json", json.dumps(facts, indent=2) + "\n")
    return output / "model.pt"


def _begin(output: Path, settings: TrainSettings, initial: Path | None, device: str) -> _State:
    """A new network, or the one that an earlier try left behind."""
    torch.manual_seed(settings.seed)
    network = build_network()
    if initial is not None:
        load_weights(network, str(initial))
    network = network.to(device, memory_format=torch.channels_last_3d)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=settings.learning_rate, weight_decay=3e-5, betas=(0.9, 0.99)
    )
    average = {k: v.detach().clone() for k, v in network.state_dict().items()}
    state = _State(network, optimiser, average)
    saved = read_checkpoint(output / "checkpoint", device)
    if saved is not None:
        network.load_state_dict(saved["network"])
        optimiser.load_state_dict(saved["optimiser"])
        state.average = saved["average"]
        state.step, state.seconds, state.loss = saved["step"], saved["seconds"], saved["loss"]
        logger.info("resumed at step %d after %.0f s", state.step, state.seconds)
    return state


def _done(state: _State, settings: TrainSettings) -> float:
    """Share of the training that is over: by steps, by the clock, or by what comes first."""
    by_steps = state.step / settings.steps if settings.steps else 0.0
    by_clock = state.seconds / (60 * settings.minutes) if settings.minutes else 0.0
    return max(by_steps, by_clock)


def _schedule(done: float, settings: TrainSettings) -> float:
    """One cycle: a short rise, perhaps a plateau, then half a cosine to zero."""
    if done < settings.warm_up:
        return 0.05 + 0.95 * done / settings.warm_up
    flat = settings.warm_up + settings.constant
    if done < flat:
        return 1.0
    return 0.5 * (1 + math.cos((done - flat) / (1 - flat) * math.pi))


def _step(state: _State, batch: Batch, settings: TrainSettings, *, rate: float) -> float:
    """One optimiser step at a share of the peak learning rate; returns the loss."""
    for group in state.optimiser.param_groups:
        group["lr"] = settings.learning_rate * rate
    device = batch.image.device.type
    image = batch.image.contiguous(memory_format=torch.channels_last_3d)
    # on a processor bfloat16 lost gradients where few voxels are left at the coarsest level
    with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
        logits = state.network(image)
    loss = segmentation_loss(logits, batch.target, batch.only_liver)
    state.optimiser.zero_grad(set_to_none=True)
    loss.backward()
    norm = nn.utils.clip_grad_norm_(state.network.parameters(), 1.0)
    state.step += 1
    if not torch.isfinite(norm):  # as with scaled gradients: the weights stay what they are
        logger.warning("step %d has no finite gradient and changes nothing", state.step)
        return float(loss.item())
    state.optimiser.step()
    decay = min(settings.ema, state.step / (state.step + 20))
    for name, value in state.network.state_dict().items():
        state.average[name].lerp_(value, 1 - decay)
    return float(loss.item())


def _log(output: Path, state: _State, progress: Callable[[TrainProgress], None] | None) -> None:
    now = TrainProgress(state.step, round(state.seconds / 60, 2), round(state.loss, 4))
    with (output / "log.jsonl").open("a", encoding="utf-8", newline="\n") as stream:
        stream.write(json.dumps(asdict(now)) + "\n")
    if progress is not None:
        progress(now)


def _forget_later_lines(path: Path, step: int) -> None:
    """Drop what a killed try logged after its last checkpoint: those steps are done again."""
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if line and json.loads(line)["step"] <= step]
    write_text(path, "".join(line + "\n" for line in kept))


def _save(output: Path, state: _State) -> None:
    values: dict[str, Any] = {
        "network": state.network.state_dict(),
        "optimiser": state.optimiser.state_dict(),
        "average": state.average,
        "step": state.step,
        "seconds": state.seconds,
        "loss": state.loss,
    }
    write_checkpoint(output / "checkpoint", values)
    with atomic_path(output / "model.pt") as temporary:
        torch.save({k: v.half().cpu().contiguous() for k, v in state.average.items()}, temporary)

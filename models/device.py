"""Choose the device that a network runs on, and run it there.

A graphics card is taken where there is one, and the same numbers are asked of it as of the
processor: full 32 bits (no TF32), deterministic convolutions. Every device but the processor is
tried on a small network first, because some give wrong convolutions without a word (Apple's MPS,
pytorch#197114), and is refused if it disagrees. Where its memory ends, the processor continues.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn

from ..errors import EngineError

CHOICES = ("auto", "cpu", "cuda", "mps")
CPU = "cpu"
_TOLERANCE = 1e-3
"""Largest difference from the processor, relative to the largest output: rounding gives 1e-5."""


def choose_device(asked: str) -> str:
    """The device to run on.

    Args:
        asked: one of :data:`CHOICES`; ``auto`` is a CUDA card where there is one, else the
            processor, and never MPS.

    Returns:
        ``cpu``, ``cuda`` or ``mps``.

    Raises:
        EngineError: ``device_not_usable``: it is not there, or computes something else.
    """
    if asked not in CHOICES:
        raise _not_usable(asked, "no such device", f"give one of {', '.join(CHOICES)}")
    device = asked
    if asked == "auto":
        device = "cuda" if torch.cuda.is_available() else CPU
    if device == CPU:
        return CPU
    there = {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}
    if not there[device]():
        raise _not_usable(
            asked,
            f"PyTorch {torch.__version__} finds none here",
            "leave --device out to use the processor, or install the driver and a PyTorch for it",
        )
    error = largest_error(device)
    if not error <= _TOLERANCE:
        raise _not_usable(
            asked,
            f"its convolutions differ from the processor's by {100 * error:.2g} %",
            "use --device cpu; a newer driver or PyTorch may help",
        )
    return device


def _not_usable(asked: str, found: str, do: str) -> EngineError:
    return EngineError(
        "device_not_usable", f"The device {asked} cannot be used", found=found, do=do
    )


@functools.cache
def largest_error(device: str) -> float:
    """The largest difference of a device's result from the processor's, relative to its largest.

    A small network of the layers that ours has: strided, transposed and plain convolutions in
    three dimensions with instance normalisation.
    """
    generator = torch.Generator().manual_seed(0)
    layers = nn.Sequential(
        nn.Conv3d(1, 8, 3, stride=2, padding=1),
        nn.InstanceNorm3d(8, affine=True),
        nn.LeakyReLU(0.01),
        nn.Conv3d(8, 8, 3, padding=1),
        nn.ConvTranspose3d(8, 4, 3, stride=2, padding=1, output_padding=1),
    )
    for weights in layers.parameters():
        weights.data = torch.randn(weights.shape, generator=generator) / 4
    batch = torch.randn((1, 1, 24, 20, 28), generator=generator)
    with torch.inference_mode():
        expected = layers(batch)
        found = Runner(layers, device)(batch)
    return float((found - expected).abs().max() / expected.abs().max())


@contextmanager
def exact(device: str) -> Iterator[None]:
    """Compute in full 32 bits and the same way each time."""
    is_cuda = device == "cuda"
    flags = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
    with flags if is_cuda else nullcontext():
        yield


class Runner:
    """A network that is called with batches on the processor and computes on a device.

    Where the device's memory ends, the processor continues, and :attr:`used` says so.

    Args:
        network: on the processor; stays there.
        device: from :func:`choose_device`.
    """

    def __init__(self, network: nn.Module, device: str) -> None:
        self.fell_back = False
        self._network, self._device = network, device
        self._there: nn.Module | None = None

    @property
    def used(self) -> str:
        """Where it has computed, such as ``cuda`` or ``cuda, then cpu``."""
        return f"{self._device}, then {CPU}" if self.fell_back else self._device

    def __call__(self, batch: Tensor) -> Tensor:
        """What the network gives for a batch, on the processor."""
        if self._device != CPU and not self.fell_back:
            try:
                return self._elsewhere(batch)
            except RuntimeError as error:  # MPS has no class of its own for it
                if "out of memory" not in str(error).lower():
                    raise
            self.fell_back, self._there = True, None
            if self._device == "cuda":
                torch.cuda.empty_cache()
        here: Tensor = self._network(batch)
        return here

    def _elsewhere(self, batch: Tensor) -> Tensor:
        if self._there is None:
            self._there = copy.deepcopy(self._network).to(self._device)
        with exact(self._device):
            there: Tensor = self._there(batch.to(self._device)).to(CPU)
        return there

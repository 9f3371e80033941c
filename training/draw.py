"""Random numbers for synthesis: those of one batch, all from the seed that the caller gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

Size = tuple[int, int, int]


class Draw:
    """Random numbers of one batch: single ones from NumPy, fields of them on the device.

    The same seed gives the same numbers on one kind of device, whatever was drawn before.
    """

    def __init__(self, seed: Sequence[int], device: str = "cpu") -> None:
        self.rng = np.random.default_rng(list(seed))
        self.device = device
        self._fields = torch.Generator(device).manual_seed(int(self.rng.integers(2**62)))

    def uniform(self, low: float, high: float) -> float:
        """One number between low and high."""
        return float(self.rng.uniform(low, high))

    def chance(self, probability: float) -> bool:
        """True with the probability given."""
        return bool(self.rng.random() < probability)

    def uniforms(self, low: float, high: float, n: int) -> NDArray[np.float64]:
        """One number a sample."""
        return self.rng.uniform(low, high, n)

    def chances(self, probability: float, n: int) -> NDArray[np.bool_]:
        """For each sample, true with the probability given."""
        return self.rng.random(n) < probability

    def column(self, values: NDArray[Any]) -> Tensor:
        """A number a sample as float32 (n, 1, 1, 1, 1), to meet a batch of windows."""
        return self.tensor(values).reshape(-1, 1, 1, 1, 1)

    def tensor(self, values: NDArray[Any]) -> Tensor:
        """Float32 on the device."""
        return torch.as_tensor(np.asarray(values, np.float32), device=self.device)

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers, float32."""
        return torch.randn(shape, generator=self._fields, device=self.device)

    def field(self, n: int, coarse: int, size: Size, channels: int = 1) -> Tensor:
        """Smooth random fields (n, channels, *size) from coarse^3 normal numbers each."""
        return stretch(self.normal(n, channels, coarse, coarse, coarse), size)

    def drift(self, strength: NDArray[Any], knots: int, size: Size) -> Tensor:
        """A smooth random level along k, (n, 1, 1, 1, z), of a strength a sample."""
        levels = self.normal(len(strength), 1, knots) * self.tensor(strength).reshape(-1, 1, 1)
        return functional.interpolate(levels, size=size[2], mode="linear")[:, :, None, None]


def stretch(field: Tensor, size: Size) -> Tensor:
    """Interpolate fields (n, channels, x, y, z) to a size, corner on corner."""
    return functional.interpolate(field, size=size, mode="trilinear", align_corners=True)

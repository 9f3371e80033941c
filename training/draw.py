"""Random numbers for synthesis, all from one generator that the caller passes in."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional


class Draw:
    """Random numbers from one NumPy generator, in the shapes that synthesis asks for."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def uniform(self, low: float, high: float) -> float:
        """One number between low and high."""
        return float(self.rng.uniform(low, high))

    def chance(self, probability: float) -> bool:
        """True with the probability given."""
        return bool(self.rng.random() < probability)

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers, float32."""
        return torch.from_numpy(self.rng.standard_normal(shape, dtype=np.float32))

    def smooth_field(self, coarse: int, size: tuple[int, int, int]) -> Tensor:
        """A smooth random field (1, 1, *size) from coarse^3 normal numbers."""
        field = self.normal(1, 1, coarse, coarse, coarse)
        return functional.interpolate(field, size=size, mode="trilinear", align_corners=True)

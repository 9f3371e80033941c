"""Training windows whose contrast is drawn at random, so that the network learns shape, not grey.

A batch: labelled CTs are cut and bent (geometry), some livers shrink (disease), each window keeps
the CT's own grey values or gets others (contrasts), neighbours, lesions and ascites are drawn
(disease), and a scanner's faults come on top (acquisition). Every number of a batch comes from its
own seed, so that any step of a training can be drawn again; all of it runs on the CPU or a GPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..models.inference import SPACING_MM, WINDOW
from .acquisition import acquire, end_of_view
from .contrasts import free_contrast, own_contrast, phase_contrast, sequence_contrast
from .disease import add_ascites, add_lesions, disguise_neighbours, shrink_livers
from .draw import Draw, Size
from .geometry import Body, Case, cut_windows
from .organs import ORGAN_TO_CLASS

_CONTRASTS = (own_contrast, phase_contrast, sequence_contrast, free_contrast)
_CT_CONTRASTS = 2  # the first two
OWN, PHASE, SEQUENCE, FREE = range(len(_CONTRASTS))


@dataclass(frozen=True)
class SynthesisSettings:
    """How windows are drawn."""

    window: Size = WINDOW
    """Voxels of a window along i, j, k; each a multiple of 16."""

    spacing_mm: float = SPACING_MM
    """Voxel size of a window."""

    own: float = 0.37
    """Share of windows that keep the CT's own grey values."""

    phase: float = 0.22
    """Share of the others that show another CT phase."""

    sequence: float = 0.45
    """Share of the others that follow an MR sequence's signal equation; the rest are free."""

    anywhere: float = 0.05
    """Share of windows that may lie anywhere in the scan, not about the liver."""

    disguised: float = 0.45
    """Share of windows in which neighbours may take the liver's level; fewer with own contrast."""


@dataclass(frozen=True)
class Batch:
    """What a step of the training sees."""

    image: Tensor
    """float32 (n, 1, x, y, z), grey about 0 to 1."""

    target: Tensor
    """int64 (n, 1, x, y, z), the network's classes."""

    only_liver: Tensor
    """bool (n,), windows whose other organs are not labelled."""


class Synthesis:
    """Draws batches of windows from labelled CTs."""

    def __init__(
        self, cases: Sequence[Case], settings: SynthesisSettings, device: str = "cpu"
    ) -> None:
        self.settings, self.device = settings, device
        self.cases = [
            replace(
                case,
                hu=case.hu.to(device),
                smooth_hu=case.smooth_hu.to(device),
                organs=case.organs.to(device),
            )
            for case in cases
        ]
        self._classes = torch.tensor(ORGAN_TO_CLASS, device=device)

    @torch.no_grad()
    def batch(self, seed: Sequence[int], n: int) -> Batch:
        """Draw windows of cases chosen at random.

        Args:
            seed: of this batch.
            n: how many windows.
        """
        draw, settings = Draw(seed, self.device), self.settings
        chosen = [self.cases[int(i)] for i in draw.rng.integers(0, len(self.cases), n)]
        body = cut_windows(
            chosen, draw, settings.window, settings.spacing_mm, anywhere=settings.anywhere
        )
        body = shrink_livers(body, draw, settings.spacing_mm)
        rest = 1 - settings.own
        free = 1 - settings.phase - settings.sequence
        shares = [settings.own, rest * settings.phase, rest * settings.sequence, rest * free]
        image = self.picture(body, draw, draw.rng.choice(len(_CONTRASTS), n, p=shares))
        image, target = end_of_view(image, self.target(body), draw)
        only_liver = torch.tensor([case.only_liver for case in chosen], device=self.device)
        return Batch(image, target, only_liver)

    def target(self, body: Body) -> Tensor:
        """The network's classes of a body."""
        return self._classes[body.organs]

    def picture(self, body: Body, draw: Draw, contrast: np.ndarray) -> Tensor:
        """Pictures of bodies, each in a contrast of its own.

        Args:
            body: what they show.
            draw: random numbers.
            contrast: for each window :data:`OWN`, ``PHASE``, ``SEQUENCE`` or ``FREE``.
        """
        n, spacing_mm = len(body), self.settings.spacing_mm
        image = torch.empty_like(body.hu)
        for number, paint in enumerate(_CONTRASTS):
            at = np.flatnonzero(contrast == number)
            if len(at):
                image[torch.as_tensor(at, device=self.device)] = paint(body.take(at), draw)
        is_ct = contrast < _CT_CONTRASTS
        disguised = draw.chances(self.settings.disguised, n) & (~is_ct | draw.chances(0.3, n))
        image = disguise_neighbours(image, body, draw, spacing_mm, disguised)
        image = add_lesions(image, body, draw, spacing_mm)
        image = add_ascites(image, body, draw, spacing_mm)
        return acquire(image, body, draw, spacing_mm, is_ct=is_ct, drawn=~is_ct)

"""The organ numbers that synthesis works with: BTCV's, and one for the air around the patient."""

from __future__ import annotations

import torch

HU_LOW, HU_HIGH = -125.0, 275.0
"""The CT window of the network, in HU."""

N_ORGANS = 14
"""BTCV's numbers and 0, unlabelled tissue."""

OUTSIDE = 14
"""The air outside the body."""

SPLEEN, KIDNEYS, GALLBLADDER, LIVER, STOMACH = 1, (2, 3), 4, 6, 7
VESSELS = (8, 9, 10)

ORGAN_TO_CLASS = torch.tensor([0, 2, 3, 3, 3, 3, 1, 3, 3, 3, 3, 3, 3, 3, 0])
"""BTCV's organ numbers to the network's classes."""

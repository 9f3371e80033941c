"""The organ numbers that synthesis works with: BTCV's, and one for the air around the patient."""

from __future__ import annotations

N_ORGANS = 14
"""BTCV's numbers and 0, unlabelled tissue."""

OUTSIDE = 14
"""The air outside the body."""

SPLEEN, KIDNEYS, GALLBLADDER, LIVER, STOMACH = 1, (2, 3), 4, 6, 7
VESSELS = (8, 9, 10)

ORGANS = {
    "spleen": SPLEEN,
    "right_kidney": KIDNEYS[0],
    "left_kidney": KIDNEYS[1],
    "gallbladder": GALLBLADDER,
    "liver": LIVER,
    "stomach": STOMACH,
}
"""The organs that synthesis draws apart, by the names that users give them."""

ORGAN_TO_CLASS = (0, 2, 3, 3, 3, 3, 1, 3, 3, 3, 3, 3, 3, 3, 0)
"""The network's class of each organ number."""

"""The liver volume expected from body size."""

from __future__ import annotations

import math
from collections.abc import Callable

from ..vocabulary import StandardVolume


def bsa_du_bois(height_cm: float, weight_kg: float) -> float:
    """Body surface in m2 (Du Bois 1916): ``0.007184 cm^0.725 kg^0.425``."""
    return 0.007184 * height_cm**0.725 * weight_kg**0.425


def bsa_mosteller(height_cm: float, weight_kg: float) -> float:
    """Body surface in m2 (Mosteller 1987): ``sqrt(cm kg / 3600)``."""
    return math.sqrt(height_cm * weight_kg / 3600)


STANDARD_VOLUMES: dict[StandardVolume, tuple[Callable[[float, float], float], float, float]] = {
    # body surface formula, mL per m2, mL; where a paper used which surface
    StandardVolume.URATA: (bsa_du_bois, 706.2, 2.4),
    StandardVolume.HEINEMANN: (bsa_du_bois, 1072.8, -345.7),
    StandardVolume.HASHIMOTO: (bsa_du_bois, 961.3, -404.8),
    StandardVolume.FENG: (bsa_mosteller, 758.259, -124.272),
}


def standard_liver_volume_ml(
    formula: StandardVolume, *, height_cm: float, weight_kg: float
) -> float:
    """The liver volume expected from body size, in mL.

    Secondary to any measured change: the formulas come from healthy livers, fit poorly in
    cirrhosis, and ascites inflates the weight.

    """
    surface, slope, intercept = STANDARD_VOLUMES[formula]
    return slope * surface(height_cm, weight_kg) + intercept

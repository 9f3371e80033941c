"""Sample sizes as R's power.t.test(strict = TRUE) gives them, and laws."""

from __future__ import annotations

import pytest
from fibrovol.analysis.planning import enrolled_for, power_of, subjects_needed


@pytest.mark.parametrize(
    ("n", "difference", "sd", "arms", "power"),
    [
        (10, 1.0, 1.0, 1, 0.8030968566),  # power.t.test(10, 1, 1, type = "paired", strict = TRUE)
        (20, 1.0, 1.0, 2, 0.8689530277),  # power.t.test(20, 1, 1, strict = TRUE)
        (5, 0.1, 1.0, 2, 0.0522526104),
        (19, -60.0, 95.0, 1, 0.7401696424),
    ],
)
def test_power_equals_r(n: int, difference: float, sd: float, arms: int, power: float) -> None:
    assert power_of(n, difference, sd, arms=arms) == pytest.approx(power, abs=1e-7)


@pytest.mark.parametrize("arms", [1, 2])
@pytest.mark.parametrize("difference", [0.2, 0.8, 3.0])
def test_one_subject_less_is_too_few(arms: int, difference: float) -> None:
    n = subjects_needed(difference, 1.0, arms=arms)
    assert power_of(n, difference, 1.0, arms=arms) >= 0.8
    assert n == 2 or power_of(n - 1, difference, 1.0, arms=arms) < 0.8
    assert subjects_needed(difference * 7, 7.0, arms=arms) == n  # the unit does not matter


def test_dropout_and_what_cannot_be_planned() -> None:
    assert enrolled_for(20, 0.2) == 25
    assert enrolled_for(20, 0.0) == 20
    for bad in (lambda: subjects_needed(0, 1), lambda: subjects_needed(1e-6, 1.0),
                lambda: power_of(1, 1, 1), lambda: enrolled_for(3, 1.0)):  # fmt: skip
        with pytest.raises(ValueError, match=r"needs|too small|share"):
            bad()

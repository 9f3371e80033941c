"""Names of visits: their time, their order, and when two are one."""

from __future__ import annotations

import pytest
from fibrovol.sheets.visits import in_time, moment_of, same_visit


@pytest.mark.parametrize(
    ("names", "ordered"),
    [
        (["month6", "baseline"], ("baseline", "month6")),
        (["post", "pre"], ("pre", "post")),
        (["12 months", "6 months", "Baseline"], ("Baseline", "6 months", "12 months")),
        (["V2", "V1"], ("V1", "V2")),
        (["year1", "week 4", "BL"], ("BL", "week 4", "year1")),
        (["treated", "base"], ("base", "treated")),
        (["m6", "screening"], ("screening", "m6")),
        (["A", "B"], None),
        (["baseline", "x", "y"], None),
        (["month 6", "m06"], None),
    ],
)
def test_order_comes_from_what_names_mean(
    names: list[str], ordered: tuple[str, ...] | None
) -> None:
    assert in_time(names) == ordered
    assert in_time(names[::-1]) == ordered


@pytest.mark.parametrize("name", ["Month 6", "month_6_arm_1", "6 mo", "M06", "6-month follow-up"])
def test_spellings_of_one_visit(name: str) -> None:
    assert same_visit(name, ("baseline", "month6", "month12")) == ("month6",)
    assert moment_of(name) == moment_of("month6")


def test_unlike_visits_stay_apart() -> None:
    assert same_visit("month 60", ("month6", "month16")) == ()
    assert moment_of("biopsy of the left lobe") is None

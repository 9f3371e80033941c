"""Numbers and sentences for people. Nothing here computes; it only words what was computed."""

from __future__ import annotations

from collections.abc import Mapping

from ..analysis.design import Design
from ..analysis.quantities import Quantity
from ..analysis.statistics_table import ADJUSTED, PRIMARY_TEST
from ..measures import Measure

MINUS = "−"
NOT_KNOWN = "–"


def number(value: float | None, digits: int = 2, *, signed: bool = False) -> str:
    """A number with a true minus sign and commas between thousands; a dash where not known."""
    if value is None:
        return NOT_KNOWN
    text = f"{abs(value):,.{digits}f}"
    if not any(character in "123456789" for character in text):
        return text
    if value < 0:
        return MINUS + text
    return "+" + text if signed else text


def interval(low: float | None, high: float | None, digits: int = 2) -> str:
    """An interval as ``low to high``."""
    if low is None or high is None:
        return NOT_KNOWN
    return f"{number(low, digits)} to {number(high, digits)}"


def p_value(p: float | None, *, sign: bool = False) -> str:
    """A p-value: three decimals, two from 0.2 on, ``< 0.001`` below.

    Exact tests of few pairs give p-values such as 0.125, which two decimals would make 0.12.

    Args:
        p: the p-value.
        sign: write ``= 0.02`` and ``< 0.001``, for use after the letter p.
    """
    if p is None:
        return NOT_KNOWN
    if p < 0.001:
        return "< 0.001"
    digits = 2 if p >= 0.1995 else 3
    text = f"{p:.{digits}f}"
    if p > 0.995:
        text = "1.00"
    return f"= {text}" if sign else text


def with_unit(text: str, measure: Measure) -> str:
    """A number with its unit, a hard space between them."""
    return f"{text}\N{NO-BREAK SPACE}{measure.unit}" if measure.unit else text


def change_with_unit(text: str, measure: Measure) -> str:
    """A change with its unit: a change of a per cent value is in percentage points."""
    if measure.unit == "%":
        return f"{text}\N{NO-BREAK SPACE}percentage points"
    return with_unit(text, measure)


def count(n: int, word: str, plural: str = "") -> str:
    """``1 pair``, ``2 pairs``."""
    return f"{n} {word if n == 1 else plural or word + 's'}"


def lines_caption(means: bool, intervals: bool) -> str:
    """What the figure of the visits shows.

    Args:
        means: whether it contains the mean of the pairs.
        intervals: whether the mean has its interval.
    """
    text = "Each line is one subject; crosses are subjects who were not paired."
    if means:
        text += " The heavy line is the mean of the paired subjects"
        text += " with its 95 % t interval." if intervals else "."
    return text


def changes_caption(limits: bool, mean: bool, interval: bool) -> str:
    """What the figure of the changes shows.

    Args:
        limits: whether the changes of this measure carry limits.
        mean: whether it contains the mean change.
        interval: whether the mean change has its interval.
    """
    text = "Change of each paired subject"
    text += " with its 95 % measurement-error limits" if limits else ""
    if mean:
        text += ", and the mean change"
        text += " with its 95 % sign-flip interval" if interval else " (too few for an interval)"
    return text + "." + ("" if limits else " This measure carries no error limits.")


def headline(found: Mapping[str, Quantity]) -> Quantity:
    """The mean change with the interval that goes with the test; no interval below 6 pairs.

    The sign-flip interval and the sign-flip test cannot contradict each other, and the interval
    keeps its 95 % in small samples (scripts/benchmark/statistics.py).
    """
    return found["mean_change_sign_flip"]


def summary_sentence(
    design: Design, measure: Measure, later: str, found: Mapping[str, Quantity]
) -> str:
    """What happened to one measure, with its numbers, its uncertainty and its gaps.

    It never says more than the interval and the p-value do. Where several primary comparisons are
    corrected for, interval, p-value and verdict are all the corrected ones: they cannot disagree.
    """
    enrolled = len(design.subjects)
    title = measure.title
    paired = int(found["n_paired"].value or 0)
    visits = f"from {design.timepoints[0]} to {later}"
    if paired == 0:
        return f"{title}: no subject of {enrolled} could be compared {visits}."
    mean = headline(found)
    digits = measure.mean_digits
    of = f"{paired} of {count(enrolled, 'enrolled subject')}"
    size = change_with_unit(number(mean.value, digits, signed=True), measure)
    if paired == 1:
        return f"{title}: one subject of {enrolled} could be compared {visits} ({size})."
    adjusted = found.get(ADJUSTED)
    shown = adjusted or mean
    details = []
    if shown.low is not None:
        name = "95 % CI" if adjusted is None else "95 % CI, adjusted,"
        details.append(f"{name} {interval(shown.low, shown.high, digits)}")
    else:
        details.append("too few pairs for an exact interval")
    percent = found.get("change_of_mean_percent")
    if percent is not None:
        details.append(f"{number(percent.value, 1, signed=True)} % of the mean at first")
    test = found.get(PRIMARY_TEST)
    p = None
    if test is not None and test.p_value is not None:
        p = test.p_value if adjusted is None else test.p_value_holm
        exact = "exact sign-flip p" if "all sign patterns" in test.method else "sampled sign-flip p"
        text = f"{exact} {p_value(test.p_value, sign=True)}"
        if adjusted is not None:
            text += f", adjusted {p_value(p)}"
        details.append(text)
    sentence = f"{title} changed by a mean of {size} {visits} in {of} ({'; '.join(details)})."
    excludes_none = (
        shown.low is not None and shown.high is not None and (shown.low > 0 or shown.high < 0)
    )
    if p is None or p >= 0.05 or not excludes_none:
        sentence += " This cannot be told from no change"
        detectable = found.get("detectable_change")
        if detectable is not None:
            size = change_with_unit(number(detectable.value, digits), measure)
            sentence += (
                f"; with {count(paired, 'pair')} a mean change of {size} "
                "would have been found with 80 % power"
            )
        sentence += "."
    sentence += _calls(found)
    smallest = found["smallest_p_value"].value
    if smallest is not None and smallest > 0.05:
        sentence += (
            f" With {count(paired, 'pair')} no exact test can give a p-value below "
            f"{number(smallest, 3)}."
        )
    return sentence


def _calls(found: Mapping[str, Quantity]) -> str:
    """How many changed by their own limits; "" if nobody was called."""
    if "n_increased" not in found:
        return ""
    up, down, usual, same, unknown = (
        int(found[name].value or 0)
        for name in (
            *("n_increased", "n_decreased", "n_within_variation", "n_within_error"),
            "n_no_limits",
        )
    )
    if unknown == found["n_paired"].n:
        return " No measurement limits are known, so no subject's own change is called."
    text = f" By their own limits {up} increased and {down} decreased"
    if usual:
        text += f", {usual} changed no more than an unchanged patient's value varies"
    text += f", and {same} stayed within measurement error"
    if unknown:
        text += f"; for {unknown} no limits are known"
    return text + "."

"""The arms compared: each arm's change, their difference, their courses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...analysis.analyse import Analysis
from ...analysis.arms import ADJUSTED, Arms, Contrast
from ...measures import MEASURES, Measure
from .. import words
from ..section import Entry, Section, Source

_OUTCOMES = {"overall_survival": "Overall survival",
             "transplant_free_survival": "Transplant-free survival"}  # fmt: skip


def entries(source: Source) -> Sequence[Entry]:
    """Where there are arms."""
    arms = source.analysis.arms
    if arms is None:
        return []
    sizes = zip(arms.names, arms.sizes, strict=True)
    content = {
        "arms": "; ".join(f"{name}: {size} subjects" for name, size in sizes),
        "unassigned": ", ".join(arms.unassigned),
        "rows": [_row(arms, item) for item in arms.contrasts],
        "jumps": [text for item in arms.contrasts if (text := _jump(item))],
        "courses": [_course(item) for item in arms.courses],
    }
    return [Entry("arms", "Arms compared", content)]


SECTION = Section("arms", entries)


def arm_change(arms: Arms, name: str, measure: Measure, later: str) -> str:
    """One arm's mean change with its interval."""
    found = arms.found[name].get((measure.key, later), {})
    mean = found.get("mean_change_sign_flip")
    if mean is None:
        return words.NOT_KNOWN
    digits = measure.mean_digits
    size = words.change_with_unit(words.number(mean.value, digits, signed=True), measure)
    if mean.low is None:
        return f"{size} (n = {mean.n})"
    return f"{size} ({words.interval(mean.low, mean.high, digits)}; n = {mean.n})"


def sentence(analysis: Analysis, measure: Measure, later: str) -> str:
    """What happened to one measure in each arm, and how the arms differ."""
    arms = analysis.arms
    assert arms is not None
    each = "; ".join(f"{n} {arm_change(arms, n, measure, later)}" for n in arms.names)
    text = f"{measure.title} from {analysis.design.timepoints[0]} to {later}, mean change: {each}."
    for item in arms.contrasts:
        if (item.measure, item.timepoint) != (measure.key, later):
            continue
        found = item.quantities.get("difference_ancova")
        if found is None:
            continue
        digits = measure.mean_digits
        size = words.change_with_unit(words.number(found.value, digits, signed=True), measure)
        p = found.p_value if found.p_value_holm is None else found.p_value_holm
        wide = item.quantities.get(ADJUSTED)
        limits, named = (found, "95 % CI") if wide is None else (wide, "95 % CI, adjusted,")
        text += (
            f" At equal baselines {item.arms[1]} differs from {item.arms[0]} by {size} ({named} "
            f"{words.interval(limits.low, limits.high, digits)}; adjusted p "
            f"{words.p_value(p, sign=True)})."
        )
        if p is None or p >= 0.05:
            text += " This cannot be told from no difference."
    return text


def _row(arms: Arms, item: Contrast) -> dict[str, Any]:
    measure = MEASURES[item.measure]
    digits = measure.mean_digits
    adjusted, exact = item.quantities.get("difference_ancova"), item.quantities["permutation"]
    return {
        "label": measure.label,
        "visit": item.timepoint,
        "first": f"{item.arms[0]}: {arm_change(arms, item.arms[0], measure, item.timepoint)}",
        "second": f"{item.arms[1]}: {arm_change(arms, item.arms[1], measure, item.timepoint)}",
        "difference": words.number(adjusted.value, digits, signed=True) if adjusted else "",
        "interval": words.interval(adjusted.low, adjusted.high, digits) if adjusted else "",
        "p": words.p_value(adjusted.p_value if adjusted else None),
        "holm": words.p_value(adjusted.p_value_holm if adjusted else None),
        "exact": words.p_value(exact.p_value),
    }


def _jump(item: Contrast) -> str:
    """What remains of a difference if those not compared changed as the first arm did."""
    found = item.quantities.get("difference_jump_to_reference")
    measure = MEASURES[item.measure]
    if found is None or measure.kind == "clinical":
        return ""
    digits = measure.mean_digits
    size = words.change_with_unit(words.number(found.value, digits, signed=True), measure)
    limits, p = (
        words.interval(found.low, found.high, digits),
        words.p_value(found.p_value, sign=True),
    )
    who = f"{item.arms[1]} and {item.arms[0]}"
    return f"{measure.title}, {item.timepoint}, {who}: {size} ({limits}; p {p})"


def _course(item: Contrast) -> dict[str, str]:
    ((name, quantity),) = item.quantities.items()
    label = _OUTCOMES.get(item.measure) or (
        "Incidence of " + item.measure.removeprefix("incidence_").replace("_", " ")
    )
    return {
        "label": label,
        "arms": f"{item.arms[1]} ({item.n[1]}) and {item.arms[0]} ({item.n[0]})",
        "test": "log-rank" if name == "log_rank" else "Gray, permutation",
        "p": words.p_value(quantity.p_value),
    }

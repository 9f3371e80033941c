"""One section a measure and later visit: its sentence, figures and table of results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...analysis.analyse import Analysis
from ...analysis.design import Design
from ...analysis.flow import Flow
from ...analysis.quantities import DEFINITIONS, Definition, Quantity, Unit
from ...measures import MEASURES, Measure
from ...vocabulary import Call
from .. import figures, words
from ..section import Entry, Section, Source

_INTERVAL_FROM = 6  # pairs; with fewer the interval of a mean fills the figure and says nothing


@dataclass(frozen=True)
class Drawn:
    """A figure and what it shows; both empty where there is nothing to draw."""

    svg: str = ""
    """The drawing."""
    caption: str = ""
    """What it shows."""


@dataclass(frozen=True)
class Comparison:
    """One measure at one later visit, ready to print."""

    title: str
    """The measure, and the visit where there are several later ones."""
    anchor: str
    """Id of the heading."""
    primary: bool
    """Whether it is a primary measure."""
    sentence: str
    """What happened, with its uncertainty."""
    flow: Flow
    """Who is compared."""
    spaghetti: Drawn
    """Every subject over the visits."""
    forest: Drawn
    """Every subject's change."""
    rows: list[dict[str, str]]
    """The table of results."""
    comment: str
    """What the reader should know about this sample's tests."""


def entries(source: Source) -> Sequence[Entry]:
    """A section for each measure of scans or slides and later visit, primary measures first."""
    return [
        Entry(comparison.anchor, comparison.title, comparison)
        for key, later in image_comparisons(source.analysis)
        for comparison in [_comparison(source.analysis, key, later)]
    ]


SECTION = Section("measures", entries)


def image_comparisons(analysis: Analysis) -> list[tuple[str, str]]:
    """Measure and later visit of what scans and slides give, primary measures first."""
    keys = [key for key in analysis.found if MEASURES[key[0]].kind != "clinical"]
    return sorted(keys, key=lambda key: key[0] not in analysis.design.primary_measures)


def title_of(design: Design, key: str, later: str) -> str:
    """The measure's title, with the visit where there are several later ones."""
    return MEASURES[key].title + (f": {later}" if len(design.timepoints) > 2 else "")


def _comparison(analysis: Analysis, key: str, later: str) -> Comparison:
    design, found = analysis.design, analysis.found[key, later]
    measure, name = MEASURES[key], anchor(key, later)
    spaghetti, forest = _figures(analysis, measure, later, found, name)
    return Comparison(
        title=title_of(design, key, later),
        anchor=name,
        primary=key in design.primary_measures,
        sentence=("All arms together. " if analysis.arms else "")
        + words.summary_sentence(design, measure, later, found),
        flow=analysis.flows[key, later],
        spaghetti=spaghetti,
        forest=forest,
        rows=quantity_rows(measure, found),
        comment=_comment(found),
    )


def anchor(measure: str, later: str) -> str:
    """An id for a section: letters, digits and dashes only."""
    text = f"{measure}-{later}".lower()
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in text)


def quantity_rows(measure: Measure, found: Mapping[str, Quantity]) -> list[dict[str, str]]:
    """The printed result table of one measure."""
    rows = _visit_rows(measure, found)
    for definition in DEFINITIONS:
        quantity = found.get(definition.name)
        bootstrap = definition.name in ("mean_change", "mean_percent_change")
        if not definition.label or quantity is None or (bootstrap and quantity.low is None):
            continue  # the same mean is in the rows next to it
        value, limits = _printed(definition, quantity, measure)
        rows.append(
            {
                "label": definition.label,
                "n": str(quantity.n),
                "value": value,
                "interval": limits,
                "p": words.p_value(quantity.p_value),
                "holm": words.p_value(quantity.p_value_holm),
                "method": quantity.method,
            }
        )
    return rows


def _printed(definition: Definition, quantity: Quantity, measure: Measure) -> tuple[str, str]:
    """Value with its unit, and interval."""
    digits = measure.mean_digits if definition.digits is None else definition.digits
    limits = words.interval(quantity.low, quantity.high, digits)
    if definition.unit == Unit.STATISTIC:
        known = f"{definition.symbol} = {words.number(quantity.value, 2)}"
        return (known if definition.symbol else words.NOT_KNOWN), limits
    signed = definition.name != "detectable_change"
    value = words.number(quantity.value, digits, signed=signed)
    if definition.unit == Unit.PERCENT:
        return f"{value} %", limits
    if definition.unit == Unit.CHANGE:
        return words.change_with_unit(value, measure), limits
    return value, limits


def _visit_rows(measure: Measure, found: Mapping[str, Quantity]) -> list[dict[str, str]]:
    """Mean, SD, median and quartiles of the paired subjects at both visits."""
    rows = []
    digits = measure.mean_digits
    for when, label in (("baseline", "First visit"), ("followup", "Later visit")):
        mean, middle = found.get(f"mean_{when}"), found.get(f"median_{when}")
        sd = found.get(f"sd_{when}")
        if mean is None or middle is None:
            continue
        value = words.number(mean.value, digits)
        if sd is not None:
            value += f" ({words.number(sd.value, digits)})"
        rows.append(
            {
                "label": f"{label}, mean (SD)",
                "n": str(mean.n),
                "value": words.with_unit(value, measure),
                "interval": words.interval(mean.low, mean.high, digits),
                "p": words.NOT_KNOWN,
                "holm": words.NOT_KNOWN,
                "method": f"{mean.method}; median {words.number(middle.value, digits)}, "
                f"quartiles {words.interval(middle.low, middle.high, digits)}",
            }
        )
    return rows


def _comment(found: Mapping[str, Quantity]) -> str:
    """What the reader should know about this sample's tests."""
    n = int(found["n_paired"].value or 0)
    parts = []
    if 0 < n < 6:
        parts.append(
            f"With {words.count(n, 'pair')} no exact test can reach p < 0.05 and no exact 95 % "
            "interval exists: read the changes one by one."
        )
    shapiro = found.get("shapiro_wilk")
    if shapiro is not None and shapiro.p_value is not None and shapiro.p_value < 0.05:
        parts.append(
            "The changes do not look normal: rely on the exact tests and the Hodges-Lehmann "
            "estimate rather than the t test."
        )
    p_values = [
        found[name].p_value for name in ("paired_t", "sign_flip", "wilcoxon") if name in found
    ]
    known = [p for p in p_values if p is not None]
    if known and min(known) < 0.05 <= max(known):
        parts.append(
            "The tests fall on both sides of 0.05: none of them should carry a claim alone."
        )
    return " ".join(parts)


def _figures(
    analysis: Analysis, measure: Measure, later: str, found: Mapping[str, Quantity], name: str
) -> tuple[Drawn, Drawn]:
    """The spaghetti and the forest plot; the first shows all visits."""
    design = analysis.design
    ours = analysis.pairs_of(measure.key)
    chosen = analysis.pairs_of(measure.key, later)
    by_visit = {(p.subject, p.timepoint): p for p in ours}
    lines = [
        figures.Line(
            pair.subject,
            (
                pair.baseline.value,
                *(by_visit[pair.subject, visit].followup.value for visit in design.timepoints[1:]),
            ),
            pair.call if pair.paired else Call.NOT_PAIRED,
        )
        for pair in chosen
    ]
    means: list[tuple[float, float | None, float | None]] = []
    if len(design.timepoints) == 2 and "mean_baseline" in found and found["mean_baseline"].n > 1:
        enough = found["mean_baseline"].n >= _INTERVAL_FROM
        for when in ("mean_baseline", "mean_followup"):
            quantity = found[when]
            assert quantity.value is not None
            low, high = (quantity.low, quantity.high) if enough else (None, None)
            means.append((quantity.value, low, high))
    spaghetti = Drawn(
        figures.spaghetti(
            f"lines-{name}", measure.title, measure.unit, design.timepoints, lines, means
        ),
        words.lines_caption(bool(means), any(low is not None for _, low, _ in means)),
    )
    changes = [
        figures.Change(p.subject, p.change, p.change_low, p.change_high, p.call)
        for p in chosen
        if p.change is not None
    ]
    if not changes:
        return spaghetti, Drawn()
    mean = words.headline(found)
    several = len(changes) > 1 and mean.value is not None
    summary = (mean.value, mean.low, mean.high) if several and mean.value is not None else None
    caption = words.changes_caption(
        any(p.change_low is not None for p in chosen), several, mean.low is not None
    )
    svg = figures.forest(f"forest-{name}", measure.title, measure.unit, changes, summary)
    return spaghetti, Drawn(svg, caption)

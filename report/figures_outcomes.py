"""Figures of outcomes, agreement and association."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..analysis.agreement import BlandAltman
from ..analysis.outcomes import Course, Curve, Incidence, number_at_risk
from ..vocabulary import Event
from .figures import (
    ACCENT,
    DOWN,
    GRID,
    INK,
    MUTED,
    SAME,
    UP,
    bare_figure,
    dress,
    new_figure,
    to_svg,
)

_LOOKS = ((INK, "-"), (DOWN, "--"), (UP, "-."), (SAME, ":"))


def _month_ticks(longest: float) -> list[float]:
    step = 6 if longest <= 30 else 12 if longest <= 84 else 24
    return list(np.arange(0, longest + 1e-9, step))


def survival(name: str, curves: Sequence[tuple[str, Curve]]) -> str:
    """Kaplan-Meier curves with limits, censoring marks and the number at risk below.

    Args:
        name: id of the figure.
        curves: label and curve, four at most.
    """
    rows = len(curves)
    figure = bare_figure(7.2, 3.5 + 0.24 * rows)
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=[3.2, 0.24 * rows])
    dress(axes)
    longest = max(float(curve.times[-1]) for _, curve in curves)
    ticks = _month_ticks(longest)
    spoken = []
    for (label, curve), (colour, dashes) in zip(curves, _LOOKS, strict=False):
        x = np.concatenate([[0.0], curve.times])
        y = np.concatenate([[1.0], curve.survival])
        axes.step(x, y, where="post", color=colour, linestyle=dashes, linewidth=1.8, label=label)
        low = np.concatenate([[1.0], np.where(np.isnan(curve.low), curve.survival, curve.low)])
        high = np.concatenate([[1.0], np.where(np.isnan(curve.high), curve.survival, curve.high)])
        axes.fill_between(x, low, high, step="post", color=colour, alpha=0.12, linewidth=0)
        censored = curve.at_risk - curve.events - np.append(curve.at_risk[1:], 0)
        marks = censored > 0
        axes.plot(curve.times[marks], curve.survival[marks], "|", color=colour, markersize=7)
        spoken.append(f"{label}: {curve.survival[-1]:.2f} at {curve.times[-1]:g} months")
    axes.set_ylim(0, 1.03)
    axes.set_xlim(0, longest * 1.02)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.tick_params(labelbottom=True)
    axes.set_ylabel("Probability", color=INK, fontsize=9)
    axes.set_xlabel("Months from the first visit", color=INK, fontsize=9)
    for spine in below.spines.values():
        spine.set_visible(False)
    below.patch.set_alpha(0)
    below.tick_params(length=0, pad=16, labelbottom=False, labelcolor=MUTED, labelsize=8)
    below.set_ylim(rows - 0.5, -0.5)
    below.set_yticks(range(rows), [f"{label}: at risk" for label, _ in curves])
    for row, (_, curve) in enumerate(curves):
        for tick, number in zip(ticks, number_at_risk(curve, ticks), strict=True):
            below.text(tick, row, str(number), ha="center", va="center", fontsize=8, color=INK)
    axes.legend(loc="lower left", frameon=False, fontsize=8, labelcolor=INK, handlelength=3)
    return to_svg(figure, name, "Kaplan-Meier survival", "; ".join(spoken))


def incidence(name: str, curves: Sequence[tuple[str, Incidence]]) -> str:
    """Cumulative incidence of several events, each with its own competing events.

    Args:
        name: id of the figure.
        curves: label and curve; the first column of a curve is the event itself.
    """
    figure, axes = new_figure(7.2, 3.3)
    longest = max(float(curve.times[-1]) for _, curve in curves)
    spoken = []
    for (label, curve), (colour, dashes) in zip(curves, _looks(len(curves)), strict=True):
        x = np.concatenate([[0.0], curve.times])
        y = np.concatenate([[0.0], curve.incidence[:, 0]])
        axes.step(x, y, where="post", color=colour, linestyle=dashes, linewidth=1.8, label=label)
        spoken.append(f"{label}: {curve.incidence[-1, 0]:.2f} at {curve.times[-1]:g} months")
    ticks = _month_ticks(longest)
    axes.set_ylim(0, 1.0)
    axes.set_xlim(0, longest * 1.02)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_ylabel("Cumulative incidence", color=INK, fontsize=9)
    axes.set_xlabel("Months from the first visit", color=INK, fontsize=9)
    axes.legend(loc="upper left", frameon=False, fontsize=8, labelcolor=INK, handlelength=3)
    return to_svg(figure, name, "Cumulative incidence of competing events", "; ".join(spoken))


def _looks(count: int) -> list[tuple[str, str]]:
    """Colours and dashes of some curves, all different for up to 16."""
    dashes = [dash for _, dash in _LOOKS]
    return [(_LOOKS[k % 4][0], dashes[(k + k // 4) % 4]) for k in range(count)]


_MARKS = {
    Event.DEATH: ("X", INK, "death"),
    Event.TRANSPLANT: ("D", UP, "transplantation"),
    Event.HCC: ("s", DOWN, "hepatocellular carcinoma"),
    Event.OTHER_CANCER: ("^", DOWN, "another cancer"),
    Event.DECOMPENSATION: ("v", ACCENT, "decompensation"),
    Event.BLEEDING: ("P", ACCENT, "variceal bleeding"),
    Event.LOST: (">", MUTED, "lost to follow-up"),
}


def swimmer(name: str, found: Sequence[Course]) -> str:
    """Every subject's course from the first visit on, the longest on top.

    Args:
        name: id of the figure.
        found: who had what when.
    """
    ordered = sorted(found, key=lambda course: (course.months, course.subject))
    figure, axes = new_figure(7.2, 1.3 + 0.2 * len(ordered))
    axes.grid(visible=False)
    axes.grid(axis="x", color=GRID, linewidth=0.6)
    rows = range(len(ordered))
    axes.barh(rows, [course.months for course in ordered], height=0.45, color=GRID)
    drawn: set[Event] = set()
    spoken = []
    for row, course in zip(rows, ordered, strict=True):
        said = []
        for months, event, _ in course.entries:
            if event not in _MARKS:
                continue
            marker, colour, label = _MARKS[event]
            axes.plot(
                months, row, marker=marker, color=colour, markersize=5.5, linestyle="none",
                label=None if event in drawn else label,
            )  # fmt: skip
            drawn.add(event)
            said.append(f"{label} at {months:g}")
        spoken.append(f"{course.subject} {course.months:g} months ({', '.join(said) or 'alive'})")
    axes.set_yticks(list(rows), [course.subject for course in ordered], fontsize=7.5)
    axes.set_ylim(-0.7, len(ordered) - 0.3)
    axes.set_xlim(0, ordered[-1].months * 1.04)
    ticks = _month_ticks(ordered[-1].months)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xlabel("Months from the first visit", color=INK, fontsize=9)
    if drawn:
        axes.legend(
            loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, frameon=False, fontsize=7.5,
            labelcolor=INK,
        )  # fmt: skip
    return to_svg(figure, name, "Course of every subject", "; ".join(reversed(spoken)))


def scatter(
    name: str,
    points: Sequence[tuple[str, float, float]],
    x_label: str,
    y_label: str,
) -> str:
    """Two changes against each other, every subject named.

    Args:
        name: id of the figure.
        points: code and both changes.
        x_label: of the horizontal axis, with its unit.
        y_label: of the vertical axis, with its unit.
    """
    figure, axes = new_figure(5.4, 4.2)
    x = np.array([point[1] for point in points])
    y = np.array([point[2] for point in points])
    axes.grid(axis="x", color=GRID, linewidth=0.6)
    axes.axvline(0, color=MUTED, linewidth=0.8)
    axes.axhline(0, color=MUTED, linewidth=0.8)
    axes.plot(x, y, "o", color=ACCENT, markersize=5)
    for (label, *_), one, two in zip(points, x, y, strict=True):
        axes.annotate(
            label, (one, two), (5, 3), textcoords="offset points", fontsize=7, color=MUTED
        )
    axes.margins(0.1)
    axes.set_xlabel(x_label, color=INK, fontsize=9)
    axes.set_ylabel(y_label, color=INK, fontsize=9)
    spoken = "; ".join(f"{label} {one:.4g}, {two:.4g}" for label, one, two in points)
    return to_svg(figure, name, f"{y_label} against {x_label}", spoken)


def bland_altman(
    name: str,
    title: str,
    unit: str,
    points: Sequence[tuple[str, float, float]],
    result: BlandAltman,
) -> str:
    """Difference against mean, with bias and limits of agreement and their intervals.

    Args:
        name: id of the figure.
        title: of the measure.
        unit: of the values.
        points: label, first and second measurement.
        result: of the same points.
    """
    figure, axes = new_figure(5.6, 4.0)
    first = np.array([point[1] for point in points])
    second = np.array([point[2] for point in points])
    middle = (first + second) / 2
    edge = float(middle.max()) + 0.22 * max(float(np.ptp(middle)), 1e-9)
    for estimate, dashes in ((result.bias, "-"), (result.lower, "--"), (result.upper, "--")):
        axes.axhline(estimate.value, color=INK, linestyle=dashes, linewidth=1.3)
        if estimate.low is not None and estimate.high is not None:
            below, above = estimate.value - estimate.low, estimate.high - estimate.value
            axes.errorbar(edge, estimate.value, [[below], [above]], color=SAME, capsize=4)
            edge += 0.05 * max(float(np.ptp(middle)), 1e-9)  # side by side where they overlap
    axes.plot(middle, second - first, "o", color=ACCENT, markersize=5)
    for label, one, two in points:
        axes.annotate(
            label, ((one + two) / 2, two - one), (4, 3), textcoords="offset points", fontsize=6.5,
            color=MUTED,
        )  # fmt: skip
    axes.margins(0.08)
    axes.set_xlabel(f"Mean of both ({unit})" if unit else "Mean of both", color=INK, fontsize=9)
    axes.set_ylabel(
        f"Second minus first ({unit})" if unit else "Second minus first", color=INK, fontsize=9
    )
    spoken = (
        f"Bias {result.bias.value:.4g} {unit}, limits of agreement {result.lower.value:.4g} to "
        f"{result.upper.value:.4g} {unit}, {result.n} cases"
    )
    return to_svg(figure, name, f"{title}: difference against mean", spoken)

"""The curve of a planned trial: its power by the number of subjects, as a file of its own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import resources

from .figures import ACCENT, INK, MUTED, new_figure, to_svg

Curve = Sequence[tuple[int, float]]
"""Subjects compared, in each arm, and power."""


def power_curve(title: str, curve: Curve, cautious: Curve, needed: int, power: float) -> str:
    """Power by the number of subjects, with the number that is needed.

    Args:
        title: what is to be found.
        curve: with the spread that the study found.
        cautious: with the upper limit of that spread, () for none.
        needed: subjects that reach the wanted power.
        power: wanted, as a share.

    Returns:
        A whole SVG file with the colours of the report, light and dark.
    """
    figure, axes = new_figure(6.4, 3.8)
    for line, colour, dashes, label in (
        (curve, ACCENT, "-", "SD as in this study"),
        (cautious, MUTED, "--", "SD at its upper 95 % limit"),
    ):
        if line:
            sizes, powers = zip(*line, strict=True)
            axes.plot(sizes, [100 * one for one in powers], dashes, color=colour, label=label)
    axes.axhline(100 * power, color=MUTED, linewidth=0.8)
    axes.plot([needed], [100 * power], "o", color=ACCENT)
    axes.annotate(
        f"{needed}", (needed, 100 * power), (6, -12), textcoords="offset points", color=INK,
        fontsize=9,
    )  # fmt: skip
    axes.set_ylim(0, 103)
    axes.set_xlabel("Subjects compared, in each arm", color=INK, fontsize=9)
    axes.set_ylabel("Power, %", color=INK, fontsize=9)
    axes.legend(loc="lower right", frameon=False, fontsize=8, labelcolor=INK, handlelength=3)
    spoken = f"{100 * power:g} % power with {needed} subjects; " + ", ".join(
        f"{size}: {100 * one:.0f} %" for size, one in curve[:: max(1, len(curve) // 6)]
    )
    return _standalone(to_svg(figure, "power", title, spoken))


def _standalone(svg: str) -> str:
    """A figure of the page as a file: with the variables of report.css."""
    css = (resources.files(__package__) / "report.css").read_text(encoding="utf-8")
    before, after = css.split("@media (prefers-color-scheme: dark)", maxsplit=1)
    light, dark = (
        "; ".join(f"{name}: {value}" for name, value in re.findall(r"(--\w+): (#\w{6})", part))
        for part in (before, after.split("\n}", maxsplit=1)[0])
    )
    style = (
        f"svg {{ {light}; --sans: sans-serif; background: var(--paper) }} "
        f"@media (prefers-color-scheme: dark) {{ svg {{ {dark} }} }}"
    )
    return svg.replace("<title>", f"<style>{style}</style><title>", 1) + "\n"

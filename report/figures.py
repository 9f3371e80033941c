"""The figures as SVG text: deterministic, escaped, and coloured by the page's own variables.

Each function takes plain numbers and gives the text of an ``<svg>`` element to put into the page.
Colours are written as tokens and replaced by CSS variables, so that one figure serves the light
page, the dark page and the printout. Calls differ by marker and line style as well as by colour.
"""

from __future__ import annotations

import html
import io
import re
import textwrap
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from ..vocabulary import Call

# colours that no drawing uses otherwise, and the variables of report.css that replace them
INK, MUTED, GRID = "#010101", "#020202", "#030303"
UP, DOWN, SAME, ACCENT = "#040404", "#050505", "#060606", "#070707"
_VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--grid",
    UP: "--up",
    DOWN: "--down",
    SAME: "--same",
    ACCENT: "--accent",
}
STYLES: dict[str, tuple[str, str, str]] = {  # call: colour, marker, dashes
    Call.INCREASED: (UP, "^", "-"),
    Call.DECREASED: (DOWN, "v", "--"),
    Call.WITHIN_VARIATION: (ACCENT, "D", "-."),
    Call.WITHIN_ERROR: (SAME, "o", ":"),
    Call.NO_LIMITS: (INK, "s", "-"),
    "": (ACCENT, "s", "-"),
    Call.NOT_PAIRED: (MUTED, "x", ""),
}
_FONT = 9.0


@dataclass(frozen=True)
class Line:
    """One subject's values over the visits."""

    label: str
    """The subject's code."""
    values: tuple[float | None, ...]
    """By visit, None if there is none."""
    call: str
    """Of the last comparison."""


@dataclass(frozen=True)
class Change:
    """One subject's change with its limits."""

    label: str
    """The subject's code."""
    change: float
    """Follow-up minus baseline."""
    low: float | None
    """Lower measurement-error limit, None if not known."""
    high: float | None
    """Upper limit."""
    call: str
    """What it is."""


def bare_figure(width_in: float, height_in: float) -> Figure:
    """An empty figure that the page shows through."""
    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    FigureCanvasSVG(figure)
    figure.patch.set_alpha(0)
    return figure


def new_figure(width_in: float, height_in: float) -> tuple[Figure, Axes]:
    """A figure with one bare set of axes in the page's colours."""
    figure = bare_figure(width_in, height_in)
    axes = figure.add_subplot()
    dress(axes)
    return figure, axes


def dress(axes: Axes) -> None:
    """Give axes the page's colours: no box, quiet ticks, a light grid."""
    axes.patch.set_alpha(0)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(MUTED)
    axes.tick_params(colors=MUTED, labelcolor=INK, labelsize=_FONT)
    axes.grid(axis="y", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)


def to_svg(figure: Figure, name: str, title: str, description: str) -> str:
    """The figure as an ``<svg>`` element with its alternative text.

    Args:
        figure: drawn with the tokens of this module.
        name: prefix of every id, so that several figures fit in one page.
        title: short name, read out first.
        description: what the figure shows, in words and numbers.
    """
    stream = io.StringIO()
    settings = {
        "svg.hashsalt": name,
        "svg.fonttype": "none",  # text stays text: searchable, selectable, escaped
        "font.family": ["sans-serif"],
        "text.parse_math": False,  # a code such as P$1 is not a formula
        "axes.unicode_minus": True,
    }
    with mpl.rc_context(settings), warnings.catch_warnings():
        # the browser draws the text: a letter that the measuring font lacks is not a loss
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        if engine := figure.get_layout_engine():  # savefig would draw all once more to lay it out
            engine.execute(figure)
            figure.set_layout_engine(None)
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None, "Type": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r"url\(#", f"url(#{name}-", text)
    text = re.sub(r'xlink:href="#', f'xlink:href="#{name}-', text)
    for token, variable in _VARIABLES.items():
        text = text.replace(token, f"var({variable})")
    text = re.sub(r"font: ([0-9.]+px) [^;\"]*", r"font: \1 var(--sans)", text)
    head = re.search(r'viewBox="[^"]*"', text)
    assert head is not None
    start = text.index(">", text.index("<svg")) + 1
    labels = f"<title>{html.escape(title)}</title><desc>{html.escape(description)}</desc>"
    attributes = (
        f'class="figure" id="{name}" role="img" aria-label="{html.escape(title, quote=True)}. '
        f'{html.escape(description, quote=True)}" {head.group()} '
        f'style="max-width:{110 * figure.get_figwidth():.0f}px" '
        'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    )
    return f"<svg {attributes}>{labels}{text[start:]}".strip()


def spread(positions: Sequence[float], gap: float) -> list[float]:
    """Move labels apart to at least ``gap`` with the least movement, keeping their order.

    Args:
        positions: wanted places, any order.
        gap: smallest distance, same unit.

    Returns:
        The places, in the order given.
    """
    order = sorted(range(len(positions)), key=lambda index: positions[index])
    blocks: list[tuple[float, int]] = []  # (centre, members), merged while they overlap
    for index in order:
        centre, members = float(positions[index]), 1
        while blocks and centre - (members - 1) * gap / 2 < (
            blocks[-1][0] + (blocks[-1][1] - 1) * gap / 2 + gap
        ):
            before, number = blocks.pop()
            total = members + number
            # the block's best place is the mean of its members' wishes, each less its own offset
            centre = (before * number + centre * members) / total
            members = total
        blocks.append((centre, members))
    placed: list[float] = []
    for centre, members in blocks:
        placed.extend(centre + (k - (members - 1) / 2) * gap for k in range(members))
    result = [0.0] * len(positions)
    for place, index in zip(placed, order, strict=True):
        result[index] = place
    return result


def spaghetti(
    name: str,
    title: str,
    unit: str,
    visits: Sequence[str],
    lines: Sequence[Line],
    means: Sequence[tuple[float, float | None, float | None]],
) -> str:
    """Every subject's values over the visits, with the mean of the paired ones.

    Args:
        name: id of the figure.
        title: of the measure.
        unit: of the values.
        visits: names in order.
        lines: a line a subject; those with one value are drawn as an open cross.
        means: mean, lower and upper limit at each visit, of the paired subjects; may be empty.
    """
    figure, axes = new_figure(4.6, 3.9)
    places = list(range(len(visits)))
    ends: list[tuple[float, float, str]] = []
    drawn: set[str] = set()
    for line in lines:
        known = [(x, y) for x, y in zip(places, line.values, strict=True) if y is not None]
        if not known:
            continue
        call = line.call if len(known) > 1 else Call.NOT_PAIRED
        colour, marker, dashes = STYLES[call]
        axes.plot(
            [x for x, _ in known],
            [y for _, y in known],
            color=colour,
            marker=marker,
            markersize=4,
            linewidth=1.1,
            linestyle=dashes or "none",
            alpha=0.9,
            label=None if call in drawn else (call or "change"),
        )
        drawn.add(call)
        ends.append((known[-1][0], known[-1][1], line.label))
    if means:
        middle = [mean for mean, _, _ in means]
        axes.plot(places, middle, color=INK, linewidth=2.4, zorder=5, label="mean of the pairs")
        for x, (mean, low, high) in zip(places, means, strict=True):
            if low is not None and high is not None:
                axes.errorbar(
                    x, mean, [[mean - low], [high - mean]], color=INK, capsize=4, zorder=5
                )
    axes.set_xticks(places, list(visits))
    axes.set_xlim(-0.25, len(visits) - 1 + 0.45)
    axes.set_ylabel(f"{title} ({unit})" if unit else title, color=INK, fontsize=_FONT)
    _label_ends(axes, ends, len(visits) - 1)
    _legend(axes)
    n = sum(sum(value is not None for value in line.values) > 1 for line in lines)
    described = (
        f"One line for each of {n} paired subjects over the visits {', '.join(visits)}. "
        + " ".join(
            f"Mean at {visit}: {mean:.4g} {unit}."
            for visit, (mean, _, _) in zip(visits, means, strict=False)
        )
    )
    return to_svg(figure, name, f"{title}: every subject", described)


def _label_ends(axes: Axes, ends: Sequence[tuple[float, float, str]], last: int) -> None:
    """Write the codes right of the last visit, moved apart where lines end close together."""
    at_last = [(y, label) for x, y, label in ends if x == last]
    low, high = axes.get_ylim()
    gap = (high - low) * 0.034
    labels = []
    for (y, label), place in zip(at_last, spread([y for y, _ in at_last], gap), strict=True):
        axes.plot([last + 0.02, last + 0.08], [y, place], color=GRID, linewidth=0.6)
        labels.append(axes.text(last + 0.09, place, label, fontsize=6.5, color=MUTED, va="center"))
    for x, y, label in ends:
        if x != last:
            labels.append(
                axes.text(x - 0.03, y, label, fontsize=6.5, color=MUTED, va="center", ha="right")
            )
    for text in labels:
        text.set_in_layout(
            False
        )  # they have their room; measuring each would take most of the time
    axes.set_ylim(low, high)


def _legend(axes: Axes) -> None:
    if not axes.get_legend_handles_labels()[0]:  # no pair is drawn
        return
    legend = axes.legend(
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=2,
        frameon=False,
        fontsize=7.5,
        labelcolor=INK,
        handlelength=2.6,
    )
    legend.set_in_layout(True)


def forest(
    name: str,
    title: str,
    unit: str,
    changes: Sequence[Change],
    mean: tuple[float, float | None, float | None] | None,
) -> str:
    """Each subject's change with its measurement-error limits, sorted, and the mean below.

    Args:
        name: id of the figure.
        title: of the measure.
        unit: of the change.
        changes: a row a paired subject.
        mean: mean change with its interval, None to leave it out.
    """
    ordered = sorted(changes, key=lambda item: (item.change, item.label))
    height = 1.1 + 0.19 * (len(ordered) + (2 if mean else 0))
    figure, axes = new_figure(4.6, max(2.2, height))
    axes.grid(visible=False)
    axes.grid(axis="x", color=GRID, linewidth=0.6)
    first = 2 if mean else 0
    for row, item in enumerate(ordered, start=first):
        colour, marker, dashes = STYLES[item.call]
        if item.low is not None and item.high is not None:
            axes.plot([item.low, item.high], [row, row], color=colour, linestyle=dashes or "-")
        axes.plot(item.change, row, color=colour, marker=marker, markersize=5, linestyle="none")
    labels = [item.label for item in ordered]
    rows = list(range(first, first + len(ordered)))
    if mean is not None:
        value, low, high = mean
        if low is not None and high is not None:
            axes.plot([low, high], [0, 0], color=INK, linewidth=2.2)
        axes.plot(value, 0, color=INK, marker="D", markersize=6)
        labels, rows = ["mean", *labels], [0, *rows]
    axes.axvline(0, color=MUTED, linewidth=1)
    axes.set_yticks(rows, labels, fontsize=7.5)
    axes.set_ylim(-0.8, first + len(ordered) - 0.2)
    axes.set_xlabel(
        f"Change ({'percentage points' if unit == '%' else unit})" if unit else "Change",
        color=INK,
        fontsize=_FONT,
    )
    described = "; ".join(
        f"{item.label} {item.change:+.4g} {unit} ({item.call or 'not called'})"
        for item in reversed(ordered)
    )
    return to_svg(
        figure, name, f"{title}: change of each subject with its 95 % measurement limits", described
    )


def flow(
    name: str, title: str, steps: Sequence[tuple[str, str]], excluded: Mapping[str, int]
) -> str:
    """A flow diagram: boxes from enrolled to paired, and who left on the way.

    Args:
        name: id of the figure.
        title: of the measure.
        steps: label and number of each box, top to bottom.
        excluded: reason and number of subjects, drawn next to the last step.
    """
    box_w, box_h, gap, left = 250, 46, 26, 8
    side_x, side_w = left + box_w + 46, 330
    height = float(len(steps) * (box_h + gap) - gap + 16)
    reasons = [f"{number} × {reason}" for reason, number in excluded.items()]
    wrapped = [piece for reason in reasons for piece in _wrap(reason, 52)]
    side_h = 30 + 15 * len(wrapped)
    top_side = (len(steps) - 2) * (box_h + gap) + 8 + box_h + gap / 2 - side_h / 2
    top_side = max(8.0, top_side)
    height = max(height, top_side + side_h + 8) if wrapped else height
    width = side_x + side_w + 8 if wrapped else left + box_w + 8
    parts = []
    for index, (label, number) in enumerate(steps):
        y = 8.0 + index * (box_h + gap)
        middle = left + box_w / 2
        parts.append(
            f'<rect x="{left}" y="{y}" width="{box_w}" height="{box_h}" rx="6" class="box"/>'
            f'<text x="{middle}" y="{y + 19}" class="label">{html.escape(label)}</text>'
            f'<text x="{middle}" y="{y + 37}" class="count">{html.escape(number)}</text>'
        )
        if index:
            parts.append(
                f'<path d="M{middle} {y - gap} V{y - 2}" class="arrow"/>'
                f'<path d="M{middle - 4} {y - 7} L{middle} {y - 1} L{middle + 4} {y - 7}" '
                'class="arrow"/>'
            )
    if wrapped:
        y = 8 + (len(steps) - 1) * (box_h + gap) - gap / 2
        parts.append(
            f'<path d="M{left + box_w / 2} {y} H{side_x}" class="arrow"/>'
            f'<rect x="{side_x}" y="{top_side}" width="{side_w}" height="{side_h}" rx="6" '
            'class="box out"/>'
            f'<text x="{side_x + 10}" y="{top_side + 19}" class="left strong">'
            f"Not paired: {sum(excluded.values())}</text>"
        )
        parts.extend(
            f'<text x="{side_x + 10}" y="{top_side + 36 + 15 * row}" class="left">'
            f"{html.escape(text)}</text>"
            for row, text in enumerate(wrapped)
        )
    described = "; ".join(f"{label}: {number}" for label, number in steps)
    if reasons:
        described += ". Not paired: " + "; ".join(reasons)
    quoted = html.escape(f"{title}: flow of subjects. {described}", quote=True)
    return (
        f'<svg class="figure flow" id="{name}" role="img" aria-label="{quoted}" '
        f'viewBox="0 0 {width} {height:g}" style="max-width:{width}px" '
        'xmlns="http://www.w3.org/2000/svg">'
        f"<title>{html.escape(title)}: flow of subjects</title>"
        f"<desc>{html.escape(described)}</desc>{''.join(parts)}</svg>"
    )


def _wrap(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, subsequent_indent="   ") or [""]

"""Show results in a notebook: a card of HTML with rows of text and a picture. Pure.

Everything is escaped: a series may be called ``<img onerror=...>``. What is shown decides no
number.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from .flags import FLAGS

_LONGEST_REPR = 299
_STYLE = (
    "border-collapse:collapse;font-size:0.95em;margin:0.4em 0",
    "text-align:left;vertical-align:top;padding:0.1em 1em 0.1em 0;font-weight:600",
    "text-align:left;vertical-align:top;padding:0.1em 0",
)


def card(title: str, rows: Mapping[str, object], png: bytes = b"", picture: str = "") -> str:
    """HTML for ``_repr_html_``: a heading, a table of two columns, a picture.

    Args:
        title: the heading.
        rows: what to say by name; empty values are left out.
        png: a picture, none if empty.
        picture: what the picture shows, for who cannot see it.
    """
    table, head, cell = _STYLE
    lines = "".join(
        f'<tr><th scope="row" style="{head}">{escape(name)}</th>'
        f'<td style="{cell}">{escape(str(value))}</td></tr>'
        for name, value in rows.items()
        if str(value)
    )
    image = ""
    if png:
        source = f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
        image = f'<img alt="{escape(picture)}" style="max-width:100%" src="{source}">'
    body = f'<table style="{table}">{lines}</table>{image}'
    return f"<div><strong>{escape(title)}</strong>{body}</div>"


def flag_rows(flags: Iterable[str]) -> dict[str, str]:
    """A row for each flag with its sentence."""
    return {
        f"{'doubtful' if FLAGS[flag].doubtful else 'note'}: {flag}": FLAGS[flag].sentence
        for flag in flags
    }


def short(name: str, parts: Iterable[str]) -> str:
    """A ``repr`` of less than 300 characters; empty parts are left out."""
    text = f"<{name} {', '.join(part for part in parts if part)}>"
    return text if len(text) <= _LONGEST_REPR else f"{text[: _LONGEST_REPR - 4]}...>"


def with_limits(value: float, low: float | None, high: float | None, unit: str, form: str) -> str:
    """A number with its unit and its limits, such as ``1,410 mL (95 % limits 1,340 to 1,480)``.

    Args:
        value: the number.
        low: lower limit, None if not known.
        high: upper limit, None if not known.
        unit: of all three.
        form: of all three, such as ``,.0f``.
    """
    text = f"{value:{form}} {unit}"
    if low is None or high is None:
        return text
    return f"{text} (95 % limits {low:{form}} to {high:{form}})"


def shown(figure: Any, write: Any = None) -> Any:
    """A matplotlib figure that a notebook shows as a picture, whether pyplot is loaded or not.

    Args:
        figure: a ``Figure``.
        write: writes it as PNG to a stream; ``figure.savefig`` if not given.

    Returns:
        The same figure.
    """

    def png() -> bytes:
        stream = io.BytesIO()
        (write or (lambda target: figure.savefig(target, format="png")))(stream)
        return stream.getvalue()

    figure._repr_png_ = png
    return figure

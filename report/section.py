"""What a section of the report is: one shape for all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..analysis.analyse import Analysis


@dataclass(frozen=True)
class Source:
    """What sections print."""

    analysis: Analysis
    """Everything that was computed."""
    versions: Mapping[str, str]
    """Software and its versions, as the run recorded them."""


@dataclass(frozen=True)
class Entry:
    """One printed section with its line in the table of contents."""

    anchor: str
    """Where the line of the contents leads: an id in the section's template."""
    title: str
    """The line of the contents; "" for a section that has none."""
    content: Any
    """What the template prints, as ``content``."""


@dataclass(frozen=True)
class Section:
    """A kind of section: a function that gathers what is printed, and a template next to it."""

    name: str
    """The template is ``sections/NAME.html.j2``."""
    entries: Callable[[Source], Sequence[Entry]]
    """The sections of this kind that a study has; () if there is nothing to say."""
    before_contents: bool = False
    """Whether it stands above the table of contents."""

    @property
    def template(self) -> str:
        """The template's file."""
        return f"sections/{self.name}.html.j2"

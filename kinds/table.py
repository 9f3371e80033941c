"""The one table of kinds."""

from __future__ import annotations

from .base import Kind
from .scan import SCAN
from .slide import SLIDE

KINDS: dict[str, Kind] = {kind.name: kind for kind in (SCAN, SLIDE)}
"""By the word in study.csv's column ``kind``."""

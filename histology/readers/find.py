"""Slides under a folder, by the endings of their names."""

from __future__ import annotations

import os
from pathlib import Path

from . import SLIDE_SUFFIXES, picture

#: A DICOM file may be a scan or a slide: the list of scans shows it and says what it is.
_EITHER = (".dcm", ".dicom", "")


def find_slides(path: Path, *, pictures: bool = False) -> list[Path]:
    """The slides at or under a path, sorted; hidden folders are passed over.

    Args:
        path: a file, or a folder that is searched with its sub-folders.
        pictures: also take PNG, JPEG and BMP pictures in folders, which are often previews and no
            slides. A picture named by itself is always taken.
    """
    slides = tuple(s for s in SLIDE_SUFFIXES if s not in (*_EITHER, *picture.SUFFIXES))
    either = (*slides, *picture.SUFFIXES)
    if path.is_file():
        return [path] if path.name.lower().endswith(either) else []
    found: list[Path] = []
    for place, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        wanted = either if pictures else slides
        found += [Path(place) / n for n in sorted(names) if n.lower().endswith(wanted)]
    return found

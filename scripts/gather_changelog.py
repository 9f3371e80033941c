"""Gather the pieces of changelog.d/ under the newest version of CHANGELOG.md, and remove them.

    .venv/bin/python scripts/gather_changelog.py

scripts/rules.py holds the names and the form of the pieces.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VERSION_HEADING = re.compile(r"^## .*$", re.MULTILINE)


def gathered(changelog: str, pieces: list[str]) -> str:
    """The changelog with the pieces at the end of its first, newest version.

    Args:
        changelog: the text of CHANGELOG.md.
        pieces: lists in Markdown, in their order.

    Raises:
        ValueError: the changelog has no heading of a version.
    """
    headings = list(VERSION_HEADING.finditer(changelog))
    if not headings:
        raise ValueError("CHANGELOG.md has no heading of a version, as ## 0.2.0 (not yet released)")
    end = headings[1].start() if len(headings) > 1 else len(changelog)
    newest, older = changelog[:end].rstrip("\n"), changelog[end:]
    text = "\n".join([newest, *(piece.strip("\n") for piece in pieces)]) + "\n"
    return text + ("\n" + older if older else "")


def fragments(root: Path) -> list[Path]:
    """The pieces, by the issue's number, then by name."""
    found = [path for path in (root / "changelog.d").glob("*.md") if path.name != "README.md"]
    return sorted(found, key=lambda path: (int(path.name.partition("-")[0]), path.name))


def main(root: Path = ROOT) -> int:
    """Write CHANGELOG.md and remove the pieces; the exit status."""
    found = fragments(root)
    path = root / "CHANGELOG.md"
    text = gathered(
        path.read_text(encoding="utf-8"), [piece.read_text(encoding="utf-8") for piece in found]
    )
    if found:
        path.write_text(text, encoding="utf-8", newline="\n")
    for piece in found:
        piece.unlink()
    print(f"{len(found)} pieces are in CHANGELOG.md now.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

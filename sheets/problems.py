"""What is wrong with a table that a person made, said all at once."""

from __future__ import annotations

from ..errors import ManifestError

_MAX_PROBLEMS = 50


class Problems:
    """Collects what is wrong with a table so that it is all said at once."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, line: int, text: str) -> None:
        """Note one problem; line 0 if there is no table."""
        self.lines.append(f"line {line}: {text}" if line else text)

    def raise_if_any(self, name: str) -> None:
        """Refuse the table.

        Raises:
            ManifestError: there are problems; it lists them.
        """
        if not self.lines:
            return
        count = len(self.lines)
        shown = self.lines[:_MAX_PROBLEMS]
        if count > len(shown):
            shown.append(f"and {count - len(shown)} more")
        raise ManifestError(
            "bad_manifest",
            f"{name} has {count} problem{'s' if count > 1 else ''}",
            found="\n  " + "\n  ".join(shown),
            do="correct the lines and start again; nothing was measured",
        )

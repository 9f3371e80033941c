"""Builds the reader's page before the package; everything else stands in pyproject.toml."""

import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "scripts"))

import build_page  # noqa: E402 - found by the line above


class BuildWithPage(build_py):
    """A wheel without its page is none; a source install without the npm registry goes on."""

    def run(self) -> None:
        """Build the page, then the package."""
        try:
            build_page.build()
        except build_page.PageError as error:
            if not self.editable_mode:
                raise SystemExit(f"The reader's page could not be built. {error}") from None
            self.warn(
                "The reader's page could not be built: `fibrovol review` will not start until this "
                f"is installed again where the npm registry can be reached. {error}"
            )
        super().run()


setup(cmdclass={"build_py": BuildWithPage})

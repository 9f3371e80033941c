"""The repository root is the package; this shows it to mypy and editors under its name."""

from __future__ import annotations

import contextlib
import filecmp
import shutil
from pathlib import Path

NOT_TYPED = {"build", "dist", "docs", "runs", "venv"}  # folders without a module of ours


def show_root_as_package(root: Path) -> Path:
    """Let mypy and editors find the repository root under its name: ``.cache/fibrovol``.

    It is a link; where the system refuses links (Windows without developer mode), a copy of the
    modules that each check brings up to date.

    Args:
        root: the repository root.

    Returns:
        the link or the folder of copies.
    """
    package = root / ".cache" / "fibrovol"
    package.parent.mkdir(exist_ok=True)
    if not package.is_symlink() and not package.exists():
        with contextlib.suppress(OSError):
            package.symlink_to("..", target_is_directory=True)
    if not package.is_symlink():
        _copy_modules(root, package)
    return package


def _copy_modules(root: Path, package: Path) -> None:
    wanted = {path.relative_to(root) for path in (*root.glob("*.py"), *root.glob("py.typed"))}
    for room in root.iterdir():
        if room.is_dir() and not room.name.startswith(".") and room.name not in NOT_TYPED:
            wanted |= {path.relative_to(root) for path in room.rglob("*.py")}
    for copy in package.rglob("*"):
        if copy.is_file() and copy.relative_to(package) not in wanted:
            copy.unlink()  # a module that is gone must not be found
    for name in wanted:
        copy = package / name
        if not copy.is_file() or not filecmp.cmp(root / name, copy, shallow=False):
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, copy)

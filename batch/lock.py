"""One run at a time in an output directory."""

from __future__ import annotations

import contextlib
import json
import os
import platform
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import filelock

from ..errors import OutputError
from ..files import write_text

LOCK_NAME = "run.lock"
HOLDER_NAME = "holder.json"


@contextlib.contextmanager
def hold(directory: Path) -> Iterator[None]:
    """Hold a directory for one run; the system lets go of it even when the process is killed.

    Args:
        directory: where the lock file lies; must exist.

    Raises:
        OutputError: ``output_in_use``, naming who holds it; ``output_not_writable``.
    """
    # a second of patience: `fibrovol status` takes the lock for a moment to see whether it is free
    lock = filelock.FileLock(directory / LOCK_NAME, timeout=1.0)
    try:
        lock.acquire()
    except filelock.Timeout:
        holder = read_holder(directory)
        who = (
            f"process {holder['pid']} on {holder['host']}, started {holder['started']}"
            if holder
            else "another process"
        )
        raise OutputError(
            "output_in_use",
            "Another run is using the output directory",
            found=who,
            do="wait until it ends (`fibrovol status DIR` shows how far it is), or give another -o",
        ) from None
    except (OSError, NotImplementedError) as error:
        raise OutputError(
            "output_not_writable",
            "The output directory cannot be locked",
            found=str(getattr(error, "strerror", None) or error),
            do="choose a directory on a local disk, or one where you may write",
        ) from None
    try:
        write_text(
            directory / HOLDER_NAME,
            json.dumps(
                {
                    "pid": os.getpid(),
                    "host": platform.node(),
                    "started": datetime.now(UTC).isoformat(timespec="seconds"),
                }
            )
            + "\n",
        )
        yield
    finally:
        with contextlib.suppress(OSError):
            (directory / HOLDER_NAME).unlink(missing_ok=True)
        lock.release()


def read_holder(directory: Path) -> dict[str, Any]:
    """Who wrote that they hold the directory; {} for nobody."""
    try:
        return dict(json.loads((directory / HOLDER_NAME).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def is_held(directory: Path) -> bool:
    """Whether a living run holds the directory."""
    path = directory / LOCK_NAME
    if not path.exists():
        return False
    lock = filelock.FileLock(path, timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        return True
    lock.release()
    return False

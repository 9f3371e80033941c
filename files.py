"""Write files atomically, and hash inputs."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Self

from .errors import OutputError

_CHUNK_BYTES = 1 << 20
_UMASK = threading.Lock()  # a umask is read by setting it, for the whole process

_PATIENCE_SECONDS = (0.1, 0.2, 0.5, 1.0)

PARTIAL_PREFIX = ".partial-"
"""How the names of files begin that are still being written."""


def move(source: Path, target: Path) -> None:
    """Rename a file or folder, over an older file if there is one.

    Windows refuses it while another program has one of them open: a virus scanner for a moment,
    Excel until it is closed.

    Raises:
        OSError: it cannot be renamed; after about two seconds, if it was open elsewhere.
    """
    for seconds in _PATIENCE_SECONDS:
        try:
            source.replace(target)
            return
        except PermissionError:
            time.sleep(seconds)
    source.replace(target)


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path next to ``path``; on success it is renamed onto ``path``.

    The temporary name keeps the suffixes, because writers choose the format by them. On an error
    nothing is left behind and an older file at ``path`` stays as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=PARTIAL_PREFIX, suffix="-" + path.name, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes files private; results are as readable as the user's other files
        with _UMASK:
            umask = os.umask(0)
            os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        move(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


class Closing:
    """What lets go of something at the end of a ``with`` block: its ``close`` is called."""

    def close(self) -> None:
        """Let go."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text with LF line ends on every system, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: object) -> None:
    """Write a value as JSON with an entry per line, whole or not at all."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, as 64 hex digits."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def sha256_files(paths: Iterable[Path]) -> str:
    """One SHA-256 for several files: that of their sorted hashes, so names and order do not count.

    For a single file it is that file's own hash.
    """
    return combine_sha256(sha256_file(path) for path in paths)


def combine_sha256(hashes: Iterable[str]) -> str:
    """One SHA-256 from those of several files, as :func:`sha256_files` does it."""
    ordered = sorted(hashes)
    if len(ordered) == 1:
        return ordered[0]
    return hashlib.sha256("\n".join(ordered).encode()).hexdigest()


def not_writable(error: OSError) -> OutputError:
    """The sentence for a full disk, a read-only share, a file that another program has open."""
    reason = error.strerror or str(error)
    place = error.filename2 or error.filename
    if isinstance(place, str):
        reason = f"{Path(place).name}: {reason}"
    return OutputError(
        "output_not_writable",
        "The output directory cannot be written",
        found=reason,
        do="free space, correct its permissions or close what has a file open, then give the same "
        "command again: finished cases are kept",
    )


@contextlib.contextmanager
def writing() -> Iterator[None]:
    """What goes wrong in here is the output's fault, not a case's.

    Raises:
        OutputError: ``output_not_writable``, for any OSError.
    """
    try:
        yield
    except OSError as error:
        raise not_writable(error) from error

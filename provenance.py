"""Trace a number to its input files and software versions (to its code: code_hash.py).

An input is named by the SHA-256 of what is in it. Reading it all again only to see that nothing
changed would take hours on an archive, so sizes and modification times stand in for it where the
content was hashed before (as version control does); ``fibrovol verify`` hashes everything.
"""

from __future__ import annotations

import hashlib
import os
import platform
import stat
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from .errors import InputError
from .files import combine_sha256, sha256_file

_MAX_FILES = 200_000  # a folder above this is an archive, not a case

# What can change a number; the rest of the environment is in pip's hands.
LIBRARIES = (
    "numpy",
    "scipy",
    "torch",
    "monai",
    "SimpleITK",
    "nibabel",
    "pydicom",
    "scikit-image",
    "opencv-python-headless",
    "tifffile",
    "imagecodecs",
    "openslide-python",
)


@dataclass(frozen=True)
class InputState:
    """The files of an input as a look at the folder shows them, without reading them."""

    root: Path
    """The file or folder itself."""
    names: tuple[str, ...]
    """Its files relative to ``root`` with ``/``, sorted; ("",) for a single file."""
    size_bytes: int
    """Of all together."""
    stat_sha256: str
    """SHA-256 over names, sizes and modification times."""

    @property
    def files(self) -> tuple[Path, ...]:
        """The files' paths."""
        return tuple(self.root / name if name else self.root for name in self.names)


def _missing(path: Path) -> InputError:
    return InputError(
        "input_missing",
        "The file or folder does not exist",
        found=f"nothing at {path}",
        do="check the path, and that the disk or share is connected; then run again",
    )


def input_state(path: Path) -> InputState:
    """Look at an input: a file, or a folder with everything under it.

    Links inside a folder are not followed into other folders.

    Args:
        path: the input.

    Raises:
        InputError: ``input_missing`` or ``unreadable_file`` (no permission, neither file nor
            folder, or more files than a case can have).
    """
    root = Path(path)
    digest = hashlib.sha256()
    names, size = [], 0
    try:
        kind = root.stat().st_mode
        if stat.S_ISREG(kind):
            found = [("", root.stat())]
        elif stat.S_ISDIR(kind):
            found = sorted(_files_under(root), key=lambda entry: entry[0])
        else:
            raise InputError(
                "unreadable_file",
                "The path is neither a file nor a folder",
                found=f"a device or pipe at {root}",
                do="give the path of a scan or slide",
            )
    except FileNotFoundError:
        raise _missing(root) from None
    except OSError as error:
        raise InputError(
            "unreadable_file",
            "The file or folder cannot be read",
            found=str(error.strerror or error),
            do="check its permissions and that the disk or share is connected",
        ) from None
    for name, status in found:
        names.append(name)
        size += status.st_size
        digest.update(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode(errors="replace"))
    return InputState(root, tuple(names), size, digest.hexdigest())


def _files_under(root: Path) -> list[tuple[str, os.stat_result]]:
    found = []
    for folder, folders, files in os.walk(root, onerror=_raise):
        folders.sort()
        place = Path(folder).relative_to(root).as_posix()
        prefix = "" if place == "." else place + "/"
        for name in files:
            status = (Path(folder) / name).stat()
            if stat.S_ISREG(status.st_mode):
                found.append((prefix + name, status))
        if len(found) > _MAX_FILES:
            raise InputError(
                "unreadable_file",
                "The folder contains too many files for one case",
                found=f"more than {_MAX_FILES:,}",
                do="give the folder of one series or study",
            )
    return found


def _raise(error: OSError) -> None:
    raise error


def content_sha256(state: InputState, known: Mapping[Path, str] | None = None) -> str:
    """SHA-256 of an input's content: of a file, or of a folder's sorted file hashes.

    Args:
        state: the input.
        known: SHA-256 of files that were hashed already.

    Raises:
        InputError: a file vanished or cannot be read.
    """
    return combine_sha256(
        (known or {}).get(file) or file_sha256(file, state) for file in state.files
    )


def file_sha256(file: Path, state: InputState) -> str:
    """SHA-256 of one of an input's files; read once as long as the input stays as it is.

    Raises:
        InputError: it vanished or cannot be read.
    """
    try:
        return _hashed(file, state.stat_sha256)  # several cases may lie in one folder
    except FileNotFoundError:
        raise _missing(state.root) from None
    except OSError as error:
        raise InputError(
            "unreadable_file",
            "A file of the input cannot be read",
            found=str(error.strerror or error),
            do="check its permissions and that the disk or share is connected",
        ) from None


@lru_cache(maxsize=20_000)
def _hashed(file: Path, stat_sha256: str) -> str:
    del stat_sha256  # part of the key
    return sha256_file(file)


@lru_cache(maxsize=1)
def fibrovol_version() -> str:
    """The installed version, or "unknown" when run from a folder that was never installed."""
    try:
        return metadata.version("fibrovol")
    except metadata.PackageNotFoundError:
        return "unknown"


@lru_cache(maxsize=100)
def _library_version(name: str) -> str:
    """An installed library's version, which its files are parsed for: once, not for every case."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def software_versions(libraries: Iterable[str] = LIBRARIES) -> dict[str, str]:
    """Versions of Fibrovol, Python, the system and the libraries that can change a number."""
    versions = {
        "fibrovol": fibrovol_version(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }
    versions |= {name: _library_version(name) for name in libraries}
    if "torch" in sys.modules:
        versions["torch_threads"] = str(sys.modules["torch"].get_num_threads())
    return versions

"""Make archives that depend on nothing but their content: times, owners, rights, order.

setuptools takes times from SOURCE_DATE_EPOCH for wheels only, and rights from the umask of whoever
builds. Here a wheel or source archive is written again with fixed ones.
"""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import time
import zipfile
from pathlib import Path

_OLDEST_ZIP = 315532800  # 1980, the first that a zip can state


def normalise(path: Path, epoch: int) -> None:
    """Write an archive again so that the same content gives the same bytes.

    Args:
        path: ``.whl``, ``.zip`` or ``.tar.gz``.
        epoch: seconds since 1970, for every entry: of the commit that is built.

    Raises:
        ValueError: another kind of file.
    """
    if path.name.endswith(".tar.gz"):
        content = _tar(path, epoch)
    elif path.suffix in (".whl", ".zip"):
        content = _zip(path, epoch)
    else:
        raise ValueError(f"{path.name} is neither a wheel nor a source archive")
    temporary = path.with_name(f".{path.name}")
    temporary.write_bytes(content)
    temporary.replace(path)


def _rights(mode: int) -> int:
    return 0o755 if mode & stat.S_IXUSR else 0o644


def _zip(path: Path, epoch: int) -> bytes:
    out = io.BytesIO()
    when = time.gmtime(max(epoch, _OLDEST_ZIP))[:6]
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w") as new:
        # RECORD stays last, as the wheel's rules advise
        entries = sorted(old.infolist(), key=lambda e: (e.filename.endswith("/RECORD"), e.filename))
        for entry in entries:
            made = zipfile.ZipInfo(entry.filename, when)
            made.compress_type = zipfile.ZIP_DEFLATED
            made.create_system = 3
            made.external_attr = (stat.S_IFREG | _rights(entry.external_attr >> 16)) << 16
            new.writestr(made, old.read(entry), compresslevel=9)
    return out.getvalue()


def _tar(path: Path, epoch: int) -> bytes:
    plain = io.BytesIO()
    with (
        tarfile.open(path) as old,
        tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as new,
    ):
        for entry in sorted(old.getmembers(), key=lambda e: e.name):
            made = tarfile.TarInfo(entry.name)
            made.type, made.linkname = entry.type, entry.linkname
            made.mtime = epoch
            made.mode = 0o755 if entry.isdir() else _rights(entry.mode)
            made.size = entry.size if entry.isfile() else 0
            new.addfile(made, old.extractfile(entry) if entry.isfile() else None)
    out = io.BytesIO()
    with gzip.GzipFile(filename="", fileobj=out, mode="wb", compresslevel=9, mtime=epoch) as stream:
        stream.write(plain.getvalue())
    return out.getvalue()

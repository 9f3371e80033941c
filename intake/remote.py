"""Inputs in an object store, a PACS or on a web server: checked remotely, downloaded by the worker.

An address in study.csv (``s3://bucket/scan/``) stands for a file or for everything under it, as a
path does. Its parts travel as text; the worker copies the objects to a folder of its own in the
run's staging, measures them like any other files and removes the copy. Credentials come from the
environment or fsspec's own settings, never from the table, and are written nowhere.
"""

from __future__ import annotations

import errno
import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from ..errors import FibrovolError, InputError, how_to_install
from ..files import combine_sha256, not_writable, writing
from ..provenance import InputState
from . import dicomweb_input as dicomweb

PROTOCOLS = (
    *("s3", "gs", "abfs", "http", "https", "ftp", "sftp", "smb", "webhdfs", "memory"),
    *dicomweb.PROTOCOLS,
)
"""Where inputs may lie. fsspec knows more; some of them run code or read other users' files."""

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_MAX_OBJECTS = 200_000  # as many files as a folder may hold for one case
_CHUNK_BYTES = 1 << 20
_AT_ONCE = 256  # objects asked for with one call; the store's own limit of connections is below
_DISK_ERRORS = (errno.ENOSPC, errno.EROFS, getattr(errno, "EDQUOT", errno.ENOSPC))

# What stores say of an object's version, the surest first.
_VERSION_MARKS = (
    *("ETag", "etag", "md5Hash", "content_md5", "Content-MD5", "Digest"),
    *("LastModified", "Last-Modified", "mtime", "created"),
)

# An unreachable store must not hold up a run for hours: fewer and shorter tries than usual.
_OPTIONS: dict[str, dict[str, Any]] = {
    "s3": {
        "config_kwargs": {
            "connect_timeout": 10,
            "read_timeout": 60,
            "retries": {"max_attempts": 3},
        }
    }
}


@dataclass(frozen=True)
class Url:
    """The address of an input."""

    text: str
    """As written; it may hold a signature after ``?`` and is not for showing."""

    def __str__(self) -> str:
        """The address without what may be secret, for journals and sentences."""
        return re.sub(r"(?<=://)[^/]*@", "", re.split(r"[?#]", self.text)[0])

    @property
    def store(self) -> str:
        """Only where it is, without the object's name, which may hold a patient's."""
        parts = urlsplit(str(self))
        return f"{parts.scheme}://{parts.hostname or ''}" + (f":{parts.port}" if parts.port else "")

    @property
    def name(self) -> str:
        """The last part, which carries the file's ending."""
        return PurePosixPath(str(self).rstrip("/")).name

    @property
    def may_be_folder(self) -> bool:
        """Whether it does not end like the name of a single file."""
        endings = (".dcm", ".dicom", ".gz", ".nii", ".nrrd", ".mha", ".mhd", ".tif", ".tiff")
        return not self.name.lower().endswith(endings)


def is_url(written: str) -> bool:
    """Whether what a user wrote is an address rather than a path."""
    return _ADDRESS.match(written) is not None


def read_url(written: str) -> Url:
    """Check an address.

    Raises:
        ValueError: an address that is not read, with the reason.
    """
    protocol = written.partition("://")[0].lower()
    if protocol == "file":
        raise ValueError("write the path itself, without file://")
    if protocol not in PROTOCOLS:
        raise ValueError(f"{protocol}:// is not read; these are: {', '.join(PROTOCOLS)}")
    if "::" in written:
        raise ValueError("addresses inside addresses are not read")
    if any(ord(character) < 32 for character in written):
        raise ValueError("it contains a control character")
    if "@" in urlsplit(written).netloc:
        raise ValueError(
            "it contains a name or password; give those in the environment, as the page on object "
            "stores says"
        )
    if not written.partition("://")[2].strip("/"):
        raise ValueError("it names no object")
    if dicomweb.is_dicomweb(written):
        dicomweb.read_place(written)
    return Url(written)


@dataclass(frozen=True)
class _Object:
    """One object: its key in the store, its place in the local copy, and what tells versions."""

    key: str
    name: str
    size_bytes: int
    version: str


def _missing() -> InputError:
    return InputError(
        "input_missing",
        "The file or folder does not exist",
        found="nothing at this address",
        do="check the address in study.csv; then run again",
    )


@contextmanager
def _asking(url: Url) -> Iterator[None]:
    """Whatever a store's library raises becomes one of our sentences."""
    try:
        yield
    except (FibrovolError, MemoryError):
        raise
    except ImportError as error:
        protocol = url.text.partition("://")[0]
        ours = protocol in ("s3", "http", "https")
        raise InputError(
            "storage_not_installed",
            f"A library for {protocol}:// addresses is not installed",
            found=str(error),
            do="install it on every worker: "
            + (how_to_install("s3") if ours else "see the list of fsspec"),
        ) from None
    except FileNotFoundError:
        raise _missing() from None
    except Exception as error:  # each store's library has errors of its own
        if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
            raise not_writable(error) from error
        if _is_refusal(error):
            raise InputError(
                "unreadable_file",
                "The file or folder may not be read",
                found=f"the store refused ({type(error).__name__})",
                do="check the credentials on every worker and the store's permissions",
            ) from None
        raise InputError(
            "storage_unreachable",
            "The store could not be reached, or disconnected",
            found=type(error).__name__,  # its text may hold the signed address
            do="check the network and the store's address on every worker, then run again",
        ) from None


def _is_refusal(error: Exception) -> bool:
    if isinstance(error, PermissionError) or getattr(error, "status", None) in (401, 403):
        return True
    return any(word in type(error).__name__ for word in ("Credential", "Forbidden", "AccessDenied"))


def _open_store(url: Url) -> tuple[Any, str]:
    from fsspec.core import url_to_fs  # noqa: PLC0415 - start-up time

    options = _OPTIONS.get(url.text.partition("://")[0].lower(), {})
    store, path = url_to_fs(url.text, **options)
    store.invalidate_cache()  # what another program did in the meantime counts
    return store, str(path)


def _objects(store: Any, path: str) -> list[_Object]:
    """Everything at an address, sorted by name; MRXS and VMS files with what belongs to them."""
    from ..histology.readers.companions import KEY_FILES  # noqa: PLC0415 - start-up time

    info = store.info(path)
    if info["type"] == "file":
        found = [_as_object(info, path, _name(path))]
        stem = path.removesuffix(".mrxs")
        if stem != path:
            found += _under(store, stem, PurePosixPath(stem).name + "/")
        elif found[0].name.lower().endswith(KEY_FILES):
            found += _named_by(store, path)
    else:
        found = _under(store, path, "")
    if not found:
        raise _missing()
    return sorted(found, key=lambda item: item.name)


def _name(path: str) -> str:
    """Of a single object, without a signature."""
    return PurePosixPath(path.partition("?")[0]).name


def _named_by(store: Any, path: str) -> list[_Object]:
    """The objects that a Hamamatsu text file names, as far as they are there."""
    from ..histology.readers.companions import KEY_FILE_BYTES, key_file_names  # noqa: PLC0415

    with store.open(path, "rb") as stream:
        names = key_file_names(stream.read(KEY_FILE_BYTES))
    folder = path.partition("?")[0].rpartition("/")[0]
    found = []
    for name in names:
        with suppress(FileNotFoundError):  # the reader says what is missing
            found.append(_as_object(store.info(f"{folder}/{name}"), f"{folder}/{name}", name))
    return found


def _under(store: Any, path: str, prefix: str) -> list[_Object]:
    root = path.rstrip("/") + "/"
    found = [
        _as_object(info, key, prefix + key.removeprefix(root))
        for key, info in store.find(path, detail=True).items()
        if info["type"] == "file" and not key.endswith("/")
    ]
    if len(found) > _MAX_OBJECTS:
        raise InputError(
            "unreadable_file",
            "The folder contains too many files for one case",
            found=f"more than {_MAX_OBJECTS:,}",
            do="give the address of one series or study",
        )
    return found


def _as_object(info: dict[str, Any], key: str, name: str) -> _Object:
    parts = name.split("/")
    if any(part in ("", ".", "..") or re.search(r'[\x00-\x1f\\:*?"<>|]', part) for part in parts):
        raise InputError(
            "unreadable_file",
            "An object's name cannot be a file's name here",
            found='an empty or dotted part, or one of \\ : * ? " < > |',
            do="copy the data to a folder and give its path",
        )
    if info.get("size") is None:
        raise InputError(
            "unreadable_file",
            "The server does not say how large the file is",
            found="no size",
            do="copy the file to a folder and give its path",
        )
    version = next((str(info[mark]) for mark in _VERSION_MARKS if info.get(mark)), "")
    return _Object(key, name, int(info["size"]), version)


def remote_state(url: Url) -> InputState:
    """Look at an address without reading what is there.

    Returns:
        The state; its ``root`` is not a local file.

    Raises:
        InputError: ``input_missing``, ``unreadable_file``, ``storage_not_installed`` or
            ``storage_unreachable``.
    """
    if dicomweb.is_dicomweb(url.text):
        return dicomweb.dicomweb_state(url.text)
    with _asking(url):
        objects = _objects(*_open_store(url))
    digest = hashlib.sha256()
    for item in objects:
        digest.update(f"{item.name}\0{item.size_bytes}\0{item.version}\n".encode())
    size = sum(item.size_bytes for item in objects)
    names = tuple(item.name for item in objects)
    return InputState(Path(url.name), names, size, digest.hexdigest())


def fetch(url: Url, folder: Path, limit_bytes: int) -> Path:
    """Copy what is at an address.

    Args:
        url: the address.
        folder: an empty folder.
        limit_bytes: refuse more than this.

    Returns:
        The copy: a file, or a folder with everything under the address.

    Raises:
        InputError: as :func:`remote_state`; ``unreadable_file`` for more than the limit;
            ``input_changed`` where less or more came than was announced.
        OutputError: the folder cannot be written.
    """
    if dicomweb.is_dicomweb(url.text):
        return dicomweb.fetch_dicomweb(url.text, folder, limit_bytes)
    with _asking(url):
        store, path = _open_store(url)
        objects = _objects(store, path)
    size = sum(item.size_bytes for item in objects)
    if size > limit_bytes:
        raise InputError(
            "unreadable_file",
            "The input is larger than may be fetched for one case",
            found=f"{size / 2**30:.3g} GiB at this address",
            do="give the address of one series or slide, or raise run.download_limit_gib",
        )
    is_file = store.isfile(path)
    root = folder if is_file else folder / (url.name or "input")
    places = [root / item.name for item in objects]
    with writing():
        for parent in {place.parent for place in places}:
            parent.mkdir(parents=True, exist_ok=True)
    for start in range(0, len(objects), _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        with _asking(url):
            keys = [item.key for item in objects[some]]
            store.get(keys, [str(place) for place in places[some]])
    for item, place in zip(objects, places, strict=True):
        if not place.is_file() or place.stat().st_size != item.size_bytes:
            raise InputError(
                "input_changed",
                "The input changed while it was fetched, or the connection broke",
                found="not the size that was announced",
                do="wait until the upload is complete, then run the same command again",
            )
    return root / _name(path) if is_file else root


def remote_content_sha256(url: Url) -> list[str]:
    """SHA-256 of what is at an address now, read through without a copy.

    Returns:
        Of the file or folder, then of what belongs to a slide: as
            :func:`fibrovol.histology.readers.companions.slide_companions` lists it.

    Raises:
        InputError: as :func:`remote_state`.
    """
    if dicomweb.is_dicomweb(url.text):
        return dicomweb.dicomweb_content_sha256(url.text)
    with _asking(url):
        store, path = _open_store(url)
        objects = _objects(store, path)
        is_file = store.isfile(path)
        hashes: dict[str, list[str]] = {}
        # the object itself first; a folder, that of an MRXS file too, is one
        for item in sorted(objects, key=lambda item: (item.key != path, item.name)):
            digest = hashlib.sha256()
            with store.open(item.key, "rb") as stream:
                while chunk := stream.read(_CHUNK_BYTES):
                    digest.update(chunk)
            part = item.name if is_file and not path.endswith(".mrxs") else str(item.key == path)
            hashes.setdefault(part, []).append(digest.hexdigest())
    return [combine_sha256(some) for some in hashes.values()]

"""The rules for files that no linter knows: length, size, line ends and nothing that is not ours.

Run by scripts/check; prints each finding and gives exit status 1 where there is one. With file
names as arguments it looks at these alone, as pre-commit does.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHARED_DATA = ROOT.parent / "shared" / "data"

MAX_LINES = 400
LONG_FILE_MARK = "# Long because"  # a longer file gives its reason after this in its first lines
MAX_BYTES = 500_000
MAX_WEIGHTS_BYTES = 60_000_000
WEIGHTS_DIR = "models/liver/models/"
# A line of the changelog waits here: the number and a word, so that two never meet.
FRAGMENTS = "changelog.d/"
FRAGMENT_NAME = re.compile(r"\d+-[a-z0-9]+(-[a-z0-9]+)*\.md")
# Scans and slides belong to patients: tests make theirs with phantoms/.
IMAGE_SUFFIXES = (
    *(".dcm", ".dicom", ".nii", ".nii.gz", ".nrrd", ".mha", ".mhd", ".img", ".hdr", ".raw"),
    *(".svs", ".ndpi", ".mrxs", ".scn", ".bif", ".tif", ".tiff", ".jp2", ".jls"),
)


def tracked_files() -> list[str]:
    """Paths that git tracks or would track, relative to the root, with ``/``."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    ).stdout.decode()
    return sorted(name for name in set(listing.split("\0")) if name and (ROOT / name).is_file())


def length_findings(name: str, content: bytes) -> Iterator[str]:
    """A Python file over the limit that does not say why."""
    if not name.endswith(".py"):
        return
    lines = content.decode("utf-8").splitlines()
    if len(lines) > MAX_LINES and not any(LONG_FILE_MARK in line for line in lines[:20]):
        yield (
            f"{len(lines)} lines, the limit is {MAX_LINES}: split it, or say why in its first"
            f' lines with "{LONG_FILE_MARK} ..."'
        )


def size_findings(name: str, content: bytes) -> Iterator[str]:
    """A file that makes every clone heavier."""
    limit = MAX_WEIGHTS_BYTES if name.startswith(WEIGHTS_DIR) else MAX_BYTES
    if len(content) > limit:
        yield f"{len(content):,} bytes, the limit is {limit:,}"


def patient_data_findings(name: str, content: bytes) -> Iterator[str]:
    """A scan or a slide, by its name or its first bytes."""
    if name.lower().endswith(IMAGE_SUFFIXES):
        yield "scans and slides are not committed; make a phantom instead"
    elif content[128:132] == b"DICM":
        yield "this is a DICOM file; scans are not committed"


def text_findings(name: str, content: bytes) -> Iterator[str]:
    """Windows line ends in a text file, or one that is not UTF-8."""
    if b"\0" in content or name.startswith(WEIGHTS_DIR) or name.endswith((".png", ".jpg")):
        return
    if b"\r\n" in content:
        yield "has CRLF line ends; the project keeps LF"
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        yield "is not UTF-8"


def fragment_findings(name: str, content: bytes) -> Iterator[str]:
    """A piece of the changelog that scripts/gather_changelog.py could not take in."""
    if not name.startswith(FRAGMENTS) or name == f"{FRAGMENTS}README.md":
        return
    if not FRAGMENT_NAME.fullmatch(name.removeprefix(FRAGMENTS)):
        yield "a piece of the changelog is named ISSUE-word.md, as 15-rooms.md"
    lines = content.decode("utf-8", "replace").splitlines()
    if not lines or not lines[0].startswith("- "):
        yield 'a piece of the changelog is a list: its first line starts with "- "'
    elif any(line and not line.startswith(("- ", "  ")) for line in lines):
        yield 'each line starts with "- ", or with two spaces where it continues'


RULES = (length_findings, size_findings, patient_data_findings, text_findings, fragment_findings)


def shared_hashes() -> dict[str, str]:
    """SHA-256 of every file of the development data, where it is next to the checkout."""
    if not SHARED_DATA.is_dir():
        return {}
    return {
        hashlib.sha256(path.read_bytes()).hexdigest(): path.name
        for path in SHARED_DATA.rglob("*")
        if path.is_file() and path.stat().st_size > 0
    }


def findings(names: Sequence[str] = ()) -> list[str]:
    """Every broken rule, as ``path: what``.

    Args:
        names: files relative to the root; all when empty.
    """
    foreign = shared_hashes()
    found = []
    for name in names or tracked_files():
        content = (ROOT / name).read_bytes()
        found += [f"{name}: {finding}" for rule in RULES for finding in rule(name, content)]
        original = foreign.get(hashlib.sha256(content).hexdigest())
        if original:
            found.append(f"{name}: is a copy of the development data's {original}")
    return found


def main() -> int:
    """Print the findings; the exit status."""
    found = findings([Path(name).as_posix() for name in sys.argv[1:]])
    for finding in found:
        print(finding)
    print(f"{len(found)} findings" if found else "Files are as they should be.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

"""Make a release: version, changelog, archives built twice, list of packages, checksums, tag.

    scripts/release 0.2.0            everything, with a commit and a tag; nothing is pushed
    scripts/release --try            the archives of this commit, into dist/, and no commit

The archives are built twice, in two folders and with two umasks, from what the commit contains and
nothing else, and must be equal byte for byte.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from gather_changelog import main as gather
from reproducible import normalise

ROOT = Path(__file__).resolve().parents[1]
UMASKS = (0o022, 0o077)
_VERSION = re.compile(r"\d+\.\d+\.\d+")


class ReleaseError(Exception):
    """The release cannot be made; the message says why and what to do."""


def stated_version(text: str) -> str:
    """The version that pyproject.toml states."""
    match = re.search(r'^version = "([^"]+)"$', text, re.MULTILINE)
    if match is None:
        raise ReleaseError("pyproject.toml states no version")
    return match[1]


def raised(version: str, before: str) -> str:
    """Check that a version is one, and not older than the one before.

    Raises:
        ReleaseError: it is not.
    """
    if not _VERSION.fullmatch(version):
        raise ReleaseError(f"{version} is no version: give three numbers, such as 0.2.0")
    old, new = (tuple(map(int, text.split("."))) for text in (before, version))
    if new < old:
        raise ReleaseError(f"{version} is older than {before}, which pyproject.toml states")
    return version


def write_version(root: Path, version: str, day: str) -> None:
    """Put the version and the day into pyproject.toml, CITATION.cff and CHANGELOG.md.

    Raises:
        ReleaseError: the changelog's first version is already released.
    """
    changelog = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    heading, count = re.subn(
        r"^## \S+ \(not yet released\)$", f"## {version} ({day})", changelog, count=1, flags=re.M
    )
    if not count:
        raise ReleaseError(
            "CHANGELOG.md has no version that is (not yet released): what changed is not in it"
        )
    _write(root / "CHANGELOG.md", heading)
    for name, pattern, line in (
        ("pyproject.toml", r'^version = ".*"$', f'version = "{version}"'),
        ("CITATION.cff", r"^version: .*$", f"version: {version}"),
    ):
        text = (root / name).read_text(encoding="utf-8")
        _write(root / name, re.sub(pattern, line, text, count=1, flags=re.M))


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def git(*words: str) -> str:
    """The answer of git in the repository."""
    done = subprocess.run(["git", *words], cwd=ROOT, check=False, capture_output=True, text=True)
    if done.returncode:
        raise ReleaseError(f"git {words[0]} failed: {done.stderr.strip()}")
    return done.stdout.strip()


def build(folder: Path, umask: int, epoch: int) -> list[Path]:
    """Build wheel and source archive of the commit in a folder of its own.

    Args:
        folder: empty.
        umask: of the build.
        epoch: seconds since 1970 of the commit.

    Raises:
        ReleaseError: a step failed.
    """
    archive, source, out = folder / "commit.tar", folder / "source", folder / "dist"
    git("archive", "-o", str(archive), "HEAD")
    before = os.umask(umask)
    try:
        source.mkdir()
        with tarfile.open(archive) as tar:
            tar.extractall(source, filter="data")
        done = subprocess.run(
            [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)],
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch), "PYTHONHASHSEED": "0"},
        )
    finally:
        os.umask(before)
    if done.returncode:
        raise ReleaseError(f"the build failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    made = sorted(out.iterdir())
    for path in made:
        normalise(path, epoch)
    return made


def digests(paths: Sequence[Path]) -> dict[str, str]:
    """SHA-256 of files by name."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def artefacts(target: Path) -> None:
    """Build twice, compare, and leave archives, SBOM and SHA256SUMS in a folder.

    Raises:
        ReleaseError: the two builds differ, or a licence cannot be shipped.
    """
    epoch = int(git("log", "-1", "--format=%ct"))
    with tempfile.TemporaryDirectory(prefix="fibrovol-release-") as place:
        found = []
        for number, umask in enumerate(UMASKS):
            folder = Path(place) / f"build {number}"  # a blank, as users' folders have
            folder.mkdir()
            print(f"Building, {number + 1} of {len(UMASKS)} (a minute each) ...", flush=True)
            found.append(build(folder, umask, epoch))
        first, second = (digests(paths) for paths in found)
        if first != second:
            unequal = sorted(name for name in first if first[name] != second.get(name))
            raise ReleaseError(f"two builds of one commit differ: {', '.join(unequal)}")
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for path in found[0]:
            shutil.copyfile(path, target / path.name)
    sbom = [sys.executable, str(ROOT / "scripts" / "licences.py"), "--sbom"]
    if subprocess.run([*sbom, str(target / "sbom.cdx.json")], check=False, cwd=ROOT).returncode:
        raise ReleaseError("a dependency has a licence that cannot be shipped, see above")
    sums = digests(sorted(target.iterdir()))
    text = "".join(f"{digest}  {name}\n" for name, digest in sums.items())
    _write(target / "SHA256SUMS", text)
    print(text, end="")


def main(words: Sequence[str]) -> int:
    """Make the release; the exit status."""
    parser = argparse.ArgumentParser(prog="scripts/release", description=__doc__.split("\n")[0])
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("version", nargs="?", help="such as 0.2.0")
    group.add_argument("--try", action="store_true", dest="trial", help="build only, into dist/")
    arguments = parser.parse_args(words)
    try:
        if git("status", "--porcelain"):
            raise ReleaseError("There are changes that are not committed: commit them first")
        if not arguments.trial:
            before = stated_version((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
            version = raised(arguments.version, before)
            if git("tag", "--list", f"v{version}"):
                raise ReleaseError(f"v{version} is a tag already: give the next version")
            gather(ROOT)
            write_version(ROOT, version, datetime.now(UTC).date().isoformat())
            git("commit", "-qam", f"Release {version}")
        artefacts(ROOT / "dist")
        if not arguments.trial:
            git("tag", "-a", f"v{version}", "-m", f"Fibrovol {version}")
            print(f"Tagged v{version}. Next: git push --follow-tags, and upload dist/.")
    except ReleaseError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

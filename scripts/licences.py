"""The licences of what Fibrovol installs, and a list of it as CycloneDX (SBOM).

    .venv/bin/python -m fibrovol.scripts.licences [--sbom FILE]

Fibrovol is Apache-2.0: nothing that a plain installation brings may be under GPL or AGPL alone
(LGPL libraries are linked, not copied). scripts/check runs this; scripts/release writes the list.
"""

from __future__ import annotations

import argparse
import functools
import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from license_expression import ExpressionError, get_spdx_licensing
from packaging.requirements import Requirement

# What a package's own metadata state only as a text or not in SPDX's words, read by a person.
READ: dict[str, str] = {}
_REFUSED = re.compile(r"\b(A?GPL|GNU (Affero )?General Public|Affero)", re.IGNORECASE)
_LESSER = re.compile(r"LGPL|Lesser", re.IGNORECASE)


@dataclass(frozen=True)
class Package:
    """An installed package."""

    name: str
    version: str
    licence: str
    """As SPDX expression or in the package's own words; "" if it states none."""

    @property
    def refused(self) -> str:
        """Why it may not be a dependency, "" if it may."""
        if not self.licence:
            return "states no licence: read it, and name it in READ of scripts/licences.py"
        if not _permits(self.licence):
            return f"is under {self.licence}"
        return ""


@functools.cache
def _licensing() -> Any:
    return get_spdx_licensing()  # takes a third of a second to make


def _permits(licence: str) -> bool:
    """Whether one may take a package without GPL: ``A OR GPL`` permits, ``A AND GPL`` does not."""
    try:
        parsed = _licensing().parse(licence)
    except (ExpressionError, AttributeError):
        parsed = None
    if parsed is None:
        return not _is_gpl(licence)
    return _holds(parsed)


def _holds(part: Any) -> bool:
    arguments = getattr(part, "args", ())
    if not arguments:
        return not _is_gpl(str(part))
    some = any if type(part).__name__ == "OR" else all
    return bool(some(_holds(argument) for argument in arguments))


def _is_gpl(words: str) -> bool:
    return bool(_REFUSED.search(words)) and not _LESSER.search(words)


def normalised(name: str) -> str:
    """A package's name as PyPI compares names."""
    return re.sub(r"[-_.]+", "-", name).lower()


def installed(
    root: str = "fibrovol",
    find: Callable[[str], metadata.Distribution] = metadata.distribution,
) -> list[Package]:
    """What a plain installation brings, without extras, by name.

    Raises:
        LookupError: a dependency is not installed here.
    """
    found: dict[str, Package] = {}
    waiting = [root]
    while waiting:
        key = normalised(waiting.pop())
        if key in found:
            continue
        try:
            distribution = find(key)
        except metadata.PackageNotFoundError:
            raise LookupError(f"{key} is not installed: run scripts/install --dev") from None
        found[key] = Package(key, distribution.version, licence_of(key, distribution.metadata))
        for line in distribution.requires or ():
            wanted = Requirement(line)
            if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
                waiting.append(wanted.name)
    return [found[name] for name in sorted(found)]


def licence_of(name: str, stated: Any) -> str:
    """A package's licence: expression, else classifiers, else a short text of its own."""
    if name in READ:
        return READ[name]
    if expression := stated.get("License-Expression"):
        return str(expression)
    classifiers = [
        text.rpartition(" :: ")[2]
        for text in stated.get_all("Classifier") or ()
        if text.startswith("License :: ") and not text.endswith("OSI Approved")
    ]
    if classifiers:
        return " OR ".join(classifiers)
    return str(stated.get("License") or "").strip().split("\n")[0][:80]


def write_sbom(packages: Iterable[Package], path: Path) -> None:
    """Write CycloneDX 1.6 as JSON; the same packages give the same bytes.

    Args:
        packages: as :func:`installed` gives them; the one called fibrovol is what is described.
        path: of the file.
    """
    from cyclonedx.model import bom, component  # noqa: PLC0415 - dev only
    from cyclonedx.model import license as licences  # noqa: PLC0415
    from cyclonedx.output.json import JsonV1Dot6  # noqa: PLC0415
    from packageurl import PackageURL  # noqa: PLC0415

    def described(package: Package, kind: component.ComponentType) -> component.Component:
        factory = licences.DisjunctiveLicense(name=package.licence or "not stated")
        return component.Component(
            name=package.name,
            version=package.version,
            type=kind,
            bom_ref=f"{package.name}@{package.version}",
            purl=PackageURL("pypi", None, package.name, package.version),
            licenses=[factory],
        )

    found = bom.Bom()
    for package in packages:
        if package.name == "fibrovol":
            own = described(package, component.ComponentType.APPLICATION)
            found.metadata.component = own
        else:
            found.components.add(described(package, component.ComponentType.LIBRARY))
    if found.metadata.component is not None:
        found.register_dependency(found.metadata.component, found.components)
    plain = json.loads(JsonV1Dot6(found).output_as_string())
    # a random number and the time would make two lists of the same packages differ
    plain.pop("serialNumber", None)
    plain["metadata"].pop("timestamp", None)
    path.write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8", newline="\n")


def main(words: Sequence[str]) -> int:
    """Check, and write the list if asked; the exit status."""
    parser = argparse.ArgumentParser(description="licences of what Fibrovol installs")
    parser.add_argument("--sbom", type=Path, metavar="FILE", help="write CycloneDX JSON")
    arguments = parser.parse_args(words)
    packages = installed()
    refused = [package for package in packages if package.refused]
    for package in refused:
        print(f"{package.name} {package.version} {package.refused}")
    if arguments.sbom:
        write_sbom(packages, arguments.sbom)
    print(f"{len(packages)} packages, {len(refused)} with a licence that cannot be shipped.")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Known vulnerabilities of the installed libraries, through pip-audit; for scripts/check.

pip-audit asks pypi.org for each library. Where that cannot be asked (behind a firewall, or through
a mirror that has packages but no advisories) pip-audit itself reports "no known vulnerabilities"
and skips every library. That would read like a clean answer, so it is recognised here: then nothing
was checked, which is said loudly and fails nothing.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import urllib.request
from pathlib import Path
from typing import NamedTuple

SERVICE = "https://pypi.org/pypi/pip/24.0/json"  # of one version, as pip-audit asks
PROBE_SECONDS = 10
AUDIT_SECONDS = 240

# Advisories that do not touch Fibrovol, by their id, each with the reason.
ARGUED: dict[str, str] = {}


class Audit(NamedTuple):
    """What came of it.

    Attributes:
        checked: whether advisories were seen at all.
        vulnerable: a line for each library with an advisory that is not argued.
        skipped: libraries that the service does not know.
        reason: why nothing was checked.
    """

    checked: bool
    vulnerable: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    reason: str = ""


def service_problem() -> str:
    """Why the advisory service cannot be asked; "" if it answers with advisories."""
    try:
        with urllib.request.urlopen(SERVICE, timeout=PROBE_SECONDS) as answer:
            known = json.load(answer)
    except (OSError, ValueError) as error:
        return f"{SERVICE} gave no answer ({error})"
    if not isinstance(known, dict) or "vulnerabilities" not in known:
        return f"{SERVICE} answers without advisories; is it a mirror?"
    return ""


def read_answer(text: str) -> Audit:
    """Understand pip-audit's JSON.

    Args:
        text: what it printed.
    """
    try:
        dependencies = json.loads(text)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return Audit(False, reason="pip-audit gave no answer that can be read")
    skipped = tuple(entry["name"] for entry in dependencies if "skip_reason" in entry)
    if len(skipped) == len(dependencies):
        return Audit(False, skipped=skipped, reason="pip-audit skipped every library")
    vulnerable = tuple(
        f"{entry['name']} {entry['version']}: {found['id']}, corrected in "
        f"{', '.join(found['fix_versions']) or 'no version so far'}"
        for entry in dependencies
        for found in entry.get("vulns", ())
        if not ARGUED.keys() & {found["id"], *found.get("aliases", ())}
    )
    return Audit(True, vulnerable, skipped)


def requirements(installed: str) -> str:
    """Lines for pip-audit from ``pip list --format json``.

    A build's label (2.13.0+cpu) goes: advisories are for the release.
    """
    return "".join(
        f"{entry['name']}=={entry['version'].partition('+')[0]}\n"
        for entry in json.loads(installed)
        if entry["name"].lower() != "fibrovol"
    )


def audit(python: Path) -> Audit:
    """Ask about everything that is installed in an environment.

    Args:
        python: the environment's interpreter; pip-audit is installed there.
    """
    if problem := service_problem():
        return Audit(False, reason=problem)
    listing = [str(python), "-m", "pip", "list", "--format", "json", "--disable-pip-version-check"]
    done = subprocess.run(listing, check=False, capture_output=True, text=True)
    if done.returncode:
        return Audit(False, reason="the installed libraries cannot be listed")
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder) / "installed.txt"
        wanted.write_text(requirements(done.stdout), encoding="utf-8")
        command = [str(python), "-m", "pip_audit", "-r", str(wanted), "--no-deps", "--disable-pip"]
        command += ["-f", "json", "--progress-spinner", "off", "--timeout", "10"]
        try:
            answer = subprocess.run(
                command, check=False, capture_output=True, text=True, timeout=AUDIT_SECONDS
            )
        except subprocess.TimeoutExpired:
            return Audit(False, reason=f"no answer within {AUDIT_SECONDS} s")
    return read_answer(answer.stdout)

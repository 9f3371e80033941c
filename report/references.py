"""The works that a study's methods rest on, as a list to print and as BibTeX."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from ..analysis.inputs import Inputs
from ..measures import MEASURES

FILENAME = "references.bib"
OWN_ENGINE = "liver_net"
"""How the engine's name begins in volumes.csv; its version follows."""

_ARTICLE = re.compile(
    r"(?P<author>.+?)\. (?P<title>.+)\. (?P<journal>[^.]+?) (?P<year>\d{4});"
    r"(?P<volume>\d+):(?P<pages>[\d-]+)\."
)
_BOOK = re.compile(
    r"(?P<author>.+?)\. (?P<title>[^.]+)\. (?:(?P<edition>\w+) ed\. )?(?:(?P<address>\w+): )?"
    r"(?P<publisher>[^;:.]+); (?P<year>\d{4})(?:, (?P<note>[^.]+))?\."
)
_NETWORK = re.compile(
    r"(?P<author>\w[\w -]*) et al\., (?P<title>.+), (?P<howpublished>[^,]+) (?P<year>\d{4})"
    r"(?: \((?P<note>.+)\))?"
)
_INITIALS = re.compile(r"(?P<family>.+) (?P<initials>[A-Z]{1,4})")
_SPECIAL = re.compile(r"[\\{}&%$#_~^]")
_ESCAPES = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}


def shipped_network() -> Mapping[str, Any]:
    """What is said of the liver network of this installation: its metadata.json."""
    folder = resources.files("fibrovol.models") / "liver" / "configs"
    found: dict[str, Any] = json.loads((folder / "metadata.json").read_text(encoding="utf-8"))
    return found


def references(inputs: Inputs) -> list[str]:
    """The publications that the methods name, as far as they were used here."""
    found: list[str] = []
    if len(inputs.design.timepoints) > 1:
        found += [
            "Fisher RA. The Design of Experiments. Edinburgh: Oliver and Boyd; 1935, section 21.",
            "Hartigan JA. Using subsample values as typical values. J Am Stat Assoc "
            "1969;64:1303-1317.",
            "Hesterberg TC. What teachers should know about the bootstrap. Am Stat "
            "2015;69:371-386.",
            "Hollander M, Wolfe DA, Chicken E. Nonparametric Statistical Methods. 3rd ed. Wiley; "
            "2014.",
            "Holm S. A simple sequentially rejective multiple test procedure. Scand J Stat "
            "1979;6:65-70.",
            "Zou GY, Donner A. Construction of confidence limits about effect measures: a general "
            "approach. Stat Med 2008;27:1693-1702.",
        ]
    if inputs.clinical:
        found += [measure.reference for measure in MEASURES.values() if measure.reference]
    if inputs.outcomes:
        found += [
            "Aalen OO, Johansen S. An empirical transition matrix for non-homogeneous Markov "
            "chains. Scand J Stat 1978;5:141-150.",
            "Kaplan EL, Meier P. Nonparametric estimation from incomplete observations. J Am Stat "
            "Assoc 1958;53:457-481.",
        ]
    if any(str(row["engine"]).startswith(OWN_ENGINE) for row in inputs.volumes):
        found += shipped_network().get("references", [])
    return sorted(set(found))


def bibliography(texts: Sequence[str], version: str = "") -> str:
    """BibTeX of references and of the software itself, each with a key of its own.

    Args:
        texts: references as :func:`references` gives them. One whose parts cannot be distinguished
            becomes an entry with the whole text as its note: nothing is guessed.
        version: of Fibrovol, "" if it is not known.
    """
    software = {"title": "Fibrovol", "author": "{The Fibrovol developers}"}
    if version and version != "unknown":
        software["note"] = f"Version {version}"
    keys: dict[str, int] = {}
    entries = [_entry("misc", "fibrovol", software)]
    for text in texts:
        kind, fields = _parsed(text)
        name = re.sub(r"\W", "", fields.get("author", "anon").split(",")[0].split(" and ")[0])
        key = f"{name.lower()}{fields.get('year', '')}"
        keys[key] = keys.get(key, 0) + 1
        entries.append(_entry(kind, key + ("", *"bcdefghijk")[keys[key] - 1], fields))
    return "\n".join(entries)


def _parsed(text: str) -> tuple[str, dict[str, str]]:
    for kind, shape in (("article", _ARTICLE), ("book", _BOOK), ("misc", _NETWORK)):
        if match := shape.fullmatch(text):
            fields = {name: _escaped(value) for name, value in match.groupdict().items() if value}
            fields["author"] = _authors(match["author"], others=shape is _NETWORK)
            if "pages" in fields:
                fields["pages"] = fields["pages"].replace("-", "--")
            fields["title"] = f"{{{fields['title']}}}"  # names and abbreviations keep capitals
            return kind, fields
    return "misc", {"note": _escaped(text)}


def _authors(text: str, *, others: bool) -> str:
    """``Zou GY, Donner A`` as ``Zou, G. Y. and Donner, A.``."""
    names = []
    for name in text.split(", "):
        match = _INITIALS.fullmatch(name)
        if name == "et al":
            others = True
        elif match:
            names.append(f"{match['family']}, {' '.join(f'{one}.' for one in match['initials'])}")
        else:
            names.append(name)
    return _escaped(" and ".join([*names, *(["others"] if others else [])]))


def _escaped(text: str) -> str:
    """As TeX prints it."""
    return _SPECIAL.sub(lambda found: _ESCAPES.get(found[0], "\\" + found[0]), text)


def _entry(kind: str, key: str, fields: Mapping[str, str]) -> str:
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items()]
    return "\n".join([f"@{kind}{{{key},", *lines, "}", ""])

"""The report: one self-contained HTML page that prints an analysis."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import jinja2
import markupsafe

from ..analysis.analyse import Analysis, analyse, analyse_inputs
from ..files import write_text
from . import checklists
from .blind import blind_arms, blind_pictures, write_key
from .references import FILENAME, bibliography, references
from .section import Entry, Section, Source
from .sections import (
    agreement,
    arms,
    associations,
    clinical,
    flags,
    flow,
    limits,
    measures,
    methods,
    outcomes,
    patients,
    pictures,
    summary,
    table_one,
)

#: Every section in the order of the page: a new one is a file, its template and a line here.
SECTIONS: tuple[Section, ...] = (
    summary.SECTION,
    flow.SECTION,
    table_one.SECTION,
    arms.SECTION,
    measures.SECTION,
    clinical.SECTION,
    associations.SECTION,
    agreement.SECTION,
    outcomes.SECTION,
    patients.SECTION,
    flags.SECTION,
    pictures.SECTION,
    methods.SECTION,
    limits.SECTION,
)

_BLIND_ARMS, _BLIND_ARMS_KEY = "report_blind_arms.html", "report_blind_arms_key.csv"


def build_report(
    directory: Path,
    *,
    repeat: Path | None = None,
    blind: bool = False,
    seed: int = 0,
    require_review: bool = False,
    strict: bool = False,
) -> Path:
    """Analyse the tables in a directory and print the analysis as report.html.

    The same files always give an identical page. The study tables are written by the analysis.

    Args:
        directory: a run's output directory.
        repeat: the output directory of a second run, reader or engine over the same cases: their
            agreement goes into the report and statistics.csv.
        blind: write report_blind.html and report_blind_key.csv as well: every picture under a code,
            without subject, visit or number, for a reader who must not know. With arms also
            report_blind_arms.html and report_blind_arms_key.csv: the report with letters for arms,
            for whoever judges the analysis before the blind is broken.
        seed: of the codes' shuffling.
        require_review: compare only cases that a reader has accepted, whatever study.json says.
        strict: refuse tables in which entries have to be reinterpreted.

    Returns:
        The path of report.html.

    Raises:
        ManifestError: no tables, or a file that is not what it should be.
        OSError: the directory cannot be written.
    """
    analysis = analyse(directory, repeat=repeat, require_review=require_review, strict=strict)
    path = write_page(analysis)
    if blind:
        _write_blind(analysis, seed)
        _write_blind_arms(analysis, repeat, seed)
    return path


def write_page(analysis: Analysis) -> Path:
    """Print an analysis as report.html, with references.bib and checklists.html next to it.

    Returns:
        The path of report.html.

    Raises:
        OSError: the directory cannot be written.
    """
    source = Source(analysis, _versions(analysis))
    printed = _printed(source)
    page = _page(source, printed)
    directory = analysis.inputs.directory
    path = directory / "report.html"
    write_text(path, page)
    bib = bibliography(references(analysis.inputs), source.versions.get("fibrovol", ""))
    write_text(directory / FILENAME, bib)
    write_text(directory / checklists.FILENAME, _checklists(source, printed))
    return path


Printed = Sequence[tuple[Section, Sequence[Entry]]]


def _printed(source: Source) -> Printed:
    """What each section has to print of this study."""
    return [(section, section.entries(source)) for section in SECTIONS]


def _checklists(source: Source, printed: Printed) -> str:
    """The checklists, with links to the parts of this report."""
    entries = [entry for _, entries in printed for entry in entries]
    return render(
        {
            "title": source.analysis.design.title or "Paired liver comparison",
            "about": checklists.ABOUT,
            "checklists": checklists.sections(
                source.analysis.arms is not None,
                {one.title or one.anchor.title(): one.anchor for one in entries},
            ),
        },
        "checklists.html.j2",
    )


def _page(source: Source, printed: Printed) -> str:
    analysis = source.analysis
    return render(
        {
            "title": analysis.design.title or "Paired liver comparison",
            "design": analysis.design,
            "versions": source.versions,
            "sections": printed,
        }
    )


def _write_blind(analysis: Analysis, seed: int) -> None:
    found, key = blind_pictures(analysis.inputs, seed)
    page = render({"pictures": found}, "blind.html.j2")
    write_text(analysis.inputs.directory / "report_blind.html", page)
    write_key(analysis.inputs.directory, key)


def _write_blind_arms(analysis: Analysis, repeat: Path | None, seed: int) -> None:
    """The report with letters for arms; nothing if there are no arms."""
    inputs, key = blind_arms(analysis.inputs, seed)
    if not key:
        for name in (_BLIND_ARMS, _BLIND_ARMS_KEY):
            (inputs.directory / name).unlink(missing_ok=True)
        return
    coded = analyse_inputs(inputs, repeat=repeat, require_review=analysis.require_review)
    blinded = Source(coded, _versions(coded))
    page = _page(blinded, _printed(blinded))
    write_text(inputs.directory / _BLIND_ARMS, page)
    write_key(inputs.directory, key, _BLIND_ARMS_KEY)


def _versions(analysis: Analysis) -> dict[str, str]:
    """Versions as the run recorded them; of this program where it recorded none."""
    if analysis.inputs.versions:
        return dict(analysis.inputs.versions)
    found = {}
    for name in ("fibrovol", "numpy", "scipy", "matplotlib"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found


@cache  # to compile the templates takes longer than to fill them
def _environment() -> jinja2.Environment:
    here = resources.files(__package__)
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(
            lambda path: here.joinpath(*path.split("/")).read_text(encoding="utf-8")
        ),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["svg"] = markupsafe.Markup
    return environment


def render(context: Mapping[str, Any], name: str = "template.html.j2") -> str:
    """Fill a template; everything from the tables is escaped, SVG and CSS are ours."""
    here = resources.files(__package__)
    style = (here / "report.css").read_text(encoding="utf-8")
    script = (here / "report.js").read_text(encoding="utf-8")
    template = _environment().get_template(name)
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    # our own files, not what a study brought
    own_style = markupsafe.Markup(style)  # noqa: S704 # nosec B704
    own_script = markupsafe.Markup(script)  # noqa: S704 # nosec B704
    return template.render(
        context,
        style=own_style,
        script=own_script,
        script_hash=f"sha256-{digest}",
    )

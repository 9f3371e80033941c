"""The report: one self-contained HTML page from the tables of an output directory."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from importlib import resources
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import jinja2
import markupsafe

from ..analysis.outcome_table import analyse, outcome_rows
from ..analysis.paired import make_pairs
from ..analysis.reviews import comparable
from ..analysis.statistics_table import associations, rows_of, statistics_of
from ..files import write_text
from ..tables import write_datapackage, write_table
from . import sections
from .agreement import agreement, agreement_sections
from .blind import blind_pictures, write_key
from .clinical_section import clinical_section
from .inputs import Inputs, read_inputs
from .methods import limits_text, methods_text, references
from .outcome_section import association_section, outcome_section
from .table_one import table_one

_LATE_FROM = 200
"""Cases from which on a picture is decoded when it is scrolled to: 2,000 take half a minute."""


def build_report(
    directory: Path,
    *,
    repeat: Path | None = None,
    blind: bool = False,
    seed: int = 0,
    require_review: bool = False,
) -> Path:
    """Write paired.csv, statistics.csv and report.html from the tables in a directory.

    Reads volumes.csv, collagen.csv, fragments.csv, reviews.csv, study.json, provenance.json,
    clinical.csv, outcomes.csv and the overlay pictures of that directory and nothing else; the same
    files give the same bytes.

    Args:
        directory: a run's output directory.
        repeat: the output directory of a second run, reader or engine over the same cases: their
            agreement goes into the report and statistics.csv.
        blind: write report_blind.html and report_blind_key.csv as well: every picture under a code,
            without subject, visit or number, for a reader who must not know.
        seed: of the codes' shuffling.
        require_review: compare only cases that a reader has accepted, whatever study.json says.

    Returns:
        The path of report.html.

    Raises:
        ManifestError: no tables, or a file that is not what it should be.
        OSError: the directory cannot be written.
    """
    inputs = read_inputs(directory)
    design = inputs.design
    required = inputs.require_review or require_review
    volumes, collagen = (
        comparable(rows, inputs.stands, require_review=required)
        for rows in (inputs.volumes, inputs.collagen)
    )
    pairs = make_pairs(
        design,
        volumes.rows,
        collagen.rows,
        inputs.clinical,
        accepted=volumes.accepted | collagen.accepted,
    )
    found = statistics_of(design, pairs)
    together = associations(design, pairs)
    outcome = analyse(inputs.outcomes, design.subjects)
    rows = rows_of(design, found)
    second = design.timepoints[1:2]
    rows += [
        item.quantity().row(
            item.first if item.timepoint in second else f"{item.first}@{item.timepoint}"
        )
        for item in together
    ]
    rows += outcome_rows(outcome) if outcome else []
    repeated = agreement(inputs.directory, Path(repeat)) if repeat is not None else []
    rows += [quantity.row(item.measure) for item in repeated for quantity in item.quantities()]
    write_table(inputs.directory, "paired", [pair.row() for pair in pairs])
    write_table(inputs.directory, "statistics", rows)
    write_datapackage(inputs.directory, title=design.title)
    matrix_columns, matrix = sections.status_matrix(inputs)
    measured = sections.make_sections(design, pairs, found)
    page = render(
        {
            "title": design.title or "Paired liver comparison",
            "design": design,
            "inputs": inputs,
            "sections": measured,
            "excluded": sections.excluded_rows(design, measured),
            "matrix_columns": matrix_columns,
            "matrix": matrix,
            "table_one": table_one(design, pairs, inputs.clinical, inputs.standard_volume),
            "clinical": clinical_section(
                design, pairs, found, inputs.clinical, inputs.unit_findings
            ),
            "outcomes": outcome_section(outcome),
            "associations": association_section(together),
            "agreement": agreement_sections(repeated),
            "repeat_name": Path(repeat).name if repeat is not None else "",
            "patients": sections.patient_rows(pairs),
            "failed": sections.failed_rows(inputs),
            "flags": sections.flag_rows(inputs, pairs),
            "gallery": sections.gallery(inputs),
            "late": len(inputs.volumes) + len(inputs.collagen) > _LATE_FROM,
            "methods": methods_text(inputs, _versions(inputs), require_review=required),
            "references": references(inputs),
            "limits": limits_text(inputs, pairs),
            "versions": _versions(inputs),
        }
    )
    path = inputs.directory / "report.html"
    write_text(path, page)
    if blind:
        _write_blind(inputs, seed)
    return path


def _write_blind(inputs: Inputs, seed: int) -> None:
    pictures, key = blind_pictures(inputs, seed)
    page = render({"pictures": pictures}, "blind.html.j2")
    write_text(inputs.directory / "report_blind.html", page)
    write_key(inputs.directory, key)


def _versions(inputs: Inputs) -> dict[str, str]:
    """Versions as the run recorded them; of this program where it recorded none."""
    if inputs.versions:
        return dict(inputs.versions)
    found = {}
    for name in ("fibrovol", "numpy", "scipy", "matplotlib"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found


def render(context: Mapping[str, Any], name: str = "template.html.j2") -> str:
    """Fill a template; everything from the tables is escaped, SVG and CSS are ours."""
    here = resources.files(__package__)
    style = (here / "report.css").read_text(encoding="utf-8")
    script = (here / "report.js").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["svg"] = markupsafe.Markup
    template = environment.from_string((here / name).read_text(encoding="utf-8"))
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

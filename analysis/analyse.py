"""The whole analysis of one output directory: tables in, tables out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..datapackage import write_datapackage
from ..errors import ManifestError
from ..tables import write_table
from .acquisition import acquisition_rows
from .arms import Arms, compare_arms
from .association import Association, associations
from .characteristics import TableOne, table_one
from .design import Design, Pair
from .flow import Flow, flow_of
from .inputs import Inputs, read_inputs
from .outcome_table import OutcomeAnalysis, analyse_outcomes, outcome_rows
from .paired import make_pairs
from .quantities import Quantity
from .repeat import Agreement, agreement
from .reviews import comparable
from .statistics_table import named, rows_of, statistics_of


@dataclass(frozen=True)
class Analysis:
    """Everything that was computed of a study; the report prints it and computes nothing."""

    inputs: Inputs
    """What it was made from."""
    pairs: tuple[Pair, ...]
    """Every subject's change of every measure at every later visit, the rows of paired.csv."""
    found: Mapping[tuple[str, str], Mapping[str, Quantity]]
    """Quantities by (measure, later visit) and name."""
    flows: Mapping[tuple[str, str], Flow]
    """Who reaches each comparison, by (measure, later visit)."""
    table_one: TableOne
    """Baseline characteristics."""
    associations: tuple[Association, ...]
    """How changes go together."""
    arms: Arms | None
    """The analysis by arm; None without arms."""
    outcomes: OutcomeAnalysis | None
    """What became of the subjects; None without outcomes."""
    repeated: tuple[Agreement, ...]
    """The agreement with a repeat, () without one."""
    require_review: bool
    """Whether only cases that a reader has accepted were compared."""
    repeat_name: str
    """Name of the repeat's directory, "" without one."""

    @property
    def design(self) -> Design:
        """Subjects, timepoints and settings."""
        return self.inputs.design

    def pairs_of(self, measure: str, timepoint: str | None = None) -> list[Pair]:
        """The pairs of a measure, of one later visit or of all."""
        return [
            pair
            for pair in self.pairs
            if pair.measure == measure and timepoint in (None, pair.timepoint)
        ]

    def paired_rows(self) -> list[dict[str, Any]]:
        """The rows of paired.csv."""
        return [pair.row() for pair in self.pairs]

    def statistics_rows(self) -> list[dict[str, Any]]:
        """The rows of statistics.csv."""
        rows = rows_of(self.design, self.found)
        rows += [
            item.quantity().row(named(self.design, item.first, item.timepoint))
            for item in self.associations
        ]
        rows += self.arms.rows(self.design) if self.arms else []
        rows += outcome_rows(self.outcomes) if self.outcomes else []
        rows += [
            quantity.row(item.measure) for item in self.repeated for quantity in item.quantities()
        ]
        return rows


def analyse(
    directory: Path,
    *,
    repeat: Path | None = None,
    require_review: bool = False,
    strict: bool = False,
) -> Analysis:
    """Analyse an output directory, and write its tables of results.

    They are paired.csv, statistics.csv, acquisition.csv and the data package. Reads volumes.csv,
    collagen.csv, fragments.csv, reviews.csv, study.json, provenance.json, clinical.csv and
    outcomes.csv of that directory and nothing else; the same files give the same bytes.

    Args:
        directory: a run's output directory.
        repeat: the output directory of a second run, reader or engine over the same cases.
        require_review: compare only cases that a reader has accepted, whatever study.json says.
        strict: refuse tables in which entries have to be reinterpreted.

    Raises:
        ManifestError: no tables, or a file that is not what it should be.
        OSError: the directory cannot be written.
    """
    inputs = read_inputs(directory)
    _refuse_notes(inputs, strict=strict)
    analysis = analyse_inputs(inputs, repeat=repeat, require_review=require_review)
    write_table(inputs.directory, "paired", analysis.paired_rows())
    write_table(inputs.directory, "statistics", analysis.statistics_rows())
    write_table(inputs.directory, "acquisition", acquisition_rows(inputs))
    write_datapackage(inputs.directory, title=inputs.design.title)
    return analysis


def _refuse_notes(inputs: Inputs, *, strict: bool) -> None:
    if strict and inputs.notes:
        raise ManifestError(
            "bad_manifest",
            "Entries of the tables had to be reinterpreted, and --strict was given",
            found="\n  " + "\n  ".join(inputs.notes),
            do="correct the tables, or run without --strict",
        )


def analyse_inputs(
    inputs: Inputs, *, repeat: Path | None = None, require_review: bool = False
) -> Analysis:
    """Analyse what was read, and write nothing; arguments as for :func:`analyse`."""
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
    outcome = analyse_outcomes(inputs.outcomes, design, inputs.clinical)
    return Analysis(
        inputs=inputs,
        pairs=tuple(pairs),
        found=found,
        flows={
            key: flow_of([p for p in pairs if (p.measure, p.timepoint) == key]) for key in found
        },
        table_one=table_one(design, pairs, inputs.clinical, inputs.standard_volume),
        associations=tuple(associations(design, pairs)),
        arms=compare_arms(design, pairs, outcome),
        outcomes=outcome,
        repeated=tuple(
            agreement(inputs.directory, Path(repeat), accepted=volumes.accepted | collagen.accepted)
        )
        if repeat is not None
        else (),
        require_review=required,
        repeat_name=Path(repeat).name if repeat is not None else "",
    )

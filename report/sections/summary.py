"""The summary: what happened to each primary measure, in one sentence each."""

from __future__ import annotations

from collections.abc import Sequence

from ...measures import MEASURES
from ...vocabulary import Status
from .. import words
from ..section import Entry, Section, Source
from . import arms


def entries(source: Source) -> Sequence[Entry]:
    """Always there: a study without pairs says so."""
    analysis = source.analysis
    sentences = [
        arms.sentence(analysis, MEASURES[key], later)
        if analysis.arms
        else words.summary_sentence(analysis.design, MEASURES[key], later, found)
        for (key, later), found in analysis.found.items()
        if key in analysis.design.primary_measures and MEASURES[key].kind != "clinical"
    ]
    cases = [*analysis.inputs.volumes, *analysis.inputs.collagen]
    failed = sum(row["status"] == Status.FAILED for row in cases)
    return [Entry("summary", "", {"sentences": sentences, "failed": failed})]


SECTION = Section("summary", entries, before_contents=True)

"""The flags that occur, and whom they concern."""

from __future__ import annotations

from collections.abc import Sequence

from ...analysis.design import Pair
from ...analysis.inputs import Inputs
from ...flags import FLAGS
from ..section import Entry, Section, Source


def entries(source: Source) -> Sequence[Entry]:
    """Where there is a flag; the contents do not name it."""
    rows = flag_rows(source.analysis.inputs, source.analysis.pairs)
    return [Entry("flags", "", {"rows": rows})] if rows else []


SECTION = Section("flags", entries)


def flag_rows(inputs: Inputs, pairs: Sequence[Pair]) -> list[tuple[str, str, str]]:
    """The flags that occur: code, sentence, subjects."""
    subjects: dict[str, list[str]] = {}
    for pair in pairs:
        for flag in pair.flags:
            subjects.setdefault(flag, []).append(pair.subject)
    for row in [*inputs.volumes, *inputs.collagen]:
        for flag in str(row["flags"] or "").split(";"):
            if flag:
                subjects.setdefault(flag, []).append(str(row["subject"] or row["case_id"]))
    order = {subject: index for index, subject in enumerate(inputs.design.subjects)}

    def who(flag: str) -> str:
        names = sorted(set(subjects[flag]), key=lambda name: (order.get(name, len(order)), name))
        return ", ".join(names)

    known = [flag for flag in FLAGS if flag in subjects]
    unknown = sorted(set(subjects) - set(FLAGS))
    return [
        *((flag, FLAGS[flag].sentence, who(flag)) for flag in known),
        *((flag, "A flag of another version of the program.", who(flag)) for flag in unknown),
    ]

"""Arms of a trial as the tables give them: one a subject, each spelt one way."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from .problems import Problems


def check_arms(
    cells: Iterable[tuple[int, str, str]],
    problems: Problems,
    given: Mapping[str, str] | None = None,
) -> None:
    """Refuse a subject in two arms, and two arms whose names look like one.

    Blanks, case, hyphens and underscores make no other arm; ``0.5 mg`` and ``5 mg`` are two.

    Args:
        cells: line, subject and arm of each row; empty arms are passed over.
        problems: where the lines go.
        given: the arms that study.csv gives already, by subject.
    """
    whose = {subject: (arm, "study.csv") for subject, arm in (given or {}).items()}
    alike = {_plain(arm): (arm, "study.csv") for arm, _ in whose.values()}
    for line, subject, arm in cells:
        if not arm:
            continue
        before, where = whose.setdefault(subject, (arm, f"line {line}"))
        if before != arm:
            problems.add(line, f"the group of {subject} is {arm!r}, but {before!r} in {where}")
            continue
        other, where = alike.setdefault(_plain(arm), (arm, f"line {line}"))
        if other != arm:
            problems.add(
                line,
                f"the group {arm!r} of {subject} and {other!r} ({where}) look like one; write both "
                "the same, or make them clearly different",
            )


def _plain(arm: str) -> str:
    return re.sub(r"[\s_-]+", "", arm.casefold()) or arm

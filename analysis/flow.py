"""The flow of subjects: who reaches a comparison, who leaves on the way, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .design import Pair, Visit


@dataclass(frozen=True)
class Flow:
    """How many subjects reach a pair, for one measure and one later visit."""

    measure: str
    """Key of MEASURES."""
    timepoint: str
    """The later visit."""
    enrolled: int
    """Subjects of the study."""
    imaged: tuple[int, int, int]
    """With a case at baseline, at the later visit, at both."""
    measured: tuple[int, int, int]
    """With a value at baseline, at the later visit, at both."""
    paired: int
    """With a change."""
    excluded: tuple[tuple[str, str], ...]
    """Code and reason of each subject without one."""
    reasons: tuple[tuple[str, int], ...]
    """Each reason without the errors' sentences, and how many subjects it took."""


def flow_of(pairs: Sequence[Pair]) -> Flow:
    """Count the pairs of one measure and one later visit.

    Raises:
        ValueError: no pair, or pairs of several measures or visits.
    """
    if len({(pair.measure, pair.timepoint) for pair in pairs}) != 1:
        raise ValueError("needs the pairs of one measure and one later visit")

    def three(has: Callable[[Visit], bool]) -> tuple[int, int, int]:
        first = [has(pair.baseline) for pair in pairs]
        later = [has(pair.followup) for pair in pairs]
        return sum(first), sum(later), sum(map(all, zip(first, later, strict=True)))

    return Flow(
        pairs[0].measure,
        pairs[0].timepoint,
        len(pairs),
        three(lambda visit: visit.listed > 0),
        three(lambda visit: visit.value is not None),
        sum(pair.paired for pair in pairs),
        tuple((pair.subject, pair.reason) for pair in pairs if not pair.paired),
        tuple(Counter(pair.brief for pair in pairs if not pair.paired).items()),
    )

"""The study as planned, one visit's value and one subject's change: what all of analysis shares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..flags import FLAGS
from ..measures import IMPORTANT, MEASURES, PRIMARY_MEASURES

SAMPLING_CV = {"caf_percent": 43.0}
"""Of needle biopsies within one cirrhotic liver (docs/concepts/statistics.md)."""

REJECTED, UNREAD = "rejected", "unread"
"""What is in ``status`` of a row that a reader, or the lack of one, keeps out."""


@dataclass(frozen=True)
class Design:
    """Who takes part in a study and what is asked."""

    subjects: tuple[str, ...]
    """Every enrolled subject's code, in order."""
    timepoints: tuple[str, ...]
    """The visits in order, the first is the baseline."""
    primary_measures: tuple[str, ...] = PRIMARY_MEASURES
    """Keys of MEASURES; Holm's correction goes over these."""
    biological_variation_percent: Mapping[str, float] = field(default_factory=dict)
    """By measure, how far a stable patient's value varies, in per cent of the baseline; the
    reference change value."""
    smallest_detectable: Mapping[str, float] = field(default_factory=dict)
    """By measure, the smallest detectable change from a repeat, in its unit."""
    title: str = ""
    """Of the study."""
    clinical_timepoints: tuple[str, ...] = ()
    """Visits of clinical.csv that have neither scan nor slide, in time."""
    groups: Mapping[str, str] = field(default_factory=dict)
    """Arm of each subject, empty without arms."""
    months: Mapping[str, float] = field(default_factory=dict)
    """Planned months from the baseline by visit, where the plan or the visit's name tells them."""
    days: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """Days from the baseline by subject and visit, where dates are known."""
    windows: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Days from the baseline between which a visit is as planned, by visit."""
    sampling_cv_percent: Mapping[str, float] = field(default_factory=lambda: dict(SAMPLING_CV))
    """By measure, how far one sample differs from the next within one unchanged liver: the
    coefficient of variation in per cent. Several slides of a visit lower it."""
    important_difference: Mapping[str, float] = field(default_factory=lambda: dict(IMPORTANT))
    """By measure, the smallest change that matters, in its unit."""
    gone: Mapping[str, tuple[float, str]] = field(default_factory=dict)
    """By subject, months to transplantation or death and which of them came first: nothing that
    was measured afterwards is a change of that liver."""

    def later_visits(self, measure: str) -> tuple[str, ...]:
        """The visits of a measure that are compared with the first."""
        extra = self.clinical_timepoints if MEASURES[measure].kind == "clinical" else ()
        return (*self.timepoints[1:], *extra)

    def months_of(self, subject: str, visit: str) -> float | None:
        """Months from the baseline: as dated, else as planned, None if neither is known."""
        days = self.days.get((subject, visit))
        return days * 12 / 365.25 if days is not None else self.months.get(visit)

    @property
    def group_names(self) -> tuple[str, ...]:
        """The arms, in the order of their first subjects; () if there are not at least two."""
        names = tuple(dict.fromkeys(self.groups[s] for s in self.subjects if s in self.groups))
        return names if len(names) > 1 else ()


@dataclass(frozen=True)
class Visit:
    """One subject's value of one measure at one timepoint."""

    listed: int = 0
    """Cases of this visit in the table."""
    value: float | None = None
    """The combined value, None if nothing was measured."""
    low: float | None = None
    """Lower 95 % limit, None if not known."""
    high: float | None = None
    """Upper 95 % limit."""
    flags: tuple[str, ...] = ()
    """Of the measured cases."""
    errors: tuple[str, ...] = ()
    """Of the failed cases."""
    group: str = ""
    """Stain or modality, "" for clinical values."""
    cases: tuple[str, ...] = ()
    """The case_ids that went into the value."""
    slice_mm: float | None = None
    """The largest voxel size, None if not known."""
    contrast: str = ""
    """Phase or sequence of the scans, "" if not known or not the same for all."""
    engine: str = ""
    """Who outlined the scans, "" if not recorded."""
    doubts: tuple[str, ...] = ()
    """Doubtful flags that keep every measured case of the visit out, until accepted."""
    kept_out: tuple[tuple[str, str], ...] = ()
    """REJECTED or UNREAD, and the reason, of each case that readers keep out."""
    bound: str = ""
    """``<0.5`` if only that is known of the value."""


@dataclass(frozen=True)
class Pair:
    """One subject's change of one measure from the baseline to a later visit."""

    subject: str
    """The code."""
    measure: str
    """Key of MEASURES."""
    timepoint: str
    """The later visit."""
    baseline: Visit
    """The first visit."""
    followup: Visit
    """The later visit."""
    change: float | None
    """Follow-up minus baseline, None if not paired."""
    percent_change: float | None
    """Change over baseline in per cent, None if it means nothing."""
    change_low: float | None
    """Lower 95 % measurement-error limit of the change."""
    change_high: float | None
    """Upper limit."""
    call: str
    """What the change is, "" if neither limits nor a variation are known."""
    flags: tuple[str, ...]
    """Codes of FLAGS."""
    reason: str = ""
    """Why it is not paired, a clause for people; "" if it is."""
    brief: str = ""
    """The same without the errors' sentences."""
    days: int | None = None
    """Days from the baseline to the later visit, None if they are not known."""

    @property
    def paired(self) -> bool:
        """Whether both visits have a value that may be compared."""
        return self.change is not None

    def row(self) -> dict[str, Any]:
        """The row of paired.csv."""
        return {
            "subject": self.subject,
            "measure": self.measure,
            "timepoint": self.timepoint,
            "baseline": self.baseline.value,
            "followup": self.followup.value,
            "change": self.change,
            "percent_change": self.percent_change,
            "change_low": self.change_low,
            "change_high": self.change_high,
            "call": self.call,
            "days": self.days,
            "flags": ";".join(self.flags),
        }


def ordered_flags(flags: Iterable[str]) -> tuple[str, ...]:
    """Each flag once, in the order of FLAGS; codes of another version come last."""
    order = {code: position for position, code in enumerate(FLAGS)}
    return tuple(sorted(set(flags) - {""}, key=lambda code: (order.get(code, len(order)), code)))

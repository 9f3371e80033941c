"""Pair the visits: each subject's change with its limits and its call.

Rules, in one place:

- The first timepoint of the study is the baseline; every later one is compared with it.
- Several measured cases of one visit are combined: slides by tissue area (collagen summed over
  tissue summed), scans by their mean. Limits are combined with the same weights, as if the errors
  of one visit's cases went together, which is the wider choice.
- Slides are only paired with slides of one family of stains. Scans are paired within one modality
  where both visits have it; otherwise across, with a flag.
- A liver that is cut off by the edge of the scan is larger than its number (``incomplete`` in
  flags.py): it is compared with nothing, unless a reader overruled that. Where a visit has another
  scan that contains the whole liver, that one counts.
- A case with a doubtful flag (see flags.py) that no reader has accepted is not compared.
  Where the visit has another case without one, that one counts, with the flag ``case_left_out``.
- What was measured after transplantation or death, or by its date before the first visit, is
  compared with nothing.
- calls.py decides what a change is called.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ..flags import Acquisition, doubtful, incomplete, scan_mismatches
from ..measures import COMPARED, Measure
from ..sheets.bounds import bound_of
from ..tables import Row, parse_spacing
from ..vocabulary import Call, Event, Status
from .calls import call_change, change_limits, within_sampling
from .design import REJECTED, UNREAD, Design, Pair, Visit, ordered_flags

_SAME_MONTH = 0.5  # outcomes are dated by the month: a visit within half of one is not after it


def _number(row: Mapping[str, Any], column: str) -> float | None:
    value = row.get(column) if column else None
    return None if value is None or value == "" else float(value)


def _weights(rows: Sequence[Mapping[str, Any]], measure: Measure) -> list[float]:
    """Tissue area for slides, the same for all scans."""
    if measure.kind != "slide":
        return [1.0] * len(rows)
    areas = [_number(row, "tissue_mm2") for row in rows]
    if any(area is None or area <= 0 for area in areas):
        return [1.0] * len(rows)
    return [area for area in areas if area is not None]


def _mean(values: Sequence[float | None], weights: Sequence[float]) -> float | None:
    if any(value is None for value in values):
        return None
    pairs = zip(values, weights, strict=True)
    return math.fsum(v * w for v, w in pairs if v is not None) / math.fsum(weights)


def combine(
    rows: Sequence[Mapping[str, Any]],
    measure: Measure,
    listed: int = 0,
    accepted: Collection[str] = (),
) -> Visit:
    """Combine the rows of one visit into one value by the rule of this module.

    Args:
        rows: rows of volumes.csv or collagen.csv of one subject, timepoint and group.
        measure: what is measured.
        listed: how many cases the visit has in all groups, at least ``len(rows)``.
        accepted: case_ids whose doubtful flags a reader has accepted.
    """
    known = [row for row in rows if _number(row, measure.column) is not None]
    good = [row for row in known if not _doubts(row, accepted)]
    bad = [row for row in rows if row.get("status") == Status.FAILED]
    errors = tuple(str(row.get("error") or Status.FAILED) for row in bad)
    kept_out = tuple(
        (str(row["status"]), str(row.get("error") or ""))
        for row in rows
        if row.get("status") in (REJECTED, UNREAD)
    )
    listed = max(listed, len(rows))
    if not good:
        doubts = [flag for row in known for flag in _doubts(row, accepted)]
        flags = [flag for row in known for flag in str(row.get("flags") or "").split(";")]
        return Visit(
            listed=listed,
            flags=ordered_flags(flags),
            errors=errors,
            doubts=ordered_flags(doubts),
            kept_out=kept_out,
            bound=bound_of(rows, measure.column),
        )
    weights = _weights(good, measure)
    flags = [flag for row in good for flag in str(row.get("flags") or "").split(";")]
    if len(good) > 1:
        flags.append("several_combined")
    if bad:
        flags.append("case_failed")
    if len(good) < len(known) or kept_out:
        flags.append("case_left_out")
    spacings = [parse_spacing(str(row.get("spacing_mm") or "")) for row in good]
    thick = [max(spacing) for spacing in spacings if spacing]
    contrasts = {str(row.get("contrast") or "") for row in good}
    return Visit(
        listed=listed,
        value=_mean([_number(row, measure.column) for row in good], weights),
        low=_mean([_number(row, measure.low) for row in good], weights),
        high=_mean([_number(row, measure.high) for row in good], weights),
        flags=ordered_flags(flags),
        errors=errors,
        group=_group(good[0], measure),
        cases=tuple(str(row.get("case_id") or "") for row in good),
        slice_mm=max(thick) if thick else None,
        contrast=contrasts.pop() if len(contrasts) == 1 else "",
        engine=" and ".join(sorted({str(row.get("engine") or "") for row in good} - {""})),
    )


def _group(row: Mapping[str, Any], measure: Measure) -> str:
    if measure.kind == "slide":  # tables of older versions name no family
        return str(row.get("stain_family") or row.get("stain") or "")
    return str(row.get("modality") or "") if measure.kind == "scan" else ""


def _doubts(row: Mapping[str, Any], accepted: Collection[str]) -> tuple[str, ...]:
    """The flags that keep a case out of comparisons, () if a reader has accepted it."""
    if str(row.get("case_id") or "") in accepted:
        return ()
    return doubtful(str(row.get("flags") or "").split(";"))


def _groups(rows: Sequence[Row], measure: Measure) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        if _number(row, measure.column) is not None:
            groups.setdefault(_group(row, measure), []).append(row)
    return groups


def _choose(first: Sequence[Row], later: Sequence[Row], measure: Measure) -> str | None:
    """The stain or modality that both visits share, None if none.

    Of several the one with the most cases (for slides: tissue) at the visit that has less of it;
    alphabetical order breaks a tie.
    """
    left, right = _groups(first, measure), _groups(later, measure)
    shared = sorted(set(left) & set(right))

    def weight(group: str) -> float:
        return min(sum(_weights(side[group], measure)) for side in (left, right))

    return max(shared, key=weight) if shared else None


def _whole(rows: Sequence[Row], measure: Measure) -> list[Row]:
    """The rows without those of a cut liver, if the visit has a whole one as well."""
    cut = [row for row in rows if incomplete(str(row.get("flags") or "").split(";"), measure.key)]
    whole = [row for row in rows if row not in cut]
    held = any(_number(row, measure.column) is not None for row in whole)
    return whole if held else list(rows)


def _only(rows: Sequence[Row], measure: Measure, group: str) -> list[Row]:
    """The rows of a group, and those that failed (they have a reason, but no value)."""
    return [
        row for row in rows if _group(row, measure) == group or _number(row, measure.column) is None
    ]


def _absent(visit: Visit, which: str, timepoint: str, measure: Measure) -> tuple[str, str, str]:
    """Flag, clause and clause with the error's sentence, for a visit without a value."""
    what = {"scan": "scan", "slide": "slide", "clinical": "value"}[measure.kind]
    if visit.kept_out:
        status = REJECTED if REJECTED in dict(visit.kept_out) else UNREAD
        if status == UNREAD:
            brief = f"no reader has accepted the {what} of {timepoint}"
            return f"unread_{which}", brief, brief
        reasons = dict.fromkeys(reason for one, reason in visit.kept_out if one == REJECTED)
        brief = f"a reader rejected the {what} of {timepoint}"
        return f"rejected_{which}", brief, f"{brief} ({'; '.join(reasons)})"
    if visit.doubts:
        brief = f"the {what} of {timepoint} is doubtful ({', '.join(visit.doubts)})"
        return f"doubtful_{which}", brief, f"{brief} and no reader has accepted it"
    if visit.errors:
        brief = f"the {what} of {timepoint} failed"
        return f"failed_{which}", brief, f"{brief} ({'; '.join(visit.errors)})"
    if visit.bound:
        brief = f"{measure.inside} at {timepoint} is only known to be {visit.bound}"
    elif measure.kind == "clinical":
        brief = f"no {measure.inside} at {timepoint}"
    elif visit.listed:
        brief = f"no {measure.inside} from the {what} of {timepoint}"
    else:
        brief = f"no {what} at {timepoint}"
    return f"no_{which}", brief, brief


def _timing(
    design: Design, subject: str, timepoints: tuple[str, str]
) -> tuple[list[str], list[tuple[str, str]]]:
    """What the time of a later visit says: flags, and reasons against a comparison."""
    first, later = timepoints
    days, months = design.days.get((subject, later)), design.months_of(subject, later)
    flags: list[str] = []
    reasons: list[tuple[str, str]] = []
    if days is not None and days <= 0:
        flags.append("visit_order")
        brief = f"by its date {later} is not after {first}"
        reasons.append((brief, f"{brief} ({days} days): the dates may be swapped"))
    elif days is not None and later in design.windows:
        low, high = design.windows[later]
        if not low <= days <= high:
            flags.append("outside_window")
    gone = design.gone.get(subject)
    if gone is not None and months is not None and months > gone[0] + _SAME_MONTH:
        died = gone[1] == Event.DEATH
        flags.append("after_death" if died else "after_transplant")
        what = "the recorded death" if died else "transplantation"
        brief = f"{later} is after {what}"
        reasons.append((brief, f"{brief} (at {gone[0]:g} months)"))
    return flags, reasons


def _obstacles(
    first: Visit,
    later: Visit,
    timepoints: tuple[str, str],
    measure: Measure,
    *,
    shared: bool,
    accepted: Collection[str] = (),
) -> tuple[list[str], list[tuple[str, str]]]:
    """What stands between two visits and a comparison: flags, and reasons against it.

    Args:
        first: the baseline.
        later: the later visit.
        timepoints: their names.
        measure: what is compared.
        shared: whether both have the same stain or modality.
        accepted: case_ids whose doubtful flags a reader has accepted.

    Returns:
        Flags, and (brief, full) reasons; without reasons the visits may be compared.
    """
    flags: list[str] = []
    reasons: list[tuple[str, str]] = []
    for visit, which, timepoint in (
        (first, "baseline", timepoints[0]),
        (later, "followup", timepoints[1]),
    ):
        if visit.value is None:
            flag, brief, full = _absent(visit, which, timepoint, measure)
            flags.append(flag)
            reasons.append((brief, full))
        elif incomplete(visit.flags, measure.key) and not set(visit.cases) <= set(accepted):
            cut = f"the liver is cut off in the scan of {timepoint}"
            reasons.append((cut, cut))
    if not reasons and not shared:
        if measure.kind == "slide":
            flags.append("stain_mismatch")
            differ = f"the stains differ ({first.group} and {later.group})"
            reasons.append((differ, differ))
        else:
            flags.append("modality_mismatch")
    return flags, reasons


def make_pair(
    subject: str,
    measure: Measure,
    timepoints: tuple[str, str],
    first_rows: Sequence[Row],
    later_rows: Sequence[Row],
    design: Design,
    accepted: Collection[str] = (),
) -> Pair:
    """Pair one subject's rows of two visits.

    Args:
        subject: the code.
        measure: what is compared.
        timepoints: baseline and later visit.
        first_rows: the baseline's rows.
        later_rows: the later visit's rows.
        design: the study's settings for calls.
        accepted: case_ids whose doubtful flags a reader has accepted.
    """
    visits = [_whole(rows, measure) for rows in (first_rows, later_rows)]
    sure = [[row for row in rows if not _doubts(row, accepted)] for rows in visits]
    group = _choose(sure[0], sure[1], measure)
    first, later = (
        combine(
            rows if group is None else _only(rows, measure, group), measure, len(rows), accepted
        )
        for rows in visits
    )

    flags, reasons = _obstacles(
        first, later, timepoints, measure, shared=group is not None, accepted=accepted
    )
    if first.value is not None and later.value is not None:
        timed, against = _timing(design, subject, timepoints)
        flags, reasons = [*flags, *timed], [*reasons, *against]
    days = design.days.get((subject, timepoints[1]))
    both = (*first.flags, *later.flags)
    if reasons or first.value is None or later.value is None:
        return Pair(
            subject, measure.key, timepoints[1], first, later, None, None, None, None,
            Call.NOT_PAIRED, ordered_flags((*both, *flags)),
            reason=" and ".join(full for _, full in reasons),
            brief=" and ".join(short for short, _ in reasons), days=days,
        )  # fmt: skip

    change = later.value - first.value
    percent = 100 * change / first.value if measure.ratio_scale and first.value > 0 else None
    limits = change_limits(first, later)
    if (sdc := design.smallest_detectable.get(measure.key)) is not None:
        low, high = limits or (change, change)
        limits = min(low, change - sdc), max(high, change + sdc)
    call = ""
    if measure.kind != "clinical":
        variation = design.biological_variation_percent.get(measure.key)
        cv = design.sampling_cv_percent.get(measure.key)
        sampled = bool(cv) and within_sampling(
            first.value, later.value, cv or 0.0, (len(first.cases), len(later.cases))
        )
        call, explained = call_change(change, percent, limits, variation, sampling=sampled)
        flags.extend(explained)
        looks = [Acquisition(one.group, one.contrast, one.slice_mm) for one in (first, later)]
        if measure.kind == "scan":
            flags.extend(scan_mismatches(*looks))
            if first.engine and later.engine and first.engine != later.engine:
                flags.append("engine_mismatch")
    return Pair(
        subject, measure.key, timepoints[1], first, later, change, percent,
        limits[0] if limits else None, limits[1] if limits else None,
        call, ordered_flags((*both, *flags)), days=days,
    )  # fmt: skip


def make_pairs(
    design: Design,
    volumes: Sequence[Row],
    collagen: Sequence[Row],
    clinical: Sequence[Row] = (),
    *,
    accepted: Collection[str] = (),
) -> list[Pair]:
    """Every enrolled subject's pair of every measure that the study has, at every later visit.

    Args:
        design: subjects, timepoints and settings.
        volumes: rows of volumes.csv.
        collagen: rows of collagen.csv.
        clinical: a row a subject and timepoint, with the scores computed.
        accepted: case_ids whose doubtful flags a reader has accepted (a mapping by case_id will
            do); the other cases with such a flag are not compared.

    Returns:
        Measures in the order of COMPARED, then later visits, then subjects. A measure without any
        value in the study is left out, unless it is a primary one that has at least one case.
    """
    tables = {"scan": volumes, "slide": collagen, "clinical": clinical}
    pairs: list[Pair] = []
    for measure in COMPARED.values():
        rows = tables[measure.kind]
        known = any(_number(row, measure.column) is not None for row in rows)
        asked = measure.key in design.primary_measures and bool(rows)
        if not (known or asked):
            continue
        by_visit: dict[tuple[str, str], list[Row]] = {}
        for row in rows:
            visit = (str(row.get("subject") or ""), str(row.get("timepoint") or ""))
            by_visit.setdefault(visit, []).append(row)
        for later in design.later_visits(measure.key):
            for subject in design.subjects:
                pairs.append(
                    make_pair(
                        subject,
                        measure,
                        (design.timepoints[0], later),
                        by_visit.get((subject, design.timepoints[0]), []),
                        by_visit.get((subject, later), []),
                        design,
                        accepted,
                    )
                )
    return pairs

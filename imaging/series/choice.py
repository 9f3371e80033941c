"""Choose which series of a visit is measured, by the rules of configs/series.yaml. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from ...errors import ConfigError, ScanError
from ...flags import Acquisition, scan_mismatches
from ...settings import parse_yaml
from ..readers.dicom_kind import VIRTUAL_NAMES
from .summary import SeriesSummary, kernel_is_sharp

_COVERAGE_STEP_MM = 5.0
_THICKNESS_STEP_MM = 0.25

Criterion = Callable[[SeriesSummary], float]


@dataclass(frozen=True)
class SeriesRules:
    """The rules of configs/series.yaml; see the comments there."""

    order: tuple[str, ...]
    match_order: tuple[str, ...]
    modalities: tuple[str, ...]
    planes: tuple[str, ...]
    ct_phases: tuple[str, ...]
    mr_sequences: tuple[str, ...]
    min_coverage_mm: float
    max_thickness_mm: float
    best_thickness_mm: float


@dataclass(frozen=True)
class RunnerUp:
    """A usable series that was not chosen, and what decided."""

    series: SeriesSummary
    reason: str


@dataclass(frozen=True)
class SeriesChoice:
    """The series to measure."""

    chosen: SeriesSummary
    """It; ``chosen.path`` and ``chosen.series_uid`` are what ``read_scan`` takes."""
    runners_up: tuple[RunnerUp, ...] = ()
    """The other usable ones, best first, each with the criterion that decided."""
    flags: tuple[str, ...] = ()
    """For a follow-up, how it differs from the baseline's series."""
    by_mask: bool = False
    """Whether it was chosen among those only that the given mask refers to."""

    def as_plain(self) -> dict[str, Any]:
        """For provenance.json: no identity, no path."""
        return {
            "chosen": _plain(self.chosen),
            "runners_up": [
                {**_plain(other.series), "reason": other.reason} for other in self.runners_up
            ],
            "flags": list(self.flags),
            **({"among": "series that the mask refers to"} if self.by_mask else {}),
        }


def _plain(series: SeriesSummary) -> dict[str, Any]:
    return {
        "series_uid": series.series_uid,
        "modality": series.modality,
        "plane": series.plane,
        "contrast": series.contrast,
        "n_slices": series.n_slices,
        "spacing_mm": series.spacing_mm,
        "slice_thickness_mm": series.slice_thickness_mm,
        "coverage_mm": series.coverage_mm,
        "kernel": series.kernel,
        "flags": list(series.flags),
    }


def load_rules(text: str | None = None) -> SeriesRules:
    """Read the rules from YAML text; those of configs/series.yaml when omitted.

    Raises:
        ConfigError: a key or criterion that does not exist, or a wrong value.
    """
    name = "series.yaml"
    if text is None:
        text = (resources.files("fibrovol.configs") / name).read_text(encoding="utf-8")
    data = parse_yaml(text, name)
    kinds = SeriesRules.__annotations__
    for key in {*data, *kinds}:
        if key not in kinds or key not in data:
            state = "does not exist" if key not in kinds else "is missing"
            raise ConfigError("bad_config", f"{name}: {key} {state}", do="compare with the default")
    values: dict[str, Any] = {}
    for key, kind in kinds.items():
        value = data[key]
        if kind == "float":
            if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
                raise ConfigError("bad_config", f"{name}: {key} must be a number above 0")
            values[key] = float(value)
        else:
            if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
                raise ConfigError("bad_config", f"{name}: {key} must be a list of words")
            values[key] = tuple(value)
    rules = SeriesRules(**values)
    unknown = (set(rules.order) - set(_CRITERIA)) | (set(rules.match_order) - set(_MATCHES))
    if unknown:
        known = ", ".join([*_CRITERIA, *_MATCHES])
        raise ConfigError(
            "bad_config", f"{name}: unknown criteria {sorted(unknown)}", do=f"use {known}"
        )
    return rules


def choose(
    series: Sequence[SeriesSummary],
    path: Path,
    *,
    modality: str,
    match: SeriesSummary | None,
    rules: SeriesRules,
) -> SeriesChoice:
    """Choose among summaries; see :func:`fibrovol.imaging.series.find.choose_series`."""
    usable = [one for one in series if one.usable]
    if modality:
        other = [one for one in usable if one.modality not in {modality, ""}]
        usable = [one for one in usable if one not in other]
        if other and not usable:
            raise ScanError(
                "not_a_scan",
                f"No {modality} series in {path.name}",
                found=", ".join(sorted({one.modality for one in other})) + " series",
                do="check the modality, or give another folder",
            )
    if not usable:
        raise _none_usable(series, path)
    tests = _criteria(rules)
    criteria = [(name, tests[name]) for name in rules.order]
    if match is not None:
        like = _likenesses(match)
        criteria = [(f"like the baseline: {name}", like[name]) for name in rules.match_order] + [
            *criteria
        ]
    ranked = sorted(usable, key=lambda one: tuple(test(one) for _, test in criteria))
    best = ranked[0]
    runners = [RunnerUp(one, _what_decided(best, one, criteria)) for one in ranked[1:]]
    ties = [runner.series for runner in runners if not runner.reason]
    if ties:
        raise ScanError(
            "several_series",
            f"{path.name} contains {len(ties) + 1} series that the rules do not distinguish",
            found="; ".join(describe(one) for one in [best, *ties][:6]),
            do="write the series_uid of the right one into study.csv, or give its folder alone",
        )
    flags = () if match is None else scan_mismatches(acquisition_of(match), acquisition_of(best))
    return SeriesChoice(best, tuple(runners), flags)


def acquisition_of(series: SeriesSummary) -> Acquisition:
    """What in a series can change a volume between two visits."""
    return Acquisition(series.modality, series.contrast, _through_plane_mm(series))


def describe(series: SeriesSummary) -> str:
    """One series in a line of a message."""
    parts = [series.modality or "scan", series.description, series.contrast, series.label]
    parts.append(f"{series.n_slices} slices")
    if series.spacing_mm is not None:
        parts.append(f"{series.spacing_mm[2]:.3g} mm apart")
    name = series.series_uid or series.path.name
    return f"{name} ({', '.join(part for part in parts if part)})"


def _none_usable(series: Sequence[SeriesSummary], path: Path) -> ScanError:
    """The refusal that says most: of the largest stack that could nearly be measured."""
    problems = [one for one in series if one.code not in {"", "left_out"}]
    if problems:
        worst = max(problems, key=lambda one: one.n_slices)
        return ScanError(
            worst.code,
            f"No series in {path.name} can be measured",
            found=worst.reason,
            do="see `fibrovol inspect` for every series of the folder",
        )
    reasons = sorted({one.reason for one in series})
    return ScanError(
        "not_a_scan",
        f"No measurable CT or MR series in {path.name}",
        found="; ".join(reasons) or "no CT or MR image",
        do="give the folder of a CT or MR series",
    )


def _what_decided(
    best: SeriesSummary,
    other: SeriesSummary,
    criteria: Sequence[tuple[str, Criterion]],
) -> str:
    for name, test in criteria:
        if test(best) != test(other):
            return name.replace("_", " ")
    return ""


def _position(value: str, order: tuple[str, ...]) -> int:
    return order.index(value) if value in order else len(order)


def _through_plane_mm(series: SeriesSummary) -> float:
    spacing = series.spacing_mm[2] if series.spacing_mm else 99.0
    return max(spacing, series.slice_thickness_mm or 0.0)


def _phase(series: SeriesSummary, rules: SeriesRules) -> int:
    return _position(
        series.contrast, rules.mr_sequences if series.modality == "MR" else rules.ct_phases
    )


_CRITERIA = (
    "modality", "plain", "coverage", "plane", "thickness", "original", "phase", "kernel", "flags",
    "closest_thickness", "larger_coverage",
)  # fmt: skip
_MATCHES = ("modality", "phase", "plane", "thickness_ratio", "kernel")
_HARMLESS = {"thick_slices", "duplicate_slices"}


def _criteria(rules: SeriesRules) -> dict[str, Criterion]:
    """Each criterion as a number: the series with the smaller one is preferred."""
    return {
        "modality": lambda one: _position(one.modality, rules.modalities),
        "plain": lambda one: one.contrast in VIRTUAL_NAMES,
        "coverage": lambda one: (one.coverage_mm or 0) < rules.min_coverage_mm,
        "plane": lambda one: _position(one.plane, rules.planes),
        "thickness": lambda one: _through_plane_mm(one) > rules.max_thickness_mm,
        "original": lambda one: not one.is_original,
        "phase": lambda one: _phase(one, rules),
        "kernel": lambda one: kernel_is_sharp(one.kernel) is True,
        "flags": lambda one: len(set(one.flags) - _HARMLESS),
        "closest_thickness": lambda one: round(
            abs(_through_plane_mm(one) - rules.best_thickness_mm) / _THICKNESS_STEP_MM
        ),
        "larger_coverage": lambda one: -((one.coverage_mm or 0) // _COVERAGE_STEP_MM),
    }


def _likenesses(baseline: SeriesSummary) -> dict[str, Criterion]:
    """Each likeness as a number: 0, or 1 for the thickness ratio, where a series is the same."""
    return {
        "modality": lambda one: one.modality != baseline.modality,
        "phase": lambda one: one.contrast != baseline.contrast,
        "plane": lambda one: one.plane != baseline.plane,
        "thickness_ratio": lambda one: round(_thickness_ratio(baseline, one), 1),
        "kernel": lambda one: one.kernel != baseline.kernel,
    }


def _thickness_ratio(a: SeriesSummary, b: SeriesSummary) -> float:
    one, two = _through_plane_mm(a), _through_plane_mm(b)
    return max(one, two) / min(one, two)

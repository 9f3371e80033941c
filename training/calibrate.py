"""Calibrate the 95 % limits of a volume on scans that the network was not trained on.

The network's own doubt about the border (how much the volume moves with the threshold) is a cheap
measure of its error. Bent and recoloured copies of labelled CTs give pairs of that spread and the
true error; the limits are a floor (what two people drawing the same liver differ by) plus
a slope times the spread, with the slope such that 95 in 100 copies lie inside, or all of them where
there are too few patients to tell.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..models.grid import FAT_HU
from .draw import Draw
from .geometry import Body, Case, cut_windows, turn_slices
from .organs import LIVER
from .synthesis import SEQUENCE, Synthesis, SynthesisSettings

OBSERVER_FLOOR = 0.02
"""Relative half-width that no limit falls below: human readers agree to a Dice of 0.95 to 0.97,
and their volumes to about 2 to 3 %."""

WHOLE_SCAN = SynthesisSettings(window=(216, 168, 216), spacing_mm=2.0, disguised=0.0)
"""A window large enough for a whole abdomen, 432 x 336 x 432 mm, for synthesised contrasts. Its
neighbours have the level that the sequence gives them: giving them the liver's is a lesson, not a
scan."""

LARGEST_FAT_SHARE = 0.01
"""A label map with more of its liver voxels below ``models.grid.FAT_HU`` cannot measure a volume:
it was drawn into fat or lung. 29 of BTCV's cases 00 to 29 have at most 0.58 %."""

Measure = Callable[
    [NDArray[Any], NDArray[np.float64], bool, Sequence[float]], Sequence[tuple[float, float]]
]
"""(array, affine, is_ct, thresholds) to the measured volume in mL and the spread at each."""


@dataclass(frozen=True)
class Trial:
    """One copy of a held-out scan."""

    case: str
    """Whose scan it is a copy of."""

    is_ct: bool
    """CT contrast, or a synthesised one."""

    true_ml: float
    """Volume of the label."""

    measured_ml: float
    """Volume that the network found."""

    spread: float
    """The network's own doubt, see ``imaging.volumetry.threshold_spread``."""

    @property
    def relative_error(self) -> float:
        """Absolute error over the measured volume: what the limits have to hold."""
        if self.measured_ml == 0:
            return float("inf")
        return abs(self.true_ml / self.measured_ml - 1.0)


def fat_share(case: Case) -> float:
    """Share of the liver's label that cannot be liver by its HU: fat, or lung."""
    liver = case.hu[case.organs == LIVER]
    return float((liver < FAT_HU).float().mean())


def run_trials(
    cases: Sequence[Case],
    measure: Measure,
    *,
    copies: int,
    is_ct: bool,
    thresholds: Sequence[float] = (0.5,),
    seed: int = 0,
) -> dict[float, list[Trial]]:
    """Bend and recolour each case several times and measure the copies.

    Copies show the whole liver, as scans do whose limits are given without a flag. Those in HU
    keep the slices of their scan, for there the scan's own grey values place the border.

    Args:
        cases: never trained on.
        measure: the network with everything around it.
        copies: of each case.
        is_ct: the CT's own HU with noise, or synthesised contrasts, in slices of any thickness.
        thresholds: probabilities above which a voxel may be called liver.
        seed: of the copies.

    Returns:
        for each threshold the trials, in one order.

    Raises:
        ValueError: a case of which no copy shows the whole liver.
    """
    trials: dict[float, list[Trial]] = {threshold: [] for threshold in thresholds}
    synthesis = Synthesis(cases, WHOLE_SCAN)
    for number, case in enumerate(cases):
        spacing_mm = case.spacing_mm if is_ct else (WHOLE_SCAN.spacing_mm,) * 3
        affine, voxel_ml = np.diag([*spacing_mm, 1.0]), float(np.prod(spacing_mm)) / 1000
        for copy in range(copies):
            draw = Draw([seed, number, copy, int(is_ct)])
            body = _whole_liver(case, draw, in_slices=is_ct)
            if is_ct:  # HU are physical: other patients and noise, but no other contrast
                image = body.hu + draw.uniform(0, 20) * draw.normal(*body.hu.shape)
            else:
                image = synthesis.picture(body, draw, np.array([SEQUENCE])) * 1000 + 100
            true_ml = float(body.liver.sum()) * voxel_ml
            found = measure(image[0, 0].numpy(), affine, is_ct, thresholds)
            for threshold, (measured_ml, spread) in zip(thresholds, found, strict=True):
                trials[threshold].append(Trial(case.name, is_ct, true_ml, measured_ml, spread))
    return trials


def _whole_liver(case: Case, draw: Draw, *, in_slices: bool) -> Body:
    """A geometry that shows a liver and does not cut it.

    Slices that are kept show as much of it as the scan does.

    Raises:
        ValueError: of fifty none does.
    """
    for _ in range(50):
        if in_slices:
            body = turn_slices(case, draw)
        else:
            body = cut_windows([case], draw, WHOLE_SCAN.window, WHOLE_SCAN.spacing_mm)
        liver = body.liver[0, 0]
        inner = liver[1:-1, 1:-1] if in_slices else liver[1:-1, 1:-1, 1:-1]
        if 0 < liver.sum() == inner.sum():
            return body
    raise ValueError(f"{case.name}: no copy of it shows the whole liver")


def best_threshold(trials: dict[float, list[Trial]]) -> float:
    """The threshold whose volumes are right in the median: neither too small nor too large.

    Args:
        trials: as :func:`run_trials` gives them.
    """

    def bias(threshold: float) -> float:
        ratios = [t.measured_ml / t.true_ml for t in trials[threshold]]
        return abs(float(np.median(ratios)) - 1.0)

    return min(trials, key=bias)


def fit_limits(trials: Sequence[Trial], *, coverage: float = 0.95) -> dict[str, float]:
    """Floor and slope of the relative half-width, so that the share given lies inside.

    Two forms are fitted and the narrower one is taken: one width for all (slope 0), or the human
    floor plus a slope times the spread, which pays where the spread tells good from bad. The
    quantile is the conformal one, the (n + 1) coverage-th smallest of n, which also holds for new
    cases where they resemble these. Copies of one patient resemble each other, so n is their number
    divided by the design effect of clusters. Where that is too few for the coverage asked for, the
    largest of all copies is taken, and n / (n + 1) is all that can be promised.

    Raises:
        ValueError: too few trials for the coverage asked for.
    """
    usable = _usable(trials)
    if np.ceil((len(usable) + 1) * coverage) > len(usable):
        raise ValueError(f"{len(usable)} trials are too few for limits of {coverage:.0%}")
    cases = [t.case for t in usable]
    errors = np.array([t.relative_error for t in usable])
    spreads = np.array([t.spread for t in usable])
    constant = max(OBSERVER_FLOOR, _quantile(errors, cases, coverage))
    slope = _quantile(np.maximum(0.0, errors - OBSERVER_FLOOR) / spreads, cases, coverage)
    if constant <= OBSERVER_FLOOR + slope * float(spreads.mean()):
        return {"floor": constant, "slope": 0.0}
    return {"floor": OBSERVER_FLOOR, "slope": slope}


def _usable(trials: Sequence[Trial]) -> list[Trial]:
    """Those in which a liver was found."""
    return [t for t in trials if np.isfinite(t.relative_error) and 0 < t.spread < np.inf]


def _quantile(scores: NDArray[np.float64], cases: Sequence[str], coverage: float) -> float:
    n = len(scores) / design_effect(scores, cases)
    rank = int(np.ceil(round((1 + 1 / n) * coverage * len(scores), 6)))
    return float(np.sort(scores)[min(rank, len(scores)) - 1])


def design_effect(values: NDArray[np.float64], clusters: Sequence[str]) -> float:
    """By how much clusters that resemble themselves lessen the number of values, 1 or more.

    1 + (m - 1) times the intraclass correlation (Kish, Survey Sampling, 1965), where m is the mean
    size of a value's cluster; the correlation is that of one-way analysis of variance with unequal
    clusters (Donner, International Statistical Review, 1986). One cluster alone counts as one.

    Args:
        values: (n,).
        clusters: of each value.
    """
    groups = [values[[c == name for c in clusters]] for name in sorted(set(clusters))]
    many, n = len(groups), len(values)
    own_size = sum(len(g) ** 2 for g in groups) / n
    if many in (1, n):
        return own_size
    size = (n - own_size) / (many - 1)
    between = sum(len(g) * (g.mean() - values.mean()) ** 2 for g in groups) / (many - 1)
    within = sum(((g - g.mean()) ** 2).sum() for g in groups) / (n - many)
    total = between + (size - 1) * within
    correlation = (between - within) / total if total > 0 else 0.0
    return 1.0 + (own_size - 1) * max(0.0, float(correlation))


def from_patient_to_patient(trials: Sequence[Trial]) -> dict[str, tuple[dict[str, float], float]]:
    """Limits fitted without each patient, and the share of this patient's copies they hold.

    The nearest to a cross-validation that copies allow: those of one patient resemble each other.
    Copies in which no liver was found count neither way.

    Raises:
        ValueError: too few trials are left without a patient.
    """
    found = {}
    usable = _usable(trials)
    for case in sorted({trial.case for trial in usable}):
        limits = fit_limits([trial for trial in usable if trial.case != case])
        own = [trial for trial in usable if trial.case == case]
        held = [t.relative_error <= limits["floor"] + limits["slope"] * t.spread for t in own]
        found[case] = limits, float(np.mean(held))
    return found

"""The pairs of one measure at one later visit as arrays, and what is computed of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..measures import MEASURES
from ..vocabulary import Call
from . import power
from . import statistics as st
from .design import Pair


@dataclass(frozen=True)
class Sample:
    """The pairs of one measure and one later visit as arrays."""

    pairs: tuple[Pair, ...]
    """Those that are paired, ``n`` of them."""
    enrolled: int
    """Subjects of the study."""
    first: NDArray[np.float64]
    """Baselines, shape ``(n,)``."""
    later: NDArray[np.float64]
    """Follow-ups, shape ``(n,)``."""
    change: NDArray[np.float64]
    """Follow-up minus baseline, shape ``(n,)``."""
    percent: NDArray[np.float64]
    """Changes in per cent of the baseline, of the pairs that have one."""

    @property
    def n(self) -> int:
        """How many pairs."""
        return len(self.pairs)

    @property
    def varies(self) -> bool:
        """Whether the changes differ, without which they have no standardised size."""
        return self.n > 1 and bool(np.ptp(self.change) > 0)


def sample_of(pairs: Sequence[Pair]) -> Sample:
    """The sample of one measure and one later visit; those not paired count as enrolled only."""
    good = tuple(pair for pair in pairs if pair.change is not None)
    return Sample(
        good,
        len(pairs),
        np.array([pair.baseline.value for pair in good], dtype=np.float64),
        np.array([pair.followup.value for pair in good], dtype=np.float64),
        st.as_changes(np.array([pair.change for pair in good], dtype=np.float64)),
        np.array([p.percent_change for p in good if p.percent_change is not None]),
    )


Result = st.Estimate | st.Test | float | None


def if_varies(
    compute: Callable[[NDArray[np.float64]], Result],
) -> Callable[[Sample], Result]:
    """Compute from the changes where they differ."""
    return lambda sample: compute(sample.change) if sample.varies else None


def sd(values: NDArray[np.float64]) -> float | None:
    """Standard deviation, n - 1; None below 2 values."""
    return float(values.std(ddof=1)) if values.size > 1 else None


def quartiles(values: NDArray[np.float64]) -> st.Estimate:
    """The median with the quartiles as limits."""
    low, middle, high = (float(value) for value in np.quantile(values, [0.25, 0.5, 0.75]))
    return st.Estimate(middle, low, high)


def of_percent(
    compute: Callable[[NDArray[np.float64]], Result],
) -> Callable[[Sample], Result]:
    """Compute from the per cent changes where there are any."""
    return lambda sample: compute(sample.percent) if sample.percent.size else None


def called(call: Call) -> Callable[[Sample], Result]:
    """Count the pairs of one call; None if nothing is called."""

    def count(sample: Sample) -> Result:
        if not any(pair.call for pair in sample.pairs):
            return None
        return float(sum(pair.call == call for pair in sample.pairs))

    return count


def moved(sign: int) -> Callable[[Sample], Result]:
    """How many scores went down (-1), stayed (0) or went up (1); None for what is not a score."""

    def count(sample: Sample) -> Result:
        measure = MEASURES[sample.pairs[0].measure]
        if measure.kind != "clinical" or measure.ratio_scale:
            return None
        return float((np.sign(sample.change) == sign).sum())

    return count


def share_called(call: Call) -> Callable[[Sample], Result]:
    """The share of one call among the called pairs, with exact limits."""

    def share(sample: Sample) -> Result:
        called = [pair.call for pair in sample.pairs if pair.call not in ("", Call.NO_LIMITS)]
        if not called:
            return None
        return st.share(called.count(call), len(called))

    return share


def geometric_mean_ratio(sample: Sample) -> Result:
    """Mean of the log ratios with Student's interval, back on the scale of the ratio."""
    if not sample.n or (sample.first <= 0).any() or (sample.later <= 0).any():
        return None
    if len(sample.percent) < sample.n:
        return None  # a score has no ratio
    log = st.mean_t(np.log(sample.later / sample.first))
    limits = [None if limit is None else float(np.exp(limit)) for limit in (log.low, log.high)]
    return st.Estimate(float(np.exp(log.value)), *limits)


def change_of_mean(sample: Sample) -> Result:
    """The mean change over the mean baseline: it cannot have another sign than the mean change."""
    mean = float(sample.first.mean())
    if len(sample.percent) < sample.n or mean <= 0:
        return None
    return 100 * float(sample.change.mean()) / mean


def elsewhere(_: Sample) -> Result:
    """Computed where more than this sample is known; the line says how it is printed."""
    return None


def tipping_point(sample: Sample) -> Result:
    """How those who are not compared would have to have changed to undo an effect."""
    missing = sample.enrolled - sample.n
    limits = st.mean_sign_flip(sample.change)
    if not missing or limits.low is None or limits.high is None or limits.low * limits.high <= 0:
        return None
    near = limits.low if limits.low > 0 else limits.high
    return -near * sample.n / missing


def detectable(sample: Sample) -> Result:
    """The mean change that this sample would have shown with 80 % power."""
    return power.detectable_change(sample.n, sd(sample.change) or 0.0) if sample.varies else None

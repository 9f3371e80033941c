"""Known answers, brute force and laws for the paired statistics."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from fibrovol.analysis import power as statistics_power
from fibrovol.analysis import ranks
from fibrovol.analysis import statistics as st
from hypothesis import given, settings
from hypothesis import strategies as some
from scipy import stats

# Hollander & Wolfe (1973), p. 29f.: depression scale, also in R's help page of wilcox.test
DEPRESSION = np.array([0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29]) - np.array(
    [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30]
)
TIED = np.array([1, 2, 2, 0, -1, 3, 0, 4, -2, 5], dtype=float)
CHANGES = some.lists(
    some.integers(-6, 6).map(lambda value: value / 4), min_size=2, max_size=10
).map(np.array)


def brute_force(change: np.ndarray, statistic: str) -> float:
    """The p-value by going through every sign pattern, one by one."""
    size = np.abs(change[change != 0])
    weights = stats.rankdata(size) if statistic == "wilcoxon" else size
    observed = abs(float((weights * np.sign(change[change != 0])).sum()))
    patterns = list(itertools.product((-1, 1), repeat=size.size))
    far = sum(abs(float(np.dot(signs, weights))) >= observed - 1e-9 for signs in patterns)
    return far / len(patterns)


@settings(max_examples=60, deadline=None)
@given(CHANGES)
def test_exact_tests_equal_brute_force_with_ties_and_zeros(change: np.ndarray) -> None:
    assert ranks.wilcoxon(change).p_value == pytest.approx(
        brute_force(change, "wilcoxon"), abs=1e-12
    )
    assert st.sign_flip(change).p_value == pytest.approx(brute_force(change, "mean"), abs=1e-12)


def test_wilcoxon_with_ties_is_not_the_table_for_untied_ranks() -> None:
    permutation = stats.wilcoxon(TIED, method=stats.PermutationMethod()).pvalue
    assert ranks.wilcoxon(TIED).p_value == pytest.approx(permutation, abs=1e-12)


def test_decimal_noise_neither_breaks_ties_nor_hides_zeros() -> None:
    first = np.array([10.2, 20.2, 0.1, 30.3, 5.5])
    later = np.array([10.3, 20.3, 0.2, 30.4, 5.5])
    noisy = later - first  # 0.1 four times in four spellings
    assert np.unique(noisy).size > 2
    midranks, _ = ranks.signed_ranks(noisy)
    assert list(midranks) == [2.5] * 4


def test_hollander_and_wolfe_depression_scale() -> None:
    result = ranks.wilcoxon(DEPRESSION)
    assert result.statistic == 5.0
    assert result.p_value == pytest.approx(0.0390625, abs=1e-12)
    estimate = ranks.hodges_lehmann(DEPRESSION)
    assert estimate.value == pytest.approx(-0.46, abs=1e-9)
    assert (estimate.low, estimate.high) == pytest.approx((-0.786, -0.01), abs=1e-9)


def test_meeting_in_the_middle_agrees_with_sampling_at_forty_pairs() -> None:
    change = np.random.default_rng(4).normal(0.25, 1, 40)
    exact = st.sign_flip(change)
    assert exact.exact
    rng = np.random.default_rng(5)
    signs = rng.choice([-1, 1], size=(40_000, 40))
    sampled = np.mean(np.abs(signs @ change) >= abs(change.sum()))
    assert exact.p_value == pytest.approx(sampled, abs=4 * math.sqrt(exact.p_value / 40_000))
    more = st.sign_flip(np.append(change, 0.1))
    assert not more.exact
    assert more.p_value == pytest.approx(exact.p_value, abs=0.03)


@pytest.mark.parametrize("unit", [1.0, 0.1, 0.25, 1e-4])
def test_convolution_and_meeting_in_the_middle_give_one_p_value(
    monkeypatch: pytest.MonkeyPatch, unit: float
) -> None:
    change = unit * np.random.default_rng(7).integers(-30, 45, 16)
    enumerated = st.sign_flip(change)
    monkeypatch.setattr(st, "_EXACT_SIGN_FLIPS", 0)
    convolved = st.sign_flip(change)
    assert convolved.exact
    assert convolved.p_value == pytest.approx(enumerated.p_value, abs=1e-13)
    assert not st.sign_flip(change + np.pi * unit).exact


def test_many_changes_on_a_grid_are_exact_and_say_so() -> None:
    change = np.random.default_rng(1).integers(-40, 55, 72) / 10
    test = st.sign_flip(change)
    assert test.exact
    signs = np.random.default_rng(2).choice([-1, 1], size=(40_000, 72))
    sampled = np.mean(np.abs(signs @ change) >= abs(change.sum()) - 1e-9)
    assert test.p_value == pytest.approx(sampled, abs=4 * math.sqrt(test.p_value / 40_000))


@pytest.mark.parametrize("n", [3, 5])
def test_samples_that_cannot_carry_an_interval_have_none(n: int) -> None:
    change = np.linspace(1, 2, n)
    for estimate in (ranks.hodges_lehmann, st.mean_sign_flip, ranks.median_exact):
        assert estimate(change).low is None
    assert st.smallest_p(n) > 0.05
    assert st.sign_flip(change).p_value == st.smallest_p(n)


def test_six_pairs_are_the_fewest_with_exact_intervals() -> None:
    change = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0])
    assert ranks.hodges_lehmann(change).low == 1.0
    assert st.mean_sign_flip(change).low == 1.0
    assert ranks.median_exact(change).high == 32.0


@settings(max_examples=25, deadline=None)
@given(CHANGES.filter(lambda change: np.ptp(change) > 0), some.sampled_from([0.5, 3.0]))
def test_turning_the_sign_turns_every_answer(change: np.ndarray, scale: float) -> None:
    up, down = ranks.hodges_lehmann(change), ranks.hodges_lehmann(-scale * change)
    assert down.value == pytest.approx(-scale * up.value, abs=1e-9)
    if up.low is not None and up.high is not None:
        assert down.low == pytest.approx(-scale * up.high, abs=1e-9)
    assert ranks.rank_biserial(-scale * change) == pytest.approx(-ranks.rank_biserial(change))
    assert st.sign_flip(-scale * change).p_value == pytest.approx(st.sign_flip(change).p_value)
    first, second = statistics_power.cohen_dz(change), statistics_power.cohen_dz(-scale * change)
    assert second.value == pytest.approx(-first.value)
    assert second.low == pytest.approx(-(first.high or 0), abs=1e-7)


def test_sign_flip_interval_holds_exactly_the_shifts_that_are_not_rejected() -> None:
    change = np.random.default_rng(2).normal(1, 2, 9)
    limits = st.mean_sign_flip(change)
    assert limits.low is not None
    assert limits.high is not None
    width = limits.high - limits.low
    assert st.sign_flip(change - limits.low - 1e-4 * width).p_value > 0.05
    assert st.sign_flip(change - limits.low + 1e-4 * width).p_value <= 0.05
    assert st.sign_flip(change - limits.high + 1e-4 * width).p_value > 0.05
    assert st.sign_flip(change - limits.high - 1e-4 * width).p_value <= 0.05


def test_bootstrap_is_repeatable_and_wider_when_expanded() -> None:
    change = np.random.default_rng(3).normal(1, 2, 12)
    one, two = st.mean_bca(change), st.mean_bca(change)
    assert one == two
    plain = st.mean_bca(change, expand=False)
    assert one.low is not None
    assert plain.low is not None
    assert one.low < plain.low
    assert st.mean_bca(change[:4]).low is None
    assert st.mean_bca(np.full(8, 1.5)).low is None


def test_holm_published_example() -> None:
    # Holm's steps on 0.01, 0.04, 0.03, 0.005: 4 x 0.005, 3 x 0.01, 2 x 0.03, then not below it
    assert st.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert st.holm([]) == []
    with pytest.raises(ValueError, match="between 0 and 1"):
        st.holm([1.2])


def test_degenerate_changes_are_refused_or_have_no_interval() -> None:
    with pytest.raises(ValueError, match="equal"):
        st.paired_t([1.0, 1.0, 1.0])
    with pytest.raises(ValueError, match="at least 2"):
        st.paired_t([1.0])
    with pytest.raises(ValueError, match="finite"):
        st.sign_flip([1.0, math.nan])
    assert ranks.wilcoxon([0.0, 0.0]).p_value == 1.0
    assert st.sign_flip([0.0, 0.0]).p_value == 1.0
    assert st.shapiro_wilk([1.0, 1.0, 1.0]) is None
    assert statistics_power.detectable_change(1, 2.0) is None
    assert statistics_power.detectable_change(10, 0.0) is None


@pytest.mark.parametrize("n", range(2, 40))
def test_power_and_effect_size_hold_for_every_n_and_strong_effects(n: int) -> None:
    detectable = statistics_power.detectable_change(n, 1.0)
    assert detectable is not None
    rng = np.random.default_rng(n)
    for shift in (0.0, 3.0, -20.0):
        change = rng.normal(shift, 1, n)
        dz = statistics_power.cohen_dz(change)
        assert dz.low is not None
        assert dz.high is not None
        assert dz.low < dz.value < dz.high


def test_holm_levels_and_corrected_p_values_fall_on_the_same_side() -> None:
    assert st.holm_levels([0.02, 0.01]) == pytest.approx([0.95, 0.975])
    assert st.holm_levels([0.04, 0.03]) == pytest.approx([0.975, 0.975])
    rng = np.random.default_rng(3)
    for p_values in rng.uniform(0, 0.06, (50, 4)).tolist():
        levels, corrected = st.holm_levels(p_values), st.holm(p_values)
        for p, level, holm in zip(p_values, levels, corrected, strict=True):
            assert (p < 1 - level) == (holm < 0.05)

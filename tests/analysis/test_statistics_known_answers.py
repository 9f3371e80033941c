"""Answers of R and of published tables, to 1e-6."""

from __future__ import annotations

import numpy as np
import pytest
from fibrovol.analysis import agreement as agreement_stats
from fibrovol.analysis import power as statistics_power
from fibrovol.analysis import ranks, statistics
from fibrovol.analysis.association import spearman

from .reference import one, reference

SETS = ["sleep", "depression", "darwin"]


def near(value: object, *, tolerance: float = 1e-6) -> object:
    return pytest.approx(value, abs=tolerance, rel=tolerance)


@pytest.mark.parametrize("name", SETS)
def test_paired_tests_and_estimates_equal_r(name: str) -> None:
    change = reference(f"{name}.y") - reference(f"{name}.x")
    t = statistics.paired_t(change)
    assert (t.statistic, t.p_value) == near((one(f"{name}.t"), one(f"{name}.t_p")))
    interval = statistics.mean_t(change)
    assert (interval.low, interval.high) == near(tuple(reference(f"{name}.t_interval")))
    dz = statistics_power.cohen_dz(change)
    assert dz.value == near(one(f"{name}.dz"))
    assert (dz.low, dz.high) == near(tuple(reference(f"{name}.dz_interval")))
    shapiro = statistics.shapiro_wilk(change)
    assert shapiro is not None
    # SciPy and R share Royston's algorithm but round its constants differently in the p-value
    assert shapiro.statistic == near(reference(f"{name}.shapiro")[0])
    assert shapiro.p_value == near(reference(f"{name}.shapiro")[1], tolerance=1e-4)
    assert ranks.wilcoxon(change).p_value == near(one(f"{name}.wilcoxon_p"))
    assert statistics.sign_flip(change).p_value == near(one(f"{name}.sign_flip_p"))
    assert ranks.hodges_lehmann(change).value == near(one(f"{name}.hodges_lehmann"))
    sd = float(np.std(change, ddof=1))
    assert statistics_power.detectable_change(change.size, sd) == near(one(f"{name}.detectable"))


@pytest.mark.parametrize("name", ["depression", "darwin"])
def test_hodges_lehmann_interval_equals_r_without_ties(name: str) -> None:
    change = reference(f"{name}.y") - reference(f"{name}.x")
    estimate = ranks.hodges_lehmann(change)
    interval = reference(f"{name}.hodges_lehmann_interval")
    assert (estimate.low, estimate.high) == near(tuple(interval))
    assert ranks.wilcoxon(change).statistic == near(one(f"{name}.wilcoxon_statistic"))


def test_fishers_own_answer_for_darwins_maize() -> None:
    # The Design of Experiments (1935), section 21: 1,726 of 32,768 arrangements
    assert statistics.sign_flip(reference("darwin.y")).p_value == near(1726 / 32768)


def test_holm_equals_r() -> None:
    assert statistics.holm(list(reference("holm.p"))) == near(list(reference("holm.adjusted")))


def test_spearman_equals_r() -> None:
    tied = spearman(reference("spearman.x"), reference("spearman.y"))
    assert tied is not None
    assert tied[0].value == near(one("spearman.rho"))
    assert tied[0].low is not None
    assert tied[0].high is not None
    assert tied[0].low < tied[0].value < tied[0].high <= 1
    exact = spearman(reference("spearman_exact.x"), reference("spearman_exact.y"))
    assert exact is not None
    assert exact[0].value == near(one("spearman_exact.rho"))
    assert exact[1].exact
    assert exact[1].p_value == near(one("spearman_exact.p"))


def test_spearman_of_what_does_not_vary_or_is_too_few_is_none() -> None:
    assert spearman([1, 2, 3], [1, 2, 3]) is None
    assert spearman([1, 1, 1, 1], [1, 2, 3, 4]) is None
    with pytest.raises(ValueError, match="finite"):
        spearman([1, 2, 3, np.nan], [1, 2, 3, 4])


def test_icc_equals_shrout_and_fleiss_and_r() -> None:
    ratings = reference("icc.ratings").reshape(6, 4)
    icc = agreement_stats.icc_2_1(ratings)
    assert icc.value == near(one("icc.value"))
    assert round(icc.value, 2) == 0.29  # as printed in 1979
    assert (icc.low, icc.high) == near(tuple(reference("icc.interval")))


def test_bland_altman_equals_r_and_the_paper() -> None:
    result = agreement_stats.bland_altman(reference("bland.first"), reference("bland.second"))
    assert result.bias.value == near(one("bland.bias"))
    assert (result.bias.low, result.bias.high) == near(tuple(reference("bland.bias_interval")))
    assert (result.lower.value, result.upper.value) == near(tuple(reference("bland.limits")))
    assert (result.slope, result.slope_p) == near(tuple(reference("bland.slope")))
    # the paper prints a mean of -2.1 and a standard deviation of 38.8 L/min
    assert round(result.bias.value, 1) == -2.1
    assert round(result.sd, 1) == 38.8
    assert result.lower.low is not None
    assert result.lower.low < result.lower.value < (result.lower.high or 0)


def test_repeatability_of_a_constant_bias_counts_the_bias() -> None:
    first = reference("bland.first")
    result = agreement_stats.repeatability(first, reference("bland.second"))
    assert result.within_sd == near(one("bland.within_sd"))
    assert result.smallest_detectable == near(1.959963984540054 * 2**0.5 * one("bland.within_sd"))
    shifted = agreement_stats.repeatability(first, first + 10)
    assert shifted.within_sd == near(10 / 2**0.5)
    assert agreement_stats.bland_altman(first, first + 10).sd == near(0)
    same = agreement_stats.repeatability(first, first)
    assert same.smallest_detectable == 0
    assert same.icc.value == 1


def test_agreement_refuses_gaps_and_two_cases() -> None:
    with pytest.raises(ValueError, match="finite"):
        agreement_stats.bland_altman([1, 2, np.nan], [1, 2, 3])
    with pytest.raises(ValueError, match="at least 3"):
        agreement_stats.bland_altman([1, 2], [1, 2])
    with pytest.raises(ValueError, match="one shape"):
        agreement_stats.repeatability([1, 2, 3], [1, 2])
    with pytest.raises(ValueError, match="equal"):
        agreement_stats.icc_2_1([[1, 1], [1, 1]])
